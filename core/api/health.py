"""Whether this daemon is fit to work: it holds the database's lock, and the database takes writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from core.errors import AccordError, BusyError, StorageError
from core.ports import Clock
from core.store.connections import probe
from core.store.database import Database
from core.store.instance import Instance

PROBE_SECONDS = 5.0
"""Longest wait for the database's answer before it counts as unusable."""
PROBE_LIVES_SECONDS = 1.0
"""How long an answer is good for: however often it is asked, the disk is not."""


class Health:
    """What /readyz tells. Lanes rest while the right to be the one daemon is with somebody else."""

    def __init__(
        self, db: Database, instance: Instance, clock: Clock, regained: Callable[[], None] = lambda: None
    ) -> None:
        """Begin as the holder of the lock that was just taken. `regained` is called when it had to be taken again."""
        self._db = db
        self._instance = instance
        self._clock = clock
        self._regained = regained
        self._log = structlog.get_logger()
        self._probed: tuple[float, str] | None = None
        self._lost = ""
        self.is_stopping = False

    @property
    def is_ours(self) -> bool:
        """Whether this process may work on the database."""
        return not self._lost

    async def confirm(self) -> None:
        """Ask whether the lock is still ours; what was lost to nobody is taken again."""
        before = self._lost
        try:
            is_still_ours = await asyncio.to_thread(self._instance.confirm)
        except BusyError as error:
            self._lost = str(error)
        except StorageError as error:
            # not known to be lost, but a lock that cannot be asked after protects nothing
            self._lost = str(error)
        else:
            if not is_still_ours:
                self._regained()
            self._lost = ""
        if self._lost and not before:
            self._log.error("daemon.lock_lost", problem=self._lost)
        elif before and not self._lost:
            self._log.warning("daemon.lock_regained")

    async def problem(self) -> str:
        """Why this daemon is not ready; "" when it is."""
        if self.is_stopping:
            return "the daemon is stopping"
        return self._lost or await self._database_problem()

    async def _database_problem(self) -> str:
        now = self._clock.now()
        if self._probed is not None and 0 <= now - self._probed[0] <= PROBE_LIVES_SECONDS:
            return self._probed[1]
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._db.run(lambda tx: probe(tx, now))
            found = ""
        except TimeoutError:
            found = f"the database has not answered within {PROBE_SECONDS:g} s"
        except AccordError as error:
            found = str(error)
        self._probed = (now, found)
        return found
