"""Webhooks: how many a second are durable before their 2xx, over raw sockets, while the lanes work.

Run as `python -m tests.benchmarks.webhooks`; prints one JSON object. Half of the deliveries are about customers
that exist, so the lanes read and decide meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import uvloop

from core.sandbox.client import SandboxClient
from tests.benchmarks.daemon_process import DaemonProcess
from tests.benchmarks.first_read import seed
from tests.benchmarks.sandbox_process import SandboxProcess
from tests.support.world import SECRETS

KNOWN = 200
SECONDS = 8.0
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


class Driver:
    """Sends deliveries over several connections and times every answer."""

    def __init__(self, port: int, ids: list[str]) -> None:
        """`ids` are customers that exist."""
        self._port = port
        self._ids = ids
        self._numbers = count()
        self.latencies: list[float] = []
        self.refused = 0

    def _next(self) -> bytes:
        number = next(self._numbers)
        known = number % 2 == 0
        return delivery(number, self._ids[number % len(self._ids)] if known else f"cus_unknown{number % 500}")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = self._next()
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if length:
            await reader.readexactly(length)
        self.latencies.append(time.perf_counter() - started)
        self.refused += not head.startswith(b"HTTP/1.1 200")

    async def flat_out(self, connections: int, seconds: float) -> float:
        """As fast as it goes; returns deliveries a second."""
        self.latencies.clear()
        started = time.perf_counter()

        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while time.perf_counter() - started < seconds:
                await self._exchange(reader, writer)
            writer.close()

        await asyncio.gather(*(one() for _ in range(connections)))
        return len(self.latencies) / (time.perf_counter() - started)

    async def steady(self, connections: int, rate: float, seconds: float) -> float:
        """At a steady rate; returns the rate that was reached."""
        self.latencies.clear()
        started = time.perf_counter()
        slots = iter(range(int(rate * seconds)))

        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for slot in slots:
                await asyncio.sleep(max(0.0, started + slot / rate - time.perf_counter()))
                await self._exchange(reader, writer)
            writer.close()

        await asyncio.gather(*(one() for _ in range(connections)))
        return len(self.latencies) / (time.perf_counter() - started)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


async def measure(port: int, ids: list[str]) -> dict[str, object]:
    """Flat out at 1, 8 and 32 connections, then steadily at 1,000/s."""
    driver = Driver(port, ids)
    found: dict[str, object] = {}
    for connections in (1, 8, 32):
        rate = await driver.flat_out(connections, SECONDS / 2)
        found[f"at_{connections}_connections"] = {
            "per_second": round(rate),
            "p50_ms": driver.percentile(0.5),
            "p99_ms": driver.percentile(0.99),
        }
    rate = await driver.steady(16, STEADY_RATE, SECONDS)
    found["at_1000_per_second"] = {
        "per_second": round(rate),
        "p50_ms": driver.percentile(0.5),
        "p99_ms": driver.percentile(0.99),
    }
    found["refused"] = driver.refused
    return found


def main() -> int:
    """Measure once and print."""
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as folder:
        client = SandboxClient(urls["stripe"])
        seed(client, 0, KNOWN)
        with DaemonProcess(Path(folder), urls) as daemon:
            daemon.activate("stripe")
            found = uvloop.run(measure(daemon.webhook_port, sorted(client.objects())))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
