"""The Stripe SDK: it carries authentication, the pinned version and the form encoding; bodies stay bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import httpx
import stripe

from connectors.stripe.client.reply import Reply
from connectors.stripe.manifest import API_VERSION
from core.errors import AmbiguousError, RetryError
from core.http.client import UNANSWERED, async_client, error_of, exchanged
from core.http.transport import TIMEOUT_SECONDS
from core.ports import Shell


class Sdk(stripe.StripeClient):
    """StripeClient with one more verb: the answer's bytes, without the SDK's objects (a tenth of the cost)."""

    def __init__(self, base_url: str, shell: Shell) -> None:
        """Retries are off: the engine's intents decide what may be sent twice."""
        # else the SDK writes an id to the home directory and sends measurements along
        stripe.enable_telemetry = False
        self._http = ShellHttpxClient(shell)
        super().__init__(
            # each call brings its own
            api_key="",
            base_addresses={"api": base_url},
            http_client=self._http,
            max_network_retries=0,
            stripe_version=API_VERSION,
        )

    async def exchange(
        self, method: str, path: str, params: Mapping[str, Any], *, api_key: str, idempotency_key: str | None
    ) -> Reply:
        """Send one request; any status is an answer. RetryError: not sent. AmbiguousError: a write's answer is lost."""
        answer: tuple[object, int, Mapping[str, str]] = await self._requestor.request_raw_async(
            method,
            path,
            params=dict(params),
            options={"api_key": api_key, "idempotency_key": idempotency_key},
            base_address="api",
            api_mode="V1",
        )
        return cast("Reply", answer[0])

    async def aclose(self) -> None:
        """Close the sockets."""
        await self._http.close_async()


class ShellHttpxClient(stripe.HTTPXClient):
    """The SDK's own httpx client on Accord's transport: shared time-outs, or the simulation's exchange."""

    def __init__(self, shell: Shell) -> None:
        """Open no socket before the first request."""
        # HTTPXClient's constructor would read every CA certificate into a TLS context and make a client on
        # it, both of which would be thrown away here; what it sets besides is set below
        stripe.HTTPClient.__init__(self)
        self._client_async = async_client(shell)
        self._client = None
        self._timeout = TIMEOUT_SECONDS

    async def request_async(  # type: ignore[override]  # the SDK hands the body through, whatever it is
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[Reply, int, Mapping[str, str]]:
        """Send; a Reply takes the place of the body, so that the SDK neither parses nor logs it."""
        try:
            answer = await exchanged(self._client_async, method, url, headers, content=post_data)
        except UNANSWERED as error:
            meaning = error_of(error)
            if method == "get" and isinstance(meaning, AmbiguousError):
                # a read changes nothing: its lost answer can be asked for again
                meaning = RetryError(str(meaning))
            raise meaning from (error if isinstance(error, httpx.HTTPError) else None)
        return Reply(answer.status, answer.headers, answer.body), answer.status, answer.headers

    async def close_async(self) -> None:
        """Let go of sockets."""
        await self._client_async.aclose()
