"""Draws what operators change: the policy of a connection, for a while or for good; who was archived by mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from core.model.documents import KINDS
from tests.simulation.drawn_ends import ARCHIVES
from tests.simulation.routes import MIRRORS
from tests.simulation.tape import SYSTEMS, Event, Tape

SHARE: Final = 1 / 6
REGRETTED: Final = 0.125
NEXT_DAY: Final = "2026-11-19"
"""All that clerks bill is issued the day before."""


def with_policies_of_documents(tape: Tape, rng: Random, fields: Mapping[str, Sequence[str]]) -> Tape:
    """In some worlds with documents the policy changes, and Accord starts again with it.

    What concerns documents is put back later: in the end all of the route flows, and what came in between is caught up.
    """
    billing = tape.profile.billing
    is_judged_between = any(one.what in ("quiet", "hours") for one in tape.events)
    if billing is None or is_judged_between or rng.random() >= SHARE:
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 2)):
        what = rng.choice(("documents", "documents", "documents", "creates", "flow"))
        system, changes = _change(rng, what, billing.route, fields)
        first = rng.randint(0, len(events))
        last = len(events) if rng.random() < 0.5 else rng.randint(first, len(events))
        if what == "documents" or rng.random() < 0.5:
            back = {"creates": "all"} if what == "creates" else {one: "both" for one in changes if what == "flow"}
            events.insert(last, Event(after=_after(rng), what=what, system=system, changes=back))
        events.insert(first, Event(after=_after(rng), what=what, system=system, changes=changes))
    return msgspec.structs.replace(tape, events=events)


def with_revivals(tape: Tape, rng: Random) -> Tape:
    """In some worlds archived customers are brought back, most of them at once."""
    if rng.random() >= REGRETTED:
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 3)):
        first = rng.randint(len(events) // 3, len(events))
        is_last = rng.random() < 0.7
        last = first if is_last else rng.randint(first, len(events))
        changes = {"is_last": is_last}
        events.insert(last, Event(after=_after(rng), what="revive", pick=rng.randrange(1000), changes=changes))
        events.insert(first, Event(after=_after(rng), what="archive", pick=rng.randrange(1000)))
    archives = tape.profile.archives or rng.choice(((), *ARCHIVES))
    profile = msgspec.structs.replace(tape.profile, archives=archives)
    return msgspec.structs.replace(tape, events=events, profile=profile)


def _change(rng: Random, what: str, route: str, fields: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, Any]]:
    """Whose policy becomes another one, and which."""
    if what == "documents":
        return _narrower(rng, route)
    system = rng.choice(SYSTEMS)
    if what == "creates":
        return system, {"creates": "none"}
    return system, {rng.choice(fields[system]): rng.choice(("out", "in", "off"))}


def _narrower(rng: Random, route: str) -> tuple[str, dict[str, Any]]:
    """A connection of the route that for a while tells of less, copies less, or copies what is issued later only."""
    mirrors = MIRRORS[route]
    if rng.random() < 0.3:
        return rng.choice(sorted(mirrors)), {"originates": _fewer(rng)}
    system = rng.choice(sorted({one for some in mirrors.values() for one in some}))
    if rng.random() < 0.3:
        return system, {"since": NEXT_DAY}
    return system, {"mirrors": () if system == "hubspot" else _fewer(rng)}


def _fewer(rng: Random) -> tuple[str, ...]:
    gone = rng.choice((*KINDS, "all"))
    return () if gone == "all" else tuple(one for one in KINDS if one != gone)


def _after(rng: Random) -> float:
    return rng.choice([0.0, rng.uniform(0, 2), rng.uniform(0, 5), rng.uniform(5, 90)])
