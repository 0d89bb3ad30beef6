"""What HubSpot can do, as data (PROVIDERS §1 to §4)."""

from __future__ import annotations

from typing import Final

from core.model.paper import DocumentSpec
from core.model.remote import FieldSpec, Hierarchy, Limit, Manifest, MetadataSpec, Part
from core.model.settings import Address, Choice, Setting, Word

TEXT_LIMIT: Final = 65_536
NAME_LIMIT: Final = 100
"""Longest internal name of a property."""

BURST: Final = "ten seconds"
BURST_MILLISECONDS: Final = "10000"
BURSTS: Final = {"pro": 190, "free": 100}
"""Calls per ten seconds, by what the access token belongs to (setting `distribution`)."""
NO_OAUTH: Final = "an OAuth token lives half an hour, and nothing here renews it; take a service key or a private app's"


def limits_of(distribution: str) -> tuple[Limit, ...]:
    """The windows of one access token. Batches do not use up the day, and what other apps use of it no window knows."""
    return (
        Limit(name=BURST, calls=BURSTS[distribution], seconds=10.0),
        Limit(name="search", calls=5, seconds=1.0, endpoints=("search",)),
    )


BILLING_CONTACT: Final = Part(
    name="contact",
    title="billing contact",
    fields=("email", "phone"),
    key="email",
    of="company:",
    ids="contact:",
    when=("customer_type", "company"),
    blank_setting="untyped",
    setting="billing_contact",
)
"""The person of a company who is billed: e-mail and phone are that contact's, and not the company's any more."""

MANIFEST: Final = Manifest(
    provider="hubspot",
    overview=True,
    title="HubSpot",
    translation=2,
    fields={
        "name": FieldSpec(max_length=TEXT_LIMIT, note="a contact's first and last name; a company's name"),
        "email": FieldSpec(max_length=TEXT_LIMIT, note="unique among contacts; a company keeps it in accord_email"),
        "phone": FieldSpec(max_length=TEXT_LIMIT),
        "billing_address": FieldSpec(note="country as its English name; line2 in accord_address_line2"),
        "url": FieldSpec(max_length=TEXT_LIMIT, note="website"),
        "legal_name": FieldSpec(max_length=TEXT_LIMIT, note="accord_legal_name"),
        "legal_number": FieldSpec(max_length=TEXT_LIMIT, note="accord_legal_number"),
        "tax_identification_number": FieldSpec(max_length=TEXT_LIMIT, note="accord_tax_identification_number"),
        "customer_type": FieldSpec(
            is_fixed=True, note="individual is a contact, company a company; never changes at HubSpot"
        ),
        "parent": FieldSpec(since=2, note="parent company; only between companies, a contact has none"),
    },
    hierarchy=Hierarchy(is_apart=True, of="company:"),
    parts=(BILLING_CONTACT,),
    metadata=MetadataSpec(is_open=False, max_value_length=TEXT_LIMIT),
    kinds=("customer", "invoice"),
    documents={"invoice": DocumentSpec(mirrors=True, settles="itself", feeds=False, number_length=TEXT_LIMIT)},
    unmade_customer="contact:0",
    page_size=100,
    read_batch=100,
    write_batch=100,
    writes_per_call=100,
    # 19 calls a second, one after the other in each batch: enough for answers that take 0.4 s
    in_flight=8,
    batches_at_once=8,
    # the lines of four hundred invoices fill their requests but for the last one
    document_batches=4,
    create_key_seconds=None,
    lookup_lag_seconds=30.0,
    is_conditional=False,
    has_marker=True,
    changes_window_seconds=90 * 86_400.0,
    limits=limits_of("pro"),
    unique_fields=("email",),
    settings={
        "base_url": Setting(
            "where the API is (default https://api.hubapi.com)", Address(example="https://api.hubapi.com")
        ),
        "api_version": Setting(
            "date version of the API (default 2026-09)",
            Word(pattern="[0-9]{4}-[0-9]{2}(-[a-z]+)?", words="a year and a month", example="2026-09"),
        ),
        "untyped": Setting(
            "contact or company: what a customer without customer_type becomes (default contact)",
            Choice(choices=("contact", "company"), example="contact"),
        ),
        "billing_contact": Setting(
            "true or false: a company's e-mail and phone are kept at a contact that is tied to it as its billing "
            "contact (default false)",
            Choice(choices=("true", "false"), example="true"),
        ),
        "distribution": Setting(
            "pro or free: which rate limit the access token has (default pro)",
            Choice(choices=tuple(BURSTS), example="pro", refused={"oauth": NO_OAUTH}),
        ),
        "paid_status": Setting(
            "paid or open: which HubSpot status a paid copy of an invoice has (default paid)",
            Choice(choices=("paid", "open"), example="paid"),
        ),
    },
    secrets={
        "access_token": "service key or private app token: Settings > Integrations > Service keys",
        "client_secret": "the app's client secret, which signs webhooks; several separated by spaces or commas",
    },
    webhook_secret="client_secret",  # noqa: S106 -- the name of one
    signs_url=True,
    is_app_wide=True,
    webhook_events=(
        "contact.creation",
        "contact.deletion",
        "contact.merge",
        "contact.restore",
        "contact.propertyChange",
        "contact.associationChange",
        "contact.privacyDeletion",
        "company.creation",
        "company.deletion",
        "company.merge",
        "company.restore",
        "company.propertyChange",
        "company.associationChange",
        "object.propertyChange",
        "object.deletion",
        "object.restore",
    ),
    archives="final",
    not_synced={
        "shipping_address": "contacts and companies have one address",
        "currency": "HubSpot keeps a currency on deals and invoices, not on contacts or companies",
        "timezone": "hs_timezone is a closed list that does not name every zone",
        "locale": "hs_language is a closed list that does not name every locale",
        "logo_url": "hs_logo_url is HubSpot's own finding",
        "status": "a record is there or archived; archiving is not an edit",
    },
)
