"""Every webhook about money comes again, a thousand times, in any order: nothing changes.

`python -m tests.campaigns.replays [TIMES]`: two busy histories are played on look-alikes, one billed at Stripe and in
the books, one in the books alone and copied to Stripe; whatever the look-alikes tell of them is kept. Then each event
comes TIMES times more: shuffled and mixed with those of the other systems, alone or in arrays, some under the id that
it had and some under new ones, while minutes or days pass and sweeps run. Exit 1 when anything was written anywhere,
or any document, mapping, hold, intent, failure or journal entry is not what it was.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import sqlalchemy as sa

from config.file import AccordConfig
from core.model.documents import KINDS, Document
from core.model.policy import DocumentPolicy
from core.ports import Delivery
from core.sandbox.lookalike import LookAlike
from core.sandbox.papers import ENDINGS, PLACES, Account, Bill, Biller, invent, plant_bills
from core.store.database import Tx
from core.store.tables import CUSTOMERS, DOCUMENTS, FAILURES, HOLDS, INBOX, INTENTS, JOURNAL, MAPPINGS
from core.sync.inbox import InboxWriter
from core.sync.lanes import Lanes
from core.sync.pruning import prune
from tests.support.crashes import retold
from tests.support.deliveries import signed
from tests.support.paper import BOOKS, SINCE, with_documents
from tests.support.world import START, World

PEOPLE = 6
ROUNDS = 2
BILLS = 12
LOOK_EVERY = 50
URL = "https://accord.example.test/webhooks"
MONEY = frozenset(KINDS)
KEPT: Mapping[str, tuple[sa.Table, str]] = {
    "customers": (CUSTOMERS, "id version"),
    "documents": (DOCUMENTS, "id digest version deleted_at"),
    "mappings": (MAPPINGS, "id remote_id state base generation"),
    "holds": (HOLDS, "id state"),
    "intents": (INTENTS, "id state"),
    "failures": (FAILURES, "subject state"),
    "journal": (JOURNAL, "id"),
}
"""What must stay as it is, column by column."""


def histories() -> Mapping[str, tuple[AccordConfig, Sequence[Biller]]]:
    """What flows where, and who bills."""
    hubspot = DocumentPolicy(mirrors=("invoice",), since=SINCE)
    both = {
        "stripe": DocumentPolicy(originates=KINDS),
        "quickbooks": DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE),
        "hubspot": hubspot,
    }
    books = {
        "quickbooks": DocumentPolicy(originates=KINDS),
        "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE),
        "hubspot": hubspot,
    }
    opened = {"mirror_open_invoices": "yes"}
    return {
        "billed at Stripe and in the books": (
            with_documents(both, {"quickbooks": BOOKS}, {}),
            ("stripe", "quickbooks"),
        ),
        "billed in the books": (
            with_documents(books, {"quickbooks": BOOKS, "stripe": opened}, {}),
            ("quickbooks",),
        ),
    }


@dataclass
class Replay:
    """One history, and all that was told of it."""

    config: AccordConfig
    billers: Sequence[Biller]
    rng: Random
    rounds: int = ROUNDS
    bills: int = BILLS
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sent: int = 0
    names_made: int = 0

    def __post_init__(self) -> None:
        """An empty world whose systems tell of what happens in them."""
        self.world = World(config=self.config)
        for name, lookalike in self.world.lookalikes.items():
            lookalike.settings = replace(lookalike.settings, webhook_url=f"{URL}/{name}")
            self.events[name] = []
        self.writer = InboxWriter(self.world.hub)

    def restart(self, says: Mapping[str, Callable[[Document], Document]] = {}) -> None:
        """Accord dies and starts again. `says`: what origins say of their documents from then on instead, by kind."""
        self.world.start()
        self.world.hub = retold(self.world.hub, says)
        self.world.lanes = Lanes(self.world.hub)
        self.writer = InboxWriter(self.world.hub)

    # ---- the history -------------------------------------------------------------------------------

    async def play(self) -> None:
        """People bill, pay, credit, refund and void; Accord follows by webhooks, and by sweeps."""
        world = self.world
        for number in range(PEOPLE):
            currency = sorted(PLACES)[number % len(PLACES)]
            person = {"name": f"Customer {number}", "email": f"c{number}@example.test", "currency": currency}
            world.lookalikes["quickbooks"].edit("customer", None, person)
        await world.activate_all()
        for round_ in range(self.rounds):
            self._bill(1000 * (round_ + 1))
            await self._follow()
            self._settle_some()
            await self._follow()
        await world.next_sweep()
        world.clock.time += world.timing.full_every + 1
        await world.settle()
        await self._follow()

    def _bill(self, first: int) -> None:
        def edit(system: Biller, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
            return self.world.lookalikes[system].edit(kind, remote_id, changes)

        # every ending is among so many
        some = self.rng.sample(invent(self.rng, self._accounts(), 2 * len(ENDINGS)), self.bills)
        plant_bills([self._own(one, first + place) for place, one in enumerate(some)], edit)

    def _own(self, bill: Bill, number: int) -> Bill:
        system: Biller = bill.system if bill.system in self.billers else self.billers[0]
        is_draft = bill.ending == "draft" and system == "quickbooks"
        return msgspec.structs.replace(
            bill, system=system, number=f"R-{number:06d}", ending="open" if is_draft else bill.ending
        )

    def _accounts(self) -> list[Account]:
        by_email = {one["email"]: name for name, one in self.world.neutral("stripe").items()}
        return [
            Account({"quickbooks": name, "stripe": by_email[one["email"]]}, one["currency"])
            for name, one in self.world.neutral("quickbooks").items()
        ]

    def _settle_some(self) -> None:
        """What was open is paid, or voided; drafts are finalised, or deleted; a payment goes back in part, or whole."""
        for system in self.billers:
            lookalike = self.world.lookalikes[system]
            for name, one in sorted(lookalike.neutral("invoice").items()):
                if one.get("mark") or self.rng.random() < 0.5:
                    continue
                if one["status"] == "draft" and self.rng.random() < 0.5:
                    lookalike.edit("invoice", name, {"status": "open"})
                elif one["status"] == "draft":
                    lookalike.delete("invoice", name)
                elif one["status"] == "open" and one["due"] == one["total"] and self.rng.random() < 0.3:
                    lookalike.edit("invoice", name, {"status": "void"})
                elif one["status"] == "open":
                    self._settle(lookalike, name, one)
        self._refund()

    def _settle(self, lookalike: LookAlike, name: str, one: Mapping[str, Any]) -> None:
        same = {"customer": one["customer"], "currency": one["currency"]}
        if self.rng.random() < 0.3:
            lines = [{"description": "Sorry", "quantity": "1", "amount": one["due"]}]
            number = {} if lookalike.name == "stripe" else {"number": f"CN-{one['number']}"}
            note = {**same, **number, "invoice": name, "lines": lines, "applied": one["due"]}
            lookalike.edit("credit_note", None, note)
            return
        applied = [{"invoice": name, "amount": one["due"]}]
        paid = {**same, "amount": one["due"], "received_on": "2026-11-20", "applications": applied}
        lookalike.edit("payment", None, paid)

    def _refund(self) -> None:
        """QuickBooks has no refunds that Accord reads."""
        if "stripe" not in self.billers:
            return
        stripe = self.world.lookalikes["stripe"]
        paid = {name: one for name, one in stripe.neutral("payment").items() if one["status"] == "succeeded"}
        whole = [name for name, one in paid.items() if Decimal(one["refunded"]) == 0]
        for name in self.rng.sample(sorted(whole), min(2, len(whole))):
            stripe.edit("payment", name, {"refunded": paid[name]["amount"]})

    async def _follow(self) -> None:
        """Deliver what is told until nothing more is, and let the lanes work."""
        world = self.world
        while True:
            told = {name: list(one.due_webhooks(world.clock.now())) for name, one in world.lookalikes.items()}
            if not any(told.values()):
                break
            for name, some in told.items():
                for one in some:
                    await self.writer.receive(world.hub.connections[name], one.delivery)
                    world.lookalikes[name].webhook_answered(one.id, 200, world.clock.now())
                    found = json.loads(one.delivery.body)
                    self.events[name] += found if isinstance(found, list) else [found]
            await world.settle()
            world.clock.time += 5

    def about_money(self) -> dict[str, Counter[str]]:
        """How many events name an invoice, a payment or a credit note, by system and kind."""
        found = {}
        for name, events in self.events.items():
            webhooks = self.world.hub.connections[name].webhooks
            kinds: Counter[str] = Counter()
            kept = []
            for one in events:
                about = {notice.kind for notice in webhooks.notices(msgspec.json.encode(_enclosed(name, [one])))}
                kinds.update(about & MONEY)
                if about & MONEY:
                    kept.append(one)
            self.events[name] = kept
            found[name] = kinds
        return found

    # ---- again and again ---------------------------------------------------------------------------

    async def again(self) -> None:
        """Each event once more."""
        world = self.world
        world.clock.time += self.rng.choice((1.0, 90.0, 3_600.0, 86_400.0, 5 * 86_400.0))
        deliveries = [
            (name, one) for name in world.names for one in self._deliveries(name, self.events[name])
        ]  # fmt: skip
        self.rng.shuffle(deliveries)
        halves = self.rng.randint(0, len(deliveries))
        for some in (deliveries[:halves], deliveries[halves:]):
            await asyncio.gather(*(self.writer.receive(world.hub.connections[name], one) for name, one in some))
            await world.settle()
        self.sent += len(deliveries)
        await prune(world.hub)

    def _deliveries(self, name: str, events: Sequence[dict[str, Any]]) -> Iterator[Delivery]:
        left = self.rng.sample(events, len(events))
        while left:
            size = 1 if name == "stripe" else self.rng.choice((1, 3, 30, 100))
            some, left = left[:size], left[size:]
            if self.rng.random() < 0.5:
                some = [self._renamed(name, one) for one in some]
            body = msgspec.json.encode(_enclosed(name, some))
            yield signed(name, body, self.world.clock.now(), f"{URL}/{name}")

    def _renamed(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """The same event under an id that nobody has seen."""
        self.names_made += 1
        fresh = {"stripe": f"evt_again{self.names_made}", "hubspot": 10**12 + self.names_made}
        key = "eventId" if name == "hubspot" else "id"
        return {**event, key: fresh.get(name, f"{self.names_made:032x}")}

    # ---- what must stay ----------------------------------------------------------------------------

    def seen(self) -> dict[str, Any]:
        """Everything that may not change."""
        found: dict[str, Any] = self.world.db.read_now(_rows)
        for name, lookalike in self.world.lookalikes.items():
            found[f"mutations at {name}"] = len(lookalike.mutations)
        return found

    def letters(self) -> dict[str, int]:
        """Deliveries that are stored, by state."""
        counted = sa.select(INBOX.c.state, sa.func.count()).group_by(INBOX.c.state)
        return {row[0]: row[1] for row in self.world.db.read_now(lambda tx: tx.execute(counted).all())}


def _rows(tx: Tx) -> dict[str, Any]:
    found = {}
    for name, (table, columns) in KEPT.items():
        wanted = [table.c[one] for one in columns.split()]
        found[name] = sorted(tuple(map(str, row)) for row in tx.execute(sa.select(*wanted)))
    return found


def _enclosed(name: str, events: Sequence[dict[str, Any]]) -> Any:
    return events[0] if name == "stripe" else list(events)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not as it was."""
    found = []
    for name, was in before.items():
        if was == after[name]:
            continue
        if isinstance(was, int):
            found.append(f"{name}: {was} became {after[name]}")
        else:
            gone, fresh = sorted({*was} - {*after[name]}), sorted({*after[name]} - {*was})
            found.append(f"{name}: {len(gone)} changed or gone, {len(fresh)} new: {gone[:2]} {fresh[:2]}")
    return found


async def campaign(times: int, rounds: int = ROUNDS, bills: int = BILLS) -> dict[str, Any]:
    """Both histories, of so many bills in each of so many rounds; each event so many times more."""
    result: dict[str, Any] = {"times": times, "wrong": []}
    for name, (config, billers) in histories().items():
        replay = Replay(config, billers, Random(1), rounds, bills)
        await replay.play()
        kinds = replay.about_money()
        before = replay.seen()
        wrong: list[str] = []
        started = time.monotonic()
        for number in range(1, times + 1):
            await replay.again()
            if number % LOOK_EVERY == 0 or number == times:
                wrong = [f"{name}, after {number} times: {one}" for one in differences(before, replay.seen())]
                print(f"{name}: {number} times, {len(wrong)} wrong", file=sys.stderr, flush=True)
                if wrong:
                    break
        result["wrong"] += wrong
        result[name] = {
            "events": {one: dict(many) for one, many in kinds.items()},
            "documents": Counter(row[0] for row in replay.world.db.read_now(_kinds_of_documents)),
            "held": len(before["holds"]),
            "deliveries": replay.sent,
            "still stored": replay.letters(),
            "days passed": round((replay.world.clock.now() - START) / 86_400),
            "seconds": round(time.monotonic() - started),
        }
    return result


def _kinds_of_documents(tx: Tx) -> Sequence[Any]:
    return tx.execute(sa.select(DOCUMENTS.c.kind)).all()


def main() -> int:
    """Run and print."""
    import structlog  # noqa: PLC0415 - only the command is quiet

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    result = asyncio.run(campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
