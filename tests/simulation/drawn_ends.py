"""Draws what befalls the registry in some worlds: erasures, undo, an older database, customers whose objects follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from tests.simulation.drawn_clerks import drawn_clerk
from tests.simulation.tape import SYSTEMS, Event, Tape

SHARE: Final = 0.125
RESTORED_SHARE: Final = 0.2
UNDONE_SHARE: Final = 0.2
CHANGED_SHARE: Final = 0.2
FAREWELLS: Final = 0.2
_BUSY: Final = ("bill", "bill", "pay", "pay", "pay many", "pay there", "credit", "void", "lose", "finalise")
ARCHIVES: Final = (("hubspot",), ("quickbooks",), ("hubspot", "quickbooks"))
FIRST_NUMBER: Final = 5000
"""Values are told apart by their numbers: others begin at 0."""


def with_erasures(tape: Tape, rng: Random) -> Tape:
    """In some worlds customers are erased, and somebody changes what stays of them at the systems."""
    if rng.random() >= SHARE:
        return tape
    events, number = list(tape.events), FIRST_NUMBER
    for _ in range(rng.randint(1, 2)):
        at = rng.randint(len(events) // 3, len(events))
        events.insert(at, Event(after=_after(rng), what="erase", pick=rng.randrange(10**9)))
        for _ in range(rng.randint(0, 2)):
            number += 1
            edit = Event(after=_after(rng), what="edit_erased", pick=rng.randrange(1000), changes=_change(rng, number))
            events.insert(rng.randint(at + 1, len(events)), edit)
    return msgspec.structs.replace(tape, events=events)


def with_restores(tape: Tape, rng: Random) -> Tape:
    """In some worlds without documents a backup is made, and put back later; in some, somebody is erased meanwhile."""
    if tape.profile.billing is not None or rng.random() >= RESTORED_SHARE:
        return tape
    events = list(tape.events)
    first = rng.randint(0, len(events) - 1)
    events.insert(first, Event(after=_after(rng), what="backup"))
    last = rng.randint(first + 2, len(events))
    events.insert(last, Event(after=_after(rng), what="restore"))
    if rng.random() < 0.4:
        at = rng.randint(first + 1, last)
        events.insert(at, Event(after=_after(rng), what="erase", pick=rng.randrange(10**9)))
    return msgspec.structs.replace(tape, events=events)


def with_restores_of_documents(tape: Tape, rng: Random) -> Tape:
    """In some worlds with documents, too; in half of these for a day nothing runs, and keys are forgotten meanwhile.

    Clerks are busy in between. Where policy names no day, the first activation says since when there are copies.
    """
    billing = tape.profile.billing
    if billing is None or rng.random() >= SHARE:
        return tape
    events = list(tape.events)
    first = rng.randint(len(events) // 4, len(events) * 3 // 4)
    between = [drawn_clerk(rng, billing.route, f"clerk {what}", _after(rng)) for what in rng.choices(_BUSY, k=5)]
    down = rng.choice([0.0, 95_000.0])
    last = rng.randint(first, len(events))
    events.insert(last, Event(after=_after(rng), what="restore", changes={"down": down}))
    for one in between:
        events.insert(rng.randint(first, last), one)
        last += 1
    events.insert(first, Event(after=_after(rng), what="backup"))
    billing = msgspec.structs.replace(billing, since="" if rng.random() < 0.5 else billing.since)
    profile = msgspec.structs.replace(tape.profile, billing=billing)
    return msgspec.structs.replace(tape, events=events, profile=profile)


def with_undos(tape: Tape, rng: Random) -> Tape:
    """In some worlds somebody takes changes of customers back, and all that one run did."""
    if rng.random() >= (UNDONE_SHARE if tape.profile.billing is None else SHARE):
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 4)):
        changes = {"run": rng.random() < 0.3}
        event = Event(after=_after(rng), what="undo", pick=rng.randrange(10**9), changes=changes)
        events.insert(rng.randint(len(events) // 2, len(events)), event)
    return msgspec.structs.replace(tape, events=events)


def with_policies(tape: Tape, rng: Random, fields: Mapping[str, Sequence[str]]) -> Tape:
    """In some worlds without documents the policy changes, and Accord starts again with it."""
    if tape.profile.billing is not None or rng.random() >= CHANGED_SHARE:
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 2)):
        at = rng.randint(len(events) // 3, len(events))
        if rng.random() < 0.3:
            events.insert(at, Event(after=_after(rng), what="ranks"))
            continue
        system = rng.choice(SYSTEMS)
        field = rng.choice(fields[system])
        flow = rng.choice(["out", "in", "off"])
        events.insert(at, Event(after=_after(rng), what="flow", system=system, changes={field: flow}))
        if rng.random() < 0.6:
            back = Event(after=_after(rng), what="flow", system=system, changes={field: "both"})
            # at the very end nobody changes any more whom the new policy could count for
            events.insert(len(events) if rng.random() < 0.5 else rng.randint(at + 1, len(events)), back)
    return msgspec.structs.replace(tape, events=events)


def with_farewells(tape: Tape, rng: Random) -> Tape:
    """In some worlds objects of archived customers are archived too, and more customers are archived there."""
    if rng.random() >= FAREWELLS:
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(len(events) // 3, len(events))
        events.insert(at, Event(after=_after(rng), what="archive", pick=rng.randrange(1000)))
    profile = msgspec.structs.replace(tape.profile, archives=rng.choice(ARCHIVES))
    return msgspec.structs.replace(tape, events=events, profile=profile)


def _after(rng: Random) -> float:
    return rng.choice([0.0, rng.uniform(0, 2), rng.uniform(0, 5), rng.uniform(5, 90)])


def _change(rng: Random, number: int) -> dict[str, Any]:
    changes = {
        "name": f"Di Number{number}",
        "email": f"mail{number}@example.test",
        "phone": f"+4930{1_000_000 + number}",
    }
    field = rng.choice(sorted(changes))
    return {field: changes[field]}
