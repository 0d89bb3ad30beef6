"""Serves look-alikes over real HTTP from one process, each on a loopback port of its own."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from urllib.parse import urlsplit

from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.admin import PREFIX, Desk
from core.sandbox.faults import Fault, Result, answer
from core.sandbox.listener import HttpConnection, Reply
from core.sandbox.lookalike import LookAlike

_BACKLOG = 1024


class SandboxServer:
    """Several look-alikes on one event loop: each sees one request at a time, as it must (not thread-safe)."""

    def __init__(
        self,
        lookalikes: Mapping[str, LookAlike],
        *,
        clock: Clock,
        rng: Random,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
    ) -> None:
        """`ports` names ports for some of the look-alikes; the others get any free one."""
        self._clock = clock
        self._host = host
        self._wanted = dict(ports or {})
        # one stream of chance each, so that traffic at one does not change the faults of another
        self._desks = {name: Desk(one, clock, Random(rng.random())) for name, one in lookalikes.items()}  # noqa: S311
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._connections: set[HttpConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> Mapping[str, int]:
        """Where each look-alike listens, once started."""
        return dict(self._ports)

    def url(self, name: str) -> str:
        """Base URL of one look-alike, without a slash at the end."""
        return f"http://{self._host}:{self._ports[name]}"

    async def start(self) -> None:
        """Listen, and begin to deliver webhooks."""
        loop = asyncio.get_running_loop()
        for name, desk in self._desks.items():
            server = await loop.create_server(
                self._connection(desk), self._host, self._wanted.get(name, 0), backlog=_BACKLOG
            )
            self._servers.append(server)
            self._ports[name] = server.sockets[0].getsockname()[1]
            self._spawn(asyncio.create_task(desk.courier.run()))

    async def stop(self) -> None:
        """Stop listening, hang up, let no task run on."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        self._ports.clear()

    def _connection(self, desk: Desk) -> Callable[[], HttpConnection]:
        return lambda: HttpConnection(partial(self._respond, desk), self._connections)

    def _respond(self, desk: Desk, request: HttpRequest, reply: Reply) -> None:
        if urlsplit(request.url).path.startswith(PREFIX):
            reply(_guarded(desk, lambda: Result(desk.respond(request))).response)
            return
        desk.requests += 1
        fault = desk.faults.choose(request)
        if fault is not None and fault.kind == "slow":
            # executed only then, whether or not the client still waits: a write that lands late
            self._later(fault.seconds, lambda: reply(_executed(desk, fault, request).response))
            return
        result = _executed(desk, fault, request)
        if result.after_seconds > 0:
            self._later(result.after_seconds, lambda: reply(result.response))
        else:
            reply(result.response)

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            callback()

        self._spawn(asyncio.create_task(wait()))

    def _spawn(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _executed(desk: Desk, fault: Fault | None, request: HttpRequest) -> Result:
    return _guarded(desk, lambda: answer(desk.lookalike, fault, request))


def _guarded(desk: Desk, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - a bug of the look-alike must not look like a broken connection
        desk.failures.append(traceback.format_exc())
        text = f"the look-alike failed: {type(error).__name__}: {error}\n"
        return Result(HttpResponse(500, {"content-type": "text/plain"}, text.encode()))
