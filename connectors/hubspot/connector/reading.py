"""Reads that are true at the moment: by id in batches, by what is unique, and by search where nothing else is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.connector.looking import associations, by_search, by_unique, read_batch
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.translate import HubSpotTranslator
from connectors.hubspot.wire import (
    ACCORD_REF,
    BILLING,
    CHILD_TO_PARENT,
    TYPES,
    Labels,
    ObjectType,
    Results,
    decoded,
    identified,
    is_text,
    join_id,
    results_in,
    sighting,
    split_id,
    with_billed,
    with_parent,
)
from core.errors import GoneError
from core.ports import Missing, Probe, Sighting


class Reader:
    """Looks at one account; what it cannot read it never calls missing."""

    def __init__(self, client: HubSpotClient, translator: HubSpotTranslator) -> None:
        """The translator says which properties to ask for."""
        self._client = client
        self._translator = translator

    async def read(self, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Batch reads by type, by id: read-after-write safe."""
        by_type: dict[ObjectType, list[str]] = defaultdict(list)
        for remote_id in dict.fromkeys(ids):
            object_type, hubspot_id = split_id(remote_id)
            by_type[object_type].append(hubspot_id)
        found: dict[str, Sighting | Missing] = {}
        for object_type, hubspot_ids in by_type.items():
            for batch in batches.slices(hubspot_ids, MANIFEST.read_batch):
                found |= await self.read_batch(object_type, batch)
        return found

    async def read_batch(self, object_type: ObjectType, ids: Sequence[str]) -> dict[str, Sighting | Missing]:
        """Up to one batch of one type, by remote id."""
        return (await self.with_history(object_type, ids, ()))[0]

    async def with_history(
        self, object_type: ObjectType, ids: Sequence[str], history: Sequence[str]
    ) -> tuple[dict[str, Sighting | Missing], dict[str, dict[str, list[batches.Version]]]]:
        """Up to one batch by remote id, and by HubSpot id the values that these properties had (fifty at most)."""
        answer = await self.batch(object_type, ids, history=history)
        there = batches.by_id(object_type, answer)
        told_missing = {one for error in answer.errors or () for one in error.told("ids")}
        found: dict[str, Sighting | Missing] = {}
        for hubspot_id in ids:
            remote_id = join_id(object_type, hubspot_id)
            if hubspot_id in there:
                found[remote_id] = there[hubspot_id]
            elif hubspot_id in told_missing:
                found[remote_id] = Missing(remote_id)
            else:
                # neither there nor said to be missing: merged away, or HubSpot answered less than it was asked
                found[remote_id] = batches.survivor(remote_id, answer) or await self._read_one(object_type, hubspot_id)
        found |= await self.related([one for one in found.values() if isinstance(one, Sighting)])
        return found, batches.histories(answer) if history else {}

    async def related(self, seen: Sequence[Sighting]) -> dict[str, Sighting]:
        """By remote id: companies with the company above each; contacts with the companies that they are billed for.

        One call for a hundred of each; where nobody asks for billing contacts, contacts are as they are.
        """
        texts = [one.id for one in seen if is_text(one)]
        ids = {kind: [one.partition(":")[2] for one in texts if one.startswith(f"{kind}:")] for kind in TYPES}
        above = await self._ties(ids["company"], "company", (CHILD_TO_PARENT,))
        found = {one.id: one for one in seen}
        found |= {
            name: with_parent(found[name], some) for one, some in above.items() if (name := f"company:{one}") in found
        }
        if self._translator.has_billing:
            billed = await self._ties(ids["contact"], "contact", BILLING)
            found |= {
                name: with_billed(found[name], some)
                for one, some in billed.items()
                if (name := f"contact:{one}") in found
            }
        return found

    async def _ties(self, ids: Sequence[str], object_type: ObjectType, types: Collection[int]) -> dict[str, list[str]]:
        """The companies that each of some objects is tied to by one of these types."""
        found: dict[str, list[str]] = {hubspot_id: [] for hubspot_id in ids}
        asked: list[dict[str, str]] = [{"id": hubspot_id} for hubspot_id in dict.fromkeys(ids)]
        while asked:
            answer = await associations(self._client, object_type, "company", asked[: MANIFEST.read_batch])
            asked = asked[MANIFEST.read_batch :] + batches.tied(answer, found, types, object_type)
        return found

    async def billing_type(self) -> int:
        """By which number a contact is a company's billing contact. HubSpot numbers each direction of a label."""
        return batches.billing_type(decoded(await self._client.labels(), Labels))

    async def batch(
        self,
        object_type: ObjectType,
        ids: Sequence[str],
        id_property: str | None = None,
        history: Sequence[str] = (),
    ) -> Results:
        """One batch read. Failures of single inputs other than "not there" fail it: not read is not missing."""
        asked = self._translator.properties(object_type)
        return await read_batch(self._client, object_type, ids, asked, id_property, history)

    async def _read_one(self, object_type: ObjectType, hubspot_id: str) -> Sighting | Missing:
        remote_id = join_id(object_type, hubspot_id)
        try:
            raw = await self._client.get(object_type, hubspot_id, self._translator.properties(object_type))
        except GoneError:
            return Missing(remote_id)
        found = identified(raw)
        if found.archived:
            return Missing(remote_id)
        if found.id != hubspot_id:
            return Missing(remote_id, survivor=join_id(object_type, found.id))
        return sighting(object_type, found.id, raw)

    async def find(self, probe: Probe) -> Sequence[Sighting | Missing]:
        """By our marker or a contact's e-mail: read-after-write safe. By external id: the lagging search."""
        found = await self._live(probe)
        return found if found or not (probe.mark and probe.with_deleted) else await self._deleted(probe.mark)

    async def _deleted(self, mark: str) -> list[Missing]:
        """From the recycle bin, where objects lie for ninety days. Nothing but its listing finds them by a value."""
        found: list[Missing] = []
        for object_type in TYPES:
            after: str | None = None
            while True:
                page = await self._client.list(object_type, [ACCORD_REF], after, MANIFEST.page_size, is_archived=True)
                answer = results_in(page)
                found += [Missing(one) for one in batches.marked(object_type, answer, mark)]
                if not (answer.paging and answer.paging.next):
                    break
                after = answer.paging.next.after
        return found

    async def _live(self, probe: Probe) -> list[Sighting]:
        found: list[Sighting] = []
        for object_type in TYPES:
            if probe.mark:
                found += await self._by_unique(object_type, ACCORD_REF, probe.mark)
        if probe.external_id and not found:
            for object_type in TYPES:
                found += await self._by_search(object_type, self._translator.external_property, probe.external_id)
        email = self._translator.canonical("email", probe.unique.get("email"))
        if isinstance(email, str) and not found:
            found += await self._by_unique("contact", "email", email)
        return found

    async def _by_unique(self, object_type: ObjectType, name: str, value: str) -> list[Sighting]:
        answer = await by_unique(self._client, object_type, self._translator.properties(object_type), name, value)
        there = [one for one in batches.by_id(object_type, answer).values() if isinstance(one, Sighting)]
        return list((await self.related(there)).values())

    async def _by_search(self, object_type: ObjectType, name: str, value: str) -> list[Sighting]:
        hits = await by_search(self._client, object_type, name, value)
        read = await self.read([join_id(object_type, one) for one in hits])
        return [one for one in read.values() if isinstance(one, Sighting)]
