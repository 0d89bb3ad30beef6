"""Feeds that lose what they had to tell, and listings that leave things out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from core.ports import HttpRequest, HttpResponse
from tests.support.world import World

FEEDS = {"quickbooks": re.compile(r"/cdc\?"), "stripe": re.compile(r"/v1/events\?")}
LISTS = {
    "quickbooks": re.compile(r"/query\?query=.*Invoice%20orderby"),
    "stripe": re.compile(r"/v1/invoices\?"),
}


def count(world: World, name: str, pattern: str) -> list[float]:
    """When each request arrives at a system from now on whose method and address match."""
    times: list[float] = []
    answering = world.exchanges[name]

    def counting(request: HttpRequest) -> HttpResponse:
        if re.search(pattern, f"{request.method} {request.url}"):
            times.append(world.clock.now())
        return answering(request)

    world.exchanges[name] = counting
    return times


@asynccontextmanager
async def unheard(world: World, name: str) -> AsyncIterator[None]:
    """What is done meanwhile, the change feed of a system never tells; its position moves on, overlaps and all."""
    with _answered(world, name, FEEDS[name], lambda _: False):
        yield
        for _ in range(3):
            world.clock.time += 1000.0
            await world.settle()


@contextmanager
def left_out(world: World, name: str, is_listed: Callable[[dict[str, Any]], bool] = lambda _: False) -> Iterator[None]:
    """The list of invoices shows only some of them, and says that it is complete."""
    with _answered(world, name, LISTS[name], is_listed):
        yield


@contextmanager
def _answered(
    world: World, name: str, pattern: re.Pattern[str], is_shown: Callable[[dict[str, Any]], bool]
) -> Iterator[None]:
    answering = world.exchanges[name]

    def leaving_out(request: HttpRequest) -> HttpResponse:
        answer = answering(request)
        if not pattern.search(request.url) or answer.status != 200:
            return answer
        told = _less(json.loads(answer.body), is_shown)
        if "has_more" in told:
            told["has_more"] = False
        return HttpResponse(answer.status, answer.headers, json.dumps(told).encode())

    world.exchanges[name] = leaving_out
    yield
    world.exchanges[name] = answering


def _less(value: Any, is_shown: Callable[[dict[str, Any]], bool]) -> Any:
    """The same JSON; of lists of objects that have an id, those that are shown."""
    if isinstance(value, dict):
        return {name: _less(one, is_shown) for name, one in value.items()}
    if isinstance(value, list):
        return [_less(one, is_shown) for one in value if not _is_object(one) or is_shown(one)]
    return value


def _is_object(one: Any) -> bool:
    return isinstance(one, dict) and ("Id" in one or "object" in one)
