"""The shapes of QuickBooks' JSON that we read; an object itself stays raw bytes until someone translates it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct, UnsetType, field

ADDRESS_PARTS: Final = {
    "line1": "Line1",
    "line2": "Line2",
    "city": "City",
    "state": "CountrySubDivisionCode",
    "postal_code": "PostalCode",
    "country": "Country",
}
"""Neutral address part -> attribute of BillAddr and ShipAddr."""
APPLIED: Final = "AccordAppliedTo"
"""The attribute of a credit memo's bytes that the reading adds."""
GIVEN_BACK: Final = "AccordRefundReceipt"
"""The attribute that the reading adds to a refund receipt's bytes: nothing else in them says what it is."""
EXTRA_LINES: Final = ("Line3", "Line4", "Line5")


_PLURALS: Final = {
    "Customer": "customers",
    "Invoice": "invoices",
    "Payment": "payments",
    "CreditMemo": "credit_memos",
    "RefundReceipt": "refund_receipts",
    "Item": "items",
    "Account": "accounts",
}


class Row(Struct):
    """What a listing needs of one object; `status` is "Deleted" where a change feed says so."""

    id: str = field(name="Id")
    status: str | None = None
    gives_back: bool = field(name=GIVEN_BACK, default=False)


class Stamp(Struct):
    """When an object last changed, in QuickBooks' own spelling."""

    updated_at: str = field(name="LastUpdatedTime")


class Stamped(Struct):
    """What the keyset of a sweep needs of one object."""

    meta: Stamp = field(name="MetaData")


class Times(Struct):
    """When an object was made and when it last changed."""

    created_at: str = field(name="CreateTime")
    updated_at: str = field(name="LastUpdatedTime")


class Made(Struct):
    """What tells whether an object was ever changed since it was made."""

    version: str = field(name="SyncToken")
    meta: Times = field(name="MetaData")


class Entities(Struct):
    """One QueryResponse: objects of the entity that was asked for."""

    customers: list[Raw] = field(name="Customer", default_factory=list)
    invoices: list[Raw] = field(name="Invoice", default_factory=list)
    payments: list[Raw] = field(name="Payment", default_factory=list)
    credit_memos: list[Raw] = field(name="CreditMemo", default_factory=list)
    refund_receipts: list[Raw] = field(name="RefundReceipt", default_factory=list)
    items: list[Raw] = field(name="Item", default_factory=list)
    accounts: list[Raw] = field(name="Account", default_factory=list)

    def of(self, entity: str) -> list[Raw]:
        """The objects of one entity."""
        found: list[Raw] = getattr(self, _PLURALS[entity])
        return found


class QueryReply(Struct):
    """Answer of /query."""

    result: Entities = field(name="QueryResponse")


class ChangeSet(Struct):
    """One CDCResponse: a QueryResponse per entity asked for."""

    results: list[Entities] = field(name="QueryResponse")


class CdcReply(Struct):
    """Answer of /cdc."""

    sets: list[ChangeSet] = field(name="CDCResponse")


class Timed(Struct):
    """When Intuit gave an answer, by its own clock."""

    time: str


class ObjectReply(Struct):
    """Answer about one object, read and write, under its entity's name."""

    customer: Raw | UnsetType = field(name="Customer", default=msgspec.UNSET)
    invoice: Raw | UnsetType = field(name="Invoice", default=msgspec.UNSET)
    payment: Raw | UnsetType = field(name="Payment", default=msgspec.UNSET)
    credit_memo: Raw | UnsetType = field(name="CreditMemo", default=msgspec.UNSET)
    refund_receipt: Raw | UnsetType = field(name="RefundReceipt", default=msgspec.UNSET)
    item: Raw | UnsetType = field(name="Item", default=msgspec.UNSET)

    def of(self, entity: str) -> Raw:
        """The object of an entity; ValueError where the answer has none."""
        told = {
            "Customer": self.customer,
            "Invoice": self.invoice,
            "Payment": self.payment,
            "CreditMemo": self.credit_memo,
            "RefundReceipt": self.refund_receipt,
            "Item": self.item,
        }[entity]
        if told is msgspec.UNSET:
            raise ValueError(entity)
        return told


class BatchItem(Struct):
    """One answer within a batch: an object under its entity's name, or a fault."""

    id: str = field(name="bId")
    customer: Raw | UnsetType = field(name="Customer", default=msgspec.UNSET)
    invoice: Raw | UnsetType = field(name="Invoice", default=msgspec.UNSET)
    payment: Raw | UnsetType = field(name="Payment", default=msgspec.UNSET)
    credit_note: Raw | UnsetType = field(name="CreditMemo", default=msgspec.UNSET)
    fault: Raw | UnsetType = field(name="Fault", default=msgspec.UNSET)

    def shown(self, kind: str) -> bytes | None:
        """The object, where it is one of this kind."""
        raw: Raw | UnsetType = getattr(self, kind)
        return None if raw is msgspec.UNSET else bytes(raw)


class BatchReply(Struct):
    """Answer of /batch."""

    items: list[BatchItem] = field(name="BatchItemResponse")


class Company(Struct):
    """What identifies the account behind the credentials."""

    name: str = field(name="CompanyName", default="")
    country: str = field(name="Country", default="")


class CompanyReply(Struct):
    """Answer of /companyinfo."""

    company: Company = field(name="CompanyInfo")


class BooksClosed(Struct):
    """Until when the books are closed."""

    through: str | None = field(name="BookCloseDate", default=None)


class SalesForms(Struct):
    """How the company makes invoices and credit memos."""

    has_custom_numbers: bool = field(name="CustomTxnNumbers", default=True)
    applies_credits: bool = field(name="AutoApplyCredit", default=False)


class Ref(Struct):
    """A reference to another object; a memo has the same shape."""

    value: str = ""
    name: str = ""


class Currencies(Struct):
    """Whether the company has more than one, and its own: as a reference, or plain."""

    are_many: bool = field(name="MultiCurrencyEnabled", default=True)
    home: Ref | str = field(name="HomeCurrency", default="")


class Below(Struct):
    """Who is right above a customer."""

    parent: Ref = field(name="ParentRef", default_factory=Ref)


class Preferences(Struct):
    """The company's settings that matter to documents."""

    sales: SalesForms = field(name="SalesFormsPrefs", default_factory=SalesForms)
    accounting: BooksClosed = field(name="AccountingInfoPrefs", default_factory=BooksClosed)
    currency: Currencies = field(name="CurrencyPrefs", default_factory=Currencies)


class PreferencesReply(Struct):
    """Answer of /preferences."""

    preferences: Preferences = field(name="Preferences")


class Birth(Struct):
    """When an object was made, in QuickBooks' own spelling."""

    created_at: str = field(name="CreateTime", default="")


class LinkedTxn(Struct):
    """Another transaction that a line settles."""

    id: str = field(name="TxnId")
    type: str = field(name="TxnType")


class ItemDetail(Struct):
    """What was sold on a line."""

    item: Ref = field(name="ItemRef", default_factory=Ref)
    quantity: Decimal | None = field(name="Qty", default=None)
    unit_price: Decimal | None = field(name="UnitPrice", default=None)
    tax_code: Ref = field(name="TaxCodeRef", default_factory=Ref)
    served_on: str | None = field(name="ServiceDate", default=None)


class GroupDetail(Struct):
    """Lines that are sold together; the group's own amount is their sum."""

    lines: list[FormLine] = field(name="Line", default_factory=list)


class FormLine(Struct):
    """One line of a transaction, of any `DetailType`."""

    id: str = field(name="Id", default="")
    type: str = field(name="DetailType", default="")
    description: str = field(name="Description", default="")
    amount: Decimal = field(name="Amount", default=Decimal(0))
    item: ItemDetail = field(name="SalesItemLineDetail", default_factory=ItemDetail)
    group: GroupDetail = field(name="GroupLineDetail", default_factory=GroupDetail)
    linked: list[LinkedTxn] = field(name="LinkedTxn", default_factory=list)


class TaxDetail(Struct):
    """The tax of a whole transaction."""

    total: Decimal = field(name="TotalTax", default=Decimal(0))


class Applied(Struct):
    """How much of a credit memo settles which invoice. QuickBooks tells it of payments only; the reading adds it."""

    invoice: str
    amount: Decimal


class Form(Struct):
    """What an invoice, a credit memo and a payment have in common, and what each has of its own."""

    id: str = field(name="Id")
    total: Decimal = field(name="TotalAmt")
    version: str | None = field(name="SyncToken", default=None)
    number: str = field(name="DocNumber", default="")
    dated: str | None = field(name="TxnDate", default=None)
    due_on: str | None = field(name="DueDate", default=None)
    customer: Ref = field(name="CustomerRef", default_factory=Ref)
    currency: Ref = field(name="CurrencyRef", default_factory=Ref)
    lines: list[FormLine] = field(name="Line", default_factory=list)
    tax: TaxDetail = field(name="TxnTaxDetail", default_factory=TaxDetail)
    balance: Decimal | None = field(name="Balance", default=None)
    deposit: Decimal | None = field(name="Deposit", default=None)
    remaining: Decimal | None = field(name="RemainingCredit", default=None)
    linked: list[LinkedTxn] = field(name="LinkedTxn", default_factory=list)
    applied: list[Applied] = field(name=APPLIED, default_factory=list)
    gives_back: bool = field(name=GIVEN_BACK, default=False)
    meta: Birth = field(name="MetaData", default_factory=Birth)
    unapplied: Decimal | None = field(name="UnappliedAmt", default=None)
    note: str = field(name="PrivateNote", default="")
    memo: Ref = field(name="CustomerMemo", default_factory=Ref)
    reference: str = field(name="PaymentRefNum", default="")
    method: Ref = field(name="PaymentMethodRef", default_factory=Ref)
    deposited_to: Ref = field(name="DepositToAccountRef", default_factory=Ref)
    takes_cards: bool = field(name="AllowOnlineCreditCardPayment", default=False)
    takes_transfers: bool = field(name="AllowOnlineACHPayment", default=False)
    email: str = field(name="EmailStatus", default="")


class TokenReply(Struct):
    """Answer of the OAuth token endpoint."""

    access_token: str
    refresh_token: str
    expires_in: float


class TokenRefusal(Struct):
    """A token endpoint's refusal (RFC 6749, 5.2)."""

    error: str


class Change(Struct):
    """What a CloudEvent says besides whom it concerns."""

    merged_id: str | None = field(name="deletedid", default=None)


class Typed(Struct):
    """What every element of a webhook's array has."""

    type: str


class CloudEvent(Struct):
    """One element of a webhook's array."""

    type: str
    id: str | None = None
    entity_id: str | None = field(name="intuitentityid", default=None)
    realm: str | int | None = field(name="intuitaccountid", default=None)
    data: Change | None = None


class OldEntity(Struct):
    """One change in the older webhook format."""

    name: str
    id: str
    merged_id: str | None = field(name="deletedId", default=None)


class OldChange(Struct):
    """The changes of one realm in the older webhook format."""

    entities: list[Raw] = field(default_factory=list)


class OldNotification(Struct):
    """One realm in the older webhook format."""

    change: OldChange = field(name="dataChangeEvent", default_factory=OldChange)
    realm: str | int | None = field(name="realmId", default=None)


class OldWebhook(Struct):
    """The older webhook format."""

    notifications: list[OldNotification] = field(name="eventNotifications")
