"""A backfill of customers uses what the providers' limits allow: the short form of `tests.benchmarks.backfill`."""

from __future__ import annotations

import pytest

from tests.benchmarks.backfill import Far, backfill
from tests.simulation.virtual import run_virtual


@pytest.mark.parametrize(
    ("provider", "number", "way", "read_and_write"),
    [
        ("stripe", 600, 0.05, 1 + 1),
        # a hundred in a request, both ways
        ("hubspot", 800, 0.005, 0.01 + 0.01),
        # reads go many in a request, writes in batches and alone beside them, since each kind has its own limit
        ("quickbooks", 600, 0.05, 0.01 + 1),
    ],
)
def test_a_backfill_reaches_95_percent_of_what_the_limits_allow_and_a_change_costs_a_read_and_a_write(
    provider: str, number: int, way: float, read_and_write: float
) -> None:
    """In virtual time, never refused. A short run may be faster than the limit: it begins with a full bucket."""
    far = Far(provider, way)
    found = run_virtual(backfill(far, number), far.loop)
    assert [found[what]["answers_429"] for what in ("create", "change", "read")] == [0, 0, 0]
    for what in ("create", "change"):
        assert found[what]["share_of_ceiling"] >= 0.95, found
    assert 0 < found["change"]["calls_per_record"] <= 1.05 * read_and_write, found
