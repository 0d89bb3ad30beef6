"""The crash matrix for documents: what happens to an invoice, what goes wrong, and what must be true in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from core.sandbox.faults import Fault, FaultKind
from core.store import failures, holds, intents
from core.store.database import Tx
from tests.support.crash_jobs import LONGEST_WAIT, Tally, run_lane
from tests.support.crashes import Crash, FragileWorld, Fuse
from tests.support.paper import bill, papers, pay, shown, stripe_to_books

WRITES = r"/v3/company/[^/]+/(invoice|payment|creditmemo|batch)"
LINES: tuple[Mapping[str, Any], ...] = (
    {"description": "Seats", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"},
    {"description": "Calls", "quantity": "1", "amount": "10.00", "tax": "1.90"},
)
TOTAL = "130.90"


async def invoice(world: FragileWorld) -> None:
    """A person makes an invoice."""
    bill(world, "stripe", *LINES)
    await _through(world)


async def payment(world: FragileWorld) -> None:
    """A part of the invoice is paid."""
    pay(world, _only(world), "30.90")
    await _through(world)


async def credit(world: FragileWorld) -> None:
    """A part of the invoice is credited."""
    credited = {"description": "Sorry", "quantity": "1", "amount": "10.00"}
    (customer,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit(
        "credit_note", None, {"customer": customer, "currency": "USD", "invoice": _only(world), "lines": [credited]}
    )
    await _through(world)


async def void(world: FragileWorld) -> None:
    """The invoice is voided."""
    world.lookalikes["stripe"].edit("invoice", _only(world), {"status": "void"})
    await _through(world)


Job = Callable[[FragileWorld], Awaitable[None]]
JOBS: Mapping[str, tuple[Job, bool]] = {
    # job, whether an invoice is there before it
    "invoice": (invoice, False),
    "payment": (payment, True),
    "credit": (credit, True),
    "void": (void, True),
}
EXPECTED: Mapping[str, Mapping[str, Any]] = {
    "invoice": {"status": "open", "due": TOTAL, "payments": [], "credits": []},
    "payment": {"status": "open", "due": "100.00", "payments": ["30.90"], "credits": []},
    "credit": {"status": "open", "due": "120.90", "payments": [], "credits": ["10.00"]},
    "void": {"status": "void", "due": "0.00", "payments": [], "credits": []},
}


def _only(world: FragileWorld) -> str:
    (remote_id,) = world.lookalikes["stripe"].neutral("invoice")
    return remote_id


async def _through(world: FragileWorld) -> None:
    """The origin's lane, then the copy's."""
    world.clock.time += world.timing.changes_every + 1
    for name in ("stripe", "quickbooks"):
        await run_lane(world, name)


class DocumentMatrix:
    """Worlds to start from, made once: one customer everywhere, with an invoice or without any."""

    def __init__(self, *, is_whole: bool) -> None:
        """Not whole: no deaths at database reads."""
        self._worlds: dict[bool, FragileWorld] = {}
        self._is_whole = is_whole

    async def world(self, *, has_invoice: bool) -> FragileWorld:
        """A world in agreement."""
        if has_invoice not in self._worlds:
            world = FragileWorld(config=stripe_to_books())
            world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
            await world.activate_all()
            if has_invoice:
                await invoice(world)
                await world.settle()
            self._worlds[has_invoice] = world
        return self._worlds[has_invoice]

    async def run(self, job: str, kind: FaultKind | None, *, step: int = 1) -> Tally:
        """Die at every `step`-th point, one after the other, until the job survives."""
        tally = Tally()
        blows_at = 1
        while await self._die_at(blows_at, job, kind, tally):
            blows_at += step
        return tally

    async def _die_at(self, blows_at: int, job: str, kind: FaultKind | None, tally: Tally) -> bool:
        act, has_invoice = JOBS[job]
        base = await self.world(has_invoice=has_invoice)
        base.fused = ("stripe", "quickbooks")
        base.database_calls = ("run", "read") if self._is_whole else ("run",)
        fuse = Fuse(blows_at=blows_at, is_armed=True)
        world = base.copy(fuse)
        struck = None
        if kind is not None:
            struck = world.fail_once("quickbooks", Fault(kind=kind, method="POST", path=WRITES, count=1))
        died = ""
        try:
            await act(world)
        except Crash as crash:
            died = str(crash)
        fuse.is_armed = False
        place = f"{job}, {kind or 'no fault'}, death {blows_at}: {died or 'none'}"
        if struck is not None:
            tally.struck += len(struck.trace)
        if died:
            tally.deaths += 1
            tally.points[died] += 1
            world.start()
        await world.settle(patience=LONGEST_WAIT)
        await world.next_sweep()
        check(world, job, place)
        await check_silence(world, place, is_whole=self._is_whole)
        world.db.engine.dispose()
        return bool(died)


def check(world: FragileWorld, job: str, place: str) -> None:
    """One copy of each document, equal to the minor unit; nothing doubled, dropped, held or in doubt."""
    wanted = EXPECTED[job]
    (origin,), copies = shown(world, "stripe"), shown(world, "quickbooks")
    assert len(copies) == 1, f"{place}: {len(copies)} invoices in the books"
    (there,) = copies
    assert len(papers(world)) == 1, place
    assert (there["status"], there["due"]) == (wanted["status"], wanted["due"]), f"{place}: {there}"
    if job != "void":
        assert (there["total"], len(there["lines"])) == (TOTAL, 2), f"{place}: {there}"
        settled = [Decimal(there[name]) for name in ("paid", "credited", "due")]
        assert sum(settled) == Decimal(TOTAL), f"{place}: {there}"
    assert there["number"] == origin["number"], place
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == wanted["payments"], place
    assert [one["total"] for one in shown(world, "quickbooks", "credit_note")] == wanted["credits"], place
    world.db.read_now(lambda tx: _check_registry(tx, place))


def _check_registry(tx: Tx, place: str) -> None:
    assert intents.all_open(tx) == [], f"{place}: {intents.all_open(tx)}"
    assert holds.listing(tx) == [], f"{place}: {[one.detail for one in holds.listing(tx)]}"
    assert failures.listing(tx) == [], f"{place}: {failures.listing(tx)}"


async def check_silence(world: FragileWorld, place: str, *, is_whole: bool) -> None:
    """A sweep of changes and one of everything write nothing anywhere."""
    before = [world.writes(name) for name in world.names]
    await world.next_sweep()
    if is_whole:
        world.clock.time += world.timing.full_every + 1
        await world.settle()
    assert [world.writes(name) for name in world.names] == before, f"{place}: an idle sweep wrote"
