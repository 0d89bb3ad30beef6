"""A plan of documents: how many come to which outcome, how much money that is, and a few of each."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final, Literal

import msgspec

from core.model.documents import KINDS, Document, Kind, amount_of, called, kind_of
from core.model.money import ZERO, spelled, total_of

EXAMPLES: Final = 3
"""Shown of each kind, outcome and reason."""

Outcome = Literal["take", "create", "change", "look", "wait", "hold", "fail"]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What documents of one kind and currency come to, and for which reason; `amount` is a decimal.

    take: it is taken into the registry, where it originates. create: a copy is made. change: `reason` says how, in the
    connector's word. look: something is looked for, or at, before that can be told. wait, hold, fail: nothing is
    written, and why.
    """

    kind: Kind
    outcome: Outcome
    reason: str
    currency: str
    amount: str


class Sum(Counted, frozen=True, kw_only=True):
    """How many documents these are, and what they come to together."""

    number: int


class Example(Counted, frozen=True, kw_only=True):
    """One document of a sum. `number` is its own, or its id at its origin; `says`: what exactly is the matter."""

    number: str
    origin: str
    says: str


class DocumentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Documents that are copied to one connection, and are not known to agree there.

    `since`: copies of documents from that day on (ISO date). `asks_first`: why the mass-change stop would ask a person
    before the first of them; "" when it would not. `not_read`: why copies could not be read: they are under `look`.
    """

    since: str
    sums: list[Sum]
    examples: list[Example]
    asks_first: str = ""
    not_read: str = ""

    def number(self, *outcomes: Outcome) -> int:
        """How many documents come to one of these."""
        return sum(one.number for one in self.sums if one.outcome in outcomes)


class Tally:
    """Counts documents."""

    def __init__(self) -> None:
        """None so far."""
        self.examples: list[Example] = []
        self._sums: dict[tuple[Kind, Outcome, str, str], tuple[int, Decimal]] = {}
        self._shown: Counter[tuple[Kind, Outcome, str]] = Counter()

    def add(
        self, document: Document, origin: str, remote_id: str, outcome: Outcome, reason: str = "", says: str = ""
    ) -> None:
        """One more; `remote_id` is its id at its origin."""
        amount = amount_of(document)
        key = (kind_of(document), outcome, reason, document.currency)
        number, total = self._sums.get(key, (0, ZERO))
        self._sums[key] = (number + 1, total_of([total, amount]))
        self._shown[key[:3]] += 1
        if self._shown[key[:3]] <= EXAMPLES:
            one = Example(
                kind=key[0],
                outcome=outcome,
                reason=reason,
                number=called(document) or remote_id,
                origin=origin,
                currency=document.currency,
                amount=spelled(amount, document.currency),
                says=says,
            )
            self.examples.append(one)

    def sums(self) -> list[Sum]:
        """By kind, outcome, reason and currency."""
        return [
            Sum(
                kind=kind,
                outcome=outcome,
                reason=reason,
                currency=currency,
                number=number,
                amount=spelled(amount, currency),
            )
            for (kind, outcome, reason, currency), (number, amount) in sorted(
                self._sums.items(), key=lambda one: (KINDS.index(one[0][0]), *one[0][1:])
            )
        ]
