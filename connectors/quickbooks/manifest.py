"""What QuickBooks Online can and cannot do, as data (sources: PROVIDERS §1 to §6)."""

from __future__ import annotations

from typing import Final

from core.model.paper import DocumentSpec
from core.model.remote import Allowance, FieldSpec, Hierarchy, Limit, Manifest
from core.model.settings import Address, Choice, Setting, Whole, Word

CUSTOMER: Final = "customer"
ENTITIES: Final = {
    CUSTOMER: "Customer",
    "invoice": "Invoice",
    "payment": "Payment",
    "credit_note": "CreditMemo",
}
"""Kind -> QuickBooks' entity. Ids of different entities may be equal: a kind goes with each."""
REFUND: Final = "refund"
"""Refund receipts, an entity of their own: of the kind `credit_note`, by ids that begin so."""
FEEDS: Final = {**ENTITIES, REFUND: "RefundReceipt"}
"""What the change feed is asked for, each of a kind or a part of one."""
BOOKED: Final = "accord:booked"
"""What a person writes into the private note of a refund receipt, or a payment, whose refund is booked elsewhere."""
DOCUMENTS: Final = tuple(kind for kind in ENTITIES if kind != CUSTOMER)
DOC_NUMBER_MOST: Final = 21
NUMBERED: Final = ("invoice", "credit_note")
LINES_MOST: Final = 10_000
TAXED_LINES_MOST: Final = 750
QUERY_PAGE: Final = 1000
READ_BATCH: Final = 100
WRITE_BATCH: Final = 30
"""The limits page says 30, the batch page says 10: the setting `batch_size` decides per connection."""
CLOSED: Final = "issued_on"
"""The `field` of the error that means: the date lies in a closed period. A date may be refused otherwise, too."""
OPEN_THE_BOOKS: Final = "open the books in QuickBooks for as long as it takes, or book it there by hand"
"""The `cure` of that error, and of no other."""
MINUTE_CALLS: Final = 500
MINUTE_BATCHES: Final = 40
CDC_MOST: Final = 1000
CDC_WINDOW_SECONDS: Final = 29 * 86_400.0
"""Thirty days, less one: a cursor that is a minute too old must not become an error."""
THROTTLE_SECONDS: Final = 60.0
WRITE_TIMEOUT_SECONDS: Final = 30.0
PROVIDER_TIMEOUT_SECONDS: Final = 120.0
LIVE_URL: Final = "https://quickbooks.api.intuit.com"
TOKEN_URL: Final = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105 - an address
CONSENT_URL: Final = "https://appcenter.intuit.com/connect/oauth2"
SCOPE: Final = "com.intuit.quickbooks.accounting"

ACCOUNT: Final = Word(pattern="[0-9]{1,20}", words="an account's id in these books, which is digits", example="35")
ITEM: Final = Word(pattern="[0-9]{1,20}", words="an item's id in these books, which is digits", example="1")
SWITCH: Final = Choice(choices=("yes", "no"), example="yes")
_TAX_CODE: Final = r"\s*[0-9]{1,2}(\.[0-9]{1,6})?\s*:[^,:]*[^,:\s]\s*"

EVERY_CALL: Final = ("query", "read", "cdc", "write", "batch")

MANIFEST: Final = Manifest(
    provider="quickbooks",
    title="QuickBooks Online",
    translation=2,
    fields={
        "name": FieldSpec(max_length=500, note="DisplayName: unique, no ':', tab or line break, cannot be blank"),
        "legal_name": FieldSpec(max_length=100, note="CompanyName"),
        "email": FieldSpec(max_length=100, note="PrimaryEmailAddr.Address: needs @ and a dot"),
        "phone": FieldSpec(max_length=30, note="PrimaryPhone.FreeFormNumber"),
        "billing_address": FieldSpec(note="BillAddr: lines 500, city, state and country 255, postal code 30"),
        "shipping_address": FieldSpec(note="ShipAddr: as the billing address"),
        "url": FieldSpec(max_length=1000, note="WebAddr.URI"),
        "currency": FieldSpec(max_length=3, is_fixed=True, note="CurrencyRef: set at creation, never changed later"),
        "status": FieldSpec(note="Active"),
        "parent": FieldSpec(since=2, note="ParentRef and Job: at most four levels below the top"),
    },
    hierarchy=Hierarchy(levels=4),
    kinds=tuple(ENTITIES),
    unread=("sales receipts", "journal entries"),
    documents={
        "invoice": DocumentSpec(
            originates=True,
            mirrors=True,
            tells_settled=False,
            tells_credited=False,
            number_length=DOC_NUMBER_MOST,
            numbered_with=NUMBERED,
            asks=("default_item",),
        ),
        "payment": DocumentSpec(originates=True, mirrors=True, needs=("deposit_account",)),
        "credit_note": DocumentSpec(
            originates=True, mirrors=True, number_length=DOC_NUMBER_MOST, numbered_with=NUMBERED
        ),
    },
    metadata=None,
    archives="restorable",
    page_size=QUERY_PAGE,
    read_batch=READ_BATCH,
    write_batch=WRITE_BATCH,
    writes_per_call=WRITE_BATCH,
    # 500 calls a minute, of which 40 may be batches: each leaves room for so many others
    singles_per_batch=(MINUTE_CALLS - MINUTE_BATCHES) // MINUTE_BATCHES,
    in_flight=8,
    batches_at_once=4,
    create_key_seconds=86_400.0,
    create_key_sure_seconds=3600.0,
    lookup_lag_seconds=0.0,
    settle_seconds=WRITE_TIMEOUT_SECONDS + PROVIDER_TIMEOUT_SECONDS,
    is_conditional=True,
    has_marker=False,
    changes_window_seconds=CDC_WINDOW_SECONDS,
    sweep_overlap_seconds=300.0,
    limits=(
        Limit(name="realm per minute", calls=MINUTE_CALLS, seconds=60.0, endpoints=EVERY_CALL),
        Limit(name="realm per second", calls=10, seconds=1.0, endpoints=EVERY_CALL),
        Limit(name="batches per minute", calls=MINUTE_BATCHES, seconds=60.0, endpoints=("batch",)),
    ),
    # "CorePlus" calls of the Builder tier, per workspace and calendar month; writes are not metered
    allowances=(
        Allowance(
            name="reads per month",
            calls=500_000,
            seconds=30 * 86_400.0,
            endpoints=("query", "read", "cdc"),
            setting="monthly_reads",
        ),
    ),
    unique_fields=("name",),
    settings={
        "monthly_reads": Setting(
            "metered reads of this connection per month; sweeps slow down to stay within (default 500000)",
            Whole(most=1_000_000_000, example="500000"),
        ),
        "realm_id": Setting(
            "the company (realm) id that the consent page returned",
            Word(pattern="[0-9]{1,20}", words="a company's id, which is digits", example="9130000000000000"),
        ),
        "region": Setting(
            "us | other: US companies store ISO-8859-1 only (default us)", Choice(choices=("us", "other"), example="us")
        ),
        "batch_size": Setting(
            "payloads in one batch request, 1 to 30 (default 30; Intuit's own pages say 30 and 10)",
            Whole(most=WRITE_BATCH, example=str(WRITE_BATCH)),
        ),
        "minor_version": Setting(
            "API minor version (default 75, the lowest that Intuit still honours)", Whole(most=9999, example="75")
        ),
        "base_url": Setting(
            f"API address (default {LIVE_URL}; development companies: https://sandbox-quickbooks.api.intuit.com)",
            Address(example=LIVE_URL),
        ),
        "token_url": Setting("address of the OAuth token endpoint", Address(example=TOKEN_URL)),
        "deposit_account": Setting(
            "id of the account for mirrored payments, where `deposits` names none for their route", ACCOUNT
        ),
        "default_item": Setting(
            "id of the item for lines whose product policy maps to none (default: such a line is refused)", ITEM
        ),
        "create_items": Setting(
            "yes | no: make a service item named like the product where none is mapped (default no)", SWITCH
        ),
        "income_account": Setting("id of the account that items made by create_items earn for", ACCOUNT),
        "tax_override": Setting(
            "yes | no: the company takes the tax it is told (default yes where region is us, else no)", SWITCH
        ),
        "tax_codes": Setting(
            "PERCENT:CODE, ... as in 19:5, 0:2: tax codes of the company (not needed where region is us)",
            Word(pattern=f"{_TAX_CODE}(,{_TAX_CODE})*", words="PERCENT:CODE, ...", example="19:5, 0:2"),
        ),
        "rounding_item": Setting(
            "id of the item for the line that makes up for the cents QuickBooks rounds in its own way", ITEM
        ),
    },
    secrets={
        "client_id": "Intuit developer portal, your app, Keys & credentials",
        "client_secret": "beside the client id",
        "refresh_token": "written by `accord connect`; rotates, so it is stored again after every refresh",
        "access_token": "written by the refresh; lives one hour",
        "access_expires_at": "written by the refresh",
        "verifier_token": "app, Webhooks, Show verifier token; several separated by spaces or commas",
    },
    webhook_secret="verifier_token",  # noqa: S106 - the name of one
    is_app_wide=True,
    webhook_events=(
        "qbo.customer.created.v1",
        "qbo.customer.updated.v1",
        "qbo.customer.deleted.v1",
        "qbo.customer.merged.v1",
        *(
            f"qbo.{entity}.{change}.v1"
            for entity in ("invoice", "payment", "creditmemo", "refundreceipt")
            for change in ("created", "updated", "deleted", "voided")
        ),
    ),
    not_synced={
        "metadata": "a QuickBooks customer has no place for it: custom fields need the Custom Fields API (Silver tier)",
        "external_customer_id": "no place for a marker or an external id: mappings live in the registry only",
        "tax_identification_number": "PrimaryTaxIdentifier is masked in every answer, so it can never be compared",
        "legal_number": "no such attribute",
        "customer_type": "no such attribute: CompanyName is the legal name, not a type",
        "timezone": "no such attribute",
        "locale": "no such attribute",
        "logo_url": "no such attribute",
        "other_emails": "one address only",
    },
)
