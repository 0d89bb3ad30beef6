"""The endpoints: reads answer at once, writes check first and change state only when they are let to finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from connectors.stripe.sandbox.account import StripeAccount
from connectors.stripe.sandbox.customers import CREATE_PARAMS, UPDATE_PARAMS, changed_by
from connectors.stripe.sandbox.events import RETENTION_SECONDS
from connectors.stripe.sandbox.forms import Form, integer_in, known, list_in
from connectors.stripe.sandbox.paging import CURSORS, limit_in, no_such, page_of
from connectors.stripe.sandbox.settings import RefusedError
from core.ports import Clock, HttpResponse

Finish = Callable[[str, str | None, str], HttpResponse]
"""The second half of a write, after all checks: caller, idempotency key, request id."""

_LIST_PARAMS: Final = CURSORS | {"email", "test_clock"}
_EVENT_PARAMS: Final = CURSORS | {"type", "types", "delivery_success"}
_MAX_TYPES: Final = 20  # PROVIDERS §3


class Endpoints:
    """Stripe's endpoints over one account."""

    def __init__(self, account: StripeAccount, clock: Clock, title: str) -> None:
        """`title` is the business's name on its dashboard."""
        self._account = account
        self._clock = clock
        self._title = title

    def account(self, form: Form, _: str) -> HttpResponse:
        """Return the account behind the key."""
        known(form, frozenset({"expand"}))
        settings = {"dashboard": {"display_name": self._title, "timezone": "Etc/UTC"}}
        return self.response(200, {"id": self._account.id, "object": "account", "settings": settings})

    def balance(self, form: Form, _: str) -> HttpResponse:
        """Return the balance: it tells the mode."""
        known(form, frozenset({"expand"}))
        balance = {"object": "balance", "available": [], "livemode": self._account.settings.is_live, "pending": []}
        return self.response(200, balance)

    def get(self, form: Form, remote_id: str) -> HttpResponse:
        """Return one customer; a deleted one as a stub, with status 200 (PROVIDERS §3)."""
        known(form, frozenset({"expand"}))
        if remote_id in self._account.customers:
            return self._raw(self._account.texts[remote_id])
        if self._account.shelf.place(remote_id) is not None:
            return self.response(200, {"id": remote_id, "object": "customer", "deleted": True})
        raise no_such("customer", remote_id, "id", 404)  # PROVIDERS §3: never there

    def customer_list(self, form: Form, _: str) -> HttpResponse:
        """List customers newest first; deleted ones are left out."""
        known(form, _LIST_PARAMS)
        email = form.get("email")

        def wanted(remote_id: str) -> bool:
            customer = self._account.customers.get(remote_id)
            return customer is not None and (email is None or customer["email"] == email)

        ids, has_more = page_of(form, self._account.shelf, self._account.customers, "customer", 0, wanted)
        return self._listing([self._account.texts[remote_id] for remote_id in ids], "/v1/customers", has_more=has_more)

    def event_list(self, form: Form, _: str) -> HttpResponse:
        """List events of the last 30 days, newest first, of at most 20 types (PROVIDERS §3)."""
        known(form, _EVENT_PARAMS)
        types = list_in(form["types"], "types") if "types" in form else []
        if len(types) > _MAX_TYPES:
            raise RefusedError(f"Only {_MAX_TYPES} types can be given", param="types")  # PROVIDERS §3
        types += [form["type"]] if "type" in form else []
        success = form.get("delivery_success")

        def wanted(event_id: str) -> bool:
            event = self._account.events[event_id]
            has_failed = event_id in self._account.outbox.undelivered
            return (not types or event.type in types) and (success is None or (success == "false") == has_failed)

        first = self._account.event_shelf.since(int(self._clock.now()) - RETENTION_SECONDS)
        ids, has_more = page_of(form, self._account.event_shelf, self._account.events, "event", first, wanted)
        return self._listing([self._account.event_text(event_id) for event_id in ids], "/v1/events", has_more=has_more)

    def search(self, form: Form, _: str) -> HttpResponse:
        """Search an index that lags behind the list (PROVIDERS §1)."""
        known(form, frozenset({"query", "limit", "page", "expand"}))
        if not isinstance(form.get("query"), str):  # PROVIDERS §1
            raise RefusedError("Missing required param: query.", code="parameter_missing", param="query")
        limit = limit_in(form)
        found = self._account.index.found(form["query"], self._clock.now())
        # an index that lags names customers that are gone; they are left out, the others are as they are now
        ids = [remote_id for remote_id in found if remote_id in self._account.customers][::-1]
        start = integer_in(form["page"], "page") if "page" in form else 0
        page, has_more = ids[start : start + limit], len(ids) > start + limit
        data = [msgspec.Raw(self._account.texts[remote_id]) for remote_id in page]
        following = str(start + limit) if has_more else None
        head = {"object": "search_result", "url": "/v1/customers/search", "has_more": has_more}
        return self.response(200, {**head, "next_page": following, "data": data})

    def create(self, form: Form, _: str) -> Finish:
        """Check a create; finishing makes it."""
        known(form, CREATE_PARAMS)
        customer = changed_by(self._account.blank(), form)

        def finish(caller: str, key: str | None, request_id: str) -> HttpResponse:
            self._account.put(None, customer, caller, key, request_id)
            return self._raw(self._account.texts[customer["id"]])

        return finish

    def update(self, form: Form, remote_id: str) -> Finish:
        """Check an update; finishing makes it. Unnamed attributes stay."""
        if remote_id not in self._account.customers:
            raise no_such("customer", remote_id, "id", 404)  # PROVIDERS §3: deleted ones too
        known(form, UPDATE_PARAMS)
        customer = changed_by(self._account.customers[remote_id], form)

        def finish(caller: str, key: str | None, request_id: str) -> HttpResponse:
            self._account.put(self._account.customers[remote_id], customer, caller, key, request_id)
            return self._raw(self._account.texts[remote_id])

        return finish

    def delete(self, form: Form, remote_id: str) -> Finish:
        """Check a deletion; finishing makes it."""
        known(form, frozenset())
        if remote_id not in self._account.customers:
            raise no_such("customer", remote_id, "id", 404)  # PROVIDERS §3: deleted ones too

        def finish(caller: str, key: str | None, request_id: str) -> HttpResponse:
            self._account.remove(remote_id, caller, key, request_id)
            return self.response(200, {"id": remote_id, "object": "customer", "deleted": True})

        return finish

    def _listing(self, texts: Sequence[bytes], url: str, *, has_more: bool) -> HttpResponse:
        data = [msgspec.Raw(text) for text in texts]
        return self.response(200, {"object": "list", "url": url, "has_more": has_more, "data": data})

    def response(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """Render an answer."""
        return self._raw(msgspec.json.encode(body), status, headers)

    def _raw(self, text: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
        # Stripe indents its answers: bytes of one object differ between a list and a read
        body = msgspec.json.format(text, indent=2)
        return HttpResponse(status, {"content-type": "application/json", **(headers or {})}, body)
