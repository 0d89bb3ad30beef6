"""Somebody takes a change or a run back, in the middle of everything: nothing that is newer may go by that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from core.errors import AccordError
from core.model.family import PARENT
from core.store import customers, journal, mappings
from core.store.customers import Customer
from core.store.database import Tx
from core.store.tables import JOURNAL
from core.sync import undo
from core.sync.hub import KIND, Hub
from tests.simulation.reference import Edit, loose
from tests.simulation.tape import REGISTRY, Event

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import SimWorld

UNDONE: Final = ("edit", "pull", "push", "conflict", "raced", "undo")
_ENTRIES: Final = (
    sa.select(JOURNAL.c.id, JOURNAL.c.trace)
    .where(JOURNAL.c.action.in_(UNDONE), JOURNAL.c.kind == KIND)
    .order_by(JOURNAL.c.id)
)
Newer = set[tuple[str, str, Any]]
"""Field, system, and what somebody put there that Accord has not seen yet."""


class Undoing:
    """Whoever takes things back in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody has."""
        self._world = world

    def begin(self, event: Event) -> None:
        """As `accord undo` does: the systems are read first, which takes its time."""
        life = self._world.life
        found = self._world.db.read_now(lambda tx: [(row[0], row[1]) for row in tx.rows(_ENTRIES)])
        if life is None or not found:
            return
        change, trace = Random(event.pick).choice(found)
        life.task(self._undo_run(life, trace) if event.changes["run"] and trace else self._undo_change(life, change))

    async def _undo_change(self, life: Life, change: int) -> None:
        hub = life.hub
        try:
            owner, back = self._world.db.read_now(lambda tx: undo.replaced(tx, change, None))
            before = self._world.db.read_now(lambda tx: self._newer(tx, hub, owner, back))
            await undo.look_first(hub, change, None)
            entry = self._world.db.read_now(lambda tx: journal.get(tx, change))
            known = list(self._world.edits)
            then = self._world.db.read_now(lambda tx: customers.by_ids(tx, [owner.id])[owner.id].fields)
            self._put(
                hub, owner, before, lambda tx: undo.undo(tx, hub, change, field=None, actor="operator"), f"{change}"
            )
        except AccordError as refused:
            self._refused(refused)
            return
        now = self._world.db.read_now(lambda tx: customers.by_ids(tx, [owner.id])[owner.id].fields)
        if entry is not None:
            self._is_put_back(entry, owner, then, now, known)

    def _is_put_back(
        self, entry: journal.Entry, owner: Customer, then: Mapping[str, Any], now: Mapping[str, Any], known: list[Edit]
    ) -> None:
        """The values go back that it replaced, and none goes that somebody wrote since and the registry has."""
        for field, value in _replaced(entry).items():
            what = f"{field} of {owner.external_id}"
            if now.get(field) != value:
                self._fail(f"change {entry.id} replaced {what}, {value!r}, and after its undo it is {now.get(field)!r}")
            # every value is another one, so that it tells whose it is; an older one came back by an undo of an undo
            times = [one.at for one in known if one.field == field and loose(one.value) == loose(then.get(field))]
            is_newer = min(times, default=entry.at) > entry.at
            if is_newer and then.get(field) not in (value, entry.changes.get(field, (None, None))[1]):
                self._fail(f"the undo of {entry.id} put back {what} over {then.get(field)!r}, which is newer")

    async def _undo_run(self, life: Life, trace: str) -> None:
        hub = life.hub
        try:
            planned, _ = self._world.db.read_now(lambda tx: undo.of_run(tx, trace, None))
            before = {
                one.record_id: self._world.db.read_now(partial(self._of_back, hub=hub, back=one)) for one in planned
            }
            backs, _ = await undo.look_first_of_run(hub, trace, None)
        except AccordError as refused:
            self._refused(refused)
            return
        for one in backs:
            owner = self._world.db.read_now(partial(customers.by_ids, ids=[one.record_id]))[one.record_id]
            try:
                self._put(
                    hub, owner, before.get(one.record_id, set()),
                    partial(undo.put_back, hub=hub, back=one, trace=trace, actor="operator"), f"the run {trace}",
                )  # fmt: skip
            except AccordError as refused:
                self._refused(refused)

    def _put(self, hub: Hub, owner: Customer, seen: Newer, work: Callable[[Tx], object], what: str) -> None:
        """What was newer before the systems were read and is so still must not be put back over."""

        def put(tx: Tx) -> tuple[Mapping[str, Any], Mapping[str, Any], Newer]:
            was = customers.by_ids(tx, [owner.id])[owner.id]
            fields = {field for field, _, _ in seen}
            newer = seen & self._newer(tx, hub, was, dict.fromkeys(fields))
            work(tx)
            return was.fields, customers.by_ids(tx, [owner.id])[owner.id].fields, newer

        before, after, newer = self._world.db.run_now(put)
        self._world.note(f"UNDONE {what} of {owner.external_id}")
        self._world.reached[f"undone: {'a run' if what.startswith('the') else 'a change'}"] += 1
        self._world.people.record(REGISTRY, owner.external_id, before, after, 0)
        for field, system, value in sorted(newer, key=repr):
            if before.get(field) != after.get(field) != value:
                self._fail(f"{what} put back {field} of {owner.external_id}, which is {value!r} at {system} since")

    def _of_back(self, tx: Tx, hub: Hub, back: undo.Back) -> Newer:
        owner = customers.by_ids(tx, [back.record_id])[back.record_id]
        return self._newer(tx, hub, owner, back.fields)

    def _newer(self, tx: Tx, hub: Hub, owner: Customer, fields: Iterable[str]) -> Newer:
        found: Newer = set()
        for row in mappings.of_records(tx, [owner.id]).get(owner.id, []):
            projection = hub.connections[row.connection].projection
            shown = self._world.sites[row.connection].lookalike.neutral("customer").get(row.remote_id or "", {})
            for field in fields if row.state == "live" else ():
                there, agreed = _named(tx, row.connection, field, shown.get(field)), row.base.get(field)
                is_told = field in shown and projection.covers(field) and isinstance(there, str)
                if not is_told or agreed is None or hub.policy.rule(row.connection, field).flow == "off":
                    continue
                same = projection.canonical(field, there)
                if same not in {projection.canonical(field, one) for one in (agreed[1], owner.fields.get(field))}:
                    found.add((field, row.connection, there))
        return found

    def _refused(self, refused: AccordError) -> None:
        self._world.note(f"refused: {refused}")
        self._world.reached["an undo was refused"] += 1

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(f"U: {problem}")


def _named(tx: Tx, connection: str, field: str, there: Any) -> Any:
    """What an object shows; a parent as the registry names it, and nothing of one that it does not know."""
    if field != PARENT or not isinstance(there, str):
        return there
    above = mappings.by_remote_ids(tx, connection, KIND, [there]).get(there)
    return None if above is None else customers.by_ids(tx, [above.record_id])[above.record_id].external_id


def _replaced(entry: journal.Entry) -> dict[str, Any]:
    return {one.field: one.value for one in entry.lost} or {name: old for name, (old, _, _) in entry.changes.items()}
