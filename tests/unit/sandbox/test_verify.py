"""The demo's judge: it must find each way in which a sync can be wrong, and nothing in a right one."""

from random import Random
from typing import Any

import pytest

from core.sandbox.cast import SYSTEMS, System
from core.sandbox.seed import Person, Seed, demo_seed
from core.sandbox.verify import differences

World = dict[System, dict[str, dict[str, Any]]]
Ids = dict[System, list[str]]


@pytest.fixture(scope="module")
def seed() -> Seed:
    """One mess for all tests; none changes it."""
    return demo_seed(Random(5))


@pytest.fixture
def ids(seed: Seed) -> Ids:
    """Ids as planting returns them."""
    return {system: [f"{system}-{number}" for number in range(len(seed.rows[system]))] for system in SYSTEMS}


@pytest.fixture
def world(seed: Seed, ids: Ids) -> World:
    """The systems after a perfect sync."""
    made: World = {
        system: {ids[system][number]: dict(row.changes) for number, row in enumerate(seed.rows[system])}
        for system in SYSTEMS
    }
    for person in seed.persons:
        for system, fields in person.agree.items():
            number = person.rows.get(system)
            remote_id = f"new-{person.key}" if number is None else ids[system][number]
            made[system].setdefault(remote_id, {}).update(fields)
            if system in person.parent_at:
                above = next(one for one in seed.persons if one.key == person.parent).rows.get(system)
                parent_id = f"new-{person.parent}" if above is None else ids[system][above]
                made[system][remote_id]["parent"] = parent_id
    for rivalry in seed.rivalries:
        winner = rivalry.persons[-1]
        made[rivalry.hold.system][f"new-{winner}"] = dict(rivalry.agree[winner])
    return made


def somebody(seed: Seed, scene: str) -> Person:
    """The first person of a scene."""
    return next(person for person in seed.persons if person.scene == scene)


def created(world: World, person: Person) -> tuple[System, str]:
    """A system and the id under which a person was created there."""
    return next((system, f"new-{person.key}") for system in SYSTEMS if f"new-{person.key}" in world[system])


def test_a_perfect_sync_has_no_differences(seed: Seed, ids: Ids, world: World) -> None:
    """A judge that cries wolf is switched off."""
    assert differences(seed, ids, world) == []


@pytest.mark.parametrize("system", ["hubspot", "quickbooks"])
def test_a_parent_that_is_missing_or_another_is_named(seed: Seed, ids: Ids, world: World, system: System) -> None:
    """Wherever it must show; and one that must not show is named as well."""
    child = next(one for one in seed.persons if system in one.parent_at and one.scene == "group_in_dispute")
    shown = world[system][ids[system][child.rows[system]]]
    for parent in (None, "somebody else"):
        shown["parent"] = parent
        assert [(one.person, one.system) for one in differences(seed, ids, world)] == [(child.key, system)]
    world["stripe"][created_at(child, ids, "stripe")]["parent"] = "anybody"
    assert len(differences(seed, ids, world)) == 2


def created_at(person: Person, ids: Ids, system: System) -> str:
    """A person's object in a system of which it has no row."""
    number = person.rows.get(system)
    return f"new-{person.key}" if number is None else str(ids[system][number])


def test_spelling_is_no_difference(seed: Seed, ids: Ids, world: World) -> None:
    """HubSpot lowers e-mails."""
    for fields in world["hubspot"].values():
        if fields.get("email"):
            fields["email"] = fields["email"].strip().lower()
    assert differences(seed, ids, world) == []


def test_before_any_sync_nearly_everything_differs(seed: Seed, ids: Ids) -> None:
    """Doing nothing must not pass."""
    untouched = {
        system: {ids[system][number]: dict(row.changes) for number, row in enumerate(seed.rows[system])}
        for system in SYSTEMS
    }
    assert len({one.person for one in differences(seed, ids, untouched)}) > 200


def test_a_missing_a_doubled_and_a_wrong_object_are_each_named(seed: Seed, ids: Ids, world: World) -> None:
    """Lost, doubled, half written."""
    person = somebody(seed, "only_in_one")
    system, remote_id = created(world, person)
    fields = world[system].pop(remote_id)
    assert [(one.system, one.person, one.problem) for one in differences(seed, ids, world)] == [
        (system, person.key, "is there 0 times: ")
    ]
    world[system] |= {remote_id: fields, "double": dict(fields)}
    assert [one.problem for one in differences(seed, ids, world)] == [f"is there 2 times: double, {remote_id}"]
    del world[system]["double"]
    fields["phone"] = "+1"
    (only,) = differences(seed, ids, world)
    assert (only.person, "phone" in only.problem) == (person.key, True)


def test_a_touched_twin_and_a_vanished_row_are_named(seed: Seed, ids: Ids, world: World) -> None:
    """What is held must be left alone; nothing may be deleted."""
    person = somebody(seed, "twins")
    ((system, number),) = person.rows.items()
    world[system][ids[system][number]]["name"] = "merged by mistake"
    assert [one.person for one in differences(seed, ids, world)] == [person.key]
    del world[system][ids[system][number]]
    assert [one.problem for one in differences(seed, ids, world)] == [f"{ids[system][number]} is gone"]


def test_a_twin_that_was_created_elsewhere_is_nobody(seed: Seed, ids: Ids, world: World) -> None:
    """An ambiguous row must not spread."""
    person = somebody(seed, "colon_in_the_name")
    world["quickbooks"]["odd"] = dict(person.final)
    assert [one.problem for one in differences(seed, ids, world)] == ["odd is nobody the seed knows"]


def test_rivals_may_come_through_either_way_but_only_one(seed: Seed, ids: Ids, world: World) -> None:
    """QuickBooks knows a name once."""
    rivalry = seed.rivalries[0]
    first, last = rivalry.persons
    books = world[rivalry.hold.system]
    del books[f"new-{last}"]
    assert len(differences(seed, ids, world)) == 1
    books[f"new-{first}"] = dict(rivalry.agree[first])
    assert differences(seed, ids, world) == []
    books[f"new-{last}"] = dict(rivalry.agree[last])
    assert len(differences(seed, ids, world)) == 1
