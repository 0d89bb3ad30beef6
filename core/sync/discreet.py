"""Keeps secrets out of errors: they are stored, shown and logged, and a provider's answer may quote the request."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, TypeVar

import msgspec

from core.abilities import Archiver, ClosesBooks, Examiner, Historian, Past, PayoutSource, Recalled
from core.errors import AccordError, BugError
from core.model.payouts import PaidOut, Payout
from core.model.remote import Manifest
from core.ports import (
    Account,
    ConnectionConfig,
    Connector,
    Missing,
    Page,
    Probe,
    Provider,
    Receipt,
    Shell,
    Sighting,
    Vault,
    Write,
)

T = TypeVar("T")
MASK: Final = "***"
SHORTEST: Final = 6
"""Masking every "1" would make errors unreadable and hide nothing."""
KEPT: Final = 100
"""Secrets remembered: tokens change by the hour, and a daemon runs for months."""


class Overheard:
    """A connection's vault, and every secret that its connector ever got from it or put there."""

    def __init__(self, vault: Vault) -> None:
        """Nothing heard yet."""
        self._vault = vault
        self._heard: dict[str, None] = {}

    def get(self, name: str) -> str | None:
        """The newest value, or None."""
        value = self._vault.get(name)
        self._hear(value)
        return value

    async def save(self, values: Mapping[str, str]) -> None:
        """Store atomically."""
        for value in values.values():
            self._hear(value)
        await self._vault.save(values)

    def masked(self, text: str) -> str:
        """`text` without any of them."""
        for value in sorted(self._heard, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text

    def _hear(self, value: str | None) -> None:
        if not value or len(value) < SHORTEST:
            return
        self._heard.pop(value, None)
        self._heard[value] = None
        if len(self._heard) > KEPT:
            del self._heard[next(iter(self._heard))]


def build_discreet(provider: Provider, config: ConnectionConfig, vault: Vault, shell: Shell) -> Discreet:
    """A provider's connector whose errors quote no secret."""
    overheard = Overheard(vault)
    return Discreet(provider.build(config, overheard, shell), overheard)


class Discreet(Historian):
    """A connector whose errors quote no secret."""

    def __init__(self, connector: Connector, overheard: Overheard) -> None:
        """`overheard` is the vault that the connector was built with."""
        self._connector = connector
        self._overheard = overheard

    @property
    def manifest(self) -> Manifest:
        """See Connector."""
        return self._connector.manifest

    async def identify(self) -> Account:
        """See Connector."""
        return await self._hushed(self._connector.identify())

    async def faults(self) -> Sequence[str]:
        """See Examiner; of a connector that is none there is nothing to tell."""
        return await self._hushed(self._connector.faults()) if isinstance(self._connector, Examiner) else ()

    async def prepare(self) -> Sequence[str]:
        """See Connector."""
        return await self._hushed(self._connector.prepare())

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """See Connector."""
        page = await self._hushed(self._connector.sweep(kind, mode, cursor))
        mask = self._overheard.masked
        bad = [msgspec.structs.replace(one, problem=mask(one.problem), raw=mask(one.raw)) for one in page.bad]
        return msgspec.structs.replace(page, bad=bad) if bad else page

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """See Connector."""
        return await self._hushed(self._connector.read(kind, ids))

    async def recall(self, kind: str, writes: Sequence[Past]) -> Mapping[str, Recalled]:
        """See Historian."""
        if not isinstance(self._connector, Historian):
            raise BugError(f"{self.manifest.title} keeps no history, and its answers carry a stamp")
        return await self._hushed(self._connector.recall(kind, writes))

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """See Connector."""
        return await self._hushed(self._connector.find(kind, probe))

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """See Connector."""
        receipts = await self._hushed(self._connector.write(writes))
        for one in receipts:
            if isinstance(one, AccordError):
                self._hush(one)
        return receipts

    def farewell(self, current: bytes) -> Mapping[str, Any] | None:
        """See Archiver."""
        return self._archiver().farewell(current)

    async def archive(self, write: Write) -> Sighting | Missing:
        """See Archiver."""
        return await self._hushed(self._archiver().archive(write))

    def _archiver(self) -> Archiver:
        if not isinstance(self._connector, Archiver):
            raise BugError(f"{self.manifest.title} archives nothing")
        return self._connector

    async def closed_through(self) -> date | None:
        """See ClosesBooks; of a connector that is none nothing is ever closed."""
        if not isinstance(self._connector, ClosesBooks):
            return None
        return await self._hushed(self._connector.closed_through())

    async def payouts(self, limit: int) -> Sequence[Payout]:
        """See PayoutSource."""
        return await self._hushed(self._source().payouts(limit))

    async def payout(self, payout_id: str) -> PaidOut:
        """See PayoutSource."""
        return await self._hushed(self._source().payout(payout_id))

    def _source(self) -> PayoutSource:
        if not isinstance(self._connector, PayoutSource):
            raise BugError(f"{self.manifest.title} has no payouts")
        return self._connector

    async def aclose(self) -> None:
        """See Connector."""
        await self._connector.aclose()

    async def _hushed(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except AccordError as error:
            self._hush(error)
            raise

    def _hush(self, error: AccordError) -> None:
        mask = self._overheard.masked
        error.args = tuple(mask(one) if isinstance(one, str) else one for one in error.args)
        for name in ("problem", "limit", "cure"):
            told = getattr(error, name, None)
            if isinstance(told, str):
                setattr(error, name, mask(told))
