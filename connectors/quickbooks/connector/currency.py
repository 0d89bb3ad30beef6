"""A company without multicurrency: what it does not say of a currency, and what must not be said to it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from connectors.quickbooks.connector import pages
from connectors.quickbooks.connector.reading import Reading
from connectors.quickbooks.manifest import CUSTOMER
from connectors.quickbooks.wire import Ref
from core.errors import AccordError, AmbiguousError, RejectedError, ReplyError, RetryError
from core.ports import Missing, Page, Receipt, Sighting, Write, Written

KEPT_SECONDS: Final = 600.0
"""Longer than what is asked for the closing date is kept: where documents are copied, nothing more is asked."""
_CURRENCY: Final = "CurrencyRef"
_TOLD: Final = f'"{_CURRENCY}"'.encode()


class HomeCurrency:
    """The currency of everything in a company without multicurrency, whose objects may leave theirs out."""

    def __init__(self, reading: Reading) -> None:
        """Nothing is asked before an object leaves its currency out, or a write names one."""
        self._reading = reading

    async def seen(self, found: Sighting | Missing) -> Sighting | Missing:
        """The same object with its currency; as it is in a company with multicurrency, where nobody can tell."""
        if isinstance(found, Missing) or _TOLD in found.raw or not (only := await self._of_company()):
            return found
        told = msgspec.json.encode({"value": only})
        return pages.sighting(found.id, b'%b,"%b":%b}' % (found.raw.rstrip()[:-1], _CURRENCY.encode(), told))

    async def page(self, page: Page) -> Page:
        """The same page, each object with its currency."""
        seen = [await self.seen(one) for one in page.sightings]
        return msgspec.structs.replace(page, sightings=seen)

    async def receipt(self, receipt: Receipt) -> Receipt:
        """The same receipt; what was written is in doubt where its currency cannot be asked for: a repeat tells."""
        if not isinstance(receipt, Written):
            return receipt
        try:
            seen = await self.seen(receipt.sighting)
        except AccordError as error:
            return AmbiguousError(str(error))
        return msgspec.structs.replace(receipt, sighting=seen)

    async def sendable(self, write: Write) -> Write | AccordError:
        """A write without the company's only currency; refused, where it is in another one."""
        named = write.body.get(_CURRENCY)
        if named is None:
            return write
        try:
            only = await self._of_company()
        except ReplyError as error:  # about the company: nothing was sent
            return RetryError(str(error))
        except AccordError as error:
            return error
        if not only:
            return write
        if named["value"] != only:
            return _refused(named["value"], only, write.kind)
        body: dict[str, Any] = {name: value for name, value in write.body.items() if name != _CURRENCY}
        return msgspec.structs.replace(write, body=body)

    async def _of_company(self) -> str:
        told = (await self._reading.preferences(most_age=KEPT_SECONDS)).currency
        home = told.home.value if isinstance(told.home, Ref) else told.home
        return "" if told.are_many else home


def _refused(ours: str, only: str, kind: str) -> RejectedError:
    cure = "switch multicurrency on in QuickBooks (for good), then retry"
    return RejectedError(
        f"it is in {ours}, and the company has no other currency than {only}",
        field="currency",
        limit=f"{only}: multicurrency is off in QuickBooks",
        cure=cure if kind == CUSTOMER else f"{cure}; or book it by hand and leave it",
    )
