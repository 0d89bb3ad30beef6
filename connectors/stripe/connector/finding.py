"""Looking a customer up: by paths that see a write at once where there are any, else by Search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.stripe.client import Reply, StripeApi
from connectors.stripe.connector.pages import objects_in, sighting_of
from connectors.stripe.manifest import ACCORD_REF, MANIFEST
from connectors.stripe.translate import StripeTranslator
from connectors.stripe.wire import UNDECODABLE, EventWire, HeadWire
from core.errors import BugError, GoneError, ReplyError, RetryError
from core.model.remote import Remote
from core.ports import Missing, Probe, Sighting

DELETED: Final = "customer.deleted"

_event = msgspec.json.Decoder(EventWire)
_head = msgspec.json.Decoder(HeadWire)


class Finder:
    """The look-ups of one connection."""

    def __init__(self, api: StripeApi, translator: StripeTranslator) -> None:
        """Share the connection's client, and with it its rate limits."""
        self._api = api
        self._translator = translator

    async def find(self, probe: Probe) -> Sequence[Sighting | Missing]:
        """Try the rungs from the surest down; the first that finds something answers."""
        unknown = sorted(set(probe.unique) - {"email"})
        if unknown:
            raise BugError(f"Stripe has no look-up by {unknown[0]}")
        for key, value, carried in (
            (ACCORD_REF, probe.mark, _mark_of),
            (self._translator.external_id_key, probe.external_id, _external_id_of),
        ):
            found = await self._by_metadata(key, value, carried, probe.created_after) if value else []
            if found:
                return found
        if probe.mark and probe.with_deleted and (gone := await self._deleted(probe.mark, probe.created_after or 0.0)):
            return gone
        email = probe.unique.get("email")
        return [sighting_of(_head.decode(raw).id, raw) async for raw in self._listed({"email": email})] if email else []

    async def _by_metadata(
        self, key: str, value: str, carried: Callable[[Remote], str | None], created_after: float | None
    ) -> list[Sighting]:
        if created_after is None:
            candidates = searched(self._api.search_customers, f'metadata["{quoted(key)}"]:"{quoted(value)}"')
        else:
            # Search lags by a minute or more, the list does not
            candidates = self._listed({"created": {"gte": await self._since(created_after)}})
        found = []
        async for raw in candidates:
            remote = self._remote(raw, value)
            # Search ignores case, and its index may be older than the object it returns
            if remote is not None and carried(remote) == value:
                found.append(sighting_of(remote.id, raw))
        return found

    async def _since(self, after: float) -> int:
        return in_their_time(after, await self._api.list_customers({"limit": 1}), self._api.clock.now())

    async def _deleted(self, mark: str, after: float) -> list[Missing]:
        """By the events of deletions, which show the customer as it was; they are kept for thirty days."""
        params: dict[str, Any] = {
            "limit": MANIFEST.page_size,
            "types": [DELETED],
            "created": {"gte": await self._since(after)},
        }
        found: list[Missing] = []
        while True:
            raws, page = objects_in((await self._api.list_events(params)).body)
            for raw in raws:
                remote = self._deleted_in(raw, mark)
                if remote is not None and remote.accord_ref == mark:
                    found.append(Missing(remote.id))
            if not page.has_more:
                return found
            params["starting_after"] = _last_id(raws)

    def _deleted_in(self, raw: bytes, mark: str) -> Remote | None:
        if mark.encode() not in raw:
            return None
        try:
            about = bytes(_event.decode(raw).data.snapshot)
        except UNDECODABLE as error:
            raise ReplyError(f"Stripe's event of a deletion is not what it should be: {error}") from error
        return self._remote(about, mark)

    def _remote(self, raw: bytes, value: str) -> Remote | None:
        try:
            return self._translator.read(raw)
        except ReplyError:
            # another's broken record must not block every look-up, but ours must not be overlooked
            if value.encode() in raw:
                raise
            return None

    async def _listed(self, filters: Mapping[str, Any]) -> AsyncIterator[bytes]:
        params: dict[str, Any] = {"limit": MANIFEST.page_size, **filters}
        while True:
            try:
                raws, page = objects_in((await self._api.list_customers(params)).body)
            except GoneError as error:
                raise RetryError("a customer was deleted while the list was read") from error
            for raw in raws:
                yield raw
            if not page.has_more:
                return
            params["starting_after"] = _last_id(raws)


def _mark_of(remote: Remote) -> str | None:
    return remote.accord_ref


def _external_id_of(remote: Remote) -> str | None:
    return remote.external_id


def _last_id(raws: Sequence[bytes]) -> str:
    try:
        return _head.decode(raws[-1]).id
    except (IndexError, *UNDECODABLE) as error:
        raise ReplyError("Stripe's list goes on after a page without a usable id") from error


async def searched(search: Callable[[Mapping[str, Any]], Awaitable[Reply]], query: str) -> AsyncIterator[bytes]:
    """All that a search finds, page by page."""
    params: dict[str, Any] = {"limit": MANIFEST.page_size, "query": query}
    while True:
        raws, page = objects_in((await search(params)).body)
        for raw in raws:
            yield raw
        if not page.has_more or not page.next_page:
            return
        params["page"] = page.next_page


def in_their_time(after: float, reply: Reply, now: float) -> int:
    """A time of ours in Stripe's, by an answer of just now, and a little before it.

    A clock of ours that is ahead would hide what was made right after the request.
    """
    ahead = max(0.0, now - reply.time) if reply.time is not None else 0.0
    return max(int(after - ahead - MANIFEST.sweep_overlap_seconds), 0)


def quoted(text: str) -> str:
    """A text as it stands in a query, between double quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
