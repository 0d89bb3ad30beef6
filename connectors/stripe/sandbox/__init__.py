"""A stateful look-alike of the part of Stripe's API that Accord needs: as strict as PROVIDERS says Stripe is."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from connectors.stripe.sandbox import people
from connectors.stripe.sandbox.account import StripeAccount
from connectors.stripe.sandbox.books import Books
from connectors.stripe.sandbox.cash import Cash
from connectors.stripe.sandbox.customers import Customer
from connectors.stripe.sandbox.endpoints import Endpoints, Finish
from connectors.stripe.sandbox.forms import Form, form_in
from connectors.stripe.sandbox.gate import Busy, IdempotencyKeys, ReadMeter, Throttle, caller_of, permit, too_many
from connectors.stripe.sandbox.invoicing import Invoicing
from connectors.stripe.sandbox.ledger import NAMES, Ledger
from connectors.stripe.sandbox.papers import Papers
from connectors.stripe.sandbox.routes import endpoint_of, permission_of
from connectors.stripe.sandbox.settings import RefusedError, StripeSettings
from connectors.stripe.sandbox.treasury import Treasury
from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.lookalike import Mutation, Outgoing

__all__ = ["StripeLookAlike", "StripeSettings"]


class StripeLookAlike:
    """One Stripe account, without a transport."""

    def __init__(
        self, *, clock: Clock, rng: random.Random, name: str = "stripe", settings: StripeSettings | None = None
    ) -> None:
        """Start with an empty account; all chance comes from `rng`, all time from `clock`."""
        self.name = name
        self.reads = 0
        self._clock = clock
        self._rng = rng
        self._account = StripeAccount(clock, rng, settings or StripeSettings())
        self._api = Endpoints(self._account, clock, name)
        self.ledger = Ledger(self._account, clock, rng)
        self._invoicing = Invoicing(self.ledger)
        self.treasury = Treasury(self.ledger)
        self._books = Books(self.ledger, self._invoicing, self.treasury)
        papers = Papers(self.ledger, self._invoicing, self._api)
        self._throttle = Throttle()
        self._meter = ReadMeter()
        self._busy = Busy()
        self._keys = IdempotencyKeys()
        self._failures: list[bool] = []
        self._reads: Mapping[str, Callable[[Form, str], HttpResponse]] = {
            "GET /v1/account": self._api.account,
            "GET /v1/balance": self._api.balance,
            "GET /v1/customers": self._api.customer_list,
            "GET /v1/customers/search": self._api.search,
            "GET /v1/customers/{id}": self._api.get,
            "GET /v1/events": self._api.event_list,
            **papers.reads(),
            **Cash(self.ledger, self.treasury, self._api).reads(),
        }
        self._writes: Mapping[str, Callable[[Form, str], Finish]] = {
            "POST /v1/customers": self._api.create,
            "POST /v1/customers/{id}": self._api.update,
            "DELETE /v1/customers/{id}": self._api.delete,
            **papers.writes(),
        }

    @property
    def account_id(self) -> str:
        """The account's id."""
        return self._account.id

    @property
    def settings(self) -> StripeSettings:
        """How strict the account is; may be replaced at any time (a secret is rolled, a permission taken away)."""
        return self._account.settings

    @settings.setter
    def settings(self, settings: StripeSettings) -> None:
        self._account.settings = settings

    # ---- the API ---------------------------------------------------------------------------------

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one API request."""
        request_id = f"req_{self._rng.getrandbits(56):014x}"
        self._invoicing.catch_up()
        try:
            response = self._routed(request, request_id)
        except RefusedError as refused:
            response = self._refusal(refused)
        # also with an answer that is an old one: the server tells its time, whatever the answer
        told = {"date": formatdate(self._clock.now(), usegmt=True), "request-id": request_id}
        return HttpResponse(response.status, {**response.headers, **told}, response.body)

    def too_many(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - one rate for the whole account
        """Stripe's own 429, as if other programs had used the account's calls up."""
        return self._refusal(too_many("global-rate"))

    @property
    def allotted_reads(self) -> int:
        """Reads of the last thirty days. An account has 10,000, or 500 for each transaction."""
        return self._meter.used(self._clock.now())

    def keep_busy(self, what: str, seconds: float) -> None:
        """Another request is at work on a customer (by its id), or under an idempotency key, for so long."""
        self._busy.begin(what, self._clock.now() + seconds)

    def break_writes(self, times: int, *, executed: bool) -> None:
        """Answer 500 to the next writes that begin to execute; the answer is stored under their keys."""
        self._failures.extend([executed] * times)

    def _routed(self, request: HttpRequest, request_id: str) -> HttpResponse:
        parts = urlsplit(request.url)
        caller = caller_of(request.headers, self.settings)
        endpoint, remote_id = endpoint_of(request.method, parts.path)
        if endpoint not in self._reads and endpoint not in self._writes:  # stricter reading
            raise RefusedError(f"Unrecognized request URL ({request.method}: {parts.path}).", status=404)
        permit(permission_of(request.method, parts.path), self._account.id, self.settings)
        if self.settings.enforce_limits:
            self._throttle.admit(endpoint, self._clock.now(), self.settings)
        if endpoint in self._reads:
            self.reads += 1
            self._meter.count(self._clock.now())
            return self._reads[endpoint](form_in(parts.query), remote_id)
        return self._written(request, self._writes[endpoint], remote_id, caller, request_id)

    def _written(
        self, request: HttpRequest, write: Callable[[Form, str], Finish], remote_id: str, caller: str, request_id: str
    ) -> HttpResponse:
        now = self._clock.now()
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        self._busy.check(key, remote_id, now)
        replayed = self._keys.replay(key, request, now, self.settings.lag_scale)
        if replayed is not None:
            return replayed
        try:
            finish = write(form_in(_text(request.body)), remote_id)
        except RefusedError as refused:
            # nothing began to execute, so nothing is stored under the key (PROVIDERS §2), unless the settings say so
            if self.settings.keeps_refusals:
                self._keys.store(key, request, self._refusal(refused), now)
            raise
        response = self._finished(finish, caller, key, request_id)
        self._keys.store(key, request, response, now)
        return response

    def _refusal(self, refused: RefusedError) -> HttpResponse:
        return self._api.response(refused.status, {"error": refused.error}, refused.headers)

    def _finished(self, finish: Finish, caller: str, key: str | None, request_id: str) -> HttpResponse:
        if not self._failures:
            return finish(caller, key, request_id)
        if self._failures.pop(0):
            finish(caller, key, request_id)
        return self._api.response(500, {"error": {"type": "api_error", "message": "An unknown error occurred."}})

    # ---- the truth, and people -------------------------------------------------------------------

    def objects(self, kind: str) -> Mapping[str, Customer]:
        """Return every live object of a kind by id, documents with all of their lines."""
        self._invoicing.catch_up()
        if kind in NAMES:
            return self._books.objects(kind)
        return self._account.customers if kind == "customer" else {}

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the same in neutral names."""
        if kind in NAMES:
            self._invoicing.catch_up()
            return self._books.neutral(kind)
        key = self.settings.external_id_key
        return {remote_id: people.neutral(customer, key) for remote_id, customer in self.objects(kind).items()}

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person creates or changes a customer or a document in the dashboard, or a customer pays there."""
        self._invoicing.catch_up()
        if kind in NAMES:
            return self._books.edit(kind, remote_id, changes)
        if kind == "payout" and remote_id is None:
            return self.treasury.pay_out(**changes)
        _known(kind)
        return self._account.edit(remote_id, changes)

    def delete(self, kind: str, remote_id: str) -> None:
        """A person deletes a customer, or a draft, in the dashboard, for good."""
        if kind in NAMES:
            self._books.delete(kind, remote_id)
            return
        _known(kind)
        self._account.remove(remote_id, "person")

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every write since the start; one that changed nothing has an empty `changed`."""
        return self._account.mutations

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:
        """Return the deliveries to make now."""
        self._invoicing.catch_up()
        return self._account.outbox.due(now, self.settings, self._account.event_text)

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """Take note of what the receiver answered."""
        self._account.outbox.answered(outgoing_id, status, now, self.settings)


def _known(kind: str) -> None:
    if kind != "customer":
        raise KeyError(kind)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("Invalid request: the body is no UTF-8") from error  # PROVIDERS §5: forms in UTF-8
