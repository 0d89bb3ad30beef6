"""Many worlds, in one or several processes, and what they reached together."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tests.simulation.tape import tape_of
from tests.simulation.world import Outcome, run_world

RARE: Final = frozenset({"journal: raced"})
"""Reached by a campaign of thousands of worlds, and only mostly by one of hundreds."""

REQUIRED: Final[tuple[str, ...]] = (
    "crash: on the wire",
    "crash: after a write",
    "crash: before commit",
    "crash: after commit",
    "crash: by kill",
    "fault: lost_request",
    "fault: lost_answer",
    "fault: error_before",
    "fault: error_after",
    "fault: slow",
    "fault: truncated",
    "fault: html",
    "fault: too_many",
    "webhook taken",
    "webhook dropped",
    "webhook doubled",
    "key replay",
    "concurrent edits",
    "a losing value is on record",
    "intent: in doubt",
    "intent: done",
    "intent: void",
    "journal: enter",
    "journal: link",
    "journal: pull",
    "journal: push",
    "journal: conflict",
    "journal: raced",
    "journal: gone",
    "hold: conflict",
    "hold: remote_gone",
    "hold: unreadable_value",
    "hold: unrepresentable",
    "hold: ambiguous_match",
    "unreadable value",
)
"""Paths that a campaign of some size must reach: a check whose case never comes up proves nothing."""


class Finding(msgspec.Struct, frozen=True):
    """A world that failed."""

    seed: int
    problem: str
    repeat: str


class Summary(msgspec.Struct, kw_only=True):
    """What a campaign found."""

    worlds: int = 0
    failed: list[Finding] = []
    seconds: float = 0.0
    worlds_per_second: float = 0.0
    virtual_hours: float = 0.0
    writes: int = 0
    crashes: int = 0
    reached: dict[str, int] = {}
    never_reached: list[str] = []


def repeat_command(seed: int) -> str:
    """How to see one world again."""
    return f"python -m tests.simulation --seed {seed} --worlds 1 --trace 100"


def campaign(seeds: Sequence[int], jobs: int = 1, *, stop_at: int | None = None) -> tuple[Summary, list[Outcome]]:
    """Run worlds; returns the summary and the outcomes that failed. `stop_at` failures end it."""
    started = time.perf_counter()
    summary, failed, reached = Summary(), list[Outcome](), Counter[str]()
    for outcome in _outcomes(seeds, jobs):
        summary.worlds += 1
        summary.writes += outcome.writes
        summary.virtual_hours += outcome.virtual_seconds / 3600
        reached += outcome.reached
        if outcome.problem:
            failed.append(outcome)
            if stop_at is not None and len(failed) >= stop_at:
                break
    summary.seconds = round(time.perf_counter() - started, 2)
    summary.worlds_per_second = round(summary.worlds / max(summary.seconds, 0.001), 2)
    summary.virtual_hours = round(summary.virtual_hours, 1)
    summary.reached = dict(sorted(reached.items()))
    summary.crashes = sum(times for name, times in reached.items() if name.startswith("crash: "))
    summary.never_reached = [name for name in REQUIRED if not reached[name]]
    failed.sort(key=lambda one: one.seed)
    summary.failed = [Finding(one.seed, one.problem, repeat_command(one.seed)) for one in failed]
    return summary, failed


def _outcomes(seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    if jobs <= 1:
        for seed in seeds:
            yield _one(seed)
        return
    # spawned, not forked: a child must not inherit a loop or a database of its parent
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_one, seeds, chunksize=4)


def _one(seed: int) -> Outcome:
    # a world makes few cycles and is short: looking for them all the time costs a tenth of it
    gc.disable()
    gc.collect(1)
    return run_world(tape_of(seed))


def as_json(summary: Summary, **more: Any) -> str:
    """The summary, to be read by people and programs."""
    return msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(summary) | more), indent=2).decode()
