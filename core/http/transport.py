"""The one place where an httpx transport is made: real sockets, or the simulation's exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from core.ports import Exchange, HttpRequest, HttpResponse, Shell

TIMEOUT_SECONDS = 15.0


class ExchangeTransport(httpx.AsyncBaseTransport):
    """Hands each request to a transport-free look-alike: production client code, no sockets."""

    def __init__(self, shell: Shell, exchange: Exchange) -> None:
        """`exchange` answers; `shell.pause` lets time pass and crashes strike around it."""
        self._shell = shell
        self._answer = exchange

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange one request for one response; an OSError of the exchange is a transport error."""
        body = await request.aread()
        headers = {name.lower(): value for name, value in request.headers.items()}
        plain = HttpRequest(request.method, str(request.url), headers, body)
        await _pause(self._shell)
        try:
            answer = self._exchange(plain, request)
        finally:
            await _pause(self._shell)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    def _exchange(self, plain: HttpRequest, request: httpx.Request) -> HttpResponse:
        try:
            return self._answer(plain)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error


class SocketTransport(httpx.AsyncHTTPTransport):
    """Real sockets; an answer that takes longer than `whole_seconds` in all is a time-out, however it comes."""

    def __init__(self, whole_seconds: float, limits: httpx.Limits) -> None:
        """Nothing is taken from the environment."""
        super().__init__(limits=limits, trust_env=False)
        self._whole_seconds = whole_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange one request for one response."""
        late = httpx.ReadTimeout(f"the answer took over {self._whole_seconds:g} s in all", request=request)
        until = asyncio.get_running_loop().time() + self._whole_seconds
        try:
            async with asyncio.timeout_at(until):
                response = await super().handle_async_request(request)
        except TimeoutError:
            raise late from None
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an asynchronous transport
        response.stream = _Hurried(response.stream, until, late)
        return response


class _Hurried(httpx.AsyncByteStream):
    """A body that has to be there by a time of the loop."""

    def __init__(self, stream: httpx.AsyncByteStream, until: float, late: httpx.ReadTimeout) -> None:
        self._stream = stream
        self._until = until
        self._late = late

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            if asyncio.get_running_loop().time() > self._until:
                raise self._late
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _pause(shell: Shell) -> None:
    if shell.pause is not None:
        await shell.pause()


def async_transport(shell: Shell, *, connections: int = 16) -> httpx.AsyncBaseTransport:
    """A transport for one connection's client: keep-alive sockets, no proxies, no redirects."""
    if shell.exchange is not None:
        return ExchangeTransport(shell, shell.exchange)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return SocketTransport(shell.whole_seconds, limits)
