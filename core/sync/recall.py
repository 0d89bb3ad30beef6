"""What our past writes replaced: asked for when their objects are next looked at, and judged before anything else is.

A provider without conditional writes tells of an edit between our read and our write in its history only. Every write
is noticed sooner or later, by its webhook or by the change feed: the read that follows anyway asks for the history
too. Until then the write's intent carries its stamp, so that a crash in between forgets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.abilities import Past, Recalled
from core.store import intents, mappings
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.batch import Batch, Seen, as_of_now, understand
from core.sync.hub import KIND, Connection, Hub
from core.sync.races import raced


def past_of(tx: Tx, batch: Batch) -> dict[str, Intent]:
    """By remote id, the writes to a batch's objects of which it is not known yet what they replaced."""
    if batch.state.state != "active":
        return {}
    here = {mapping.id: name for name, (_, mapping) in batch.live.items()}
    found = intents.stamped_of(tx, here)
    return {here[name]: one for name, one in found.items() if one.remote_id == here[name]}


async def recall(hub: Hub, connection: Connection, past: Mapping[str, Intent], seen: Seen) -> Seen:
    """Read these objects too, and judge what was overwritten; returns `seen` with them."""
    told = await connection.connector.recall(
        KIND, [Past(remote_id=name, body=one.body, stamp=one.stamp) for name, one in past.items()]
    )
    await hub.db.run(lambda tx: _judge(tx, hub, connection, past, told))
    more = understand(connection, {name: one.now for name, one in told.items()})
    return replace(
        seen,
        there={**seen.there, **more.there},
        gone={**seen.gone, **more.gone},
        trouble={**seen.trouble, **more.trouble},
    )


def _judge(tx: Tx, hub: Hub, connection: Connection, past: Mapping[str, Intent], told: Mapping[str, Recalled]) -> None:
    over = {name: one.overwritten for name, one in told.items() if one.overwritten}
    rows = list(mappings.by_ids(tx, [past[name].mapping_id for name in over]).values())
    # in one order at every connection: two lanes that wait for each other's customers would wait for ever
    for mapping, _ in sorted(as_of_now(tx, rows).values(), key=lambda pair: pair[1].id):
        name = next(name for name in over if past[name].mapping_id == mapping.id)
        raced(tx, hub, connection, past[name], over[name])
    intents.recalled(tx, [past[name].mapping_id for name in told])
