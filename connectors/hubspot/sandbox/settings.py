"""What an account of the look-alike is like, and how strict it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.hubspot.sandbox.rules import Rule

SCOPES: Final = frozenset(
    f"crm.{area}.{table}.{right}"
    for area in ("objects", "schemas")
    for table in ("contacts", "companies", "invoices", "line_items")
    for right in ("read", "write")
)


@dataclass(frozen=True, slots=True)
class HubSpotSettings:
    """One account's settings. `lag_scale` shrinks every delay of HubSpot's."""

    access_token: str = "pat-na1-sandbox"  # noqa: S105 -- a planted secret
    client_secret: str = "hubspot-client-secret"  # noqa: S105 -- a planted secret
    webhook_url: str = ""
    """Empty: nobody has subscribed, and no event is kept."""
    is_legacy_app: bool = False
    """A legacy private app's webhooks have signature v1 alone (PROVIDERS §4)."""
    portal_id: int = 4_242_424
    account_type: str = "STANDARD"
    time_zone: str = "Europe/Rome"
    scopes: frozenset[str] = SCOPES
    lag_scale: float = 1.0
    search_lag_seconds: float = 10.0
    enforce_limits: bool = False
    burst: int = 190
    """Calls per ten seconds: 190 (Professional, Enterprise), 100 (Free, Starter), 110 (OAuth): PROVIDERS §1."""
    daily: int | None = 625_000
    """Calls until midnight: 250,000 (Free, Starter), 625,000 (Professional), 1,000,000 (Enterprise). OAuth: None."""
    follows_merges: bool = True
    """Whether an id that was merged away leads to its survivor, or to nothing: not verified (PROVIDERS §3)."""
    merge_makes_id: bool = True
    """Whether a merge makes a new object, as it may (PROVIDERS §3), or the primary one stays under its id."""
    rules: tuple[Rule, ...] = ()
    """What administrators require of contacts and companies (PROVIDERS §2)."""
    billing_types: tuple[int, int] = (930, 931)
    """What a billing contact is numbered, from the contact, and from the company on; 0: there is no such label."""
    external_property: str = "external_customer_id"
