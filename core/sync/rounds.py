"""What the scheduler asks for by itself, at every connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import AccordError, BugError
from core.store import connections, one_offs
from core.store.database import Tx
from core.sync.ahead import set_right
from core.sync.documents.asking import reconcile_all
from core.sync.figures import mark_overdue
from core.sync.hub import KIND, Hub
from core.sync.metadata import refresh_metadata
from core.sync.oneoffs import ask
from core.sync.waiting import due_lanes


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job; its name is its function's name."""

    run: Callable[[Hub], Awaitable[None]]
    every_seconds: float
    at_start: bool = False


async def wake_due_lanes(hub: Hub) -> int:
    """Wake the lanes in which something may be done now; how many. A clock that was set back has a say in that."""
    await set_right(hub)
    due = await hub.db.read(lambda tx: due_lanes(tx, hub))
    for name in sorted(due):
        hub.wake(name)
    return len(due)


async def ask_for_changes(hub: Hub) -> list[str]:
    """Ask for a sweep of changes wherever none is asked for and none was made just now; where it was asked."""
    asked = [name for name in sorted(hub.connections) if await hub.db.read(lambda tx, n=name: _is_wanted(tx, hub, n))]  # type: ignore[misc]
    for name in asked:
        await ask(hub, name, {"what": "changes"})
    return asked


async def reconcile_documents_everywhere(hub: Hub) -> list[str]:
    """Look after documents at every connection that has any; which ones."""
    looked = []
    bugs = _Bugs(hub)
    for name, connection in sorted(hub.connections.items()):
        trace = hub.ids.new()
        with bugs.at(name):
            if await reconcile_all(hub, connection, trace):
                looked.append(name)
    today = datetime.fromtimestamp(hub.clock.now(), UTC).date()
    await hub.db.run(lambda tx: mark_overdue(tx, hub, today, hub.ids.new()))
    bugs.tell()
    return looked


async def refresh_metadata_everywhere(hub: Hub) -> tuple[dict[str, int], dict[str, str]]:
    """How many were marked at each connection, and what trouble there was at others, which stops nothing."""
    marked: dict[str, int] = {}
    troubled: dict[str, str] = {}
    bugs = _Bugs(hub)
    for name, connection in sorted(hub.connections.items()):
        try:
            with bugs.at(name):
                marked[name] = await refresh_metadata(hub, connection)
        except AccordError as error:
            troubled[name] = str(error)
    bugs.tell()
    return marked, troubled


class _Bugs:
    """Those that a round meets: each is logged with its story, and none keeps the other connections waiting."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._met_at: list[str] = []

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """What is done for one connection."""
        try:
            yield
        except AccordError:
            raise
        except Exception:
            self._hub.log.exception("round.bug", connection=name)
            self._met_at.append(name)

    def tell(self) -> None:
        """At the end: the job has failed. Raises BugError."""
        if self._met_at:
            raise BugError(f"a bug of Accord's at {', '.join(self._met_at)}; the log has the story of each")


def _is_wanted(tx: Tx, hub: Hub, name: str) -> bool:
    row = connections.get(tx, name)
    if row.state == "reauthorize" or row.swept_at is None:
        return False  # a person must act first; or the first complete sweep, which holds the changes, is still to end
    if one_offs.oldest_in(tx, name, "new") or one_offs.oldest_in(tx, name, "running"):
        return False
    swept = connections.cursor(tx, name, KIND, "changes").completed_at
    return swept is None or hub.clock.now() - swept >= hub.timing.changes_every / 2
