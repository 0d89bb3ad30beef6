"""HubSpot as a connector: contacts and companies are its customers, invoices are copies (README.md says how)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import feed
from connectors.hubspot.connector.copying import InvoiceWriter
from connectors.hubspot.connector.invoices import InvoiceReader
from connectors.hubspot.connector.preparing import Preparer
from connectors.hubspot.connector.reading import Reader
from connectors.hubspot.connector.recalling import Recaller
from connectors.hubspot.connector.writing import Writer
from connectors.hubspot.manifest import BILLING_CONTACT, BURSTS, MANIFEST, limits_of
from connectors.hubspot.translate import HubSpotDocuments, HubSpotTranslator
from connectors.hubspot.webhook import HubSpotWebhooks
from connectors.hubspot.wire import (
    AccountDetails,
    ObjectType,
    decoded,
    join_id,
    judged,
    results_in,
    split_id,
)
from core.abilities import Past, Recalled
from core.errors import (
    ConfigError,
    GoneError,
    InvalidInputError,
    ReplyError,
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
        self._recaller = Recaller(self._translator, self._reader)
        self._documents = HubSpotDocuments(config)
        self._invoices = InvoiceReader(self._client, self._documents)
        self._copier = InvoiceWriter(self._client, self._invoices)
        self._preparer = Preparer(self._client, self._translator, self._documents)

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
        self._client.zone = found.time_zone
        return Account(str(found.portal_id), f"HubSpot {found.portal_id} ({found.account_type.lower() or 'unknown'})")

    async def aclose(self) -> None:
        """Let go of sockets."""
        self._client.close()

    async def prepare(self) -> Sequence[str]:
        """Make our property groups and properties; what is there is checked, not changed."""
        return await self._preparer.prepare()

    # ---- sweeping --------------------------------------------------------------------------------------

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Contacts, then companies; or invoices: all of them by id, or those that search says were written since."""
        _check_kind(kind)
        return await (self._full(kind, cursor) if mode == "full" else self._changes(kind, cursor))

    async def _full(self, kind: str, cursor: str | None) -> Page:
        at = feed.full(kind, cursor)
        found = results_in(await self._client.list(at.type, self._asked(at.type), at.after, self._manifest.page_size))
        if kind == "customer":
            records = [judged(at.type, raw) for raw in found.results]
            seen = await self._reader.related([one for one in records if isinstance(one, Sighting)])
            sightings, bad = list(seen.values()), [one for one in records if isinstance(one, Bad)]
        else:
            sightings, bad = await self._invoices.copies(found.results)
        onward, following = None, feed.next_type(kind, at.type)
        if found.paging and found.paging.next:
            onward = feed.FullCursor(at.type, found.paging.next.after)
        elif following:
            onward = feed.FullCursor(following)
        return Page(
            sightings=sightings,
            bad=bad,
            cursor=feed.encoded(onward) if onward else None,
            is_last=onward is None,
        )

    def _asked(self, object_type: ObjectType) -> Sequence[str]:
        asks_for = self._documents if object_type == "invoice" else self._translator
        return asks_for.properties(object_type)

    async def _changes(self, kind: str, cursor: str | None) -> Page:
        """Ids only: the search index lags behind the objects."""
        now = int(self._clock.now() * 1000)
        if cursor is None:
            return Page(cursor=feed.encoded(feed.ChangesCursor(now)), is_last=True)
        overlap = int(self._manifest.sweep_overlap_seconds * 1000)
        at = feed.begun(kind, feed.changes(kind, cursor), now, overlap)
        object_type = at.type or feed.TYPES_OF[kind][0]
        hits = decoded(await self._client.search(object_type, feed.query(object_type, at)), feed.Hits)
        onward = feed.onward(kind, at, hits)
        changed = [join_id(object_type, hit.id) for hit in hits.results]
        return Page(changed=changed, cursor=feed.encoded(onward), is_last=onward.type is None)

    # ---- reading and writing ---------------------------------------------------------------------------

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Batch reads by type, by id: read-after-write safe."""
        _check_kind(kind)
        return await (self._reader.read(ids) if kind == "customer" else self._invoices.read(ids))

    async def recall(self, kind: str, writes: Sequence[Past]) -> Mapping[str, Recalled]:
        """Batch reads of fifty with the history of what was written."""
        _check_kind(kind)
        return await self._recaller.recall(writes)

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """By our marker or a contact's e-mail: read-after-write safe. By external id or number: the lagging search."""
        _check_kind(kind)
        return await (self._reader.find(probe) if kind == "customer" else self._invoices.find(probe))

    def farewell(self, current: bytes) -> Mapping[str, Any] | None:  # noqa: ARG002 - no read shows what is archived
        """Whatever is there can be archived; nothing is said of it."""
        return {}

    async def archive(self, write: Write) -> Sighting | Missing:
        """Into the recycle bin, by id."""
        remote_id = str(write.remote_id)
        await self._client.archive(*split_id(remote_id))
        return Missing(remote_id)

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Batches by type and action; one receipt each, whatever becomes of the others."""
        receipts: dict[str, Receipt] = {}
        for is_invoice, write in ((False, self._writer.write), (True, self._copier.write)):
            ours = [one for one in writes if (one.kind == "invoice") is is_invoice]
            if ours:
                receipts |= zip((one.key for one in ours), await write(ours), strict=True)
        return [receipts[one.key] for one in writes]


def _check_kind(kind: str) -> None:
    if kind not in MANIFEST.kinds:
        limit = ", ".join(MANIFEST.kinds)
        raise InvalidInputError(f"HubSpot has no {kind!r} here", field="kind", limit=limit, cure="name one of these")


PROVIDER: Final = Provider(
    manifest=MANIFEST,
    webhooks=HubSpotWebhooks(),
    translator=HubSpotTranslator,
    build=HubSpotConnector,
    documents=HubSpotDocuments,
)
