"""A mirrored backfill uses what the providers' limits allow: the short form of `tests.benchmarks.document_backfill`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.document_backfill import MINUTES, UNHURRIED, Ways, copied
from tests.simulation.virtual import run_virtual


@pytest.mark.parametrize(
    ("origin", "mirror", "number", "way"),
    [
        ("quickbooks", "stripe", 300, 0.05),
        ("stripe", "quickbooks", 328, 0.05),
        # a call for every twenty-eight copies: few of them take no longer than a few answers do
        ("stripe", "hubspot", 800, 0.005),
    ],
)
def test_a_backfill_of_copies_reaches_95_percent_of_what_the_limits_allow_and_is_never_refused(
    origin: str, mirror: str, number: int, way: float
) -> None:
    """In virtual time, and without the echo of the change feed, which in a longer run weighs less."""
    ways = Ways(origin, mirror, way, replace(UNHURRIED, changes_every=2.0 * MINUTES))
    found = run_virtual(copied(ways, number), ways.loop)
    assert found["answers_429"] == 0
    assert 0.95 <= found["share_of_ceiling"] <= 1.0
