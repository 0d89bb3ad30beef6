"""Cuts a failing world down: drops events and faults as long as it still fails in the same way (ddmin)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from tests.simulation.tape import Event, Profile, Tape
from tests.simulation.world import run_world

T = TypeVar("T")


def ddmin(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """A smallest list that still fails when any one chunk of it is left out (Zeller's minimising)."""
    left, parts = list(items), 2
    while len(left) >= 2:
        size = max(1, len(left) // parts)
        chunks = [left[start : start + size] for start in range(0, len(left), size)]
        for chunk_number in range(len(chunks)):
            rest = [one for number, chunk in enumerate(chunks) if number != chunk_number for one in chunk]
            if fails(rest):
                left, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(left))
    return left if len(left) != 1 or not fails([]) else []


def kind_of(problem: str) -> str:
    """What a failure is about, without its particulars."""
    return problem.partition(":")[0][:40]


def shrunk(tape: Tape, problem: str, *, most_runs: int = 150) -> Tape:
    """The smallest tape found that fails like `problem`; stops after `most_runs` worlds."""
    runs = 0

    def fails(candidate: Tape) -> bool:
        nonlocal runs
        runs += 1
        return runs <= most_runs and kind_of(run_world(candidate).problem) == kind_of(problem)

    def with_events(events: Sequence[Event]) -> Tape:
        return msgspec.structs.replace(tape, events=list(events))

    tape = with_events(ddmin(tape.events, lambda some: fails(with_events(some))))
    tape = msgspec.structs.replace(
        tape,
        people=ddmin(tape.people, lambda some: fails(msgspec.structs.replace(tape, people=list(some)))),
    )
    for calmer in _calmer(tape.profile):
        candidate = msgspec.structs.replace(tape, profile=calmer(tape.profile))
        if candidate != tape and fails(candidate):
            tape = candidate
    return tape


def _calmer(profile: Profile) -> list[Callable[[Profile], Profile]]:
    """Ways to make a world simpler, one at a time."""
    steps: list[Callable[[Profile], Profile]] = [
        lambda one: msgspec.structs.replace(one, crash=0.0, hot_crash=0.0),
        lambda one: msgspec.structs.replace(one, webhooks=False),
        lambda one: msgspec.structs.replace(one, is_calm_start=True),
        lambda one: msgspec.structs.replace(one, flows={}),
        lambda one: msgspec.structs.replace(one, rows_at_once=100),
        lambda one: msgspec.structs.replace(one, plan=msgspec.structs.replace(one.plan, webhooks=())),
    ]
    return steps + [partial(_without_fault, gone=fault) for fault in profile.plan.requests]


def _without_fault(profile: Profile, gone: object) -> Profile:
    left = tuple(fault for fault in profile.plan.requests if fault != gone)
    return msgspec.structs.replace(profile, plan=msgspec.structs.replace(profile.plan, requests=left))
