"""Random invoices through every pair of translations; the campaign `tests.campaigns.papers` plays a million."""

from __future__ import annotations

from typing import Any

import pytest

from tests.campaigns import papers
from tests.campaigns.papers import BOOKS, Mill, ground

INVOICES_IN_CI = 300


def test_no_pair_of_translations_is_a_smallest_unit_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers were drawn, and whole numbers must arrive, in all currencies; or the document is held."""
    monkeypatch.setattr(papers, "SAMPLED", 100)
    tally = ground((1, INVOICES_IN_CI + 1))

    assert tally.violations == []
    pairs = {name.partition(",")[0] for name in tally.copies}
    billed = {f"{one} to {other}" for one in ("stripe", "quickbooks") for other in ("stripe", "hubspot", "quickbooks")}
    assert pairs >= billed - {"stripe to stripe", "quickbooks to quickbooks"}
    kinds = {name.partition(", ")[2] for name in tally.copies}
    assert kinds == {"0 decimals", "2 decimals", "3 decimals", "special"}
    assert tally.sampled > 0


def test_every_line_whose_product_is_mapped_to_nothing_is_held() -> None:
    """And no other line of those books is, but for amounts that they cannot keep."""
    tally = ground((1, 201))

    assert tally.unmapped_lines > 50
    assert tally.unmapped_held == tally.unmapped_lines


def test_a_mill_that_grinds_too_coarsely_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that is never wrong may be blind: books that take every line on one item, and yen times a hundred."""
    account, settings, items = BOOKS[papers.MAPPED]
    monkeypatch.setitem(BOOKS, papers.MAPPED, (account, {**settings, "default_item": "1"}, items))  # type: ignore[arg-type]
    booked = ground((1, 101)).violations
    monkeypatch.undo()
    monkeypatch.setattr("connectors.stripe.translate.money.places", _two)
    mill = Mill()
    for seed in range(1, 31):
        mill.grind(seed)

    assert any("should have been held" in one for one in booked)
    assert any("read from stripe: subtotal" in one and "finer than" in one for one in mill.tally.violations)


def _two(_currency: Any) -> int:
    return 2
