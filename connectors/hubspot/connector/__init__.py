"""HubSpot as a connector: contacts and companies are its customers (README.md says how to connect an account)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches, feed
from connectors.hubspot.connector.reading import Reader
from connectors.hubspot.connector.writing import Writer
from connectors.hubspot.manifest import BILLING_CONTACT, BURSTS, MANIFEST, limits_of
from connectors.hubspot.translate import GROUP, Definition, HubSpotTranslator
from connectors.hubspot.webhook import HubSpotWebhooks
from connectors.hubspot.wire import (
    ACCORD_REF,
    TYPES,
    AccountDetails,
    ObjectType,
    PropertyDetails,
    PropertyList,
    decoded,
    join_id,
    judged,
    results_in,
)
from core.errors import (
    ConfigError,
    GoneError,
    InvalidInputError,
    ReplyError,
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
)


class HubSpotConnector:
    """One HubSpot account."""

    def __init__(self, config: ConnectionConfig, vault: Vault, shell: Shell) -> None:
        """Nothing is called yet."""
        distribution = config.settings.get("distribution", "pro")
        if distribution not in BURSTS:
            raise ConfigError(f"{distribution!r} is none of {', '.join(BURSTS)}", key=f"{config.name}.distribution")
        if config.settings.get(BILLING_CONTACT.setting, "false") not in ("true", "false"):
            raise ConfigError("is neither true nor false", key=f"{config.name}.{BILLING_CONTACT.setting}")
        self._manifest = msgspec.structs.replace(MANIFEST, limits=limits_of(distribution))
        self._translator = HubSpotTranslator(config)
        self._clock = shell.clock
        limiter = RateLimiter(self._manifest.limits, shell)
        self._client = HubSpotClient(config.settings, vault, shell, limiter, connections=self._manifest.in_flight)
        self._reader = Reader(self._client, self._translator)
        self._writer = Writer(self._client, self._translator, self._reader)

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
        sightings = await self._reader.related([one for one in records if isinstance(one, Sighting)])
        onward, following = None, feed.next_type(at.type)
        if found.paging and found.paging.next:
            onward = feed.FullCursor(at.type, found.paging.next.after)
        elif following:
            onward = feed.FullCursor(following)
        return Page(
            sightings=list(sightings.values()),
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

    # ---- reading and writing ---------------------------------------------------------------------------

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Batch reads by type, by id: read-after-write safe."""
        _only_customers(kind)
        return await self._reader.read(ids)

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """By our marker or a contact's e-mail: read-after-write safe. By external id: the lagging search."""
        _only_customers(kind)
        return await self._reader.find(probe)

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Batches by type and action; one receipt each, whatever becomes of the others."""
        return await self._writer.write(writes)


def _only_customers(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        raise InvalidInputError(f"HubSpot has no {kind!r} here", field="kind", limit=", ".join(MANIFEST.kinds))


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=HubSpotWebhooks(),
    translator=HubSpotTranslator,
    build=HubSpotConnector,
)
