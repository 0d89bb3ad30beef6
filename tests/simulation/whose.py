"""In whose books a document belongs at rest, by whose its customer is and where it is booked; and when it is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from core.model.policy import ENTITY_FIELD
from core.store import customers, documents
from core.store.database import Tx
from core.store.tables import JOURNAL
from core.store.text import SOME
from tests.simulation.papers import Named
from tests.simulation.routes import books_of
from tests.simulation.tape import Billing

Told = Callable[[Named, str], bool]
"""Something about a document at a system."""
Place = Literal["here", "elsewhere", "nowhere", "moved", "split"]
"""nowhere: nobody knows whose it is. moved: it is here, and another entity's by now.

split: what it settles is in the books of several.
"""

MOVED: Final = "it is booked here, and is another entity's by now"
SPLIT: Final = "it settles invoices in the books of several entities"
UNKNOWN: Final = "nobody knows whose books it belongs in"
EXCUSES: Final[Mapping[Place, str]] = {"moved": MOVED, "split": SPLIT, "nowhere": UNKNOWN}

_CHANGES: Final = sa.select(JOURNAL.c.changes).where(
    JOURNAL.c.record_id.in_(SOME), JOURNAL.c.at >= sa.bindparam("since")
)


class Whose:
    """The entities of all invoices, looked up once."""

    def __init__(self, billing: Billing, tx: Tx, is_there: Told, is_held: Told) -> None:
        """Whether something of a document is at a system, and whether a person was asked about it there."""
        self._books, self._tx, self._is_there, self._is_held = books_of(billing), tx, is_there, is_held
        self._listed = {one for some in self._books.values() for one in some}
        papers = documents.page(tx, kind="invoice", limit=10_000) if self._books else []
        self._papers = {Named(one.origin, "invoice", one.remote_id): one for one in papers}
        self._customers = customers.by_ids(tx, {one.customer_id for one in papers})

    def place(self, invoice: Named, system: str) -> Place:
        """Where no books are of entities, and where the registry does not know it, an invoice is at home."""
        if system not in self._books or system == invoice.system or invoice not in self._papers:
            return "here"
        entity = self._entity(invoice)
        booked = [name for name in self._books if name == invoice.system or self._is_booked(invoice, name)]
        if system in booked and not entity and not self._is_there(invoice, system):
            return "nowhere"  # asked about before its entity was taken off: it waits for another one
        if system in booked:
            return "here" if entity in ("", *self._books[system]) else "moved"
        if not entity and not booked:
            return "nowhere"
        return "here" if all(entity in self._books[name] for name in (system, *booked)) else "elsewhere"

    def place_of_settler(self, one: Named, invoices: Collection[Named], system: str) -> Place:
        """A payment or credit note is where its invoices are, whoever its customer belongs to by now."""
        if not invoices and {one.system, system} <= self._books.keys():
            is_of_both = {*self._books[one.system]} & {*self._books[system]}
            return "here" if one.system == system or is_of_both else "elsewhere"
        found = {self.place(one, system) for one in invoices}
        if {"here", "moved"} & found:
            return "split" if "elsewhere" in found else "nowhere" if "nowhere" in found else "here"
        return "nowhere" if "nowhere" in found else "elsewhere" if found else "here"

    def twice(self, invoice: Named) -> tuple[str, str] | None:
        """Two books that have no entity in common, and have it both."""
        booked = [name for name in self._books if name == invoice.system or self._is_booked(invoice, name)]
        apart = [(a, b) for a in booked for b in booked if a < b and not {*self._books[a]} & {*self._books[b]}]
        return apart[0] if apart else None

    def was_of(self, invoice: Named, system: str, since: float) -> bool:
        """Whether books may have got what they got just now: it was theirs when that was decided, or later."""
        if system not in self._books or invoice not in self._papers:
            return True
        return not {*self._books[system]}.isdisjoint(self._entities_since(invoice, since))

    def _entities_since(self, invoice: Named, since: float) -> Iterator[str]:
        paper = self._papers[invoice]
        yield self._entity(invoice)
        for row in self._tx.rows(_CHANGES, {"some": [paper.customer_id], "since": since}):
            before = msgspec.json.decode(row.changes).get(ENTITY_FIELD, [None])[0]
            yield str(before or "")

    def _is_booked(self, invoice: Named, system: str) -> bool:
        return self._is_there(invoice, system) or self._is_held(invoice, system)

    def _entity(self, invoice: Named) -> str:
        customer = self._customers.get(self._papers[invoice].customer_id)
        entity = customer.fields.get(ENTITY_FIELD) if customer else None
        return str(entity) if entity in self._listed else ""
