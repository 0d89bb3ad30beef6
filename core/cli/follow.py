"""Wait for a running daemon to do what was asked of it. Its rows say when it has."""

from __future__ import annotations

from collections.abc import Callable

from core.cli.desk import Desk
from core.errors import BusyError
from core.store import connections, one_offs
from core.store.database import Tx
from core.sync.hub import Hub

LOOK_EVERY_SECONDS = 0.2
ENDED = ("done", "failed", "reauthorize")


def one_off_state(tx: Tx, name: str, one_off: str) -> str:
    """How far a request is. A connection that a person must authorize again does nothing, however long one waits."""
    row = one_offs.get(tx, one_off)
    state = row.state if row else "done"
    return "reauthorize" if state == "new" and connections.get(tx, name).state == "reauthorize" else state


async def followed(desk: Desk, hub: Hub, is_done: Callable[[], bool], *, patience: float) -> bool:
    """Return whether it was done within `patience` seconds. Raises BusyError when the daemon is gone."""
    until = hub.clock.now() + patience
    while not is_done():
        if not desk.root.is_daemon_running():
            raise BusyError(
                "the daemon stopped meanwhile; start it (`accord run`): what was asked waits in the database"
            )
        if hub.clock.now() >= until:
            return False
        await hub.clock.sleep(LOOK_EVERY_SECONDS)
    return True
