"""What must hold of documents while Accord writes, and at rest: the systems are read, what clerks did judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from connectors.quickbooks.connector import batch_id, request_id
from core.model.documents import KINDS, Invoice
from core.ports import Write
from core.sandbox.lookalike import Mutation
from core.store import documents
from core.store.database import Tx
from core.store.tables import DOCUMENTS, HOLDS, INTENTS, MAPPINGS
from core.sync.hub import KIND
from tests.simulation.clerks import DELETED, EVERYWHERE, Clerks, Named, Shown
from tests.simulation.routes import MIRRORS
from tests.simulation.tape import REGISTRY, SYSTEMS, Billing

if TYPE_CHECKING:
    from tests.simulation.site import Site
    from tests.simulation.world import SimWorld

STANDING: Final = ("succeeded", "issued")
FIXED: Final = ("currency", "total", "tax")
PAYABLE: Final = ("AllowOnlineCreditCardPayment", "AllowOnlineACHPayment")
SETTLED: Final = ("status", "due")

_OF_DOCUMENTS: Final = (
    sa.select(*(INTENTS.c[name] for name in ("key", "action", "kind", "remote_id", "body", "batch")))
    .where(INTENTS.c.connection == sa.bindparam("connection"), INTENTS.c.kind != KIND)
    .order_by(INTENTS.c.sent_at.desc())
)


class Audit:
    """The judge of one world's documents."""

    def __init__(self, world: SimWorld, billing: Billing) -> None:
        """Know nothing yet."""
        self._world, self._clerks, self._billing = world, world.clerks, billing
        self._mirrors = MIRRORS[billing.route]

    def written(self, site: Site, one: Mutation) -> None:
        """I2: an intent was there first. F3: Accord makes copies and changes its own, never what people made."""
        key = (site.name, one.kind, one.id)
        if one.request_key and not self._world.db.read_now(lambda tx: _is_intended(tx, site.name, one)):
            self._fail(f"I2: {one.action} of {key} has no committed intent (key {one.request_key})")
        if one.action == "create":
            self._clerks.ours.add(key)
        elif one.kind in KINDS and key not in self._clerks.ours:
            self._fail(f"F3: {one.action} of {key}, which people made")

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(problem)

    def at_rest(self, tx: Tx) -> None:
        """Everything that must hold of documents once the world has come to rest."""
        rest = _Rest(self._world, self._clerks, self._billing, tx)
        for named, one in rest.originals["invoice"].items():
            for mirror in self._mirrors.get(named.system, ()):
                self._invoice(rest, named, one, mirror)
        for named, one in rest.originals["payment"].items():
            for mirror in (
                rest.books_among(self._mirrors.get(named.system, ())) if named in self._clerks.settles else ()
            ):
                self._payment(rest, named, one, mirror)
        for named, one in rest.originals["credit_note"].items():
            for mirror in rest.books_among(self._mirrors.get(named.system, ())):
                self._note(rest, named, one, mirror)
        self._unpayable()
        self._strays(rest)
        self._sums(rest)
        self._spoiled(rest)
        self._registry(rest)
        self._count(rest)

    # ---- invoices --------------------------------------------------------------------------------------

    def _invoice(self, rest: _Rest, named: Named, one: Shown, mirror: str) -> None:
        copies = rest.copies(mirror, "invoice", one["number"])
        what = f"{mirror}: invoice {one['number']} of {named.system}"
        if len(copies) > 1:
            self._fail(f"F: {what} is there {len(copies)} times")
        elif one["status"] == "draft":
            if copies:
                self._fail(f"F: {what} is a draft and was copied")
        elif not copies:
            if one["status"] != "void":
                self._excused(rest, named, mirror, f"{what} is not there", rest.excuses(named, mirror))
        else:
            self._equal(rest, named, one, mirror, copies[0], what)

    def _equal(self, rest: _Rest, named: Named, one: Shown, mirror: str, copy: Shown, what: str) -> None:
        own, around = rest.excuses(named, mirror), rest.excuses_around(named, mirror)
        wrong = [*_fixed(one, copy), *rest.wrong_customer(named, one, mirror, copy)] if one["status"] != "void" else []
        if wrong:
            self._excused(rest, named, mirror, f"{what} has {', '.join(wrong)}", own)
        unsettled = [f"{name} {copy[name]}, not {one[name]}" for name in SETTLED if copy[name] != one[name]]
        if unsettled:
            self._excused(rest, named, mirror, f"{what} has {', '.join(unsettled)}", around)
        if not wrong and not unsettled:
            self._world.reached["a copy is equal to its document"] += 1
        if rest.is_held(named, mirror) and not around:
            self._fail(f"F: {what} is held for no reason: {rest.told(named)}")

    def _excused(self, rest: _Rest, named: Named, mirror: str, problem: str, excuses: set[str]) -> None:
        """Not equal: there must be a cause, and a person must be asked, unless it waits for its customer."""
        if not excuses:
            self._fail(f"F1: {problem} ({rest.told(named) or 'nobody is asked'})")
        elif not (rest.is_asked(named, mirror) or excuses & _Rest.UNASKED):
            self._fail(f"F1: {problem} since {sorted(excuses)}, and nobody is asked")
        else:
            self._world.reached["a document is held with a reason"] += 1

    def _unpayable(self) -> None:
        """An invoice has one collector, its origin: no copy can be paid, or was mailed to anybody."""
        for system in SYSTEMS:
            raw = self._world.sites[system].lookalike.objects("invoice")
            for name, copy in self._clerks.copies(system, "invoice").items():
                ways = [copy.get(flag) for flag in ("is_payable", "is_collected", "mails")]
                if any([*ways, *(raw[name].get(flag) for flag in PAYABLE)]):
                    self._fail(f"F: the copy {name} at {system} can be paid, or was mailed")

    # ---- payments and credit notes ---------------------------------------------------------------------

    def _payment(self, rest: _Rest, named: Named, one: Shown, mirror: str) -> None:
        is_wanted = one["status"] == "succeeded" and named not in self._clerks.gone
        for part in one["applications"]:
            there = rest.parts(mirror).get((one["currency"], Decimal(part["amount"])), [])
            number = rest.number(Named(named.system, "invoice", part["invoice"]))
            what = f"{mirror}: payment {one['currency']} {part['amount']} of {named.system}"
            if len(there) > 1:
                self._fail(f"F4: {what} is there {len(there)} times")
            elif there and there[0] != number:
                self._excused(rest, named, mirror, f"{what} settles {there[0]}", rest.excuses_around(named, mirror))
            elif len(there) != is_wanted:
                problem = f"{what} is there {len(there)} times, and is {one['status']}"
                self._excused(rest, named, mirror, problem, rest.excuses_around(named, mirror))
            else:
                self._world.reached["a payment's copy is as it is"] += 1
        if rest.is_held(named, mirror) and not rest.excuses_around(named, mirror):
            self._fail(f"F: a payment {one} is held for no reason: {rest.told(named)}")

    def _note(self, rest: _Rest, named: Named, one: Shown, mirror: str) -> None:
        there = [copy for copy in rest.copies(mirror, "credit_note", one["number"]) if copy["status"] in STANDING]
        is_wanted = one["status"] == "issued" and named not in self._clerks.gone
        what = f"{mirror}: credit note {one['number']} of {named.system}"
        around = rest.excuses_around(named, mirror)
        if len(there) > 1:
            self._fail(f"F4: {what} is there {len(there)} times")
        elif len(there) != is_wanted:
            self._excused(rest, named, mirror, f"{what} is there {len(there)} times, and is {one['status']}", around)
        elif there:
            names = ("currency", "total", "applied")
            wrong = [f"{name} {there[0][name]}, not {one[name]}" for name in names if there[0][name] != one[name]]
            if wrong:
                self._excused(rest, named, mirror, f"{what} has {', '.join(wrong)}", around)
            else:
                self._world.reached["a credit note's copy is as it is"] += 1
        if rest.is_held(named, mirror) and not around:
            self._fail(f"F: {what} is held for no reason: {rest.told(named)}")

    # ---- everything ------------------------------------------------------------------------------------

    def _strays(self, rest: _Rest) -> None:
        """Nothing carries our marker that is a copy of nothing."""
        for system in SYSTEMS:
            numbers = {one["number"] for named, one in rest.originals["invoice"].items() if named.system != system}
            for name, one in self._clerks.copies(system, "invoice").items():
                if one["number"] not in numbers:
                    self._fail(f"F: {system} {name} with the number {one['number']!r} is a copy of nothing")
            paid = {
                (one["currency"], Decimal(part["amount"]))
                # the books forget what a payment came to once it is void; its copy may have been made before
                for named, one in (*rest.originals["payment"].items(), *self._clerks.unpaid.items())
                if named.system != system
                for part in one["applications"]
            }
            for key in rest.parts(system):
                if key not in paid:
                    self._fail(f"F4: {system} has a payment of {key} that nobody made")

    def _sums(self, rest: _Rest) -> None:
        """F4: payments + credits + write-offs + balance = total, at every system."""
        for system in SYSTEMS:
            for name, one in rest.shown[system]["invoice"].items():
                if one["status"] == "void" or (system, one["status"]) == ("hubspot", "uncollectible"):
                    continue
                if one["status"] == "draft" and one.get("mark"):
                    continue
                parts = [Decimal(one.get(part) or 0) for part in ("paid", "credited", "written_off", "due")]
                if sum(parts) != Decimal(one["total"]):
                    self._fail(f"F4: {system} {name}: {parts} are not {one['total']}")
        for name, one in rest.shown["stripe"]["invoice"].items():
            paid = sum(
                (Decimal(part["amount"]) for payment in rest.shown["stripe"]["payment"].values()
                 if payment["status"] == "succeeded" for part in payment["applications"] if part["invoice"] == name),
                Decimal(0),
            )  # fmt: skip
            if paid != Decimal(one["paid"]):
                self._fail(f"F4: stripe {name} says it is paid {one['paid']}, its payments are {paid}")

    def _spoiled(self, rest: _Rest) -> None:
        """What a person made of a copy's amounts stands."""
        for (system, name), left in self._clerks.spoiled.items():
            now = rest.shown[system]["invoice"].get(name)
            if now is not None and now["status"] != "void" and now["lines"] != left["lines"]:
                self._fail(f"F: {system} {name} was {left['lines']} by a person, and was overwritten: {now['lines']}")

    def _registry(self, rest: _Rest) -> None:
        """The registry knows each document as it is where it was made, and what settles it."""
        for kind in KINDS:
            papers = {(one.origin, one.remote_id): one for one in documents.page(rest.tx, kind=kind, limit=10_000)}
            for named, one in rest.originals[kind].items():
                paper = papers.get((named.system, named.id))
                is_expected = kind == "payment" and named not in self._clerks.settles
                if (
                    self._clerks.causes.get(named, {}).get(EVERYWHERE)
                    or named.system not in self._mirrors
                    or is_expected
                ):
                    continue
                if not rest.is_customer_known(named.system, one["customer"]):
                    continue  # it waits, and so does what is told of it later
                if paper is None:
                    self._fail(f"F1: the registry does not know {named}: {one}")
                    continue
                self._known(rest, named, one, paper.document)

    def _known(self, rest: _Rest, named: Named, one: Shown, known: Any) -> None:
        if known.status != one["status"]:
            self._fail(f"F1: the registry has {named} as {known.status}, and it is {one['status']}")
        names = {"payment": ("amount", "refunded"), "credit_note": ("total", "tax", "applied")}
        for name in names.get(named.kind, ("total", "tax", "due")) if one["status"] != "void" else ():
            if getattr(known, name) != Decimal(one[name]):
                self._fail(f"F1: the registry has {named} with {name} {getattr(known, name)}, and it is {one[name]}")
        if isinstance(known, Invoice) and known.status != "void" and not rest.excuses_around(named, EVERYWHERE):
            settled = documents.settled(rest.tx, known.id)
            if settled != known.paid + known.credited:
                self._fail(f"F4: the registry has {named} settled by {settled}, and {known.paid + known.credited}")

    def _count(self, rest: _Rest) -> None:
        reached = self._world.reached
        reached["worlds with documents"] += 1
        for kind in KINDS:
            reached[f"documents: {kind}"] += len(rest.originals[kind])
            for system in SYSTEMS:
                reached[f"copies: {kind}"] += len(self._clerks.copies(system, kind))
        reached["documents: held"] += len(rest.holds)


class _Rest:
    """The documents of all systems at rest, looked up once."""

    UNASKED: Final = frozenset({"its customer is not there", DELETED})
    """Nobody needs to be asked: it waits, or was deleted before anybody saw it."""

    def __init__(self, world: SimWorld, clerks: Clerks, billing: Billing, tx: Tx) -> None:
        self._world, self._clerks, self._billing, self.tx = world, clerks, billing, tx
        self.shown = {system: {kind: clerks.shown(system, kind) for kind in KINDS} for system in SYSTEMS}
        self.originals = {kind: clerks.originals(kind) for kind in KINDS}
        self.holds = _held(tx)
        self._copies: dict[tuple[str, str, str], list[Shown]] = {}
        for system in SYSTEMS:
            for kind in ("invoice", "credit_note"):
                for one in clerks.copies(system, kind).values():
                    self._copies.setdefault((system, kind, one["number"]), []).append(one)
        self._parts: dict[str, dict[tuple[str, Decimal], list[str]]] = {name: self._parts_at(name) for name in SYSTEMS}
        self._bound = self._bonds()

    def _parts_at(self, system: str) -> dict[tuple[str, Decimal], list[str]]:
        found: dict[tuple[str, Decimal], list[str]] = {}
        for one in self._clerks.copies(system, "payment").values():
            if one["status"] == "succeeded":
                for part in one["applications"]:
                    number = self.shown[system]["invoice"].get(part["invoice"], {}).get("number", "")
                    found.setdefault((one["currency"], Decimal(part["amount"])), []).append(number)
        return found

    def _bonds(self) -> dict[Named, set[Named]]:
        """Documents that settle each other, however far apart: what keeps one keeps the sums of all."""
        found: dict[Named, set[Named]] = {}
        for one, invoices in self._clerks.settles.items():
            group = {one}
            for name in invoices:
                group |= found.get(invoice := Named(one.system, "invoice", name), {invoice})
            for member in group:
                found[member] = group
        return found

    def copies(self, system: str, kind: str, number: str) -> Sequence[Shown]:
        """Those with our marker and this number."""
        return self._copies.get((system, kind, number), ())

    def parts(self, system: str) -> Mapping[tuple[str, Decimal], Sequence[str]]:
        """What copies of payments settle: by currency and amount, the invoices' numbers."""
        return self._parts[system]

    def number(self, invoice: Named) -> str:
        """The number of an invoice where it was made."""
        return str(self.originals["invoice"].get(invoice, {}).get("number", ""))

    @staticmethod
    def books_among(mirrors: Sequence[str]) -> Sequence[str]:
        """Mirrors that have payments and credit notes."""
        return [one for one in mirrors if one != "hubspot"]

    # ---- excuses ---------------------------------------------------------------------------------------

    def excuses(self, named: Named, mirror: str) -> set[str]:
        """Why one document may differ at a mirror."""
        causes = self._clerks.causes.get(named, {})
        found = causes.get(mirror, set()) | causes.get(EVERYWHERE, set())
        one = self.originals[named.kind].get(named)
        if one is None or mirror == EVERYWHERE:
            return found
        there = self._counterpart(named.system, one["customer"], mirror)
        if there is None:
            found = found | {"its customer is not there"}
        elif self._is_inactive(mirror, there):
            found = found | {"its customer is inactive there"}
        if mirror == "stripe" and any(_has_three_decimals(line) for line in one.get("lines", ())):
            found = found | {"Stripe has no third decimal"}
        if mirror == "stripe" and named.kind == "invoice" and one["status"] in ("open", "uncollectible"):
            found = found if self._billing.mirrors_open else found | {"it may not be open there"}
        return found

    def excuses_around(self, named: Named, mirror: str) -> set[str]:
        """The same, with all that settles it or that it settles."""
        return {why for one in self._bound.get(named, {named}) for why in self.excuses(one, mirror)}

    def _counterpart(self, system: str, customer: str, mirror: str) -> str | None:
        return self._world.checks.counterpart(self.tx, system, customer, mirror)

    def is_customer_known(self, system: str, customer: str) -> bool:
        """Whether the registry has whom it was billed to."""
        return self._counterpart(system, customer, REGISTRY) is not None

    def _is_inactive(self, mirror: str, customer: str) -> bool:
        there = self._world.sites[mirror].lookalike.neutral("customer").get(customer)
        return there is None or there.get("status") == "inactive"

    def wrong_customer(self, named: Named, one: Shown, mirror: str, copy: Shown) -> Iterator[str]:
        """A copy is billed to the same customer."""
        there = self._counterpart(named.system, one["customer"], mirror)
        if there is not None and copy["customer"] != there:
            yield f"the customer {copy['customer']}, not {there}"

    # ---- holds -----------------------------------------------------------------------------------------

    def is_held(self, named: Named, mirror: str) -> bool:
        """Whether a person is asked about this copy."""
        return mirror in self.holds.get(named, {})

    def is_asked(self, named: Named, mirror: str) -> bool:
        """Whether a person is asked about the copy, the document, or what is settled with it."""
        bound = self._bound.get(named, {named})
        return any({mirror, one.system} & self.holds.get(one, {}).keys() for one in bound)

    def told(self, named: Named) -> str:
        """What people are asked."""
        return "; ".join(f"{name}: {why}" for name, why in sorted(self.holds.get(named, {}).items()))


def _fixed(one: Shown, copy: Shown) -> Iterator[str]:
    for name in FIXED:
        if copy[name] != one[name]:
            yield f"{name} {copy[name]}, not {one[name]}"
    mine, theirs = _lines(one), _lines(copy)
    if mine != theirs:
        yield f"lines {theirs}, not {mine}"


def _has_three_decimals(line: Shown) -> bool:
    return any(Decimal(line[name]) % Decimal("0.01") for name in ("amount", "discount", "tax"))


def _lines(one: Shown) -> list[tuple[Decimal, Decimal]]:
    # of tax QuickBooks has only the sum
    return [(Decimal(line["amount"]), Decimal(line["discount"])) for line in one["lines"]]


def _is_intended(tx: Tx, system: str, one: Mutation) -> bool:
    """A step of several requests has keys that begin alike; QuickBooks' are made of key and body, or name a batch."""
    key = one.request_key or ""
    for row in tx.rows(_OF_DOCUMENTS, {"connection": system}):
        if system != "quickbooks" and key.startswith(row.key):
            return True
        if system == "quickbooks":
            body = msgspec.json.decode(row.body)
            write = Write(key=row.key, action=row.action, kind=row.kind, remote_id=row.remote_id, body=body)
            if request_id(write) == key or (row.batch and batch_id(row.batch) == key):
                return True
    return False


def _held(tx: Tx) -> dict[Named, dict[str, str]]:
    """Documents that a person is asked about: by the connection of the question, its words."""
    about = sa.select(
        DOCUMENTS.c.origin, DOCUMENTS.c.kind, DOCUMENTS.c.remote_id, HOLDS.c.connection, HOLDS.c.reason, HOLDS.c.detail
    ).join_from(HOLDS, MAPPINGS, HOLDS.c.subject == sa.literal("m:") + MAPPINGS.c.id)
    about = about.join(DOCUMENTS, DOCUMENTS.c.id == MAPPINGS.c.record_id).where(HOLDS.c.state == "open")
    found: dict[Named, dict[str, str]] = {}
    for origin, kind, remote_id, connection, reason, detail in tx.rows(about):
        found.setdefault(Named(origin, kind, remote_id), {})[connection] = f"{reason} {detail}"
    return found
