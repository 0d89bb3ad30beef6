"""Sweeps: every customer, and what the event feed says changed. Cursors are small JSON texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from connectors.stripe.client import Reply, StripeApi
from connectors.stripe.connector.documents import INTENT, Documents
from connectors.stripe.connector.finding import DELETED
from connectors.stripe.connector.pages import bad_record, cursor_in, objects_in, sighting_of
from connectors.stripe.connector.ranges import FullCursor, full_page
from connectors.stripe.manifest import API_VERSION, FED, MANIFEST
from connectors.stripe.translate import StripeTranslator
from connectors.stripe.webhook import StripeWebhooks
from connectors.stripe.wire import UNDECODABLE, EventWire, HeadWire, is_storable, loads
from core.errors import GoneError, ReplyError
from core.ports import Bad, Notice, Page, Sighting

_CUSTOMER: Final = "customer."

_OF_DOCUMENTS: Final = tuple(name for name in MANIFEST.webhook_events if not name.startswith(_CUSTOMER))

_event = msgspec.json.Decoder(EventWire)
_head = msgspec.json.Decoder(HeadWire)
_webhooks = StripeWebhooks()


class ChangesCursor(msgspec.Struct, omit_defaults=True):
    """Everything until `since` was read. `until` and `after` are set between two pages of one sweep."""

    since: int
    until: int | None = None
    after: str | None = None


async def list_page(api: StripeApi, translator: StripeTranslator, cursor: str | None) -> Page:
    """Return the next pages of the list."""
    page, rest = await full_page(api, translator, cursor_in(cursor, FullCursor))
    return page if page.is_last else msgspec.structs.replace(page, cursor=_text(rest))


async def changes_page(api: StripeApi, documents: Documents, cursor: str | None) -> Page:
    """Return one page of the event feed between the cursor and the sweep's start, with an overlap for late events.

    The same calls tell of invoices, payments and credit notes; only what was refunded has to be asked for.
    """
    position = cursor_in(cursor, ChangesCursor)
    if position is None:
        reply = await api.list_events({**_params(), "limit": 1})
        start = _provider_time(reply, _Feed.of(reply).newest or 0)
        return Page(cursor=_text(ChangesCursor(start)), is_last=True)
    since = max(position.since - int(MANIFEST.sweep_overlap_seconds), 0)
    reply = await _events_after(api, since, position)
    feed = _Feed.of(reply)
    until = position.until
    if until is None:
        until = max(_provider_time(reply, feed.newest or 0), position.since)
    if feed.has_more and feed.last is None:
        raise ReplyError("Stripe's events go on after a page without a usable id")
    following = ChangesCursor(position.since, until, feed.last) if feed.has_more else ChangesCursor(until)
    page = feed.page(_text(following), is_last=not feed.has_more)
    return msgspec.structs.replace(page, others=await _payments_found(documents, feed.others))


async def _payments_found(documents: Documents, others: Mapping[tuple[str, str], Notice]) -> list[Notice]:
    """Refunds lead to the payments of invoices that they belong to."""
    found: dict[tuple[str, str], Notice] = {}
    for (kind, remote_id), notice in others.items():
        ids = await documents.payments_by(remote_id) if remote_id.startswith(INTENT) else [remote_id]
        found |= {(kind, one): msgspec.structs.replace(notice, remote_id=one) for one in ids}
    return list(found.values())


async def _events_after(api: StripeApi, since: int, position: ChangesCursor) -> Reply:
    params = {**_params(), "created": {"gte": since}}
    if position.after is None:
        return await api.list_events(params)
    try:
        return await api.list_events({**params, "starting_after": position.after})
    except GoneError:
        # older than the feed's 30 days by now: read the window from its new end
        return await api.list_events(params)


def _params() -> dict[str, Any]:
    return {"limit": MANIFEST.page_size, "types": list(FED)}


def _provider_time(reply: Reply, fallback: int) -> int:
    """Return Stripe's own clock, never ours: a skewed clock here would skip events."""
    return fallback if reply.time is None else reply.time


@dataclass(slots=True)
class _Feed:
    """One page of events, sorted by what they mean for their objects."""

    has_more: bool
    newest: int | None = None
    last: str | None = None
    snapshots: dict[str, list[Sighting | None]] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    others: dict[tuple[str, str], Notice] = field(default_factory=dict)

    @classmethod
    def of(cls, reply: Reply) -> _Feed:
        """Sort the events of one answer."""
        raws, listed = objects_in(reply.body)
        feed = cls(listed.has_more)
        for raw in raws:
            feed._add(raw)
        return feed

    def _add(self, raw: bytes) -> None:
        try:
            event = _event.decode(raw)
            about = bytes(event.data.snapshot)
            remote_id = _head.decode(about).id
        except UNDECODABLE:
            self._add_odd(raw)
            return
        if not is_storable(remote_id):
            self._add_odd(raw)
            return
        self.last = event.id
        self.newest = max(self.newest or 0, event.created)
        if event.type in _OF_DOCUMENTS:
            self._add_documents(raw)
            return
        if event.type == DELETED:
            self.gone[remote_id] = None
        if event.request and event.data.previous_attributes:
            # by webhook the same is told sooner; where none are delivered, only here
            self.notices += [one for one in _webhooks.notices(raw) if one.our_key and one.overwritten]
        is_usable = event.api_version == API_VERSION
        self.snapshots.setdefault(remote_id, []).append(sighting_of(remote_id, about) if is_usable else None)

    def _add_documents(self, raw: bytes) -> None:
        try:
            found = _webhooks.notices(raw)
        except ReplyError as error:
            event = _dict(loads(raw))
            self.bad.append(bad_record(str(event.get("id") or ""), None, str(error), event))
            return
        for notice in found:
            self.others.setdefault((notice.kind, notice.remote_id), notice)

    def _add_odd(self, raw: bytes) -> None:
        """An event that cannot be decoded still names its object, if anything in it can be found."""
        event = _dict(loads(raw))
        event_id, created = event.get("id"), event.get("created")
        remote_id = _dict(_dict(event.get("data")).get("object")).get("id")
        if isinstance(event_id, str) and event_id:
            self.last = event_id
        if isinstance(created, int):
            self.newest = max(self.newest or 0, created)
        if event.get("type") in _OF_DOCUMENTS:
            self._add_documents(raw)
        elif isinstance(remote_id, str) and remote_id and is_storable(remote_id):
            self.snapshots.setdefault(remote_id, []).append(None)
        else:
            self.bad.append(bad_record(str(event_id or ""), None, "the event names no customer", event))

    def page(self, cursor: str, *, is_last: bool) -> Page:
        """Use a snapshot only where an object has one event here: the order of two is not certain."""
        live = {remote_id: found for remote_id, found in self.snapshots.items() if remote_id not in self.gone}
        alone = {remote_id: found[0] for remote_id, found in live.items() if len(found) == 1}
        sightings = [sighting for sighting in alone.values() if sighting is not None]
        return Page(
            sightings=sightings,
            changed=[remote_id for remote_id in live if alone.get(remote_id) is None],
            gone=list(self.gone),
            bad=self.bad,
            notices=self.notices,
            cursor=cursor,
            is_last=is_last,
        )


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(cursor: FullCursor | ChangesCursor) -> str:
    return msgspec.json.encode(cursor).decode()
