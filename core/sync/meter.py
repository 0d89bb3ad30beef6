"""Counts the calls that draw on a connection's allowances, and paces its sweeps by them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from core.errors import ConfigError
from core.model.pace import GIVES_WAY, Pace, looks_every, paced
from core.model.remote import Allowance
from core.ports import ConnectionConfig
from core.store import calls
from core.store.database import Tx

SWEEP: Final = "sweep"
WORK: Final = "work"
_PURPOSE: Final = ContextVar("purpose", default=WORK)
"""Of what the current task calls for: batches that are under way beside a sweep go on for their own."""
RECORD_SECONDS: Final = 60.0


class Rest(NamedTuple):
    """Which sweeps wait while few calls are left, and until when. sweeps: "" | full | changes, which means both."""

    sweeps: str = ""
    until: float = 0.0

    def is_like(self, other: Rest) -> bool:
        """Whether it tells the same: the end of a day is reckoned at every call."""
        return self.sweeps == other.sweeps and abs(self.until - other.until) < RECORD_SECONDS


class Meter:
    """The allowances of one connection. What was counted and not yet recorded is lost with a process that dies."""

    def __init__(self, allowances: Sequence[Allowance]) -> None:
        """Nothing called yet, nothing paced."""
        self.allowances = tuple(allowances)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._pace: Pace | None = None
        self._looks_every = looks_every(self.allowances, {})
        self._recorded_at = -math.inf
        self._left = 1.0
        self._left_from = self._left_until = -math.inf

    def left(self, share: float, now: float, until: float) -> None:
        """The provider says what share is left of the calls that all programs have together until a time."""
        self._left, self._left_from, self._left_until = share, now, until

    def gives_way(self, mode: str, now: float) -> bool:
        """Whether a sweep waits, so that what webhooks name can be read, and what changed here be written, to the end.

        Not before the time that was told of by a clock which was set back since: it is not known what is left then.
        """
        return self._left_from <= now < self._left_until and self._left < GIVES_WAY[mode]

    def rest(self, now: float) -> Rest:
        """What waits, and until when."""
        waits = next((mode for mode in ("changes", "full") if self.gives_way(mode, now)), "")
        return Rest(waits, self._left_until) if waits else Rest()

    def count(self, endpoint: str) -> None:
        """A call was made."""
        for one in self.allowances:
            if endpoint in one.endpoints:
                self._counts[one.name, _PURPOSE.get()] += 1

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """What is called inside is called to look for changes."""
        before = _PURPOSE.set(SWEEP)
        try:
            yield
        finally:
            _PURPOSE.reset(before)

    def has_counted(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._counts)

    def is_due(self, now: float) -> bool:
        """Whether there is anything to record, and none was recorded of late: each time costs a commit."""
        return self.has_counted() and not 0 <= now - self._recorded_at < RECORD_SECONDS

    def record(self, tx: Tx, connection: str, now: float) -> None:
        """Store what was counted; it counts as stored once `tx` commits."""
        counted = Counter(self._counts)
        calls.add(tx, connection, counted, now)
        tx.after_commit(lambda: self._stored(counted, now))

    def _stored(self, counted: Counter[tuple[str, str]], now: float) -> None:
        self._counts -= counted
        self._recorded_at = now

    def pace(self, wanted: Pace) -> Pace:
        """How often to sweep."""
        return self._pace or wanted

    def looks_every(self) -> float:
        """Seconds per call of looking at copies again."""
        return self._looks_every

    def set_pace(self, tx: Tx, connection: str, wanted: Pace, full_calls: int, now: float) -> None:
        """Pace by what was used until now."""
        used = self._used(tx, connection, now)
        self._pace = self._paced(used, wanted, full_calls)
        self._looks_every = looks_every(self.allowances, _worked(used))

    def standing(self, tx: Tx, connection: str, wanted: Pace, full_calls: int, now: float) -> list[dict[str, Any]]:
        """Each allowance, what was used of it within its time, and how often sweeps may run because of it."""
        used = self._used(tx, connection, now)
        pace = self._paced(used, wanted, full_calls)
        return [
            {"name": one.name, "calls": one.calls, "used": sum(used[one.name].values())}
            | {"changes_every": round(pace.changes_every, 1), "full_every": round(pace.full_every, 1)}
            for one in self.allowances
        ]

    def _used(self, tx: Tx, connection: str, now: float) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for one in self.allowances:
            within = calls.used(tx, connection, one.seconds, now)
            found[one.name] = {purpose: within.get((one.name, purpose), 0) for purpose in (SWEEP, WORK)}
        return found

    def _paced(self, used: Mapping[str, Mapping[str, int]], wanted: Pace, full_calls: int) -> Pace:
        return paced(wanted, self.allowances, _worked(used), full_calls)


def _worked(used: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {name: within[WORK] for name, within in used.items()}


def allowances_of(allowances: Sequence[Allowance], config: ConnectionConfig) -> list[Allowance]:
    """The manifest's allowances, as large as the connection's settings say. Raises ConfigError."""
    return [_sized(one, config) for one in allowances]


def _sized(one: Allowance, config: ConnectionConfig) -> Allowance:
    text = config.settings.get(one.setting, str(one.calls))
    if not text.isdecimal() or int(text) == 0:
        msg = f"{text!r} is not a number of calls from 1 on"
        raise ConfigError(msg, key=f"connections.{config.name}.{one.setting}")
    return Allowance(name=one.name, calls=int(text), seconds=one.seconds, endpoints=one.endpoints, setting=one.setting)
