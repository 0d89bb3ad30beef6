"""What every provider look-alike is: a stateful core without transport, whose truth a test can ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from core.ports import Clock, Delivery, HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of the look-alike's state. `caller` is "person" for edits in its own UI, else the API key's name."""

    at: float
    caller: str
    action: str
    kind: str
    id: str
    changed: Mapping[str, Any]
    """Provider-shaped: what the object's changed attributes became."""
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A webhook delivery the look-alike wants made; `id` is stable across redeliveries."""

    id: str
    delivery: Delivery
    attempt: int
    patience_seconds: float = 5.0
    """How long the provider waits for the answer; without one, the delivery has failed."""


class LookAlike(Protocol):
    """One provider account. Not thread-safe; nothing in it reads the real clock or real chance."""

    name: str
    settings: Any
    """A frozen dataclass. The kit replaces it while the look-alike runs (a new `webhook_url`): read it at each use."""

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one API request as the provider would, and change state accordingly."""
        ...

    def objects(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The truth: every live object of a kind by id, provider-shaped (archived and deleted ones left out)."""
        ...

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The same as neutral fields, written independently of translate.py, for verifying without the engine."""
        ...

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person's edit in the provider's own UI, by NEUTRAL field names; None creates. Returns the id.

        Besides neutral fields and `metadata.<key>`, `external_id` sets the place where this provider keeps
        one, and `extra` (a dict) sets provider-shaped attributes that Accord knows nothing about.
        """
        ...

    def delete(self, kind: str, remote_id: str) -> None:
        """A person deletes (archives, deactivates) the object in the provider's own UI."""
        ...

    @property
    def reads(self) -> int:
        """How many reads (gets, lists, searches, queries) the API has answered."""
        ...

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every change since the start, oldest first, with its caller."""
        ...

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:
        """Deliveries to make now (first tries and redeliveries by the provider's schedule, scaled)."""
        ...

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """Tell what the receiver answered; None: no answer. A non-2xx is scheduled again, as the provider does."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a connector folder offers the sandbox: `connectors.<name>.sandbox.offer.OFFER`."""

    build: Callable[[Clock, Random, float, bool], LookAlike]
    """(clock, chance, lag_scale, enforce_limits) -> an empty account."""
    settings: Callable[[str], Mapping[str, str]]
    """Settings of a connection to it, by its base URL."""
    secrets: Mapping[str, str]
    """What such a connection keeps in its vault, webhook secret included."""
    unknown: Mapping[str, Any]
    """An attribute of its objects that Accord knows nothing about, with a value: what no update may wipe."""
    is_time_signed: bool = True
    """Whether its webhooks sign the time, so that a stale one can be refused."""
