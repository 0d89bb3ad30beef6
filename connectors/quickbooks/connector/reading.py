"""Reading one company: pages of a sweep, the change feed of all kinds, objects by id, copies by their marker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.quickbooks.connector import links, pages
from connectors.quickbooks.connector.pages import EVERYONE, Position, quoted
from connectors.quickbooks.manifest import (
    CDC_MOST,
    CUSTOMER,
    ENTITIES,
    FEEDS,
    MANIFEST,
    QUERY_PAGE,
    READ_BATCH,
    REFUND,
)
from connectors.quickbooks.wire import Preferences, PreferencesReply
from core.errors import GoneError, ReplyError
from core.ports import Missing, Notice, Page, Probe, Sighting

if TYPE_CHECKING:
    from connectors.quickbooks.client import QuickBooksClient

_FEEDS: Final = tuple(FEEDS)
_PAPERS: Final = tuple(one for one in FEEDS if one != CUSTOMER)
_REFUND_ID: Final = f"{REFUND}-"


class Told(msgspec.Struct, frozen=True):
    """Documents that one answer of the feed told of: kind and id -> digest of its bytes. `name` is that of the set."""

    found: dict[tuple[str, str], str] = {}
    name: str = ""

    @classmethod
    def of(cls, records: Mapping[str, Sequence[bytes]]) -> Told:
        """The documents among records, by feed."""
        found = {
            (_kind_of(feed), row.id): pages.sighting(row.id, one).digest
            for feed, some in records.items()
            for one in some
            if (row := pages.row_of(one)) is not None
        }
        name = blake2b(msgspec.json.encode(sorted(found.items())), digest_size=16).hexdigest() if found else ""
        return cls(found, name)

    def beyond(self, before: Told) -> list[Notice]:
        """Those that an answer before did not tell of as they are."""
        return [
            Notice(kind=kind, remote_id=one)
            for (kind, one), digest in self.found.items()
            if before.found.get((kind, one)) != digest
        ]


class Reading:
    """Every way to read; what was read is still raw."""

    def __init__(self, client: QuickBooksClient) -> None:
        """Read through `client`."""
        self._client = client
        self._told = Told()
        self._settings: tuple[float, Preferences] | None = None

    async def full_page(self, kind: str, position: Position) -> Page:
        """One page of everything of a kind, by a keyset on LastUpdatedTime; after credit memos, refund receipts."""
        feed = REFUND if position.kind == REFUND else kind
        records = await self._records(feed, position)
        following = pages.next_position(position, records)
        if following is None and feed == "credit_note":
            following = Position(kind=REFUND)
        return pages.page_of(await self.whole(kind, records), cursor=following, is_last=following is None)

    async def change_page(self, position: Position) -> Page:
        """What changed since a position: customers, and in `others` documents."""
        if position.until:
            return await self._window_page(position)
        since = pages.earlier(position.since, MANIFEST.sweep_overlap_seconds)
        body = await self._client.changes(tuple(FEEDS.values()), since)
        found = {feed: pages.changed(body, entity) for feed, entity in FEEDS.items()}
        told = Told.of({feed: found[feed] for feed in _PAPERS})
        # answers overlap by minutes: a document that the last one told of as it is now was looked at since
        others = told.beyond(self._told if position.told == self._told.name else Told())
        self._told = told
        now = pages.time_of(body)
        if sum(map(len, found.values())) >= CDC_MOST:
            # the feed has no pages, and what did not fit is not in it: each kind is asked for alone
            page = await self._window_page(Position(at=since, since=since, until=now))
            return pages.joined(page, others)
        cursor = Position(since=now, told=told.name)
        return pages.joined(pages.page_of(found[CUSTOMER], cursor=cursor, is_last=True), others)

    async def _window_page(self, position: Position) -> Page:
        """A kind's changes from its own feed; where that is full too, queries page through the same window."""
        feed, following, is_full = position.kind, None, True
        records: list[bytes] = []
        cut: tuple[str, ...] = ()
        if (position.at, position.start) == (position.since, 1):
            records, cut, is_full = await self._feed_of(position)
        if is_full:
            queried = await self._records(feed, position)
            following = pages.next_position(position, queried)
            records = [*records, *queried]
        following = following or _next_feed(position)
        cursor, is_last = following or Position(since=position.until), following is None
        if feed == CUSTOMER:
            return pages.page_of(records, cursor=cursor, is_last=is_last)
        others = Told.of({feed: records}).beyond(Told())
        return Page(others=others, cut=cut, cursor=pages.encoded(cursor), is_last=is_last)

    async def _feed_of(self, position: Position) -> tuple[list[bytes], tuple[str, ...], bool]:
        """What the feed tells of one kind; of a feed that is full, what was deleted, which no query shows.

        In which order it tells, and so what a full answer leaves out, is not documented: only an answer that is not
        full is complete. Later and later ones are asked for, up to such a one; what was before it stays cut.
        """
        entity, since = FEEDS[position.kind], position.since
        records = pages.changed(await self._client.changes((entity,), since), entity)
        if len(records) < CDC_MOST:
            return records, (), False
        if position.kind == CUSTOMER:  # never deleted
            return [], (), True
        gone = pages.deleted(records)
        while len(records) >= CDC_MOST and (later := pages.midway(since, position.until)) != since:
            since = later
            records = pages.changed(await self._client.changes((entity,), since), entity)
            gone += pages.deleted(records)
        return gone, (_kind_of(position.kind),), True

    async def _records(self, kind: str, position: Position) -> list[bytes]:
        since = [f"Metadata.LastUpdatedTime >= {quoted([position.at])}"] if position.at else []
        return await self.select(kind, since, order="Metadata.LastUpdatedTime", start=position.start)

    async def chunk(self, kind: str, ids: Sequence[str]) -> dict[str, Sighting]:
        """Those of the ids that a query finds."""
        receipts = [one.removeprefix(_REFUND_ID) for one in ids if one.startswith(_REFUND_ID)]
        others = [one for one in ids if not one.startswith(_REFUND_ID)]
        records = await self.select(kind, [f"Id in ({quoted(others)})"]) if others else []
        records += await self.select(REFUND, [f"Id in ({quoted(receipts)})"]) if receipts else []
        return {seen.id: seen for seen in sightings(await self.whole(kind, records)) if seen.id in ids}

    async def alone(self, kind: str, remote_id: str) -> Sighting | Missing:
        """One object by its address: only this can tell that it is not there."""
        entity = FEEDS[REFUND] if remote_id.startswith(_REFUND_ID) else ENTITIES[kind]
        try:
            raw = pages.single(await self._client.one(entity, remote_id.removeprefix(_REFUND_ID)), entity)
        except GoneError:
            return Missing(remote_id)
        row = pages.row_of(raw)
        if row is not None and row.id != remote_id:
            return Missing(remote_id, survivor=row.id)
        found = await self.whole(kind, [raw])
        return pages.sighting(remote_id, found[0]) if found else Missing(remote_id)

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting]:
        """Documents by their number, then by our marker."""
        number = probe.unique.get("number") if kind != "payment" else None
        found = await self.select(kind, [f"DocNumber = {quoted([number])}"]) if number else []
        if probe.mark and not any(links.is_marked(record, probe.mark) for record in found):
            found += await self._marked(kind, probe.mark, probe.created_after)
        return list(sightings(await self.whole(kind, found)))

    async def closed_through(self) -> date | None:
        """The closing date of the company's books, whether it refuses what is dated before it or only warns."""
        through = (await self.preferences()).accounting.through
        try:
            return date.fromisoformat(through[:10]) if through else None
        except ValueError as error:
            raise ReplyError(f"the company's books are closed through {through!r}, which is no date") from error

    async def preferences(self, *, most_age: float = 0.0) -> Preferences:
        """The company's settings, as they were at most `most_age` seconds ago."""
        now = self._client.clock.now()
        if self._settings is None or not 0 <= now - self._settings[0] < most_age:
            body = await self._client.preferences()
            try:
                self._settings = now, msgspec.json.decode(body, type=PreferencesReply).preferences
            except (ValueError, RecursionError) as error:
                msg = (
                    f"the company's preferences tell neither until when its books are closed nor its currency: {error}"
                )
                raise ReplyError(msg) from error
        return self._settings[1]

    async def _marked(self, kind: str, mark: str, created_after: float | None) -> list[bytes]:
        # no query can ask for a private note, so that all that were made since then are looked at
        since = await self._made_since(created_after) if created_after is not None else 0.0
        made = [f"Metadata.CreateTime >= {quoted([pages.spelled(since)])}"]
        async for records in self._paged(kind, made, "Metadata.CreateTime"):
            found = [one for one in records if links.is_marked(one, mark)]
            if found:
                return found
        return []

    async def _made_since(self, after: float) -> float:
        """In Intuit's time: a clock of ours that is ahead would hide what was made right after the request."""
        skew = pages.timestamp(pages.time_of(await self._client.company())) - self._client.clock.now()
        return max(min(after, after + skew) - MANIFEST.sweep_overlap_seconds, 0.0)

    async def whole(self, kind: str, records: Sequence[bytes]) -> Sequence[bytes]:
        """Documents as the registry means them: no mere links among payments, credit memos with what they settle.

        No refund receipts that are void, or of which a person says that they are booked.
        """
        if kind == "payment":
            # a payment of nothing links a credit memo to an invoice: in the registry's sense it is none
            return [one for one in records if not links.is_link(one)]
        if kind != "credit_note":
            return records
        records = [one for one in records if not links.is_settled(one)]
        told = links.applied_in(records)
        if told is None:
            return records
        payments = await self._payments(told.customers, told.since)
        found = links.joined(records, payments)
        above = await self._above(links.unexplained(found))
        return links.joined(records, [*payments, *await self._payments(above, told.since)]) if above else found

    async def _payments(self, customers: Sequence[str], since: str) -> list[bytes]:
        """Payments of some customers that changed since a time."""
        found: list[bytes] = []
        changed = f"Metadata.LastUpdatedTime >= {quoted([since])}"
        for start in range(0, len(customers), READ_BATCH):
            theirs = f"CustomerRef in ({quoted(customers[start : start + READ_BATCH])})"
            async for some in self._paged("payment", [theirs, changed], "Metadata.LastUpdatedTime"):
                found += some
        return found

    async def _above(self, customers: Sequence[str]) -> list[str]:
        """Who is above some customers, on every level: theirs may be the payments that settle what these owe."""
        found: dict[str, None] = {}
        level = list(customers)
        while level:
            records = []
            for start in range(0, len(level), READ_BATCH):
                records += await self.select(CUSTOMER, [f"Id in ({quoted(level[start : start + READ_BATCH])})"])
            level = [one for one in links.parents_in(records) if one not in found]
            found |= dict.fromkeys(level)
        return list(found)

    async def _paged(self, kind: str, conditions: Sequence[str], order: str) -> AsyncIterator[list[bytes]]:
        """Every page of a query; pages overlap, because an edit meanwhile moves objects up."""
        start = 1
        while True:
            records = await self.select(kind, conditions, order=order, start=start)
            yield records
            if len(records) < QUERY_PAGE:
                return
            start += QUERY_PAGE - pages.TIE_OVERLAP

    async def select(
        self, kind: str, conditions: Sequence[str], *, order: str | None = None, start: int = 1
    ) -> list[bytes]:
        """Run one query for objects of a kind."""
        entity = FEEDS.get(kind, kind)
        every = [*conditions, *([] if kind in _PAPERS else [EVERYONE])]
        where = f" where {' and '.join(every)}" if every else ""
        ordered = f" orderby {order}" if order else ""
        text = f"select * from {entity}{where}{ordered} startposition {start} maxresults {QUERY_PAGE}"  # noqa: S608
        return pages.queried(await self._client.query(text), entity)


def sightings(records: Sequence[bytes]) -> Iterator[Sighting]:
    """Records with a readable id."""
    for record in records:
        row = pages.row_of(record)
        if row is not None:
            yield pages.sighting(row.id, record)


def _kind_of(feed: str) -> str:
    return "credit_note" if feed == REFUND else feed


def _next_feed(position: Position) -> Position | None:
    following = _FEEDS[_FEEDS.index(position.kind) + 1 :]
    if not following:
        return None
    return Position(at=position.since, since=position.since, until=position.until, kind=following[0])
