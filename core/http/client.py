"""A plain HTTP client for connectors without an SDK: our own errors, told apart by what may have happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from core.errors import AmbiguousError, ReauthorizeError, RetryError
from core.http.bounds import MOST_BYTES
from core.http.transport import TIMEOUT_SECONDS, async_transport
from core.ports import HttpResponse, Shell

UNANSWERED = (httpx.HTTPError, UnicodeEncodeError)
"""What sending raises instead of an answer; the latter for a header that holds more than ASCII."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def async_client(shell: Shell) -> httpx.AsyncClient:
    """The client under every connector: our transport and time-outs, nothing taken from the environment."""

    async def hear(response: httpx.Response) -> None:
        shell.date(response.headers.get("date", ""))

    return httpx.AsyncClient(
        transport=async_transport(shell),
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        trust_env=False,
        event_hooks={"response": [hear]},
    )


async def exchanged(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    **options: Any,  # noqa: ANN401 - as httpx takes them
) -> HttpResponse:
    """Send once and read the answer, which is refused once it is larger than any provider's."""
    parts, size = [], 0
    async with client.stream(method, url, headers=headers, **options) as answer:
        if "," in answer.headers.get("content-encoding", ""):
            # each packing multiplies by a thousand, and httpx unpacks all of them before anybody can count
            raise httpx.ReadError("the answer is packed more than once", request=answer.request)
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > MOST_BYTES:
                raise httpx.ReadError(f"the answer has more than {MOST_BYTES} bytes", request=answer.request)
            parts.append(part)
    found = {name.lower(): value for name, value in answer.headers.items()}
    return HttpResponse(answer.status_code, found, b"".join(parts))


def error_of(error: httpx.HTTPError | UnicodeEncodeError) -> RetryError | AmbiguousError | ReauthorizeError:
    """AmbiguousError: the request may have arrived and been executed; the others: it never left this machine."""
    if isinstance(error, UnicodeEncodeError):
        # not shown: headers are where credentials are
        return ReauthorizeError("a secret holds a character that no key has; copy it anew, whole, and store it")
    if isinstance(error, _NEVER_SENT):
        return RetryError(f"no connection to {_address(error)}: {_words(error)}")
    return AmbiguousError(f"no answer from {_address(error)}: {_words(error)}")


class HttpClient:
    """Sends one request and returns one answer, whatever its status; knows no provider."""

    def __init__(self, shell: Shell) -> None:
        """Open no socket before the first request."""
        self._client = async_client(shell)

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - the transport's own time-outs, one per phase
    ) -> HttpResponse:
        """Send once. AmbiguousError: it may have been executed; RetryError, ReauthorizeError: it never left here."""
        try:
            return await exchanged(self._client, method, url, headers, content=content, timeout=timeout)
        except UNANSWERED as error:
            raise error_of(error) from (error if isinstance(error, httpx.HTTPError) else None)

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self._client.aclose()


def _address(error: httpx.HTTPError) -> str:
    """Scheme, host and port: a wrong `base_url` and a provider that is down look alike without."""
    try:
        url = error.request.url
    except RuntimeError:  # of an error that belongs to no request
        return "the provider"
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _words(error: Exception) -> str:
    if isinstance(error, httpx.LocalProtocolError) and "header" in str(error).lower():
        # its words show the value, and that is where credentials are
        return f"{type(error).__name__}: a header cannot be sent; does a secret hold a line end, or a blank at an end?"
    # the request's path and query stay out: they may carry what a log line must not
    return f"{type(error).__name__} {error}".strip()
