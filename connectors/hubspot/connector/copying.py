"""Writes of copies of invoices: every step may be lost or repeated, and none of them can make anything twice."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.connector.invoices import InvoiceReader
from connectors.hubspot.connector.sending import send, tie
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.translate.documents import BILLING_CONTACT
from connectors.hubspot.translate.lines import difference
from connectors.hubspot.wire import (
    ACCORD_REF,
    INVOICE_TO,
    HubSpotObject,
    ObjectType,
    Saved,
    invoice_sighting,
    join_id,
    split_id,
)
from core.errors import (
    AccordError,
    AmbiguousError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    RetryError,
    TakenError,
)
from core.ports import Receipt, Sighting, Write, Written

UNSEEN: Final = "it was written, but could not be read back"
WRITES_TIED: Final = 20
"""A write adds at most a hundred lines, and one call ties two thousand (PROVIDERS §1)."""

TAKEN_OFF: Final = 100
"""Ties that one call takes off (PROVIDERS §1)."""

BESIDE: Final = MANIFEST.in_flight // 2
"""Batches of one write that are under way at once: the other half of the sockets is for what else the lane does."""

Outcomes = dict[str, Saved | AccordError]
Between = Callable[[ObjectType, ObjectType, Sequence[Mapping[str, Any]]], Awaitable[bytes]]
"""A call that makes or takes off ties between objects of two types."""
Done = dict[str, str]
"""Key of a write -> HubSpot id of the invoice it is about."""
Failed = dict[str, AccordError]


class InvoiceWriter:
    """Writes the copies of one account."""

    def __init__(self, client: HubSpotClient, reader: InvoiceReader) -> None:
        """The reader finds what a lost answer has left, and completes the answers."""
        self._client = client
        self._reader = reader

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """One receipt for each: the invoice as it is after the write, lines and all."""
        acts = {
            "tie": self._tie,
            "add_lines": self._add_lines,
            "unbill": self._update,
            "update": self._update,
            "void": self._update,
            "tie_contact": self._tie_contact,
        }
        receipts: dict[str, Receipt] = {}
        done: Done = {}
        replays: set[str] = set()
        creates = [write for write in writes if write.action == "create"]
        if creates:
            receipts, done = await self._create(creates)
            replays = set(done)
        for action, act in acts.items():
            ours = [write for write in writes if write.action == action]
            if ours:
                failed, ids = await act(ours)
                receipts |= failed
                done |= ids
        receipts |= await self._read_back(done, replays)
        odd = RejectedError("this write is no step of a copy at HubSpot", cure="plan it again")
        return [receipts.get(write.key, odd) for write in writes]

    async def _create(self, writes: Sequence[Write]) -> tuple[dict[str, Receipt], Done]:
        """First the lines, then the invoices with their ties. A repeat looks first, and what is there stays so.

        Our marker is unique: HubSpot refuses a second invoice of a repeat that overtakes what it repeats.
        """
        try:
            known = await self._known([write for write in writes if write.is_repeat])
        except (RetryError, ReauthorizeError) as error:
            return {write.key: error for write in writes}, {}
        except AccordError as error:
            # a refused look-up too: it says nothing of the object that may be there
            return {write.key: RetryError(f"nothing was sent: {error}") for write in writes}, {}
        failed, lines = await self._lines([write for write in writes if write.key not in known])
        ready = [write for write in writes if write.key in lines]
        receipts: dict[str, Receipt] = {**failed, **await self._invoices(ready, lines)}
        known |= await self._taken([write for write in ready if isinstance(receipts[write.key], TakenError)])
        return {key: one for key, one in receipts.items() if key not in known}, known

    async def _invoices(self, writes: Sequence[Write], lines: Mapping[str, Sequence[Saved]]) -> dict[str, Receipt]:
        """Invoices with all their ties. One that is refused with its billing contact is made without: that waits."""
        ties = {write.key: _ties(write, lines[write.key]) for write in writes}
        outcomes = await self._each_hundred(writes, lambda some: send(self._client, "invoice", some, ties))
        again = [_without_contact(write) for write in writes if _may_be_the_contact(write, outcomes[write.key])]
        fewer = {write.key: _ties(write, lines[write.key]) for write in again}
        outcomes |= await self._each_hundred(again, lambda some: send(self._client, "invoice", some, fewer))
        found: dict[str, Receipt] = {}
        for write in [*writes, *again]:
            one = outcomes[write.key]
            found[write.key] = one if isinstance(one, AccordError) else self._made(write, one, lines[write.key])
        return found

    async def _known(self, writes: Sequence[Write]) -> Done:
        """Those of some creates whose invoices are there already."""
        there = await self._reader.by_marks([batches.marker(write) for write in writes])
        return {
            write.key: there[mark].id.partition(":")[2] for write in writes if (mark := batches.marker(write)) in there
        }

    async def _taken(self, writes: Sequence[Write]) -> Done:
        """Creates that were refused because of what is there: it may be their own."""
        try:
            return await self._known(writes) if writes else {}
        except AccordError:  # the refusal itself is what matters
            return {}

    def _made(self, write: Write, saved: Saved, lines: Sequence[Saved]) -> Written:
        """A new invoice as its answers tell it: HubSpot makes it with all its ties, or not at all."""
        items = [batches.as_made(one, self._reader.asked("line_item")) for one in lines]
        raw = batches.as_made(saved, self._reader.asked("invoice"))
        return Written(invoice_sighting(saved.id, raw, items, _whose(write)))

    async def _update(self, writes: Sequence[Write]) -> tuple[Failed, Done]:
        return _sorted(await self._each_hundred(writes, lambda some: send(self._client, "invoice", some)))

    async def _tie(self, writes: Sequence[Write]) -> tuple[Failed, Done]:
        """To the contact or company that the customer is there, and off the one that it was before: never nobody's."""
        failed = await self._of_customers(self._client.associate, writes, "customer")
        for some in batches.slices([one for one in writes if one.body.get("off") and one.key not in failed], TAKEN_OFF):
            for key, error in (await self._of_customers(self._client.dissociate, some, "off")).items():
                failed[key] = AmbiguousError(f"a part of it was done: {error}")
        return failed, _told(writes, failed)

    async def _of_customers(self, sent: Between, writes: Sequence[Write], end: str) -> Failed:
        by_type: dict[ObjectType, dict[str, list[Mapping[str, object]]]] = defaultdict(dict)
        for write in writes:
            object_type, hubspot_id = split_id(write.body[end])
            by_type[object_type][write.key] = [batches.tie(write, hubspot_id, INVOICE_TO[object_type])]
        failed: Failed = {}
        for object_type, inputs in by_type.items():
            failed |= await tie(partial(sent, "invoice", object_type), inputs, object_type)
        return failed

    async def _tie_contact(self, writes: Sequence[Write]) -> tuple[Failed, Done]:
        """Off the billing contact of before, onto the one of now, and which one that is: each a call for all of them.

        A copy of which a part was done is unclear, never refused: what is there by then is looked at.
        """
        failed: Failed = {}
        begun: set[str] = set()
        for part, act in (("off", self._take_off), ("on", self._put_on), ("properties", self._note)):
            rest = [write for write in writes if write.body[part] and write.key not in failed]
            for key, error in (await act(rest)).items():
                failed[key] = AmbiguousError(f"a part of it was done: {error}") if key in begun else error
            begun |= {write.key for write in rest}
        return failed, _told(writes, failed)

    async def _take_off(self, writes: Sequence[Write]) -> Failed:
        failed: Failed = {}
        for some in batches.slices(writes, TAKEN_OFF):
            failed |= await self._of_contacts(self._client.dissociate, some, "off")
        return failed

    async def _put_on(self, writes: Sequence[Write]) -> Failed:
        return await self._of_contacts(self._client.associate, writes, "on")

    async def _note(self, writes: Sequence[Write]) -> Failed:
        outcomes = await self._each_hundred(writes, lambda some: send(self._client, "invoice", some))
        return _sorted(outcomes)[0]

    async def _of_contacts(self, sent: Between, writes: Sequence[Write], end: str) -> Failed:
        """By contact: one that is not there is found by halves once, and not for each of its invoices."""
        theirs: dict[str, list[Write]] = defaultdict(list)
        for write in writes:
            theirs[write.body[end]].append(write)
        inputs = {
            name: [batches.tie(write, split_id(name)[1], INVOICE_TO["contact"]) for write in some]
            for name, some in theirs.items()
        }
        failed = await tie(partial(sent, "invoice", "contact"), inputs, "contact")
        return {write.key: error for name, error in failed.items() for write in theirs[name]}

    async def _add_lines(self, writes: Sequence[Write]) -> tuple[Failed, Done]:
        """Make the lines by their markers, then tie them: a line that was made and not tied is found again."""
        failed, lines = await self._lines(writes)
        ties = {
            write.key: [batches.tie(write, one.id, INVOICE_TO["line_item"]) for one in lines[write.key]]
            for write in writes
            if write.key in lines
        }
        failed |= await self._tie_lines(ties)
        return failed, _told(writes, failed)

    async def _lines(self, writes: Sequence[Write]) -> tuple[Failed, dict[str, list[Saved]]]:
        """Make the lines of some writes, a hundred at a time, by their markers: whole ones, by the writes' keys."""
        parts = [part for write in writes for part in _parts(write)]
        outcomes = await self._each_hundred(parts, lambda some: send(self._client, "line_item", some))
        failed: Failed = {}
        made: dict[str, list[Saved]] = {}
        for write in writes:
            mine = {part.key: outcomes[part.key] for part in _parts(write)}
            wrong = _error_of(write, mine)
            if wrong:
                failed[write.key] = wrong
            else:
                made[write.key] = [one for one in mine.values() if isinstance(one, Saved)]
        return failed, made

    async def _each_hundred(
        self, writes: Sequence[Write], sent: Callable[[Sequence[Write]], Awaitable[Outcomes]]
    ) -> Outcomes:
        """Send writes in batches, some of them beside each other."""
        room = asyncio.Semaphore(BESIDE)

        async def one(some: Sequence[Write]) -> Outcomes:
            async with room:
                return await sent(some)

        found = await asyncio.gather(*map(one, batches.slices(writes, MANIFEST.write_batch)))
        return {key: outcome for some in found for key, outcome in some.items()}

    async def _tie_lines(self, ties: Mapping[str, Sequence[Mapping[str, object]]]) -> Failed:
        failed: Failed = {}
        for keys in batches.slices(list(ties), WRITES_TIED):
            inputs = {key: ties[key] for key in keys}
            failed |= await tie(partial(self._client.associate, "invoice", "line_item"), inputs, "line_item")
        # the lines themselves are there by now: only a refusal is certain
        return {key: one if isinstance(one, RejectedError) else AmbiguousError(str(one)) for key, one in failed.items()}

    async def _read_back(self, done: Done, replays: set[str]) -> dict[str, Receipt]:
        try:
            there = await self._reader.read([join_id("invoice", one) for one in done.values()])
        except AccordError as error:
            return {key: AmbiguousError(f"{UNSEEN}: {error}") for key in done}
        receipts: dict[str, Receipt] = {}
        for key, hubspot_id in done.items():
            found = there[join_id("invoice", hubspot_id)]
            if isinstance(found, Sighting):
                receipts[key] = Written(found, is_replay=key in replays)
            else:
                receipts[key] = AmbiguousError(f"{UNSEEN}: it is not there")
        return receipts


def _whose(write: Write) -> list[str]:
    """The contact and the company of a new invoice, in the order in which they are read."""
    return [one for one in (write.body.get("contact"), write.body["customer"]) if one]


def _ties(write: Write, lines: Sequence[Saved]) -> list[Mapping[str, object]]:
    """What a new invoice is tied to: whose it is, and its lines."""
    whose = [batches.tie_to(one, INVOICE_TO[object_type]) for object_type, one in map(split_id, _whose(write))]
    return [*whose, *(batches.tie_to(one.id, INVOICE_TO["line_item"]) for one in lines)]


def _may_be_the_contact(write: Write, outcome: Saved | AccordError) -> bool:
    """Whether a create was refused, and its billing contact may be why: HubSpot does not say which tie it was."""
    is_refused = isinstance(outcome, RejectedError | GoneError) and not isinstance(outcome, TakenError)
    return is_refused and "contact" in write.body


def _without_contact(write: Write) -> Write:
    properties = {name: text for name, text in write.body["properties"].items() if name != BILLING_CONTACT}
    body = {name: one for name, one in write.body.items() if name != "contact"} | {"properties": properties}
    return msgspec.structs.replace(write, body=body)


def _parts(write: Write) -> list[Write]:
    """The lines of a write, as a create each."""
    return [
        Write(
            key=f"{write.key}/{number}",
            action="create",
            kind="line_item",
            remote_id=None,
            body={"properties": properties},
        )
        for number, properties in enumerate(write.body["lines"])
    ]


def _error_of(write: Write, outcomes: Mapping[str, Saved | AccordError]) -> AccordError | None:
    """What became of a write whose lines may have had different fates."""
    errors = {key: one for key, one in outcomes.items() if isinstance(one, AccordError)}
    for part in _parts(write):
        error = errors.get(part.key)
        if isinstance(error, RejectedError):
            properties = part.body["properties"]
            where = f"lines.{properties['accord_position']}"
            name = error.field or properties[ACCORD_REF]
            return RejectedError(error.problem, field=f"{where}.{name}", limit=error.limit, cure=error.cure)
        if isinstance(outcome := outcomes[part.key], Saved):
            told = difference(HubSpotObject(outcome.id, outcome.properties), part.body["properties"])
            if told:
                return RejectedError(f"HubSpot has made another line of it: {told}", field="lines")
    first = next(iter(errors.values()), None)
    # of the others some are there: that is not "nothing was changed"
    return AmbiguousError(str(first)) if first and len(errors) < len(outcomes) else first


def _sorted(outcomes: Mapping[str, Saved | AccordError]) -> tuple[Failed, Done]:
    failed = {key: one for key, one in outcomes.items() if isinstance(one, AccordError)}
    return failed, {key: one.id for key, one in outcomes.items() if isinstance(one, Saved)}


def _told(writes: Sequence[Write], failed: Failed) -> Done:
    return {write.key: (write.remote_id or "").partition(":")[2] for write in writes if write.key not in failed}
