"""Ids of holds as people copy them: the beginning is enough where no other hold begins alike."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.store.database import Tx

SHOWN: Final = 12
LEAST: Final = 4


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """Each id's beginning, long enough to be this one's alone: an id begins with its millisecond, so many are alike."""
    ordered = sorted(set(ids))
    short: dict[str, str] = {}
    for place, one in enumerate(ordered):
        beside = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        short[one] = one[: max(SHOWN, *(_alike(one, other) + 1 for other in beside), 0)]
    return short


def open_ids(tx: Tx) -> dict[str, str]:
    """Every open hold's id and how people may write it."""
    from core.store import holds

    return shortened(one.id for one in holds.listing(tx))


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def whole(tx: Tx, wanted: str) -> str:
    """The id of the one open hold that begins so, or of the one that is over; `wanted` itself where none does."""
    from core.store import holds

    if holds.get(tx, wanted) is not None:
        return wanted
    if len(wanted) < LEAST:
        limit, cure = f"the first {LEAST} characters of its id, or more", "`accord holds` shows them"
        raise InvalidInputError(f"{wanted!r} is too short to tell holds apart", field="hold", limit=limit, cure=cure)
    found = [one.id for one in holds.listing(tx) if one.id.startswith(wanted)]
    if len(found) > 1:
        some = ", ".join(sorted(shortened(found).values())[:5])
        problem = f"{len(found)} open holds begin with {wanted!r}"
        raise InvalidInputError(problem, field="hold", cure=f"say more of it: {some}{', ...' if found[5:] else ''}")
    # of one that is over, whoever answers it again is told who did before
    over = holds.beginning(tx, wanted, 2)
    return found[0] if found else over[0] if len(over) == 1 else wanted
