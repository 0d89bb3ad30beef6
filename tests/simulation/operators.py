"""What operators do with Accord in a world: activate, approve, retry, reconnect, ask for sweeps."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.quickbooks.client import exchange_code
from connectors.quickbooks.sandbox import QuickBooksLookAlike
from core.errors import AccordError, InvalidInputError
from core.model import holds as reasons
from core.model.documents import KINDS
from core.ports import Shell
from core.store import connections, failures, holds
from core.store.database import Tx
from core.sync import answers
from core.sync.activation import activate
from core.sync.documents.unfound import ONCE
from core.sync.hub import Hub
from core.sync.oneoffs import ask
from core.sync.plan import plan
from tests.simulation.checks import FailedError
from tests.simulation.life import Crash, Life
from tests.support.world import here

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


class Operators:
    """Whoever looks at the console in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody has done anything."""
        self._world = world

    async def alive(self) -> Life:
        """The process, once there is one."""
        wait = 1.0
        while self._world.life is None or self._world.life.is_dead:
            await asyncio.sleep(wait)
            wait = min(wait * 2, 600.0)
        return self._world.life

    async def _in_life(self, work: Any) -> Any:
        """Do something inside the process; None when it died meanwhile."""
        life = await self.alive()
        task = life.task(work(life))
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), Crash):
            return None
        return task.result()

    async def activate_all(self) -> None:
        """Leave observing, one connection after the other."""
        order = list(self._world.systems)
        self._world.rng.shuffle(order)
        for name in order:
            for attempt in range(400):
                if await self._in_life(lambda life, n=name: self._activate(life, n)):
                    break
                await asyncio.sleep(2.0 + attempt)
                self._world.look_for_bugs()
            else:
                raise FailedError(f"{name} could not be activated")
            await asyncio.sleep(self._world.rng.random() * self._world.rng.choice([1, 20, 100]))

    async def _activate(self, life: Life, name: str) -> bool:
        hub = life.hub
        row = await hub.db.read(lambda tx: connections.get(tx, name))
        if row.state == "reauthorize":
            await self._reconnect(name)
        if row.state == "active":
            return True  # it died between the commit and the answer
        if row.state != "observing" or row.swept_at is None:
            return False
        connection = hub.connections[name]
        try:
            seen = await plan(hub, connection)
            await activate(hub, connection, seen.digest, actor="operator")
        except (InvalidInputError, AccordError) as error:
            self._world.note(f"activate {name}: {error}")
            return False
        self._world.note(f"ACTIVATED {name} {seen.counts}")
        return True

    async def _reconnect(self, name: str) -> None:
        """A person consents again."""
        self._world.reached["reconnected"] += 1
        site = self._world.sites[name]
        if isinstance(site.lookalike, QuickBooksLookAlike):
            code = site.lookalike.tokens.consent("https://accord.test/back")
            shell = Shell(clock=self._world.clock, hop=here, exchange=site.lookalike.respond)
            config = self._world.config.connections[name]
            await exchange_code(config, self._world.vaults[name], shell, code, "https://accord.test/back")

        def again(tx: Any) -> None:
            state = "active" if connections.get(tx, name).activated_at else "observing"
            connections.change(tx, name, state=state, error="", error_code="", paused_until=None)

        self._world.db.run_now(again)
        self._world.note(f"RECONNECTED {name}")

    async def operate(self) -> None:
        """What a person does who looks at the console: approve, retry, reconnect."""
        states = {row.name: row.state for row in self._world.db.read_now(connections.every)}
        for name in self._world.systems:
            if states[name] == "reauthorize":
                await self._reconnect(name)
        if self._world.life is not None:
            self._world.db.run_now(partial(self._answer, self._world.life.hub))

    def _answer(self, hub: Hub, tx: Tx) -> None:
        for hold in holds.listing(tx):
            if hold.reason in (reasons.MASS_CHANGE, reasons.LISTING_SHRANK):
                self._world.reached["approved"] += 1
                answers.answer(tx, hub, hold.id, "approve", actor="operator")
            elif hold.detail.get("limit") == ONCE:
                self._world.reached["looked for a report, and had it made again"] += 1
                answers.answer(tx, hub, hold.id, "retry", actor="operator", digest=hold.digest)
        for one in failures.listing(tx, state="dead"):
            self._world.reached["retried a dead one"] += 1
            answers.retry(tx, hub, one.connection, [one.subject])

    async def restart(self) -> None:
        """End the process; it is started again."""

        async def end(life: Life) -> None:
            life.end()

        await self._in_life(end)

    async def sweep_fully(self, *, is_of_documents: bool = True) -> None:
        """Ask for everything to be read again."""
        for name in self._world.systems:
            await self._in_life(lambda life, n=name: ask(life.hub, n, {"what": "full"}))
            if self._world.audit is not None and is_of_documents:
                # HubSpot tells of no edit of an invoice: whoever wants to know now has to ask
                request: dict[str, object] = {"what": "documents", "kinds": list(KINDS)}
                await self._in_life(lambda life, n=name, r=request: ask(life.hub, n, r))
