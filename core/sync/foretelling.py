"""What a tie by hand would come to: it is made, decided on, and taken back before anybody sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

import msgspec

from core.errors import NotFoundError
from core.ports import Missing
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.sync.hub import KIND, Hub
from core.sync.linking import link
from core.sync.plan import of_mapping
from core.sync.plan_items import Item


class Foretold(msgspec.Struct, frozen=True):
    """The mapping that would be, and what would become of the two as they are now."""

    row: MappingRow
    items: list[Item]


class _TakenBackError(Exception):
    """Ends the transaction without a commit."""

    def __init__(self, found: Foretold) -> None:
        super().__init__()
        self.found = found


async def foretell_link(hub: Hub, external_id: str, name: str, remote_id: str) -> Foretold:
    """Refused as `link` is, by what `link` itself would find; nothing of it stays. Reads the object."""
    connection = hub.connection(name)

    def try_out(tx: Tx, seen: Observation | None) -> NoReturn:
        row = link(tx, hub, external_id, name, remote_id, actor="", trace="")
        raise _TakenBackError(Foretold(row, of_mapping(tx, hub, connection, row, seen) if seen else []))

    # before anything is asked there: an id that was never seen is refused in link's own words
    await _taken_back(hub, partial(try_out, seen=None))
    answer = (await connection.connector.read(KIND, [remote_id]))[remote_id]
    if isinstance(answer, Missing):
        problem = f"there is no object {remote_id!r} at {name}"
        raise NotFoundError(problem, field="remote", cure="name the id of one that is there")
    # what was last seen of an object that was let go of is as old as that
    return await _taken_back(hub, partial(try_out, seen=connection.observed(answer)))


async def _taken_back(hub: Hub, try_out: Callable[[Tx], NoReturn]) -> Foretold:
    try:
        await hub.db.run(try_out)
    except _TakenBackError as end:
        return end.found
