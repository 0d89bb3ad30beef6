"""What the API takes and gives, as OpenAPI tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Shown = str | list[str] | dict[str, str] | None


class Strict(BaseModel):
    """A request: what it does not know is an error, and not silently dropped."""

    model_config = ConfigDict(extra="forbid")


# ---- customers -------------------------------------------------------------------------------------


class Open(BaseModel):
    """A request whose unknown members reach core.model.validate, which knows what they were meant to be."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})


class Address(Open):
    """An address; parts that are absent are blank."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = Field(None, description="ISO 3166 alpha-2")


class CustomerFields(BaseModel):
    """The fields of a customer. null clears one."""

    name: str | None = None
    legal_name: str | None = None
    legal_number: str | None = None
    tax_identification_number: str | None = None
    email: str | None = None
    other_emails: list[str] | None = None
    phone: str | None = None
    customer_type: str | None = Field(None, description="company | individual")
    billing_address: Address | None = None
    shipping_address: Address | None = None
    currency: str | None = Field(None, description="ISO 4217")
    timezone: str | None = Field(None, description="IANA name")
    locale: str | None = None
    url: str | None = None
    logo_url: str | None = None
    parent: str | None = Field(None, description="external_customer_id of the parent")
    status: str | None = Field(None, description="active | inactive")
    invoice_metadata_keys: list[str] | None = None


class CustomerChanges(CustomerFields, Open):
    """Fields to set. Absent: left as it is; null: cleared. Metadata merges per key."""

    metadata: dict[str, str | None] = {}


class NewCustomer(CustomerChanges):
    """A customer to enter."""

    external_customer_id: str


class CustomerShown(CustomerFields):
    """A customer of the registry. Only fields that have a value are there."""

    external_customer_id: str
    version: int = Field(description="For If-Match.")
    metadata: dict[str, str]
    sources: dict[str, str] = Field(description="Field -> the connection its value is from, or `registry`.")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class Meta(BaseModel):
    """Where a page is. A page that a cursor asked for is not counted."""

    page: int | None
    page_size: int
    total: int | None
    total_pages: int | None
    next_cursor: str | None


class CustomerPage(BaseModel):
    """Customers by external_customer_id."""

    data: list[CustomerShown]
    meta: Meta


class FailureShown(BaseModel):
    """A record that failed."""

    connection: str
    subject: str
    external_customer_id: str | None
    field: str | None
    code: str
    message: str
    raw: str
    state: Literal["retrying", "dead"]
    attempts: int
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    trace: str


class WaitShown(BaseModel):
    """A document that its origin has, and that cannot be taken yet; what is not known of it is ""."""

    connection: str
    kind: str
    subject: str
    remote_id: str
    number: str
    issued_on: str
    amount: str
    currency: str
    since: datetime
    attempts: int
    message: str
    cure: str


class MappingShown(BaseModel):
    """One customer at one connection. `base` are (registry, remote) as last agreed, by field."""

    id: str
    connection: str
    part: str = Field(description='"": its own object there; else the part of it that hangs on that one')
    remote_id: str | None
    state: str = Field(description="pending | live | gone | excluded")
    generation: int
    base: dict[str, tuple[Shown, Shown]]
    note: str
    failure: FailureShown | None
    created_at: datetime
    updated_at: datetime


class Mappings(BaseModel):
    """A customer's mappings that have not ended."""

    data: list[MappingShown]


class FieldChange(BaseModel):
    """What a field was and became, and the rule that said so."""

    old: Shown
    new: Shown
    rule: str


class LostValue(BaseModel):
    """A value that lost a conflict; an undo puts it back."""

    model_config = ConfigDict(extra="allow")

    field: str
    value: Shown


class EntryShown(BaseModel):
    """One entry of the journal. `change` is what an undo takes."""

    change: int
    at: datetime
    action: str
    connection: str | None
    remote_id: str | None
    actor: str
    trace: str
    changes: dict[str, FieldChange]
    lost: list[LostValue]


class Timeline(BaseModel):
    """A customer's journal, newest first."""

    data: list[EntryShown]


class Sourced(BaseModel):
    """A registry value and where it is from."""

    value: Shown
    source: str


class Answered(BaseModel):
    """The hold whose answer archived a customer."""

    hold: str
    connection: str
    reason: str
    choice: str | None


class Archived(BaseModel):
    """When a customer was archived, by whom, and by which answer to a hold, if it was one."""

    at: datetime
    by: str
    answer: Answered | None


class Explained(BaseModel):
    """Every system's value of every field, who owns it, what happened last, what is pending and why."""

    external_customer_id: str
    id: str
    version: int
    archived: Archived | None = Field(description="None while the customer lives.")
    fields: dict[str, Sourced]
    mappings: list[dict[str, Any]]
    holds: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    journal: list[EntryShown]


# ---- operations ------------------------------------------------------------------------------------


class SyncRequest(Strict):
    """A one-off: all of a connection, its changes, some customers, or documents."""

    connection: str
    what: Literal["full", "changes", "customers", "documents"]
    external_ids: list[str] = Field([], max_length=1000, description="For `customers`; of `documents` only theirs.")
    kinds: list[Literal["invoice", "payment", "credit_note"]] = Field(
        [], max_length=3, description="For `documents`; none: all that the connection has."
    )


class SyncShown(BaseModel):
    """A one-off and what became of it."""

    id: str
    connection: str
    what: str
    external_ids: list[str]
    kinds: list[str]
    state: Literal["new", "running", "done", "failed"]
    result: dict[str, int]
    error: str
    trace: str


class HoldShown(BaseModel):
    """Something that waits for a person, with the choices."""

    id: str
    connection: str
    subject: str
    field: str
    reason: str
    text: str
    choices: list[str]
    external_customer_id: str | None
    detail: dict[str, Any]
    digest: str
    state: str
    answer: str | None
    actor: str | None
    opened_at: datetime


class Holds(BaseModel):
    """Open holds, oldest first."""

    data: list[HoldShown]
    total: int = Field(description="All open holds that the filters let through, beyond `limit`, too.")


class AnswerGiven(Strict):
    """A choice; with the hold's digest it is refused when the values have changed since."""

    choice: str
    digest: str | None = None


class Failures(BaseModel):
    """Failures that stand, oldest first."""

    data: list[FailureShown]
    total: int = Field(description="All failures that the filters let through, beyond `limit`, too.")
    waiting: list[WaitShown] = Field(description="Documents that wait to be taken; none where a `state` is asked for.")


class RetryRequest(Strict):
    """Look again, now. No subjects: all that failed at the connection."""

    connection: str
    subjects: list[str] = Field([], max_length=1000)


class Retried(BaseModel):
    """How many are looked at again."""

    retried: int


class UndoRequest(Strict):
    """Which field to put back; all of the change's without one. `anyway`: also what has changed since."""

    field: str | None = None
    anyway: bool = False


class Undone(BaseModel):
    """What was put back."""

    external_customer_id: str
    fields: dict[str, Shown]


class InboxCount(BaseModel):
    """Deliveries of one connection in one state."""

    connection: str
    state: Literal["new", "done", "poison"]
    deliveries: int


class PoisonShown(BaseModel):
    """An authentic delivery of no known shape."""

    id: int
    connection: str
    received_at: datetime
    problem: str


class LastDelivery(BaseModel):
    """When a connection's last delivery came, of those that are kept; null when none came."""

    connection: str
    received_at: datetime | None


class InboxShown(BaseModel):
    """The inbox in numbers, when each connection was last heard of, and the newest riddles."""

    counts: list[InboxCount]
    last: list[LastDelivery]
    poison: list[PoisonShown]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The daemon holds its lock and the database takes writes."""

    status: Literal["ready"]
