"""Numbers that are taken at a connection, as far as the registry knows what is there: a plan tells of them."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import RejectedError
from core.store import documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.hub import Connection


class Numbers:
    """Of one plan: those that are taken there, and those that copies which it announces will take."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is known yet."""
        self._connection = connection
        self._taken: dict[tuple[tuple[str, ...], str], Paper] = {}

    def look(self, tx: Tx, papers: Sequence[Paper]) -> None:
        """Find out who has the numbers of these documents."""
        wanted = [one.called for one in papers if self._shared_with(one) and one.called]
        found = documents.numbered(tx, wanted)
        rows = mappings.of_records(tx, [one.id for one in found])
        for one in found:
            here = any(row.connection == self._connection.name and row.remote_id for row in rows.get(one.id, ()))
            if here:
                self.take(one)

    def take(self, paper: Paper) -> None:
        """A document is there, or will be."""
        if kinds := self._shared_with(paper):
            self._taken.setdefault((kinds, paper.called), paper)

    def refusal(self, paper: Paper) -> RejectedError | None:
        """Why a copy would be refused: another document has its number. None where nobody is known to have it."""
        other = self._taken.get((self._shared_with(paper), paper.called)) if paper.called else None
        if other is None or other.id == paper.id:
            return None
        kind = other.kind.replace("_", " ")
        title = self._connection.manifest.title
        return RejectedError(
            f"number {paper.called} is taken in {title}, by {kind} {other.remote_id} of {other.origin}",
            field="number",
            limit="nothing is renumbered",
            cure="give one of them another number where it was made, or leave this one without a copy",
        )

    def _shared_with(self, paper: Paper) -> tuple[str, ...]:
        spec = self._connection.manifest.documents.get(paper.kind)
        return spec.numbered_with if spec else ()
