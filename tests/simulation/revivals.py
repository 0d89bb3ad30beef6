"""Archived customers are brought back, some while their objects are being archived: each is itself again, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from core.errors import AccordError
from core.store import mappings
from core.store.erasing import ERASED
from core.store.tables import CUSTOMERS
from core.sync.hub import KIND
from core.sync.revival import restore
from tests.simulation.tape import Event

if TYPE_CHECKING:
    from core.model.values import Value
    from core.store.mappings import MappingRow
    from tests.simulation.customers_at_rest import Rest
    from tests.simulation.world import SimWorld

_ARCHIVED: Final = (
    sa.select(CUSTOMERS.c.external_id)
    .where(CUSTOMERS.c.deleted_at.is_not(None), CUSTOMERS.c.external_id != ERASED)
    .order_by(CUSTOMERS.c.deleted_at)
)


class Revivals:
    """Who was brought back in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody was."""
        self._world = world
        self.back: dict[str, float] = {}
        """By the registry's id: when, the last time."""
        self._asleep: set[tuple[str, str]] = set()
        """Objects that Accord had archived with their customer: a person makes them active again."""

    def revive(self, event: Event) -> None:
        """Somebody brings one back: whoever was archived last, or anybody."""
        life = self._world.life
        found = self._world.db.read_now(lambda tx: [row[0] for row in tx.rows(_ARCHIVED)])
        if life is None or not found:
            return
        name = found[-1] if event.changes["is_last"] else found[event.pick % len(found)]
        try:
            done = self._world.db.run_now(lambda tx: restore(tx, life.hub, name, actor="operator", trace="restore"))
        except AccordError as refused:
            self._world.note(f"refused: {refused}")
            self._world.reached["a customer could not be brought back"] += 1
            return
        is_early = self._world.checks.farewells.end(done.customer.id)
        self.back[done.customer.id] = self._world.clock.now()
        self._asleep |= {(row.connection, str(row.remote_id)) for row in done.archived}
        self._world.note(f"BROUGHT BACK {name} {[(row.connection, row.remote_id) for row in done.tied]}")
        self._world.reached["brought back"] += 1
        self._world.reached["brought back before its objects were archived"] += is_early
        self._world.reached["brought back, and an object had been archived"] += bool(done.archived)

    # ---- judging ---------------------------------------------------------------------------------------

    def judge(self, rest: Rest) -> None:
        """None has two objects at a system, and none is left that is nobody's and nobody is asked about."""
        for record_id in sorted(self.back):
            if record_id in rest.customers:
                for system in self._world.systems:
                    self._is_once(rest, record_id, system)

    def is_asleep(self, row: MappingRow, field: str, here: Value, there: Value) -> bool:
        """Whether an object is inactive for nothing but that Accord archived it, and both sides know."""
        is_ours = field == "status" and (row.connection, row.remote_id) in self._asleep
        return is_ours and there == "inactive" and row.base.get(field) == (here, there)

    def _is_once(self, rest: Rest, record_id: str, system: str) -> None:
        ever = [row for row in rest.mappings if (row.record_id, row.connection, row.part) == (record_id, system, "")]
        theirs = {str(row.remote_id) for row in ever if row.remote_id}
        owners = mappings.by_remote_ids(rest.tx, system, KIND, theirs)
        there = {
            one
            for one in theirs
            if self._world.checks.farewells.is_there(system, one)
            and (one not in owners or owners[one].record_id == record_id)
        }
        what = f"R: {system}: {record_id}, who was brought back,"
        if len(there) > 1 and not there & set(self._world.checks.merged.values()):
            self._world.checks.fail(f"{what} is there {len(there)} times: {sorted(there)}")
        for one in sorted(there - owners.keys()):
            self._world.checks.fail(f"{what} is not tied to {one}, which is nobody's")
