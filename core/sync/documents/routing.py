"""In whose books documents belong: read once for some of them, told for each connection that is an entity's books."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from core.model.documents import references
from core.model.entities import Owner, Place, Route, owner_of, route, route_of_settler
from core.store import customers, documents, intents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.standing import ENTITY
from core.sync.hub import Hub


class Routes:
    """Where each of some documents belongs, as things stand in this transaction."""

    def __init__(self, tx: Tx, hub: Hub, papers: Sequence[Paper]) -> None:
        """Nothing is read where policy names no entities."""
        self._tx, self._hub = tx, hub
        self._given = papers
        named = {name: one.policy.documents.entities for name, one in hub.connections.items()}
        self._books = {name: entities for name, entities in named.items() if entities}

    def at(self, connection: str, paper: Paper) -> Route:
        """Where policy names entities; elsewhere every document is at home."""
        if connection not in self._books or connection == paper.origin:
            return "here"
        places = self._places(paper)
        if not references(paper.document):
            others = [one for name, one in places.items() if name != connection]
            return route(self.owner(paper).entity, places[connection], others)
        return route_of_settler(
            self._of_invoices(connection, paper),
            is_booked=places[connection].is_booked,
            is_booked_wrongly=any(
                one.is_booked and name != connection and set(self._of_invoices(name, paper)) == {"elsewhere"}
                for name, one in places.items()
            ),
        )

    def takes(self, connection: str, paper: Paper) -> bool:
        """Whether a document is to have a copy at a connection, or may turn out to be."""
        return self.at(connection, paper) != "elsewhere"

    def owner(self, paper: Paper) -> Owner:
        """Whose document it is, by its origin or its customer as they are now."""
        one = self._owners.get(paper.customer_id)
        name, fields = (one.external_id, one.fields) if one else (paper.customer_id, {})
        return owner_of(self._hub.policy, paper.origin, name, fields)

    def missing(self, connection: str, paper: Paper) -> str:
        """What to do about a document whose books are not known."""
        unknown = [one for one in self.invoices(paper) if self.at(connection, one) == "unknown"]
        return self.owner((unknown or [paper])[0]).missing

    def invoices(self, paper: Paper) -> list[Paper]:
        """The invoices that a document settles."""
        return [self._papers[name] for name in references(paper.document) if name in self._papers]

    def _of_invoices(self, connection: str, paper: Paper) -> list[Route]:
        return [self.at(connection, one) for one in self.invoices(paper)]

    def _places(self, paper: Paper) -> dict[str, Place]:
        rows = {row.connection: row for row in self._rows.get(paper.id, ())}
        return {name: self._place(entities, rows.get(name)) for name, entities in self._books.items()}

    def _place(self, entities: tuple[str, ...], row: MappingRow | None) -> Place:
        if row is None:
            return Place(entities=entities)
        # what a person left out may be there all the same: somebody decided about it
        is_booked = bool(row.remote_id) or row.state == "excluded" or row.id in self._under_way
        return Place(entities=entities, is_booked=is_booked, accepted=str(row.base.get(ENTITY, ("",))[0]))

    @cached_property
    def _papers(self) -> dict[str, Paper]:
        given = {one.id: one for one in self._given}
        named = {name for one in self._given for name in references(one.document)}
        return documents.by_ids(self._tx, named - given.keys()) | given

    @cached_property
    def _owners(self) -> dict[str, customers.Customer]:
        return customers.by_ids(self._tx, {one.customer_id for one in self._papers.values()})

    @cached_property
    def _rows(self) -> dict[str, list[MappingRow]]:
        found = mappings.of_records(self._tx, self._papers)
        return {name: [row for row in rows if row.connection in self._books] for name, rows in found.items()}

    @cached_property
    def _under_way(self) -> set[str]:
        """Mappings with a write that may have made their object."""
        unmade = [row.id for rows in self._rows.values() for row in rows if row.remote_id is None]
        return set(intents.open_of(self._tx, unmade))
