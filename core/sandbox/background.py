"""The sandbox on a thread of its own, for synchronous callers: tests, the demo, a benchmark in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random

from core.ports import Clock
from core.sandbox.lookalike import LookAlike
from core.sandbox.server import SandboxServer


@contextmanager
def serving(
    lookalikes: Mapping[str, LookAlike],
    *,
    clock: Clock,
    rng: Random,
    ports: Mapping[str, int] | None = None,
) -> Iterator[SandboxServer]:
    """Serve while the block runs. Look-alikes belong to the thread meanwhile: reach them by their URLs only."""
    server = SandboxServer(lookalikes, clock=clock, rng=rng, ports=ports)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
