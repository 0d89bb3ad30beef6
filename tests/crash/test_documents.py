"""The crash matrix for documents: Accord dies at the n-th call of a port while one is made, paid, credited, voided.

At each system that copies. A short run takes some points of each job; `ACCORD_CRASH_MATRIX=all` takes every point, and
with every fault at every request of every step. A step that no job reaches fails, in both.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.stripe.connector.copies import Copies
from core.sandbox.faults import FaultKind
from tests.support.crash_acts import ORIGINS
from tests.support.crash_documents import JOBS, STRIKES, DocumentMatrix, Reached, requests_of
from tests.support.crash_jobs import FAULTS

pytestmark = pytest.mark.anyio

SHORT_STEP = 41
"""A short run dies at every 41st point only, from another one on in each job."""
IS_WHOLE = os.environ.get("ACCORD_CRASH_MATRIX") == "all"
CONNECTORS = Path(__file__).parents[2] / "connectors"
AROUND = ("before connector.write", "request", "answer", "after connector.write")
SHORT_STRIKES = {
    ("quickbooks", "invoice", "create invoice"),
    ("hubspot", "invoice", "add_lines invoice"),
    ("stripe", "payment", "create payment"),
}
SHORT_FAULTS = ("lost_answer", "truncated")
Pair = tuple[str, str]
Struck = tuple[str, str, str, str, int, FaultKind]


def pairs() -> list[Pair]:
    """Each job at each system that it is for."""
    return [(mirror, job) for job, one in JOBS.items() for mirror in one.steps]


def strikes() -> list[Struck]:
    """Each fault at each request of each step; in a short run at some."""
    every = [
        (mirror, job, step, path, nth, kind)
        for mirror, job in pairs()
        for step, path, nth in requests_of(mirror, job)
        for kind in FAULTS
        if kind is not None
    ]
    return every if IS_WHOLE else [one for one in every if one[:3] in SHORT_STRIKES and one[5] in SHORT_FAULTS]


@pytest.fixture(scope="module")
def matrix() -> DocumentMatrix:
    """Worlds shared by all combinations; each run copies one."""
    return DocumentMatrix(is_whole=IS_WHOLE)


@pytest.mark.parametrize(("mirror", "job"), pairs())
async def test_a_death_anywhere_leaves_one_copy_of_each_document(
    matrix: DocumentMatrix, mirror: str, job: str, record_property: Callable[[str, object], None]
) -> None:
    """A repeated create used to bill a customer twice, elsewhere."""
    first = 1 if IS_WHOLE else 1 + pairs().index((mirror, job)) % SHORT_STEP
    tally = await matrix.run(mirror, job, step=1 if IS_WHOLE else SHORT_STEP, first=first)
    told(f"{job} at {mirror}", tally, record_property)
    for step in JOBS[job].steps[mirror]:
        for point in AROUND:
            place = f"{point} of {step}"
            assert tally.passed.get(place, 0) > 0, f"nothing came by {place}"
            assert tally.points[place] > 0 or not IS_WHOLE, f"nothing died {place}"


@pytest.mark.parametrize(("mirror", "job", "step", "path", "nth", "kind"), strikes())
async def test_a_death_anywhere_after_a_lost_answer_leaves_one_copy_too(
    matrix: DocumentMatrix, mirror: str, job: str, step: str, path: str, nth: int, kind: FaultKind,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    """Two misfortunes at once: nobody knows what became of a step, and then the one who asks dies."""
    tally = await matrix.run(mirror, job, kind, (path, nth), step=1 if IS_WHOLE else SHORT_STEP)
    told(f"{job} at {mirror}, {kind} of {step} {path}", tally, record_property)
    assert tally.struck > 0, "the fault never struck"


def told(what: str, tally: Reached, record_property: Callable[[str, object], None]) -> None:
    """Tell the counts; a job without a death proves nothing."""
    record_property("reached", f"{what}: {tally.deaths} deaths, {dict(tally.points)}")
    assert tally.deaths > 0, "no point was reached"


def test_every_step_that_a_connector_can_take_is_in_the_matrix() -> None:
    """Found in the connectors themselves: whoever adds a step adds a job for it."""
    taken = {mirror: {step for job in JOBS.values() for step in job.steps.get(mirror, ())} for mirror in ORIGINS}
    for mirror, steps in taken.items():
        assert {one.partition(" ")[0] for one in steps} == steps_in(mirror), mirror
        assert steps == set(STRIKES[mirror]), mirror
    acts = {f"{action} {kind}" for kind, action in Copies(None, None)._acts}  # type: ignore[arg-type]  # only which acts there are
    assert taken["stripe"] == acts


def steps_in(connector: str) -> set[str]:
    """Every `Step(action="...")` of a translation."""
    found = set()
    for file in (CONNECTORS / connector / "translate").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Step":
                actions = [one.value for one in node.keywords if one.arg == "action"]
                found |= {ast.literal_eval(one) for one in actions}
    return found
