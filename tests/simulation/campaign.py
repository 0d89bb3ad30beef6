"""Many worlds, in one or several processes, and what they reached together."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

import core
from tests.simulation.drawing import tape_of
from tests.simulation.world import Outcome, run_world

RARE: Final = frozenset(
    {
        "journal: raced",
        "a payment for two entities at quickbooks",
        "a payment of several entities is held with its parts",
        "parts of a payment of several entities, each in its books",
        "clerk: a draft of a copy changed at stripe",
        "clerk: books opened",
        "clerk: paid 2 at once",
        "clerk: voided after a part was paid",
        "document held: document_changed",
        "document held: document_gone",
        "document held: remote_gone",
        "found after quiet days: a copy at quickbooks",
        "found after quiet days: a copy at stripe",
        "an answer got lost, the copy was adopted by looking",
        "an equal copy, uncollectible",
        "not equal: it is booked here, and is another entity's by now",
        "not equal: taken off its invoice",
        "not equal: voided after it was told",
    }
)
"""Reached by a campaign of thousands of worlds, and only mostly by one of hundreds."""

TELL_SECONDS: Final = 60.0

DOCUMENTS: Final[tuple[str, ...]] = (
    "worlds with documents",
    "clerk: finalised",
    "clerk: draft changed",
    "clerk: paid",
    "clerk: paid 2 at once",
    "clerk: paid 1 at quickbooks, where the copy is",
    "clerk: paid 1 at stripe, where the copy is",
    "clerk: paid in both systems",
    "clerk: overpaid",
    "clerk: credited",
    "clerk: voided",
    "clerk: voided after a part was paid",
    "clerk: billed by hand in both systems",
    "clerk: a line below 0",
    "clerk: books closed",
    "clerk: books opened",
    "clerk: a draft of a copy changed at stripe",
    "clerk: marked as paid",
    "clerk: booked by hand what was marked as paid",
    "job: reconcile_invoices",
    "restored with documents",
    "changed in the policy: documents",
    "changed in the policy: creates",
    "quiet hours",
    "unaccounted: asked",
    "unaccounted: still asked",
    "unaccounted: answered booked",
    "unaccounted: answered retry",
    "an entity told",
    "an entity changed",
    "made in an entity's books at stripe",
    "made in an entity's books at hubspot",
    "made in an entity's books at quickbooks",
    "made in an entity's books at quickbooks-eu",
    "worlds with two companies' books",
    "clerk: paid 1 at quickbooks-eu, where the copy is",
    "an invoice is not booked: elsewhere",
    "an invoice is not booked: nowhere",
    "a payment for two entities at stripe",
    "a payment for two entities at quickbooks",
    "a payment of several entities is held with its parts",
    "parts of a payment of several entities, each in its books",
    "quiet days",
    "found after quiet days: a deletion at the origin",
    "found after quiet days: a copy at stripe",
    "found after quiet days: a copy at hubspot",
    "found after quiet days: a copy at quickbooks",
    "journal: add_lines",
    "journal: finalize",
    "journal: apply",
    "journal: void",
    "an equal copy, open",
    "an equal copy, paid in part",
    "an equal copy, paid",
    "an equal copy, credited",
    "an equal copy, void",
    "an equal copy, uncollectible",
    "an equal copy with a line below 0 at stripe",
    "an equal copy with a line below 0 at hubspot",
    "an equal copy with a line below 0 at quickbooks",
    "a payment's copy is as it is",
    "a credit note's copy is as it is",
    "an answer got lost, the copy was adopted by its key",
    "an answer got lost, the copy was adopted by looking",
    "an answer got lost, no copy was found by looking",
    "document held: rejected",
    "document held: balance_differs",
    "document held: remote_gone",
    "document held: document_changed",
    "document held: document_gone",
    "document held: entity_changed",
    "not equal: it is booked here, and is another entity's by now",
    "not equal: recorded in both systems",
    "not equal: more came in than its invoices take",
    "not equal: more came in than its total, at different systems",
    "not equal: its number is taken there",
    "not equal: the books were closed",
    "not equal: a person booked a payment of the copy, and the origin is not told",
    "not equal: a person changed the copy's amounts",
    "not equal: taken off its invoice",
    "not equal: voided after it was told",
)
"""Paths of documents: billed, changed, paid in part and whole, credited, voided; copied, adopted, held by a reason.

In some worlds their books are of entities; in some, days or hours pass.
"""

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
    "intent: quarantined",
    "intent: adopted",
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
    "erased",
    "restored",
    "changed in the policy: flow",
    "changed in the policy: ranks",
    "brought back",
    "brought back before its objects were archived",
    "brought back, and an object had been archived",
    "undone: a change",
    "undone: a run",
    "edited what stays of the erased",
    *DOCUMENTS,
)
"""Paths that a campaign of some size must reach: a check whose case never comes up proves nothing."""


class Finding(msgspec.Struct, frozen=True):
    """A world that failed."""

    seed: int
    problem: str
    repeat: str


COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "adopted: a customer's object was recognised": ("journal: link",),
    "adopted: what a create without an answer had made": ("intent: adopted",),
    "adopted: a copy that a create without an answer had made": ("an answer got lost, the copy was adopted",),
    "quarantined: a write without an answer waited": ("intent: quarantined",),
    "fenced: somebody had been there meanwhile": ("fenced: customers", "fenced: dirty", "fenced: intents"),
    "merged: an object went into another one": ("journal: merged",),
    "held: a person is asked": ("hold: ",),
    "held: a person is asked about a document": ("document held: ",),
    "raced: an edit was overwritten unseen, and told by its webhook": ("journal: raced",),
}
"""What a campaign is asked about, and the beginnings of the paths that count for it."""


class Summary(msgspec.Struct, kw_only=True):
    """What a campaign found. `cpu_seconds` of all processes; `seconds` by the clock on the wall."""

    commit: str = ""
    seeds: str = ""
    worlds: int = 0
    failed: list[Finding] = []
    is_interrupted: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_seconds_per_world: float = 0.0
    virtual_hours: float = 0.0
    writes: int = 0
    crashes: int = 0
    counted: dict[str, int] = {}
    reached: dict[str, int] = {}
    never_reached: list[str] = []


def repeat_command(seed: int) -> str:
    """How to see one world again."""
    return f"python -m tests.simulation --seed {seed} --worlds 1 --trace 100"


def campaign(
    seeds: range, jobs: int = 1, *, stop_at: int | None = None, tell: Callable[[str], None] = lambda _line: None
) -> tuple[Summary, list[Outcome]]:
    """Run worlds; returns the summary and the outcomes that failed. `stop_at` failures end it, and so does Ctrl-C.

    `tell` hears once a minute how far it is.
    """
    started = told = time.perf_counter()
    summary, failed, reached = Summary(commit=_commit()), list[Outcome](), Counter[str]()
    try:
        for outcome in _outcomes(seeds, jobs):
            _add(summary, outcome, reached)
            if outcome.problem:
                failed.append(outcome)
                tell(f"seed {outcome.seed}: {outcome.problem}")
                if stop_at is not None and len(failed) >= stop_at:
                    break
            if time.perf_counter() - told >= TELL_SECONDS:
                told = time.perf_counter()
                tell(_progress(summary, seeds, len(failed)))
    except KeyboardInterrupt:
        summary.is_interrupted = True
        tell(_progress(summary, seeds, len(failed)))
    summary.seconds = round(time.perf_counter() - started, 2)
    _finish(summary, seeds, reached)
    summary.failed = [Finding(one.seed, one.problem, repeat_command(one.seed)) for one in failed]
    return summary, failed


def _add(summary: Summary, outcome: Outcome, reached: Counter[str]) -> None:
    summary.worlds += 1
    summary.writes += outcome.writes
    summary.cpu_seconds += outcome.cpu_seconds
    summary.virtual_hours += outcome.virtual_seconds / 3600
    reached += outcome.reached


def _finish(summary: Summary, seeds: range, reached: Counter[str]) -> None:
    summary.seeds = f"{seeds.start} to {seeds.start + summary.worlds - 1}"
    summary.cpu_seconds_per_world = round(summary.cpu_seconds / max(summary.worlds, 1), 3)
    summary.cpu_seconds = round(summary.cpu_seconds, 1)
    summary.virtual_hours = round(summary.virtual_hours, 1)
    summary.reached = dict(sorted(reached.items()))
    summary.crashes = _starting(reached, "crash: ")
    summary.counted = {what: _starting(reached, *paths) for what, paths in COUNTED.items()}
    summary.never_reached = [name for name in REQUIRED if not reached[name]]


def _starting(reached: Counter[str], *beginnings: str) -> int:
    return sum(times for name, times in reached.items() if name.startswith(beginnings))


def _progress(summary: Summary, seeds: range, failed: int) -> str:
    left = len(seeds) - summary.worlds
    done = f"{summary.worlds} of {len(seeds)} worlds, {failed} failed, {summary.cpu_seconds:.0f} CPU-s"
    rest = f"the rest: --seed {seeds.start + summary.worlds} --worlds {left}" if left else "that is all"
    return f"{done}; {rest}"


def _commit() -> str:
    """What the worlds ran on; "" where there is no git, as in a copy with a planted bug."""
    git = ["git", "-C", str(Path(core.__file__).parent.parent)]
    name = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return name.stdout.strip() + (" and changes that are not committed" if changed.stdout.strip() else "")


def _outcomes(seeds: range, jobs: int) -> Iterator[Outcome]:
    """In the order of the seeds, so that what is done of a campaign can be said in one number."""
    if jobs <= 1:
        yield from map(_one, seeds)
        return
    # spawned, not forked: a child must not inherit a loop or a database of its parent
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=_leave_interrupts) as pool:
        yield from pool.imap(_one, seeds, chunksize=4)


def _leave_interrupts() -> None:
    # Ctrl-C reaches the whole group; the parent ends its children
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one(seed: int) -> Outcome:
    # a world makes few cycles and is short: looking for them all the time costs a tenth of it
    gc.disable()
    gc.collect(1)
    return run_world(tape_of(seed))


def as_json(summary: Summary, **more: Any) -> str:
    """The summary, to be read by people and programs."""
    return msgspec.json.format(msgspec.json.encode(msgspec.to_builtins(summary) | more), indent=2).decode()
