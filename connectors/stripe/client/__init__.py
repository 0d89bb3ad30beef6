"""Stripe's endpoints, one method each; no decisions. The SDK behind it is imported when the first client is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from connectors.stripe.client.reply import Reply
from connectors.stripe.errors import error_from, pause_for
from core.errors import AccordError, ReauthorizeError
from core.http.limits import RateLimiter
from core.http.retry import with_retries
from core.ports import ConnectionConfig, Shell, Vault

if TYPE_CHECKING:
    from connectors.stripe.client.sdk import Sdk

__all__ = ["DEFAULT_BASE_URL", "Reply", "StripeApi"]

DEFAULT_BASE_URL: Final = "https://api.stripe.com"

_OK: Final = range(200, 300)


class StripeApi:
    """One account's endpoints. Every method returns the answer's bytes or raises an error of core.errors."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell, limiter: RateLimiter) -> None:
        """No socket is opened before the first call."""
        # lazily: the command line's --help and the pure halves must not pay for the SDK
        from connectors.stripe.client.sdk import Sdk  # noqa: PLC0415

        self._vault = vault
        self.clock = shell.clock
        self._limiter = limiter
        base_url = config.settings.get("base_url") or DEFAULT_BASE_URL
        self._sdk: Sdk = Sdk(base_url.rstrip("/"), shell)

    @property
    def round_trip(self) -> float:
        """How many seconds the fastest call took; 0 before the first one."""
        return self._limiter.fastest

    async def account(self) -> Reply:
        """Read the account behind the key."""
        return await self.read("account", "/v1/account")

    async def balance(self) -> Reply:
        """Read the balance: the one object that always tells live from test mode."""
        return await self.read("balance", "/v1/balance")

    async def list_customers(self, params: Mapping[str, Any]) -> Reply:
        """One page, newest first."""
        return await self.read("list_customers", "/v1/customers", params)

    async def search_customers(self, params: Mapping[str, Any]) -> Reply:
        """One page of a search; not read-after-write."""
        return await self.read("search_customers", "/v1/customers/search", params)

    async def list_events(self, params: Mapping[str, Any]) -> Reply:
        """One page of the last 30 days' events, newest first."""
        return await self.read("list_events", "/v1/events", params)

    async def customer(self, customer_id: str) -> Reply:
        """Read one customer as it is now."""
        return await self.read("customer", f"/v1/customers/{quote(customer_id, safe='')}")

    async def create_customer(self, body: Mapping[str, Any], key: str) -> Reply:
        """Create; the key makes a repetition harmless for a day."""
        return await self.write("create_customer", "/v1/customers", body, key)

    async def update_customer(self, customer_id: str, body: Mapping[str, Any], key: str) -> Reply:
        """Change what the body names and nothing else."""
        path = f"/v1/customers/{quote(customer_id, safe='')}"
        return await self.write("update_customer", path, body, key)

    async def aclose(self) -> None:
        """Let go of the sockets."""
        await self._sdk.aclose()

    async def read(self, endpoint: str, path: str, params: Mapping[str, Any] | None = None) -> Reply:
        """GET a path; `endpoint` is the name that its rate limit goes by. Sent again where that may help."""
        return await with_retries(self.clock, lambda: self._call(endpoint, "get", path, params or {}, None))

    async def write(self, endpoint: str, path: str, body: Mapping[str, Any], key: str) -> Reply:
        """POST to a path, once; `endpoint` as above."""
        return await self._call(endpoint, "post", path, body, key)

    async def _call(self, endpoint: str, method: str, path: str, params: Mapping[str, Any], key: str | None) -> Reply:
        # asked for each time: a key that was rotated is used from the next call on
        api_key = self._vault.get("api_key")
        if not api_key:
            raise ReauthorizeError("no Stripe API key is stored for this connection; run `accord connect`")
        async with self._limiter.call(endpoint):
            reply = await self._sdk.exchange(method, path, params, api_key=api_key, idempotency_key=key)
        if reply.status in _OK:
            return reply
        error = self._error(reply, is_write=method == "post")
        pause = pause_for(reply.status, reply.headers)
        if pause is not None:
            self._limiter.pause(pause, str(error))
        raise error

    def _error(self, reply: Reply, *, is_write: bool) -> AccordError:
        return error_from(reply.status, reply.headers, reply.body, is_write=is_write)
