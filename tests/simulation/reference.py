"""What may stand in the end: a model of people's edits that knows nothing of the engine.

Every edit knows which value its author saw. An edit whose value nobody replaced knowingly is a head. With one
head it is the value everywhere; with several, one of them is, and each other one is on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.simulation.tape import REGISTRY

UNCONFIRMED = ("unconfirmed",)
"""Instead of what an author replaced: a value of Accord's that Accord did not know to be there."""


class Edit(NamedTuple):
    """A person put `value` where `replaced` was. `mutation` counts the site's changes before it."""

    number: int
    at: float
    site: str
    target: str
    field: str
    value: Any
    replaced: Any
    mutation: int


def loose(value: Any) -> object:
    """A value without what systems spell differently."""
    if isinstance(value, dict):
        return tuple(sorted((part, loose(text)) for part, text in value.items() if text)) or None
    if isinstance(value, str):
        return " ".join(value.split()).casefold() or None
    return value or None


def heads(edits: Iterable[Edit]) -> list[Edit]:
    """Edits of one field of one customer that nobody knowingly replaced, oldest first."""
    found: list[Edit] = []
    last: dict[tuple[str, str], Edit] = {}
    for edit in sorted(edits):
        place = (edit.site, edit.target)
        seen, own = loose(edit.replaced), last.get(place)
        if own is not None and loose(own.value) == seen:
            # what its author saw was written here; the same value written elsewhere was not replaced knowingly
            found = [one for one in found if one.number != own.number]
        else:
            # one that stood on a write which nobody had confirmed was not known to Accord, nor to this author
            found = [one for one in found if not _is_seen(edit, one) or one.replaced == UNCONFIRMED]
        found.append(edit)
        last[place] = edit
    return found


def _is_seen(edit: Edit, one: Edit) -> bool:
    """Whether the author of `edit` saw this value. The registry shows one spelling: another one is another system's."""
    if edit.site == REGISTRY:
        return bool(one.value == edit.replaced)
    return bool(loose(one.value) == loose(edit.replaced))


def admissible(edits: Sequence[Edit]) -> set[Any]:
    """Values that may stand in the end: the heads', and what was replaced in one system and written in another one too.

    Of a value that two people wrote, each in a system of their own, a third one has seen only the one.
    """
    found = heads(edits)
    written: dict[Any, set[tuple[str, str]]] = {}
    for one in edits:
        if one.replaced is None:
            written.setdefault(loose(one.value), set()).add((one.site, one.target))
    twice = {value for value, places in written.items() if value is not None and len(places) > 1}
    return {loose(one.value) for one in found} | (twice & {loose(one.replaced) for one in found})
