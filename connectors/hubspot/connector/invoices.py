"""Reads of invoices, each with its line items and whose it is.

A hundred invoices are read in four calls, and their line items by the hundred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.connector.looking import by_search, by_unique, read_batch
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.translate import NUMBER, HubSpotDocuments
from connectors.hubspot.wire import (
    ACCORD_REF,
    INVOICE_TO,
    TYPES,
    AssociationResults,
    FramedInvoice,
    ObjectType,
    Results,
    decoded,
    identified,
    invoice_id,
    invoice_sighting,
    join_id,
    judged,
    object_in,
)
from core.errors import GoneError, ReplyError
from core.ports import Bad, Missing, Probe, Sighting


class InvoiceReader:
    """Looks at the invoices of one account."""

    def __init__(self, client: HubSpotClient, documents: HubSpotDocuments) -> None:
        """The translator says which properties to ask for."""
        self._client = client
        self._documents = documents

    def asked(self, object_type: ObjectType) -> tuple[str, ...]:
        """The properties that every read of a type asks for."""
        return self._documents.properties(object_type)

    async def read(self, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """As they are now, by id: read-after-write safe."""
        found: dict[str, Sighting | Missing] = {}
        hubspot_ids = [invoice_id(remote_id) for remote_id in dict.fromkeys(ids)]
        for some in batches.slices(hubspot_ids, MANIFEST.read_batch):
            answer = await read_batch(self._client, "invoice", some, self._documents.properties("invoice"))
            there = _by_id(answer)
            told_missing = {one for error in answer.errors or () for one in error.told("ids")}
            for hubspot_id in some:
                if hubspot_id not in there and hubspot_id not in told_missing:
                    # neither there nor said to be missing: HubSpot answered less than it was asked
                    there |= await self._read_one(hubspot_id)
            found |= {remote_id: Missing(remote_id) for remote_id in map(_remote_id, some)}
            found |= {one.id: one for one in await self.whole(there)}
        return found

    async def _read_one(self, hubspot_id: str) -> dict[str, bytes]:
        try:
            raw = await self._client.get("invoice", hubspot_id, self._documents.properties("invoice"))
        except GoneError:
            return {}
        return {} if identified(raw).archived else {hubspot_id: raw}

    async def find(self, probe: Probe) -> Sequence[Sighting]:
        """By our marker: read-after-write safe. By number: the lagging search."""
        asked = self._documents.properties("invoice")
        if probe.mark:
            found = await self.whole(_by_id(await by_unique(self._client, "invoice", asked, ACCORD_REF, probe.mark)))
            if found:
                return found
        number = probe.unique.get("number")
        if not number:
            return []
        ids = await by_search(self._client, "invoice", NUMBER, number)
        read = await self.read([_remote_id(one) for one in ids])
        return [one for one in read.values() if isinstance(one, Sighting)]

    async def by_marks(self, marks: Sequence[str]) -> dict[str, Sighting]:
        """Those of our copies that are there."""
        found: dict[str, Sighting] = {}
        for some in batches.slices(marks, MANIFEST.read_batch):
            asked = self._documents.properties("invoice")
            there = await self.whole(_by_id(await read_batch(self._client, "invoice", some, asked, ACCORD_REF)))
            found |= {mark: one for one in there if (mark := _mark_in(one, some))}
        return found

    async def copies(self, records: Sequence[msgspec.Raw]) -> tuple[list[Sighting], list[Bad]]:
        """Of a page: our copies, whole, and what cannot be kept. What HubSpot bills itself is not ours to read."""
        ours: dict[str, bytes] = {}
        bad: list[Bad] = []
        for one in [judged("invoice", raw) for raw in records]:
            if isinstance(one, Bad):
                bad.append(one)
                continue
            try:
                if decoded(one.raw, FramedInvoice).object.properties.get(ACCORD_REF):
                    ours[one.id.partition(":")[2]] = object_in(one)
            except ReplyError as error:
                # one of a page: those beside and behind it are looked at
                bad.append(Bad(one.id, None, str(error), ascii(one.raw)))
        return await self.whole(ours), bad

    # ---- what belongs to an invoice --------------------------------------------------------------------

    async def whole(self, there: Mapping[str, bytes]) -> list[Sighting]:
        """Invoices by HubSpot id, joined with their lines and customers."""
        ids = list(there)
        customers: dict[str, list[str]] = {hubspot_id: [] for hubspot_id in ids}
        for object_type in TYPES:
            for hubspot_id, others in (await self._tied(object_type, ids)).items():
                customers[hubspot_id] += [join_id(object_type, one) for one in others]
        lines = await self._tied("line_item", ids)
        items = await self._items(list(dict.fromkeys(one for some in lines.values() for one in some)))
        return [
            invoice_sighting(
                hubspot_id, raw, [items[one] for one in lines[hubspot_id] if one in items], customers[hubspot_id]
            )
            for hubspot_id, raw in there.items()
        ]

    async def _tied(self, object_type: ObjectType, ids: Sequence[str]) -> dict[str, list[str]]:
        """By invoice: what it is tied to, by ascending id."""
        found: dict[str, list[str]] = {hubspot_id: [] for hubspot_id in ids}
        asked: list[dict[str, str]] = [{"id": hubspot_id} for hubspot_id in ids]
        while asked:
            some, asked = asked[: MANIFEST.read_batch], asked[MANIFEST.read_batch :]
            answer = decoded(await self._client.associations("invoice", object_type, some), AssociationResults)
            asked += batches.tied(answer, found, (INVOICE_TO[object_type],), object_type)
        if len(found) > len(ids):
            raise ReplyError("HubSpot's answer tells what others than the invoices asked for are tied to")
        return {hubspot_id: sorted(dict.fromkeys(others), key=int) for hubspot_id, others in found.items()}

    async def _items(self, ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for some in batches.slices(ids, MANIFEST.read_batch):
            answer = await read_batch(self._client, "line_item", some, self._documents.properties("line_item"))
            told_missing = {one for error in answer.errors or () for one in error.told("ids")}
            found |= _by_id(answer)
            if not set(some) <= found.keys() | told_missing:
                raise ReplyError("HubSpot's answer leaves out line items of an invoice")
        return found


def _mark_in(seen: Sighting, asked: Sequence[str]) -> str:
    """Which of the markers that were asked for an invoice carries.

    One that cannot be read has it among its bytes. It is there, and must not be made once more; whoever looks at it
    says what is wrong with it, and those that were asked for beside it go on.
    """
    try:
        return str(decoded(seen.raw, FramedInvoice).object.properties.get(ACCORD_REF))
    except ReplyError:
        return next((one for one in asked if f'"{one}"'.encode() in seen.raw), "")


def _remote_id(hubspot_id: str) -> str:
    return join_id("invoice", hubspot_id)


def _by_id(answer: Results) -> dict[str, bytes]:
    known = [(identified(raw), bytes(raw)) for raw in answer.results]
    return {one.id: raw for one, raw in known if not one.archived}
