"""Plan a whole sweep's changes before any of them is made: the mass-change stop comes before the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from core.errors import ReplyError
from core.ports import Sighting
from core.store import holds, mappings, observations, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.sync import guard
from core.sync.batch import as_of_now
from core.sync.family import Family
from core.sync.guard import Spent
from core.sync.hub import KIND, Connection, Hub
from core.sync.verdicts import verdict_on

SLICE = 200


async def judge_parked(hub: Hub, connection: Connection, run: str) -> None:
    """Decide everything the sweep found changed, from what it saw; stop what is too much at once."""
    risky, found = await judged_parked(hub, connection, run)
    if risky:
        await hub.db.run(lambda tx: stop_too_much(tx, hub, connection, risky, found))


async def judged_parked(hub: Hub, connection: Connection, run: str) -> tuple[dict[str, str], Spent]:
    """What would be destroyed of all that waits for the end of `run`: by subject, and in numbers."""
    found, risky, after = Spent(), dict[str, str](), ""
    while True:
        subjects = await hub.db.read(lambda tx, a=after: work.parked(tx, connection.name, run, a, SLICE))  # type: ignore[misc]
        if not subjects:
            return risky, found
        risky |= await hub.db.read(lambda tx, some=subjects: _judge(tx, hub, connection, some, found))  # type: ignore[misc]
        after = subjects[-1]


def stop_too_much(tx: Tx, hub: Hub, connection: Connection, risky: Mapping[str, str], found: Spent) -> None:
    """Ask a person about what is destructive, if it is too much at once."""
    total = mappings.count(tx, connection.name, "live", "pending")
    why = guard.too_much(hub.policy.guard, found, total) if risky else ""
    if why:
        guard.stop(tx, hub, connection, risky, why)


def judge_page(
    tx: Tx, hub: Hub, connection: Connection, row: ConnectionRow, sightings: Sequence[Sighting], asked_at: float
) -> tuple[dict[str, str], str]:
    """What a page of the change feed would destroy beyond the budget, and why it is too much; nothing otherwise.

    A page is known as a whole before its first change is made: the budget is for what comes one by one.
    """
    if row.state != "active":
        return {}, ""
    observed = [one for one in map(partial(_understood, connection), sightings) if one is not None]
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, [one.remote_id for one in observed])
    # a feed that lags, or was asked before, shows what was there before a write of ours: that is no change of anybody's
    settled = asked_at - connection.manifest.lookup_lag_seconds
    old = {name: one for name, one in mapped.items() if one.updated_at <= settled}
    here = {old[one.remote_id].id: one for one in observed if one.remote_id in old}
    if not here:
        return {}, ""
    found = guard.spent(tx, hub, row)
    turned_down = work.rejected(tx, connection.name, [work.mapping_subject(one) for one in here])
    risky = _destructive(tx, hub, connection, list(old.values()), here, found, turned_down)
    why = guard.too_much(hub.policy.guard, found, mappings.count(tx, connection.name, "live", "pending"))
    return (risky, why) if why else ({}, "")


def _understood(connection: Connection, sighting: Sighting) -> Observation | None:
    try:
        return connection.observed(sighting)
    except ReplyError:
        return None


def _judge(tx: Tx, hub: Hub, connection: Connection, subjects: list[str], found: Spent) -> dict[str, str]:
    """What is destructive, with the digest of the change."""
    ids = [one[2:] for one in subjects if one.startswith("m:")]
    rows = list(mappings.by_ids(tx, ids).values())
    seen = observations.by_ids(tx, connection.name, KIND, [row.remote_id for row in rows if row.remote_id])
    here = {row.id: seen[row.remote_id] for row in rows if row.remote_id in seen}
    return _destructive(tx, hub, connection, rows, here, found)


def _destructive(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    rows: Sequence[MappingRow],
    seen: Mapping[str, Observation],
    found: Spent,
    turned_down: Mapping[str, str] = {},
) -> dict[str, str]:
    """Mappings (by subject) whose change would replace or clear something, added to `found`; `seen` by mapping id.

    What a person has turned down is nothing to ask about again.
    """
    current = as_of_now(tx, [row for row in rows if row.id in seen])
    held = holds.of_subjects(tx, connection.name, [work.mapping_subject(one) for one in current])
    family = Family(tx, connection, [one for _, one in current.values()], [one.remote for one in seen.values()])
    risky = {}
    for name, (mapping, customer) in current.items():
        one = seen[name]
        subject = work.mapping_subject(name)
        kin = family.kin(customer, one.remote)
        verdict = verdict_on(hub, connection, customer, mapping, kin, held.get(subject, ()))
        if turned_down.get(subject) == verdict.digest:
            continue
        for field, (old, new) in verdict.replaced.items():
            found.add(field, old, new)
        if verdict.replaced:
            risky[subject] = verdict.digest
    return risky
