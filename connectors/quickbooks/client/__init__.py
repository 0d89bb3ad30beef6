"""QuickBooks' endpoints, one method each; no decisions. Errors come out as ours, limits are obeyed."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from connectors.quickbooks.client.oauth import Tokens, authorize_url
from connectors.quickbooks.errors import error_from, has_fault
from connectors.quickbooks.manifest import LIVE_URL, MANIFEST, THROTTLE_SECONDS, WRITE_TIMEOUT_SECONDS
from core.errors import AmbiguousError, ConfigError, RetryError
from core.http.client import HttpClient
from core.http.limits import RateLimiter
from core.http.retry import with_retries
from core.http.transport import TIMEOUT_SECONDS
from core.ports import ConnectionConfig, HttpResponse, Shell, Vault

__all__ = ["QuickBooksClient", "authorize_url", "exchange_code"]

T = TypeVar("T")
_SUCCESS: Final = 200
_UNAUTHORIZED: Final = 401
_THROTTLED: Final = 429
_MANY_WAITS_SECONDS: Final = 300.0
REST_SECONDS: Final = 900.0
"""Until Intuit is asked again whether a month's reads are still used up."""
_USED_UP: Final = (
    "five waits did not help: the month's metered reads may be used up, which Intuit's developer pages show; no more "
    "than one read in fifteen minutes is tried, and writes go on"
)
"""Intuit's words for it are those for a minute that is full."""


class QuickBooksClient:
    """One company's API. Every method returns the body of an answer that carries no fault, or raises."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell) -> None:
        """Open no socket before the first call."""
        self.realm = config.settings.get("realm_id", "")
        if not self.realm:
            msg = f"realm_id is missing; `accord connect {config.name}` writes it"
            raise ConfigError(msg, key=f"connections.{config.name}.realm_id")
        self.base = config.settings.get("base_url", LIVE_URL).rstrip("/")
        self._minor = config.settings.get("minor_version", "75")
        self.clock = shell.clock
        self._http = HttpClient(shell)
        self.tokens = Tokens(config, vault, self._http, shell.clock)
        self._limiter = RateLimiter(MANIFEST.limits, shell)
        self._refused_since: float | None = None
        self._rested_at = -math.inf
        self._why = ""

    async def company(self) -> bytes:
        """GET the company that the credentials belong to."""
        return await self._read("read", f"companyinfo/{self.realm}", {})

    async def query(self, text: str) -> bytes:
        """Run one query."""
        return await self._read("query", "query", {"query": text})

    async def changes(self, entities: Sequence[str], since: str) -> bytes:
        """GET what changed since a time, at most 1,000 objects of all entities together, and 30 days."""
        return await self._read("cdc", "cdc", {"entities": ",".join(entities), "changedSince": since})

    async def preferences(self) -> bytes:
        """GET the company's settings."""
        return await self._read("read", "preferences", {})

    async def one(self, entity: str, remote_id: str) -> bytes:
        """GET one object; a customer, active or not."""
        return await self._read("read", f"{entity.lower()}/{quote(remote_id, safe='')}", {})

    async def save(
        self, entity: str, body: Mapping[str, Any], request_id: str, options: Mapping[str, str] | None = None
    ) -> bytes:
        """POST a create, an update or a void; the same request id gives the first answer again."""
        return await self._write("write", entity.lower(), {"requestid": request_id, **(options or {})}, body)

    async def batch(self, items: Sequence[Mapping[str, Any]], request_id: str) -> bytes:
        """POST a batch; its items fail one by one inside the answer. The same request id gives that answer again."""
        return await self._write("batch", "batch", {"requestid": request_id}, {"BatchItemRequest": items})

    def pause(self) -> None:
        """Be silent for as long as a throttled company asks for."""
        self._limiter.pause(THROTTLE_SECONDS)

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self._http.aclose()

    async def _read(self, endpoint: str, path: str, params: Mapping[str, str]) -> bytes:
        async def once() -> bytes:
            if 0 <= self.clock.now() - self._rested_at < REST_SECONDS:
                # a minute, not the rest: what waits for no read is written meanwhile
                raise RetryError(self._why, retry_after=THROTTLE_SECONDS)
            try:
                answer = await self._call(endpoint, "GET", self._url(path, params), b"", TIMEOUT_SECONDS)
            except AmbiguousError as error:  # a read changes nothing
                raise RetryError(str(error)) from error
            return self._judged_read(answer)

        return await self._retried(once)

    def _judged_read(self, answer: HttpResponse) -> bytes:
        now = self.clock.now()
        try:
            body = self._judged(answer, is_write=False)
        except RetryError as error:
            if error.retry_after is None:
                raise
            self._refused_since = now if self._refused_since is None else self._refused_since
            if now - self._refused_since < _MANY_WAITS_SECONDS:
                raise
            self._rested_at, self._why = now, f"{error} ({_USED_UP})"
            raise RetryError(self._why, retry_after=error.retry_after) from error
        self._refused_since = None
        return body

    async def _write(self, endpoint: str, path: str, params: Mapping[str, str], body: Mapping[str, Any]) -> bytes:
        content = msgspec.json.encode(body)
        answer = await self._call(endpoint, "POST", self._url(path, params), content, WRITE_TIMEOUT_SECONDS)
        return self._judged(answer, is_write=True)

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        return await with_retries(self.clock, call)

    async def _call(self, endpoint: str, method: str, url: str, content: bytes, seconds: float) -> HttpResponse:
        token = await self.tokens.current()
        answer = await self._send(endpoint, method, url, content, token, seconds)
        if answer.status != _UNAUTHORIZED:
            return answer
        # 401 means: not executed. One new token, one more try; then a person must act
        token = await self.tokens.renewed(token)
        return await self._send(endpoint, method, url, content, token, seconds)

    async def _send(
        self, endpoint: str, method: str, url: str, content: bytes, token: str, seconds: float
    ) -> HttpResponse:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json", "user-agent": "accord"}
        if content:
            headers["content-type"] = "application/json"
        async with self._limiter.call(endpoint):
            answer = await self._http.send(method, url, headers, content, seconds)
        if answer.status == _THROTTLED:
            self.pause()
        return answer

    def _judged(self, answer: HttpResponse, *, is_write: bool) -> bytes:
        if answer.status != _SUCCESS or _has_fault(answer.body):
            error = error_from(answer.status, answer.headers, answer.body, is_write=is_write)
            if isinstance(error, RetryError) and error.retry_after is not None:
                self.pause()
            raise error
        return answer.body

    def _url(self, path: str, params: Mapping[str, str]) -> str:
        query = urlencode({**params, "minorversion": self._minor}, quote_via=quote)
        return f"{self.base}/v3/company/{quote(self.realm, safe='')}/{path}?{query}"


def _has_fault(body: bytes) -> bool:
    # in either of Intuit's two letter cases; the search is a thousand times cheaper than the parse, and nearly always
    # says no
    return (b'"Fault"' in body or b'"fault"' in body) and has_fault(body)


async def exchange_code(config: ConnectionConfig, vault: Vault, shell: Shell, code: str, redirect_uri: str) -> None:
    """Store the first tokens of a connection: the last step of `accord connect`."""
    http = HttpClient(shell)
    try:
        await Tokens(config, vault, http, shell.clock).exchange(code, redirect_uri)
    finally:
        await http.aclose()
