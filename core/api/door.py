"""One caller's connection: how long it may take to say what it wants and to take its answer, and how much it may say.

Who opens connections and says nothing would take every file the process may open, and with them the lanes'.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
"""From the connection, or from the first byte of a further request, to the end of its headers."""
MOST_HEAD_BYTES: Final = 64 * 1024
"""Of headers, and of whatever else comes that is no body."""
MOST_IN_LINE: Final = 100
"""Requests of one connection that wait for the answer to an earlier one; each of them is kept."""
MOST_ASKING: Final = 200
"""Connections whose request is incomplete; beyond it the oldest one goes, if it had its second."""
MOST_TAKING: Final = 50
"""Connections whose answers nobody takes; each of them keeps some million bytes."""
YOUNG_SECONDS: Final = 1.0


class Crowd:
    """The connections of one door that keep us waiting, oldest first."""

    def __init__(self, most: int) -> None:
        """Nobody is there."""
        self._most = most
        self._since: dict[Door, float] = {}

    def __contains__(self, door: Door) -> bool:
        """Whether it keeps us waiting."""
        return door in self._since

    def enter(self, door: Door, now: float) -> None:
        """Somebody keeps us waiting from now on; who has done so longest may have to go."""
        self._since[door] = now
        oldest, since = next(iter(self._since.items()))
        if len(self._since) > self._most and now - since > YOUNG_SECONDS:
            oldest.shut()

    def leave(self, door: Door) -> None:
        """It no longer does, or it has gone."""
        self._since.pop(door, None)


class Door(HttpToolsProtocol):
    """uvicorn's protocol with an end to its patience."""

    def __init__(self, asking: Crowd, taking: Crowd, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        """`options` are uvicorn's own."""
        super().__init__(**options)
        self._asking = asking
        self._taking = taking
        self._loose_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; too much that is neither a request nor its body ends it."""
        if self.timeout_keep_alive_task is not None and self not in self._asking:
            # uvicorn takes a single line end for the begin of a request, and would wait for the rest of it for ever
            self._wait()
        self._loose_bytes += len(data)
        super().data_received(data)
        if self._loose_bytes > MOST_HEAD_BYTES:
            self.shut()

    def on_message_begin(self) -> None:
        """A request begins; the first one began with the connection."""
        super().on_message_begin()
        if self._timer is None:
            self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; what follows a body looks like one, and may be as many as the caller likes."""
        if self._timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What is wanted has been said; a body has its own time."""
        self._stop_timer()
        super().on_headers_complete()
        if len(self.pipeline) > MOST_IN_LINE:
            self.shut()

    def on_body(self, body: bytes) -> None:
        """A piece of a body, whose size is its reader's to limit."""
        self._loose_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._loose_bytes = 0
        self._asking.leave(self)
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: who asks for another protocol is answered in this one, and uvicorn's words are of packages."""

    def pause_writing(self) -> None:
        """What is answered is not taken."""
        super().pause_writing()
        self._taking.enter(self, self.loop.time())

    def resume_writing(self) -> None:
        """It is."""
        super().resume_writing()
        self._taking.leave(self)

    def shut(self) -> None:
        """End the connection without an answer."""
        self._leave()
        self.transport.abort()

    def _wait(self) -> None:
        self._loose_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self.shut)
        self._asking.enter(self, self.loop.time())

    def _leave(self) -> None:
        self._stop_timer()
        self._asking.leave(self)
        self._taking.leave(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
