"""Moving a database's life on: what is in the database first, then what the file beside it says."""

from __future__ import annotations

import asyncio

import msgspec

from core.errors import StorageError
from core.model.life import strange
from core.store import life, tombstones
from core.store.database import Tx
from core.sync.hub import Hub


def remember(hub: Hub) -> None:
    """Count on: a copy that was made before this is older from now on.

    Nothing is counted while the two do not belong together: that is for the next start to judge.
    """
    if hub.life is None:
        return
    told, kept = hub.life.read(), hub.life.is_kept

    def move(tx: Tx) -> bool:
        here, now_home = life.note(tx), life.home(tx)
        if here is None or strange(here, told.life if told else None, home=now_home, needs_file=kept):
            return False
        life.put_note(tx, msgspec.structs.replace(here, counter=here.counter + 1))
        return True

    if hub.db.run_now(move):
        write(hub)
    elif told:
        hub.life.write(told.life, hub.db.read_now(tombstones.every))


async def remembered(hub: Hub) -> None:
    """`remember`, beside the daemon's other work."""
    await asyncio.get_running_loop().run_in_executor(None, remember, hub)


def tell_ends(hub: Hub, tx: Tx) -> None:
    """Once this transaction is durable, the file knows its tombstones too; the scheduled job makes up for a failure."""

    def tell() -> None:
        try:
            remember(hub)
        except StorageError as error:
            hub.log.warning("life.not_written", problem=str(error))

    tx.after_commit(tell)


def write(hub: Hub) -> None:
    """Let the file say what the database says."""
    if hub.life is not None:
        here, ends = hub.db.read_now(lambda tx: (life.note(tx), tombstones.every(tx)))
        if here is not None:
            hub.life.write(here, ends)
