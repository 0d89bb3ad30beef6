"""The shrinker keeps what a failure needs and drops the rest."""

from __future__ import annotations

from tests.simulation.shrink import ddmin


def test_only_what_is_needed_is_left() -> None:
    """Two events of fifty make it fail."""
    assert ddmin(range(50), lambda some: {7, 31} <= set(some)) == [7, 31]


def test_a_failure_that_needs_nothing_keeps_nothing() -> None:
    """It fails whatever happens."""
    assert ddmin(range(9), lambda _some: True) == []
