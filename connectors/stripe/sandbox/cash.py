"""Endpoints of disputes, balance transactions and payouts (PROVIDERS §5); reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from connectors.stripe.sandbox.endpoints import Endpoints
from connectors.stripe.sandbox.forms import Form, known, list_in
from connectors.stripe.sandbox.ledger import Ledger, Thing, listing
from connectors.stripe.sandbox.paging import CURSORS, no_such, page_of
from connectors.stripe.sandbox.settings import RefusedError
from connectors.stripe.sandbox.treasury import Treasury
from core.ports import HttpResponse

_FILTERS: Final[Mapping[str, frozenset[str]]] = {
    "dispute": frozenset({"charge", "payment_intent"}),
    "balance_transaction": frozenset({"currency", "payout", "source", "type"}),
    "payout": frozenset({"status"}),
}


class Cash:
    """Stripe's endpoints over one treasury."""

    def __init__(self, ledger: Ledger, treasury: Treasury, endpoints: Endpoints) -> None:
        """Answers are rendered as those of the other endpoints are."""
        self._ledger = ledger
        self._treasury = treasury
        self._response = endpoints.response

    def reads(self) -> dict[str, Callable[[Form, str], HttpResponse]]:
        """Endpoints that change nothing: there are no others here."""
        found: dict[str, Callable[[Form, str], HttpResponse]] = {}
        for name in _FILTERS:
            found[f"GET /v1/{name}s"] = partial(self.listed, name)
            found[f"GET /v1/{name}s/{{id}}"] = partial(self.one, name)
        return found

    def one(self, name: str, form: Form, remote_id: str) -> HttpResponse:
        """Return one object."""
        known(form, frozenset({"expand"}))
        thing = self._treasury.things[name].get(remote_id)
        if thing is None:
            raise no_such(name, remote_id, "id", 404)  # PROVIDERS §3
        return self._response(200, self._shown(thing, form, ""))

    def listed(self, name: str, form: Form, _: str) -> HttpResponse:
        """List objects, newest first."""
        known(form, _FILTERS[name] | CURSORS)
        things = self._treasury.things[name]
        filters = {one: form[one] for one in _FILTERS[name] - {"payout"} if one in form}
        payout = form.get("payout")
        if payout is not None:
            self._must_be_automatic(str(payout))

        def wanted(remote_id: str) -> bool:
            if payout is not None and self._treasury.paid_out.get(remote_id) != payout:
                return False
            return all(things[remote_id][one] == value for one, value in filters.items())

        ids, has_more = page_of(form, self._treasury.shelves[name], things, name, 0, wanted)
        data = [self._shown(things[remote_id], form, "data.") for remote_id in ids]
        return self._response(200, listing(data, f"/v1/{name}s", has_more=has_more))

    def _must_be_automatic(self, payout: str) -> None:
        found = self._treasury.things["payout"].get(payout)
        if found is None:
            raise no_such("payout", payout, "payout", 400)  # PROVIDERS §3
        if not found["automatic"]:  # PROVIDERS §5
            # https://docs.stripe.com/payouts/reconciliation: what a person sends is not tied to transactions
            raise RefusedError("Balance transaction history can only be filtered on automatic transfers, not manual.")

    def _shown(self, thing: Thing, form: Form, prefix: str) -> Thing:
        expand = list_in(form["expand"], "expand") if "expand" in form else []
        if thing["object"] != "balance_transaction" or f"{prefix}source" not in expand:
            return thing
        places = (self._ledger.charges, self._ledger.refunds, *self._treasury.things.values())
        source = next((place[thing["source"]] for place in places if thing["source"] in place), None)
        return {**thing, "source": source}
