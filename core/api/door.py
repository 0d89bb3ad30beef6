"""One caller's connection: how long it may take to say what it wants, and how much it may say.

Who opens connections and says nothing would take every file the process may open, and with them the lanes'.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
"""From the connection, or from the first byte of a further request, to the end of its headers."""
MOST_HEAD_BYTES: Final = 64 * 1024
MOST_WAITING: Final = 200
"""Connections whose request is incomplete; beyond it the oldest one goes, if it had its second."""
YOUNG_SECONDS: Final = 1.0


class Crowd:
    """The connections of one door whose request is not complete yet, oldest first."""

    def __init__(self) -> None:
        """Nobody is there."""
        self._since: dict[Door, float] = {}

    def enter(self, door: Door, now: float) -> None:
        """Somebody begins to ask; who has kept us waiting longest may have to go."""
        self._since[door] = now
        oldest, since = next(iter(self._since.items()))
        if len(self._since) > MOST_WAITING and now - since > YOUNG_SECONDS:
            oldest.shut()

    def leave(self, door: Door) -> None:
        """Its request is complete, or it has gone."""
        self._since.pop(door, None)


class Door(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience."""

    def __init__(self, crowd: Crowd, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        """`options` are uvicorn's own."""
        super().__init__(**options)
        self._crowd = crowd
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._stop_timer()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; too much that is still no request ends it."""
        super().data_received(data)
        self._head_bytes += len(data)
        if self._timer is not None and self._head_bytes > MOST_HEAD_BYTES:
            self.shut()

    def on_message_begin(self) -> None:
        """A request begins; the first one began with the connection."""
        super().on_message_begin()
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """What is wanted has been said; a body has its own time."""
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._crowd.leave(self)
        super().on_message_complete()

    def shut(self) -> None:
        """End the connection without an answer."""
        self._stop_timer()
        self._crowd.leave(self)
        self.transport.abort()

    def _wait(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self.shut)
        self._crowd.enter(self, self.loop.time())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
