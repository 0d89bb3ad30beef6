"""The whole list in several ranges of creation time at once: one chain of pages is as slow as the way there.

How many customers a range holds cannot be asked. It is guessed from how far back the page before reached; a wrong
guess costs a page that is not full, never a customer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from connectors.stripe.client import Reply, StripeApi
from connectors.stripe.connector.pages import Listed, customers_in
from connectors.stripe.manifest import ENDPOINT_CALLS, MANIFEST
from connectors.stripe.translate import StripeTranslator
from core.errors import GoneError, ReplyError
from core.ports import Page

NEAR_SECONDS: Final = 0.02
"""Where answers come faster than this, one chain of pages is as fast as the limit."""
MOST_WAYS: Final = 8
"""Stripe does not publish how many calls it takes at once."""
PAGES_APART: Final = 32
"""How many pages the newer part gets of a range whose oldest customer is unknown."""


class Range(msgspec.Struct, frozen=True, omit_defaults=True):
    """Customers created within [since, until]; None is no bound. `after` is the last one read, created at `created`.

    `span`: how many seconds the last page reached back.
    """

    since: int | None = None
    until: int | None = None
    after: str | None = None
    created: int = 0
    span: int = 0

    @property
    def bounds(self) -> dict[str, int]:
        """Stripe's `created` filter."""
        found = {"gte": self.since, "lte": self.until}
        return {name: value for name, value in found.items() if value is not None}

    def read_on(self, listed: Listed) -> Range:
        """What is left after a page; ReplyError where the list does not get on."""
        first, last = listed.first, listed.last
        if first is None or last is None or last.id == self.after:
            raise ReplyError("Stripe's list goes on without getting on")
        span = max(first.created - last.created, 0)
        return msgspec.structs.replace(self, after=last.id, created=last.created, span=span)

    def split(self) -> tuple[Range, Range] | None:
        """A newer and an older part, or None where that would not be worth a page."""
        since = self.since if self.since is not None else self.created - 2 * PAGES_APART * self.span
        middle = (since + self.created) // 2
        if self.span == 0 or self.created - middle < 2 * self.span:
            return None
        return msgspec.structs.replace(self, since=middle + 1), Range(since=self.since, until=middle)


class FullCursor(msgspec.Struct):
    """What of the list was not read yet."""

    ranges: list[Range]


def ways(round_trip: float) -> int:
    """How many pages to ask for at once, so that waiting for answers (seconds) does not make the sweep slower."""
    return 1 if round_trip < NEAR_SECONDS else min(MOST_WAYS, math.ceil(ENDPOINT_CALLS * round_trip) + 1)


def parted(ranges: Sequence[Range], most: int) -> list[Range]:
    """Split the longest until there are `most`, where that is worth it."""
    found = list(ranges)
    while 0 < len(found) < most:
        splits = {one: parts for one in found if (parts := one.split())}
        if not splits:
            break
        longest = max(splits, key=lambda one: (one.since is None, one.created - (one.since or 0)))
        place = found.index(longest)
        found[place : place + 1] = splits[longest]
    return found


async def full_page(api: StripeApi, translator: StripeTranslator, cursor: FullCursor | None) -> tuple[Page, FullCursor]:
    """A page of each range that may be read now, and what is left after that.

    New customers appear at the front of the list: the changes cursor taken before covers them.
    """
    ranges = cursor.ranges if cursor else [Range()]
    most = ways(api.round_trip)
    now, later = ranges[:most], ranges[most:]
    replies = await asyncio.gather(*(_read(api, one) for one in now))
    pages = [customers_in(reply.body, translator) for reply in replies]
    left = [one.read_on(page) for one, page in zip(now, pages, strict=True) if page.has_more]
    rest = FullCursor(parted([*left, *later], ways(api.round_trip)))
    sightings = [one for page in pages for one in page.sightings]
    bad = [one for page in pages for one in page.bad]
    return Page(sightings=sightings, bad=bad, cursor=None, is_last=not rest.ranges), rest


async def _read(api: StripeApi, one: Range) -> Reply:
    params: dict[str, Any] = {"limit": MANIFEST.page_size}
    params |= {"created": one.bounds} if one.bounds else {}
    if one.after is None:
        return await api.list_customers(params)
    try:
        return await api.list_customers({**params, "starting_after": one.after})
    except GoneError:
        # deleted since: its second is read again, and the order is found again from there
        return await api.list_customers({**params, "created": {**one.bounds, "lte": one.created}})
