"""Plan a whole sweep's changes before any of them is made: the mass-change stop comes before the first one."""

from __future__ import annotations

from core.store import holds, mappings, observations, work
from core.store.database import Tx
from core.sync import guard
from core.sync.batch import as_of_now
from core.sync.family import Family
from core.sync.guard import Spent
from core.sync.hub import KIND, Connection, Hub
from core.sync.verdicts import verdict_on

SLICE = 200


async def judge_parked(hub: Hub, connection: Connection, run: str) -> None:
    """Decide everything the sweep found changed, from what it saw; stop what is too much at once."""
    found, risky, after = Spent(), dict[str, str](), ""
    while True:
        subjects = await hub.db.read(lambda tx, a=after: work.parked(tx, connection.name, run, a, SLICE))  # type: ignore[misc]
        if not subjects:
            break
        risky |= await hub.db.read(lambda tx, some=subjects: _judge(tx, hub, connection, some, found))  # type: ignore[misc]
        after = subjects[-1]
    if not risky:
        return

    def stop(tx: Tx) -> None:
        total = mappings.count(tx, connection.name, "live", "pending")
        why = guard.too_much(hub.policy.guard, found, total)
        if why:
            guard.stop(tx, hub, connection, risky, why)

    await hub.db.run(stop)


def _judge(tx: Tx, hub: Hub, connection: Connection, subjects: list[str], found: Spent) -> dict[str, str]:
    """What is destructive, with the digest of the change."""
    ids = [one[2:] for one in subjects if one.startswith("m:")]
    rows = mappings.by_ids(tx, ids)
    current = as_of_now(tx, list(rows.values()))
    seen = observations.by_ids(tx, connection.name, KIND, [row.remote_id for row in rows.values() if row.remote_id])
    held = holds.of_subjects(tx, connection.name, subjects)
    family = Family(tx, connection, [one for _, one in current.values()], [one.remote for one in seen.values()])
    risky = {}
    for name, (mapping, customer) in current.items():
        one = seen.get(mapping.remote_id or "")
        if one is None:
            continue
        subject = work.mapping_subject(name)
        kin = family.kin(customer, one.remote)
        verdict = verdict_on(hub, connection, customer, mapping, kin, held.get(subject, ()))
        for field, (old, new) in verdict.replaced.items():
            found.add(field, old, new)
        if verdict.replaced:
            risky[subject] = verdict.digest
    return risky
