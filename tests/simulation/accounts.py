"""What was marked as paid without a payment: what people answer who are asked about it, and what must be asked."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from core.errors import InvalidInputError
from core.model.documents import KINDS, references
from core.model.holds import DOCUMENT_GONE, UNACCOUNTED
from core.model.lifecycle import is_final
from core.store import connections, documents, holds, mappings
from core.store.database import Tx
from core.store.holds import Hold
from core.sync import answers
from core.sync.documents.accounting import LOOKED_AT, require_current, unaccounted
from core.sync.documents.by_hand import BOOKED
from core.sync.hub import Hub
from tests.simulation.papers import EVERYWHERE, MARKED, Named, Shown
from tests.simulation.tape import is_books

if TYPE_CHECKING:
    from tests.simulation.resting import Rest
    from tests.simulation.world import SimWorld

ZERO: Final = Decimal(0)


class Asked(msgspec.Struct, frozen=True):
    """A question as it stood when everything had rested; it stands as long as neither of the others changes."""

    hold: str
    invoice: Shown
    left: Decimal


class Accounts:
    """What no payment tells of, in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nothing was marked."""
        self._world = world
        self._rng = Random(f"accountants {world.tape.seed}")
        self._marked: dict[Named, Decimal] = {}
        self._booked: dict[Named, Decimal] = {}
        """What a person said is booked by hand."""
        self._answered: dict[Named, Decimal] = {}
        """The same, as it is in the backup."""
        self._by_hand: set[Named] = set()
        """Payments of copies, in the place of what nobody tells of: no origin will."""
        self._asked: dict[Named, Asked] = {}

    def back_up(self) -> None:
        """What was answered by now is in the backup."""
        self._answered = dict(self._booked)

    def put_back(self) -> None:
        """What was answered since is lost, and is asked again, in a question of its own."""
        self._booked = dict(self._answered)
        self._asked.clear()

    # ---- people ----------------------------------------------------------------------------------------

    def mark(self, invoice: Named, due: Decimal) -> None:
        """Somebody has said at the origin that it is paid, and recorded no payment."""
        self._marked[invoice] = due
        for books in self._books:
            self._world.clerks.blame(invoice, MARKED, books)

    def marked(self, invoice: Named) -> Decimal:
        """How much of an invoice is settled by no payment and no credit note."""
        return self._marked.get(invoice, ZERO)

    def with_marked(self, payments: Mapping[str, Shown]) -> Mapping[str, Shown]:
        """Stripe's payments, and what was marked as if each of it were one."""
        marks = {
            f"marked {name.id}": {
                "status": "succeeded", "applications": [{"invoice": name.id, "amount": str(amount)}]
            }
            for name, amount in self._marked.items()
        }  # fmt: skip
        return {**payments, **marks}

    def answer(self, hub: Hub) -> None:
        """Whoever looks at the questions: some book by hand and say so, some have it looked at again, some wait."""
        for invoice, hold in sorted(self._world.db.read_now(_open).items()):
            choice = self._rng.choice([BOOKED, BOOKED, "retry", ""])
            if choice == BOOKED and not self._is_booked_by_hand(hub, invoice, hold):
                choice = "retry"
            if choice:
                self._world.db.run_now(partial(_answer, hub=hub, hold=hold, choice=choice))
                self._world.reached[f"unaccounted: answered {choice}"] += 1
                self._asked.pop(invoice, None)
            if choice == BOOKED:
                self._booked[invoice] = Decimal(str(hold.detail["covers"]))

    def _is_booked_by_hand(self, hub: Hub, invoice: Named, hold: Hold) -> bool:
        """Whoever sees that there is another amount by now, or none, does not book what the question names."""
        is_current = self._world.db.read_now(partial(_is_current, hub=hub, hold=hold))
        for books in self._books if invoice in self._marked and is_current else ():
            made = self._world.clerks.at_copies.book(books, invoice, Decimal(str(hold.detail["amount"])))
            if made is not None:
                self._by_hand.add(made)
                return True
        return False

    @property
    def _books(self) -> list[str]:
        return [one for one in self._world.systems if is_books(one)]

    # ---- at rest ---------------------------------------------------------------------------------------

    def judge(self, rest: Rest, hub: Hub | None, *, has_rested: bool = False) -> None:
        """Nobody is asked without a cause; after a while without any change (`has_rested`), somebody is.

        A question that stood then stands as long as its cause does: it is the same one.
        """
        there = _open(rest.tx)
        for invoice in rest.originals["invoice"]:
            hold, left = there.get(invoice), self._left(invoice)
            if hold is not None:
                self._is_right(rest, invoice, hold, left)
            elif left and has_rested and self._is_told_of(rest, invoice):
                self._fail(f"A: {left} of {invoice} is settled by nothing, and nobody is asked")
            self._still_stands(rest, invoice, hold, left)
            if hold is not None and has_rested:
                self._asked[invoice] = Asked(hold.id, rest.originals["invoice"][invoice], left)
        if hub is not None:
            self._ties_out(rest, hub)

    def _left(self, invoice: Named) -> Decimal:
        return self.marked(invoice) - self._booked.get(invoice, ZERO)

    def _is_right(self, rest: Rest, invoice: Named, hold: Hold, left: Decimal) -> None:
        self._world.reached["unaccounted: asked"] += 1
        asked, covers = (Decimal(str(hold.detail[name])) for name in ("amount", "covers"))
        is_right = (asked, covers) == (left, self.marked(invoice))
        if self._is_sound(rest, invoice) and not is_right and not self._is_yet_to_be_looked_at(rest, invoice):
            self._fail(f"A: of {invoice} {left} is settled by nothing, and a person is asked to book {hold.detail}")

    @staticmethod
    def _is_yet_to_be_looked_at(rest: Rest, invoice: Named) -> bool:
        """Whether something of it was taken since: its origin's sums are looked at once an hour."""
        looked_at = float(connections.meta(rest.tx, LOOKED_AT + invoice.system) or 0)
        papers = [one for kind in KINDS for one in documents.page(rest.tx, kind=kind, limit=10_000)]
        late = {Named(one.origin, one.kind, one.remote_id) for one in papers if one.updated_at > looked_at}
        return not rest.bound(invoice).isdisjoint(late)

    def _still_stands(self, rest: Rest, invoice: Named, hold: Hold | None, left: Decimal) -> None:
        asked = self._asked.get(invoice)
        is_same = asked is not None and (asked.invoice, asked.left) == (rest.originals["invoice"][invoice], left)
        if asked is None or not is_same or not self._is_sound(rest, invoice):
            return
        if hold is None or hold.id != asked.hold:
            self._fail(f"A: {invoice} was asked about ({asked.hold}), nothing changed, and now there is {hold}")
        self._world.reached["unaccounted: still asked"] += 1

    def _is_told_of(self, rest: Rest, invoice: Named) -> bool:
        """Whether the registry knows the invoice, and nothing else is asked first: of it, or of what is to go there."""
        customer = rest.originals["invoice"][invoice]["customer"]
        coming = (one for one in rest.bound(invoice) if one == invoice or one.system != invoice.system)
        is_held = any(rest.is_held(one, invoice.system) for one in coming)
        return rest.is_customer_known(invoice.system, customer) and not is_held and not _is_of_gone(rest.tx, invoice)

    def _is_sound(self, rest: Rest, invoice: Named) -> bool:
        """Whether all that settles an invoice where it was made is known as it is there; of the erased it is not."""
        settlers = rest.bound(invoice) - self._by_hand
        causes = self._world.clerks.causes
        is_odd = any(EVERYWHERE in causes.get(one, {}) or invoice.system in causes.get(one, {}) for one in settlers)
        is_held = any(rest.is_held(one, invoice.system) for one in settlers if one != invoice)
        is_known = rest.is_customer_known(invoice.system, rest.originals["invoice"][invoice]["customer"])
        return is_known and not is_odd and not is_held

    def _ties_out(self, rest: Rest, hub: Hub) -> None:
        """A period's end names exactly what is settled by nothing."""
        papers = documents.page(rest.tx, kind="invoice", limit=10_000)
        final = {Named(one.origin, "invoice", one.remote_id): one for one in papers if is_final(one.document)}
        told = {one.id: one for one in unaccounted(rest.tx, hub, list(final.values()))}
        for invoice, paper in final.items():
            one = told.get(paper.id)
            found = Decimal(one.settled) - Decimal(one.known) if one else ZERO
            if found != self._left(invoice) and self._is_sound(rest, invoice) and not self._is_late(rest, invoice):
                self._fail(f"A: {found} of {invoice} is told to be settled by nothing, and {self._left(invoice)} is")

    def _is_late(self, rest: Rest, invoice: Named) -> bool:
        """Whether the registry has yet to see it as it is, or asks first whether it may be so."""
        return not self._is_told_of(rest, invoice) and UNACCOUNTED not in rest.told(invoice)

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(problem)


def _open(tx: Tx) -> dict[Named, Hold]:
    """The questions that are open, by invoice."""
    found = {hold.subject[2:]: hold for hold in holds.listing(tx, reason=UNACCOUNTED)}
    rows = mappings.by_ids(tx, found)
    return {Named(row.connection, row.kind, str(row.remote_id)): found[name] for name, row in rows.items()}


def _answer(tx: Tx, hub: Hub, hold: Hold, choice: str) -> None:
    answers.answer(tx, hub, hold.id, choice, actor="operator", digest=hold.digest)


def _is_current(tx: Tx, hub: Hub, hold: Hold) -> bool:
    try:
        require_current(tx, hub, hold, mappings.by_ids(tx, [hold.subject[2:]])[hold.subject[2:]])
    except InvalidInputError:
        return False
    return True


def _is_of_gone(tx: Tx, invoice: Named) -> bool:
    """Whether a payment of it counts until a person has said whether it does: its origin has it no more."""
    asked = mappings.by_ids(tx, [one.subject[2:] for one in holds.listing(tx, reason=DOCUMENT_GONE)])
    gone = documents.by_ids(tx, {row.record_id for row in asked.values()}).values()
    settled = documents.by_ids(tx, {name for one in gone for name in references(one.document)}).values()
    return any((one.origin, one.remote_id) == (invoice.system, invoice.id) for one in settled)
