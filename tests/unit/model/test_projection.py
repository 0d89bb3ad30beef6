"""Which fields a connection carries, and since which translation."""

from __future__ import annotations

from core.model.figures import FIGURES
from tests.support.deciding import projection


def test_reckoned_fields_were_never_agreed_by_an_older_translation() -> None:
    """A base from before they were shown says nothing of them: else a blank there would pass for a person's clear."""
    before = projection()
    shown = before.with_figures(FIGURES)
    figure = next(iter(FIGURES))
    assert not before.covers(figure)
    assert shown.covers(figure)
    assert shown.fields == (*before.fields, *FIGURES)
    base = {figure: ("1.00", "1.00"), "name": ("Ada", "Ada")}
    assert shown.still_agreed(base, shown.translation) == base
    assert figure not in shown.still_agreed(base, shown.translation - 1)
