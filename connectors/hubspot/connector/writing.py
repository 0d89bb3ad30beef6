"""Batch writes: never twice, never over what a person changed since, and one refusal never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.connector.reading import Reader
from connectors.hubspot.connector.sending import send, tie
from connectors.hubspot.translate import FOREIGN, HubSpotTranslator
from connectors.hubspot.translate.reading import ADDRESS
from connectors.hubspot.wire import (
    ACCORD_REF,
    CHILD_TO_PARENT,
    TYPES,
    ObjectType,
    Saved,
    is_text,
    join_id,
    reframed,
    with_billed,
    with_parent,
)
from core.errors import AccordError, AmbiguousError, ReauthorizeError, RejectedError, RetryError
from core.ports import Receipt, Sighting, Write, Written

UNSEEN: Final = "it was written, but could not be read back"
NO_PROPERTY: Final = "PROPERTY_DOESNT_EXIST"
COMPANIES: Final[tuple[ObjectType, ObjectType]] = ("company", "company")


class Writer:
    """Writes to one account."""

    def __init__(self, client: HubSpotClient, translator: HubSpotTranslator, reader: Reader) -> None:
        """The reader completes the answers of writes."""
        self._client = client
        self._translator = translator
        self._reader = reader

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Batches by type and action. Every input carries its key as trace id, so that one failure is one failure."""
        receipts: dict[str, Receipt] = {}
        for object_type in TYPES:
            ours = [write for write in writes if write.body.get("type") == object_type]
            creates = [write for write in ours if write.action == "create"]
            moves = [write for write in ours if "parent" in write.body]
            bills = [write for write in ours if "billed" in write.body]
            updates = [write for write in ours if write.action == "update" and "properties" in write.body]
            if creates:
                receipts |= await self._create(object_type, creates)
            if updates:
                receipts |= await self._update(object_type, updates)
            if moves:
                receipts |= await self._move(moves)
            if bills:
                receipts |= await self._bill(bills)
        odd = RejectedError("this write names no HubSpot object type", cure="plan it again")
        return [receipts.get(write.key, odd) for write in writes]

    async def _update(self, object_type: ObjectType, writes: Sequence[Write]) -> dict[str, Receipt]:
        """A property that the account does not have is left out, and the answer shows that it is not there.

        What else is in the write must not wait for it. Of a create it would: found again after a lost answer, nothing
        tells what was left out of it, and the value would pass for one that somebody has cleared since.
        """
        receipts = await self._updated(object_type, writes, await send(self._client, object_type, writes))
        lacking = {write.key: name for write in writes if (name := self._lacking(write, receipts[write.key]))}
        fewer = [_without(write, lacking[write.key]) for write in writes if write.key in lacking]
        if fewer:
            receipts |= await self._update(object_type, fewer)
        for key, name in lacking.items():
            one = receipts[key]
            if isinstance(one, Written):
                receipts[key] = msgspec.structs.replace(one, sighting=batches.without(one.sighting, name))
        return receipts

    def _lacking(self, write: Write, receipt: Receipt) -> str:
        """The property that a write was refused for since it is not there, if the rest says something without it."""
        name = receipt.field if isinstance(receipt, RejectedError) and receipt.limit == NO_PROPERTY else None
        properties = write.body["properties"]
        is_spare = name not in (ACCORD_REF, self._translator.external_property) and name in properties
        return name if name and is_spare and _without(write, name).body["properties"] else ""

    async def _create(self, object_type: ObjectType, writes: Sequence[Write]) -> dict[str, Receipt]:
        """Upsert by our unique marker, but never over an object that is already there.

        A repeated upsert would write the old body over whatever a person has changed since: it is looked for first.
        """
        receipts: dict[str, Receipt] = {}
        marked = [write for write in writes if write.body["properties"].get(ACCORD_REF)]
        for write in writes:
            receipts[write.key] = RejectedError("this create has no marker: it could not be repeated safely")
        repeated = [batches.marker(write) for write in marked if write.is_repeat]
        try:
            there = await self._by_marker(object_type, repeated)
        except (RetryError, ReauthorizeError) as error:
            return {write.key: error for write in writes}
        except AccordError as error:
            # a refused look-up too: it says nothing of the object that may be there
            return {write.key: RetryError(f"nothing was sent: {error}") for write in writes}
        for write in marked:
            if batches.marker(write) in there:
                receipts[write.key] = Written(there[batches.marker(write)], is_replay=True)
        fresh = [write for write in marked if batches.marker(write) not in there]
        return receipts | await self._created(object_type, fresh, await send(self._client, object_type, fresh))

    async def _created(
        self, object_type: ObjectType, writes: Sequence[Write], outcomes: Mapping[str, Saved | AccordError]
    ) -> dict[str, Receipt]:
        """A new object is told by the answer alone. One that was there after all is read, as any older one."""
        made = {key: one for key, one in outcomes.items() if isinstance(one, Saved) and one.new}
        blank = [name for name in self._translator.properties(object_type) if name not in FOREIGN]
        receipts: dict[str, Receipt] = {key: Written(self._made(object_type, one, blank)) for key, one in made.items()}
        rest = [write for write in writes if write.key not in made]
        older = await self._completed(object_type, rest, {write.key: outcomes[write.key] for write in rest})
        for key, one in older.items():
            receipts[key] = msgspec.structs.replace(one, is_replay=True) if isinstance(one, Written) else one
        return receipts

    def _made(self, object_type: ObjectType, saved: Saved, blank: Sequence[str]) -> Sighting:
        seen = batches.created(object_type, saved, blank)
        return with_billed(seen, ()) if object_type == "contact" and self._translator.has_billing else seen

    async def _by_marker(self, object_type: ObjectType, marks: Sequence[str]) -> dict[str, Sighting]:
        if not marks:
            return {}
        answer = await self._reader.batch(object_type, marks, ACCORD_REF)
        found = [one for one in batches.by_id(object_type, answer).values() if isinstance(one, Sighting)]
        there = (await self._reader.related(found)).values()
        return {str(self._translator.read(one.raw).accord_ref): one for one in there}

    async def _updated(
        self, object_type: ObjectType, writes: Sequence[Write], outcomes: Mapping[str, Saved | AccordError]
    ) -> dict[str, Receipt]:
        """The object that was read for the write, with what its answer tells. What it replaced is asked for later."""
        receipts: dict[str, Receipt] = {}
        for write in writes:
            saved, remote_id = outcomes[write.key], str(write.remote_id)
            # one that was merged away meanwhile is answered by its survivor, which was not read
            is_it = isinstance(saved, Saved) and join_id(object_type, saved.id) == remote_id
            if isinstance(saved, Saved) and is_it and write.current is not None:
                seen = batches.joined(reframed(remote_id, write.current), saved, write.body["properties"])
                receipts[write.key] = Written(seen, stamp=saved.updated_at or "")
        rest = [write for write in writes if write.key not in receipts]
        return receipts | await self._completed(object_type, rest, {write.key: outcomes[write.key] for write in rest})

    async def _completed(
        self, object_type: ObjectType, writes: Sequence[Write], outcomes: Mapping[str, Saved | AccordError]
    ) -> dict[str, Receipt]:
        """HubSpot answers a write with what was written, not with the whole object: read the rest, and join.

        Written properties have the value of the write's own answer, even if somebody wrote in between.
        """
        receipts: dict[str, Receipt] = {key: one for key, one in outcomes.items() if isinstance(one, AccordError)}
        done = [(write, one) for write in writes if isinstance(one := outcomes[write.key], Saved)]
        if done:
            receipts |= await self._read_back(object_type, done)
        return receipts

    async def _read_back(self, object_type: ObjectType, done: Sequence[tuple[Write, Saved]]) -> dict[str, Receipt]:
        try:
            seen = await self._reader.read_batch(object_type, [saved.id for _, saved in done])
        except AccordError as error:
            return {write.key: AmbiguousError(f"{UNSEEN}: {error}") for write, _ in done}
        receipts: dict[str, Receipt] = {}
        for write, saved in done:
            found = seen[join_id(object_type, saved.id)]
            if isinstance(found, Sighting) and is_text(found):
                whole = batches.joined(found, saved, write.body["properties"])
                stamp = (saved.updated_at or "") if write.action == "update" else ""
                receipts[write.key] = Written(whole, stamp=stamp)
            else:
                receipts[write.key] = AmbiguousError(UNSEEN)
        return receipts

    async def _move(self, writes: Sequence[Write]) -> dict[str, Receipt]:
        """Off the old parent, onto the new one: two calls for all of them. In between a company has none.

        A company that was taken off and not put on is unclear, never refused: what is there by then is looked at.
        """
        off = {
            write.key: [batches.tie(write, one, CHILD_TO_PARENT) for one in write.body["parent"]["from"]]
            for write in writes
        }
        failed = await tie(partial(self._client.dissociate, *COMPANIES), off, "company")
        receipts: dict[str, Receipt] = dict(failed)
        rest = [write for write in writes if write.key not in failed]
        on = {
            write.key: [batches.tie(write, to, CHILD_TO_PARENT)] for write in rest if (to := write.body["parent"]["to"])
        }
        for key, error in (await tie(partial(self._client.associate, *COMPANIES), on, "company")).items():
            receipts[key] = AmbiguousError(f"it was taken off its parent: {error}") if off[key] else error
        return receipts | await self._tied([write for write in rest if write.key not in receipts], _moved)

    async def _bill(self, writes: Sequence[Write]) -> dict[str, Receipt]:
        """Contacts as billing contacts of companies; what else they are to anybody stays. Repeating it is fine."""
        try:
            type_id = await self._reader.billing_type()
        except (RetryError, ReauthorizeError, RejectedError) as error:
            return {write.key: error for write in writes}
        except AccordError as error:
            return {write.key: RetryError(f"nothing was sent: {error}") for write in writes}
        ties = {write.key: [batches.tie(write, write.body["billed"], type_id)] for write in writes}
        failed = await tie(partial(self._client.associate, "contact", "company"), ties, "contact")
        return {**failed, **await self._tied([write for write in writes if write.key not in failed], _billed)}

    async def _tied(self, writes: Sequence[Write], joined: Callable[[Sighting, Write], Sighting]) -> dict[str, Receipt]:
        """The objects as they are after they were tied, `joined` with what was written."""
        if not writes:
            return {}
        try:
            there = await self._reader.read([str(write.remote_id) for write in writes])
        except AccordError as error:
            return {write.key: AmbiguousError(f"{UNSEEN}: {error}") for write in writes}
        receipts: dict[str, Receipt] = {}
        for write in writes:
            found = there[str(write.remote_id)]
            if isinstance(found, Sighting) and is_text(found):
                receipts[write.key] = Written(joined(found, write))
            else:
                receipts[write.key] = AmbiguousError(UNSEEN)
        return receipts


def _without(write: Write, name: str) -> Write:
    """An address goes as a whole: a part of it would be read as what somebody at HubSpot made of it."""
    out = set(ADDRESS.values()) if name in ADDRESS.values() else {name}
    properties = {one: text for one, text in write.body["properties"].items() if one not in out}
    return msgspec.structs.replace(write, body={**write.body, "properties": properties})


def _moved(found: Sighting, write: Write) -> Sighting:
    to = write.body["parent"]["to"]
    return with_parent(found, [to] if to else [])


def _billed(found: Sighting, write: Write) -> Sighting:
    return with_billed(found, {*batches.billed_by(found), write.body["billed"]})
