"""What Stripe can do, as data (docs: connectors/stripe/README.md)."""

from __future__ import annotations

from typing import Final

from core.model.paper import DocumentSpec
from core.model.remote import Allowance, FieldSpec, Limit, Manifest, MetadataSpec
from core.model.settings import Address, Choice, Setting, Whole, Zone

API_VERSION: Final = "2026-10-28.endive"
"""Pinned: another version has other attributes, so it comes with a new translation version."""

ACCORD_REF: Final = "accord_ref"
"""Metadata key of our opaque marker."""

EXTERNAL_ID: Final = "external_customer_id"
"""Metadata key of the external id, unless the connection names another one."""

FOREIGN_PREFIXES: Final = ("lago_", "flexprice_")
"""Metadata keys of other writers' markers: reported, never synced, never written."""

TEXT_LIMIT: Final = 5000
"""Stripe's limit for a string that has no limit of its own (address parts, locales)."""

MIRROR_OPEN: Final = "mirror_open_invoices"
"""Setting of a connection: whether copies of open invoices may be made, which can be paid at Stripe."""

NUMBER_LENGTH: Final = 26
"""Of an invoice's number; PROVIDERS does not tell, Stripe's own are shorter."""

_OWN_METADATA_KEYS: Final = 2

READS: Final = (
    "account",
    "balance",
    "customer",
    "list_customers",
    "list_events",
    "search_customers",
    "invoice",
    "invoice_lines",
    "list_invoices",
    "search_invoices",
    "invoice_payment",
    "list_invoice_payments",
    "credit_note",
    "credit_note_lines",
    "list_credit_notes",
    "list_disputes",
    "payout",
    "list_payouts",
    "list_balance_transactions",
)
_LIVE_CALLS: Final = 100
_TEST_CALLS: Final = 25
ENDPOINT_CALLS: Final = 25
_SEARCH_CALLS: Final = 20


def limits(*, is_live: bool) -> tuple[Limit, ...]:
    """Calls per second of one account; a test-mode account has a quarter of a live one's."""
    return (
        Limit(name="global", calls=_LIVE_CALLS if is_live else _TEST_CALLS, seconds=1.0, credits_travel=True),
        Limit(name="endpoint", calls=ENDPOINT_CALLS, seconds=1.0, each=True, credits_travel=True),
        Limit(name="search", calls=_SEARCH_CALLS, seconds=1.0, endpoints=("search_customers", "search_invoices")),
    )


EVENTS: Final = (
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "invoice.created",
    "invoice.updated",
    "invoice.finalized",
    "invoice.paid",
    "invoice.overpaid",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.deleted",
    "invoice_payment.paid",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)

FED: Final = tuple(name for name in EVENTS if name not in {
    "invoice.overpaid",  # invoice_payment.paid tells
    "charge.refunded",  # refund.created tells
    "charge.dispute.updated",  # what moves money has an event of its own
    "charge.dispute.funds_reinstated",  # charge.dispute.closed tells
})  # fmt: skip
"""Those asked for of the event feed. One call takes twenty types at most, so what another one tells too is left out."""

MANIFEST: Final = Manifest(
    provider="stripe",
    title="Stripe",
    translation=1,
    fields={
        "name": FieldSpec(max_length=256),
        "email": FieldSpec(max_length=512, note="trimmed; needs a domain with a dot"),
        "phone": FieldSpec(max_length=20),
        "billing_address": FieldSpec(max_length=TEXT_LIMIT, note="each part; the country is ISO 3166 alpha-2"),
        "shipping_address": FieldSpec(max_length=TEXT_LIMIT, note="keeps the recipient and phone that are there"),
        "locale": FieldSpec(max_length=TEXT_LIMIT, note="the first preferred locale; the others are kept"),
    },
    metadata=MetadataSpec(
        is_open=True,
        max_keys=50 - _OWN_METADATA_KEYS,
        max_key_length=40,
        max_value_length=500,
    ),
    kinds=("customer", "invoice", "payment", "credit_note"),
    unread=("payments of no invoice",),
    documents={
        "invoice": DocumentSpec(
            originates=True,
            mirrors=True,
            number_length=NUMBER_LENGTH,
            numbered_with=("invoice",),
            id_length=27,
            settled_by=("payment", "credit_note"),
            unless=MIRROR_OPEN,
        ),
        # of a report that is attached to nothing there is neither a list nor an event
        "payment": DocumentSpec(originates=True, mirrors=True, unfound=("create", "apply")),
        "credit_note": DocumentSpec(originates=True, mirrors=True),
    },
    page_size=100,
    # no batch endpoint: one call each, as many at once as an endpoint allows in a second
    read_batch=1,
    write_batch=ENDPOINT_CALLS,
    in_flight=ENDPOINT_CALLS,
    # each endpoint has a limit of its own: some batches read while others write, and a copy is made in three calls
    batches_at_once=6,
    # keys live at least 24 h; an hour of margin for clocks and for the time a call takes
    create_key_seconds=23 * 3600.0,
    # the list is immediate; this is for a look-up that has no created_after and must use Search
    lookup_lag_seconds=60.0,
    settle_seconds=90.0,
    is_conditional=False,
    has_marker=True,
    changes_window_seconds=30 * 86400.0,
    sweep_overlap_seconds=300.0,
    limits=limits(is_live=True),
    # 500 reads per transaction within thirty days, and 10,000 at least (docs.stripe.com/rate-limits)
    allowances=(
        Allowance(
            name="reads per 30 days", calls=10_000, seconds=30 * 86_400.0, endpoints=READS, setting="monthly_reads"
        ),
    ),
    settings={
        "base_url": Setting(
            "Where Stripe's API is (default https://api.stripe.com)", Address(example="https://api.stripe.com")
        ),
        MIRROR_OPEN: Setting(
            "yes: also copies of open invoices, which whoever has their address can pay (default no)",
            Choice(choices=("yes", "no"), example="yes"),
        ),
        "time_zone": Setting(
            "zone whose days documents are booked by, like America/New_York; fixed once any are known (default UTC)",
            Zone(example="America/New_York"),
            lasting="UTC",
        ),
        "time_zone_was": Setting(
            "zone that documents were dated by so far, where that was wrong: what falls on another day is asked about",
            Zone(example="UTC"),
        ),
        "monthly_reads": Setting(
            "reads that the account has per 30 days; sweeps slow down to stay within (default 10000)",
            Whole(most=1_000_000_000, example="10000"),
        ),
    },
    secrets={
        "api_key": "Restricted key (rk_live_... or rk_test_...): Developers > API keys > Create restricted key",
        "webhook_secret": "Signing secret (whsec_...) of the webhook endpoint; several, while one is rolled, by spaces",
    },
    webhook_secret="webhook_secret",  # noqa: S106 - its name, not the secret
    webhook_events=EVENTS,
    has_payouts=True,
    not_synced={
        "legal_name": "business_name and individual_name depend on the customer's type, which Stripe does not store",
        "legal_number": "Stripe customers have no such attribute",
        "tax_identification_number": "tax ids are objects of their own with a type that the registry does not hold",
        "customer_type": "Stripe customers have no such attribute",
        "currency": "set by the first invoice and fixed from then on",
        "timezone": "Stripe customers have no such attribute",
        "url": "Stripe customers have no such attribute",
        "logo_url": "Stripe customers have no such attribute",
        "parent": "Stripe has no customer hierarchy",
        "status": "Stripe customers are there or deleted for good; nothing is deleted by default",
    },
)
