"""Webhooks: how many a second are durable before their 2xx, over raw sockets, while the lanes work.

Run as `python -m tests.benchmarks.webhooks`; prints one JSON object. Half of the deliveries are about customers
that exist, so the lanes read and decide meanwhile. A bare inbox with group commit takes turns with the daemon: its
numbers are the floor of this machine in this minute, and the ratios are what another machine may compare.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable
from itertools import count
from pathlib import Path
from statistics import median
from typing import cast

import uvloop

from core.sandbox.client import SandboxClient
from tests.benchmarks.bare_inbox import BareProcess
from tests.benchmarks.daemon_process import DaemonProcess
from tests.benchmarks.first_read import seed
from tests.benchmarks.sandbox_process import SandboxProcess
from tests.support.world import SECRETS

KNOWN = 200
SECONDS = 8.0
TURNS = 4
"""A stage alternates with the floor's so often: whoever else is on the machine disturbs both."""
MOST_PER_SECOND = 6000
"""So many deliveries are signed beforehand; those beyond them while it runs."""
STEADY_RATE = 1000.0


def delivery(number: int, remote_id: str) -> bytes:
    """One signed Stripe webhook as a raw HTTP/1.1 request."""
    now = int(time.time())
    event = {
        "id": f"evt_bench{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": now,
        "livemode": True,
        "type": "customer.updated",
        "data": {"object": {"id": remote_id, "object": "customer", "name": f"N{number}"}, "previous_attributes": {}},
        "request": {"id": None, "idempotency_key": None},
    }
    body = json.dumps(event).encode()
    secret = SECRETS["stripe"]["webhook_secret"].encode()
    signature = hmac.new(secret, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={now},v1={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Line(asyncio.Protocol):
    """One connection that sends a delivery when the one before it was answered. Answers have no body."""

    def __init__(self) -> None:
        """Not connected yet."""
        self._answered: asyncio.Future[bool] | None = None
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A whole head is an answer."""
        self._got += data
        if self._got.endswith(b"\r\n\r\n") and self._answered is not None:
            self._answered.set_result(self._got.startswith(b"HTTP/1.1 200"))
            self._got = b""

    async def send(self, request: bytes) -> bool:
        """Whether it was answered 200."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answered


class Driver:
    """Sends deliveries over several connections and times every answer."""

    def __init__(self, port: int, ids: list[str]) -> None:
        """`ids` are customers that exist."""
        self._port = port
        self._ids = ids
        self._numbers = count()
        self._ready: list[bytes] = []
        self.latencies: list[float] = []
        self.refused = 0

    def sign(self, many: int) -> None:
        """Deliveries for a stage, signed before it begins: the client shares the machine with what is measured."""
        self._ready = [self._signed() for _ in range(many)]

    def _signed(self) -> bytes:
        number = next(self._numbers)
        known = number % 2 == 0
        return delivery(number, self._ids[number % len(self._ids)] if known else f"cus_unknown{number % 500}")

    async def _exchange(self, line: Line) -> None:
        request = self._ready.pop() if self._ready else self._signed()
        started = time.perf_counter()
        is_taken = await line.send(request)
        self.latencies.append(time.perf_counter() - started)
        self.refused += not is_taken

    async def _line(self) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", self._port)
        return line

    async def flat_out(self, connections: int, seconds: float) -> float:
        """As fast as it goes; returns deliveries a second."""
        self.sign(round(MOST_PER_SECOND * seconds))
        self.latencies.clear()
        lines = [await self._line() for _ in range(connections)]
        started = time.perf_counter()

        async def one(line: Line) -> None:
            while time.perf_counter() - started < seconds:
                await self._exchange(line)
            line.transport.close()

        await asyncio.gather(*map(one, lines))
        return len(self.latencies) / (time.perf_counter() - started)

    async def steady(self, connections: int, rate: float, seconds: float) -> float:
        """At a steady rate; returns the rate that was reached."""
        self.sign(round(rate * seconds))
        self.latencies.clear()
        lines = [await self._line() for _ in range(connections)]
        started = time.perf_counter()
        slots = iter(range(int(rate * seconds)))

        async def one(line: Line) -> None:
            for slot in slots:
                await asyncio.sleep(max(0.0, started + slot / rate - time.perf_counter()))
                await self._exchange(line)
            line.transport.close()

        await asyncio.gather(*map(one, lines))
        return len(self.latencies) / (time.perf_counter() - started)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def cpu_of(process: int) -> float:
    """CPU seconds of a process until now, all its threads and the system's work for it."""
    found = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


async def stage(driver: Driver, process: int, sending: Awaitable[float]) -> dict[str, float]:
    """What one stage came to, and what it cost the process that answered."""
    cpu = cpu_of(process)
    rate = await sending
    cost = (cpu_of(process) - cpu) / len(driver.latencies)
    shown = {"p50_ms": driver.percentile(0.5), "p99_ms": driver.percentile(0.99)}
    return {"per_second": round(rate), **shown, "cpu_us_each": round(cost * 1e6)}


async def measure(daemon: DaemonProcess, bare: BareProcess, ids: list[str]) -> dict[str, object]:
    """Flat out at 1, 8 and 32 connections in short turns with the floor, then steadily at 1,000/s."""
    ours, floor = Driver(daemon.webhook_port, ids), Driver(bare.port, ids)
    found: dict[str, object] = {}
    for connections in (1, 8, 32):
        turns: dict[str, list[dict[str, float]]] = {"accord": [], "floor": []}
        for _ in range(TURNS):
            for name, driver, process in (("accord", ours, daemon.process), ("floor", floor, bare.process)):
                sending = driver.flat_out(connections, SECONDS / TURNS)
                turns[name].append(await stage(driver, process.pid, sending))
        accord, least = (
            {key: median(one[key] for one in turns[name]) for key in turns[name][0]} for name in ("accord", "floor")
        )
        ratio = round(accord["per_second"] / least["per_second"], 2)
        cpu_ratio = round(accord["cpu_us_each"] / least["cpu_us_each"], 2)
        found[f"at_{connections}_connections"] = {
            **accord,
            "floor": least,
            "rate_of_floor": ratio,
            "cpu_times_floor": cpu_ratio,
        }
    for name, driver, process in (("floor", floor, bare.process), ("accord", ours, daemon.process)):
        result = await stage(driver, process.pid, driver.steady(16, STEADY_RATE, SECONDS))
        found["at_1000_per_second" if name == "accord" else "floor_at_1000_per_second"] = result
    found["refused"] = ours.refused + floor.refused
    return found


def main() -> int:
    """Measure once and print."""
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as folder, BareProcess(Path(folder)) as bare:
        client = SandboxClient(urls["stripe"])
        seed(client, 0, KNOWN)
        with DaemonProcess(Path(folder), urls) as daemon:
            daemon.activate("stripe")
            found = uvloop.run(measure(daemon, bare, sorted(client.objects())))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
