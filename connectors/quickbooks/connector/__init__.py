"""QuickBooks Online as a Connector."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from connectors.quickbooks.connector import pages
from connectors.quickbooks.connector.consent import CONSENT
from connectors.quickbooks.connector.currency import HomeCurrency
from connectors.quickbooks.connector.finding import Finder
from connectors.quickbooks.connector.pages import Position
from connectors.quickbooks.connector.reading import Reading
from connectors.quickbooks.connector.writing import (
    DocumentWriting,
    makes_items,
    numbered,
    receipt_for,
    request_id,
    written,
)
from connectors.quickbooks.errors import BATCH_SIZE, error_from_fault, fault_of
from connectors.quickbooks.manifest import CUSTOMER, ENTITIES, MANIFEST, READ_BATCH, WRITE_BATCH
from connectors.quickbooks.translate import CustomerTranslator, QuickBooksDocuments, booking_of, farewell_to
from connectors.quickbooks.webhook import QuickBooksWebhooks
from connectors.quickbooks.wire import BatchItem, BatchReply, CompanyReply
from core.errors import (
    AccordError,
    AmbiguousError,
    ConfigError,
    InvalidInputError,
    RejectedError,
    ReplyError,
    RetryError,
)
from core.model.remote import Manifest
from core.ports import (
    Account,
    ConnectionConfig,
    DocumentTranslator,
    Missing,
    Page,
    Probe,
    Provider,
    Receipt,
    Shell,
    Sighting,
    Translator,
    Vault,
    Write,
)

if TYPE_CHECKING:
    from connectors.quickbooks.client import QuickBooksClient

T = TypeVar("T")
_OF_DOCUMENTS: Final = frozenset({"deposit_account", "default_item", "create_items"})
"""A connection that has one of these settings takes copies of documents."""
_MONEY: Final = ("Bank", "Other Current Asset")
"""Types of accounts that a payment can be deposited to; into any other it is refused."""
_INCOME: Final = ("Income",)


class QuickBooksConnector:
    """One company. Reads are strongly consistent; updates are conditional on the SyncToken in their body."""

    def __init__(self, client: QuickBooksClient, config: ConnectionConfig) -> None:
        """`batch_size` is a setting because Intuit's own pages disagree about it."""
        self._client = client
        self._reading = Reading(client)
        self._finder = Finder(client)
        self._home = HomeCurrency(self._reading)
        self._region = region_of(config)
        self._takes_documents = bool(config.items or config.deposits) or not config.settings.keys().isdisjoint(
            _OF_DOCUMENTS
        )
        self._items = {f"items.{product}": item for product, item in config.items.items()}
        self._items |= _set(config, "default_item", "rounding_item")
        self._accounts = _set(config, "deposit_account", "income_account")
        self._accounts |= {f"deposits.{route}": account for route, account in config.deposits.items()}
        self._documents = DocumentWriting(client, self._reading, self._accounts)
        self._batch_size = _batch_size(config)
        self._slots = asyncio.Semaphore(MANIFEST.in_flight)

    @property
    def manifest(self) -> Manifest:
        """The provider's manifest with this connection's batch size."""
        return msgspec.structs.replace(MANIFEST, write_batch=self._batch_size, writes_per_call=self._batch_size)

    async def identify(self) -> Account:
        """Return the company: its realm id is the account."""
        company = _reply(await self._client.company(), CompanyReply).company
        mode = "test" if "sandbox" in self._client.base else "live"
        notes = []
        if company.country and (company.country == "US") != (self._region == "us"):
            notes.append(f"the company is in {company.country} but region is {self._region}: set region")
        if self._takes_documents:
            notes += await self._document_notes()
        return Account(f"{self._client.realm}:{mode}", company.name, tuple(notes))

    async def _document_notes(self) -> list[str]:
        """Settings of the company that copies of documents would stumble over."""
        sales = (await self._reading.preferences()).sales
        notes = []
        if not sales.has_custom_numbers:
            notes.append("custom transaction numbers are off: switch them on, or copies get numbers of QuickBooks' own")
        if sales.applies_credits:
            notes.append("credits are applied automatically: switch that off, or copies of credit notes are held")
        return notes

    async def faults(self) -> Sequence[str]:
        """Items and accounts of the settings that are not in these books, or not active there."""
        found = []
        for entity, named in (("Item", self._items), ("Account", self._accounts)):
            ids = sorted({one for one in named.values() if one.isdecimal()})
            records = await self._reading.select(entity, [f"Id in ({pages.quoted(ids)})"]) if ids else []
            there = {one["Id"]: one for one in map(pages.shown, records)}
            for setting, one in named.items():
                if state := _fault_of(setting, there.get(one)):
                    found.append(
                        f"{setting}: {entity.lower()} {one} {state} in these books; name the id of another one"
                    )
        return found

    def farewell(self, current: bytes) -> Mapping[str, Any] | None:
        """What makes a customer inactive; there is no other way to archive one."""
        return farewell_to(current)

    async def archive(self, write: Write) -> Sighting | Missing:
        """Make it inactive, behind the SyncToken it was read with."""
        receipt = written(await self._client.save("Customer", write.body, request_id(write)), "Customer")
        if isinstance(receipt, AccordError):
            raise receipt
        return receipt.sighting

    async def closed_through(self) -> date | None:
        """Until when the books are closed."""
        return await self._reading.closed_through()

    async def prepare(self) -> Sequence[str]:
        """Nothing is needed: QuickBooks has no place for anything of ours."""
        return ()

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Read everything by a keyset on LastUpdatedTime, or what the change feed names since the cursor.

        There is one feed for all kinds: the customers', which names documents in `others`.
        """
        _check(kind)
        if mode == "full":
            position = pages.decoded(cursor) if cursor else Position()
            return await self._home.page(await self._reading.full_page(kind, position))
        if kind != CUSTOMER:
            raise InvalidInputError(f"there is no feed of {kind} alone", field="kind", cure="read the customers' feed")
        if cursor is None:
            now = pages.time_of(await self._client.company())
            return Page(cursor=pages.encoded(Position(since=now)), is_last=True)
        return await self._home.page(await self._reading.change_page(pages.decoded(cursor)))

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read by query in batches; an id that no query returns is asked for alone before it counts as missing."""
        _check(kind)
        wanted = list(dict.fromkeys(ids))
        chunks = [wanted[start : start + READ_BATCH] for start in range(0, len(wanted), READ_BATCH)]
        found: dict[str, Sighting | Missing] = {}
        for part in await self._together([partial(self._reading.chunk, kind, chunk) for chunk in chunks]):
            found.update(part)
        lost = [remote_id for remote_id in wanted if remote_id not in found]
        answers = await self._together([partial(self._reading.alone, kind, remote_id) for remote_id in lost])
        found.update(zip(lost, answers, strict=True))
        return {remote_id: await self._home.seen(found[remote_id]) for remote_id in wanted}

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """Look customers up by display name and by creation, documents by number and by our marker."""
        _check(kind)
        found = await (self._finder.find(probe) if kind == CUSTOMER else self._reading.find(kind, probe))
        return [await self._home.seen(one) for one in found]

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Each batch in a request of its own, and each of the others alone, all beside each other.

        40 batches and 500 calls a minute make one batch as dear as a dozen calls, so both are used.
        """
        groups: dict[str, list[tuple[int, Write]]] = {}
        receipts: dict[int, Receipt] = {}
        for index, one in enumerate([await self._home.sendable(write) for write in writes]):
            if isinstance(one, Write):
                groups.setdefault(_shared(one) or f"alone {index}", []).append((index, one))
            else:
                receipts[index] = one
        results = await self._together(
            [partial(self._write_group, [write for _, write in group]) for group in groups.values()]
        )
        for group, result in zip(groups.values(), results, strict=True):
            receipts |= {index: receipt for (index, _), receipt in zip(group, result, strict=True)}
        return [await self._home.receipt(receipts[index]) for index in range(len(writes))]

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self._client.aclose()

    # ---- writing -------------------------------------------------------------------------------

    async def _write_group(self, writes: Sequence[Write]) -> list[Receipt]:
        if not _shared(writes[0]):
            return [await self._write_alone(writes[0])]
        items = [
            {"bId": item_id(write), "operation": write.action, ENTITIES[write.kind]: numbered(write.body)}
            for write in sorted(writes, key=item_id)
        ]
        try:
            reply = _reply(await self._client.batch(items, batch_id(writes[0].batch)), BatchReply)
        except RejectedError as error:
            # the batch was refused as a whole and nothing of it was done: too big, or one item poisons it
            if error.field == BATCH_SIZE:
                self._batch_size = max(min(self._batch_size, len(writes) // 2), 1)
            # each under its own request id: should this go unanswered too, the batch is refused again, and they are
            # repeated by those
            return [await self._write_alone(write) for write in writes]
        except ReplyError as error:
            return [AmbiguousError(str(error))] * len(writes)
        except AccordError as error:
            return [error] * len(writes)
        answers = {item.id: item for item in reply.items}
        receipts = [self._receipt(write, answers.get(item_id(write))) for write in writes]
        return await self._documents.completed(writes, receipts)

    async def _write_alone(self, write: Write) -> Receipt:
        try:
            if write.kind != CUSTOMER:
                return await self._documents.write(write)
            return written(await self._client.save("Customer", write.body, request_id(write)), "Customer")
        except ReplyError as error:  # the write behind a garbled answer may well have happened
            return AmbiguousError(str(error))
        except AccordError as error:
            return await self._documents.explained(write, error)

    def _receipt(self, write: Write, item: BatchItem | None) -> Receipt:
        if item is None:
            return AmbiguousError("the batch's answer leaves this item out")
        raw = item.shown(write.kind)
        if raw is not None:
            return receipt_for(raw)
        fault = fault_of(msgspec.json.decode(item.fault)) if item.fault is not msgspec.UNSET else None
        if fault is None:
            return AmbiguousError("the batch's answer says neither success nor fault for this item")
        error = error_from_fault(fault, is_write=True)
        if isinstance(error, RetryError):
            self._client.pause()
        return error

    async def _together(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        async def one(call: Callable[[], Awaitable[T]]) -> T:
            async with self._slots:
                return await call()

        return list(await asyncio.gather(*map(one, calls)))


def _shared(write: Write) -> str:
    """The request that a write shares; "" for one that goes alone, as what is sold may have to be made before it."""
    return "" if makes_items(write.body) else write.batch


def batch_id(batch: str) -> str:
    """Name a batch to QuickBooks, in the 36 characters that the request id of one may have."""
    return blake2b(batch.encode(), digest_size=16).hexdigest()


def item_id(write: Write) -> str:
    """Name a write within its batch, in 10 characters: the same whenever it is repeated, whatever is beside it."""
    return blake2b(write.key.encode(), digest_size=5).hexdigest()


def _set(config: ConnectionConfig, *names: str) -> dict[str, str]:
    return {name: config.settings[name] for name in names if config.settings.get(name)}


def _fault_of(setting: str, there: Mapping[str, Any] | None) -> str:
    """What is wrong with the item or account of a setting, in these books; "" for nothing."""
    if there is None:
        return "is not there"
    if not there.get("Active"):
        return "is inactive"
    kind, wanted = there.get("AccountType", ""), _INCOME if setting == "income_account" else _MONEY
    return f"is of type {kind}, not {' or '.join(wanted)}" if kind and kind not in wanted else ""


def region_of(config: ConnectionConfig) -> str:
    """Read the setting `region`."""
    region = config.settings.get("region", "us")
    if region not in {"us", "other"}:
        msg = f"{region!r} is neither us nor other"
        raise ConfigError(msg, key=f"connections.{config.name}.region")
    return region


def _batch_size(config: ConnectionConfig) -> int:
    text = config.settings.get("batch_size", str(WRITE_BATCH))
    if not text.isdecimal() or not 1 <= int(text) <= WRITE_BATCH:
        msg = f"{text!r} is not a number from 1 to {WRITE_BATCH}"
        raise ConfigError(msg, key=f"connections.{config.name}.batch_size")
    return int(text)


def _reply(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError) as error:
        msg = f"an answer of another shape than {shape.__name__}: {error}"
        raise ReplyError(msg) from error


def _check(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        limit = ", ".join(MANIFEST.kinds)
        raise InvalidInputError(f"QuickBooks has no {kind!r} here", field="kind", limit=limit, cure="name one of these")


def _translator(config: ConnectionConfig) -> Translator:
    return CustomerTranslator(is_us=region_of(config) == "us")


def _documents(config: ConnectionConfig) -> DocumentTranslator:
    is_us = region_of(config) == "us"
    return QuickBooksDocuments(booking_of(config, is_us=is_us))


def _build(config: ConnectionConfig, vault: Vault, shell: Shell) -> QuickBooksConnector:
    # here, because the HTTP stack would make every command of `accord` start slower
    from connectors.quickbooks.client import QuickBooksClient  # noqa: PLC0415

    return QuickBooksConnector(QuickBooksClient(config, vault, shell), config)


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=QuickBooksWebhooks(),
    translator=_translator,
    build=_build,
    oauth=CONSENT,
    documents=_documents,
)
