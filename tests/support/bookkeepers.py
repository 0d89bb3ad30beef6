"""People who bill at Stripe while the daemon lives and dies, and what must be true of the copies when it rests.

Everything is judged by what the look-alikes show; of Accord's own rows only holds are asked for, since a held document
need not be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import sqlalchemy as sa

from core.errors import InvalidInputError
from core.sandbox.admin import Edit
from core.sandbox.audit import Shown, discrepancies, settlement_problems
from core.sandbox.client import SandboxClient
from core.sandbox.papers import PLACES, Account, invent
from core.store.database import Database
from core.store.tables import DOCUMENTS, HOLDS, MAPPINGS
from tests.benchmarks.daemon_process import CONFIG

NAMES = ("stripe", "hubspot", "quickbooks")
MIRRORS = {"stripe": ("quickbooks", "hubspot")}
PEOPLE = 9
FLOWING = CONFIG.replace(
    'provider = "quickbooks"', 'provider = "quickbooks"\ndeposit_account = "35"\ndefault_item = "1"'
) + """
[connections.stripe.documents]
originates = ["invoice", "payment", "credit_note"]

[connections.quickbooks.documents]
mirrors = ["invoice", "payment", "credit_note"]
since = "2000-01-01"

[connections.hubspot.documents]
mirrors = ["invoice"]
since = "2000-01-01"
"""  # fmt: skip
"""Stripe's documents are copied to QuickBooks and to HubSpot."""


class Bookkeepers:
    """Invoices made, finalised, paid in part and whole, credited and voided, in currencies of 0, 2 and 3 decimals."""

    config = FLOWING

    def __init__(self, clients: Mapping[str, SandboxClient], rng: Random) -> None:
        """Some customers, each with the currency of its books."""
        self.clients = clients
        self._rng = rng
        self._accounts: list[Account] = []
        self.done: Counter[str] = Counter()
        currencies = [sorted(PLACES)[number % len(PLACES)] for number in range(PEOPLE)]
        people = [
            {"name": f"Customer {number}", "email": f"c{number}@example.test", "currency": currency}
            for number, currency in enumerate(currencies)
        ]
        self.clients["quickbooks"].bulk(Edit(changes=one) for one in people)

    def begin(self) -> None:
        """Everybody is everywhere by now: who can be billed."""
        by_email = {one["email"]: name for name, one in self.clients["stripe"].neutral().items()}
        self._accounts = [
            Account({"stripe": by_email[one["email"]], "quickbooks": name}, one["currency"])
            for name, one in self.clients["quickbooks"].neutral().items()
        ]

    # ---- what they do ------------------------------------------------------------------------------

    def act(self) -> None:
        """A moment of everybody's work."""
        moves: Sequence[Callable[[], str | None]] = (self._bill, self._finalise, self._pay, self._credit, self._void)
        for _ in range(self._rng.randint(1, 4)):
            move = self._rng.choices(moves, (5, 3, 4, 2, 1))[0]
            name = move() or self._bill()
            self.done[name] += 1

    def _bill(self) -> str:
        (bill,) = invent(self._rng, self._accounts, 1)
        is_draft = self._rng.random() < 0.4
        changes = {
            "customer": bill.account.ids["stripe"],
            "currency": bill.account.currency,
            "issued_on": bill.issued_on,
            "due_on": bill.due_on,
            "lines": [dict(line) for line in bill.lines],
            "status": "draft" if is_draft else "open",
        }
        self.clients["stripe"].edit(changes, kind="invoice")
        return "draft made" if is_draft else "open invoice made"

    def _some(self, fits: Callable[[Mapping[str, Any]], bool]) -> tuple[str, Mapping[str, Any]] | None:
        there = self.clients["stripe"].neutral("invoice")
        found = sorted(name for name, one in there.items() if fits(one))
        if not found:
            return None
        name = self._rng.choice(found)
        return name, there[name]

    def _finalise(self) -> str | None:
        found = self._some(lambda one: bool(one["status"] == "draft"))
        if found:
            self.clients["stripe"].edit({"status": "open"}, found[0], kind="invoice")
        return "finalised" if found else None

    def _pay(self) -> str | None:
        found = self._some(_is_due)
        if not found:
            return None
        name, one = found
        amount = one["due"] if self._rng.random() < 0.5 else self._part(one)
        applied = [{"invoice": name, "amount": amount}]
        same = {"customer": one["customer"], "currency": one["currency"], "received_on": "2026-11-20"}
        self.clients["stripe"].edit({**same, "amount": amount, "applications": applied}, kind="payment")
        return "paid" if amount == one["due"] else "paid in part"

    def _credit(self) -> str | None:
        found = self._some(_is_due)
        if not found:
            return None
        name, one = found
        amount = self._part(one)
        lines = [{"description": "Sorry", "quantity": "1", "amount": amount}]
        note = {"customer": one["customer"], "currency": one["currency"], "invoice": name, "lines": lines}
        self.clients["stripe"].edit({**note, "applied": amount}, kind="credit_note")
        return "credited"

    def _void(self) -> str | None:
        found = self._some(lambda one: _is_due(one) and Decimal(one["due"]) == Decimal(one["total"]))
        if not found:
            return None
        try:
            self.clients["stripe"].edit({"status": "void"}, found[0], kind="invoice")
        except InvalidInputError:
            return None
        return "voided"

    def _part(self, one: Mapping[str, Any]) -> str:
        """Some of what is due, in units that all systems can say."""
        places = PLACES[one["currency"]]
        step = Decimal(1).scaleb(-places) * (10 if places == 3 else 1)
        steps = int(Decimal(one["due"]) / step)
        return f"{step * self._rng.randint(1, max(1, steps // 2)):.{places}f}"

    # ---- what must be true at rest -----------------------------------------------------------------

    def problems(self, db: Database) -> list[str]:
        """What is not as it must be at rest; a held document may differ, and may not be there twice."""
        shown = {
            kind: {name: self.clients[name].neutral(kind) for name in NAMES if kind == "invoice" or name != "hubspot"}
            for kind in ("invoice", "payment", "credit_note")
        }
        held = held_documents(db)
        found = invoice_problems(shown["invoice"], held)
        found += settlement_problems(shown, held, "stripe", "quickbooks")
        items, told = self.clients["hubspot"].objects("line_item"), shown["invoice"]["hubspot"].values()
        on_invoices = sum(len(one["lines"]) for one in told)
        if len(items) != on_invoices:
            found.append(f"hubspot: {len(items)} line items, {on_invoices} of them on invoices")
        return found

    def told(self, db: Database) -> dict[str, Any]:
        """For the summary."""
        held = held_documents(db)
        counts = {
            name: {
                kind: len(self.clients[name].neutral(kind))
                for kind in (("invoice",) if name == "hubspot" else ("invoice", "payment", "credit_note"))
            }
            for name in NAMES
        }
        return {"done": dict(self.done), "documents": counts, "held": len(held)}


def _is_due(one: Mapping[str, Any]) -> bool:
    return bool(one["status"] == "open" and Decimal(one["due"]) > 0)


def held_documents(db: Database) -> dict[str, str]:
    """Ids at their origin of documents that a person is asked about, each with the reason."""
    about = sa.select(DOCUMENTS.c.remote_id, HOLDS.c.reason, HOLDS.c.detail).join_from(
        HOLDS, MAPPINGS, HOLDS.c.subject == sa.literal("m:") + MAPPINGS.c.id
    )
    about = about.join(DOCUMENTS, DOCUMENTS.c.id == MAPPINGS.c.record_id).where(HOLDS.c.state == "open")
    with db.engine.connect() as connection:
        return {row.remote_id: f"{row.reason} {row.detail}" for row in connection.execute(about)}


def invoice_problems(shown: Mapping[str, Shown], held: Mapping[str, str]) -> list[str]:
    """One copy of each invoice with all of its lines once, equal in total, tax, balance and state."""
    numbers = frozenset(one["number"] for name, one in shown["stripe"].items() if name in held)
    found = [f"{one.system} {one.number}: {one.problem}" for one in discrepancies(shown, MIRRORS, numbers)]
    lines = {one["number"]: _lines(one) for one in shown["stripe"].values()}
    for name in MIRRORS["stripe"]:
        copies = [one for one in shown[name].values() if one.get("mark")]
        judged = [one for one in copies if one["status"] != "void" and one["number"] not in numbers]
        found += [
            f"{name} {one['number']}: lines {_lines(one)}, not {lines[one['number']]}"
            for one in judged
            if _lines(one) != lines[one["number"]]
        ]
    return found


def _lines(one: Mapping[str, Any]) -> list[tuple[Decimal, Decimal]]:
    # of tax QuickBooks has only the sum, which the audit compares
    return [(Decimal(line["amount"]), Decimal(line["discount"])) for line in one["lines"]]
