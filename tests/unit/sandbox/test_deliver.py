"""Webhooks leave the sandbox over real HTTP and its look-alike hears what came of them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest

from core.ports import Delivery
from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from core.sandbox.deliver import Courier, Poster
from core.sandbox.faults import FaultPlan, Faults, WebhookFault
from core.sandbox.lookalike import Outgoing

Toy = Any
Make = Any


class Receiver:
    """A webhook endpoint that answers what it is told to."""

    def __init__(self) -> None:
        """Start empty."""
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self.ports: set[int] = set()
        outer = self

        class Endpoint(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                outer.ports.add(self.client_address[1])
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?c=1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running endpoint."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until it is so; fail after some seconds."""
    for _ in range(500):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def test_a_change_is_delivered_and_its_answer_told(client: SandboxClient, receiver: Receiver, toy: Toy) -> None:
    """The look-alike stops redelivering only when it hears of a 2xx."""
    client.settings(webhook_url=receiver.url)
    client.edit({"name": "A"})
    wait_for(lambda: toy.answered == [("w1", 200)])
    assert receiver.bodies == [b'{"event": 1, "id": "t1"}']
    wait_for(lambda: client.stats().webhooks == {"200": 1})


def test_a_delivery_that_fails_is_made_again(client: SandboxClient, receiver: Receiver, toy: Toy) -> None:
    """Our 5xx means: the provider tries again."""
    receiver.statuses = [503]
    client.settings(webhook_url=receiver.url)
    client.edit({"name": "A"})
    wait_for(lambda: toy.answered == [("w1", 503), ("w1", 200)])
    assert len(receiver.bodies) == 2


def test_no_receiver_is_told_as_no_answer(client: SandboxClient, toy: Toy) -> None:
    """The daemon is down: the provider's redelivery schedule begins."""
    client.settings(webhook_url="http://127.0.0.1:9/hook")
    client.edit({"name": "A"})
    wait_for(lambda: bool(toy.answered))
    assert toy.answered[0] == ("w1", None)
    wait_for(lambda: client.stats().webhooks.keys() == {"none"})


def test_many_deliveries_share_few_connections(client: SandboxClient, receiver: Receiver, toy: Toy) -> None:
    """A thousand a second go through here."""
    client.settings(webhook_url=receiver.url)
    client.bulk(Edit(changes={"name": str(number)}) for number in range(300))
    wait_for(lambda: len(toy.answered) == 300)
    assert len(set(receiver.bodies)) == 300
    assert len(receiver.ports) <= 16


def test_switched_off_webhooks_wait(client: SandboxClient, receiver: Receiver, toy: Toy) -> None:
    """A test that wants polling only, and then the flood."""
    client.settings(webhook_url=receiver.url, webhooks_enabled=False)
    client.edit({"name": "A"})
    time.sleep(0.1)
    assert not receiver.bodies
    client.settings(webhooks_enabled=True)
    wait_for(lambda: len(toy.answered) == 1)


def test_dropped_doubled_and_late_webhooks_over_http(client: SandboxClient, receiver: Receiver, toy: Toy) -> None:
    """A drop is never made up for; a double's answer is not told twice; a late one comes after the next."""
    client.settings(webhook_url=receiver.url)
    faults = (WebhookFault(kind="drop", count=1), WebhookFault(kind="duplicate", count=1))
    client.faults(FaultPlan(webhooks=(*faults, WebhookFault(kind="delay", count=1, seconds=0.5))))
    client.bulk(Edit(changes={"name": str(number)}) for number in range(4))
    wait_for(lambda: len(toy.answered) == 4 and len(receiver.bodies) == 4)
    events = sorted(receiver.bodies)
    assert events[0] == events[1] == b'{"event": 2, "id": "t2"}'
    assert receiver.bodies[-1] == b'{"event": 3, "id": "t3"}'
    assert client.stats().webhooks == {"dropped": 1, "200": 4}
    assert sorted(toy.answered) == [("w1", 200), ("w2", 200), ("w3", 200), ("w4", 200)]


def test_a_provider_that_delivers_one_after_the_other_is_not_slowed_down(make_toy: Make, receiver: Receiver) -> None:
    """QuickBooks holds each delivery back until the one before is answered: the next goes out at that moment."""

    class OneAtATime(make_toy):  # type: ignore[misc]  # a fixture, and a class
        def due_webhooks(self, now: float) -> list[Any]:
            return list(super().due_webhooks(now))[:1]

    class Standing:
        def now(self) -> float:
            return 0.0

        async def sleep(self, seconds: float) -> None:
            del seconds
            await asyncio.Event().wait()

    async def run() -> list[tuple[str, int | None]]:
        toy = OneAtATime()
        toy.settings = type(toy.settings)(webhook_url=receiver.url)
        for number in range(20):
            toy.edit("customer", None, {"name": str(number)})
        task = asyncio.create_task(Courier(toy, Standing(), lambda: Faults(FaultPlan(), Random(1))).run())
        while len(toy.answered) < 20:  # noqa: ASYNC110 - the toy knows no events
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found: list[tuple[str, int | None]] = toy.answered
        return found

    assert asyncio.run(run()) == [(f"w{number}", 200) for number in range(1, 21)]


def test_an_answer_that_comes_after_the_provider_gave_up_is_none() -> None:
    """Each provider waits for as long as it says it does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    hung_up = asyncio.Event()

    async def run() -> int | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        delivery = Delivery("POST", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"")
        poster = Poster()
        status = await poster.post(Outgoing("w1", delivery, 1, patience_seconds=0.05))
        await hung_up.wait()
        poster.close()
        server.close()
        await server.wait_closed()
        return status

    assert asyncio.run(run()) is None


def test_a_kept_connection_that_the_receiver_closed_is_opened_again(make_toy: Make) -> None:
    """A restarted daemon: the first delivery after it must not count as failed."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        seen.append(len(seen))
        # says that it keeps the connection, and does not
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run() -> list[int | None]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        toy = make_toy()
        toy.settings = type(toy.settings)(webhook_url=f"http://127.0.0.1:{port}/")
        toy.edit("customer", None, {"name": "A"})
        poster = Poster()
        answers = []
        for _ in range(3):
            answers.append(await poster.post(toy.due_webhooks(0.0)[0]))
            await asyncio.sleep(0.01)
        poster.close()
        server.close()
        await server.wait_closed()
        return answers

    assert asyncio.run(run()) == [200, 200, 200]
    assert len(seen) == 3
