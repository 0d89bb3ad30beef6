"""Quiet days: what was done before them was told by nothing, and only what Accord does daily can find it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from core.model.documents import KINDS
from core.store.database import Tx
from core.store.tables import DOCUMENTS
from core.sync.hub import Timing
from tests.simulation.papers import EVERYWHERE, Named
from tests.simulation.resting import Rest
from tests.simulation.tape import Event

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

DAY: Final = 86_400.0
LONGEST_WAIT: Final = 3_600.0
CALM: Final = Timing(changes_every=DAY / 2, full_every=DAY, first_back_off=1, longest_back_off=LONGEST_WAIT)
"""How often people without hurry have Accord look."""

Pair = tuple[Named, str]
"""A document, and a system that has a copy of it."""

_LEFT: Final = sa.select(DOCUMENTS.c.deleted_at, DOCUMENTS.c.status).where(
    DOCUMENTS.c.origin == sa.bindparam("origin"),
    DOCUMENTS.c.kind == sa.bindparam("kind"),
    DOCUMENTS.c.remote_id == sa.bindparam("remote_id"),
)


class Quiet:
    """The quiet days of one world."""

    def __init__(self, world: SimWorld) -> None:
        """None have passed."""
        self._world, self._clerks = world, world.clerks

    async def pass_days(self, event: Event) -> None:
        """Everything is at rest: things happen unheard, then nothing does. In the end they must have been found."""
        days, acts = float(event.changes["days"]), event.changes["acts"]
        clean, known = self._world.db.read_now(self._clean), self._known()
        before = {one: {where: set(why) for where, why in some.items()} for one, some in self._clerks.causes.items()}
        with ExitStack() as silences:
            for site in self._world.sites.values():
                silences.enter_context(site.lost.silence())
            for what, system, pick in acts:
                self._world.people.perform(Event(after=0.0, what=what, system=system, pick=pick))
        copies = [one for one in self._blamed(before) if one in clean]
        gone = sorted(known - self._known())
        await self._sleep(days)
        self._world.db.read_now(lambda tx: self._judge(tx, copies, gone, days))

    async def pass_hours(self, event: Event) -> None:
        """Everything is at rest, until somebody is asked what nobody tells of; after the answers it rests again."""
        world = self._world
        hurry = (world.timing, world.longest_tick, world.post.longest_wait)
        await self._restart(CALM, LONGEST_WAIT, LONGEST_WAIT)
        for number, hours in enumerate(event.changes["hours"]):
            if number and world.life:
                world.accounts.answer(world.life.hub)
            await asyncio.sleep(hours * 3600.0)
            world.look_for_bugs()
            await world.operators.operate()
            world.db.read_now(self._judge_accounts)
        world.reached["quiet hours"] += 1
        await self._restart(*hurry)

    def _judge_accounts(self, tx: Tx) -> None:
        life = self._world.life
        self._world.accounts.judge(self._rest(tx), life.hub if life else None, has_rested=True)

    # ---- before ------------------------------------------------------------------------------------------

    def _rest(self, tx: Tx) -> Rest:
        billing = self._world.tape.profile.billing
        assert billing is not None
        return Rest(self._world, self._clerks, billing, tx)

    def _clean(self, tx: Tx) -> set[Pair]:
        """Copies about which nobody has a reason to be asked, and nobody is."""
        rest = self._rest(tx)
        return {
            (named, system)
            for kind in KINDS
            for named in rest.originals[kind]
            for system in self._world.sites
            if not rest.excuses_around(named, system) and not rest.is_asked(named, system)
        }

    def _known(self) -> set[Named]:
        """What people made and is there."""
        return {
            Named(system, kind, name)
            for system in self._clerks.billers
            for kind in KINDS
            for name in self._clerks.own(system, kind)
        }

    def _blamed(self, before: dict[Named, dict[str, set[str]]]) -> Iterator[Pair]:
        """Copies that a person has just touched."""
        for named, some in self._clerks.causes.items():
            for mirror, why in some.items():
                if mirror != EVERYWHERE and why - before.get(named, {}).get(mirror, set()):
                    yield named, mirror

    # ---- meanwhile -----------------------------------------------------------------------------------------

    async def _sleep(self, days: float) -> None:
        world = self._world
        hurry = (world.timing, world.longest_tick, world.post.longest_wait)
        await self._restart(CALM, LONGEST_WAIT, LONGEST_WAIT)
        for _ in range(round(days * 2)):
            await asyncio.sleep(days * DAY / round(days * 2))
            world.look_for_bugs()
            await world.operators.operate()
        await self._restart(*hurry)

    async def _restart(self, timing: Timing, longest_tick: float, longest_wait: float) -> None:
        world = self._world
        world.timing, world.longest_tick, world.post.longest_wait = timing, longest_tick, longest_wait
        await world.operators.restart()
        await asyncio.sleep(120.0)

    # ---- after ---------------------------------------------------------------------------------------------

    def _judge(self, tx: Tx, copies: list[Pair], gone: list[Named], days: float) -> None:
        rest, world = self._rest(tx), self._world
        for named, mirror in copies:
            one = rest.originals[named.kind].get(named)
            if one is None or named in self._clerks.gone or one["status"] in ("void", "failed"):
                continue
            if not rest.is_asked(named, mirror):
                why = sorted(self._clerks.causes[named][mirror])
                world.checks.fail(f"Q: {mirror}: {named}: {why}; nobody is asked {days} days later")
            world.reached[f"found after quiet days: a copy at {mirror}"] += 1
        for named in gone:
            values: dict[str, Any] = {"origin": named.system, "kind": named.kind, "remote_id": named.id}
            left = tx.rows(_LEFT, values)
            # of what was void before, nothing is left to decide
            is_there = any(row.deleted_at is None and row.status != "void" for row in left)
            if is_there and not rest.is_held(named, named.system):
                world.checks.fail(f"Q: {named} was deleted, and the registry has it {days} days later")
            world.reached["found after quiet days: a deletion at the origin"] += bool(left)
        world.reached["quiet days"] += 1
        if world.audit is not None:
            world.audit.agree(tx)
