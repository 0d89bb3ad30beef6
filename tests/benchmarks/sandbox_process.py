"""Look-alikes in a process of their own, so that their CPU is not counted as Accord's."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from dataclasses import replace
from types import TracebackType
from typing import Self

from connectors.hubspot.sandbox import HubSpotLookAlike
from connectors.quickbooks.sandbox import QuickBooksLookAlike
from connectors.stripe.sandbox import StripeLookAlike
from core.clock import SystemClock
from core.sandbox.server import SandboxServer


class SandboxProcess:
    """`with SandboxProcess() as urls:` serves the three look-alikes until the end of the block."""

    def __init__(self, lag_scale: float = 1.0) -> None:
        """`lag_scale`: of everything that the providers take their time for."""
        self._lag_scale = lag_scale

    def __enter__(self) -> dict[str, str]:
        """Start, and return the base URLs by name."""
        command = [sys.executable, "-m", "tests.benchmarks.sandbox_process", str(self._lag_scale)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        found: dict[str, str] = json.loads(line)
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def start(self) -> Self:
        """For use without `with`."""
        self.__enter__()
        return self


async def serve(lag_scale: float) -> None:
    """Serve until killed."""
    clock = SystemClock()
    names = ("stripe", "hubspot", "quickbooks")
    classes = (StripeLookAlike, HubSpotLookAlike, QuickBooksLookAlike)
    made = {name: one(clock=clock, rng=random.Random(7)) for name, one in zip(names, classes, strict=True)}
    for one in made.values():
        one.settings = replace(one.settings, lag_scale=lag_scale)
    server = SandboxServer(made, clock=clock, rng=random.Random(8))
    await server.start()
    print(json.dumps({name: server.url(name) for name in names}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
