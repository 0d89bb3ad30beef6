"""What may have happened to a request that got no answer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from time import sleep
from typing import TypeVar

import httpx
import pytest

from core.errors import AmbiguousError, ReauthorizeError, RetryError
from core.http.client import HttpClient, error_of
from core.http.transport import async_transport
from core.ports import HttpRequest, HttpResponse, Shell

pytestmark = pytest.mark.anyio
T = TypeVar("T")


class StillClock:
    """No time passes."""

    def now(self) -> float:
        """Always the same."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


async def hop(call: Callable[[], T]) -> T:
    """Run here."""
    return call()


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on asyncio."""
    return "asyncio"


def shell(exchange: Callable[[HttpRequest], HttpResponse] | None) -> Shell:
    """A shell with a line that the test holds."""
    return Shell(StillClock(), hop, exchange)


async def test_a_request_arrives_as_sent_and_the_answer_comes_back_plain() -> None:
    """Header names are lower case on both sides."""
    seen: list[HttpRequest] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse(418, {"X-Tea": "yes"}, b"short and stout")

    client = HttpClient(shell(exchange))
    answer = await client.send("POST", "http://a.example/p?q=%20", {"X-A": "1"}, b"body")
    await client.aclose()

    assert (seen[0].method, seen[0].url, seen[0].body) == ("POST", "http://a.example/p?q=%20", b"body")
    assert seen[0].headers["x-a"] == "1"
    assert (answer.status, answer.headers["x-tea"], answer.body) == (418, "yes", b"short and stout")


async def test_no_connection_means_never_sent() -> None:
    """The same write may safely be sent again."""

    def exchange(_: HttpRequest) -> HttpResponse:
        raise ConnectionRefusedError

    with pytest.raises(RetryError):
        await HttpClient(shell(exchange)).send("POST", "http://a.example/", {})


async def test_no_answer_means_perhaps_executed() -> None:
    """A time-out says nothing about the other side; and no error shows the URL's secrets."""

    def exchange(_: HttpRequest) -> HttpResponse:
        raise TimeoutError

    with pytest.raises(AmbiguousError) as caught:
        await HttpClient(shell(exchange)).send("POST", "http://a.example/?key=hidden", {})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"garbage\r\n\r\n"])
async def test_a_real_server_that_breaks_off_leaves_it_open(reply: bytes) -> None:
    """Closed, cut or garbled: over a real socket the request had arrived."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_answer_once, args=(server, reply), daemon=True)
        thread.start()
        client = HttpClient(shell(None))
        with pytest.raises(AmbiguousError):
            await client.send("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"x", 5.0)
        await client.aclose()
        thread.join()


async def test_a_closed_port_means_never_sent() -> None:
    """Over a real socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = HttpClient(shell(None))
    with pytest.raises(RetryError):
        await client.send("GET", f"http://127.0.0.1:{port}/", {})
    await client.aclose()


async def test_a_server_that_never_answers_leaves_it_open() -> None:
    """The time-out is ours; the write may land after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = HttpClient(shell(None))
        with pytest.raises(AmbiguousError):
            await client.send("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"x", 0.05)
        await client.aclose()


def _answer_once(server: socket.socket, reply: bytes) -> None:
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(reply)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
async def test_an_answer_that_comes_drop_by_drop_is_not_waited_for_without_end(head: bytes) -> None:
    """No silence is ever long enough for a time-out: one such call would keep its lane from everything else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_drip, args=(server, head), daemon=True)
        thread.start()
        hasty = Shell(StillClock(), hop, whole_seconds=0.5)
        async with httpx.AsyncClient(transport=async_transport(hasty), timeout=0.4) as client:
            with pytest.raises(httpx.ReadTimeout, match=r"took over 0\.5 s in all") as caught:
                await client.get(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert isinstance(error_of(caught.value), AmbiguousError)
        thread.join()


def _drip(server: socket.socket, head: bytes) -> None:
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(head)
        for _ in range(60):
            sleep(0.05)
            connection.sendall(b"x")


async def test_a_lost_request_names_the_address_and_nothing_behind_it() -> None:
    """A wrong base_url and a provider that is down look alike without; a path may carry what no log line must."""
    for trouble, kind in ((OSError("refused"), RetryError), (TimeoutError("late"), AmbiguousError)):

        def exchange(_request: HttpRequest, trouble: Exception = trouble) -> HttpResponse:
            raise trouble

        client = HttpClient(shell(exchange))
        with pytest.raises(kind, match=r"http://a\.example:81: ") as caught:
            await client.send("GET", "http://user:word@a.example:81/secret?key=1", {})
        await client.aclose()
        assert not any(one in str(caught.value) for one in ("word", "secret", "key"))


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    """A key that was pasted with a line end stood whole in the error, and in the log."""
    error = httpx.LocalProtocolError("Illegal header value b'Bearer sk_live_1\\nsk_live_2'")
    error.request = httpx.Request("GET", "https://api.example.test/v1")
    told = str(error_of(error))
    assert "sk_live" not in told
    assert "does a secret hold a line end" in told


async def test_a_secret_with_a_letter_that_no_header_has_is_a_persons_to_correct() -> None:
    """A key copied as the provider's page shows it, with dots in place of letters, looked like a bug of Accord's."""
    client = HttpClient(shell(lambda _: HttpResponse(200, {}, b"")))
    with pytest.raises(ReauthorizeError, match="a secret holds a character that no key has") as caught:
        await client.send("GET", "http://a.example/", {"authorization": "Bearer sk_live_\u2022\u2022"})
    await client.aclose()
    assert "sk_live" not in str(caught.value)
    assert caught.value.__cause__ is None
