"""Moving a database's life on: what is in the database first, then what the file beside it says."""

from __future__ import annotations

import asyncio

import msgspec

from core.errors import StorageError
from core.model.life import strange
from core.store import life
from core.store.database import Database, Tx
from core.store.life import LifeFile
from core.sync.hub import Hub


def remember(hub: Hub) -> None:
    """Count on: a copy that was made before this is older from now on."""
    if hub.life is not None:
        move_on(hub.db, hub.life)


def move_on(db: Database, file: LifeFile) -> None:
    """`remember`, of a database that no hub stands on.

    Nothing is counted while database and file do not belong together: that is for the next start to judge.
    """
    told = file.read()

    def move(tx: Tx) -> bool:
        here, now_home = life.note(tx), life.home(tx)
        if here is None or strange(here, told.life if told else None, home=now_home, needs_file=file.is_kept):
            return False
        life.put_note(tx, msgspec.structs.replace(here, counter=here.counter + 1))
        return True

    if db.run_now(move):
        write(db, file)
    elif told:
        file.write(told.life, db.read_now(life.ends))


async def remembered(hub: Hub) -> None:
    """`remember`, beside the daemon's other work."""
    await asyncio.get_running_loop().run_in_executor(None, remember, hub)


def tell_ends(hub: Hub, tx: Tx) -> None:
    """Once this transaction is durable, the file knows what it ended, too; the scheduled job makes up for a failure."""

    def tell() -> None:
        try:
            remember(hub)
        except StorageError as error:
            hub.log.warning("life.not_written", problem=str(error))

    tx.after_commit(tell)


def write(db: Database, file: LifeFile) -> None:
    """Let the file say what the database says."""
    here, ends = db.read_now(lambda tx: (life.note(tx), life.ends(tx)))
    if here is not None:
        file.write(here, ends)
