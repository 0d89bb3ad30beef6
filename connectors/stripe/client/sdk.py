"""The Stripe SDK: it carries authentication, the pinned version and the form encoding; bodies stay bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import httpx
import stripe

from connectors.stripe.client.reply import Reply
from connectors.stripe.manifest import API_VERSION
from core.errors import AccordError, AmbiguousError, BugError, RetryError
from core.http.transport import TIMEOUT_SECONDS, async_transport
from core.ports import Shell

_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Sdk(stripe.StripeClient):
    """StripeClient with one more verb: the answer's bytes, without the SDK's objects (a tenth of the cost)."""

    def __init__(self, base_url: str, shell: Shell) -> None:
        """Retries are off: the engine's intents decide what may be sent twice."""
        # else the SDK writes an id to the home directory and sends measurements along
        stripe.enable_telemetry = False
        self._http = ShellHttpClient(shell)
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
        if not isinstance(answer[0], Reply):
            raise BugError("the Stripe SDK did not pass the answer through")
        return answer[0]

    async def aclose(self) -> None:
        """Close the sockets."""
        await self._http.close_async()


class ShellHttpClient(stripe.HTTPClient):
    """The SDK's transport on Accord's own: shared limits and time-outs, or the simulation's exchange."""

    name = "httpx"

    def __init__(self, shell: Shell) -> None:
        """Redirects are not followed: no other host shall see the key."""
        super().__init__()
        self._client = httpx.AsyncClient(
            transport=async_transport(shell), timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=False
        )

    async def request_async(  # type: ignore[override]  # the SDK hands the body through, whatever it is
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[Reply, int, Mapping[str, str]]:
        """Send; a Reply takes the place of the body, so that the SDK neither parses nor logs it."""
        content = None if post_data is None else post_data.encode()
        try:
            response = await self._client.request(method, url, headers=headers, content=content)
        except httpx.HTTPError as error:
            _raise_lost(method, error)
        return Reply(response.status_code, response.headers, response.content), response.status_code, response.headers

    async def close_async(self) -> None:
        """Close the sockets."""
        await self._client.aclose()


def _raise_lost(method: str, error: httpx.HTTPError) -> NoReturn:
    failure: AccordError
    what = type(error).__name__
    if method == "post" and not isinstance(error, _NEVER_SENT):
        failure = AmbiguousError(f"Stripe's answer was lost ({what}); the write may have happened")
    else:
        failure = RetryError(f"Stripe could not be reached ({what})")
    raise failure from error
