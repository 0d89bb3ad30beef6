"""Several calls of one connection at once."""

from __future__ import annotations

import asyncio

from connectors.stripe.connector.together import Turns, together


def test_a_batch_begins_all_its_calls_before_the_next_one_begins() -> None:
    """Batches that took turns call by call would all read, and then all write: one of two limits is idle."""
    turns, begun = Turns(), []

    async def call(name: str) -> None:
        begun.append(name)

    async def batch(name: str) -> None:
        await together([lambda: call(name)] * 4, turns)

    async def both() -> None:
        await asyncio.gather(batch("reads"), batch("writes"))

    for _ in range(2):  # each time in a loop of its own, as commands do
        asyncio.run(both())
    assert begun == (["reads"] * 4 + ["writes"] * 4) * 2
