"""What a person approved is done, and nothing else; what a person rejected, or was never asked about, is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from config.file import AccordConfig
from core.model import holds
from core.model.policy import Guard
from core.ports import HttpRequest, HttpResponse, Missing
from core.sandbox.faults import Fault
from core.store import observations, work
from core.sync import carry_out
from core.sync.carry_out import Standing
from core.sync.notices import mark_objects
from core.sync.plan import Plan, plan
from core.sync.reconcile import reconcile
from tests.integration.sync.test_family import company, parents
from tests.integration.sync.test_found_by_simulation import weather
from tests.integration.sync.test_guards import MANY, crowd, phones
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change_only,
    edit,
    edit_only,
    enter,
    everybody,
    held,
    mapped,
    only,
    with_policy,
)
from tests.support.crashes import Crash
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

STOPPED = 24
BATCHED = ("hubspot", "quickbooks")
"""Stripe is read one by one, so a cleared column is stopped only after its budget is spent."""


def clear(world: World, name: str) -> list[str]:
    """Somebody empties a column for most of the records; nobody has seen it yet."""
    some = list(world.neutral(name))[:STOPPED]
    for remote_id in some:
        edit_only(world, name, {"phone": None}, remote_id)
    return some


def with_phone(world: World) -> int:
    """How many customers of the registry have a phone."""
    return sum("phone" in one.fields for one in everybody(world))


def told(world: World, name: str, remote_ids: Sequence[str]) -> None:
    """A webhook names these objects."""
    connection = world.hub.connections[name]
    world.db.run_now(lambda tx: mark_objects(tx, world.hub, connection, remote_ids, reason="webhook", trace="w"))


async def told_one_by_one(world: World, name: str, remote_ids: Sequence[str]) -> None:
    """Webhooks name these objects one after the other, and the lane works each time."""
    for remote_id in remote_ids:
        told(world, name, [remote_id])
        await world.lanes.run(name)


async def seen(world: World, name: str, remote_ids: Sequence[str]) -> None:
    """A look stores these objects as they are, and does nothing about them."""
    connection = world.hub.connections[name]
    answers = await connection.connector.read("customer", list(remote_ids))
    found = [connection.observed(one) for one in answers.values() if not isinstance(one, Missing)]
    world.db.run_now(lambda tx: observations.put(tx, name, "customer", found, world.clock.time))


async def applied(world: World, name: str, shown: Plan, patience: float = 60.0) -> Standing:
    """A person applies this plan; what has become of it."""
    connection = world.hub.connections[name]
    subjects = world.db.run_now(lambda tx: carry_out.begin(tx, world.hub, connection, shown, actor="ann"))
    await carry_out.carry_out(world.hub, connection, subjects, patience=patience)
    return world.db.read_now(lambda tx: carry_out.standing(tx, connection, subjects))


def beside(world: World, name: str, path: str, act: Callable[[], None], method: str | None = None) -> None:
    """Something happens once, right after the first request to `path` (by `method`, else any) was answered."""
    plain = world.exchanges[name]
    is_over = False

    def exchange(request: HttpRequest) -> HttpResponse:
        nonlocal is_over
        response = plain(request)
        if path in request.url and method in (None, request.method) and not is_over:
            is_over = True
            act()
        return response

    world.exchanges[name] = exchange


async def widened(name: str) -> World:
    """Nothing is created at a connection; `opened` lets it."""
    world = World(config=with_policy(config_of(NAMES), name, creates="none"))
    await world.activate_all()
    return world


def opened(world: World) -> None:
    """Policy lets everything be created from now on."""
    world.config = config_of(NAMES)
    world.start()


async def test_what_the_guard_stops_is_not_approved_by_a_plan_that_did_not_show_it() -> None:
    """The plan showed questions only; the cleared column came after it, and webhooks told of it once more."""
    world = await crowd()
    some = list(world.neutral("hubspot"))[:STOPPED]
    for remote_id in some:
        edit_only(world, "hubspot", {"extra": {"country": "Atlantis"}}, remote_id)
    await all_day(world)
    assert {one.reason for one in held(world)} == {"unreadable_value"}
    clear(world, "hubspot")
    shown = await plan(world.hub, world.hub.connections["hubspot"])
    world.db.run_now(lambda tx: carry_out.begin(tx, world.hub, world.hub.connections["hubspot"], shown, actor="ann"))
    await world.lanes.run("hubspot")
    assert with_phone(world) == MANY
    assert held(world, holds.MASS_CHANGE)
    told(world, "hubspot", some)
    await world.settle()
    assert with_phone(world) == MANY


async def test_what_was_rejected_is_not_done_by_a_late_webhook() -> None:
    """One at a time, within the budget: each notice used to bring in what a person had refused."""
    world = await crowd()
    some = clear(world, "hubspot")
    await all_day(world)
    (hold,) = held(world)
    await answer(world, hold, "reject")
    await told_one_by_one(world, "hubspot", some[:10])
    assert with_phone(world) == MANY


@pytest.mark.parametrize("name", NAMES)
async def test_a_rejected_mass_change_of_a_feed_is_not_asked_again(name: str) -> None:
    """The feed's overlap names the same objects at the next sweep: the question has its answer."""
    world = await crowd()
    clear(world, name)
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "reject")
    for _ in range(4):
        await world.next_sweep()
    assert held(world) == []


@pytest.mark.parametrize("name", BATCHED)
async def test_what_was_stopped_does_not_drip_through(name: str) -> None:
    """One after the other of the stopped records is named again: none passes while the question is open."""
    world = await crowd()
    some = clear(world, name)
    await world.next_sweep()
    assert len(held(world)) == 1
    await told_one_by_one(world, name, some[:10])
    assert with_phone(world) == MANY


async def test_an_approved_entry_enters_under_the_id_that_was_shown() -> None:
    """An external id is for ever: one that was changed after the plan is not what a person agreed to."""
    world = World()
    await world.activate_all()
    made = world.lookalikes["hubspot"].edit("customer", None, {**ADA, "external_id": "A-1"})
    await seen(world, "hubspot", [made])
    shown = await plan(world.hub, world.hub.connections["hubspot"])
    assert [(one.kind, one.external_id) for one in shown.items] == [("enter", "A-1")]
    world.lookalikes["hubspot"].edit("customer", made, {"external_id": "B-2"})
    stands = await applied(world, "hubspot", shown, patience=0)
    assert (stands.done, stands.stale) == (0, 1)
    assert everybody(world) == []


async def test_an_approval_that_comes_during_the_read_is_kept() -> None:
    """A person approves the newer change while the lane reads for the older approval, which is stale then."""
    world = await agreeing()
    hubspot = world.hub.connections["hubspot"]
    (row,) = mapped(world, "hubspot")
    subject = work.mapping_subject(row.id)
    edit_only(world, "hubspot", {"phone": "+49302"})

    def approve(digest: str) -> None:
        now, shown = world.clock.time, {subject: digest}
        world.db.run_now(
            lambda tx: work.mark(tx, "hubspot", [subject], reason=work.APPROVED, trace=digest, now=now, shown=shown)
        )

    approve("older")
    rows = world.db.read_now(lambda tx: work.due(tx, "hubspot", world.clock.time, 10))
    beside(world, "hubspot", "batch/read", lambda: approve("newer"))
    await reconcile(world.hub, hubspot, rows)
    (left,) = world.db.read_now(lambda tx: work.due(tx, "hubspot", world.clock.time, 10))
    assert (left.reason, left.shown) == (work.APPROVED, "newer")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["individual", "company"])
async def test_a_planned_create_is_reported_done(name: str, kind: str) -> None:
    """What a create leaves to be looked at afterwards is not the plan's change gone stale."""
    world = await widened(name)
    await enter(world, "A-1", **ADA, customer_type=kind)
    assert not world.neutral(name)
    opened(world)
    stands = await applied(world, name, await plan(world.hub, world.hub.connections[name]))
    assert (stands.stale, stands.done) == (0, 1)
    assert len(world.neutral(name)) == 1


async def test_a_planned_update_whose_echo_comes_first_is_reported_done() -> None:
    """Our own write's webhook arrived before its answer, and its subject passed for stale."""
    world = await agreeing()
    change_only(world, everybody(world)[0].external_id, phone="+4930123")
    shown = await plan(world.hub, world.hub.connections["hubspot"])
    remote_id = only(world, "hubspot")
    beside(world, "hubspot", "batch/update", lambda: told(world, "hubspot", [remote_id]))
    stands = await applied(world, "hubspot", shown)
    assert (stands.stale, stands.done) == (0, 1)
    assert world.neutral("hubspot")[remote_id]["phone"] == "+4930123"


@pytest.mark.parametrize("name", BATCHED)
async def test_a_planned_family_is_reported_done(name: str) -> None:
    """Parent and child are created by one plan: that the child hangs below its parent then is part of it."""
    world = await widened(name)
    await company(world, "Holding")
    await company(world, "Branch", "Holding")
    assert not world.neutral(name)
    opened(world)
    stands = await applied(world, name, await plan(world.hub, world.hub.connections[name]))
    assert (stands.stale, stands.done) == (0, 2)
    await world.settle()
    assert parents(world, name) == {"Holding": None, "Branch": "Holding"}


async def test_an_approved_mixed_change_survives_a_429() -> None:
    """Both sides changed: the pull is committed, the push is told to wait, and is still what was approved."""
    world = await crowd()
    objects = {one.record_id: one.remote_id for one in mapped(world, "hubspot")}
    for one in everybody(world)[:STOPPED]:
        change_only(world, one.external_id, phone=None)
        edit_only(world, "hubspot", {"url": "https://new.example.test"}, objects[one.id])
    await seen(world, "hubspot", list(world.neutral("hubspot")))
    shown = await plan(world.hub, world.hub.connections["hubspot"])
    weather(world, "hubspot", Fault(kind="too_many", path="batch/update", count=1))
    await applied(world, "hubspot", shown)
    await world.settle()
    assert [one for one in held(world) if one.connection == "hubspot"] == []
    assert phones(world, "hubspot") == MANY - STOPPED


async def test_an_ordinary_edit_after_an_approved_mass_change_passes() -> None:
    """What a person has seen draws on no budget: the next edit was stopped for it within the hour."""
    world = await crowd()
    clear(world, "hubspot")
    await all_day(world)
    for _ in range(6):
        for hold in held(world):
            await answer(world, hold, "approve")
    assert held(world) == []
    await edit(world, "hubspot", {"name": "Grace Hopper"}, list(world.neutral("hubspot"))[30])
    assert held(world) == []
    assert "Grace Hopper" in {one["name"] for one in world.neutral("stripe").values()}


async def test_links_are_counted_by_the_mass_change_stop() -> None:
    """Objects that were linked overwrote the registry's values, unasked and uncounted."""
    world = await widened("hubspot")
    policy = msgspec.structs.replace(world.config.policy, guard=Guard(overwrite_count=5))
    world.config = AccordConfig(connections=world.config.connections, policy=policy)
    world.start()
    for one in range(12):
        fields = {"name": f"Person Number{one}", "email": f"person{one}@example.test", "phone": f"+49301{one:04}"}
        world.lookalikes["stripe"].edit("customer", None, fields)
    await all_day(world)
    for customer in everybody(world):
        fields = {name: str(customer.fields[name]) for name in ("name", "email")}
        fields |= {"external_id": customer.external_id, "phone": "+49309999"}
        world.lookalikes["hubspot"].edit("customer", None, fields)
    await all_day(world)
    await all_day(world)
    assert sum(one.fields["phone"] == "+49309999" for one in everybody(world)) <= 5
    assert held(world, holds.MASS_CHANGE)


async def test_what_a_process_that_died_had_sent_does_not_come_back_over_what_is_applied_right_after() -> None:
    """No lane runs there, so that it was not waited for: it landed later, passed for an edit, and won everywhere."""
    world = await agreeing(phone="+49301111111")
    (one,) = everybody(world)
    change_only(world, one.external_id, phone="+49302222222")
    slow = weather(world, "stripe", Fault(kind="slow", method="POST", path="/v1/customers/", count=1, seconds=80.0))

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method == "POST":
            world.clock.time += 91.0  # it stood in line
            with pytest.raises(TimeoutError):
                slow(request)
            raise Crash
        return slow(request)

    world.exchanges["stripe"] = exchange
    with pytest.raises(Crash):
        await world.lanes.run("stripe")
    world.exchanges["stripe"] = slow
    world.start()
    change_only(world, one.external_id, phone="+49303333333")
    await applied(world, "stripe", await plan(world.hub, world.hub.connections["stripe"]), patience=300.0)
    world.clock.time += 81.0
    slow.run_late()
    for _ in range(2):
        await all_day(world)
    assert {one["phone"] for name in NAMES for one in world.neutral(name).values()} == {"+49303333333"}
    assert everybody(world)[0].fields["phone"] == "+49303333333"
