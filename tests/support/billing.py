"""Random bills in a world where calls are lost and processes die; judged by what the systems show, not by the engine.

`python -m tests.support.billing 1 20`: the worlds with seeds 1 to 20; exit 1 when one fails. Time passes between rounds
only, and nothing is edited on both sides.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import structlog

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sandbox.audit import discrepancies
from core.sandbox.faults import Fault, FaultKind, FaultPlan, FaultyExchange
from core.sandbox.papers import ENDINGS, PLACES, Account, Bill, Biller, invent, plant_bills
from core.store import documents, failures, holds, intents
from core.store.database import Tx
from tests.support.crashes import Crash, FragileWorld, Fuse
from tests.support.paper import BOOKS, SINCE, with_documents

POLICIES: Mapping[str, DocumentPolicy] = {
    "stripe": DocumentPolicy(originates=KINDS),
    "quickbooks": DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE),
    "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE, overview=True),
}
MIRRORS = {"stripe": ("quickbooks", "hubspot"), "quickbooks": ("hubspot",)}
AMOUNTS = ("gross_revenue", "outstanding", "overdue")
FAULTS: tuple[FaultKind, ...] = ("lost_answer", "lost_request", "error_after", "html")
STANDING = ("succeeded", "issued")
ROUNDS = 3
LONGEST_WAIT = 90_000.0


async def play(seed: int) -> list[str]:
    """One world from its beginning to its end; what is wrong then."""
    rng = Random(seed)
    fuse = Fuse()
    world = FragileWorld(config=with_documents(POLICIES, {"quickbooks": BOOKS}, {}), seed=seed, fuse=fuse)
    for number, currency in enumerate(rng.sample(sorted(PLACES), 3)):
        one = {"name": f"Customer {number}", "email": f"c{number}@example.test", "currency": currency}
        world.lookalikes["quickbooks"].edit("customer", None, one)
    await world.activate_all()
    for _ in range(ROUNDS):
        await _round(world, rng, fuse)
    for name, lookalike in world.lookalikes.items():
        world.exchanges[name] = lookalike.respond
    fuse.is_armed = False
    await world.settle(patience=LONGEST_WAIT)
    await world.next_sweep()
    await world.settle(patience=LONGEST_WAIT)
    return _problems(world) + await _noise(world)


async def _round(world: FragileWorld, rng: Random, fuse: Fuse) -> None:
    """People bill and pay; then Accord works, and may lose calls or die."""
    _bill(world, rng)
    for name, lookalike in world.lookalikes.items():
        kind = rng.choice(FAULTS)
        fault = Fault(kind=kind, method="POST", path=".", probability=rng.choice((0.0, 0.0, 0.15)))
        plan = FaultPlan(requests=(fault,))
        world.exchanges[name] = FaultyExchange(lookalike, plan, rng=Random(rng.random()), clock=world.clock)
    world.clock.time += world.timing.changes_every + 1
    for _ in range(rng.randint(0, 2)):
        fuse.blows_at, fuse.count, fuse.is_armed = rng.randint(1, 150), 0, True
        try:
            await world.settle(patience=200.0)
        except Crash:
            world.start()
    fuse.is_armed = False
    await world.settle(patience=200.0)


def _bill(world: FragileWorld, rng: Random) -> None:
    def edit(system: Biller, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return world.lookalikes[system].edit(kind, remote_id, changes)

    made = 1000 * (len(world.lookalikes["quickbooks"].neutral("invoice")) + 1)
    # every ending is among so many
    some = rng.sample(invent(rng, _accounts(world), len(ENDINGS)), rng.randint(3, 6))
    bills = [_numbered(one, made + place) for place, one in enumerate(some)]
    plant_bills(bills, edit)
    for _ in range(3):
        _change_one(world, rng)


def _numbered(one: Bill, number: int) -> Bill:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    return Bill(**{**values, "number": f"R-{number:06d}"})


def _accounts(world: FragileWorld) -> list[Account]:
    by_email = {one["email"]: name for name, one in world.neutral("stripe").items()}
    return [
        Account({"quickbooks": name, "stripe": by_email[one["email"]]}, one["currency"])
        for name, one in world.neutral("quickbooks").items()
    ]


def _change_one(world: FragileWorld, rng: Random) -> None:
    """An open invoice that nothing has settled is voided, or paid to the end."""
    system = rng.choice(("stripe", "quickbooks"))
    shown = world.lookalikes[system].neutral("invoice")
    open_ = [name for name, one in shown.items() if one["status"] == "open" and not one.get("mark")]
    if not open_:
        return
    name = rng.choice(open_)
    one = shown[name]
    if rng.random() < 0.5 and Decimal(one["due"]) == Decimal(one["total"]):
        world.lookalikes[system].edit("invoice", name, {"status": "void"})
    else:
        paid = {
            "customer": one["customer"],
            "currency": one["currency"],
            "amount": one["due"],
            "received_on": "2026-11-20",
        }
        applied = [{"invoice": name, "amount": one["due"]}]
        world.lookalikes[system].edit("payment", None, {**paid, "applications": applied})


def _problems(world: FragileWorld) -> list[str]:
    shown = {name: one.neutral("invoice") for name, one in world.lookalikes.items()}
    found = [f"{one.system} {one.number}: {one.problem}" for one in discrepancies(shown, MIRRORS, frozenset())]
    found += _money(world)
    found += _overviews(world)
    return found + world.db.read_now(_left)


def _money(world: FragileWorld) -> list[str]:
    """Each payment and credit note of Stripe's is in the books once, with its amount, and none else of ours."""
    found = []
    for kind, field in (("payment", "amount"), ("credit_note", "total")):
        made = [one for one in world.lookalikes["stripe"].neutral(kind).values() if one["status"] in STANDING]
        there_now = world.lookalikes["quickbooks"].neutral(kind).values()
        copied = [one for one in there_now if one.get("mark") and one["status"] in STANDING]
        wanted = sorted((one["currency"], one[field]) for one in made)
        there = sorted((one["currency"], one[field]) for one in copied)
        if wanted != there:
            found.append(f"{kind}s of Stripe's are {wanted}, their copies in the books {there}")
    return found


def _overviews(world: FragileWorld) -> list[str]:
    """What stands on each contact is what the two origins show of its customer, added up."""
    contacts = world.lookalikes["hubspot"].objects("customer").values()
    by_email = {one["properties"].get("email"): one["properties"] for one in contacts}
    found = []
    for account in _accounts(world):
        email = world.neutral("quickbooks")[account.ids["quickbooks"]]["email"]
        shown = {name: by_email[email].get(f"accord_{name}", "") for name in ("currency", *AMOUNTS, "last_paid_on")}
        wanted = _added_up(world, account)
        if {name: _number(one) for name, one in shown.items()} != {name: _number(one) for name, one in wanted.items()}:
            found.append(f"{email} is shown {shown} in HubSpot, and the origins have {wanted}")
    return found


def _number(text: str) -> object:
    return Decimal(text) if text.replace(".", "").removeprefix("-").isdecimal() else text


def _added_up(world: FragileWorld, account: Account) -> dict[str, str]:
    """Every invoice that is final and not void, what credits took off, what is due of open ones, the last payment."""
    today = datetime.fromtimestamp(world.clock.time, UTC).date().isoformat()
    sums, days, is_billed = dict.fromkeys(AMOUNTS, Decimal(0)), [""], False
    for system in ("stripe", "quickbooks"):
        own = {
            kind: [
                one
                for one in world.lookalikes[system].neutral(kind).values()
                if not one.get("mark") and one["customer"] == account.ids[system]
            ]
            for kind in KINDS
        }
        for one in own["invoice"]:
            if one["status"] in ("draft", "void"):
                continue
            is_billed, due = True, Decimal(one["due"]) if one["status"] == "open" else Decimal(0)
            sums["gross_revenue"] += Decimal(one["total"])
            sums["outstanding"] += due
            sums["overdue"] += due if (one.get("due_on") or today) < today else Decimal(0)
        for one in own["credit_note"]:
            sums["gross_revenue"] -= Decimal(one["total"]) if one["status"] == "issued" else Decimal(0)
        days += [one["received_on"] for one in own["payment"] if one["status"] == "succeeded"]
    if not is_billed:
        return {"currency": "", **dict.fromkeys(AMOUNTS, ""), "last_paid_on": ""}
    return {
        "currency": account.currency,
        **{name: str(one) for name, one in sums.items()},
        "last_paid_on": max(days),
    }


def _left(tx: Tx) -> list[str]:
    found = [f"in doubt: {one.action} {one.error}" for one in intents.all_open(tx)]
    found += [f"held: {one.reason} {one.detail}" for one in holds.listing(tx)]
    found += [f"failing: {one.message}" for one in failures.listing(tx)]
    for kind in KINDS:
        for paper in documents.page(tx, kind=kind, limit=10_000):
            if kind == "invoice":
                settled = documents.settled(tx, paper.id)
                told = paper.document.paid + paper.document.credited  # type: ignore[union-attr]  # by its kind
                if paper.document.status != "void" and settled != told:
                    found.append(f"{paper.remote_id} is settled by {settled}, and says {told}")
    return found


async def _noise(world: FragileWorld) -> list[str]:
    """Two more sweeps, one of them of everything, must not write, but what the turn of a day makes overdue."""
    before = [_writes(world, name) for name in world.names]
    await world.next_sweep()
    world.clock.time += world.timing.full_every + 1
    await world.settle()
    after = [_writes(world, name) for name in world.names]
    return [] if after == before else [f"idle sweeps wrote: {before} became {after}"]


def _writes(world: FragileWorld, name: str) -> int:
    made = [one for one in world.lookalikes[name].mutations if one.caller == "accord"]
    return sum(set(one.changed) != {"accord_overdue"} for one in made)


def main() -> int:
    """Play, print what is wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    first, last = int(sys.argv[1]), int(sys.argv[2])
    for seed in range(first, last + 1):
        found = asyncio.run(play(seed))
        if found:
            print(f"seed {seed}: " + "\n  ".join(found[:10]))
            return 1
    print(f"seeds {first} to {last}: nothing wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
