"""How a look-alike company is set up, and how strict it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuickBooksSettings:
    """Read anew at every call, so that a running sandbox can be changed.

    Only what PROVIDERS calls unverified has a choice between kinds of strictness.
    """

    lag_scale: float = 1.0
    enforce_limits: bool = False
    realm_id: str = "9341453908059321"
    company_name: str = "Sandbox Books"
    country: str = "US"
    home_currency: str = "USD"
    time_zone: str = "America/Los_Angeles"
    """In which times are told and days begin. Whether it is Intuit's or the company's own is not documented."""
    is_multicurrency: bool = True
    """Without it no customer and no document says its currency, and another one than `home_currency` is refused."""
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - opens nothing but this look-alike
    refresh_token: str = "sandbox-refresh-token"  # noqa: S105 - the first one; later ones are drawn
    verifier_token: str = "sandbox-verifier-token"  # noqa: S105
    access_seconds: float = 3600.0
    refresh_grace_seconds: float = 0.0
    """How long a refresh token that was rotated away still works."""
    request_id_seconds: float = 86_400.0
    """How long an answer is kept under its requestid. Not documented (PROVIDERS §2); the manifest trusts an hour."""
    batch_most: int = 30
    monthly_reads: int = 500_000
    """Metered ("CorePlus") reads of the Builder tier in a month; with `enforce_limits`, 429 beyond (PROVIDERS §1)."""
    other_names: frozenset[str] = frozenset()
    """Display names of vendors and employees, which share the customers' name space (PROVIDERS §2)."""
    keeps_refusals: bool = False
    """Whether a repeated requestid gives an old refusal again, or tries anew."""
    books_closed_through: str | None = None
    """The closing date: nothing dated on it or before can be written, changed or voided."""
    closing_only_warns: bool = False
    """Whether people are warned of the closing date, and nothing is refused because of it."""
    has_custom_numbers: bool = True
    """Whether a form without a number stays without; otherwise the next one is drawn."""
    takes_online_payments: bool = True
    """Whether an invoice that says nothing about it can be paid online."""
    applies_credits: bool = False
    """Whether a new credit memo is applied to the oldest open invoice by itself, as QuickBooks offers to."""
    tells_settled: bool = True
    """Whether an invoice or credit memo counts as changed when something begins or ceases to settle it."""
    keeps_voided_note: bool = False
    """Whether a void keeps the private note behind the word "Voided". The sample in the documentation has the word."""
    takes_told_tax: bool | None = None
    """Whether TotalTax of a request is honoured; None: in US companies (automated sales tax), and in no other."""
    tax_rates: tuple[tuple[str, str], ...] = (("TAX", "8.25"), ("NON", "0"), ("5", "19"), ("7", "7"), ("2", "0"))
    """Tax code and its percents; US companies know TAX and NON, the others know the others."""
    accounts: frozenset[str] = frozenset({"4", "35", "79"})
    income_accounts: frozenset[str] = frozenset({"79"})
    """Those of `accounts` that sales are posted to; all others are banks or other current assets (PROVIDERS §5)."""
    tells_newest_changes: bool = False
    """Which of more than 1,000 changes the change feed tells: the newest or the oldest of an entity. Not documented."""
    webhook_url: str | None = None
    is_old_webhook_format: bool = False
    is_webhook_data_filled: bool = True
    """Whether a merge names the absorbed customer: Intuit does not guarantee it."""
    keeps_absorbed: bool = False
    """Whether a customer that was merged away stays, inactive, or is not found any more: PROVIDERS §3 has both."""
