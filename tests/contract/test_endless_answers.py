"""What every connector promises of an answer that has no end, over real sockets: the call ends."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from threading import Thread
from typing import Any, TypeVar

import pytest

from core.errors import AmbiguousError, RetryError
from core.ports import Connector, Shell, Write
from tests.support.acting import with_settings
from tests.support.world import NAMES, PROVIDERS, SECRETS, PlainVault, config_of

pytestmark = pytest.mark.anyio
T = TypeVar("T")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
IDS = {"stripe": "cus_1", "hubspot": "contact:1", "quickbooks": "1"}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "stripe": {"phone": "1"},
    "hubspot": {"type": "contact", "properties": {"phone": "1"}},
    "quickbooks": {"Id": "1", "SyncToken": "0", "sparse": True, "DisplayName": "Ada"},
}


def packed(size: int) -> bytes:
    """So many blanks, packed twice; never all of them in memory."""
    once = zlib.compressobj(wbits=31)
    parts = [once.compress(b" " * 1_000_000) for _ in range(size // 1_000_000)]
    return gzip.compress(b"".join(parts) + once.flush())


TWICE = packed(300_000_000)


class HastyClock:
    """The real time, in which nobody waits."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


async def hop(call: Callable[[], T]) -> T:
    """To a thread, as the daemon does."""
    return await asyncio.to_thread(call)


def drip(line: socket.socket) -> None:
    """A letter of a header now and then: no silence is as long as a time-out."""
    line.sendall(HEAD + b"x-slow: ")
    for _ in range(400):
        time.sleep(0.02)
        line.sendall(b"x")


def drip_body(line: socket.socket) -> None:
    """A letter of the body now and then."""
    line.sendall(HEAD + b"content-length: 100000\r\n\r\n")
    for _ in range(400):
        time.sleep(0.02)
        line.sendall(b" ")


def flood(line: socket.socket) -> None:
    """More than any provider has to say, as fast as it goes."""
    line.sendall(HEAD + b"\r\n")
    while True:
        line.sendall(b" " * 1_048_576)


def packed_twice(line: socket.socket) -> None:
    """A letter of a packed body is a thousand of what is unpacked, and of one that is packed twice a million."""
    line.sendall(HEAD + b"content-encoding: gzip, gzip\r\n\r\n" + TWICE)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each connection is answered so, once its request is there."""

    def one(line: socket.socket) -> None:
        with closing(line), suppress(OSError):
            line.recv(65_536)
            answer(line)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                Thread(target=one, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def connected(name: str, answer: Callable[[socket.socket], None]) -> Iterator[Connector]:
    """A connector whose provider answers so; drops are waited for half a second in all."""
    whole_seconds = 60.0 if answer in (flood, packed_twice) else 0.5
    with server(answer) as url:
        configured = with_settings(config_of([name]), name, base_url=url).connections[name]
        vault = PlainVault({**SECRETS[name], "access_token": "t", "access_expires_at": repr(time.time() + 3600)})
        yield PROVIDERS[name].build(configured, vault, Shell(HastyClock(), hop, whole_seconds=whole_seconds))


@pytest.mark.parametrize("answer", [drip, drip_body, flood])
@pytest.mark.parametrize("name", NAMES)
async def test_a_read_that_is_answered_without_end_ends_and_can_be_tried_again(
    name: str, answer: Callable[[socket.socket], None]
) -> None:
    """It kept its lane from everything else, or took all memory there is."""
    with connected(name, answer) as connector:
        async with asyncio.timeout(20):
            with pytest.raises(RetryError):
                await connector.read("customer", [IDS[name]])
        await connector.aclose()


@pytest.mark.parametrize("answer", [drip, drip_body, flood])
@pytest.mark.parametrize("name", NAMES)
async def test_a_write_that_is_answered_without_end_is_in_doubt(
    name: str, answer: Callable[[socket.socket], None]
) -> None:
    """It may have happened, and nothing else would be sent meanwhile."""
    write = Write(key="key", action="update", kind="customer", remote_id=IDS[name], body=BODIES[name])
    with connected(name, answer) as connector:
        async with asyncio.timeout(20):
            (receipt,) = await connector.write([write])
        await connector.aclose()
    assert isinstance(receipt, AmbiguousError)


@pytest.mark.parametrize("name", NAMES)
async def test_an_answer_that_is_packed_twice_is_not_unpacked(name: str) -> None:
    """Three kilobytes were three gigabytes before anybody counted them."""
    with connected(name, packed_twice) as connector:
        tracemalloc.start()
        try:
            with pytest.raises(RetryError):
                await connector.read("customer", [IDS[name]])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await connector.aclose()
    assert peak < 200_000_000
