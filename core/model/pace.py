"""How often a connection is swept, and its copies looked at, within what the provider allows per month (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from core.model.remote import Allowance

SHARE: Final = 0.9
"""Of an allowance, for everything that Accord reads: the rest is for other programs and for people."""
LEAST_SHARE: Final = 0.1
"""Of an allowance, for sweeps: what webhooks make us read must not end them, or a lost webhook would stay lost."""
LOOKS_SHARE: Final = 0.2
"""Of what other work leaves of an allowance, for looking at copies of documents of which nothing was told."""
GIVES_WAY: Final[Mapping[str, float]] = {"full": 0.1, "changes": 0.02}
"""What share of a day's calls must be left for a complete sweep, a listing or a look at copies, and for a sweep of
changes: the rest is for what webhooks name and for writes."""
CHANGES_CALLS: Final = 1
"""A sweep of changes that finds nothing costs one call."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds from one sweep to the next."""

    changes_every: float
    full_every: float


def paced(wanted: Pace, allowances: Sequence[Allowance], others: Mapping[str, int], full_calls: int) -> Pace:
    """`wanted`, stretched as far as the allowances make it.

    `others`: what else was called within each allowance's time, by its name; `full_calls`: calls of one complete
    sweep. Complete sweeps get at most half of the room, sweeps of changes the rest.
    """
    pace = wanted
    for one in allowances:
        room = _room(one, others)
        full_every = max(pace.full_every, one.seconds * full_calls / (room / 2))
        left = room - full_calls * one.seconds / full_every
        pace = Pace(max(pace.changes_every, one.seconds * CHANGES_CALLS / left), full_every)
    return pace


def looks_every(allowances: Sequence[Allowance], others: Mapping[str, int]) -> float:
    """Seconds per call of looking at copies again; `others` as for sweeps, those looks included."""
    return max((one.seconds / (_room(one, others) * LOOKS_SHARE) for one in allowances), default=0.0)


def _room(one: Allowance, others: Mapping[str, int]) -> float:
    return max(one.calls * SHARE - others.get(one.name, 0), one.calls * LEAST_SHARE)
