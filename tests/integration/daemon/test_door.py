"""Callers that keep a connection and say nothing, or never stop."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

from core.api.door import HEAD_SECONDS, MOST_WAITING
from tests.support import deliveries
from tests.support.daemon import DaemonProcess, eventually
from tests.support.systems import Systems

Start = Callable[..., DaemonProcess]
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
        assert eventually(lambda: sum(map(is_open, crowd)) <= MOST_WAITING + 100)
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
