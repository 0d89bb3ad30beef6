"""Invoices, their payments and credit notes: the state of one account, how it is rendered, and who is told.

Objects are replaced and never changed in place, so that an event can say what they were before.

States and amounts: PROVIDERS §5. Who is told: §3, §4 (README, "What the look-alike rests on").
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from connectors.stripe.sandbox.account import StripeAccount
from connectors.stripe.sandbox.customers import LETTERS, previous_attributes
from connectors.stripe.sandbox.events import Shelf
from connectors.stripe.sandbox.search import LaggedIndex
from connectors.stripe.sandbox.settings import RefusedError
from core.ports import Clock
from core.sandbox.lookalike import Mutation

Thing = dict[str, Any]

EMBEDDED: Final = 10  # PROVIDERS §1
"""How many lines come along with a document."""

NAMES: Final = {"invoice": "invoice", "payment": "invoice_payment", "credit_note": "credit_note"}
"""Neutral kind -> Stripe's object."""

_PREFIXES: Final = {
    "invoice": "in_1",
    "invoice_payment": "inpay_1",
    "credit_note": "cn_1",
    "payment_record": "pr_1",
    "customer_balance_transaction": "cbtxn_1",
    "line_item": "il_1",
    "credit_note_line_item": "cnli_1",
    "payment_intent": "pi_3",
    "charge": "ch_3",
    "refund": "re_3",
    "tax_rate": "txr_1",
    "discount": "di_1",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Who did it, under which idempotency key and request."""

    caller: str
    key: str | None = None
    request_id: str | None = None


PERSON: Final = Cause("person")
STRIPE: Final = Cause("stripe")


class Ledger:
    """Documents of one account. Knows nothing of HTTP and of what is allowed."""

    def __init__(self, account: StripeAccount, clock: Clock, rng: random.Random) -> None:
        """Start empty."""
        self.account = account
        self.things: dict[str, dict[str, Thing]] = {
            name: {} for name in ("invoice", "invoice_payment", "credit_note", "payment_record")
        }
        self.shelves = {name: Shelf() for name in self.things}
        self.numbered: dict[str, str] = {}
        """Invoices by number."""
        self.index = LaggedIndex(frozenset({"number"}))
        """Invoices as Search sees them."""
        self.advancing: set[str] = set()
        """Drafts that are finalised by themselves."""
        self._payments_of: dict[str, list[str]] = {}
        self.lines: dict[str, list[Thing]] = {}
        self._lines_then: dict[str, list[Thing]] = {}
        self.pending_items: list[Thing] = []
        self.intents: dict[str, Thing] = {}
        self.charges: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.tax_rates: dict[str, Thing] = {}
        self.mails: list[str] = []
        """Whom Stripe has written to, and about what."""
        self._clock = clock
        self._rng = rng

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self._clock.now())

    @property
    def is_live(self) -> bool:
        """The account's mode."""
        return self.account.settings.is_live

    def new_id(self, name: str) -> str:
        """A fresh id of one of Stripe's objects."""
        return _PREFIXES[name] + "".join(self._rng.choices(LETTERS, k=20))

    def get(self, name: str, remote_id: object, param: str = "id", status: int = 404) -> Thing:
        """One object, or Stripe's refusal."""
        found = self.things[name].get(remote_id) if isinstance(remote_id, str) else None
        if found is None:  # PROVIDERS §3: a deleted draft is not there
            message = f"No such {name}: '{remote_id}'"
            raise RefusedError(message, status=status, code="resource_missing", param=param)
        return found

    def payments_of(self, invoice_id: str) -> list[Thing]:
        """Invoice payments of one invoice, oldest first."""
        return [self.things["invoice_payment"][one] for one in self._payments_of.get(invoice_id, ())]

    def notes_of(self, invoice_id: str) -> list[Thing]:
        """Credit notes of one invoice that count, oldest first."""
        notes = self.things["credit_note"].values()
        return [one for one in notes if one["invoice"] == invoice_id and one["status"] == "issued"]

    def tax_rate(self, data: Mapping[str, Any]) -> str:
        """Stripe makes a rate, or finds the one that it made before for the same data."""
        for remote_id, rate in self.tax_rates.items():
            if rate == data:
                return remote_id
        remote_id = self.new_id("tax_rate")
        self.tax_rates[remote_id] = dict(data)
        return remote_id

    # ---- changes ---------------------------------------------------------------------------------

    def put(self, thing: Thing, cause: Cause, *kinds: str) -> Thing:
        """Make an object what it is now, and tell of it under its event types (none: `updated` of an invoice)."""
        name, remote_id = thing["object"], thing["id"]
        old = self.things[name].get(remote_id)
        before = self.rendered(old, was=True) if old is not None else None
        self.things[name][remote_id] = thing
        self._filed(thing, old)
        after = self.rendered(thing)
        self._lines_then[remote_id] = list(self.lines.get(remote_id, ()))
        if old is None:
            self.shelves[name].add(remote_id, thing["created"])
        previous = previous_attributes(before, after) if before is not None else None
        self._noted(cause, "create" if old is None else "update", name, after, previous)
        if previous == {}:
            return thing
        for kind in kinds:
            told = previous if kind.endswith(".updated") else None
            self.account.tell(kind, msgspec.json.encode(after), told, cause.key, cause.request_id)
        return thing

    def remove(self, thing: Thing, cause: Cause) -> None:
        """A draft is deleted for good."""
        text = msgspec.json.encode(self.rendered(thing))
        del self.things["invoice"][thing["id"]]
        self.numbered.pop(thing["number"], None)
        self.advancing.discard(thing["id"])
        self.lines.pop(thing["id"], None)
        self.index.put(thing["id"], None, self.account.searched_at)
        self._noted(cause, "delete", "invoice", thing, {})
        self.account.tell("invoice.deleted", text, None, cause.key, cause.request_id)

    def _filed(self, thing: Thing, old: Thing | None) -> None:
        """What would otherwise be looked for among all of them at every call."""
        remote_id = thing["id"]
        if thing["object"] == "invoice_payment" and old is None:
            self._payments_of.setdefault(thing["invoice"], []).append(remote_id)
        if thing["object"] != "invoice":
            return
        if old is not None and old["number"] != thing["number"]:
            self.numbered.pop(old["number"], None)
        if thing["number"]:
            self.numbered[thing["number"]] = remote_id
        self.index.put(remote_id, thing, self.account.searched_at)
        if thing["status"] == "draft" and thing["automatically_finalizes_at"] is not None:
            self.advancing.add(remote_id)
        else:
            self.advancing.discard(remote_id)

    def tell(self, kind: str, thing: Thing, cause: Cause) -> None:
        """An event about something that cannot be listed here."""
        self.account.tell(kind, msgspec.json.encode(thing), None, cause.key, cause.request_id)

    def _noted(self, cause: Cause, action: str, name: str, thing: Thing, previous: Thing | None) -> None:
        kind = next((kind for kind, other in NAMES.items() if other == name), name)
        changed = thing if previous is None else {attribute: thing.get(attribute) for attribute in previous}
        noted = Mutation(self._clock.now(), cause.caller, action, kind, thing["id"], changed, cause.key)
        self.account.mutations.append(noted)

    # ---- what is shown ---------------------------------------------------------------------------

    def rendered(self, thing: Thing, expand: Sequence[str] = (), *, was: bool = False) -> Thing:
        """An object as the API shows it: the first lines, and what was asked to be expanded."""
        found = dict(thing)
        if thing["object"] in ("invoice", "credit_note"):
            lines = (self._lines_then if was else self.lines).get(thing["id"], [])
            found["lines"] = listing(lines[:EMBEDDED], _url(thing, "/lines"), has_more=len(lines) > EMBEDDED)
        if thing["object"] == "invoice" and "amount_paid_off_stripe" in expand:
            found["amount_paid_off_stripe"] = self._paid_off_stripe(thing["id"])
        if thing["object"] == "invoice" and thing["status"] == "draft":
            # before it is finalised, what is on the customer's balance now (docs.stripe.com/api/invoices/object)
            customer = self.account.customers.get(thing["customer"])
            found["starting_balance"] = customer["balance"] if customer else 0
        if thing["object"] == "invoice" and "payments" in expand:
            found["payments"] = listing(self.payments_of(thing["id"]), "/v1/invoice_payments", has_more=False)
        if thing["object"] == "invoice_payment":
            self._expand_payment(found, expand)
        return found

    def _paid_off_stripe(self, invoice_id: str) -> int:
        paid = [one for one in self.payments_of(invoice_id) if one["status"] == "paid"]
        return sum(one["amount_paid"] for one in paid if one["payment"]["type"] == "payment_record")

    def _expand_payment(self, found: Thing, expand: Sequence[str]) -> None:
        if "invoice" in expand and found["invoice"] in self.things["invoice"]:
            found["invoice"] = self.rendered(self.things["invoice"][found["invoice"]])
        payment = found["payment"] = dict(found["payment"])
        record = payment.get("payment_record")
        if record and "payment.payment_record" in expand:
            payment["payment_record"] = self.things["payment_record"][record]
        intent = payment.get("payment_intent")
        if intent and any(one.startswith("payment.payment_intent") for one in expand):
            payment["payment_intent"] = dict(self.intents[intent])
            charge = payment["payment_intent"]["latest_charge"]
            if charge and "payment.payment_intent.latest_charge" in expand:
                payment["payment_intent"]["latest_charge"] = self.charges[charge]


def listing(data: Sequence[Any], url: str, *, has_more: bool) -> Thing:
    """One of Stripe's lists."""
    return {"object": "list", "url": url, "has_more": has_more, "data": list(data)}


def _url(thing: Thing, end: str) -> str:
    return f"/v1/{thing['object']}s/{thing['id']}{end}"
