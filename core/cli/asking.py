"""What several commands do alike: coroutines on a loop that closes its sockets, and who it was that asked."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from core.sync.hub import Hub

T = TypeVar("T")


def on_a_loop(hub: Hub, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on an event loop of its own; connectors let go of their sockets before it ends.

    What was called is recorded then: it draws on the month as what a daemon calls does.

    Once per hub: a connector that was closed stays closed.
    """

    async def with_closing() -> T:
        try:
            return await work()
        finally:
            for connection in hub.connections.values():
                await connection.connector.aclose()

    try:
        return asyncio.run(with_closing())
    finally:
        hub.record_calls()


def actor() -> str:
    """Who runs this command, for the journal."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"
