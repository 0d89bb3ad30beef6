"""Holds: what Accord will not decide alone, and what each answer does."""

from __future__ import annotations

from functools import partial

import pytest

from core.errors import InvalidInputError, VersionConflictError
from core.model import holds
from core.model.policy import Rule
from core.ports import Exchange, HttpRequest, HttpResponse
from core.store import connections
from core.store import holds as hold_rows
from core.sync import answers
from core.sync.look import look
from core.sync.plan import plan
from core.sync.undo import undo
from tests.support.acting import (
    agreeing,
    all_day,
    answer,
    change,
    change_only,
    edit,
    edit_only,
    entries,
    everybody,
    held,
    mapped,
    only,
    value,
    waiting,
    with_policy,
)
from tests.support.lookalikes import hubspot_of
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


def censored(exchange: Exchange) -> Exchange:
    """A provider that stores every 666 as 000, whatever it documents."""

    def answer(request: HttpRequest) -> HttpResponse:
        body = request.body.replace(b"4930666", b"4930000")
        return exchange(HttpRequest(request.method, request.url, request.headers, body))

    return answer


async def in_conflict() -> World:
    """Ada's phone was changed at Stripe and at HubSpot at once, and nobody ranks phones."""
    world = await agreeing(phone="+4930100")
    world.config = with_policy(world.config, fields={"phone": Rule()})
    world.start()
    edit_only(world, "stripe", {"phone": "+4930111"})
    edit_only(world, "hubspot", {"phone": "+4930222"})
    await world.next_sweep()
    return world


async def test_a_conflict_without_ranks_waits_for_a_person_and_writes_nothing() -> None:
    """Neither value is lost, and both stay where they are."""
    world = await in_conflict()
    (hold,) = held(world)
    assert hold.reason == holds.CONFLICT
    assert {value(world, "stripe", "phone"), value(world, "hubspot", "phone")} == {"+4930111", "+4930222"}
    before = {name: world.writes(name) for name in NAMES}
    await all_day(world)
    assert {name: world.writes(name) for name in NAMES} == before
    assert len(held(world)) == 1


@pytest.mark.parametrize("choice", ["registry", "remote"])
async def test_a_conflict_is_ended_by_a_choice(choice: str) -> None:
    """The chosen value goes everywhere, and the hold closes."""
    world = await in_conflict()
    (hold,) = held(world)
    wanted = hold.detail[choice]
    await answer(world, hold, choice)
    assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {wanted}
    assert held(world) == []
    assert sum(waiting(world).values()) == 0


async def test_a_conflict_may_be_accepted() -> None:
    """Both keep their value until one of them changes."""
    world = await in_conflict()
    (hold,) = held(world)
    await answer(world, hold, "accept")
    assert held(world) == []
    await all_day(world)
    assert value(world, "stripe", "phone") != value(world, "hubspot", "phone")
    await edit(world, hold.connection, {"phone": "+4930333"})
    assert {value(world, name, "phone") for name in NAMES} == {"+4930333"}


async def test_an_answer_to_values_that_moved_on_does_not_count() -> None:
    """It was given on other values."""
    world = await in_conflict()
    (hold,) = held(world)
    change_only(world, everybody(world)[0].external_id, phone="+4930444")
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "remote", actor="ann"))
    await world.settle()
    assert value(world, "registry", "phone") == "+4930444"
    (again,) = held(world)
    assert again.id != hold.id
    with pytest.raises(InvalidInputError):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, again.id, "remote", actor="ann", digest=hold.digest))


async def test_a_hold_closes_itself_when_the_sides_agree_again() -> None:
    """Moot: nobody needs to answer it."""
    world = await in_conflict()
    (hold,) = held(world)
    await edit(world, hold.connection, {"phone": hold.detail["registry"]})
    assert held(world) == []
    ended = world.db.read_now(lambda tx: hold_rows.get(tx, hold.id))
    assert ended is not None
    assert ended.state == "moot"


async def test_an_answer_that_did_not_help_is_not_given_again_by_itself() -> None:
    """`registry` on a value that the provider keeps changing: written once more, then asked again; not for ever."""
    world = await agreeing()
    external_id = everybody(world)[0].external_id
    world.exchanges["stripe"] = censored(world.exchanges["stripe"])
    await change(world, external_id, phone="+4930666")
    (hold,) = held(world)
    assert (hold.reason, hold.field) == (holds.PROVIDER_CHANGED, "phone")
    before = world.writes("stripe")
    await answer(world, hold, "registry")
    assert world.writes("stripe") == before + 1
    (again,) = held(world)
    assert again.id != hold.id
    await all_day(world)
    assert world.writes("stripe") == before + 1
    await answer(world, again, "accept")
    assert held(world) == []
    await all_day(world)
    assert held(world) == []
    assert world.writes("stripe") == before + 1


async def test_a_value_the_provider_changed_can_be_taken_into_the_registry() -> None:
    """The answer `remote`: its spelling goes everywhere."""
    world = await agreeing()
    external_id = everybody(world)[0].external_id
    world.exchanges["stripe"] = censored(world.exchanges["stripe"])
    await change(world, external_id, phone="+4930666")
    assert value(world, "registry", "phone") == "+4930666"
    await answer(world, held(world)[0], "remote")
    assert value(world, "registry", "phone") == "+4930000"
    assert value(world, "hubspot", "phone") == "+4930000"
    assert held(world) == []


async def test_only_the_choices_there_are_can_be_chosen() -> None:
    """The choices are named; and no hold is answered twice."""
    world = await in_conflict()
    (hold,) = held(world)
    with pytest.raises(InvalidInputError, match="registry, remote, accept"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "link:x", actor="ann"))
    await answer(world, hold, "accept")
    with pytest.raises(InvalidInputError, match="not open"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "accept", actor="ann"))


async def test_clearing_an_email_asks_first() -> None:
    """A cleared e-mail at one provider is not cleared everywhere."""
    world = await agreeing()
    await edit(world, "stripe", {"email": None})
    (hold,) = held(world)
    assert (hold.reason, hold.field) == (holds.CLEARED, "email")
    assert value(world, "hubspot", "email") == "ada@example.test"
    await answer(world, hold, "remote")
    assert value(world, "registry", "email") is None
    # every other connection asks for itself before it is cleared
    assert {one.connection for one in held(world, holds.CLEARED)} == {"hubspot", "quickbooks"}
    for one in held(world):
        await answer(world, one, "registry")
    assert value(world, "hubspot", "email") is None
    assert value(world, "quickbooks", "email") is None
    assert held(world) == []


async def test_a_cleared_email_can_be_put_back() -> None:
    """The other answer."""
    world = await agreeing()
    await edit(world, "stripe", {"email": None})
    (hold,) = held(world)
    await answer(world, hold, "registry")
    assert value(world, "stripe", "email") == "ada@example.test"
    assert held(world) == []


async def test_a_value_that_does_not_fit_is_held_and_the_rest_flows() -> None:
    """Nothing is cut short: QuickBooks has no room for a colon in a name."""
    world = await agreeing()
    await change(world, everybody(world)[0].external_id, name="Ada: Analytical Engines", phone="+4930555")
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.field) == ("quickbooks", holds.UNREPRESENTABLE, "name")
    assert hold.detail["cure"]
    assert value(world, "quickbooks", "name") == "Ada Lovelace"
    assert {value(world, name, "phone") for name in NAMES} == {"+4930555"}
    assert value(world, "hubspot", "name") == "Ada: Analytical Engines"
    await change(world, everybody(world)[0].external_id, name="Ada Engines")
    assert held(world) == []
    assert {value(world, name, "name") for name in NAMES} == {"Ada Engines"}


async def test_an_unrepresentable_value_can_be_taken_back_from_the_connection() -> None:
    """The answer `remote` ends it in favour of what is there."""
    world = await agreeing()
    await change(world, everybody(world)[0].external_id, name="Ada: Analytical Engines")
    (hold,) = held(world)
    await answer(world, hold, "remote")
    assert {value(world, name, "name") for name in (*NAMES, "registry")} == {"Ada Lovelace"}
    assert held(world) == []


async def test_an_object_deleted_at_the_provider_is_asked_about_and_not_missed() -> None:
    """Never taken for an edit; the others keep theirs."""
    world = await agreeing()
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    await all_day(world)
    (hold,) = held(world)
    assert hold.reason == holds.REMOTE_GONE
    assert mapped(world, "hubspot")[0].state == "gone"
    assert len(world.neutral("stripe")) == len(world.neutral("quickbooks")) == 1
    await all_day(world)
    assert len(world.neutral("hubspot")) == 0
    assert len(held(world)) == 1


async def test_a_deleted_object_can_be_made_again() -> None:
    """A new generation, in agreement."""
    world = await agreeing(phone="+4930100")
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    await all_day(world)
    await answer(world, held(world)[0], "recreate")
    assert value(world, "hubspot", "phone") == "+4930100"
    assert held(world) == []
    assert [(row.state, row.generation) for row in mapped(world, "hubspot")] == [("live", 2)]
    before = {name: world.writes(name) for name in NAMES}
    await all_day(world)
    assert {name: world.writes(name) for name in NAMES} == before


async def test_a_deleted_object_can_be_let_go() -> None:
    """Unlinked: it is not made again by any sweep, edit or retry."""
    world = await agreeing()
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    await all_day(world)
    await answer(world, held(world)[0], "unlink")
    await change(world, everybody(world)[0].external_id, phone="+4930777")
    await all_day(world)
    assert len(world.neutral("hubspot")) == 0
    assert value(world, "quickbooks", "phone") == "+4930777"
    assert held(world) == []


async def test_an_object_that_was_restored_flows_again() -> None:
    """Its hold closes itself."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    assert len(held(world)) == 1
    hubspot_of(world).restore("customer", remote_id)
    await all_day(world)
    assert held(world) == []
    assert mapped(world, "hubspot")[0].state == "live"
    await change(world, everybody(world)[0].external_id, phone="+4930888")
    assert value(world, "hubspot", "phone") == "+4930888"


async def test_a_plan_after_a_look_says_what_an_object_that_came_back_will_get() -> None:
    """It is there, and was said not to be there any more."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    await change(world, everybody(world)[0].external_id, phone="+4930888")
    hubspot = world.hub.connection("hubspot")
    (gone,) = (await plan(world.hub, hubspot)).items
    assert (gone.kind, gone.reason.partition(":")[0]) == ("hold", holds.REMOTE_GONE)
    hubspot_of(world).restore("customer", remote_id)
    await look(world.hub, hubspot)
    (item,) = (await plan(world.hub, hubspot)).items
    assert (item.kind, [(one.field, one.new) for one in item.changes]) == ("update", [("phone", "+4930888")])
    await all_day(world)
    assert value(world, "hubspot", "phone") == "+4930888"


async def test_a_deleted_object_whose_customer_was_edited_is_still_asked_about() -> None:
    """Edit against delete: the edit does not bring it back, the delete does not win."""
    world = await agreeing()
    world.lookalikes["stripe"].delete("customer", only(world, "stripe"))
    await change(world, everybody(world)[0].external_id, phone="+4930999")
    assert [one.reason for one in held(world)] == [holds.REMOTE_GONE]
    assert len(world.neutral("stripe")) == 0
    assert value(world, "hubspot", "phone") == "+4930999"


async def test_a_merge_at_hubspot_moves_the_mapping_to_the_survivor() -> None:
    """An unmapped double was merged into ours: the provider's new object is the customer's."""
    world = await agreeing()
    world.config = with_policy(world.config, "hubspot", enters="marked")
    world.start()
    ours = only(world, "hubspot")
    double = world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada L.", "email": "ada.l@example.test"})
    survivor = hubspot_of(world).merge("customer", ours, double)
    await all_day(world)
    (row,) = mapped(world, "hubspot")
    assert (row.remote_id, row.state) == (survivor, "live")
    assert held(world) == []
    assert len(everybody(world)) == 1
    await change(world, everybody(world)[0].external_id, phone="+4930123")
    assert world.neutral("hubspot")[survivor]["phone"] == "+4930123"


async def test_a_merge_of_two_customers_holds_both() -> None:
    """Customers are never merged by themselves."""
    world = World()
    first = world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada", "email": "a@example.test"})
    second = world.lookalikes["hubspot"].edit("customer", None, {"name": "Bob", "email": "b@example.test"})
    for number in range(8):
        world.lookalikes["hubspot"].edit(
            "customer", None, {"name": f"Other{number}", "email": f"o{number}@example.test"}
        )
    await world.activate_all()
    mappings_before = {row.remote_id: row.id for row in mapped(world, "hubspot")}
    hubspot_of(world).merge("customer", first, second)
    await all_day(world)
    await all_day(world)
    assert len(everybody(world)) == 10
    both = {f"m:{mappings_before[first]}", f"m:{mappings_before[second]}"}
    assert both == {one.subject for one in held(world, holds.MERGED)}
    assert {"Ada", "Bob"} <= {one["name"] for one in world.neutral("stripe").values()}
    assert len(world.neutral("stripe")) == 10
    gone = next(one for one in held(world, holds.MERGED) if one.detail.get("survivor"))
    await answer(world, gone, "unlink")
    assert held(world, holds.MERGED) == []
    (left,) = [row for row in mapped(world, "hubspot") if row.remote_id == gone.detail["survivor"]]
    assert left.state == "live"


async def test_an_object_with_a_customers_external_id_cannot_be_made_another_customer() -> None:
    """The answer used to be taken, could not be carried out, and was tried again and again."""
    world = await agreeing()
    owner = everybody(world)[0].external_id
    other = {"name": "Ben", "email": "ben@example.test", "external_id": owner}
    world.lookalikes["stripe"].edit("customer", None, other)
    await world.next_sweep()
    (hold,) = held(world)
    with pytest.raises(InvalidInputError, match=f"its external id is that of customer {owner}"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "create", actor="ann"))
    assert [one.id for one in held(world)] == [hold.id]
    await answer(world, hold, "leave")
    assert len(everybody(world)) == 1


async def test_a_changed_external_id_is_held_and_never_followed() -> None:
    """The key on the remote object is another one."""
    world = await agreeing()
    before = everybody(world)[0].external_id
    await edit(world, "stripe", {"external_id": "another", "phone": "+4930321"})
    (hold,) = held(world)
    assert (hold.reason, hold.field) == (holds.EXTERNAL_ID_CHANGED, "external_customer_id")
    assert everybody(world)[0].external_id == before
    assert value(world, "hubspot", "phone") == "+4930321"
    await answer(world, hold, "accept")
    await all_day(world)
    assert held(world) == []
    assert everybody(world)[0].external_id == before


async def test_two_automations_that_fight_are_stopped() -> None:
    """1,333 writes in 1,000 sweeps, without the breaker."""
    world = await agreeing(phone="+4930100")
    for _ in range(12):
        for name, number in (("stripe", "+4930111"), ("hubspot", "+4930222")):
            edit_only(world, name, {"phone": number})
            world.clock.time += 15
            for lane in NAMES:
                world.db.run_now(partial(connections.touch_cursor, connection=lane, kind="customer", mode="changes"))
            await world.settle(patience=5)
    assert holds.OSCILLATION in {one.reason for one in held(world)}


async def test_the_loser_of_a_conflict_can_be_put_back() -> None:
    """By the published ranks the registry's phone stands; the other is in the journal, with an undo."""
    world = await agreeing(phone="+4930100")
    external_id = everybody(world)[0].external_id
    edit_only(world, "hubspot", {"phone": "+4930222"})
    change_only(world, external_id, phone="+4930111")
    await world.next_sweep()
    assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {"+4930111"}
    (lost,) = [one for one in entries(world) if one.lost]
    assert [(one.field, one.value, one.side) for one in lost.lost] == [("phone", "+4930222", "remote")]
    world.db.run_now(lambda tx: undo(tx, world.hub, lost.id, field=None, actor="ann"))
    await world.settle()
    assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {"+4930222"}


async def test_the_loser_of_a_conflict_is_not_put_back_over_what_came_later() -> None:
    """The winner may have been corrected meanwhile, at any system."""
    world = await agreeing(phone="+4930100")
    external_id = everybody(world)[0].external_id
    edit_only(world, "hubspot", {"phone": "+4930222"})
    change_only(world, external_id, phone="+4930111")
    await world.next_sweep()
    (lost,) = [one for one in entries(world) if one.lost]
    edit_only(world, "stripe", {"phone": "+4930333"})
    await world.next_sweep()
    with pytest.raises(VersionConflictError, match=r"phone is \+4930333 since .* UTC, by stripe"):
        world.db.run_now(lambda tx: undo(tx, world.hub, lost.id, field=None, actor="ann"))
    world.db.run_now(lambda tx: undo(tx, world.hub, lost.id, field=None, actor="ann", anyway=True))
    await world.settle()
    assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {"+4930222"}


async def test_the_higher_ranked_source_wins_in_any_order_of_lanes() -> None:
    """Phones: HubSpot outranks Stripe outranks QuickBooks."""
    for order in (
        ("stripe", "hubspot", "quickbooks"),
        ("quickbooks", "stripe", "hubspot"),
        ("hubspot", "quickbooks", "stripe"),
    ):
        world = await agreeing(phone="+4930100")
        for name, number in zip(NAMES, ("+4930111", "+4930222", "+4930333"), strict=True):
            edit_only(world, name, {"phone": number})
        world.clock.time += 61
        for name in order:
            await world.lanes.run(name)
        await world.settle()
        assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {"+4930222"}, order
        kept = {one.value for entry in entries(world) for one in entry.lost}
        assert kept == {"+4930111", "+4930333"}, order
