"""A clock that ran ahead and was set right: lanes must not wait, and sweeps not rest, until it gets there again."""

from __future__ import annotations

from typing import Final

from core.store import ahead, intents
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.hub import Connection, Hub

UNKNOWN_SECONDS: Final = 30 * 86_400.0
"""How long ago a create may have been sent of which nobody knows: objects made since then may be what it made."""


async def set_right(hub: Hub) -> list[str]:
    """Bring back the times that lie ahead, wherever there are any; at which connections."""
    now = hub.clock.now()
    wrong = sorted(await hub.db.read(lambda tx: ahead.connections(tx, now)) & hub.connections.keys())
    for name in wrong:
        await hub.db.run(lambda tx, one=hub.connections[name]: bring_back(tx, hub, one))  # type: ignore[misc]
    return wrong


def bring_back(tx: Tx, hub: Hub, connection: Connection) -> None:
    """Let nothing at this connection have a time that is still to come, or wait for one that far ahead."""
    now = hub.clock.now()
    ahead.bring_back(tx, connection.name, now)
    for one in intents.all_open(tx, connection.name):
        if one.sent_at > now:
            settles = now + connection.manifest.settle_seconds * hub.timing.patience
            ahead.sent(tx, one.id, _sent_at(connection, one, now), settles)
    hub.log.warning("clock.was_ahead", connection=connection.name, cure="what lay in the future counts from now on")


def _sent_at(connection: Connection, intent: Intent, now: float) -> float:
    """A key that may be forgotten by now must not be trusted: what it made is looked for."""
    lifetime = connection.manifest.create_key_seconds
    if intent.action != "create" or lifetime is None:
        return now
    return now - max(UNKNOWN_SECONDS, lifetime)
