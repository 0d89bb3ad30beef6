"""The Stripe connector: client, translation and errors joined into core.ports.Connector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec

from connectors.stripe.client import Reply, StripeApi
from connectors.stripe.connector.finding import Finder
from connectors.stripe.connector.pages import sighting_of
from connectors.stripe.connector.sweeps import changes_page, list_page
from connectors.stripe.errors import lost_reply
from connectors.stripe.manifest import MANIFEST, limits
from connectors.stripe.translate import translator
from connectors.stripe.webhook import StripeWebhooks
from connectors.stripe.wire import HeadWire, compact, decode_customer
from core.errors import AccordError, BugError, GoneError, ReplyError
from core.http.limits import RateLimiter
from core.model.remote import Manifest
from core.ports import (
    Account,
    ConnectionConfig,
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

T = TypeVar("T")

_TEST_KEY: Final = "_test_"


class _AccountWire(msgspec.Struct):
    id: str
    email: str | None = None
    settings: dict[str, object] | None = None


class _BalanceWire(msgspec.Struct):
    livemode: bool


class StripeConnector:
    """One connection to one Stripe account."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell) -> None:
        """Nothing is called yet."""
        is_live = _TEST_KEY not in (vault.get("api_key") or "")
        self._manifest = msgspec.structs.replace(MANIFEST, limits=limits(is_live=is_live))
        self._translator = translator(config)
        self._api = StripeApi(config, vault, shell, RateLimiter(self._manifest.limits, shell))
        self._finder = Finder(self._api, self._translator)

    @property
    def manifest(self) -> Manifest:
        """Capabilities; the rate limits are those of the key's mode."""
        return self._manifest

    async def identify(self) -> Account:
        """Return the account's id with its mode: live and test customers never mix."""
        account = _decoded(await self._api.account(), _AccountWire)
        balance = _decoded(await self._api.balance(), _BalanceWire)
        mode = "live" if balance.livemode else "test"
        return Account(f"{account.id}:{mode}", f"{_title(account)} ({mode} mode)")

    async def prepare(self) -> Sequence[str]:
        """Nothing is needed: metadata keys need no schema."""
        return ()

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Read the next page of the list, newest first, or of the event feed."""
        _known(kind)
        if mode == "full":
            return await list_page(self._api, self._translator, cursor)
        return await changes_page(self._api, cursor)

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read each customer by itself (Stripe has no batch), a few at a time."""
        _known(kind)
        wanted = list(dict.fromkeys(ids))
        found = await _together([partial(self._read_one, remote_id) for remote_id in wanted])
        return dict(zip(wanted, _first_failure_raised(found), strict=True))

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """Look up by marker, external id or e-mail."""
        _known(kind)
        return await self._finder.find(probe)

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Send each write by itself, a few at a time."""
        receipts = []
        for receipt in await _together([partial(self._write_one, write) for write in writes]):
            if not isinstance(receipt, Written | AccordError):
                raise receipt
            receipts.append(receipt)
        return receipts

    async def aclose(self) -> None:
        """Let go of the sockets."""
        await self._api.aclose()

    async def _read_one(self, remote_id: str) -> Sighting | Missing:
        try:
            reply = await self._api.customer(remote_id)
        except GoneError:
            return Missing(remote_id)
        raw = compact(reply.body)
        try:
            head = msgspec.json.decode(raw, type=HeadWire)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # the translator says what is wrong with it; the other objects of the batch flow
            return sighting_of(remote_id, raw)
        return Missing(remote_id) if head.deleted else sighting_of(remote_id, raw)

    async def _write_one(self, write: Write) -> Written:
        _known(write.kind)
        if write.action == "create":
            reply = await self._api.create_customer(write.body, write.key)
        elif write.remote_id is None:
            raise BugError("an update names no customer")
        else:
            reply = await self._api.update_customer(write.remote_id, write.body, write.key)
        try:
            raw = compact(reply.body)
            written_id = decode_customer(raw).id
        except ReplyError as error:
            raise lost_reply(f"the write's answer is garbage: {error}", is_write=True) from error
        if write.remote_id not in (None, written_id):
            raise lost_reply("the write's answer shows another customer", is_write=True)
        return Written(sighting_of(written_id, raw), is_replay=reply.is_replayed)


async def _together(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | BaseException]:
    """Run calls, a few at a time, until every one has ended; failures stand among the results."""
    room, turn = asyncio.Semaphore(MANIFEST.in_flight), asyncio.Lock()

    async def bounded(call: Callable[[], Awaitable[T]]) -> T:
        async with room:
            async with turn:
                await asyncio.sleep(0)  # calls that all begin in one turn of the loop keep a webhook waiting for each
            return await call()

    return await asyncio.gather(*(bounded(call) for call in calls), return_exceptions=True)


def _first_failure_raised(results: Sequence[T | BaseException]) -> list[T]:
    found: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found


def _known(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        raise BugError(f"the Stripe connector has no kind {kind!r}")


def _decoded(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReplyError(f"Stripe's answer is not what it should be: {error}") from error


def _title(account: _AccountWire) -> str:
    dashboard = (account.settings or {}).get("dashboard")
    name = dashboard.get("display_name") if isinstance(dashboard, dict) else None
    return str(name or account.email or account.id)


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=StripeWebhooks(),
    translator=translator,
    build=StripeConnector,
)
