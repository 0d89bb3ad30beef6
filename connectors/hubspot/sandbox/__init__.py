"""A stateful look-alike of the part of HubSpot that Accord uses, as strict as HubSpot is (PROVIDERS, the facts)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.hubspot.sandbox.account import PERSON, AccountState
from connectors.hubspot.sandbox.answers import Refused
from connectors.hubspot.sandbox.api import Api
from connectors.hubspot.sandbox.billing import BILLING
from connectors.hubspot.sandbox.limits import Limits
from connectors.hubspot.sandbox.paper import Desk
from connectors.hubspot.sandbox.people import neutral_of, properties_of, type_of
from connectors.hubspot.sandbox.settings import HubSpotSettings
from connectors.hubspot.sandbox.store import Record, Table
from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.lookalike import Mutation, Outgoing

__all__ = ["HubSpotLookAlike", "HubSpotSettings"]

PAPER = ("invoice", "line_item")
"""Kinds of objects that are no customers."""


class HubSpotLookAlike:
    """One HubSpot account without transport; see `core.sandbox.lookalike.LookAlike`."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        name: str = "hubspot",
        settings: HubSpotSettings | None = None,
    ) -> None:
        """An empty account; time and chance come from outside."""
        self.name = name
        self._state = AccountState(clock, rng, settings or HubSpotSettings())
        self._api = Api(self._state)
        self._desk = Desk(self._state)

    @property
    def settings(self) -> HubSpotSettings:
        """May be replaced while it runs."""
        return self._state.settings

    @settings.setter
    def settings(self, settings: HubSpotSettings) -> None:
        self._state.settings = settings

    @property
    def reads(self) -> int:
        """How many requests that only look were answered."""
        return self._api.reads

    @property
    def limits(self) -> Limits:
        """What this account has used of its allowances."""
        return self._api.limits

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every change since the start, oldest first."""
        return self._state.mutations

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one API request."""
        return self._api.respond(request)

    def too_many(self, request: HttpRequest) -> HttpResponse:
        """HubSpot's own 429 for `request`, as if other apps of the account had used the allowance up."""
        return self._api.too_many(request)

    def keep_busy(self, object_type: str, seconds: float = 2.0) -> None:
        """Another program's bulk upsert locks the contacts, or the companies, for so long."""
        self._api.keep_busy(object_type, seconds)

    def objects(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every live object by remote id; of invoices, also `line_item`."""
        if kind in PAPER:
            return self._desk.objects(kind)
        return {
            f"{table.type}:{one.id}": _plain(one) | self._above(table, one) | self._billed(table, one)
            for table, one in self._live(kind)
        }

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every live object in neutral fields."""
        if kind == "invoice":
            return self._desk.neutral()
        found = {}
        for table, one in self._live(kind):
            found[f"{table.type}:{one.id}"] = neutral_of(table.type, one) | self._above(table, one)
        return found

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person's edit; None creates. KeyError: not there; ValueError: HubSpot's pages would not save that."""
        if kind in PAPER:
            return self._desk.edit(kind, remote_id, changes)
        _only_customers(kind)
        changes = dict(changes)
        is_moved, parent = "parent" in changes, changes.pop("parent", None)
        if remote_id is None:
            table = self._state.tables[type_of(changes)]
            properties = self._typed(table, changes)
            remote_id = f"{table.type}:{self._state.create(table, properties, PERSON).id}"
            changes = {}
        if is_moved:
            self._move(remote_id, parent)
        if not changes:
            return remote_id
        table, record = self._there(remote_id)
        wanted = changes.get("customer_type")
        if wanted and wanted != neutral_of(table.type, record)["customer_type"]:
            raise ValueError(f"a {table.type} stays a {table.type} at HubSpot")
        self._state.update(table, record, self._typed(table, changes, record), PERSON)
        return remote_id

    def _move(self, remote_id: str, parent: str | None) -> None:
        """The page of a company lets a person choose another parent in one step."""
        table, record = self._there(remote_id)
        above = self._there(parent)[1].id if parent else None
        if table.type != "company" or (parent and not parent.startswith("company:")):
            raise ValueError("HubSpot has parents for companies only")
        old = self._state.families.parent(record.id)
        self._state.families.put(record.id, None)
        try:
            if above is not None:
                self._state.families.check(record.id, above)
        except Refused as refused:
            raise ValueError(str(refused)) from refused
        finally:
            self._state.families.put(record.id, old)
        self._state.set_parent(record.id, above, PERSON)

    def _above(self, table: Table, record: Record) -> dict[str, str | None]:
        if table.type != "company":
            return {}
        parent = self._state.families.parent(record.id)
        return {"parent": f"company:{parent}" if parent else None}

    def bill(self, contact: str, company: str, *, is_removed: bool = False, label: str = BILLING) -> None:
        """A person makes a contact a company's billing contact (or something else to it), or takes that off."""
        ids = self._there(contact)[1].id, self._there(company)[1].id
        self._state.label(*ids, label, PERSON, is_removed=is_removed)

    def _billed(self, table: Table, record: Record) -> dict[str, list[str]]:
        if table.type != "contact":
            return {}
        return {"billed": [f"company:{one}" for one in self._state.billing.billed(record.id)]}

    def delete(self, kind: str, remote_id: str) -> None:
        """A person moves it to the recycle bin."""
        if kind in PAPER:
            self._state.archive(self._state.tables[kind], self._desk.there(kind, remote_id), PERSON)
            return
        _only_customers(kind)
        self._state.archive(*self._there(remote_id), PERSON)

    def erase(self, kind: str, remote_id: str) -> None:
        """A person has a contact deleted for good; ValueError for a company, which has no such deletion."""
        _only_customers(kind)
        table, record = self._there(remote_id)
        if table.type != "contact":
            raise ValueError("HubSpot erases contacts only")
        self._state.erase(table, record)

    def restore(self, kind: str, remote_id: str) -> None:
        """A person takes it out of the recycle bin.

        KeyError: not there any more, after 90 days; ValueError: another object has its e-mail by now.
        """
        if kind not in PAPER:
            _only_customers(kind)
        object_type, _, hubspot_id = remote_id.partition(":")
        table = self._state.tables[object_type]
        table.empty_bin(self._state.now_ms())
        record = table.records[hubspot_id]
        _check_clash(table, record, record.properties)
        self._state.restore(table, record)

    def archive_property(self, object_type: str, name: str) -> None:
        """A person archives a property of contacts or companies."""
        self._state.tables[object_type].archive_property(name)

    def merge(self, kind: str, primary: str, absorbed: str) -> str:
        """A person merges two objects of one type; returns the new one's remote id."""
        _only_customers(kind)
        table, kept = self._there(primary)
        return f"{table.type}:{self._state.merge(table, kept, self._there(absorbed)[1], PERSON).id}"

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:
        """Deliveries to make now."""
        return self._state.outbox.due(self.settings, now)

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """What the receiver said."""
        self._state.outbox.answered(outgoing_id, status, now, self.settings.lag_scale)

    def _live(self, kind: str) -> list[tuple[Table, Record]]:
        _only_customers(kind)
        return [
            (table, one) for table in self._state.tables.values() if table.type not in PAPER for one in table.all_live()
        ]

    def _there(self, remote_id: str) -> tuple[Table, Record]:
        object_type, _, hubspot_id = remote_id.partition(":")
        table = self._state.tables[object_type]  # a KeyError says that there is no such thing
        record = table.live(hubspot_id)
        if record is None or object_type in PAPER:
            raise KeyError(f"{remote_id} is not there")
        return table, record

    def _typed(self, table: Table, changes: Mapping[str, Any], record: Record | None = None) -> dict[str, str]:
        given = properties_of(table.type, changes, self.settings.external_property)
        table.define_by_hand(list(given))
        properties = {name: table.normal(name, text) for name, text in given.items()}
        _check_clash(table, record, properties)
        return properties


def _check_clash(table: Table, record: Record | None, properties: Mapping[str, str]) -> None:
    clash = table.clash(record, properties)
    if clash:
        raise ValueError(f"{table.type}:{clash[1]} already has that {clash[0]}")


def _plain(record: Record) -> dict[str, Any]:
    return {"id": record.id, "properties": dict(record.properties), "updatedAt": record.modified_iso}


def _only_customers(kind: str) -> None:
    if kind != "customer":
        raise KeyError(f"this look-alike has no {kind}")
