"""Judges what becomes of the objects of customers who were archived in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from core.store import customers, mappings, work
from core.store.database import Tx
from core.store.holds import Hold
from core.store.tables import HOLDS, TOMBSTONES
from core.sync.hub import KIND

if TYPE_CHECKING:
    from tests.simulation.customers_at_rest import Rest
    from tests.simulation.world import SimWorld


class Farewells:
    """One world's."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody was archived yet."""
        self._world = world
        self._leaving: dict[str, tuple[str, str]] = {}
        self._began: dict[str, float] = {}
        self._owner: dict[str, str] = {}

    def begin(self, external_id: str) -> None:
        """Somebody is about to archive this customer: its objects are to follow where policy says so."""
        owner, leaving = self._world.db.read_now(lambda tx: self._objects_of(tx, external_id))
        self._leaving |= leaving
        self._owner |= dict.fromkeys(leaving, owner)
        self._began |= dict.fromkeys(leaving, self._world.clock.now())

    def end(self, record_id: str) -> bool:
        """The customer was brought back: nothing has to follow it any more. Whether something had not followed yet."""
        over = [self._leaving.pop(name) for name in list(self._leaving) if self._owner[name] == record_id]
        return any(self.is_there(*one) for one in over)

    def _objects_of(self, tx: Tx, external_id: str) -> tuple[str, dict[str, tuple[str, str]]]:
        (owner,) = customers.by_external_ids(tx, [external_id]).values()
        return owner.id, {
            row.id: (row.connection, row.remote_id)
            for row in mappings.of_records(tx, [owner.id]).get(owner.id, ())
            if row.kind == KIND and row.state == "live" and row.remote_id and row.connection in self._archives
        }

    @property
    def _archives(self) -> tuple[str, ...]:
        return self._world.tape.profile.archives

    def is_there(self, name: str, remote_id: str) -> bool:
        """Neither archived nor inactive."""
        shown = self._world.sites[name].lookalike.neutral("customer").get(remote_id)
        return shown is not None and shown.get("status") != "inactive"

    def has_followed(self, name: str, remote_id: str) -> bool:
        """Whether Accord archived it."""
        done = self._world.sites[name].lookalike.mutations
        return any((one.caller, one.action, one.id) == ("accord", "archive", remote_id) for one in done)

    def judge(self, rest: Rest) -> None:
        """Each has followed, but for those that somebody was asked about, or has given to somebody else."""
        forgotten = self._world.restores.restored_at
        for mapping_id, (name, remote_id) in sorted(self._leaving.items()):
            if self._began[mapping_id] <= forgotten:
                continue  # the older database does not know that the customer was archived
            if not self.is_there(name, remote_id):
                self._world.reached[f"archived with its customer at {name}"] += 1
            elif self._is_asked(rest.tx, name, mapping_id):
                self._world.reached[f"not archived at {name}, and asked about"] += 1
            elif not self._is_anothers(rest.tx, name, mapping_id, remote_id):
                self._world.checks.fail(f"F1: {name} {remote_id} did not follow its customer, and nobody is asked")

    def _is_asked(self, tx: Tx, name: str, mapping_id: str) -> bool:
        about = (HOLDS.c.connection == name, HOLDS.c.subject == work.farewell_subject(mapping_id))
        stands = sa.or_(HOLDS.c.state == "open", HOLDS.c.answer == "leave")
        return tx.execute(sa.select(HOLDS.c.id).where(*about, stands).limit(1)).first() is not None

    def _is_anothers(self, tx: Tx, name: str, mapping_id: str, remote_id: str) -> bool:
        """Tied again, of somebody who was erased since, or what another one's was merged into."""
        is_tied = remote_id in mappings.by_remote_ids(tx, name, KIND, [remote_id])
        is_erased = tx.execute(sa.select(TOMBSTONES.c.id).where(TOMBSTONES.c.id == mapping_id)).first() is not None
        return is_tied or is_erased or remote_id in self._world.checks.merged.values()

    def idle_reason(self, hold: Hold) -> str:
        """Why nobody should be asked any more; "" where there is a reason."""
        return "" if self.is_there(hold.connection, str(hold.detail["remote_id"])) else "it is archived"
