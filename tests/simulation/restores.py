"""An older database is put back after a crash: what may be lost by that, and what must not be made twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import sqlalchemy as sa

from core.model.life import Life as Note
from core.sandbox.lookalike import Mutation
from core.store import mappings
from core.store.database import Database, Tx
from core.store.life import Ends, LifeFile, Told
from core.store.tables import MAPPINGS
from core.sync import restoring
from core.sync.hub import Hub
from core.sync.life import move_on
from tests.simulation.behind import Behind, intent_behind
from tests.simulation.lookups import live_customers
from tests.simulation.losses import Losses
from tests.simulation.quick import QuickDatabase
from tests.simulation.reference import loose
from tests.simulation.tape import REGISTRY, is_books

if TYPE_CHECKING:
    from tests.simulation.site import Site
    from tests.simulation.world import SimWorld

T = TypeVar("T")
NEVER: Final = -1.0


class Beside(LifeFile):
    """The file beside the database, without a file."""

    def __init__(self) -> None:
        """Nothing ran yet."""
        super().__init__(Path("nowhere"), is_kept=True)
        self._told: Told | None = None

    def read(self) -> Told | None:
        """What it says."""
        return self._told

    def write(self, life: Note, ends: Ends) -> None:
        """No end that stands in it is ever left out."""
        before = self._told
        known = {(one.id, one.why): one for one in (*(before.tombstones if before else ()), *ends.tombstones)}
        self._told = Told(life=life, tombstones=list(known.values()), revoked=sorted(ends.revoked))


class Restores:
    """The backups of one world: at most one is put back."""

    def __init__(self, world: SimWorld) -> None:
        """None was made; where none will be, nothing is kept beside the database."""
        self._world = world
        self.life_file = Beside() if any(one.what == "backup" for one in world.tape.events) else None
        self._copy: sqlite3.Connection | None = None
        self._is_asked = False
        self.backed_up_at = self.restored_at = NEVER
        self._mapped: set[tuple[str, str]] = set()
        """Objects of all kinds, of which the backup has a mapping."""
        self.losses: Losses | None = None
        """None before the backup."""
        self._stood: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
        """By system and object: what stood there when the backup was put back."""
        self._before: Database | None = None
        """The database that the backup replaced."""
        self._roots: dict[tuple[str, str], set[tuple[str, str]]] = {}
        """By object that Accord made: whose it was, told by what people made."""

        self._named: dict[tuple[str, str], Any] = {}
        """The names that these were made with."""

    # ---- acting ----------------------------------------------------------------------------------------

    def back_up(self) -> None:
        """As `accord db backup` does."""
        if self.life_file is None or self._world.life is None:
            return
        self._copy = sqlite3.connect(":memory:")
        _driver(self._world.db).backup(self._copy)
        move_on(self._world.db, self.life_file)
        self.backed_up_at = self._world.clock.now()
        self.losses = self._world.db.read_now(lambda tx: Losses(self._world, tx))
        self._mapped = self._world.db.read_now(_mapped)
        self._world.accounts.back_up()
        self._world.reached["backed up"] += 1

    def ask(self) -> bool:
        """Have the backup put back before the next start; False where there is none, or it was put back before."""
        self._is_asked = self._copy is not None and self.restored_at == NEVER
        return self._is_asked

    def put_back(self) -> bool:
        """The daemon is stopped: put back what was asked for."""
        if not self._is_asked or self._copy is None:
            return False
        self._is_asked = False
        self._before = QuickDatabase(has_tables=False)
        _driver(self._world.db).backup(_driver(self._before))
        self._copy.backup(_driver(self._world.db))
        self._world.accounts.put_back()
        self.restored_at = self._world.clock.now()
        self._stood = {
            name: dict(self._world.sites[name].lookalike.neutral("customer")) for name in self._world.systems
        }
        if self.losses is not None:
            self.losses.put_back(self._stood)
        self._world.note("RESTORED")
        self._world.reached["restored"] += 1
        self._world.reached["restored with documents"] += self._world.audit is not None
        return True

    def notice(self, hub: Hub) -> None:
        """What every start does."""
        if self.life_file is None:
            return
        why = restoring.notice(hub)
        if (why is not None) != (self.restored_at == self._world.clock.now()):
            self._world.checks.fail(
                f"R: an older database was put back at {self.restored_at}, and the start says {why}"
            )

    def will_know(self, system: str, remote_id: str) -> bool:
        """Whether the backup, if one may still be put back, has a mapping of this object."""
        return self._copy is None or self.restored_at != NEVER or (system, remote_id) in self._mapped

    # ---- judging ---------------------------------------------------------------------------------------

    def was_there(self, work: Callable[[Tx], T]) -> T | None:
        """Look into the database that the backup replaced."""
        return self._before.read_now(work) if self._before is not None else None

    def intent_lost(self, system: str, one: Mutation) -> Behind | None:
        """The intent of a write that was under way when its database was replaced."""
        return self.was_there(lambda tx: intent_behind(tx, system, one))

    def is_of_replaced(self, mapping_id: str) -> bool:
        """Whether a mapping was in the database that the backup replaced."""
        return bool(self.was_there(lambda tx: mappings.by_ids(tx, [mapping_id])))

    def made(self, site: Site, one: Mutation, behind: Behind) -> None:
        """Remember whose object Accord has made, by what no database forgets."""
        there = site.lookalike.neutral("customer").get(one.id) if self.life_file else None
        if there is not None:
            self._roots[site.name, one.id] = self._world.db.read_now(lambda tx: self._roots_of(tx, behind.mapping_id))
            self._named[site.name, one.id] = there.get("name")

    def _roots_of(self, tx: Tx, mapping_id: str) -> set[tuple[str, str]]:
        row = mappings.by_ids(tx, [mapping_id]).get(mapping_id)
        if row is None:
            return set()
        rows = mappings.of_records(tx, [row.record_id]).get(row.record_id, [])
        places = [(one.connection, one.remote_id) for one in rows if one.remote_id and one.state == "live"]
        found = {root for place in places for root in self._roots.get(place, {place})}
        return found or {(REGISTRY, row.record_id)}

    def at_rest(self) -> None:
        """I1: of nobody Accord made two objects at a system, whatever the database forgot."""
        if self.restored_at == NEVER:
            return
        for name in self._world.systems:
            live = self._world.sites[name].lookalike.neutral("customer")
            made: dict[tuple[str, str], set[str]] = {}
            for (where, remote_id), roots in self._roots.items():
                for root in roots if where == name and remote_id in live else ():
                    made.setdefault(root, set()).add(remote_id)
            for root, ids in sorted(made.items()):
                if len(ids) > 1 and not self._is_renamed(name, ids):
                    self._world.checks.fail(f"R: {name} has {sorted(ids)}, made for what is {root}, after a restore")

    def _is_renamed(self, system: str, ids: set[str]) -> bool:
        """At a system without a marker a forgotten object is known by its name, if nobody has changed that since."""
        if not is_books(system):
            return False
        stood = {one: loose(shown.get("name")) for one, shown in self._stood[system].items() if one in ids}
        later = {loose(self._named[system, one]) for one in ids if one not in stood}
        edits = [(one.site, one.target, one.field) for one in self._world.edits if one.at >= self.restored_at]
        return not later & set(stood.values()) or any((system, one, "name") in edits for one in stood)


def _tied(tx: Tx) -> set[tuple[str, str]]:
    rows = [one for some in mappings.of_records(tx, [one.id for one in live_customers(tx)]).values() for one in some]
    return {(one.connection, one.remote_id) for one in rows if one.remote_id and one.state == "live"}


def _mapped(tx: Tx) -> set[tuple[str, str]]:
    live = sa.select(MAPPINGS.c.connection, MAPPINGS.c.remote_id).where(
        mappings.IS_LIVE, MAPPINGS.c.remote_id.is_not(None)
    )
    return {(row[0], row[1]) for row in tx.rows(live)}


def _driver(db: Database) -> sqlite3.Connection:
    kept = getattr(db, "_driver", None) or db.engine.raw_connection().driver_connection
    return cast("sqlite3.Connection", kept)
