"""Invoices, invoice payments and credit notes: swept, read and looked up, each complete with its lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from connectors.stripe.client.documents import DocumentApi
from connectors.stripe.connector.finding import in_their_time, quoted, searched
from connectors.stripe.connector.pages import bad_record, cursor_in, objects_in, sighting_of
from connectors.stripe.connector.together import Turns, first_failure_raised, together
from connectors.stripe.manifest import ACCORD_REF, MANIFEST
from connectors.stripe.translate import StripeDocuments
from connectors.stripe.translate.reading import charge_of
from connectors.stripe.wire import UNDECODABLE, HeadWire, compact, is_storable, loads
from connectors.stripe.wire.documents import (
    ALSO_KEY,
    CreditLineWire,
    CreditNoteWire,
    DisputeWire,
    DocumentWire,
    InvoicePaymentWire,
    InvoiceWire,
    LineWire,
    RecordWire,
    decode_as,
    decode_document,
    encode_document,
)
from core.errors import BugError, GoneError, ReplyError, RetryError
from core.ports import Bad, Missing, Page, Probe, Sighting

INTENT: Final = "pi_"
"""How the id of a payment intent begins: a refund names that in place of an invoice's payment."""

_head = msgspec.json.Decoder(HeadWire)


class ListCursor(msgspec.Struct, omit_defaults=True):
    """Where a listing goes on: after an object, or, if that is gone meanwhile, at its time of creation."""

    after: str
    created: int


class Documents:
    """The documents of one connection."""

    def __init__(self, api: DocumentApi, translator: StripeDocuments) -> None:
        """Nothing is called yet."""
        self._api = api
        self._translator = translator
        self._turns = Turns()

    # ---- all of them -----------------------------------------------------------------------------

    async def sweep(self, kind: str, cursor: str | None) -> Page:
        """One page of the list, newest first."""
        raws, has_more = await self._page(kind, cursor_in(cursor, ListCursor))
        found = await together([partial(self._judged, kind, raw) for raw in raws], self._turns)
        judged = first_failure_raised(found)
        return Page(
            sightings=[one for one in judged if isinstance(one, Sighting)],
            bad=[one for one in judged if isinstance(one, Bad)],
            cursor=_next(raws) if has_more else None,
            is_last=not has_more,
        )

    async def _page(self, kind: str, cursor: ListCursor | None) -> tuple[list[bytes], bool]:
        params: dict[str, Any] = {"limit": MANIFEST.page_size}
        if cursor is None:
            raws, page = objects_in((await self._api.listed(kind, params)).body)
            return raws, page.has_more
        try:
            reply = await self._api.listed(kind, {**params, "starting_after": cursor.after})
        except GoneError:
            # a draft that was deleted between two pages; what was created in its second is read once more
            reply = await self._api.listed(kind, {**params, "created": {"lte": cursor.created}})
        raws, page = objects_in(reply.body)
        return raws, page.has_more

    async def _judged(self, kind: str, raw: bytes) -> Sighting | Bad | None:
        try:
            return await self.sighting(kind, raw)
        except GoneError:
            # deleted while its lines were read
            return None
        except ReplyError as error:
            record = loads(raw)
            name = record.get("id") if isinstance(record, dict) else None
            return bad_record(name if isinstance(name, str) else "", None, str(error), record)

    # ---- some of them ----------------------------------------------------------------------------

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read each as it is now (Stripe has no batch).

        For a payment intent, which is what a refund names: Missing, survived by the invoice's payment that it is.
        """
        wanted = list(dict.fromkeys(ids))
        found = await together([partial(self._read_one, kind, remote_id) for remote_id in wanted], self._turns)
        return dict(zip(wanted, first_failure_raised(found), strict=True))

    async def _read_one(self, kind: str, remote_id: str) -> Sighting | Missing:
        if kind == "payment" and remote_id.startswith(INTENT):
            found = await self.payments_by(remote_id)
            return Missing(remote_id, survivor=found[0] if found else None)
        try:
            reply = await self._api.one(kind, remote_id)
            wire = _shown(kind, remote_id, reply.body)
            # of an odd one the translator says what is wrong with it; the other documents of the batch flow
            return await self._whole(kind, wire) if wire else sighting_of(remote_id, compact(reply.body))
        except GoneError:
            return Missing(remote_id)

    async def payments_by(self, intent: str) -> list[str]:
        """The invoices' payments that a payment intent carried out; none for one that paid no invoice."""
        payment = {"type": "payment_intent", "payment_intent": intent}
        return [_head.decode(raw).id async for raw in self._listed("payment", {"payment": payment}, is_of_one=True)]

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting]:
        """Those that carry the marker, else those of the number."""
        unknown = sorted(set(probe.unique) - {"number"})
        if unknown:
            raise BugError(f"Stripe has no look-up of documents by {unknown[0]}")
        found = [one async for one in self._marked(kind, probe)] if probe.mark else []
        number = probe.unique.get("number")
        if found or not number or kind == "payment":
            return found
        return [one async for one in self._numbered(kind, number)]

    async def _marked(self, kind: str, probe: Probe) -> AsyncIterator[Sighting]:
        mark = probe.mark or ""
        since = await self._since(kind, probe.created_after) if probe.created_after is not None else None
        async for raw in self._candidates(kind, mark, since):
            # most are others', and need not be looked at
            if mark.encode() in raw:
                sighting = await self.sighting(kind, raw)
                if self._translator.mark(kind, sighting.raw) == mark:
                    yield sighting

    async def _since(self, kind: str, after: float) -> int:
        return in_their_time(after, await self._api.listed(kind, {"limit": 1}), self._api.clock.now())

    def _candidates(self, kind: str, mark: str, since: int | None) -> AsyncIterator[bytes]:
        if kind == "invoice" and since is None:
            return searched(self._api.search_invoices, f'metadata["{ACCORD_REF}"]:"{quoted(mark)}"')
        filters: dict[str, Any] = {"payment": {"type": "payment_record"}} if kind == "payment" else {}
        if since is not None:
            # Search lags by a minute or more, the list does not
            filters["created"] = {"gte": since}
        return self._listed(kind, filters)

    async def _numbered(self, kind: str, number: str) -> AsyncIterator[Sighting]:
        # there is no filter by number, and credit notes cannot be searched
        query = f'number:"{quoted(number)}"'
        is_invoice = kind == "invoice"
        candidates = searched(self._api.search_invoices, query) if is_invoice else self._listed(kind, {})
        async for raw in candidates:
            wire = decode_document(kind, raw)
            # Search ignores case
            if not isinstance(wire, InvoicePaymentWire) and wire.number == number:
                yield await self.sighting(kind, raw)

    async def _listed(self, kind: str, filters: Mapping[str, Any], *, is_of_one: bool = False) -> AsyncIterator[bytes]:
        """`is_of_one`: the filters name an object, which may be gone: then nothing is of it."""
        params: dict[str, Any] = {"limit": MANIFEST.page_size, **filters}
        while True:
            try:
                raws, page = objects_in((await self._api.listed(kind, params)).body)
            except GoneError as error:
                if is_of_one and "starting_after" not in params:
                    return
                raise RetryError("a document was deleted while the list was read") from error
            for raw in raws:
                yield raw
            if not page.has_more:
                return
            params["starting_after"] = _last(raws).id

    # ---- one of them -----------------------------------------------------------------------------

    async def sighting(self, kind: str, raw: bytes) -> Sighting:
        """The document with all of its lines, and nothing that is not looked at."""
        return await self._whole(kind, decode_document(kind, raw))

    async def _whole(self, kind: str, wire: DocumentWire) -> Sighting:
        await self._complete(kind, wire)
        if not is_storable(wire.id):
            raise ReplyError("it has no usable id")
        return sighting_of(wire.id, encode_document(wire))

    async def _complete(self, kind: str, wire: DocumentWire) -> None:
        """Lists bring the first ten lines only."""
        if isinstance(wire, InvoicePaymentWire):
            wire.others = await self._other_parts(wire)
            wire.disputes = await self._disputes(wire)
            return
        if not wire.lines.has_more:
            return
        if isinstance(wire, InvoiceWire):
            wire.lines.data = [decode_as(one, LineWire) for one in await self._lines(kind, wire)]
        else:
            wire.lines.data = [decode_as(one, CreditLineWire) for one in await self._lines(kind, wire)]
        wire.lines.has_more = False

    async def _other_parts(self, wire: InvoicePaymentWire) -> list[InvoicePaymentWire] | None:
        """The parts of a copy of ours that settle other invoices than its first one does."""
        record = wire.payment.payment_record
        held = (record.metadata or {}) if isinstance(record, RecordWire) else {}
        mark, others = held.get(ACCORD_REF), held.get(ALSO_KEY, "").split()
        if not mark or not others:
            return None
        found = []
        for invoice in others:
            found += [one for one in await self.payments_of(invoice) if self._translator.mark_of_part(one) == mark]
        return found or None

    async def _disputes(self, wire: InvoicePaymentWire) -> list[DisputeWire] | None:
        charge = charge_of(wire)
        if charge is None or not charge.disputed:
            return None
        params: dict[str, Any] = {"limit": MANIFEST.page_size, "charge": charge.id}
        raws, page = objects_in((await self._api.disputes(params)).body)
        if page.has_more:
            raise ReplyError(f"charge {charge.id} has more than {MANIFEST.page_size} disputes")
        return [decode_as(raw, DisputeWire) for raw in raws]

    async def payments_of(self, invoice: str) -> list[InvoicePaymentWire]:
        """The payments of one invoice, as they are now."""
        raws = [raw async for raw in self._listed("payment", {"invoice": invoice}, is_of_one=True)]
        return [decode_as(raw, InvoicePaymentWire) for raw in raws]

    async def marked_note(self, invoice: str, mark: str) -> bytes | None:
        """The credit note of an invoice that carries a mark."""
        async for raw in self._listed("credit_note", {"invoice": invoice}, is_of_one=True):
            if mark.encode() in raw and self._translator.mark("credit_note", raw) == mark:
                return raw
        return None

    async def _lines(self, kind: str, wire: InvoiceWire | CreditNoteWire) -> list[bytes]:
        found: list[bytes] = []
        params: dict[str, Any] = {"limit": MANIFEST.page_size}
        while True:
            try:
                raws, page = objects_in((await self._api.lines(kind, wire.id, params)).body)
            except GoneError as error:
                if not found:
                    raise
                raise RetryError("a line was taken away while the lines were read") from error
            found += raws
            if not page.has_more:
                return found
            params["starting_after"] = _last(raws).id


def _shown(kind: str, remote_id: str, body: bytes) -> DocumentWire | None:
    """The document of an answer; None where it cannot be understood. ReplyError where the answer is another one."""
    try:
        wire = decode_document(kind, body)
    except ReplyError:
        found = loads(body)
        if not isinstance(found, dict) or found.get("id") != remote_id:
            raise
        return None
    if wire.id != remote_id:
        raise ReplyError("Stripe's answer shows another document")
    return wire


def _last(raws: Sequence[bytes]) -> HeadWire:
    try:
        return _head.decode(raws[-1])
    except (IndexError, *UNDECODABLE) as error:
        raise ReplyError("Stripe's list goes on after a page without a usable id") from error


def _next(raws: Sequence[bytes]) -> str:
    last = _last(raws)
    return msgspec.json.encode(ListCursor(last.id, last.created)).decode()
