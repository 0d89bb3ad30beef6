"""The crash matrix: Accord dies at the n-th call of a port, n = 1, 2, ... until the job survives, and starts again.

A short run covers every job at every provider; with ACCORD_CRASH_MATRIX=all it covers every point of every
combination with every fault (`make crash`), which takes minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from core.sandbox.faults import FaultKind
from tests.support.crash_jobs import ARCHIVE, CONTACT, FAULTS, JOBS, REPRIEVE, RESTORE, Matrix, runs_at
from tests.support.world import NAMES

pytestmark = pytest.mark.anyio

IS_WHOLE = os.environ.get("ACCORD_CRASH_MATRIX") == "all"
SHORT_STEP = 3
"""With a fault, and in a pull, a short run dies at every third point only."""


def combinations() -> list[tuple[str, str, FaultKind | None]]:
    """What this run covers."""
    every = [(name, job, kind) for name in NAMES for job in JOBS for kind in FAULTS if runs_at(job, name)]
    if IS_WHOLE:
        return every
    return [one for one in every if one[1] != "enter" and (one[2] is None or (one[2], one[1]) in SHORT_FAULTS)]


SHORT_FAULTS = {
    ("lost_answer", "create"),
    ("lost_answer", "update"),
    ("lost_answer", CONTACT),
    ("lost_answer", ARCHIVE),
    ("lost_answer", RESTORE),
    ("lost_answer", REPRIEVE),
    ("truncated", "create"),
}


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    """Worlds shared by all combinations; each run copies one."""
    return Matrix(is_whole=IS_WHOLE)


@pytest.mark.parametrize(("provider", "job", "kind"), combinations())
async def test_a_death_anywhere_leaves_one_customer_everywhere(
    matrix: Matrix, provider: str, job: str, kind: FaultKind | None, record_property: Callable[[str, object], None]
) -> None:
    """A create that was sent and not recorded used to make a second customer, in more than half of all tries."""
    step = SHORT_STEP if (kind or job == "pull") and not IS_WHOLE else 1
    tally = await matrix.run(provider, job, kind, step=step)
    record_property(
        "reached", f"{job} at {provider}, {kind or 'no fault'}: {tally.deaths} deaths, {dict(tally.points)}"
    )
    assert tally.deaths > 0, "no point was reached"
    if kind:
        assert tally.struck > 0, "the fault never struck"
    if job in ("create", "update") and step == 1:
        for point in ("before connector.write", "request", "answer", "after connector.write"):
            assert tally.points[point] > 0 or kind, f"nothing died at {point}"
