"""What a write of ours replaced is in the journal, whatever has become of its customer when the answer comes."""

from __future__ import annotations

import pytest

from core.model.policy import Rule
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault
from core.store import journal
from core.store.journal import Entry
from tests.integration.sync.test_found_by_simulation import weather
from tests.integration.sync.test_meanwhile import archive, before_next
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    change_only,
    edit_only,
    everybody,
    failing,
    held,
    only,
    value,
    waiting,
    with_policy,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

OLD, NEW, NEWER = "+49301111111", "+49302222222", "+49303333333"


def pushes(world: World, record_id: str, place: str) -> list[Entry]:
    """What was written for a customer at one connection."""
    found = world.db.read_now(lambda tx: journal.of_record(tx, record_id))
    return [one for one in found if one.connection == place and one.action == "push"]


async def test_what_is_overwritten_while_its_customer_is_deleted_is_in_the_journal() -> None:
    """The write had left, and landed; nothing told what had stood there."""
    world = await agreeing(phone=OLD)
    (one,) = everybody(world)
    change_only(world, one.external_id, phone=NEW)
    before_next(world, "stripe", lambda request: request.method == "POST", lambda: archive(world))
    await world.lanes.run("stripe")
    assert world.neutral("stripe")[only(world, "stripe")]["phone"] == NEW
    assert [entry.changes["phone"][:2] for entry in pushes(world, one.id, "stripe")] == [(OLD, NEW)]


async def test_what_an_unanswered_write_overwrote_is_in_the_journal_though_it_was_edited_since() -> None:
    """A part of what was written stands there, and another was edited: no entry told what was there before."""
    world = await agreeing(phone=OLD)
    (one,) = everybody(world)
    weather(world, "hubspot", Fault(kind="lost_answer", path="batch/update", count=1))
    change_only(world, one.external_id, phone=NEW, email="new@example.test")
    await world.lanes.run("hubspot")
    edit_only(world, "hubspot", {"phone": NEWER})
    for _ in range(3):
        await world.next_sweep()
    found = pushes(world, one.id, "hubspot")
    assert found[-1].changes["email"][:2] == (ADA["email"], "new@example.test")
    assert found[-1].changes["phone"][:2] == (OLD, NEW)


async def test_an_unanswered_write_is_told_from_an_edit_though_its_object_could_not_be_understood_then() -> None:
    """Its outcome was given up on; once the object could be read, our own old value won against a newer edit."""
    world = await agreeing(phone=OLD)
    world.config = with_policy(world.config, fields={"phone": Rule(flow="both", ranks=("hubspot", "registry"))})
    world.start()
    (one,) = everybody(world)
    weather(world, "hubspot", Fault(kind="lost_answer", path="batch/update", count=1))
    change_only(world, one.external_id, phone=NEW)
    await world.lanes.run("hubspot")
    whole = world.lookalikes["hubspot"].respond

    def without_properties(request: HttpRequest) -> HttpResponse:
        found = whole(request)
        return HttpResponse(found.status, found.headers, found.body.replace(b'"properties"', b'"other"'))

    world.exchanges["hubspot"] = without_properties
    change_only(world, one.external_id, phone=NEWER)
    await world.next_sweep()
    world.exchanges["hubspot"] = whole
    for _ in range(2):
        await all_day(world)
    assert {value(world, name, "phone") for name in NAMES} == {NEWER}
    assert (held(world), failing(world), waiting(world)) == ([], [], {})


async def test_a_late_write_does_not_come_back_over_what_was_put_back_meanwhile() -> None:
    """Nothing was written any more, so the lock was still the same: the late write landed, and passed for an edit."""
    world = await agreeing(phone=OLD)
    (one,) = everybody(world)
    faulty = weather(world, "quickbooks", Fault(kind="slow", method="POST", path=r"/customer\?", count=1, seconds=40.0))
    change_only(world, one.external_id, phone=NEW)
    await world.lanes.run("quickbooks")
    change_only(world, one.external_id, phone=OLD)
    world.clock.time += 20.0
    await world.lanes.run("quickbooks")
    world.clock.time += 21.0
    faulty.run_late()
    for _ in range(3):
        await all_day(world)
    assert {name: value(world, name, "phone") for name in NAMES} == dict.fromkeys(NAMES, OLD)
    assert everybody(world)[0].fields["phone"] == OLD
