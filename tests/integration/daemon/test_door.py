"""Callers that keep a connection and say nothing, or never stop."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState

from core.api.asgi import Receive, Scope, Send
from core.api.door import HEAD_SECONDS, MOST_ASKING, MOST_IN_LINE, YOUNG_SECONDS, Crowd, Door
from tests.support import deliveries
from tests.support.daemon import DaemonProcess, eventually
from tests.support.systems import Systems

Start = Callable[..., DaemonProcess]
WHOLE = b"GET /webhooks/stripe HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nX-A: "


def is_open(caller: socket.socket) -> bool:
    """Whether the other side has not ended it."""
    caller.settimeout(0)
    try:
        return caller.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def taken(caller: socket.socket) -> bytes:
    """Everything that comes until the other side ends."""
    caller.settimeout(5)
    parts = []
    with suppress(ConnectionResetError):
        while part := caller.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_a_crowd_that_says_nothing_locks_nobody_out(systems: Systems, start: Start) -> None:
    """A thousand half requests took every file that the process may open: API, lanes and webhooks stood still."""
    daemon = start(systems.folder, **systems.environment).ready()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (400, 400))
    port = urlsplit(daemon.webhooks).port
    good = deliveries.quickbooks(1, time.time())
    with ExitStack() as callers:
        crowd = []
        for number in range(600):
            crowd.append(callers.enter_context(socket.create_connection(("127.0.0.1", port or 0), 5)))
            crowd[-1].sendall(HALF)
            if number % 100 == 99:
                time.sleep(1.1)
        assert eventually(lambda: sum(map(is_open, crowd)) <= MOST_ASKING + 100)
        assert daemon.deliver("quickbooks", good.body, good.headers).status == 200
        assert daemon.call("GET", "/readyz").status == 200
        assert eventually(lambda: not any(map(is_open, crowd)), HEAD_SECONDS + 5)
    assert daemon.stop() == 0


def test_headers_without_an_end_are_not_kept(systems: Systems, start: Start) -> None:
    """Three hundred megabytes of one header were all kept in memory."""
    daemon = start(systems.folder, **systems.environment).ready()
    with socket.create_connection(("127.0.0.1", urlsplit(daemon.webhooks).port or 0), 5) as caller:
        caller.sendall(HALF + b"a" * 100_000)
        assert eventually(lambda: not is_open(caller), 3)
    assert daemon.stop() == 0


def test_a_line_end_after_an_answer_keeps_no_connection(systems: Systems, start: Start) -> None:
    """Two bytes took a connection out of every time-out: a thousand of them were all files of the process, for ever."""
    daemon = start(systems.folder, **systems.environment).ready()
    with socket.create_connection(("127.0.0.1", urlsplit(daemon.webhooks).port or 0), 5) as caller:
        caller.sendall(WHOLE)
        assert caller.recv(1000)
        caller.sendall(b"\r\n")
        assert eventually(lambda: not is_open(caller), HEAD_SECONDS + 5)
    assert daemon.stop() == 0


def test_what_follows_a_body_has_an_end_and_is_no_header(systems: Systems, start: Start) -> None:
    """Thirty megabytes of trailers were kept as five hundred, and whoever reaches the receiver can send them."""
    daemon = start(systems.folder, **systems.environment).ready()
    chunked = b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    for trailers in (b"X: y\r\n" * 20_000, b"X: " + b"y" * 120_000):
        with socket.create_connection(("127.0.0.1", urlsplit(daemon.webhooks).port or 0), 5) as caller:
            caller.sendall(chunked + trailers)
            assert eventually(lambda caller=caller: not is_open(caller), 3)
    with socket.create_connection(("127.0.0.1", urlsplit(daemon.api).port or 0), 5) as caller:
        head = b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: 127.0.0.1\r\n\r\n"
        caller.sendall(head)
        assert b" 421 " in caller.recv(1000)
    assert daemon.stop() == 0


@pytest.mark.anyio
async def test_of_those_that_do_not_take_their_answers_the_oldest_goes() -> None:
    """Who asks and never reads what is answered kept the connection for ever, and as many of them as they liked."""
    answer = b"x" * 30_000_000

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    state, crowds = ServerState(), (Crowd(10), Crowd(2))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=1)
    server = await asyncio.get_running_loop().create_server(
        lambda: Door(*crowds, config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        callers = []
        for _ in range(3):
            callers.append(await asyncio.open_connection("127.0.0.1", port, limit=1000))
            callers[-1][1].write(WHOLE)
            await asyncio.sleep(YOUNG_SECONDS / 2 + 0.1)
        assert len(state.connections) == 2
        took = [len(one) for one in await asyncio.gather(*(reader.read() for reader, _ in callers))]
        assert took[0] < len(answer) < took[1] == took[2]
        for _, writer in callers:
            writer.close()


def test_requests_that_wait_in_line_are_no_thousands(systems: Systems, start: Start) -> None:
    """What one connection asks before it has an answer is kept, at fifty times its size."""
    daemon = start(systems.folder, **systems.environment).ready()
    with socket.create_connection(("127.0.0.1", urlsplit(daemon.webhooks).port or 0), 5) as caller:
        caller.sendall(WHOLE * (MOST_IN_LINE + 100))
        assert taken(caller).count(b"HTTP/1.1 405") < MOST_IN_LINE
    assert daemon.stop() == 0
