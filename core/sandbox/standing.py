"""Look-alikes that stand beside a daemon and deliver their webhooks to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from core.ports import Clock
from core.sandbox.lookalike import LookAlike
from core.sandbox.server import SandboxServer


async def stand(lookalikes: Mapping[str, LookAlike], *, clock: Clock, rng: Random, receiver: str) -> SandboxServer:
    """Start them; `receiver` is the base URL of the daemon's webhook receiver."""
    for name, one in lookalikes.items():
        one.settings = replace(one.settings, webhook_url=f"{receiver}/webhooks/{name}")
    server = SandboxServer(lookalikes, clock=clock, rng=rng)
    await server.start()
    return server


def forget(file: Path) -> None:
    """Empty a sandbox's registry, whose lock the caller holds: the look-alikes begin empty too."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
