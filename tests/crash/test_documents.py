"""The crash matrix for documents: Accord dies at the n-th call of a port while one is made, paid, credited, voided."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from core.sandbox.faults import FaultKind
from tests.support.crash_documents import JOBS, DocumentMatrix
from tests.support.crash_jobs import FAULTS

pytestmark = pytest.mark.anyio

SHORT_STEP = 4
"""A short run dies at every fourth point only."""
IS_WHOLE = os.environ.get("ACCORD_CRASH_MATRIX") == "all"


def combinations() -> list[tuple[str, FaultKind | None]]:
    """What this run covers."""
    every = [(job, kind) for job in JOBS for kind in FAULTS]
    return every if IS_WHOLE else [one for one in every if one[1] in (None, "lost_answer")]


@pytest.fixture(scope="module")
def matrix() -> DocumentMatrix:
    """Worlds shared by all combinations; each run copies one."""
    return DocumentMatrix(is_whole=IS_WHOLE)


@pytest.mark.parametrize(("job", "kind"), combinations())
async def test_a_death_anywhere_leaves_one_copy_of_each_document(
    matrix: DocumentMatrix, job: str, kind: FaultKind | None, record_property: Callable[[str, object], None]
) -> None:
    """A repeated create used to bill a customer twice, elsewhere."""
    tally = await matrix.run(job, kind, step=1 if IS_WHOLE else SHORT_STEP)
    print(f"{job}, {kind or 'no fault'}: {tally.deaths} deaths, {dict(tally.points)}")
    record_property("deaths", tally.deaths)
    assert tally.deaths > 0, "no point was reached"
    if kind:
        assert tally.struck > 0, "the fault never struck"
