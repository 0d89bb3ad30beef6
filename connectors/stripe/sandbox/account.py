"""The state of one Stripe account: customers, the event feed, the search index, deliveries, and who changed what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.stripe.sandbox import people
from connectors.stripe.sandbox.customers import LETTERS, Customer, blank_customer, previous_attributes
from connectors.stripe.sandbox.events import Event, Shelf
from connectors.stripe.sandbox.outbox import Outbox
from connectors.stripe.sandbox.search import LaggedIndex
from connectors.stripe.sandbox.settings import StripeSettings
from core.ports import Clock
from core.sandbox.lookalike import Mutation


class StripeAccount:
    """Everything that a request or a person can change. Knows nothing of HTTP."""

    def __init__(self, clock: Clock, rng: random.Random, settings: StripeSettings) -> None:
        """Start empty."""
        self.id = "acct_" + "".join(rng.choices(LETTERS, k=16))
        self.customers: dict[str, Customer] = {}
        self.texts: dict[str, bytes] = {}
        self.shelf = Shelf()
        self.events: dict[str, Event] = {}
        self.event_shelf = Shelf()
        self.mutations: list[Mutation] = []
        self.index = LaggedIndex(frozenset({"email", "name", "phone"}))
        self.outbox = Outbox(rng)
        self.settings = settings
        self._clock = clock
        self._rng = rng

    def blank(self) -> Customer:
        """A customer that is not there yet."""
        return blank_customer(self._rng, int(self._clock.now()), is_live=self.settings.is_live)

    @property
    def searched_at(self) -> float:
        """From when on Search sees a change of now (PROVIDERS §1)."""
        return self._clock.now() + self.settings.search_lag_seconds * self.settings.lag_scale

    def edit(self, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person creates or changes a customer; the names are neutral."""
        old = None if remote_id is None else self.customers[remote_id]
        new = people.edited(old or self.blank(), changes, self.settings.external_id_key)
        self.put(old, new, "person")
        return str(new["id"])

    def put(
        self, old: Customer | None, new: Customer, caller: str, key: str | None = None, request_id: str | None = None
    ) -> None:
        """Make a customer what `new` says (`old` None: create); tells the feed unless nothing changed."""
        remote_id, now = new["id"], self._clock.now()
        if old is None:
            self.shelf.add(remote_id, new["created"])
            changed, previous = new, None
        else:
            previous = previous_attributes(old, new)
            changed = {attribute: new[attribute] for attribute in previous}
        action = "create" if old is None else "update"
        self.mutations.append(Mutation(now, caller, action, "customer", remote_id, changed, key))
        if old is not None and not changed:
            return
        self.customers[remote_id] = new
        self.texts[remote_id] = msgspec.json.encode(new)
        self.index.put(remote_id, new, self.searched_at)
        self.tell(f"customer.{action}d", self.texts[remote_id], previous, key, request_id)

    def remove(self, remote_id: str, caller: str, key: str | None = None, request_id: str | None = None) -> None:
        """Delete for good; the id stays taken."""
        now = self._clock.now()
        del self.customers[remote_id]
        text = self.texts.pop(remote_id)
        self.mutations.append(Mutation(now, caller, "delete", "customer", remote_id, {}, key))
        self.index.put(remote_id, None, self.searched_at)
        self.tell("customer.deleted", text, None, key, request_id)

    def tell(
        self, kind: str, text: bytes, previous: Mapping[str, Any] | None, key: str | None, request_id: str | None
    ) -> None:
        """An event for the feed and for the webhooks (PROVIDERS §3, §4)."""
        now = self._clock.now()
        event_id = "evt_1" + "".join(self._rng.choices(LETTERS, k=23))
        version = self.settings.api_version
        self.events[event_id] = Event(event_id, kind, int(now), text, previous, request_id, key, version)
        self.event_shelf.add_loosely(event_id, int(now))
        if self.settings.webhook_url is not None:
            self.outbox.add(event_id, now)

    def event_text(self, event_id: str) -> bytes:
        """One event as the API and the webhooks render it."""
        pending = 1 if event_id in self.outbox.undelivered else 0
        return self.events[event_id].body(is_live=self.settings.is_live, pending=pending)
