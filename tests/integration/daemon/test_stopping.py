"""The daemon's end, in this process: what it cuts off, and what it says of that."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest

from core.api.serve import Daemon, Doors, listen
from core.engine.embedded import EmbeddedEngine
from core.store.instance import hold
from core.sync.rounds import Job
from tests.support.world import World

if TYPE_CHECKING:
    from core.sync.hub import Hub

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_job_that_the_end_cuts_off_is_no_error(
    caplog: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    """Whoever stopped the daemon read of a failed job and its traceback; it is run again after the next start."""
    # under nohup a hang-up is ignored, and the daemon leaves it so: it would never end here
    before = signal.signal(number, signal.SIG_DFL)
    world = World()
    api, webhooks = (listen("127.0.0.1", 0, "a door") for _ in range(2))
    ends = []

    async def endless_job(_: Hub) -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cut off")

    with hold(world.db, world.clock) as lock:
        told = Doors(api, webhooks, public_url="http://127.0.0.1", token=None)
        daemon = Daemon(world.hub, EmbeddedEngine(), lock, told, [Job(endless_job, 1.0, at_start=True)])
        assert await daemon.run()
    await asyncio.sleep(0)
    signal.signal(number, before)
    assert ends == ["cut off"]
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
