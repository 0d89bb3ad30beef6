"""Draws worlds with a second company at QuickBooks: some of what happens in the books happens in the other books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import msgspec

from tests.simulation.drawn_clerks import drawn_clerk
from tests.simulation.tape import BRANCH, Event, Tape

SHARE: Final = 0.125
BOOKS: Final = "quickbooks"
_THERE: Final = (
    "bill",
    "bill",
    "pay",
    "pay",
    "pay there",
    "pay there",
    "credit",
    "spoil",
    "lose",
    "close books",
    "void",
)
_POLICY: Final = ("flow", "creates", "documents")

Change = Callable[[str], dict[str, Any]]
"""What somebody changes of a customer at a system."""


def with_branch(tape: Tape, rng: Random) -> Tape:
    """In some worlds with documents there are two companies, each with the books of some of the entities."""
    billing = tape.profile.billing
    if billing is None or rng.random() >= SHARE:
        return tape
    billing = msgspec.structs.replace(billing, has_branch=True, parts_customers=rng.random() < 0.3)
    return msgspec.structs.replace(tape, profile=msgspec.structs.replace(tape.profile, billing=billing))


def with_people_of_branch(tape: Tape, rng: Random, changes: Change) -> Tape:
    """Who works in the other books: some of those who would work in the first, and some more."""
    billing = tape.profile.billing
    if billing is None or not billing.has_branch:
        return tape
    people = [*tape.people, *(_moved(one) for one in tape.people if _is_account(one) and rng.random() < 0.6)]
    is_policy_theirs = rng.random() < 0.5
    events = [_somewhere(one, rng, is_policy_theirs=is_policy_theirs) for one in tape.events]
    for what in rng.choices(_THERE, k=rng.randint(2, 6)):
        one = drawn_clerk(rng, billing.route, f"clerk {what}", rng.choice([0.0, rng.uniform(0, 5), rng.uniform(5, 60)]))
        events.insert(rng.randint(len(events) // 4, len(events)), _moved(one))
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(events))
        events[at:at] = _edits(rng, changes)
    archives = tape.profile.archives
    if BOOKS in archives and rng.random() < 0.5:
        archives = (*archives, BRANCH)
    profile = msgspec.structs.replace(tape.profile, archives=archives)
    return msgspec.structs.replace(tape, people=people, events=events, profile=profile)


def _is_account(one: Event) -> bool:
    return one.system == BOOKS and "currency" in one.changes


def _edits(rng: Random, changes: Change) -> Sequence[Event]:
    """One customer, in the books of both within moments; or in the branch alone."""
    first, second = rng.sample((BOOKS, BRANCH), 2)
    pick, after, gap = rng.randrange(1000), rng.uniform(0, 90), rng.choice([0.0, rng.uniform(0, 3), rng.uniform(0, 20)])
    if rng.random() < 0.3:
        return [Event(after=after, what="edit", system=BRANCH, pick=pick, changes=changes(BOOKS))]
    return [
        Event(after=after, what="edit", system=first, pick=pick, changes=changes(BOOKS)),
        Event(after=gap, what="edit_same", system=second, pick=pick, changes=changes(BOOKS)),
    ]


def _somewhere(one: Event, rng: Random, *, is_policy_theirs: bool) -> Event:
    """The same in the one books or in the others; what changes a policy, where what puts it back is."""
    if one.what == "quiet":
        acts = [
            [what, _other(system) if rng.random() < 0.4 else system, pick] for what, system, pick in one.changes["acts"]
        ]
        return msgspec.structs.replace(one, changes={**one.changes, "acts": acts})
    is_theirs = is_policy_theirs if one.what in _POLICY else rng.random() < 0.4
    return _moved(one) if is_theirs else one


def _other(system: str) -> str:
    return BRANCH if system == BOOKS else system


def _moved(one: Event) -> Event:
    return msgspec.structs.replace(one, system=_other(one.system))
