"""HTTP/1.1 on a loopback port for one look-alike: bytes in, core.ports.HttpRequest, bytes out.

An asyncio protocol on httptools' parser instead of an ASGI server: a fault must be able to hang up without
an answer, which ASGI has no word for, and a look-alike answers synchronously, so that nothing is queued.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, cast

import httptools

from core.ports import HttpRequest, HttpResponse

Reply = Callable[[HttpResponse | None], None]
"""To be called once, now or later, with the answer, or with None to hang up without one."""

_NO_BODY: Final = frozenset({204, 304})
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class HttpConnection(asyncio.Protocol):
    """One client's connection. Requests are answered in order; a slow one holds up those behind it only."""

    def __init__(
        self,
        respond: Callable[[HttpRequest, Reply], None],
        connections: set[HttpConnection],
    ) -> None:
        """`connections` is where this one is listed while open."""
        self._respond = respond
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[HttpRequest, bool]] = deque()
        self._is_busy = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; requests still waiting are lost with it."""
        del exc
        self._transport = None
        self._waiting.clear()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Parse; the parser calls the methods below."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._write(HttpResponse(400, {"content-type": "text/plain"}, str(error).encode()), is_kept=False)

    # ---- httptools ----

    def on_message_begin(self) -> None:
        """Start a request."""
        self._target, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Collect the request target, which may come in pieces."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; repeated ones are joined as RFC 9110 says."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """Let a client that asks first send its body."""
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request in line."""
        target = self._target.decode("latin-1")
        url = target if "://" in target[:8] else f"http://{self._headers.get('host', '')}{target}"
        method = self._parser.get_method().decode("latin-1")
        request = HttpRequest(method, url, self._headers, b"".join(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._next()

    # ---- answers ----

    def _next(self) -> None:
        while self._waiting and not self._is_busy:
            request, is_kept = self._waiting.popleft()
            self._is_busy = True
            self._respond(request, partial(self._finish, request.method, is_kept))

    def _finish(self, method: str, is_kept: bool, response: HttpResponse | None) -> None:  # noqa: FBT001 - a partial
        self._is_busy = False
        if response is None:
            self.hang_up()
            return
        self._write(response, is_kept=is_kept, is_head=method == "HEAD")
        self._next()

    def _write(self, response: HttpResponse, *, is_kept: bool, is_head: bool = False) -> None:
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Other')}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "content-length"]
        if response.status not in _NO_BODY:
            lines.append(f"content-length: {len(response.body)}")
        if not is_kept:
            lines.append("connection: close")
        body = b"" if is_head or response.status in _NO_BODY else response.body
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        if not is_kept:
            self._transport.close()

    def hang_up(self) -> None:
        """Break the connection now; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()
