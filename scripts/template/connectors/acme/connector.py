"""The Acme connector: client, translation and errors joined into core.ports.Connector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from connectors.acme.errors import garbage
from connectors.acme.manifest import ACCORD_REF, MANIFEST
from connectors.acme.translate import AcmeTranslator
from connectors.acme.webhook import AcmeWebhooks
from connectors.acme.wire import AccountReply, Listing, Row, decoded, is_storable
from core.errors import AccordError, BugError, ConfigError, GoneError, ReplyError
from core.model.remote import Manifest
from core.ports import (
    Account,
    Bad,
    Clock,
    ConnectionConfig,
    HttpResponse,
    Missing,
    Page,
    Probe,
    Provider,
    Receipt,
    Shell,
    Sighting,
    Vault,
    Write,
    Written,
)

if TYPE_CHECKING:
    from connectors.acme.client import AcmeClient

T = TypeVar("T")
_TRANSLATION: Final = str(MANIFEST.translation).encode()


class Position(msgspec.Struct, frozen=True):
    """Where an incremental sweep stands: what it reads from, when it began, and the page to read next."""

    since: float
    until: float | None = None
    page: str | None = None


class AcmeConnector:
    """One connection to one account."""

    def __init__(self, client: AcmeClient, clock: Clock) -> None:
        """Nothing is called yet."""
        self._client = client
        self._clock = clock
        self._slots = asyncio.Semaphore(MANIFEST.in_flight)

    @property
    def manifest(self) -> Manifest:
        """Capabilities as data."""
        return MANIFEST

    async def identify(self) -> Account:
        """Whose key this is."""
        account = decoded(await self._client.account(), AccountReply)
        return Account(account.id, account.name or account.id)

    async def prepare(self) -> Sequence[str]:
        """Nothing is needed: attributes need no definition."""
        return ()

    # Decide 9: how a listing goes on, what a change feed tells of deletions, how a repeated create is answered.
    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Read the next page of everything, or of what changed."""
        _known(kind)
        if mode == "full":
            listing = decoded(await self._client.customers({"cursor": cursor} if cursor else {}), Listing)
            return _page(listing, listing.next_cursor)
        if cursor is None:
            return Page(cursor=_encoded(Position(self._clock.now())), is_last=True)
        return await self._changes(decoded(cursor.encode(), Position))

    async def _changes(self, position: Position) -> Page:
        # what changes while the pages are read belongs to the next sweep; the overlap covers a skewed clock of ours
        until = position.until or self._clock.now()
        since = datetime.fromtimestamp(max(position.since - MANIFEST.sweep_overlap_seconds, 0), UTC)
        params = {"updated_since": since.isoformat()}
        if position.page:
            params["cursor"] = position.page
        listing = decoded(await self._client.customers(params), Listing)
        if listing.next_cursor:
            return _page(listing, _encoded(Position(position.since, until, listing.next_cursor)))
        return msgspec.structs.replace(_page(listing, None), cursor=_encoded(Position(until)))

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read each customer by itself, a few at a time."""
        _known(kind)
        wanted = list(dict.fromkeys(ids))
        found = await self._together([partial(self._read_one, one) for one in wanted])
        return dict(zip(wanted, found, strict=True))

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """Look up by our marker, else by external id."""
        _known(kind)
        for name, value in ((ACCORD_REF, probe.mark), ("external_id", probe.external_id)):
            if value is not None:
                page = _page(decoded(await self._client.customers({name: value}), Listing), None)
                if page.bad:
                    raise ReplyError(f"a look-up found what cannot be read: {page.bad[0].problem}")
                if page.sightings:
                    return page.sightings
        return ()

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Send each write by itself, a few at a time."""
        return await self._together([partial(self._write_one, one) for one in writes])

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self._client.aclose()

    async def _read_one(self, remote_id: str) -> Sighting | Missing:
        try:
            body = await self._client.customer(remote_id)
        except GoneError:
            return Missing(remote_id)
        if decoded(body, Row).id != remote_id:
            raise ReplyError(f"Acme was asked for {remote_id} and answered with another customer")
        return _sighting(remote_id, body)

    async def _write_one(self, write: Write) -> Receipt:
        try:
            return _written(write, await self._send(write))
        except AccordError as error:
            return error

    async def _send(self, write: Write) -> HttpResponse:
        _known(write.kind)
        if write.action == "create":
            return await self._client.create(write.body, write.key)
        if write.remote_id is None:
            raise BugError("an update names no customer")
        body = dict(write.body)
        return await self._client.update(write.remote_id, body, str(body.pop("version")))

    async def _together(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        async def one(call: Callable[[], Awaitable[T]]) -> T:
            async with self._slots:
                return await call()

        return list(await asyncio.gather(*map(one, calls)))


def _written(write: Write, answer: HttpResponse) -> Written:
    try:
        found = decoded(answer.body, Row).id
    except ReplyError as error:
        raise garbage(f"the write's answer is garbage: {error}", is_write=True) from error
    if write.remote_id not in (None, found):
        raise garbage("the write's answer shows another customer", is_write=True)
    return Written(_sighting(found, answer.body), is_replay=answer.headers.get("idempotent-replayed") == "true")


def _page(listing: Listing, cursor: str | None) -> Page:
    """Sort rows into sightings, gone ones and bad ones: one bad record never loses the others."""
    sightings: list[Sighting] = []
    gone: list[str] = []
    bad: list[Bad] = []
    for raw in map(bytes, listing.data):
        try:
            row = decoded(raw, Row)
        except ReplyError as error:
            row, problem = None, str(error)
        else:
            problem = "its id cannot be stored"
        if row is None or not is_storable(row.id):
            bad.append(Bad("?", "id", problem, ascii(raw)[2:-1]))
        elif row.deleted:
            gone.append(row.id)
        else:
            sightings.append(_sighting(row.id, raw))
    return Page(sightings=sightings, gone=gone, bad=bad, cursor=cursor, is_last=cursor is None)


def _sighting(remote_id: str, raw: bytes) -> Sighting:
    return Sighting(remote_id, blake2b(_TRANSLATION + raw, digest_size=16).hexdigest(), raw)


def _encoded(position: Position) -> str:
    return msgspec.json.encode(position).decode()


def _known(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        raise BugError(f"the Acme connector has no kind {kind!r}")


def _translator(config: ConnectionConfig) -> AcmeTranslator:
    if config.external_id_field is not None:
        raise ConfigError(
            "Acme keeps it in its own attribute external_id; leave this line out",
            key=f"connections.{config.name}.external_id_field",
        )
    return AcmeTranslator()


def _build(config: ConnectionConfig, vault: Vault, shell: Shell) -> AcmeConnector:
    # here, because the HTTP stack would make every command of `accord` start slower
    from connectors.acme.client import AcmeClient  # noqa: PLC0415

    return AcmeConnector(AcmeClient(config, vault, shell), shell.clock)


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=AcmeWebhooks(),
    translator=_translator,
    build=_build,
)
