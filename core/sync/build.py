"""From configuration to a hub. The composition root, the demo and the simulation all build theirs here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.model.policy import Policy
from core.ports import Clock, ConnectionConfig, Ids, Provider, Shell, Vault
from core.store import connections
from core.store.database import Database, Tx
from core.store.life import LifeFile
from core.sync.hub import Connection, Hub, Timing, connect
from core.sync.new_policy import recorded, rules_of


@dataclass(frozen=True, slots=True)
class Parts:
    """What a hub is built from."""

    configs: Mapping[str, ConnectionConfig]
    policy: Policy
    providers: Mapping[str, Provider]
    db: Database
    clock: Clock
    ids: Ids
    vault: Callable[[str], Vault]
    shell: Callable[[str], Shell]
    wake: Callable[[str], None]
    timing: Timing
    life: LifeFile | None = None


def build_hub(parts: Parts) -> Hub:
    """Build every connection and make its row. The database must have today's schema."""
    built: dict[str, Connection] = {}
    for name, config in parts.configs.items():
        provider = parts.providers[config.provider]
        built[name] = connect(config, parts.policy.connections[name], provider, parts.vault(name), parts.shell(name))

    def rows(tx: Tx) -> str:
        for one in built.values():
            connections.ensure(tx, one.name, one.manifest.provider)
            if recorded(tx, one.name) != rules_of(one, parts.policy):
                tx.after_commit(lambda lane=one.name: parts.wake(lane))  # type: ignore[misc]
        return connections.put_meta_once(tx, "instance", parts.ids.new())

    return Hub(
        db=parts.db,
        clock=parts.clock,
        ids=parts.ids,
        policy=parts.policy,
        connections=built,
        instance=parts.db.run_now(rows),
        wake=parts.wake,
        timing=parts.timing,
        life=parts.life,
    )
