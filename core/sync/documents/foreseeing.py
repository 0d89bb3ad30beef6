"""Whether all that settles an invoice could be told of its copy: asked first where a copy is payable until then.

Each payment and credit note is put to the connector as if the copies of all its invoices were there; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from core.errors import RejectedError
from core.model.documents import Invoice, references, settled_by
from core.model.money import ZERO, spelled, total_of
from core.store import connections, documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.accounting import QUIET_SECONDS
from core.sync.documents.balances import KINDS, told_to_origin
from core.sync.documents.marking import mark_mappings
from core.sync.documents.offering import fresh_mappings, offerable
from core.sync.documents.routing import Routes
from core.sync.documents.standing import Copy
from core.sync.documents.wanting import SETTLER, Later, ToCome, stand_in, wanted_of
from core.sync.hub import Connection, Hub

LIMIT: Final = "a copy can be paid there until all that settles it is told"


def is_settled_only(connection: Connection) -> bool:
    """Whether only invoices that are settled get a copy at a connection, since an open one could be paid there."""
    spec = connection.manifest.documents.get("invoice")
    return spec is not None and bool(spec.settled_by) and connection.config.settings.get(spec.unless) != "yes"


def refuse_unsettled(tx: Tx, hub: Hub, connection: Connection, copy: Copy, to_come: ToCome) -> None:
    """Raise RejectedError for the copy of an invoice that would stay payable; Later while that cannot be told."""
    if copy.paper.kind == "invoice" and is_settled_only(connection) and _is_ahead(connection, copy):
        _Foresight(tx, hub, connection, copy, to_come).look()


def wake_unmade(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """What waits for its invoices may have kept them from being made, and is another one now."""
    if is_settled_only(connection):
        found = mappings.of_records(tx, references(copy.paper.document))
        rows = [one for some in found.values() for one in some if one.connection == connection.name]
        unmade = [one for one in rows if one.remote_id is None]
        mark_mappings(tx, hub, unmade, reason="what settles it changed", trace=copy.row.trace)


def _is_ahead(connection: Connection, copy: Copy) -> bool:
    """Whether nobody can pay it yet. A draft that the provider collects is final soon, and is stopped first."""
    if copy.raw is None or connection.documents is None:
        return copy.raw is None
    there = connection.documents.read("invoice", copy.raw)
    return there.document.status == "draft" and not there.collects


class _Foresight:
    """One invoice, and those that are settled together with it: what keeps one from being settled keeps the others."""

    def __init__(self, tx: Tx, hub: Hub, connection: Connection, copy: Copy, to_come: ToCome) -> None:
        """Nothing is looked at yet."""
        self._tx, self._hub, self._connection, self._copy, self._to_come = tx, hub, connection, copy, to_come
        self._invoices = {copy.paper.id: copy.paper}
        row = connections.get(tx, connection.name)
        # a plan is made as if it were activated now
        self._row = msgspec.structs.replace(row, activated_at=row.activated_at or hub.clock.now())

    def look(self) -> None:
        """Raise RejectedError, or Later, for the first thing that could not be told."""
        todo, told = [self._copy.paper], set[str]()
        while todo:
            invoice = todo.pop()
            settlers = self._settlers(invoice)
            self._add_up(invoice, settlers)
            for one in settlers:
                if one.id not in told:
                    told.add(one.id)
                    todo += self._foreseen(one)

    def _settlers(self, invoice: Paper) -> list[Paper]:
        about = told_to_origin(self._tx, invoice)
        return [one for one in about if settled_by(one.document).get(invoice.id, ZERO)]

    def _add_up(self, invoice: Paper, settlers: Sequence[Paper]) -> None:
        bill = invoice.document
        assert isinstance(bill, Invoice)  # noqa: S101 - of others nothing settles them
        known = total_of([settled_by(one.document)[invoice.id] for one in settlers])
        left = total_of([bill.paid, bill.credited, -known])
        if left <= 0:
            return
        amount = f"{spelled(left, bill.currency)} {bill.currency}"
        problem = f"no payment or credit note is known that settled {amount} of invoice {invoice.called}"
        if self._hub.clock.now() < invoice.updated_at + QUIET_SECONDS:
            raise Later(problem, SETTLER)  # they are told of one after the other
        raise RejectedError(problem, field="due", limit=LIMIT, cure="record it where the invoice was made")

    def _foreseen(self, settler: Paper) -> list[Paper]:
        """Invoices that are to be copied, too, before it can be told."""
        mapping = self._mapping(settler)
        if settler.origin == self._connection.name or (mapping and mapping.remote_id):
            return []
        try:
            wanted = self._wanted(settler, mapping)
            fresh = list(self._to_be_made(settler))
            self._ask(settler, wanted)
        except RejectedError as error:
            what = f"{KINDS[settler.kind]} {settler.called} settles it"
            problem = f"{what}, and could not be told of its copy: {error.problem}"
            raise RejectedError(problem, field=error.field, limit=error.limit or LIMIT, cure=error.cure) from error
        return fresh

    def _wanted(self, settler: Paper, mapping: MappingRow | None) -> MappingRow:
        if mapping is None or mapping.state == "excluded":
            raise RejectedError("it is to have no copy there", cure="leave the invoice's copy, too")
        if Routes(self._tx, self._hub, [settler]).at(self._connection.name, settler) != "here":
            raise RejectedError("it settles invoices in other books, too, or nobody knows in whose")
        return mapping

    def _to_be_made(self, settler: Paper) -> Iterator[Paper]:
        named = [one for one in references(settler.document) if one not in self._invoices]
        for paper in documents.by_ids(self._tx, named).values():
            mapping = self._mapping(paper)
            if mapping is None or mapping.remote_id or mapping.state == "excluded":
                continue
            try:
                self._ask(paper, mapping)
            except RejectedError as error:
                problem = f"it settles invoice {paper.called}, too, which has no copy: {error.problem}"
                raise RejectedError(problem, field=error.field, limit=error.limit, cure=error.cure) from error
            self._invoices[paper.id] = paper
            yield paper

    def _mapping(self, paper: Paper) -> MappingRow | None:
        """Its mapping here, or the one that it will get."""
        found = mappings.of_records(self._tx, [paper.id]).get(paper.id, ())
        here = next((one for one in found if one.connection == self._connection.name), None)
        if here is not None:
            return here
        wanted = offerable(self._tx, self._hub, self._connection, self._row, [paper], self._invoices)
        return next(iter(fresh_mappings(self._tx, self._hub, self._connection, wanted)), None)

    def _ask(self, paper: Paper, mapping: MappingRow) -> None:
        """Raise RejectedError where the connector would not take it."""
        assert self._connection.documents is not None  # noqa: S101 - it has decided on the invoice's copy
        unmade = {name: stand_in(self._connection, name) for name in self._invoices}
        to_come = ToCome(customers=self._to_come.customers, invoices={**self._to_come.invoices, **unmade})
        copy = Copy(self._copy.row, mapping, paper, None)
        self._connection.documents.step(wanted_of(self._tx, self._hub, self._connection, copy, to_come), None)
