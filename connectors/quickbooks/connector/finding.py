"""Looking a customer up: by its name, and by when it was made, since anybody may have given it another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.quickbooks.connector import pages
from connectors.quickbooks.connector.pages import EVERYONE, quoted
from connectors.quickbooks.manifest import MANIFEST, QUERY_PAGE
from connectors.quickbooks.translate import DELETED_SUFFIX
from core.ports import Probe, Sighting

if TYPE_CHECKING:
    from connectors.quickbooks.client import QuickBooksClient


class Finder:
    """The look-ups of one company."""

    def __init__(self, client: QuickBooksClient) -> None:
        """Share the connection's client, and with it its limits."""
        self._client = client

    async def find(self, probe: Probe) -> Sequence[Sighting]:
        """By display name, also among inactive ones; and those made in between that were changed since."""
        name = probe.unique.get("name")
        if not name:
            return ()
        names = quoted([name, name + DELETED_SUFFIX])
        body = await self._client.query(pages.selected(f"DisplayName in ({names}) and {EVERYONE}"))
        found = {one.id: one for one in pages.sightings(pages.queried(body))}
        if probe.created_after is not None and probe.created_before is not None:
            skew = pages.timestamp(pages.time_of(body)) - self._client.clock.now()
            changed = await self._changed_since(*_window(probe.created_after, probe.created_before, skew))
            found = {one.id: one for one in changed} | found
        return list(found.values())

    async def _changed_since(self, after: float, before: float) -> list[Sighting]:
        """One that was not changed has the name that it was made with, and was looked for by that."""
        condition = (
            f"MetaData.CreateTime >= {quoted([pages.spelled(after)])}"
            f" and MetaData.CreateTime <= {quoted([pages.spelled(before)])} and {EVERYONE} orderby MetaData.CreateTime"
        )
        records: list[bytes] = []
        start = 1
        while True:
            page = pages.queried(await self._client.query(pages.selected(condition, start=start)))
            records += page
            if len(page) < QUERY_PAGE:
                return list(pages.sightings([raw for raw in records if not pages.is_as_made(raw)]))
            # one that is merged away meanwhile moves the others up
            start += QUERY_PAGE - pages.TIE_OVERLAP


def _window(after: float, before: float, skew: float) -> tuple[float, float]:
    """In Intuit's time, whether our clock was as far off when the create was sent as it is now, or right."""
    slack = MANIFEST.sweep_overlap_seconds
    return min(after, after + skew) - slack, max(before, before + skew) + slack
