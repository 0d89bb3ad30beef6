"""HubSpot as a connector: contacts and companies are its customers (README.md says how to connect an account)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches, feed
from connectors.hubspot.errors import item_error
from connectors.hubspot.manifest import BURSTS, MANIFEST, limits_of
from connectors.hubspot.translate import GROUP, Definition, HubSpotTranslator
from connectors.hubspot.webhook import HubSpotWebhooks
from connectors.hubspot.wire import (
    ACCORD_REF,
    TYPES,
    AccountDetails,
    Identified,
    ObjectType,
    PropertyDetails,
    PropertyList,
    Results,
    Saved,
    decoded,
    join_id,
    judged,
    results_in,
    sighting,
    split_id,
)
from core.errors import (
    AccordError,
    AmbiguousError,
    ConfigError,
    GoneError,
    InvalidInputError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    TakenError,
)
from core.http.limits import RateLimiter
from core.model.remote import Manifest
from core.ports import (
    Account,
    Bad,
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

UNSEEN: Final = "it was written, but could not be read back"


class HubSpotConnector:
    """One HubSpot account."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell) -> None:
        """Nothing is called yet."""
        distribution = config.settings.get("distribution", "pro")
        if distribution not in BURSTS:
            raise ConfigError(f"{distribution!r} is none of {', '.join(BURSTS)}", key=f"{config.name}.distribution")
        self._manifest = msgspec.structs.replace(MANIFEST, limits=limits_of(distribution))
        self._translator = HubSpotTranslator(config)
        self._clock = shell.clock
        limiter = RateLimiter(self._manifest.limits, shell.clock)
        self._client = HubSpotClient(config.settings, vault, shell, limiter, connections=self._manifest.in_flight)

    @property
    def manifest(self) -> Manifest:
        """Capabilities, with the limits of this access token."""
        return self._manifest

    async def identify(self) -> Account:
        """The portal. Sandboxes and test accounts are portals of their own, so its id says the mode too."""
        try:
            body = await self._client.account()
        except (ReplyError, GoneError):
            body = await self._client.account_by_old_path()
        found = decoded(body, AccountDetails)
        return Account(str(found.portal_id), f"HubSpot {found.portal_id} ({found.account_type.lower() or 'unknown'})")

    async def aclose(self) -> None:
        """Let go of sockets."""
        self._client.close()

    # ---- preparing -------------------------------------------------------------------------------------

    async def prepare(self) -> Sequence[str]:
        """Make our property group and properties on both object types; what is there is checked, not changed."""
        made: list[str] = []
        for object_type in TYPES:
            there = {one.name: one for one in decoded(await self._client.properties(object_type), PropertyList).results}
            missing = [one for one in self._translator.definitions(object_type) if one.name not in there]
            if missing:
                await self._make_group(object_type)
            for definition in missing:
                there[definition.name] = await self._make_property(object_type, definition)
                made.append(f"{object_type} property {definition.name}")
            batches.check_marker(object_type, there[ACCORD_REF])
        return made

    async def _make_group(self, object_type: ObjectType) -> None:
        try:
            await self._client.create_property_group(object_type, {"name": GROUP, "label": "Accord"})
        except TakenError:
            return

    async def _make_property(self, object_type: ObjectType, definition: Definition) -> PropertyDetails:
        body = {
            "name": definition.name,
            "label": definition.label,
            "type": "string",
            "fieldType": "text",
            "groupName": GROUP,
            "hasUniqueValue": definition.is_unique,
        }
        try:
            answer = await self._client.create_property(object_type, body)
        except TakenError:
            answer = await self._client.property(object_type, definition.name)
        return decoded(answer, PropertyDetails)

    # ---- sweeping --------------------------------------------------------------------------------------

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Contacts, then companies: all of them by id, or those that search says were written since."""
        _only_customers(kind)
        return await (self._full(cursor) if mode == "full" else self._changes(cursor))

    async def _full(self, cursor: str | None) -> Page:
        at = feed.decoded(cursor, feed.FullCursor) if cursor else feed.FullCursor()
        asked = self._translator.properties(at.type)
        found = results_in(await self._client.list(at.type, asked, at.after, self._manifest.page_size))
        records = [judged(at.type, raw) for raw in found.results]
        onward, following = None, feed.next_type(at.type)
        if found.paging and found.paging.next:
            onward = feed.FullCursor(at.type, found.paging.next.after)
        elif following:
            onward = feed.FullCursor(following)
        return Page(
            sightings=[one for one in records if isinstance(one, Sighting)],
            bad=[one for one in records if isinstance(one, Bad)],
            cursor=feed.encoded(onward) if onward else None,
            is_last=onward is None,
        )

    async def _changes(self, cursor: str | None) -> Page:
        """Ids only: the search index lags behind the objects."""
        now = int(self._clock.now() * 1000)
        if cursor is None:
            return Page(cursor=feed.encoded(feed.ChangesCursor(now)), is_last=True)
        overlap = int(self._manifest.sweep_overlap_seconds * 1000)
        at = feed.begun(feed.decoded(cursor, feed.ChangesCursor), now, overlap)
        object_type = at.type or TYPES[0]
        hits = decoded(await self._client.search(object_type, feed.query(object_type, at)), feed.Hits).results
        onward = feed.onward(object_type, at, hits)
        changed = [join_id(object_type, hit.id) for hit in hits]
        return Page(changed=changed, cursor=feed.encoded(onward), is_last=onward.type is None)

    # ---- reading ---------------------------------------------------------------------------------------

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Batch reads by type, by id: read-after-write safe."""
        _only_customers(kind)
        by_type: dict[ObjectType, list[str]] = defaultdict(list)
        for remote_id in dict.fromkeys(ids):
            object_type, hubspot_id = split_id(remote_id)
            by_type[object_type].append(hubspot_id)
        found: dict[str, Sighting | Missing] = {}
        for object_type, hubspot_ids in by_type.items():
            for batch in batches.slices(hubspot_ids, self._manifest.read_batch):
                found |= await self._read_batch(object_type, batch)
        return found

    async def _read_batch(self, object_type: ObjectType, ids: Sequence[str]) -> dict[str, Sighting | Missing]:
        answer = await self._batch(object_type, ids)
        there = batches.by_id(object_type, answer)
        told_missing = {one for error in answer.errors for one in error.context.get("ids", ())}
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
        return found

    async def _batch(self, object_type: ObjectType, ids: Sequence[str], id_property: str | None = None) -> Results:
        """One batch read. Failures of single inputs other than "not there" fail it: not read is not missing."""
        try:
            body = await self._client.batch_read(
                object_type, ids, self._translator.properties(object_type), id_property
            )
        except GoneError:
            return Results([])
        answer = results_in(body)
        for error in answer.errors:
            if error.category != "OBJECT_NOT_FOUND":
                raise item_error(error, object_type)
        return answer

    async def _read_one(self, object_type: ObjectType, hubspot_id: str) -> Sighting | Missing:
        remote_id = join_id(object_type, hubspot_id)
        try:
            raw = await self._client.get(object_type, hubspot_id, self._translator.properties(object_type))
        except GoneError:
            return Missing(remote_id)
        found = decoded(raw, Identified)
        if found.archived:
            return Missing(remote_id)
        if found.id != hubspot_id:
            return Missing(remote_id, survivor=join_id(object_type, found.id))
        return sighting(object_type, found.id, raw)

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting]:
        """By our marker or a contact's e-mail: read-after-write safe. By external id: the lagging search."""
        _only_customers(kind)
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
        try:
            answer = await self._batch(object_type, [value], name)
        except RejectedError:
            if await self._has_property(object_type, name):
                raise
            return []
        return [one for one in batches.by_id(object_type, answer).values() if isinstance(one, Sighting)]

    async def _by_search(self, object_type: ObjectType, name: str, value: str) -> list[Sighting]:
        filters = [{"propertyName": name, "operator": "EQ", "value": value}]
        query = {"filterGroups": [{"filters": filters}], "properties": [name], "limit": self._manifest.read_batch}
        try:
            hits = decoded(await self._client.search(object_type, query), feed.Hits).results
        except RejectedError:
            if await self._has_property(object_type, name):
                raise
            return []
        read = await self.read("customer", [join_id(object_type, hit.id) for hit in hits])
        return [one for one in read.values() if isinstance(one, Sighting)]

    async def _has_property(self, object_type: ObjectType, name: str) -> bool:
        """No object carries a property that the account does not have."""
        try:
            await self._client.property(object_type, name)
        except GoneError:
            return False
        return True

    # ---- writing ---------------------------------------------------------------------------------------

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Batches by type and action. Every input carries its key as trace id, so that one failure is one failure."""
        receipts: dict[str, Receipt] = {}
        for object_type in TYPES:
            ours = [write for write in writes if write.body.get("type") == object_type]
            creates = [write for write in ours if write.action == "create"]
            updates = [write for write in ours if write.action == "update"]
            if creates:
                receipts |= await self._create(object_type, creates)
            if updates:
                receipts |= await self._completed(object_type, updates, await self._send(object_type, updates))
        odd = RejectedError("this write names no HubSpot object type", cure="plan it again")
        return [receipts.get(write.key, odd) for write in writes]

    async def _create(self, object_type: ObjectType, writes: Sequence[Write]) -> dict[str, Receipt]:
        """Upsert by our unique marker, but never over an object that is already there.

        A repeated upsert would write the old body over whatever a person has changed since.
        """
        receipts: dict[str, Receipt] = {}
        marked = [write for write in writes if write.body["properties"].get(ACCORD_REF)]
        for write in writes:
            receipts[write.key] = RejectedError("this create has no marker: it could not be repeated safely")
        try:
            there = await self._by_marker(object_type, [batches.marker(write) for write in marked])
        except (RetryError, ReauthorizeError, RejectedError) as error:
            return {write.key: error for write in writes}
        except AccordError as error:
            return {write.key: RetryError(f"nothing was sent: {error}") for write in writes}
        for write in marked:
            if batches.marker(write) in there:
                receipts[write.key] = Written(there[batches.marker(write)], is_replay=True)
        fresh = [write for write in marked if batches.marker(write) not in there]
        return receipts | await self._completed(object_type, fresh, await self._send(object_type, fresh))

    async def _by_marker(self, object_type: ObjectType, marks: Sequence[str]) -> dict[str, Sighting]:
        if not marks:
            return {}
        answer = await self._batch(object_type, marks, ACCORD_REF)
        there = [one for one in batches.by_id(object_type, answer).values() if isinstance(one, Sighting)]
        return {str(self._translator.read(one.raw).accord_ref): one for one in there}

    async def _send(self, object_type: ObjectType, writes: Sequence[Write]) -> dict[str, Saved | AccordError]:
        """One batch. What is refused as a whole was not executed: it is halved, until the culprit is alone."""
        if not writes:
            return {}
        inputs = [batches.input_of(write) for write in writes]
        is_create = writes[0].action == "create"
        send = self._client.batch_upsert if is_create else self._client.batch_update
        try:
            body = await send(object_type, inputs)
        except RejectedError as error:
            if len(writes) == 1:
                return {writes[0].key: error}
            middle = len(writes) // 2
            first = await self._send(object_type, writes[:middle])
            return first | await self._send(object_type, writes[middle:])
        except AccordError as error:
            return {write.key: error for write in writes}
        return batches.outcomes(object_type, writes, body)

    async def _completed(
        self, object_type: ObjectType, writes: Sequence[Write], outcomes: Mapping[str, Saved | AccordError]
    ) -> dict[str, Receipt]:
        """HubSpot answers a write with what was written, not with the whole object: read the rest, and join.

        Written properties have the value of the write's own answer, even if somebody wrote in between.
        """
        saved = {write.key: outcome for write in writes if isinstance(outcome := outcomes[write.key], Saved)}
        receipts: dict[str, Receipt] = {key: one for key, one in outcomes.items() if isinstance(one, AccordError)}
        if not saved:
            return receipts
        try:
            read = await self._read_batch(object_type, [one.id for one in saved.values()])
        except AccordError as error:
            return receipts | {key: AmbiguousError(f"{UNSEEN}: {error}") for key in saved}
        names = {write.key: write.body["properties"].keys() for write in writes}
        for key, one in saved.items():
            found = read[join_id(object_type, one.id)]
            if isinstance(found, Sighting):
                receipts[key] = Written(batches.joined(found, one, names[key]))
            else:
                receipts[key] = AmbiguousError(f"{UNSEEN}: it is gone again")
        return receipts


def _only_customers(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        raise InvalidInputError(f"HubSpot has no {kind!r} here", field="kind", limit=", ".join(MANIFEST.kinds))


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=HubSpotWebhooks(),
    translator=HubSpotTranslator,
    build=HubSpotConnector,
)
