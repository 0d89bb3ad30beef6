"""What must hold of documents while Accord writes, and at rest: the systems are read, what clerks did judges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from core.model.documents import KINDS, Invoice
from core.sandbox.lookalike import Mutation
from core.sandbox.sums import unbalanced
from core.store import documents
from core.store.database import Tx
from core.store.tables import HOLDS, INTENTS, MAPPINGS
from core.sync.documents.copies import KEY_TRIES
from core.sync.hub import KIND
from tests.simulation.behind import Sent, sent_behind
from tests.simulation.forgotten import settles_forgotten, untold
from tests.simulation.papers import EVERYWHERE, NOT_TOLD, Named, Shown
from tests.simulation.resting import STANDING, Rest
from tests.simulation.routes import books_of, mirrors_of
from tests.simulation.tape import Billing, is_books
from tests.simulation.whose import Whose

if TYPE_CHECKING:
    from tests.simulation.site import Site
    from tests.simulation.world import SimWorld

FIXED: Final = ("currency", "issued_on", "total", "tax")
PAYABLE: Final = ("AllowOnlineCreditCardPayment", "AllowOnlineACHPayment")
SETTLED: Final = ("status", "due")
SETTLING: Final = frozenset("amount_paid amount_remaining amount_overpaid attempted status status_transitions".split())
"""What a payment of an invoice changes of it at Stripe."""


class Audit:
    """The judge of one world's documents."""

    def __init__(self, world: SimWorld, billing: Billing) -> None:
        """Know nothing yet."""
        self._world, self._clerks, self._billing = world, world.clerks, billing
        self._mirrors = mirrors_of(billing)

    def written(self, site: Site, one: Mutation) -> None:
        """I2: an intent was there first. F3: Accord makes copies and changes its own, never what people made."""
        key = (site.name, one.kind, one.id)
        intent = self._intent_behind(site.name, one) if one.request_key else None
        if one.request_key and intent is None:
            self._fail(f"I2: {one.action} of {key} has no committed intent (key {one.request_key})")
        # whoever finalises a copy at Stripe makes it expect a payment; a copy that is there follows its document
        if intent is not None and (one.action, intent.action, intent.kind) == ("create", "create", one.kind):
            self._is_wanted(site.name, one, intent)
        if one.action == "create":
            self._clerks.ours.add(key)
            if books_of(self._billing) and one.kind == "invoice":
                self._is_at_home(site.name, one.id, intent)
            self._clerks.at_copies.made(site.name, one)
        elif one.kind in KINDS and key not in self._clerks.ours and not self._is_allowed(one, Named(*key)):
            self._fail(f"F3: {one.action} of {key}, which people made")

    def _intent_behind(self, system: str, one: Mutation) -> Sent | None:
        here = self._world.db.read_now(lambda tx: sent_behind(tx, system, one))
        return here or self._world.restores.was_there(lambda tx: sent_behind(tx, system, one))

    def _is_wanted(self, system: str, one: Mutation, intent: Sent) -> None:
        """M3: copies are made of what the policy wanted copied there when that was decided."""
        policy = self._world.policies.deciding(intent.id, intent.sent_at).connections[system].documents
        if one.kind not in policy.mirrors:
            self._fail(f"M3: a copy of a {one.kind}, {one.id}, was made at {system}, where policy wants none")
        day = str(self._clerks.shown(system, "invoice")[one.id]["issued_on"]) if one.kind == "invoice" else ""
        if one.kind == "invoice" and day < policy.since:
            self._fail(f"M3: a copy of an invoice of {day}, {one.id}, was made at {system}, since {policy.since}")

    def _is_at_home(self, system: str, copy: str, intent: Sent | None) -> None:
        """An entity's books get what is its, or was when that was decided."""
        original = self._clerks.at_copies.original(system, copy)
        since = self._world.policies.decided_at(intent.id, intent.sent_at) if intent else 0.0
        is_its = self._world.db.read_now(
            lambda tx: Whose(self._billing, tx, lambda _, __: False, lambda _, __: False).was_of(
                original, system, since
            )
        )
        told = self._clerks.shown(original.system, "invoice").get(original.id)  # None: it was deleted meanwhile
        if told and (original.system, told["customer"]) in self._world.erasures.objects():
            return  # whose books it was of is erased with its customer
        if not is_its:
            self._fail(f"E: {system} got a copy of {original}, which was never of the entities whose books it is")
        self._world.reached[f"made in an entity's books at {system}"] += 1

    def _is_allowed(self, one: Mutation, named: Named) -> bool:
        """A payment that people recorded elsewhere settles what people made; nothing else of that is touched."""
        return self._is_expected(named) or (named.kind == "invoice" and SETTLING.issuperset(one.changed))

    def _is_expected(self, named: Named) -> bool:
        """A payment that did not come in yet: Stripe expects one of every open invoice, whoever pays it then."""
        return named.kind == "payment" and named not in self._clerks.settles

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(problem)

    def at_rest(self, tx: Tx) -> None:
        """Everything that must hold of documents once the world has come to rest."""
        self._count(self.agree(tx))

    def agree(self, tx: Tx) -> Rest:
        """Copies are what their documents are, or there is a reason; so is what the registry has."""
        rest = Rest(self._world, self._clerks, self._billing, tx)
        for named, one in rest.originals["invoice"].items():
            self._invoice_everywhere(rest, named, one)
        for named, one in rest.originals["payment"].items():
            for mirror in (
                rest.books_among(self._mirrors.get(named.system, ())) if named in self._clerks.settles else ()
            ):
                self._payment(rest, named, one, mirror)
        for named, one in rest.originals["credit_note"].items():
            for mirror in rest.books_among(self._mirrors.get(named.system, ())):
                self._note(rest, named, one, mirror)
        companies = [one for one in self._world.systems if is_books(one)]
        for books in companies:
            self._world.across.judge_parts(rest, books)
        self._unpayable()
        self._strays(rest)
        for problem in untold(self._world, rest.tx):
            self._fail(problem)
        self._adds_up(rest, companies)
        self._spoiled(rest)
        self._registry(rest)
        life = self._world.life
        self._world.accounts.judge(rest, life.hub if life else None)
        return rest

    def _adds_up(self, rest: Rest, companies: Iterable[str]) -> None:
        booked = {books: self._clerks.lookalike(books).objects("payment") for books in companies}
        for problem in unbalanced(self._told(rest), booked):
            self._fail(f"F4: {problem}")

    def _told(self, rest: Rest) -> Mapping[str, Mapping[str, Mapping[str, Shown]]]:
        """What all systems say; what was marked as paid counts as if a payment told of it."""
        stripe, hubspot = rest.shown["stripe"], rest.shown["hubspot"]
        payments = self._world.accounts.with_marked(stripe["payment"])
        told = {"stripe": {**stripe, "payment": payments}, "hubspot": {**hubspot, "invoice": rest.unless_restated()}}
        return {**rest.shown, **told}

    # ---- invoices --------------------------------------------------------------------------------------

    def _invoice_everywhere(self, rest: Rest, named: Named, one: Shown) -> None:
        mirrors = self._mirrors.get(named.system, ())
        if mirrors and (twice := rest.whose.twice(named)):
            self._fail(f"E: {named} is in the books of two entities, {' and '.join(twice)}")
        for mirror in mirrors:
            self._invoice(rest, named, one, mirror)

    def _invoice(self, rest: Rest, named: Named, one: Shown, mirror: str) -> None:
        copies = rest.copies(mirror, "invoice", one["number"])
        what = f"{mirror}: invoice {one['number']} of {named.system}"
        if len(copies) > 1:
            self._fail(f"F: {what} is there {len(copies)} times")
        elif one["status"] == "draft":
            if copies:
                self._fail(f"F: {what} is a draft and was copied")
        elif not copies:
            place = rest.place(named, mirror)
            if place in ("elsewhere", "nowhere"):
                self._world.reached[f"an invoice is not booked: {place}"] += 1
            elif one["status"] != "void":
                self._excused(rest, named, mirror, f"{what} is not there", rest.excuses_unmade(named, mirror))
        else:
            self._equal(rest, named, one, mirror, copies[0], what)
            if rest.is_left_payable(named, mirror, copies[0]):
                self._fail(f"F: {what} is paid, and its copy can be paid once more ({rest.told(named)})")

    def _equal(self, rest: Rest, named: Named, one: Shown, mirror: str, copy: Shown, what: str) -> None:
        own, around = rest.excuses_of_copy(named, mirror, copy), rest.excuses_around(named, mirror)
        if rest.place(named, mirror) == "moved" and one["status"] != "void" and not rest.is_held(named, mirror):
            self._fail(f"E: {what} is another entity's by now, and nobody is asked")
        wrong = [*_fixed(one, copy), *rest.wrong_customer(named, one, mirror, copy)] if one["status"] != "void" else []
        if wrong:
            self._excused(rest, named, mirror, f"{what} has {', '.join(wrong)}", own)
        unsettled = [f"{name} {copy[name]}, not {one[name]}" for name in SETTLED if copy[name] != one[name]]
        # what a person booked there by hand is the write-off as well as any: nothing is due of it any more
        is_let_go = one["status"] == "uncollectible" and not Decimal(copy["due"]) and "written off" in around
        if unsettled and not is_let_go:
            self._excused(rest, named, mirror, f"{what} has {', '.join(unsettled)}", around)
        if not wrong and not unsettled:
            self._world.reached["a copy is equal to its document"] += 1
            for state in _states(one):
                self._world.reached[f"an equal copy, {state}"] += 1
            if any(Decimal(line["amount"]) < 0 for line in one["lines"]):
                self._world.reached[f"an equal copy with a line below 0 at {mirror}"] += 1
        if rest.is_held(named, mirror) and not around:
            self._fail(f"F: {what} is held for no reason: {rest.told(named)}")

    def _excused(self, rest: Rest, named: Named, mirror: str, problem: str, excuses: set[str]) -> None:
        """Not equal: there must be a cause, and a person must be asked, unless it waits for its customer."""
        if not excuses:
            self._fail(f"F1: {problem} ({rest.told(named) or 'nobody is asked'})")
        elif not (rest.is_asked(named, mirror) or excuses & Rest.UNASKED):
            self._fail(f"F1: {problem} since {sorted(excuses)}, and nobody is asked")
        else:
            self._world.reached["a document is held with a reason"] += 1
            for why in excuses:
                self._world.reached[f"not equal: {why}"] += 1

    def _unpayable(self) -> None:
        """An invoice has one collector, its origin: no copy can be paid, or was mailed to anybody."""
        for system in self._world.systems:
            raw = self._world.sites[system].lookalike.objects("invoice")
            for name, copy in self._clerks.copies(system, "invoice").items():
                ways = [copy.get(flag) for flag in ("is_payable", "is_collected", "mails")]
                if any([*ways, *(raw[name].get(flag) for flag in PAYABLE)]):
                    self._fail(f"F: the copy {name} at {system} can be paid, or was mailed")

    # ---- payments and credit notes ---------------------------------------------------------------------

    def _payment(self, rest: Rest, named: Named, one: Shown, mirror: str) -> None:
        if rest.place(named, mirror) == "split":
            self._world.across.judge(rest, named, one, mirror)
        is_at_home = rest.place(named, mirror) not in ("elsewhere", "nowhere")
        is_wanted = one["status"] == "succeeded" and named not in self._clerks.gone and is_at_home
        for part in one["applications"]:
            there = rest.parts(mirror).get((one["currency"], Decimal(part["amount"])), [])
            number = rest.number(named.system, part["invoice"])
            what = f"{mirror}: payment {one['currency']} {part['amount']} of {named.system}"
            if len(there) > 1:
                self._fail(f"F4: {what} is there {len(there)} times")
            elif there and rest.stands(self._clerks.at_copies.twice.get(named)):
                # booked before anybody had read what the person recorded there: nobody but a person can tell by then
                around = rest.excuses_around(named, mirror)
                self._excused(rest, named, mirror, f"{what} was recorded there by a person, and is there again", around)
            elif there and there[0] != number:
                self._excused(rest, named, mirror, f"{what} settles {there[0]}", rest.excuses_around(named, mirror))
            elif len(there) != is_wanted:
                problem = f"{what} is there {len(there)} times, and is {one['status']}"
                self._excused(rest, named, mirror, problem, rest.excuses_around(named, mirror))
            else:
                self._world.reached["a payment's copy is as it is"] += 1
        if rest.is_held(named, mirror) and not rest.excuses_around(named, mirror):
            self._fail(f"F: a payment {one} is held for no reason: {rest.told(named)}")

    def _note(self, rest: Rest, named: Named, one: Shown, mirror: str) -> None:
        there = [copy for copy in rest.copies(mirror, "credit_note", one["number"]) if copy["status"] in STANDING]
        is_at_home = rest.place(named, mirror) not in ("elsewhere", "nowhere")
        is_wanted = one["status"] == "issued" and named not in self._clerks.gone and is_at_home
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

    def _strays(self, rest: Rest) -> None:
        """Nothing carries our marker that is a copy of nothing."""
        for system in self._world.systems:
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
            for (currency, amount), settled in rest.parts(system).items():
                is_less = any(one == currency and amount < whole for one, whole in paid)
                known = self._taken_off(rest, system) | (self._paid_there(rest, system) if is_less else set())
                if (currency, amount) not in paid and not known.issuperset(settled):
                    self._fail(f"F4: {system} has a payment of {(currency, amount)} that nobody made")

    @staticmethod
    def _paid_there(rest: Rest, system: str) -> set[str]:
        """Numbers of invoices that somebody paid there: a payment that lands later takes what that left due."""
        payments = [one for named, one in rest.originals["payment"].items() if named.system == system]
        return {rest.number(system, part["invoice"]) for one in payments for part in one["applications"]}

    def _taken_off(self, rest: Rest, system: str) -> set[str]:
        """Numbers of invoices that a payment elsewhere settled, when it was copied, and does not settle any more."""
        payments = rest.originals["payment"]
        return {
            rest.number(invoice.system, invoice.id)
            for named, invoices in self._clerks.settles.items()
            if named.system != system and named in payments and len(payments[named]["applications"]) < len(invoices)
            for invoice in invoices
        }

    def _spoiled(self, rest: Rest) -> None:
        """What a person made of a copy's amounts stands, and what a person typed in is nobody else's."""
        for (system, name), left in self._clerks.at_copies.retyped.items():
            if rest.shown[system]["invoice"].get(name) != left:
                self._fail(f"F3: {system} {name} was typed in by a person, and is not as it was: {left}")
        for (system, name), left in self._clerks.at_copies.spoiled.items():
            now = rest.shown[system]["invoice"].get(name)
            # lines that were under way to a draft come behind what a person made of it
            kept = now and now["lines"][: len(left["lines"]) if now["status"] == "draft" else None]
            if now is not None and now["status"] != "void" and kept != left["lines"]:
                self._fail(f"F: {system} {name} was {left['lines']} by a person, and was overwritten: {now['lines']}")

    def _registry(self, rest: Rest) -> None:
        """The registry knows each document as it is where it was made, and what settles it."""
        for kind in KINDS:
            papers = {(one.origin, one.remote_id): one for one in documents.page(rest.tx, kind=kind, limit=10_000)}
            for named, one in rest.originals[kind].items():
                paper = papers.get((named.system, named.id))
                is_excused = bool(self._clerks.causes.get(named, {}).get(EVERYWHERE))
                if is_excused or named.system not in self._mirrors or self._is_expected(named):
                    continue
                if not rest.is_customer_known(named.system, one["customer"]):
                    continue  # it waits, and so does what is told of it later
                if paper is None and settles_forgotten(rest.tx, named, one):
                    continue
                if paper is None:
                    self._fail(f"F1: the registry does not know {named}: {one}")
                    continue
                self._known(rest, named, one, paper.document)

    def _known(self, rest: Rest, named: Named, one: Shown, known: Any) -> None:
        if known.status != one["status"]:
            self._fail(f"F1: the registry has {named} as {known.status}, and it is {one['status']}")
        if rest.is_asked(named, named.system):
            return  # something of it changed that was final: it stays as it was until a person says so
        names = {"payment": ("amount", "refunded"), "credit_note": ("total", "tax", "applied")}
        for name in names.get(named.kind, ("total", "tax", "due")) if one["status"] != "void" else ():
            if getattr(known, name) != Decimal(one[name]):
                self._fail(f"F1: the registry has {named} with {name} {getattr(known, name)}, and it is {one[name]}")
        is_told = not any(NOT_TOLD in some for some in self._clerks.causes.get(named, {}).values())
        # what is recorded elsewhere and held at the origin is known, and settles nothing there
        is_sound = is_told and not rest.excuses_around(named, EVERYWHERE) and not rest.is_asked(named, named.system)
        is_sound = is_sound and not rest.waits_elsewhere(named)
        if isinstance(known, Invoice) and known.status != "void" and is_sound:
            settled = documents.settled(rest.tx, known.id) + self._world.accounts.marked(named)
            if settled != known.paid + known.credited:
                self._fail(f"F4: the registry has {named} settled by {settled}, and {known.paid + known.credited}")

    def _count(self, rest: Rest) -> None:
        reached = self._world.reached
        reached["worlds with documents"] += 1
        reached["worlds with two companies' books"] += self._billing.has_branch
        for kind in KINDS:
            reached[f"documents: {kind}"] += len(rest.originals[kind])
            for system in self._world.systems:
                reached[f"copies: {kind}"] += len(self._clerks.copies(system, kind))
        reached["documents: held"] += len(rest.holds)
        own = INTENTS.c
        ours = (own.kind != KIND, own.attempts > 0, own.action == "create")
        by_look = sa.or_(own.batch != "", own.attempts >= KEY_TRIES)
        for name, which in (
            ("an answer got lost, the copy was adopted by its key", (own.state == "done", sa.not_(by_look))),
            ("an answer got lost, the copy was adopted by looking", (own.state == "done", by_look)),
            ("an answer got lost, no copy was found by looking", (own.state == "void",)),
        ):
            count = sa.select(sa.func.count()).where(*ours, *which)
            reached[name] += int(rest.tx.execute(count).scalar_one())
        about = sa.select(HOLDS.c.reason, sa.func.count()).where(HOLDS.c.subject == sa.literal("m:") + MAPPINGS.c.id)
        for reason, times in rest.tx.rows(about.where(MAPPINGS.c.kind != KIND).group_by(HOLDS.c.reason)):
            reached[f"document held: {reason}"] += times


def _states(one: Shown) -> Iterator[str]:
    """What became of an invoice, all at once."""
    yield one["status"]
    if one["status"] == "open" and Decimal(one["paid"]):
        yield "paid in part"
    if Decimal(one["credited"] or 0):
        yield "credited"


def _fixed(one: Shown, copy: Shown) -> Iterator[str]:
    for name in FIXED:
        if copy[name] != one[name]:
            yield f"{name} {copy[name]}, not {one[name]}"
    mine, theirs = _lines(one), _lines(copy)
    if mine != theirs:
        yield f"lines {theirs}, not {mine}"


def _lines(one: Shown) -> list[tuple[Decimal, Decimal]]:
    # of tax QuickBooks has only the sum
    return [(Decimal(line["amount"]), Decimal(line["discount"])) for line in one["lines"]]
