"""Random invoices through every pair of translations: 0 smallest units off, and every unmapped line held.

`python -m tests.campaigns.papers [NUMBER] [--jobs N] [--first N] [--state FILE]`: invoices drawn from the seeds FIRST
to FIRST + NUMBER - 1. Each is told by Stripe and by QuickBooks in their own JSON (by the registry alone where neither
can say it), read, copied step by step to every other provider, and read again from the bytes which that provider would
tell. Copies of one in `SAMPLED` go through the real connectors and the look-alikes as well, which must tell the same.
With a state file a run that was ended goes on where it was. Exit 1 when an amount is off, or when something is held
that should not be, or not held that should.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.errors import RejectedError, ReplyError
from core.model.documents import Invoice, Line, breaches
from core.model.paper import WantedDocument
from core.ports import ConnectionConfig, DocumentTranslator
from tests.support.copyist import Copyist
from tests.support.drawn import PLACES, Drawn, draw, invoice_of, told_by_quickbooks, told_by_stripe
from tests.support.kept import Kept, KeptByHubSpot, KeptByQuickBooks, KeptByStripe
from tests.support.world import PROVIDERS, SETTINGS

MARK = "instance.mapping.1"
CHUNK = 1000
SAMPLED = 400
MOST_STEPS = 9
OPEN = {"mirror_open_invoices": "yes"}
MAPPED = "us, mapped"
COMPUTE = ("us that computes", "vat")
Edition = tuple[QuickBooksSettings, Mapping[str, str], Mapping[str, str]]
"""The account, settings of the connection, its items."""
BOOKS: Mapping[str, Edition] = {
    "us": (QuickBooksSettings(), {"default_item": "1"}, {}),
    MAPPED: (QuickBooksSettings(), {"default_item": ""}, {"prod_a": "1", "prod_b": "2"}),
    "us that computes": (
        QuickBooksSettings(takes_told_tax=False),
        {"default_item": "1", "rounding_item": "2", "tax_override": "no", "tax_codes": "8.25:TAX, 0:NON"},
        {},
    ),
    "vat": (
        QuickBooksSettings(country="DE"),
        {"default_item": "1", "rounding_item": "2", "tax_override": "no", "tax_codes": "19:5, 7:7, 0:2"},
        {},
    ),
}
"""How the books are kept that copies go to: `MAPPED` know two products and no other item, `COMPUTE` compute tax."""
ANY = (0, 0, 700, 825, 1900)
RATES = {"us that computes": (0, 825), "vat": (0, 700, 1900)}
"""Taxes of invoices that go to books which compute: hundredths of a percent. Other taxes they would hold."""
CUSTOMERS = {"stripe": "cus_1", "hubspot": "contact:101", "quickbooks": "1"}


def translator(name: str, settings: Mapping[str, str], items: Mapping[str, str]) -> DocumentTranslator:
    """One connection's translation of documents."""
    build = PROVIDERS[name].documents
    assert build is not None
    return build(ConnectionConfig(name, name, {**SETTINGS[name], **settings}, items=dict(items)))


@dataclass
class Tally:
    """What came of so many invoices. `copies` and `held` by pair and kind of currency."""

    invoices: int = 0
    copies: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    booked: Counter[str] = field(default_factory=Counter)
    """Copies in the books of each edition."""
    unmapped_lines: int = 0
    unmapped_held: int = 0
    sampled: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Both together."""
        for name in ("invoices", "unmapped_lines", "unmapped_held", "sampled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.copies += other.copies
        self.held += other.held
        self.reasons += other.reasons
        self.booked += other.booked
        self.violations += other.violations

    def summary(self) -> dict[str, Any]:
        """JSON-able."""
        text = "\n".join(sorted(self.violations))
        return {
            "invoices": self.invoices,
            "copies": sum(self.copies.values()),
            "held": sum(self.held.values()),
            "by_pair_and_currency": {
                name: {"equal": self.copies[name], "held": self.held[name]}
                for name in sorted({*self.copies, *self.held})
            },
            "booked": dict(self.booked),
            "held_for": dict(self.reasons.most_common()),
            "unmapped_lines": self.unmapped_lines,
            "of_them_held": self.unmapped_held,
            "through_look_alikes": self.sampled,
            "violations": len(self.violations),
            "first_violations": sorted(self.violations)[:20],
            "digest_of_violations": hashlib.sha256(text.encode()).hexdigest()[:16] if text else None,
        }


class Mill:
    """All translations, built once for each process."""

    def __init__(
        self,
        *,
        editions: Mapping[str, Edition] = BOOKS,
        stripe: DocumentTranslator | None = None,
        sampled: int = SAMPLED,
    ) -> None:
        """As the daemon would; `sampled`: copies of one invoice in so many go through the real connectors."""
        self.stripe = stripe or translator("stripe", OPEN, {})
        self.hubspot = translator("hubspot", {}, {})
        self.books = {
            name: translator("quickbooks", settings, items) for name, (_, settings, items) in editions.items()
        }
        self._editions, self._sampled = editions, sampled
        self.tally = Tally()
        self._copyists: dict[str, Copyist] = {}

    # ---- one invoice -----------------------------------------------------------------------------------

    def grind(self, seed: int) -> None:
        """One seed: told by each origin, copied everywhere else."""
        rng = Random(seed)
        edition = rng.choice(tuple(self._editions))
        drawn = draw(rng, seed, rates=RATES.get(edition, ANY))
        self.tally.invoices += 1
        for origin, invoice in self._told(seed, drawn):
            for mirror in ("stripe", "hubspot", "quickbooks"):
                if mirror != origin:
                    self._copy(f"seed {seed}", drawn, (origin, mirror), invoice, edition)

    def _told(self, seed: int, drawn: Drawn) -> Iterator[tuple[str, Invoice]]:
        finer = PLACES[drawn.currency] == 3 and any(
            one % 10 for row in drawn.rows for one in (row.amount, row.discount, row.tax, drawn.paid, drawn.credited)
        )
        if finer:  # neither of them can say such amounts
            yield "registry", invoice_of(drawn)
            return
        for origin, of, raw in (
            ("stripe", self.stripe, msgspec.json.encode(told_by_stripe(drawn))),
            ("quickbooks", self.books["us"], told_by_quickbooks(drawn).encode()),
        ):
            if origin == "quickbooks" and drawn.is_lost:
                continue  # it has no such state
            try:
                invoice = of.read("invoice", raw).document
            except ReplyError as error:
                self.tally.violations.append(f"seed {seed}: read from {origin}: {error}")
                continue
            assert isinstance(invoice, Invoice)
            for problem in _misread(drawn, invoice, origin):
                self.tally.violations.append(f"seed {seed}: read from {origin}: {problem}")
            yield origin, invoice

    def _copy(self, place: str, drawn: Drawn, pair: tuple[str, str], invoice: Invoice, edition: str) -> None:
        origin, mirror = pair
        name = f"{origin} to {mirror}, {drawn.money}"
        place = f"{place}: {name}, {edition}"
        wanted = msgspec.structs.replace(invoice, id="", customer=CUSTOMERS[mirror])
        unmapped = unmapped_lines(wanted) if (mirror, edition) == ("quickbooks", MAPPED) else []
        self.tally.unmapped_lines += len(unmapped)
        must = must_be_held(wanted, mirror)
        try:
            copy = self._brought(mirror, edition, wanted)
        except RejectedError as refused:
            self.tally.held[name] += 1
            self.tally.unmapped_held += len(unmapped)
            self.tally.reasons[f"{mirror}: {_where(refused.field)}"] += 1
            may = must or (mirror == "quickbooks" and edition in COMPUTE)
            if not refused.field or not (may or refused.field in unmapped):
                self.tally.violations.append(f"{place}: held for nothing: {refused.field}: {refused}")
            return
        except ReplyError as error:
            self.tally.violations.append(f"{place}: the copy cannot be read: {error}")
            return
        self.tally.copies[name] += 1
        self.tally.booked.update([edition] if mirror == "quickbooks" else [])
        if must or unmapped:
            self.tally.violations.append(f"{place}: should have been held")
        for problem in unequal(wanted, copy, mirror):
            self.tally.violations.append(f"{place}: {problem}")
        if self.tally.invoices % self._sampled == 0:
            self._compare(place, mirror, edition, wanted, copy)

    def _compare(self, place: str, mirror: str, edition: str, wanted: Invoice, kept: Invoice) -> None:
        """The look-alike, behind the real connector, tells what `tests.support.kept` does."""
        key = edition if mirror == "quickbooks" else mirror
        if key not in self._copyists:
            account, settings, items = self._editions.get(key, (None, OPEN if mirror == "stripe" else {}, {}))
            self._copyists[key] = Copyist(mirror, settings, items, account)
            asyncio.run(self._copyists[key].prepare())
        seen = asyncio.run(self._copyists[key].copied(wanted))
        self.tally.sampled += 1
        if _without_ids(seen) != _without_ids(kept):
            self.tally.violations.append(f"{place}: the look-alike tells {seen}, not {kept}")

    def reader(self, mirror: str, edition: str) -> DocumentTranslator:
        """The translation of where a copy goes."""
        return (
            self.books[edition] if mirror == "quickbooks" else {"stripe": self.stripe, "hubspot": self.hubspot}[mirror]
        )

    def _brought(self, mirror: str, edition: str, wanted: Invoice) -> Invoice:
        kept: Kept = KeptByQuickBooks(self._editions[edition][0]) if mirror == "quickbooks" else _KEEPERS[mirror]()
        documents, raw = self.reader(mirror, edition), None
        for _ in range(MOST_STEPS):
            step = documents.step(WantedDocument(document=wanted, mark=MARK), raw)
            if step is None:
                assert raw is not None
                copy = documents.read("invoice", raw).document
                assert isinstance(copy, Invoice)
                return copy
            raw = kept.take(step)
            wanted = wanted if wanted.id else msgspec.structs.replace(wanted, id=kept.id)
        raise AssertionError(f"the steps to {mirror} never end: {wanted}")


# ---- judging: in whole numbers, without the product's money ------------------------------------------------


def minor(amount: Decimal, currency: str) -> int:
    """Smallest units; ValueError for what is none."""
    found = amount.scaleb(PLACES[currency])
    if found != int(found):
        raise ValueError(f"{amount} {currency} is no whole number of smallest units")
    return int(found)


def _misread(drawn: Drawn, invoice: Invoice, origin: str) -> Iterator[str]:
    """What reading made of an invoice, against what was drawn."""
    told = {name: minor(getattr(invoice, name), drawn.currency) for name in _SUMS}
    wanted = {"tax": drawn.tax, "total": drawn.total, "due": 0 if drawn.is_lost else drawn.left}
    if origin == "stripe":
        wanted |= {"paid": drawn.paid, "credited": drawn.credited, "written_off": drawn.left if drawn.is_lost else 0}
    else:
        wanted |= {"paid": drawn.paid + drawn.credited}  # told apart by payments and credit memos
    for name, value in wanted.items():
        if told[name] != value:
            yield f"{name} is {told[name]}, not {value}"
    if told["subtotal"] - told["discount"] != drawn.net:
        yield f"before tax it is {told['subtotal']} - {told['discount']}, not {drawn.net}"
    if len(invoice.lines) != len(drawn.rows):
        yield f"{len(invoice.lines)} lines of {len(drawn.rows)}"
    for line, row in zip(invoice.lines, drawn.rows, strict=False):
        net = minor(line.amount, drawn.currency) - minor(line.discount, drawn.currency)
        if origin == "stripe" and (net, minor(line.tax, drawn.currency)) != (row.amount - row.discount, row.tax):
            yield f"line {line.id} is {net} and {line.tax}, not {row.amount - row.discount} and {row.tax}"
    yield from (f"{one.field} {one.problem}" for one in breaches(invoice))


_KEEPERS: Mapping[str, Callable[[], Kept]] = {"stripe": KeptByStripe, "hubspot": KeptByHubSpot}
_SUMS = ("subtotal", "discount", "tax", "total", "paid", "credited", "written_off", "due")


def unequal(wanted: Invoice, copy: Any, mirror: str) -> Iterator[str]:
    """What of a finished copy is not what its document is, to the smallest unit."""
    currency = wanted.currency
    whole = ("subtotal", "discount", "tax", "total")
    names = (*whole, "paid", "credited", "written_off", "due") if mirror == "hubspot" else whole
    for name in names:
        one, other = minor(getattr(wanted, name), currency), minor(getattr(copy, name), currency)
        if one != other:
            yield f"{name} is {other}, not {one}"
    for name in ("currency", "number", "customer", "issued_on", "due_on"):
        if getattr(wanted, name) != getattr(copy, name):
            yield f"{name} is {getattr(copy, name)!r}, not {getattr(wanted, name)!r}"
    if mirror != "hubspot" and minor(copy.paid, currency):
        yield f"{copy.paid} of the copy is paid, before any payment was copied"
    mine, its = ([_worth(line, currency, mirror) for line in some.lines] for some in (wanted, copy))
    if mine != its:
        yield f"its lines are {its}, not {mine}"


def _worth(line: Line, currency: str, mirror: str) -> tuple[int, ...]:
    # QuickBooks tells tax of a whole form
    names = ("amount", "discount") if mirror == "quickbooks" else ("amount", "discount", "tax")
    return tuple(minor(getattr(line, name), currency) for name in names)


def _without_ids(invoice: Invoice) -> Invoice:
    lines = tuple(msgspec.structs.replace(line, id=str(place)) for place, line in enumerate(invoice.lines))
    return msgspec.structs.replace(invoice, id="", customer="", lines=lines)


def must_be_held(wanted: Invoice, mirror: str) -> bool:
    """Whether the provider has no way to say such an invoice, by what its documentation says of amounts."""
    amounts = [value for line in wanted.lines for value in (line.amount, line.discount)]
    # QuickBooks is told the sum of all taxes, which may be what its parts are not; what is paid, payments tell
    amounts += [line.tax for line in wanted.lines] if mirror == "stripe" else [wanted.tax]
    if mirror == "hubspot":
        return False
    if mirror == "quickbooks" and wanted.status == "uncollectible":
        return True
    is_too_fine = PLACES[wanted.currency] == 3 and any(minor(one, wanted.currency) % 10 for one in amounts)
    return is_too_fine or (
        mirror == "stripe" and any(line.tax < 0 or (line.tax and line.amount < 0) for line in wanted.lines)
    )


def unmapped_lines(wanted: Invoice) -> list[str]:
    """Lines that the books which know two products only can book on no item, as a hold names them."""
    return [f"line {line.id}" for line in wanted.lines if line.product not in BOOKS[MAPPED][2]]


def _where(told: str | None) -> str:
    """`lines.il_7.amount`, `line il_7.amount` -> `line.amount`: reasons, not places."""
    return re.sub(r"^lines?[ .][^.]*", "line", told or "")


# ---- running ---------------------------------------------------------------------------------------------


def ground(chunk: tuple[int, int], mill: Mill | None = None) -> Tally:
    """Seeds from the first to the one before the last, in one process."""
    mill = mill or Mill()
    for seed in range(*chunk):
        mill.grind(seed)
    return mill.tally


def run(first: int, number: int, jobs: int, state: Path | None) -> Tally:
    """All of them; what is done is kept in `state` after every chunk."""
    whole, done = _known(state, first)
    last = first + number
    chunks = [(start, min(start + CHUNK, last)) for start in range(done, last, CHUNK)]
    started = time.monotonic()
    with get_context("spawn").Pool(jobs) as pool:
        for (_, end), tally in zip(chunks, pool.imap(ground, chunks), strict=True):
            whole.add(tally)
            if state is not None:
                _keep(state, end, whole)
            rate = (end - done) / (time.monotonic() - started)
            print(f"--first {end}: {len(whole.violations)} violations, {rate:.0f}/s", file=sys.stderr, flush=True)
    return whole


def _keep(state: Path, end: int, whole: Tally) -> None:
    told = {"next": end, "tally": vars(whole)}
    beside = state.with_suffix(".new")
    beside.write_text(json.dumps(told), encoding="utf-8")
    beside.replace(state)


def _known(state: Path | None, first: int) -> tuple[Tally, int]:
    if state is None or not state.exists():
        return Tally(), first
    told = json.loads(state.read_text(encoding="utf-8"))
    tally = told["tally"]
    for name in ("copies", "held", "reasons", "booked"):
        tally[name] = Counter(tally.get(name, {}))
    return Tally(**tally), told["next"]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--state", type=Path)
    told = parser.parse_args()
    found = run(told.first, told.number, told.jobs, told.state).summary()
    print(json.dumps({"first": told.first, **found}, indent=1))
    is_clean = not found["violations"] and found["unmapped_lines"] == found["of_them_held"]
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
