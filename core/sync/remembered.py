"""Which objects need not be read again before they are written: a read less for every edit that only goes out.

Only where an update carries an optimistic lock: the provider refuses a write that was computed from an older
state, and the object is read then. Nothing else is ever decided from what was remembered.
"""

from __future__ import annotations

from core.model.decide import Verdict
from core.store import observations
from core.store.database import Tx
from core.sync.batch import Batch, Found, as_of_now
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.verdicts import verdict_on


def remembered_of(tx: Tx, hub: Hub, connection: Connection, batch: Batch) -> dict[str, Found]:
    """Objects, by remote id, of which only the registry's side changed, so that all there is to do is a push."""
    if not connection.manifest.is_conditional or batch.state.state != "active":
        return {}
    quiet = [one for row, one in batch.live.values() if one.state == "live" and not (row.noticed or row.attempts)]
    current = as_of_now(tx, quiet)
    known = observations.by_ids(tx, connection.name, KIND, [one.remote_id for one in quiet if one.remote_id])
    family = Family(tx, connection, [one for _, one in current.values()], [one.remote for one in known.values()])
    found = {}
    for mapping, customer in current.values():
        seen = known.get(mapping.remote_id or "")
        if seen is None or seen.state != "live" or not seen.raw or seen.digest == observations.UNSEEN:
            continue
        if only_pushes(verdict_on(hub, connection, customer, mapping, family.kin(customer, seen.remote))):
            found[seen.remote_id] = Found(seen, seen.raw.encode(), is_remembered=True)
    return found


def only_pushes(verdict: Verdict) -> bool:
    """Nothing is taken from the remote side, compared with it or asked about it."""
    return bool(verdict.push) and not (verdict.pull or verdict.lost or verdict.holds or verdict.vouched)
