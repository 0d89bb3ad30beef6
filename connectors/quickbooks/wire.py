"""The shapes of QuickBooks' JSON that we read; an object itself stays raw bytes until someone translates it."""

from __future__ import annotations

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
EXTRA_LINES: Final = ("Line3", "Line4", "Line5")


class Row(Struct):
    """What a listing needs of one object; `status` is "Deleted" where a change feed says so."""

    id: str = field(name="Id")
    status: str | None = None


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
    """One QueryResponse."""

    customers: list[Raw] = field(name="Customer", default_factory=list)


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


class CustomerReply(Struct):
    """Answer of /customer, read and write."""

    customer: Raw = field(name="Customer")


class BatchItem(Struct):
    """One answer within a batch: a customer or a fault."""

    id: str = field(name="bId")
    customer: Raw | UnsetType = field(name="Customer", default=msgspec.UNSET)
    fault: Raw | UnsetType = field(name="Fault", default=msgspec.UNSET)


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


class MaybeFault(Struct):
    """Any answer: HTTP 200 may carry a fault instead of what was asked for."""

    fault: Raw | UnsetType = field(name="Fault", default=msgspec.UNSET)


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


class CloudEvent(Struct):
    """One element of a webhook's array."""

    type: str
    id: str | None = None
    entity_id: str | None = field(name="intuitentityid", default=None)
    data: Change | None = None


class OldEntity(Struct):
    """One change in the older webhook format."""

    name: str
    id: str
    merged_id: str | None = field(name="deletedId", default=None)


class OldChange(Struct):
    """The changes of one realm in the older webhook format."""

    entities: list[OldEntity] = field(default_factory=list)


class OldNotification(Struct):
    """One realm in the older webhook format."""

    change: OldChange = field(name="dataChangeEvent", default_factory=OldChange)


class OldWebhook(Struct):
    """The older webhook format."""

    notifications: list[OldNotification] = field(name="eventNotifications")
