"""The crash matrix for documents: what becomes of them at each system that copies, and what must be true in the end.

Deaths are counted by the step under way (`answer of finalize invoice`), and the tables of connectors say which steps
there are: one that no job reaches fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from config.file import AccordConfig
from core.model.documents import KINDS, Document, Payment
from core.model.policy import DocumentPolicy
from core.sandbox.faults import Fault, FaultKind
from core.store import failures, holds, intents, mappings
from core.store.database import Tx
from core.sync.documents.marking import mark_documents, mark_mappings
from tests.support.crash_jobs import LONGEST_WAIT, Tally, run_lane
from tests.support.crashes import Crash, FragileWorld, Fuse, database_of
from tests.support.paper import BOOKS, SINCE, bill, pay, shown, with_documents

LINES: tuple[Mapping[str, Any], ...] = (
    {"description": "Seats", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"},
    {"description": "Calls", "quantity": "1", "amount": "10.00", "tax": "1.90"},
)
FREE: Mapping[str, Any] = {"description": "Free", "quantity": "1", "amount": "0.00"}
LONG = 102
"""Lines of a long invoice: HubSpot makes a hundred of them with it."""
TOTAL = "130.90"
PAID = "30.90"
CREDITED = "10.00"
ORIGINS: Mapping[str, str] = {"quickbooks": "stripe", "hubspot": "stripe", "stripe": "quickbooks"}
"""Where documents come from that are copied to each."""
COLLECTS: Mapping[str, Mapping[str, Any]] = {
    "stripe": {"auto_advance": True},
    "quickbooks": {"AllowOnlineCreditCardPayment": True, "EmailStatus": "NeedToSend"},
}
"""What somebody switches on so that a system gets a copy paid."""


ENTITY = "metadata.entity"


def config_for(mirror: str, *, has_entities: bool = False) -> AccordConfig:
    """One system's documents are copied to one other; with entities, that is one's books, and a third another one's."""
    kinds = ("invoice",) if mirror == "hubspot" else KINDS
    policies = {
        ORIGINS[mirror]: DocumentPolicy(originates=KINDS),
        mirror: DocumentPolicy(mirrors=kinds, since=SINCE),
    }
    if has_entities:
        policies[mirror] = replace(policies[mirror], entities=("us",))
        policies["hubspot"] = DocumentPolicy(mirrors=("invoice",), since=SINCE, entities=("eu",))
    return with_documents(policies, {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}, {})


# ---- what people do ----------------------------------------------------------------------------------


class Side:
    """One world's origin, and the system that copies."""

    def __init__(self, world: FragileWorld, mirror: str) -> None:
        """Of `config_for(mirror)`."""
        self.world, self.mirror, self.origin = world, mirror, ORIGINS[mirror]

    def bill(self, number: int = 1, **changes: Any) -> str:
        """A person makes an invoice."""
        named = {"number": f"N-{number}"} if self.origin == "quickbooks" else {}
        return bill(self.world, self.origin, *LINES, **named, **changes)

    def invoices(self) -> list[str]:
        """Of the origin, in the order in which they were made."""
        return list(self.world.lookalikes[self.origin].neutral("invoice"))

    def edit(self, kind: str, remote_id: str | None, **changes: Any) -> str:
        """A person changes something at the origin."""
        return self.world.lookalikes[self.origin].edit(kind, remote_id, changes)

    def tell(self, kind: str, retell: Callable[[Any], Document]) -> None:
        """The origin says something else of its only document of a kind from now on."""
        (remote_id,) = (
            name
            for name, one in self.world.lookalikes[self.origin].neutral(kind).items()
            if one["status"] in ("open", "succeeded")
        )
        self.world.says[kind] = retell
        hub = self.world.hub
        named = {(kind, remote_id): "t"}
        self.world.db.run_now(
            lambda tx: mark_documents(tx, hub, hub.connections[self.origin], named, reason="a person says so")
        )

    async def follow(self) -> None:
        """The origin's lane, then the copy's."""
        self.world.clock.time += self.world.timing.changes_every + 1
        for name in (self.origin, self.mirror):
            await run_lane(self.world, name)


async def invoice(side: Side) -> None:
    """A person makes an invoice."""
    side.bill()
    await side.follow()


async def finalise(side: Side) -> None:
    """A draft, known already, is finalised."""
    side.edit("invoice", side.invoices()[0], status="open")
    await side.follow()


async def payment(side: Side) -> None:
    """A part of the invoice is paid."""
    pay(side.world, side.invoices()[0], PAID, side.origin)
    await side.follow()


async def split(side: Side) -> None:
    """One payment is for a part of each of two invoices."""
    applications = [{"invoice": one, "amount": PAID} for one in side.invoices()]
    pay(side.world, "", str(2 * Decimal(PAID)), side.origin, applications=applications)
    await side.follow()


async def credit(side: Side) -> None:
    """A part of the invoice is credited."""
    (customer,) = side.world.neutral(side.origin)
    named = {"number": "C-1"} if side.origin == "quickbooks" else {}
    line = {"description": "Sorry", "quantity": "1", "amount": CREDITED}
    note = {"customer": customer, "currency": "USD", "invoice": side.invoices()[0], "lines": [line]}
    side.edit("credit_note", None, **note, **named, applied=CREDITED)
    await side.follow()


async def uncredit(side: Side) -> None:
    """The credit note is voided."""
    (note,) = side.world.lookalikes[side.origin].neutral("credit_note")
    side.edit("credit_note", note, status="void")
    await side.follow()


async def void(side: Side) -> None:
    """The invoice is voided."""
    side.edit("invoice", side.invoices()[0], status="void")
    await side.follow()


async def bounce(side: Side) -> None:
    """The payment turns out to be none."""
    side.tell("payment", lambda one: replace(one, status="void"))
    await side.follow()


async def refund(side: Side) -> None:
    """All of the payment goes back."""
    side.tell("payment", lambda one: replace(one, refunded=Decimal(PAID)))
    await side.follow()


async def write_off(side: Side) -> None:
    """The invoice is given up."""
    lost = {"status": "uncollectible", "written_off": Decimal(TOTAL), "due": Decimal("0.00")}
    side.tell("invoice", lambda one: replace(one, **lost))
    await side.follow()


async def apply_the_rest(side: Side) -> None:
    """A payment of which a part was left over settles the invoice with that, too."""
    side.tell("payment", lambda one: _applied(one, PAID))
    await side.follow()


async def collect(side: Side) -> None:
    """Somebody lets the other system collect the copy."""
    mirror = side.world.lookalikes[side.mirror]
    (copy,) = mirror.neutral("invoice")
    mirror.edit("invoice", copy, {"extra": COLLECTS[side.mirror]})
    side.world.clock.time += side.world.timing.changes_every + 1
    await run_lane(side.world, side.mirror)


async def long_invoice(side: Side) -> None:
    """An invoice of more lines than one request makes."""
    bill(side.world, side.origin, *LINES, *[FREE] * (LONG - len(LINES)))
    await side.follow()


async def belong(side: Side) -> None:
    """Somebody says at the origin whose customer it is."""
    (customer,) = side.world.neutral(side.origin)
    side.world.lookalikes[side.origin].edit("customer", customer, {ENTITY: "us"})
    await side.follow()


async def untie(side: Side) -> None:
    """Somebody ties the copy to another contact instead."""
    hubspot = side.world.lookalikes["hubspot"]
    (copy,) = hubspot.neutral("invoice")
    hubspot.edit("invoice", copy, {"customer": hubspot.edit("customer", None, {"name": "Grace"})})
    hub = side.world.hub
    rows = side.world.db.read_now(lambda tx: mappings.by_remote_ids(tx, "hubspot", "invoice", [copy])).values()
    side.world.db.run_now(lambda tx: mark_mappings(tx, hub, list(rows), reason="a person says so", trace="t"))
    await run_lane(side.world, "hubspot")


def _applied(one: Payment, amount: str) -> Payment:
    return replace(one, applications=(replace(one.applications[0], amount=Decimal(amount)),))


# ---- what is there before --------------------------------------------------------------------------


async def nothing(side: Side) -> None:
    """A customer alone."""


async def a_draft(side: Side) -> None:
    """A draft that the registry knows."""
    side.bill(status="draft")
    await side.follow()


async def two_invoices(side: Side) -> None:
    """Both copied."""
    await invoice(side)
    side.bill(2)
    await side.follow()


async def a_payment(side: Side) -> None:
    """An invoice, paid in part."""
    await invoice(side)
    await payment(side)


async def a_credit(side: Side) -> None:
    """An invoice, credited in part."""
    await invoice(side)
    await credit(side)


async def a_rest(side: Side) -> None:
    """A payment of which a part settles nothing yet."""
    await invoice(side)
    side.world.says["payment"] = lambda one: _applied(one, "20.90")  # type: ignore[arg-type]
    await payment(side)


Act = Callable[[Side], Awaitable[None]]


@dataclass(frozen=True)
class Job:
    """What happens, to what, by which steps, and what is there in the end."""

    act: Act
    before: Act
    steps: Mapping[str, tuple[str, ...]]
    """Steps at each system that the job is for."""
    due: str = TOTAL
    status: str = "open"
    invoices: int = 1
    payments: tuple[str, ...] = ()
    credits: tuple[str, ...] = ()
    refunded: str = "0.00"
    lines: int = len(LINES)
    has_entities: bool = False
    """Whether the books are one entity's, and the customer is nobody's before."""


MADE = {
    "quickbooks": ("create invoice",),
    "hubspot": ("create invoice",),
    "stripe": ("create invoice", "add_lines invoice", "finalize invoice"),
}
TOLD = {"hubspot": ("update invoice",)}
"""What settles an invoice is told on HubSpot's copy of it."""
JOBS: Mapping[str, Job] = {
    "invoice": Job(invoice, nothing, MADE),
    "finalise": Job(finalise, a_draft, {name: MADE[name] for name in ("quickbooks", "hubspot")}),
    "payment": Job(
        payment, invoice, {**TOLD, **dict.fromkeys(("quickbooks", "stripe"), ("create payment",))},
        due="100.00", payments=(PAID,),
    ),
    "split": Job(
        split, two_invoices, {"stripe": ("create payment", "apply payment")},
        due="100.00", invoices=2, payments=(PAID, PAID),
    ),
    "credit": Job(
        credit, invoice,
        {**TOLD, "quickbooks": ("create credit_note", "apply credit_note"), "stripe": ("create credit_note",)},
        due="120.90", credits=(CREDITED,),
    ),
    "uncredit": Job(uncredit, a_credit, {"stripe": ("void credit_note",)}),
    "void": Job(
        void, invoice, dict.fromkeys(ORIGINS, ("void invoice",)), due="0.00", status="void"
    ),
    "bounce": Job(bounce, a_payment, {"quickbooks": ("void payment",)}),
    "rest": Job(
        apply_the_rest, a_rest, {"quickbooks": ("apply payment",)}, due="100.00", payments=(PAID,)
    ),
    "refund": Job(
        refund, a_payment, {"stripe": ("refund payment",)}, due="100.00", payments=(PAID,), refunded=PAID
    ),
    "write off": Job(
        write_off, invoice, {"stripe": ("mark_uncollectible invoice",)}, due="0.00", status="uncollectible"
    ),
    "long": Job(
        long_invoice, nothing, {"hubspot": ("create invoice", "add_lines invoice", "update invoice")}, lines=LONG
    ),
    "untie": Job(untie, invoice, {"hubspot": ("tie invoice",)}),
    "collect": Job(collect, invoice, dict.fromkeys(COLLECTS, ("update invoice",))),
    "entity": Job(belong, invoice, {"quickbooks": ("create invoice",)}, has_entities=True),
}  # fmt: skip

STRIKES: Mapping[str, Mapping[str, tuple[tuple[str, int], ...]]] = {
    "quickbooks": {
        "create invoice": ((r"/invoice\?", 1),),
        "update invoice": ((r"/invoice\?", 1),),
        "void invoice": ((r"/invoice\?.*operation=void", 1),),
        "create payment": ((r"/payment\?", 1),),
        "apply payment": ((r"/payment\?", 1),),
        "void payment": ((r"/payment\?.*include=void", 1),),
        "create credit_note": ((r"/creditmemo\?", 1),),
        "apply credit_note": ((r"/payment\?", 1),),
    },
    "hubspot": {
        "create invoice": ((r"/line_items/batch/upsert", 1), (r"/invoices/batch/create", 1)),
        "tie invoice": ((r"/invoices/contacts/batch/create", 1),),
        "add_lines invoice": ((r"/line_items/batch/upsert", 2), (r"/invoices/line_items/batch/create", 1)),
        "update invoice": ((r"/invoices/batch/update", 1),),
        "void invoice": ((r"/invoices/batch/update", 1),),
    },
    "stripe": {
        "create invoice": ((r"/v1/invoices$", 1),),
        "add_lines invoice": ((r"/add_lines", 1),),
        "finalize invoice": ((r"/finalize", 1),),
        "update invoice": ((r"/v1/invoices/[^/]+$", 1),),
        "void invoice": ((r"/v1/invoices/[^/]+/void", 1),),
        "mark_uncollectible invoice": ((r"/mark_uncollectible", 1),),
        "create payment": ((r"/report_payment", 1), (r"/attach_payment", 1)),
        "apply payment": ((r"/report_payment", 2), (r"/attach_payment", 2)),
        "refund payment": ((r"/report_refund", 1),),
        "create credit_note": ((r"/v1/credit_notes$", 1),),
        "void credit_note": ((r"/v1/credit_notes/[^/]+/void", 1),),
    },
}
"""The requests of each step: a pattern, and which of those that match it."""


# ---- dying -----------------------------------------------------------------------------------------


@dataclass
class Reached(Tally):
    """`passed`: how often each point was come by, dying there or not."""

    passed: dict[str, int] = field(default_factory=dict)


class DocumentMatrix:
    """Worlds to start from, made once: one customer everywhere, with what a job needs."""

    def __init__(self, *, is_whole: bool) -> None:
        """Not whole: no deaths at database reads."""
        self._worlds: dict[tuple[str, Act, bool], FragileWorld] = {}
        self._is_whole = is_whole

    async def world(self, mirror: str, before: Act, *, has_entities: bool = False) -> FragileWorld:
        """A world in agreement."""
        if (mirror, before, has_entities) not in self._worlds:
            config = config_for(mirror, has_entities=has_entities)
            world = FragileWorld(config=config, opens=database_of(is_whole=self._is_whole))
            world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
            await world.activate_all()
            await before(Side(world, mirror))
            await world.settle()
            self._worlds[mirror, before, has_entities] = world
        return self._worlds[mirror, before, has_entities]

    async def run(
        self, mirror: str, job: str, kind: FaultKind | None = None, strike: tuple[str, int] = ("", 1), *,
        step: int = 1, first: int = 1,
    ) -> Reached:  # fmt: skip
        """Die at every `step`-th point, one after the other, until the job survives."""
        tally = Reached()
        fault = Fault(kind=kind, method="POST", path=strike[0], nth=strike[1], count=1) if kind else None
        blows_at = first
        while await self._die_at(blows_at, mirror, job, fault, tally):
            blows_at += step
        return tally

    async def _die_at(self, blows_at: int, mirror: str, job: str, fault: Fault | None, tally: Reached) -> bool:
        base = await self.world(mirror, JOBS[job].before, has_entities=JOBS[job].has_entities)
        base.fused = (ORIGINS[mirror], mirror)
        base.database_calls = ("run", "read") if self._is_whole else ("run",)
        fuse = Fuse(blows_at=blows_at, is_armed=True)
        world = base.copy(fuse)
        struck = world.fail_once(mirror, fault) if fault else None
        died = ""
        try:
            await JOBS[job].act(Side(world, mirror))
        except Crash as crash:
            died = str(crash)
        fuse.is_armed = False
        place = f"{job} at {mirror}, {fault.kind if fault else 'no fault'}, death {blows_at}: {died or 'none'}"
        tally.struck += len(struck.trace) if struck else 0
        tally.passed = {**tally.passed, **fuse.reached}
        if died:
            tally.deaths += 1
            tally.points[died] += 1
            world.start()
        await world.settle(patience=LONGEST_WAIT)
        await world.next_sweep()
        check(world, mirror, JOBS[job], place)
        await check_silence(world, place, is_whole=self._is_whole)
        world.db.engine.dispose()
        return bool(died)


# ---- judging ---------------------------------------------------------------------------------------


def check(world: FragileWorld, mirror: str, job: Job, place: str) -> None:
    """One copy of each document, equal to the minor unit; nothing doubled, dropped, held or in doubt."""
    originals, copies = shown(world, ORIGINS[mirror]), shown(world, mirror)
    assert len(copies) == job.invoices, f"{place}: {len(copies)} invoices at {mirror}"
    assert sorted(one["number"] for one in copies) == sorted(one["number"] for one in originals), place
    for one in copies:
        assert (one["status"], one["due"]) == (job.status, job.due), f"{place}: {one}"
        if job.status != "void":
            assert (one["total"], len(one["lines"])) == (TOTAL, job.lines), f"{place}: {one}"
            settled = [Decimal(one.get(name, 0)) for name in ("paid", "credited", "written_off", "due")]
            assert sum(settled) == Decimal(TOTAL), f"{place}: {one}"
    if job.has_entities:
        assert not shown(world, "hubspot"), f"{place}: it is in another entity's books, too"
    if mirror == "hubspot":
        lines = world.lookalikes["hubspot"].objects("line_item")
        assert len(lines) == job.invoices * job.lines, f"{place}: {len(lines)} line items"
    else:
        payments = [one for one in shown(world, mirror, "payment") if one["status"] == "succeeded"]
        notes = [one for one in shown(world, mirror, "credit_note") if one["status"] == "issued"]
        assert [one["amount"] for one in payments] == list(job.payments), f"{place}: {payments}"
        assert sum(Decimal(one["refunded"]) for one in payments) == Decimal(job.refunded), f"{place}: {payments}"
        assert [one["total"] for one in notes] == list(job.credits), f"{place}: {notes}"
    if mirror == "stripe":
        assert not any(one["is_collected"] or one["mails"] for one in copies), f"{place}: {copies}"
    if mirror in COLLECTS:
        rows = world.lookalikes[mirror].objects("invoice").values()
        switched = {name: on for name, on in COLLECTS[mirror].items() if any(row.get(name) == on for row in rows)}
        assert not switched, f"{place}: a copy can be paid: {switched}"
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
