"""The Stripe connector: client, translation and errors joined into core.ports.Connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal, TypeVar

import msgspec

from connectors.stripe.client import Reply, StripeApi
from connectors.stripe.client.documents import DocumentApi
from connectors.stripe.connector.copies import Copies
from connectors.stripe.connector.documents import Documents
from connectors.stripe.connector.finding import Finder
from connectors.stripe.connector.pages import sighting_of
from connectors.stripe.connector.payouts import Payouts
from connectors.stripe.connector.sweeps import changes_page, list_page
from connectors.stripe.connector.together import Turns, first_failure_raised, together
from connectors.stripe.errors import lost_reply
from connectors.stripe.manifest import MANIFEST, limits
from connectors.stripe.translate import documents, translator
from connectors.stripe.webhook import StripeWebhooks
from connectors.stripe.wire import UNDECODABLE, HeadWire, compact, decode_customer
from core.errors import AccordError, BugError, GoneError, ReplyError
from core.http.limits import RateLimiter
from core.model.payouts import PaidOut, Payout
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
_CUSTOMER: Final = "customer"


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
        self._turns = Turns()
        self._finder = Finder(self._api, self._translator)
        api = DocumentApi(self._api)
        self._documents = Documents(api, documents(config))
        self._copies = Copies(api, self._documents)
        self._payouts = Payouts(self._api)

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
        """Read the next page of a list, newest first, or of the event feed, which is one for all kinds."""
        _known(kind)
        if mode == "full":
            is_document = kind != _CUSTOMER
            return await (
                self._documents.sweep(kind, cursor) if is_document else list_page(self._api, self._translator, cursor)
            )
        if kind != _CUSTOMER:
            raise BugError("changes of documents are told by the customers' feed")
        return await changes_page(self._api, self._documents, cursor)

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read each object by itself (Stripe has no batch), a few at a time."""
        _known(kind)
        if kind != _CUSTOMER:
            return await self._documents.read(kind, ids)
        wanted = list(dict.fromkeys(ids))
        found = await together([partial(self._read_one, remote_id) for remote_id in wanted], self._turns)
        return dict(zip(wanted, first_failure_raised(found), strict=True))

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """Look up by marker, external id or e-mail; documents by marker or number."""
        _known(kind)
        if kind != _CUSTOMER:
            return await self._documents.find(kind, probe)
        return await self._finder.find(probe)

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Send each write by itself, a few at a time."""
        receipts = []
        for receipt in await together([partial(self._write_one, write) for write in writes], self._turns):
            if not isinstance(receipt, Written | AccordError):
                raise receipt
            receipts.append(receipt)
        return receipts

    async def payouts(self, limit: int) -> Sequence[Payout]:
        """The newest payouts."""
        return await self._payouts.payouts(limit)

    async def payout(self, payout_id: str) -> PaidOut:
        """One payout with its balance transactions."""
        return await self._payouts.payout(payout_id)

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
        except UNDECODABLE:
            # the translator says what is wrong with it; the other objects of the batch flow
            return sighting_of(remote_id, raw)
        if head.id != remote_id:
            raise ReplyError("Stripe's answer shows another customer")
        return Missing(remote_id) if head.deleted else sighting_of(remote_id, raw)

    async def _write_one(self, write: Write) -> Written:
        _known(write.kind)
        if write.kind != _CUSTOMER:
            return await self._copies.write(write)
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


def _known(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        raise BugError(f"the Stripe connector has no kind {kind!r}")


def _decoded(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except UNDECODABLE as error:
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
    documents=documents,
)
