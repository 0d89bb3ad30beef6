"""Makes a look-alike's webhook deliveries over real HTTP, as a provider would: late, twice, never, if so planned."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

from core.ports import Clock, Delivery
from core.sandbox.faults import Faults, Sending
from core.sandbox.lookalike import LookAlike, Outgoing

IN_FLIGHT: Final = 16
POLL_SECONDS: Final = 0.02
_READ_BYTES: Final = 65_536


class _Reply:
    """One response, as httptools parses it."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.is_complete = False
        self.is_kept = False

    def on_message_complete(self) -> None:
        self.is_complete = True
        # the parser knows it only here: afterwards it speaks of the next message
        self.is_kept = self.parser.should_keep_alive()


class _Wire:
    """One keep-alive connection to a receiver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def exchange(self, head_and_body: bytes) -> tuple[int, bool]:
        """Send a request; return the status and whether the connection may be used again."""
        self._writer.write(head_and_body)
        await self._writer.drain()
        reply = _Reply()
        while not reply.is_complete:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                msg = "the receiver hung up"
                raise ConnectionResetError(msg)
            reply.parser.feed_data(data)
        return reply.parser.get_status_code(), reply.is_kept

    def close(self) -> None:
        self._writer.close()


class Poster:
    """POSTs to a few receivers over kept connections (core.http has httpx, but the sandbox stands beside it)."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._idle: dict[tuple[str, str], list[_Wire]] = {}

    async def post(self, outgoing: Outgoing) -> int | None:
        """The receiver's status; None: no such address, no connection, or no answer while the provider waits."""
        try:
            async with asyncio.timeout(outgoing.patience_seconds):
                return await self._post(outgoing.delivery)
        except (OSError, ValueError, httptools.HttpParserError):
            return None

    async def _post(self, delivery: Delivery) -> int:
        url = urlsplit(delivery.url)
        content = _request_bytes(delivery, url)
        key = (url.scheme, url.netloc)
        while idle := self._idle.get(key):
            try:
                return await self._on(idle.pop(), key, content)
            except OSError:
                # a kept connection that the receiver closed meanwhile; deliveries may come twice anyway
                continue
        return await self._on(await _connect(url), key, content)

    async def _on(self, wire: _Wire, key: tuple[str, str], content: bytes) -> int:
        is_kept = False
        try:
            status, is_kept = await wire.exchange(content)
        finally:
            if is_kept:
                self._idle.setdefault(key, []).append(wire)
            else:
                wire.close()
        return status

    def close(self) -> None:
        """Close the idle connections."""
        for wires in self._idle.values():
            for wire in wires:
                wire.close()
        self._idle.clear()


async def _connect(url: SplitResult) -> _Wire:
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    context = ssl.create_default_context() if is_tls else None
    return _Wire(*await asyncio.open_connection(url.hostname or "", port, ssl=context))


def _request_bytes(delivery: Delivery, url: SplitResult) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    own = {"host": url.netloc.rpartition("@")[2], "content-length": str(len(delivery.body))}
    headers = {name.lower(): value for name, value in delivery.headers.items()} | own
    lines = [f"{delivery.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + delivery.body


class Courier:
    """Delivers one look-alike's due webhooks until cancelled, several at a time."""

    def __init__(self, lookalike: LookAlike, clock: Clock, faults: Callable[[], Faults]) -> None:
        """`faults` gives the plan that is in force now."""
        self.is_enabled = True
        self.answers: dict[str, int] = {}
        """How many deliveries came to which answer: `200`, `503`, `none`, `dropped`."""
        self._lookalike = lookalike
        self._clock = clock
        self._faults = faults
        self._poster = Poster()
        self._free = asyncio.Semaphore(IN_FLIGHT)
        self._under_way: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """Deliveries begun and not yet answered."""
        return len(self._under_way)

    async def run(self) -> None:
        """Look for due webhooks again and again."""
        try:
            while True:
                self._begin()
                await self._clock.sleep(POLL_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._poster.close()

    def _begin(self) -> None:
        if not self.is_enabled:
            return
        now = self._clock.now()
        # a look-alike names a delivery as due until it hears of an answer
        due = [one for one in self._lookalike.due_webhooks(now) if one.id not in self._under_way]
        if not due:
            return
        sendings = self._faults().deliveries(due)
        for outgoing in sendings.dropped:
            self._count("dropped")
            self._lookalike.webhook_answered(outgoing.id, 200, now)
        for sending in sendings.send:
            if not sending.is_double:
                self._under_way.add(sending.outgoing.id)
            task = asyncio.create_task(self._deliver(sending))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, sending: Sending) -> None:
        if sending.after_seconds > 0:
            await self._clock.sleep(sending.after_seconds)
        async with self._free:
            status = await self._poster.post(sending.outgoing)
        self._count("none" if status is None else str(status))
        if not sending.is_double:
            self._under_way.discard(sending.outgoing.id)
            self._lookalike.webhook_answered(sending.outgoing.id, status, self._clock.now())
            # a provider that delivers one after the other has the next one ready now, not at the next look
            self._begin()

    def _count(self, answer: str) -> None:
        self.answers[answer] = self.answers.get(answer, 0) + 1
