"""One HubSpot account: its tables, who changed what, and the webhooks that tell of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from connectors.hubspot.sandbox.billing import Billing
from connectors.hubspot.sandbox.families import Families
from connectors.hubspot.sandbox.invoices import Invoices
from connectors.hubspot.sandbox.links import Links
from connectors.hubspot.sandbox.outbox import Outbox
from connectors.hubspot.sandbox.settings import HubSpotSettings
from connectors.hubspot.sandbox.store import Record, Table
from connectors.hubspot.sandbox.types import KINDS, NAMES
from core.ports import Clock
from core.sandbox.lookalike import Mutation

INVOICE_EVENTS: Final = ("propertyChange", "deletion", "restore")
PERSON: Final = "person"
ACCORD: Final = "accord"


class AccountState:
    """The truth. Every change goes through here, so that none lacks its mutation, its event or its index entry."""

    def __init__(self, clock: Clock, rng: random.Random, settings: HubSpotSettings) -> None:
        """An empty account."""
        self.clock = clock
        self.settings = settings
        self.tables = {
            kind: Table(kind, rng.randrange(100, 900), lambda: self.settings) for kind in ("contact", "company")
        }
        for kind, first in (("invoice", 5_301), ("line_item", 8_801)):
            self.tables[kind] = Table(kind, first, lambda: self.settings)
        self.families = Families(self.tables["company"])
        self.links = Links(self.tables)
        self.invoices = Invoices(self.tables, self.links)
        self.billing = Billing(self.tables["contact"], self.tables["company"])
        self.outbox = Outbox(rng)
        self.mutations: list[Mutation] = []
        self._rng = rng
        self._subscriptions: dict[tuple[str, str], int] = {}

    def now_ms(self) -> int:
        """HubSpot's time."""
        return int(self.clock.now() * 1000)

    def create(self, table: Table, properties: Mapping[str, str], caller: str, key: str | None = None) -> Record:
        """A new object."""
        properties = self.invoices.completed(table, properties, self.now_ms())
        record = table.create(properties, self.now_ms(), _source(caller))
        self._changed(table, record, "create", properties, caller, key)
        self._tell(table, "creation", {"objectId": int(record.id)}, caller)
        self._tell_properties(table, record, properties, caller)
        return record

    def update(
        self, table: Table, record: Record, properties: Mapping[str, str], caller: str, key: str | None = None
    ) -> None:
        """New values; the modification time moves even if nothing differs."""
        differing = {name: text for name, text in properties.items() if record.properties.get(name, "") != text}
        table.update(record, properties, self.now_ms(), _source(caller))
        self._changed(table, record, "update", properties, caller, key)
        self._tell_properties(table, record, differing, caller)

    def archive(self, table: Table, record: Record, caller: str) -> None:
        """Into the recycle bin."""
        table.archive(record, self.now_ms())
        self._changed(table, record, "archive", {"archived": True}, caller, None)
        self._tell(table, "deletion", {"objectId": int(record.id)}, caller)

    def erase(self, table: Table, record: Record) -> None:
        """A person has a contact deleted for good (PROVIDERS §4), as privacy laws ask: no recycle bin keeps it."""
        table.erase(record, self.now_ms())
        self._changed(table, record, "erase", {"archived": True}, PERSON, None)
        self._tell(table, "privacyDeletion", {"objectId": int(record.id)}, PERSON)

    def restore(self, table: Table, record: Record) -> None:
        """A person takes it out of the recycle bin again."""
        table.restore(record, self.now_ms())
        self._changed(table, record, "restore", {"archived": False}, PERSON, None)
        self._tell(table, "restore", {"objectId": int(record.id)}, PERSON)

    def set_parent(self, child: str, parent: str | None, caller: str) -> None:
        """Tie a company to the one above it, or take it off; what is so already is no change. Checked before."""
        old = self.families.parent(child)
        if old == parent:
            return
        self.families.put(child, parent)
        action = "dissociate" if parent is None else "associate"
        told = {"parent": parent}
        self.mutations.append(Mutation(self.clock.now(), caller, action, "customer", f"company:{child}", told, None))
        for above, is_removed in ((old, True), (parent, False)):
            if above is not None:
                self._tell_tie(above, child, caller, is_removed=is_removed)

    def link(self, invoice: str, object_type: str, other: str, caller: str, *, is_tied: bool) -> None:
        """Tie an invoice to something, or untie it; what is so already is no change. Checked before."""
        if not self.links.put(invoice, object_type, other, is_tied=is_tied):
            return
        action = "associate" if is_tied else "dissociate"
        told = {object_type: other}
        self.mutations.append(Mutation(self.clock.now(), caller, action, "invoice", f"invoice:{invoice}", told, None))

    def label(self, contact: str, company: str, label: str, caller: str, *, is_removed: bool = False) -> None:
        """Tie a contact to a company by a label, or take that off; what is so already is no change. Checked before."""
        before = set(self.billing.between(contact, company))
        (self.billing.take_off if is_removed else self.billing.put)(contact, company, label)
        if before == self.billing.between(contact, company):
            return
        action, told = "dissociate" if is_removed else "associate", {"company": company, "label": label}
        self.mutations.append(Mutation(self.clock.now(), caller, action, "customer", f"contact:{contact}", told, None))
        event = {
            # stricter reading: from the company's end alone, whoever waits for one from the contact's will wait
            "associationType": "COMPANY_TO_CONTACT",
            "fromObjectId": int(company),
            "toObjectId": int(contact),
            "associationRemoved": is_removed,
            "isPrimaryAssociation": False,
        }
        self._tell(self.tables["company"], "associationChange", event, caller)

    def _tell_tie(self, parent: str, child: str, caller: str, *, is_removed: bool) -> None:
        """One event, seen from the parent (stricter reading): whoever waits for one from the child will wait."""
        event = {
            "associationType": "PARENT_COMPANY_TO_CHILD_COMPANY",
            "fromObjectId": int(parent),
            "toObjectId": int(child),
            "associationRemoved": is_removed,
            "isPrimaryAssociation": False,
        }
        self._tell(self.tables["company"], "associationChange", event, caller)

    def merge(self, table: Table, primary: Record, absorbed: Record, caller: str) -> Record:
        """Two become one."""
        new = table.merge(primary, absorbed, self.now_ms())
        self.billing.merged(table, new.id, primary.id, absorbed.id)
        if table.type == "company":
            self.families.merged(new.id, primary.id, absorbed.id)
        self.links.merged(table.type, new.id, primary.id, absorbed.id)
        for old in (primary, absorbed):
            table.reindex(old, self._visible_at())
        self._changed(table, new, "merge", {"hs_merged_object_ids": ";".join(new.merged)}, caller, None)
        event = {  # PROVIDERS §4
            "objectId": int(new.id),
            "primaryObjectId": int(primary.id),
            "mergedObjectIds": [int(absorbed.id)],
            **({} if new is primary else {"newObjectId": int(new.id)}),
            "numberOfPropertiesMoved": len(new.properties),
        }
        self._tell(table, "merge", event, caller)
        return new

    def _visible_at(self) -> float:
        return self.clock.now() + self.settings.search_lag_seconds * self.settings.lag_scale

    def _changed(
        self, table: Table, record: Record, action: str, changed: Mapping[str, Any], caller: str, key: str | None
    ) -> None:
        table.reindex(record, self._visible_at())
        remote_id = f"{table.type}:{record.id}"
        kind = KINDS[table.type]
        self.mutations.append(Mutation(self.clock.now(), caller, action, kind, remote_id, changed, key))

    def _tell_properties(self, table: Table, record: Record, names: Mapping[str, str], caller: str) -> None:
        if not self.settings.webhook_url:
            return
        for name, value in names.items():
            told = {"objectId": int(record.id), "propertyName": name, "propertyValue": value}
            self._tell(table, "propertyChange", told, caller)

    def _tell(self, table: Table, verb: str, told: Mapping[str, Any], caller: str) -> None:
        subscribed = _subscription(table.type, verb)
        if not self.settings.webhook_url or subscribed is None:
            return
        name = (subscribed, str(told.get("propertyName", "")))
        event = {
            # not unique (PROVIDERS §4): whoever tells deliveries apart by it loses changes
            "eventId": self._rng.randrange(1, 10),
            "subscriptionId": self._subscriptions.setdefault(name, 1_000 + len(self._subscriptions)),
            "subscriptionType": name[0],
            "portalId": self.settings.portal_id,
            "appId": 77,
            "occurredAt": self.now_ms(),
            "changeSource": _source(caller),
        }
        if table.type == "invoice":
            event["objectTypeId"] = NAMES["invoice"][2]
        self.outbox.add(event | dict(told))


def _subscription(object_type: str, verb: str) -> str | None:
    """The event as it is called: of invoices only generic ones, of which three are subscribed; of line items none."""
    if object_type == "line_item" or (object_type == "invoice" and verb not in INVOICE_EVENTS):
        return None
    return f"{'object' if object_type == 'invoice' else object_type}.{verb}"


def _source(caller: str) -> str:
    return "CRM_UI" if caller == PERSON else "INTEGRATION"
