"""The look-alikes over real HTTP: bytes, keep-alive, hanging up."""

import asyncio
import http.client
import json
import socket
import time
from contextlib import closing
from http.client import HTTPConnection
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.clock import SystemClock
from core.sandbox.client import SandboxClient
from core.sandbox.faults import Fault, FaultPlan
from core.sandbox.server import SandboxServer

Toy = Any
Make = Any


def raw(server: SandboxServer, content: bytes) -> bytes:
    """Send bytes, read until the server closes."""
    parts = urlsplit(server.url("toy"))
    with socket.create_connection((parts.hostname, parts.port), timeout=5.0) as link:
        link.sendall(content)
        found = b""
        while data := link.recv(65536):
            found += data
        return found


def test_the_look_alike_sees_the_absolute_url_small_headers_and_the_body(
    server: SandboxServer, link: HTTPConnection, toy: Toy
) -> None:
    """HubSpot's look-alike routes by path and query, Stripe's reads `idempotency-key`."""
    link.request("POST", "/things?x=1%20b", json.dumps({"id": "a"}), {"Idempotency-Key": "k1"})
    assert json.loads(link.getresponse().read()) == {"id": "a"}
    seen = toy.seen[-1]
    assert seen.method == "POST"
    assert seen.url == server.url("toy") + "/things?x=1%20b"
    assert seen.headers["idempotency-key"] == "k1"
    assert json.loads(seen.body) == {"id": "a"}


def test_one_connection_carries_many_requests(link: HTTPConnection, toy: Toy) -> None:
    """A benchmark would measure handshakes otherwise."""
    link.connect()
    port = link.sock.getsockname()[1]
    for number in range(20):
        link.request("POST", "/things", json.dumps({"id": str(number)}))
        assert link.getresponse().read()
    assert link.sock.getsockname()[1] == port
    assert len(toy.things) == 20


def test_pipelined_requests_are_answered_in_order(server: SandboxServer, toy: Toy) -> None:
    """Nothing else would tell the client which answer is which."""
    one = b'POST /things HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"id":"a"}'
    two = b'POST /things HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{"id":"b"}'
    found = raw(server, one + two)
    assert found.index(b'"a"') < found.index(b'"b"')
    assert list(toy.things) == ["a", "b"]


def test_a_chunked_body_arrives_whole(link: HTTPConnection, toy: Toy) -> None:
    """Some clients do not send a content-length."""
    link.request("POST", "/things", iter([b'{"id":', b'"a"}']), encode_chunked=True)
    assert link.getresponse().status == 200
    assert "a" in toy.things


def test_a_client_that_asks_before_its_body_is_told_to_go_on(server: SandboxServer) -> None:
    """A command line client waits a second for it with larger bodies."""
    content = (
        b"POST /things HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 10\r\n\r\n"
    )
    assert raw(server, content + b'{"id":"a"}').startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_head_and_204_have_no_body(link: HTTPConnection) -> None:
    """The next answer on the connection would be read from the middle otherwise."""
    link.request("HEAD", "/things")
    assert link.getresponse().read() == b""
    link.request("GET", "/empty")
    assert link.getresponse().read() == b""
    link.request("GET", "/things")
    assert link.getresponse().read() == b"{}"


def test_garbage_is_a_400_and_the_end_of_the_connection(server: SandboxServer) -> None:
    """The parser cannot find the next request in it."""
    assert raw(server, b"\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_bug_of_the_look_alike_is_a_500_and_is_counted(link: HTTPConnection, client: SandboxClient) -> None:
    """A test must be able to tell it from a fault it planned."""
    link.request("GET", "/broken")
    answer = link.getresponse()
    assert answer.status == 500
    assert b"toy bug" in answer.read()
    assert "toy bug" in client.stats().failures[0]


def test_each_look_alike_has_its_own_port(server: SandboxServer, toy: Toy) -> None:
    """One process serves a whole company's systems."""
    assert set(server.ports) == {"toy", "other"}
    with closing(SandboxClient(server.url("other"))) as other:
        other.edit({"name": "A"})
        assert len(other.objects()) == 1
    assert not toy.things


def test_a_wanted_port_is_used_and_free_again_after_stop(make_toy: Make) -> None:
    """`accord sandbox serve` documents its ports; a test starts a hundred servers in a row."""

    async def run() -> list[int]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        found = []
        for _ in range(2):
            server = SandboxServer({"toy": make_toy()}, clock=SystemClock(), rng=Random(1), ports={"toy": port})
            await server.start()
            found.append(server.ports["toy"])
            await server.stop()
        return [port, *found]

    wanted, first, second = asyncio.run(run())
    assert wanted == first == second


def test_a_lost_request_changes_nothing_and_breaks_the_connection(
    link: HTTPConnection, client: SandboxClient, toy: Toy
) -> None:
    """The client may send it again without a double."""
    client.faults(FaultPlan(requests=(Fault(kind="lost_request"),)))
    link.request("POST", "/things", json.dumps({"id": "a"}))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        link.getresponse()
    assert not toy.things


def test_a_lost_answer_has_changed_the_store_and_breaks_the_connection(
    link: HTTPConnection, client: SandboxClient, toy: Toy
) -> None:
    """The crash that doubles customers elsewhere: created, but the client never hears of it."""
    client.faults(FaultPlan(requests=(Fault(kind="lost_answer", seconds=0.01),)))
    link.request("POST", "/things", json.dumps({"id": "a"}))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        link.getresponse()
    assert "a" in toy.things


def test_a_slow_request_is_executed_after_its_client_has_gone(
    link: HTTPConnection, client: SandboxClient, toy: Toy
) -> None:
    """A write that lands late: a look-up right after the time-out does not find it, one later does."""
    client.faults(FaultPlan(requests=(Fault(kind="slow", method="POST", seconds=0.6),)))
    link.timeout = 0.05
    link.request("POST", "/things", json.dumps({"id": "a"}))
    with pytest.raises(TimeoutError):
        link.getresponse()
    link.close()
    assert not toy.things
    while not client.objects():
        time.sleep(0.01)
    assert "a" in client.objects()


def test_a_truncated_answer_is_well_formed_http_with_half_a_body(link: HTTPConnection, client: SandboxClient) -> None:
    """The client's JSON decoder meets it, not its HTTP layer."""
    client.edit({"name": "A"})
    client.faults(FaultPlan(requests=(Fault(kind="truncated"),)))
    link.request("GET", "/things")
    answer = link.getresponse()
    body = answer.read()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="line 1"):
        json.loads(body)
