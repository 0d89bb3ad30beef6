"""Whether all that settles an invoice could be told of its copy: asked first where a copy is payable until then.

Each payment and credit note is put to the connector as if the copies of all its invoices were there; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from core.sync.documents.lost import gone
from core.sync.documents.marking import mark_mappings
from core.sync.documents.offering import fresh_mappings, offerable
from core.sync.documents.routing import Routes
from core.sync.documents.standing import Copy, idle
from core.sync.documents.wanting import NOTHING, SETTLER, Later, ToCome, stand_in, wanted_of
from core.sync.hub import Connection, Hub

LIMIT: Final = "a copy can be paid there until all that settles it is told"
_Found = list[Paper] | RejectedError | Later


def is_settled_only(connection: Connection) -> bool:
    """Whether only invoices that are settled get a copy at a connection, since an open one could be paid there."""
    spec = connection.manifest.documents.get("invoice")
    return spec is not None and bool(spec.settled_by) and connection.config.settings.get(spec.unless) != "yes"


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


class Foresight:
    """What is found out in one transaction: of all that is settled together once, and not for each invoice anew."""

    def __init__(self, tx: Tx, hub: Hub, connection: Connection, to_come: ToCome = NOTHING) -> None:
        """Nothing is looked at yet."""
        self.to_come = to_come
        self._tx, self._hub, self._connection = tx, hub, connection
        self._settling: dict[str, _Found] = {}
        self._together: dict[str, _Found] = {}

    def refuse_unsettled(self, copy: Copy) -> None:
        """Raise RejectedError for the copy of an invoice that would stay payable; Later while that cannot be told.

        What keeps one invoice from being settled keeps those that are settled together with it, too.
        """
        if (
            copy.paper.kind != "invoice"
            or not is_settled_only(self._connection)
            or not _is_ahead(self._connection, copy)
        ):
            return
        todo, seen = [copy.paper], {copy.paper.id}
        while todo:
            invoice = todo.pop()
            for settler in _once(self._settling, invoice, self._settlers):
                fresh = [one for one in _once(self._together, settler, self._foreseen) if one.id not in seen]
                seen.update(one.id for one in fresh)
                todo += fresh

    def _settlers(self, invoice: Paper) -> list[Paper]:
        """What settles it. Raises where some of that is not known."""
        about = told_to_origin(self._tx, invoice)
        lost = gone(self._tx, about)  # told of by nobody before that is answered
        settlers = [one for one in about if one.id not in lost and settled_by(one.document).get(invoice.id, ZERO)]
        self._add_up(invoice, settlers)
        return settlers

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
        if settler.origin == self._connection.name:
            return []
        named = list(documents.by_ids(self._tx, references(settler.document)).values())
        here = self._mappings([settler, *named], {one.id for one in named})
        mapping = here.get(settler.id)
        if mapping and mapping.remote_id:
            return []
        unmade = [one for one in named if one.id in here and not here[one.id].remote_id]
        try:
            wanted = self._wanted(settler, mapping)
            for one in unmade:
                self._ask_of_another(one, here[one.id])
            self._ask(settler, wanted, {one.id: stand_in(self._connection, one.id) for one in unmade})
        except RejectedError as error:
            what = f"{KINDS[settler.kind]} {settler.called} settles it"
            problem = f"{what}, and could not be told of its copy: {error.problem}"
            raise RejectedError(problem, field=error.field, limit=error.limit or LIMIT, cure=error.cure) from error
        return unmade

    def _wanted(self, settler: Paper, mapping: MappingRow | None) -> MappingRow:
        if mapping is None:
            raise RejectedError("it is to have no copy there", cure="leave the invoice's copy, too")
        if Routes(self._tx, self._hub, [settler]).at(self._connection.name, settler) != "here":
            raise RejectedError("it settles invoices in other books, too, or nobody knows in whose")
        return mapping

    def _ask_of_another(self, invoice: Paper, mapping: MappingRow) -> None:
        try:
            self._ask(invoice, mapping, {})
        except RejectedError as error:
            problem = f"it settles invoice {invoice.called}, too, which has no copy: {error.problem}"
            raise RejectedError(problem, field=error.field, limit=error.limit, cure=error.cure) from error

    def _mappings(self, papers: Sequence[Paper], invoices: Collection[str]) -> dict[str, MappingRow]:
        """The mappings that these have here, or will get; none of what was let go of."""
        known = mappings.of_records(self._tx, [one.id for one in papers])
        here = {name: row for name, rows in known.items() for row in rows if row.connection == self._connection.name}
        row = connections.get(self._tx, self._connection.name)
        # a plan is made as if it were activated now
        row = msgspec.structs.replace(row, first_activated_at=row.first_activated_at or self._hub.clock.now())
        absent = [one for one in papers if one.id not in here]
        wanted = offerable(self._tx, self._hub, self._connection, row, absent, invoices) if absent else []
        fresh = {one.record_id: one for one in fresh_mappings(self._tx, self._hub, self._connection, wanted)}
        return {name: one for name, one in (here | fresh).items() if one.state != "excluded"}

    def _ask(self, paper: Paper, mapping: MappingRow, unmade: Mapping[str, str]) -> None:
        """Raise RejectedError where the connector would not take it."""
        assert self._connection.documents is not None  # noqa: S101 - it has decided on the invoice's copy
        to_come = ToCome(customers=self.to_come.customers, invoices={**self.to_come.invoices, **unmade})
        copy = Copy(idle(mapping), mapping, paper, None)
        self._connection.documents.step(wanted_of(self._tx, self._hub, self._connection, copy, to_come), None)


def _once(found: dict[str, _Found], paper: Paper, look: Callable[[Paper], list[Paper]]) -> list[Paper]:
    """What a look at a paper told, or raised, the first time."""
    if paper.id not in found:
        try:
            found[paper.id] = look(paper)
        except (RejectedError, Later) as error:
            found[paper.id] = error
    told = found[paper.id]
    if isinstance(told, Exception):
        raise told
    return told
