"""Webhooks, as the providers deliver them: late, lost, doubled, in any order."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING

import sqlalchemy as sa

from core.errors import SignatureError, StorageError
from core.sandbox.lookalike import Outgoing
from core.store.tables import INBOX
from tests.simulation.life import Crash, Life
from tests.simulation.site import Site

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

MOST_REPLAYED = 8
STILL_SIGNED = 200.0
"""Seconds after which a delivery as it was signed then is refused."""

_DELIVERED = sa.select(INBOX.c.id).where(
    INBOX.c.connection == sa.bindparam("connection"), INBOX.c.dedupe_key == sa.bindparam("key")
)


class Post:
    """The providers' deliveries in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nothing was sent."""
        self._world = world
        self.longest_wait = 16.0

    async def deliver_all(self) -> None:
        """Webhooks, as the providers deliver them."""
        wait = 1.0
        while True:
            await asyncio.sleep(wait)
            sent = 0
            for name in self._world.systems:
                site = self._world.sites[name]
                due = site.lookalike.due_webhooks(self._world.clock.now())
                if not due:
                    continue
                sendings = site.webhook_faults.deliveries(due)
                for dropped in sendings.dropped:
                    self._world.reached["webhook dropped"] += 1
                    site.lookalike.webhook_answered(dropped.id, 200, self._world.clock.now())
                for sending in sendings.send:
                    self._world.reached["webhook doubled"] += sending.is_double
                    late = sending.after_seconds + self._world.rng.random()
                    self._world.own(
                        asyncio.create_task(self._deliver(site, sending.outgoing, late, is_double=sending.is_double))
                    )
                sent += len(due)
            wait = 1.0 if sent else min(wait * 1.5, self.longest_wait)

    async def _deliver(self, site: Site, outgoing: Outgoing, late: float, *, is_double: bool) -> None:
        sent = self._world.clock.now()
        await asyncio.sleep(late)
        status = await self._received(site, outgoing)
        self._world.note(f"webhook {site.name} {outgoing.id} -> {status}")
        if status == 200:
            self._acknowledged(site, outgoing)
            site.delivered.append((sent, outgoing))
        if not is_double:
            site.lookalike.webhook_answered(outgoing.id, status, self._world.clock.now())

    def replay(self, name: str, rng: Random) -> None:
        """A provider delivers again some of what was taken already, in any order."""
        site = self._world.sites[name]
        now = self._world.clock.now()
        fresh = [outgoing for sent, outgoing in site.delivered if now - sent < STILL_SIGNED]
        for outgoing in rng.sample(fresh, min(len(fresh), MOST_REPLAYED)):
            task = self._deliver(site, outgoing, rng.random() * 5, is_double=True)
            self._world.own(asyncio.get_running_loop().create_task(task))
            self._world.reached["webhook replayed"] += 1

    async def _received(self, site: Site, outgoing: Outgoing) -> int | None:
        life = self._world.life
        if life is None or life.is_dead:
            return None
        task = life.task(self._answer(life, site, outgoing))
        try:
            await asyncio.wait([task])
            return task.result()
        except (Crash, asyncio.CancelledError):
            return None

    async def _answer(self, life: Life, site: Site, outgoing: Outgoing) -> int:
        """As the door does: no error of these two ends the process."""
        try:
            await life.inbox.receive(life.hub.connections[site.name], outgoing.delivery)
        except SignatureError:
            self._world.reached["webhook refused"] += 1
            return 401
        except StorageError:
            return 503
        return 200

    def _acknowledged(self, site: Site, outgoing: Outgoing) -> None:
        self._world.reached["webhook taken"] += 1
        life = self._world.life
        key = life.hub.connections[site.name].webhooks.dedupe_key(outgoing.delivery) if life else None
        here = {"connection": site.name, "key": key}
        found = self._world.db.read_now(lambda tx: tx.rows(_DELIVERED, here))
        if key is not None and not found:
            self._world.checks.fail(f"D1: {site.name} delivery {outgoing.id} was acknowledged and is not in the inbox")
        if site.name == "stripe":
            key = (json.loads(outgoing.delivery.body).get("request") or {}).get("idempotency_key")
            if key:
                site.answered_keys.add(key)
