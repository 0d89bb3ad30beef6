"""Random invoices through every pair of translations; the campaign `tests.campaigns.papers` plays a million."""

from __future__ import annotations

from typing import Any

import msgspec

from core.model.documents import Invoice
from core.model.paper import RemoteDocument, Step, WantedDocument
from tests.campaigns.papers import BOOKS, MAPPED, OPEN, Mill, ground, translator
from tests.support.drawn import PLACES

INVOICES_IN_CI = 300
_SUMS = ("subtotal", "discount", "tax", "total", "paid", "credited", "written_off", "due")


def test_no_pair_of_translations_is_a_smallest_unit_off() -> None:
    """Whole numbers were drawn, and whole numbers must arrive, in all currencies; or the document is held."""
    tally = ground((1, INVOICES_IN_CI + 1), Mill(sampled=100))

    assert tally.violations == []
    pairs = {name.partition(",")[0] for name in tally.copies}
    billed = {f"{one} to {other}" for one in ("stripe", "quickbooks") for other in ("stripe", "hubspot", "quickbooks")}
    assert pairs >= billed - {"stripe to stripe", "quickbooks to quickbooks"}
    kinds = {name.partition(", ")[2] for name in tally.copies}
    assert kinds == {"0 decimals", "2 decimals", "3 decimals", "special"}
    assert tally.sampled > 0
    # books that compute tax may hold what they cannot compute; most of it they can
    assert all(tally.booked[name] > INVOICES_IN_CI // 20 for name in BOOKS), tally.booked


def test_every_line_whose_product_is_mapped_to_nothing_is_held() -> None:
    """And no other line of those books is, but for amounts that they cannot keep."""
    tally = ground((1, 201))

    assert tally.unmapped_lines > 50
    assert tally.unmapped_held == tally.unmapped_lines


class Coarse:
    """Reads Stripe's yen as if they had hundredths that were left out."""

    def __init__(self) -> None:
        """Everything else as Stripe's translation does."""
        self._real = translator("stripe", OPEN, {})

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """A hundred times as much, in sum and in every line."""
        found = self._real.read(kind, raw)
        invoice = found.document
        assert isinstance(invoice, Invoice)
        if PLACES[invoice.currency]:
            return found
        lines = tuple(_hundredfold(one, "amount", "discount", "tax") for one in invoice.lines)
        invoice = _hundredfold(msgspec.structs.replace(invoice, lines=lines), *_SUMS)
        return msgspec.structs.replace(found, document=invoice)

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        """As ever."""
        return self._real.step(wanted, current)


def _hundredfold(struct: Any, *names: str) -> Any:
    return msgspec.structs.replace(struct, **{name: getattr(struct, name) * 100 for name in names})


def test_a_mill_that_grinds_too_coarsely_is_noticed() -> None:
    """A judge that is never wrong may be blind: books that take every line on one item, and yen times a hundred."""
    account, settings, items = BOOKS[MAPPED]
    lax = {**BOOKS, MAPPED: (account, {**settings, "default_item": "1"}, items)}
    booked = ground((1, 101), Mill(editions=lax)).violations
    coarse = ground((1, 31), Mill(stripe=Coarse())).violations

    assert any("should have been held" in one for one in booked)
    assert any("read from stripe: total is" in one for one in coarse)
    assert ground((1, 101)).violations == []
