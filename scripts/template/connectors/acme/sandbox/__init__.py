"""A stateful look-alike of the part of Acme's API that customers need: as strict as its documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from connectors.acme.sandbox.api import Api
from connectors.acme.sandbox.outbox import Outbox
from connectors.acme.sandbox.people import attributes_of, neutral
from connectors.acme.sandbox.settings import AcmeSettings
from connectors.acme.sandbox.store import Customers
from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.lookalike import Mutation, Outgoing

__all__ = ["AcmeLookAlike", "AcmeSettings"]


class AcmeLookAlike:
    """One Acme account, without a transport."""

    def __init__(self, *, clock: Clock, rng: Random, name: str = "acme", settings: AcmeSettings | None = None) -> None:
        """Start with an empty account; all chance comes from `rng`, all time from `clock`."""
        self.name = name
        self.settings = settings or AcmeSettings()
        self._clock = clock
        self._customers = Customers(rng)
        self._outbox = Outbox(rng)
        self._api = Api(self._customers, clock, lambda: self.settings, self._happened)

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one API request."""
        return self._api.respond(request)

    def objects(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every live customer by id."""
        _known(kind)
        return dict(self._customers.live)

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The same in neutral names."""
        return {remote_id: neutral(dict(customer)) for remote_id, customer in self.objects(kind).items()}

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person creates or changes a customer."""
        _known(kind)
        attributes, now = attributes_of(changes), self._clock.now()
        if remote_id is None:
            made = str(self._customers.create({"name": "Unnamed", **attributes}, now, "person")["id"])
            self._happened("customer.created", made)
            return made
        before = self._customers.live[remote_id]
        if self._customers.change(remote_id, attributes, now, "person") != before:
            self._happened("customer.updated", remote_id)
        return remote_id

    def delete(self, kind: str, remote_id: str) -> None:
        """A person deletes a customer, for good."""
        _known(kind)
        self._customers.remove(remote_id, self._clock.now())
        self._happened("customer.deleted", remote_id)

    @property
    def reads(self) -> int:
        """How many gets, listings and look-ups were answered."""
        return self._api.reads

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every write since the start; one that changed nothing has an empty `changed`."""
        return self._customers.mutations

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:
        """The deliveries to make now."""
        return self._outbox.due(now, self.settings)

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """Take note of what the receiver answered."""
        self._outbox.answered(outgoing_id, status, now, self.settings.lag_scale)

    def _happened(self, event: str, remote_id: str) -> None:
        self._outbox.add(event, remote_id, self._clock.now())


def _known(kind: str) -> None:
    if kind != "customer":
        raise KeyError(kind)
