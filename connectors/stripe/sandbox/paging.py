"""Stripe's lists: newest first, by cursors, at most 100 (PROVIDERS §1), and a filter by time of creation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from connectors.stripe.sandbox.events import Shelf
from connectors.stripe.sandbox.forms import Form, integer_in, known
from connectors.stripe.sandbox.settings import RefusedError

CURSORS: Final = frozenset({"limit", "starting_after", "ending_before", "created", "expand"})
_MAX_LIMIT: Final = 100  # PROVIDERS §1


def page_of(
    form: Form, shelf: Shelf, things: Mapping[str, object], kind: str, first: int, wanted: Callable[[str], bool]
) -> tuple[list[str], bool]:
    """Ids of one page, and whether there are more in the direction of travel."""
    limit = limit_in(form)
    low, high = _span(form, shelf, first)
    after, before = form.get("starting_after"), form.get("ending_before")
    if after is not None and before is not None:
        message = "Received both starting_after and ending_before parameters. Please pass in only one."
        raise RefusedError(message, param="starting_after")  # PROVIDERS §1: one cursor
    for param, cursor in (("starting_after", after), ("ending_before", before)):
        place = shelf.place(cursor) if cursor is not None else None
        if cursor is not None and (place is None or place < first or cursor not in things):
            raise no_such(kind, cursor, param, 400)  # PROVIDERS §1: a cursor is an object
        if place is not None and param == "starting_after":
            high = min(high, place)
        elif place is not None:
            low = max(low, place + 1)
    return shelf.newest_first(range(low, high), limit, wanted, forwards=before is not None)


def limit_in(form: Form) -> int:
    """How many objects a page shall have."""
    limit = integer_in(form.get("limit", "10"), "limit")
    if not 1 <= limit <= _MAX_LIMIT:  # PROVIDERS §1: 100
        raise RefusedError(f"This value must be between 1 and {_MAX_LIMIT}.", code="parameter_invalid", param="limit")
    return limit


def slice_of(form: Form, things: Sequence[Mapping[str, object]], kind: str) -> tuple[list[Mapping[str, object]], bool]:
    """A page of a list that has an order of its own: lines."""
    limit, after, start = limit_in(form), form.get("starting_after"), 0
    if after is not None:
        places = [place for place, thing in enumerate(things) if thing["id"] == after]
        if not places:
            raise no_such(kind, after, "starting_after", 400)  # PROVIDERS §1
        start = places[0] + 1
    return list(things[start : start + limit]), len(things) > start + limit


def _span(form: Form, shelf: Shelf, first: int) -> tuple[int, int]:
    """Return the places that the `created` filter leaves."""
    low, high = first, len(shelf)
    created = form.get("created", {})
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    known(bounds, frozenset({"gt", "gte", "lt", "lte"}), "created")
    for operator, text in bounds.items():
        time = integer_in(text, f"created[{operator}]")
        if operator in ("gt", "gte"):
            low = max(low, shelf.since(time + (operator == "gt")))
        else:
            high = min(high, shelf.since(time + (operator == "lte")))
    return low, high


def no_such(kind: str, remote_id: str, param: str, status: int) -> RefusedError:
    """Stripe's refusal of an id that is not there."""
    return RefusedError(f"No such {kind}: '{remote_id}'", status=status, code="resource_missing", param=param)
