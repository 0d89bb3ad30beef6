"""Reasons for a hold, in words an operator can act on, and the choices each one offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

CONFLICT: Final = "conflict"
UNREPRESENTABLE: Final = "unrepresentable"
UNREADABLE: Final = "unreadable_value"
PROVIDER_CHANGED: Final = "provider_changed_value"
CLEARED: Final = "cleared"
OSCILLATION: Final = "oscillation"
AMBIGUOUS_MATCH: Final = "ambiguous_match"
NAME_TAKEN: Final = "name_taken"
REJECTED: Final = "rejected"
REMOTE_GONE: Final = "remote_gone"
EXTERNAL_ID_CHANGED: Final = "external_id_changed"
MERGED: Final = "merged"
MASS_CHANGE: Final = "mass_change"
LISTING_SHRANK: Final = "listing_shrank"
LOST_CREATE: Final = "lost_create"
CIRCLE: Final = "circular_parent"
DOCUMENT_CHANGED: Final = "document_changed"
DOCUMENT_GONE: Final = "document_gone"
BY_HAND: Final = "by_hand"
UNTOLD: Final = "untold"
UNACCOUNTED: Final = "unaccounted"
BALANCE_DIFFERS: Final = "balance_differs"
NOT_ARCHIVED: Final = "not_archived"
ENTITY_CHANGED: Final = "entity_changed"

TEXTS: Final[Mapping[str, str]] = {
    CONFLICT: "both sides changed to different values and policy names no winner",
    UNREPRESENTABLE: "the registry's value cannot be stored at this connection",
    UNREADABLE: "the connection's value cannot be taken into the registry",
    PROVIDER_CHANGED: "the provider stored something other than what was sent",
    CLEARED: "the value was cleared on one side and policy asks before clearing the other",
    OSCILLATION: "the value keeps flipping between the same two: two automations are fighting",
    AMBIGUOUS_MATCH: "several records could be the same customer, or policy does not allow linking the likely one",
    NAME_TAKEN: "a value that must be unique at the connection is already used by another object there",
    REJECTED: "the provider refused the write for good",
    REMOTE_GONE: "the object was deleted, archived or merged away at the connection",
    NOT_ARCHIVED: "a customer was archived, but its object at the connection was not: the detail says why",
    EXTERNAL_ID_CHANGED: "the external id on the object is not the one of the customer it is mapped to",
    MERGED: "two objects mapped to different customers were merged at the provider",
    MASS_CHANGE: "more records would change at once than the guard allows",
    LISTING_SHRANK: "the listing is implausibly smaller than the last one",
    LOST_CREATE: "a create was never answered, and Accord cannot tell whether an object there is the one it made",
    CIRCLE: "the connection's parent would make the customer its own ancestor",
    DOCUMENT_CHANGED: "a final document was changed at its origin in a way that is not allowed",
    DOCUMENT_GONE: "a final document no longer exists at its origin",
    BY_HAND: "money moved in a way that Accord does not write here: book it there by hand, then say so",
    UNTOLD: "money went back, and its origin does not say for which document: book it by hand, then say so",
    UNACCOUNTED: "more or less of an invoice is settled at its origin than its payments and credit notes add up to",
    BALANCE_DIFFERS: "the amount due on a copy is not that of its invoice, although all that settles it was copied",
    ENTITY_CHANGED: "a document is booked here, but belongs to another entity by now",
}

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    CONFLICT: ("registry", "remote", "accept"),
    UNREPRESENTABLE: ("remote", "accept"),
    UNREADABLE: ("registry", "accept"),
    PROVIDER_CHANGED: ("accept", "remote", "registry"),
    CLEARED: ("registry", "remote", "accept"),
    OSCILLATION: ("registry", "remote", "accept"),
    AMBIGUOUS_MATCH: ("link:<id>", "create", "leave"),
    NAME_TAKEN: ("link:<id>", "retry", "leave"),
    REJECTED: ("retry", "leave"),
    REMOTE_GONE: ("recreate", "unlink", "archive"),
    NOT_ARCHIVED: ("retry", "leave"),
    EXTERNAL_ID_CHANGED: ("accept", "registry"),
    MERGED: ("link:<id>", "unlink"),
    MASS_CHANGE: ("approve", "reject"),
    LISTING_SHRANK: ("approve", "reject"),
    LOST_CREATE: ("link:<id>", "create"),
    CIRCLE: ("registry", "accept"),
    DOCUMENT_CHANGED: ("accept", "retry"),
    DOCUMENT_GONE: ("accept", "retry", "leave"),
    BY_HAND: ("booked", "retry", "leave"),
    UNTOLD: ("booked", "retry"),
    UNACCOUNTED: ("booked", "retry"),
    BALANCE_DIFFERS: ("retry", "leave"),
    ENTITY_CHANGED: ("accept", "rebook"),
}


def offered(reason: str, *, is_customer: bool) -> tuple[str, ...]:
    """The choices of a hold: of a document or a part there is no customer who could end."""
    return tuple(one for one in CHOICES.get(reason, ()) if is_customer or one != "archive")


APPROVER_REASONS: Final = frozenset({MASS_CHANGE, LISTING_SHRANK})
"""Many records hang on one answer to these."""

FIELD_REASONS: Final = frozenset(
    {CONFLICT, UNREPRESENTABLE, UNREADABLE, PROVIDER_CHANGED, CLEARED, OSCILLATION, CIRCLE}
)
"""Holds on one field; their answers are fed back into `decide`."""


def candidates_of(detail: Mapping[str, object]) -> list[str]:
    """The records a hold asks to choose from, those too many to be offered included."""
    listed = [detail.get(name) for name in ("candidates", "not_offered")]
    return [str(one) for found in listed if isinstance(found, list) for one in found]


class HoldDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as `decide` asks for it. `field` is "" for a hold on the whole mapping or connection.

    `digest` names the values seen, so that an answer given on other values does not count.
    """

    reason: str
    field: str = ""
    detail: dict[str, object]
    digest: str


class Answer(msgspec.Struct, frozen=True):
    """A person's choice, good for exactly the values whose digest it names."""

    choice: str
    digest: str
