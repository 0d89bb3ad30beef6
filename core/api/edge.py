"""What stands before every route of the API: a trace, the token, the size of a body, and whatever nobody caught."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import structlog

from core.api import problems
from core.api.asgi import App, Message, Receive, Scope, Send, header, raw_path
from core.api.body import BODY, SEVERAL, TooLargeError
from core.api.entrance import OWNER, Caller, Entrance, UnauthorizedError
from core.errors import AccordError, sentence
from core.model.scopes import ADMIN
from core.ports import Ids

MOST_BYTES: Final = 4 * 1024 * 1024
TOO_LARGE: Final = f"is larger than {MOST_BYTES} bytes"
MISDIRECTED: Final = "call 127.0.0.1, or where it listens; with a token (`accord tokens create`) any name will do"
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What a supervisor asks, which has no token."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Edge:
    """ASGI around the API.

    Paths are routed as they were sent: an id with a slash arrives as `%2F` and must stay one segment.
    """

    def __init__(self, app: App, ids: Ids, entrance: Entrance, host: str) -> None:
        """While there is no token, only requests to loopback names and `host` are served."""
        self._app = app
        self._ids = ids
        self._entrance = entrance
        self._hosts = LOOPBACK | {host}
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        trace = self._ids.new()
        with structlog.contextvars.bound_contextvars(trace=trace):
            answered = _Answered(send, trace)
            try:
                await self._serve(scope, receive, answered, trace)
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001 - the last one who can answer; logged with its story
                self._log.exception("api.failed", method=scope["method"], path=raw_path(scope))
                await answered.refuse(500, "bug", "a bug of Accord's; the log has the story under this trace")
            else:
                self._log.debug("api.done", method=scope["method"], path=raw_path(scope), status=answered.status)

    async def _serve(self, scope: Scope, receive: Receive, answered: _Answered, trace: str) -> None:
        path = raw_path(scope)
        try:
            caller = await self._caller(scope, path)
        except UnauthorizedError as error:
            challenge = (b"www-authenticate", b"Bearer")
            await answered.refuse(401, "unauthorized", str(error), challenge, cure=error.cure)
            return
        except AccordError as error:
            await answered.refuse(problems.status_of(error), error.code, str(error))
            return
        if caller is None:
            # a web page that points its own name at this machine must not get in through somebody's browser
            await answered.refuse(421, "misdirected", "this API answers to its own address only", cure=MISDIRECTED)
            return
        if int(_length(scope)) > MOST_BYTES:
            await answered.refuse(413, "too_large", TOO_LARGE, field=BODY, cure=SEVERAL)
            return
        state = {**scope.get("state", {}), "trace": trace, "caller": caller}
        await self._app({**scope, "path": path, "state": state}, _Capped(receive), answered)

    async def _caller(self, scope: Scope, path: str) -> Caller | None:
        """Who asks; None for a stranger's address. Raises UnauthorizedError, StorageError."""
        if path in OPEN_PATHS:
            is_known = self._is_addressed(scope) or await self._entrance.is_guarded()
            return Caller(OWNER, "") if is_known else None
        found = await self._entrance.caller(header(scope, b"authorization") or "")
        if found is None and self._is_addressed(scope):
            return Caller(OWNER, ADMIN)
        return found

    def _is_addressed(self, scope: Scope) -> bool:
        """Under its own name; and not by a page of elsewhere, which a browser lets send what has no body."""
        page = header(scope, b"origin")
        names = [f"//{header(scope, b'host') or ''}", *([] if page is None else [page])]
        try:
            return all(urlsplit(one).hostname in self._hosts for one in names)
        except ValueError:
            return False


def _length(scope: Scope) -> str:
    told = header(scope, b"content-length") or "0"
    return told if told.isdecimal() else "0"


class _Capped:
    """A body without a length is cut off where it becomes too long."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = MOST_BYTES

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLargeError(TOO_LARGE)
        return message


class _Answered:
    """`send` that remembers whether an answer was begun."""

    def __init__(self, send: Send, trace: str) -> None:
        self._send = send
        self._trace = trace
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-accord-trace", self._trace.encode())]
        await self._send(message)

    async def refuse(
        self,
        status: int,
        code: str,
        problem: str,
        *headers: tuple[bytes, bytes],
        field: str | None = None,
        cure: str | None = None,
    ) -> None:
        """Answer with a problem, unless an answer was begun already."""
        if self.status is not None:
            return
        detail = sentence(problem, field=field, limit=None, cure=cure)
        members = {"field": field, "problem": problem, "cure": cure}
        body = problems.encoded(problems.document(code, status, detail, self._trace, **members))
        own: Iterable[tuple[bytes, bytes]] = (
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        )
        await self({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
        await self._send({"type": "http.response.body", "body": body})
