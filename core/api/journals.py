"""/v1/journal: who did what, when and where. Read only."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from core.api.context import HubIn, needs, new_router
from core.api.shapes import EntryShown
from core.model.scopes import READ
from core.store.database import Tx
from core.sync.auditing import filter_of, told

router = new_router("operations", prefix="/v1")

Given = Annotated[str | None, Query(max_length=255)]
When = Annotated[str | None, Query(max_length=40, description="A day, all of which counts, or a time; UTC.")]


class JournalEntry(EntryShown):
    """One entry. `external_customer_id`: of a customer's, or of a document's customer; of an erased one `(erased)`."""

    kind: str
    record_id: str
    external_customer_id: str | None


class JournalPage(BaseModel):
    """Entries, oldest first."""

    data: list[JournalEntry]
    next_cursor: int | None


@router.get("/journal", **needs(READ, 404))
async def list_journal(
    hub: HubIn,
    since: When = None,
    until: When = None,
    actor: Given = None,
    connection: Given = None,
    external_customer_id: Given = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
) -> JournalPage:
    """Every change, oldest first, with what it replaced and who or what did it."""

    def work(tx: Tx) -> JournalPage:
        wanted = filter_of(
            tx, since=since, until=until, actor=actor, connection=connection, customer=external_customer_id
        )
        found = told(tx, wanted, cursor, limit + 1)
        more = found[limit - 1]["change"] if len(found) > limit else None
        return JournalPage(data=[JournalEntry.model_validate(one) for one in found[:limit]], next_cursor=more)

    return await hub.db.read(work)
