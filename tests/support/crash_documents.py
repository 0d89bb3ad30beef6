"""The crash matrix for documents: what becomes of them at each system that copies, and what must be true in the end.

Deaths are counted by the step under way (`answer of finalize invoice`), and the tables of connectors say which steps
there are: one that no job reaches fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from core.sandbox.faults import Fault, FaultKind
from core.store import failures, holds, intents
from core.store.database import Tx
from tests.support.acting import mapped
from tests.support.crash_acts import (
    COLLECTS,
    CREDITED,
    LINES,
    LONG,
    ORIGINS,
    PAID,
    TOTAL,
    Side,
    a_credit,
    a_draft,
    a_payment,
    a_rest,
    another_company,
    another_contact,
    apply_the_rest,
    belong,
    bounce,
    collect,
    config_for,
    credit,
    finalise,
    invoice,
    long_invoice,
    nothing,
    payment,
    recontact,
    refund,
    rehome,
    relabel,
    split,
    two_invoices,
    uncredit,
    untie,
    void,
    write_off,
)
from tests.support.crash_jobs import LONGEST_WAIT, Tally
from tests.support.crashes import Crash, FragileWorld, Fuse, database_of
from tests.support.paper import shown

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
    has_contacts: bool = False
    """Whether the customer is a company at HubSpot, with a billing contact."""
    also: tuple[tuple[str, int], ...] = ()
    """Requests of its first step that no other job's make."""


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
    "relabel": Job(relabel, a_credit, {"stripe": ("update credit_note",)}, due="120.90", credits=(CREDITED,)),
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
    "rehome": Job(
        rehome, another_company, {"hubspot": ("tie invoice",)}, has_contacts=True,
        also=((r"/invoices/companies/batch/labels/archive", 1),),
    ),
    "collect": Job(
        collect, invoice, {**dict.fromkeys(COLLECTS, ("update invoice",)), "hubspot": ("unbill invoice",)}
    ),
    "company": Job(invoice, nothing, {"hubspot": MADE["hubspot"]}, has_contacts=True),
    "recontact": Job(recontact, another_contact, {"hubspot": ("tie_contact invoice",)}, has_contacts=True),
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
        "tie invoice": ((r"/invoices/(contacts|companies)/batch/create", 1),),
        "tie_contact invoice": (
            (r"/invoices/contacts/batch/labels/archive", 1),
            (r"/invoices/contacts/batch/create", 1),
            (r"/invoices/batch/update", 1),
        ),
        "add_lines invoice": ((r"/line_items/batch/upsert", 2), (r"/invoices/line_items/batch/create", 1)),
        "update invoice": ((r"/invoices/batch/update", 1),),
        "unbill invoice": ((r"/invoices/batch/update", 1),),
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
        "update credit_note": ((r"/v1/credit_notes/[^/]+$", 1),),
        "void credit_note": ((r"/v1/credit_notes/[^/]+/void", 1),),
    },
}
"""The requests of each step: a pattern, and which of those that match it."""


def requests_of(mirror: str, job: str) -> list[tuple[str, str, int]]:
    """Each step of a job at a system with each of its requests."""
    first, one = JOBS[job].steps[mirror][0], JOBS[job]
    told = [(step, path, nth) for step in one.steps[mirror] for path, nth in STRIKES[mirror][step]]
    return told + [(first, path, nth) for path, nth in one.also]


# ---- dying -----------------------------------------------------------------------------------------


@dataclass
class Reached(Tally):
    """`passed`: how often each point was come by, dying there or not."""

    passed: dict[str, int] = field(default_factory=dict)


class DocumentMatrix:
    """Worlds to start from, made once: one customer everywhere, with what a job needs."""

    def __init__(self, *, is_whole: bool) -> None:
        """Not whole: no deaths at database reads."""
        self._worlds: dict[tuple[str, Act, bool, bool], FragileWorld] = {}
        self._is_whole = is_whole

    async def world(self, mirror: str, job: Job) -> FragileWorld:
        """A world in agreement."""
        kind = (mirror, job.before, job.has_entities, job.has_contacts)
        if kind not in self._worlds:
            config = config_for(mirror, has_entities=job.has_entities, has_contacts=job.has_contacts)
            world = FragileWorld(config=config, opens=database_of(is_whole=self._is_whole))
            world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
            await world.activate_all()
            await job.before(Side(world, mirror))
            await world.settle()
            self._worlds[kind] = world
        return self._worlds[kind]

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
        base = await self.world(mirror, JOBS[job])
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
    if job.has_contacts:
        _check_contacts(world, place)
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
        rows = [one.get("properties", one) for one in world.lookalikes[mirror].objects("invoice").values()]
        switched = {name: on for name, on in COLLECTS[mirror].items() if any(row.get(name) == on for row in rows)}
        assert not switched, f"{place}: a copy can be paid: {switched}"
    world.db.read_now(lambda tx: _check_registry(tx, place))


def _check_contacts(world: FragileWorld, place: str) -> None:
    rows = {one.part: one.remote_id for one in mapped(world, "hubspot") if one.state == "live"}
    ties = [(one["company"], one["contact"]) for one in world.lookalikes["hubspot"].objects("invoice").values()]
    assert ties == [([rows[""]], [rows["contact"]])], f"{place}: {ties}"


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
