"""Which objects need not be read again before they are decided: a read less for every edit that only goes out.

Where an update carries an optimistic lock: the provider refuses a write that was computed from an older state, and the
object is read then. And where a new policy only has something agreed on, or asked: nothing is written or taken then.
Nothing else is ever decided from what was remembered.
"""

from __future__ import annotations

from core.model.decide import Verdict
from core.store import holds, observations, work
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.batch import Batch, Found, as_of_now
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.verdicts import verdict_on


def remembered_of(tx: Tx, hub: Hub, connection: Connection, batch: Batch) -> dict[str, Found]:
    """Objects, by remote id, of which only the registry's side changed, so that all there is to do is a push."""
    rows = {one.id: row for row, one in batch.live.values() if _may_do(connection, row)}
    if not rows or batch.state.state != "active":
        return {}
    quiet = [one for _, one in batch.live.values() if one.state == "live" and one.id in rows]
    current = as_of_now(tx, quiet)
    known = observations.by_ids(tx, connection.name, KIND, [one.remote_id for one in quiet if one.remote_id])
    family = Family(tx, connection, [one for _, one in current.values()], [one.remote for one in known.values()])
    found = {}
    held = holds.of_subjects(
        tx, connection.name, [row.subject for row in rows.values() if row.reason == work.NEW_POLICY]
    )
    for mapping, customer in current.values():
        seen, row = known.get(mapping.remote_id or ""), rows[mapping.id]
        if seen is None or seen.state != "live" or seen.digest == observations.UNSEEN:
            continue
        one = Found(seen, seen.raw.encode(), is_remembered=True)
        kin, here = family.kin(customer, seen.remote), held.get(row.subject, ())
        if suffices(one, row, verdict_on(hub, connection, customer, mapping, kin, here)):
            found[seen.remote_id] = one
    return found


def _may_do(connection: Connection, row: DirtyRow) -> bool:
    is_known = connection.manifest.is_conditional or row.reason == work.NEW_POLICY
    return is_known and not (row.noticed or row.attempts)


def suffices(found: Found, row: DirtyRow, verdict: Verdict) -> bool:
    """Whether what was remembered is good enough to decide this: nothing is written from an object that is not kept."""
    return _only_pushes(verdict) if found.raw and verdict.push else row.reason == work.NEW_POLICY and verdict.is_quiet


def _only_pushes(verdict: Verdict) -> bool:
    """Nothing is taken from the remote side, compared with it or asked about it."""
    return bool(verdict.push) and not (verdict.pull or verdict.lost or verdict.holds or verdict.vouched)
