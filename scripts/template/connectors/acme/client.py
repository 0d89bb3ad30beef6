"""Acme's endpoints, one method each; no decisions. Errors come out as ours, limits are obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from connectors.acme.errors import error_from
from connectors.acme.manifest import LIVE_URL, MANIFEST
from core.errors import AmbiguousError, ReauthorizeError, RetryError
from core.http.client import HttpClient
from core.http.limits import RateLimiter
from core.http.retry import with_retries
from core.ports import ConnectionConfig, HttpResponse, Shell, Vault

_SUCCESS: Final = (200, 201)
_TOO_MANY: Final = 429


# Decide 5: address, authentication, paths and parameters; how a create carries its key and an update its version.
class AcmeClient:
    """One account's API. Every method returns an answer with a status of success, or raises."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell) -> None:
        """Open no socket before the first call."""
        self._base = config.settings.get("base_url", LIVE_URL).rstrip("/")
        self._name = config.name
        self._vault = vault
        self._clock = shell.clock
        self._http = HttpClient(shell)
        self._limiter = RateLimiter(MANIFEST.limits, shell)

    async def account(self) -> bytes:
        """GET whose key this is."""
        return await self._read("/v1/account", {})

    async def customers(self, params: Mapping[str, str]) -> bytes:
        """GET one page of customers."""
        return await self._read("/v1/customers", {"limit": str(MANIFEST.page_size), **params})

    async def customer(self, remote_id: str) -> bytes:
        """GET one customer."""
        return await self._read(f"/v1/customers/{quote(remote_id, safe='')}", {})

    async def create(self, body: Mapping[str, Any], key: str) -> HttpResponse:
        """POST a customer; the same key gives the first answer again."""
        return await self._call("POST", "/v1/customers", {"idempotency-key": key}, body)

    async def update(self, remote_id: str, body: Mapping[str, Any], version: str) -> HttpResponse:
        """PATCH a customer that is still at `version`."""
        return await self._call("PATCH", f"/v1/customers/{quote(remote_id, safe='')}", {"if-match": version}, body)

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self._http.aclose()

    async def _read(self, path: str, params: Mapping[str, str]) -> bytes:
        query = f"?{urlencode(params)}" if params else ""

        async def once() -> bytes:
            try:
                return (await self._call("GET", path + query, {}, None)).body
            except AmbiguousError as error:  # a read changes nothing
                raise RetryError(str(error)) from error

        return await with_retries(self._clock, once)

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> HttpResponse:
        key = self._vault.get("api_key")
        if not key:
            raise ReauthorizeError(f"no API key is stored; `accord connect {self._name}` asks for it")
        content = b"" if body is None else msgspec.json.encode(body)
        sent = {"authorization": f"Bearer {key}", "accept": "application/json", **headers}
        if content:
            sent["content-type"] = "application/json"
        async with self._limiter.call(method):
            answer = await self._http.send(method, self._base + path, sent, content)
        if answer.status in _SUCCESS:
            return answer
        error = error_from(answer.status, answer.headers, answer.body, is_write=method != "GET")
        if answer.status == _TOO_MANY and isinstance(error, RetryError) and error.retry_after:
            self._limiter.pause(error.retry_after)
        raise error
