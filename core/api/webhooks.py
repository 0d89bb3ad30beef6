"""The webhook receiver: POST /webhooks/{connection}, plain ASGI for speed, 200 only after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Final, NamedTuple

from core.api.asgi import Receive, Scope, Send, raw_path
from core.api.metrics import Metrics
from core.errors import SignatureError, StorageError
from core.ports import Delivery
from core.sync.hub import Connection, Hub
from core.sync.inbox import InboxWriter

PREFIX: Final = "/webhooks/"
MOST_BYTES: Final = 1024 * 1024
BODY_SECONDS: Final = 20.0
WAKE_SECONDS: Final = 0.02
QUIET_SECONDS: Final = 10.0
"""Refusals of one kind are told once in this time: a flood of forgeries must not become a flood of log lines."""


class Answer(NamedTuple):
    """An outcome (for the metrics), its status, and what the log says about it."""

    outcome: str
    status: int
    problem: str = ""


STORED: Final = Answer("stored", 200)
TOO_LARGE: Final = Answer("too_large", 413, f"the body is larger than {MOST_BYTES} bytes")
TOO_SLOW: Final = Answer("too_slow", 408, f"the body took longer than {BODY_SECONDS:g} s")
UNKNOWN: Final = Answer("unknown_connection", 404, "a delivery for a connection that is not configured")
NO_ROUTE: Final = Answer("no_route", 404)
NOT_POST: Final = Answer("not_post", 405)


class _RefusedError(Exception):
    """The body cannot be taken."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.problem)
        self.answer = answer


class _HungUpError(Exception):
    """The sender left before the body was complete: nobody is there to be answered."""


class WebhookApp:
    """An ASGI application. `public_url` is how providers reach it: HubSpot signs that, and headers can lie."""

    def __init__(self, hub: Hub, public_url: str, metrics: Metrics) -> None:
        """One inbox writer for all connections, so that deliveries arriving together share a commit."""
        self._hub = hub
        self._public_url = public_url.rstrip("/")
        self._metrics = metrics
        self._inbox = InboxWriter(replace(hub, wake=self._wake_soon))
        self._to_wake: set[str] = set()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path = raw_path(scope)
        name = path[len(PREFIX) :] if path.startswith(PREFIX) else ""
        known = name if name in self._hub.connections else ""
        try:
            answer = await self._answer(scope, receive, path, name)
        except _HungUpError:
            self._metrics.webhook(known, "hung_up")
            return
        self._metrics.webhook(known, answer.outcome)
        if answer.problem:
            self._tell(known, answer)
        await _send(send, answer)

    async def _answer(self, scope: Scope, receive: Receive, path: str, name: str) -> Answer:
        connection = self._hub.connections.get(name)
        if connection is None:
            return UNKNOWN if name and "/" not in name else NO_ROUTE
        if scope["method"] != "POST":
            return NOT_POST
        try:
            return await self._stored(connection, scope, receive, path)
        except SignatureError as error:
            return Answer("bad_signature", 401, str(error))
        except StorageError as error:
            return Answer("not_stored", 503, str(error))
        except _RefusedError as error:
            return error.answer
        except _HungUpError:
            raise
        except Exception as error:
            self._hub.log.exception("webhook.failed", connection=name)
            return Answer("failed", 500, f"{type(error).__name__}: a bug of Accord's")

    async def _stored(self, connection: Connection, scope: Scope, receive: Receive, path: str) -> Answer:
        headers = _joined(scope["headers"])
        body = await _body(receive, headers)
        if not self._inbox.secrets(connection):
            secret = connection.manifest.webhook_secret or "webhook secret"
            return Answer("no_secret", 404, f"{connection.name} has no {secret}: its webhooks cannot be verified")
        query = scope["query_string"].decode("latin-1")
        url = f"{self._public_url}{path}{'?' if query else ''}{query}"
        await self._inbox.receive(connection, Delivery("POST", url, headers, body))
        return STORED

    def _wake_soon(self, lane: str) -> None:
        """Let more deliveries come together first: a lane run for each commit would cost more than the commits."""
        if lane not in self._to_wake:
            self._to_wake.add(lane)
            asyncio.get_running_loop().call_later(WAKE_SECONDS, self._wake, lane)

    def _wake(self, lane: str) -> None:
        self._to_wake.discard(lane)
        self._hub.wake(lane)

    def _tell(self, connection: str, answer: Answer) -> None:
        now = self._hub.clock.now()
        since, times = self._told.get((connection, answer.outcome), (0.0, 0))
        if 0 <= now - since < QUIET_SECONDS:
            self._told[connection, answer.outcome] = (since, times + 1)
            return
        self._told[connection, answer.outcome] = (now, 0)
        shown = {"connection": connection, "outcome": answer.outcome, "status": answer.status}
        self._hub.log.warning("webhook.refused", **shown, problem=answer.problem, more_before=times)


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Repeated headers are joined as RFC 9110 says, so that a second signature is seen, and not the first one only."""
    headers: MutableMapping[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    told = headers.get("content-length", "0")
    if told.isdecimal() and int(told) > MOST_BYTES:
        raise _RefusedError(TOO_LARGE)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _all_of(receive)
    except TimeoutError:
        raise _RefusedError(TOO_SLOW) from None


async def _all_of(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _HungUpError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise _RefusedError(TOO_LARGE)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(b"content-length", b"0")]
    if answer is NOT_POST:
        headers.append((b"allow", b"POST"))
    if answer.status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
