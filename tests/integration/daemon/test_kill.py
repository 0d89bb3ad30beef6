"""kill -9 in the middle of webhook load, again and again: an acknowledged delivery is never lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import deliveries
from tests.support.daemon import DaemonProcess

Start = Callable[..., DaemonProcess]

KILLS = 20
SENDERS = 16


def test_twenty_kills_lose_no_acknowledged_delivery(tmp_path: Path, start: Start) -> None:
    """Providers never repeat what was answered with 2xx, so that row must be there whatever happens next."""
    (tmp_path / "accord.toml").write_text(
        '[connections.stripe]\nprovider = "stripe"\nbase_url = "http://127.0.0.1:9"\n'
    )
    secrets = {"ACCORD_STRIPE_API_KEY": "rk_test_none", "ACCORD_STRIPE_WEBHOOK_SECRET": deliveries.SECRETS["stripe"]}
    rng = random.Random(20)
    acknowledged: set[str] = set()
    for round_ in range(KILLS):
        daemon = start(tmp_path, **secrets).ready()
        got = asyncio.run(_load_until_killed(daemon, round_ * 1_000_000, rng.uniform(0.05, 0.4)))
        assert got, "the daemon was killed before it answered anything: the test would prove nothing"
        acknowledged |= got
        daemon.kill()
    with sqlite3.connect(tmp_path / "var" / "accord.sqlite3") as connection:
        stored = {row[0] for row in connection.execute("SELECT dedupe_key FROM inbox")}
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert acknowledged - stored == set()
    # nothing but what was sent is there either
    assert all(one.startswith("evt_") for one in stored)
    assert len(acknowledged) > 100 * KILLS


async def _load_until_killed(daemon: DaemonProcess, first: int, seconds: float) -> set[str]:
    """Deliver as fast as it goes; kill; return the ids of what was answered with 200."""
    acknowledged: set[str] = set()
    is_answering = asyncio.Event()
    numbers = iter(range(first, first + 1_000_000))

    async def sender() -> None:
        place = urlsplit(daemon.webhooks)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            for number in numbers:
                good = deliveries.stripe(number, time.time())
                head = "".join(f"{name}: {value}\r\n" for name, value in good.headers.items())
                lines = f"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: {len(good.body)}\r\n{head}\r\n"
                writer.write(lines.encode() + good.body)
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200"), answer
                acknowledged.add(f"evt_{number:012d}")
                is_answering.set()
        except (OSError, asyncio.IncompleteReadError):
            pass  # killed: whether this one arrived nobody knows
        finally:
            writer.close()

    senders = [asyncio.create_task(sender()) for _ in range(SENDERS)]
    await asyncio.wait_for(is_answering.wait(), 20)
    await asyncio.sleep(seconds)
    daemon.process.kill()
    await asyncio.gather(*senders)
    return acknowledged
