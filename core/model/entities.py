"""Which legal entity of the company a document is of, and so in whose books it belongs (pure).

Books are connections that get copies and whose policy names entities. A document is booked once: where it is booked
already counts for more than whose it is by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.model.policy import ConnectionPolicy, Policy
from core.model.values import Fields

Route = Literal["here", "elsewhere", "unknown", "misplaced", "split"]
"""Of a document at a connection. unknown: nobody knows whose it is. misplaced: booked here, and another's by now.

split: it settles invoices in these books and in others.
"""


class Owner(msgspec.Struct, frozen=True):
    """The entity that a document is of; "" where it is not known, and `missing` says what to do then."""

    entity: str
    missing: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How a document stands in one entity's books.

    `is_booked`: it is there, or a write that may have put it there is not cleared up, or a person left it out there.
    `accepted`: the entity that it is of by now, where a person said that it stays here all the same.
    """

    entities: tuple[str, ...]
    is_booked: bool = False
    accepted: str = ""


def listed(policy: Policy) -> tuple[str, ...]:
    """Every entity that has books."""
    return tuple(sorted({name for one in policy.connections.values() for name in one.documents.entities}))


def routing(policy: Policy, books: str) -> list[tuple[str, list[str], str, str]]:
    """All that policy says of which documents belong in `books`, in one order; nothing where these are of no entity.

    Per connection: the entities whose books it is; the entity of what originates there, and the field that tells it.
    """
    told = {name: one.documents for name, one in policy.connections.items()}
    if books not in told or not told[books].entities:
        return []
    return [
        (name, sorted(set(one.entities)), one.entity, one.entity_field)
        for name, one in sorted(told.items())
        if one.entities or one.originates
    ]


def owner_of(policy: Policy, origin: str, customer: str, fields: Fields) -> Owner:
    """The entity of a document that was made at `origin` for a customer (external id, and its fields)."""
    told = policy.connections.get(origin, ConnectionPolicy(name=origin, provider="")).documents
    where = f"entity of {origin}" if told.entity else f"{told.entity_field} of customer {customer}"
    value = told.entity or fields.get(told.entity_field)
    known = listed(policy)
    if value in known:
        return Owner(str(value))
    choices = f"set it to one of: {', '.join(known)}"
    if not value:
        return Owner("", f"its entity is not known: {where} is not set; {choices}")
    return Owner("", f"its entity is not known: {where} is {value!r}, which no connection lists; {choices}")


def route(entity: str, here: Place, others: Sequence[Place]) -> Route:
    """Whether a document of `entity` ("" when not known) belongs in the books `here`, given how it stands in all.

    A document that is booked stays known to be so: with no entity, or one that nobody lists, nothing says otherwise.
    """
    if here.is_booked:
        return "here" if entity in ("", here.accepted, *here.entities) else "misplaced"
    booked = [one for one in others if one.is_booked]
    if not entity and not booked:
        return "unknown"
    is_of_all = all(entity in one.entities for one in booked)
    return "here" if entity in here.entities and is_of_all else "elsewhere"


def route_of_settler(invoices: Sequence[Route], *, is_booked: bool, is_booked_wrongly: bool) -> Route:
    """Where a payment or credit note belongs: with its invoices, of which `invoices` are the routes to the same books.

    `is_booked_wrongly`: in other books, which its invoices have left; a person takes it out of them first.
    """
    found = {"here" if one == "misplaced" else one for one in invoices}
    if {"here", "elsewhere"} <= found:
        return "split"
    if is_booked:
        return "misplaced" if found == {"elsewhere"} else "here"
    if found == {"elsewhere"} or is_booked_wrongly:
        return "elsewhere"
    return "unknown" if "unknown" in found else "here"
