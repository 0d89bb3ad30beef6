"""What the API says of plans, and takes of the one that was seen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from core.api.shapes import Shown, Strict
from core.model.documents import Kind


class PlannedChange(BaseModel):
    """One field's change; `where` is `registry` or the connection."""

    field: str
    where: str
    old: Shown
    new: Shown
    rule: str


class PlannedItem(BaseModel):
    """What would happen to one record or object."""

    kind: Literal["enter", "link", "create", "update", "take", "archive", "hold", "wait"]
    subject: str
    external_id: str
    remote_id: str
    reason: str
    changes: list[PlannedChange]


class PlannedOutcome(BaseModel):
    """What documents of one kind and currency come to, and for which reason; `amount` is a decimal."""

    kind: Kind
    outcome: Literal["create", "change", "look", "wait", "hold", "fail"]
    reason: str
    currency: str
    amount: str


class PlannedDocuments(PlannedOutcome):
    """How many documents of one kind and currency come to one outcome for one reason; `amount` is a decimal."""

    number: int


class PlannedDocument(PlannedOutcome):
    """One document of such a sum. `number` is its own, or its id at its origin; `says`: what exactly is the matter."""

    number: str
    origin: str
    says: str


class DocumentPlanShown(BaseModel):
    """Documents that are copied there and are not known to agree. `examples`: at most three of each outcome and reason.

    `since`: copies of documents from that day on. `asks_first`: why the mass-change stop would ask before the first of
    them. `not_read`: why copies could not be read; they are counted under `look`.
    """

    since: str
    sums: list[PlannedDocuments]
    examples: list[PlannedDocument]
    asks_first: str
    not_read: str


class PlanShown(BaseModel):
    """Everything that would change at one connection. The digest covers all items, shown or not.

    `counts` and `calls` are of customers; `documents` is null where none are copied.
    """

    connection: str
    account: str
    digest: str
    counts: dict[str, int]
    calls: int
    seconds: float
    foreign_marks: dict[str, int]
    total_items: int
    items: list[PlannedItem]
    documents: DocumentPlanShown | None


class Activation(Strict):
    """The plan that was seen."""

    digest: str
