"""An object that we made, and of which a database that was put back knows nothing, does not bring its customer back."""

from __future__ import annotations

import pytest

from core.model.match import RESTORED
from core.sync import registry, revival
from tests.integration.documents.test_restore import backed_up, put_back
from tests.support.acting import ADA, all_day, answer, enter, everybody, held, mapped, only, waiting
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

ONE_EACH = dict.fromkeys(NAMES, 1)


def objects(world: World) -> dict[str, int]:
    """How many customers each system has."""
    return {name: len(world.neutral(name)) for name in NAMES}


async def archived_since(forgetful: str) -> World:
    """Ada's object at one system came after the backup, and she was archived once that had been put back."""
    world = World()
    await world.activate_all(*(name for name in NAMES if name != forgetful))
    await enter(world, "ada", **ADA)
    backup = backed_up(world)
    await world.activate_all(forgetful)
    assert objects(world) == ONE_EACH
    put_back(world, backup)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, "ada", actor="ann", trace="t"))
    await world.activate_all()
    await all_day(world)
    return world


@pytest.mark.parametrize("forgetful", ["hubspot", "stripe"])
async def test_a_forgotten_object_of_an_archived_customer_is_asked_about(forgetful: str) -> None:
    """It carries her external id, which is free: she came in as a new customer, and was made anew everywhere else."""
    world = await archived_since(forgetful)
    assert (everybody(world), objects(world)) == ([], ONE_EACH)
    (hold,) = held(world)
    assert (hold.connection, hold.subject) == (forgetful, f"r:{only(world, forgetful)}")
    assert hold.detail["rung"] == RESTORED
    assert hold.detail["problem"] == (
        "it carries our marker of a mapping that this database does not know: an older one was restored; "
        "a customer with its external id was archived"
    )


async def test_an_archived_customer_who_is_brought_back_has_its_forgotten_object_again() -> None:
    """Before it is made there once more; and nothing is asked any more."""
    world = await archived_since("hubspot")
    world.db.run_now(lambda tx: revival.restore(tx, world.hub, "ada", actor="ann", trace="t"))
    await world.settle()
    await all_day(world)
    assert objects(world) == ONE_EACH
    assert [one.remote_id for one in mapped(world, "hubspot")] == [only(world, "hubspot")]
    assert (held(world), waiting(world)) == ([], {})


async def test_a_forgotten_object_of_an_archived_customer_enters_where_a_person_says_so() -> None:
    """Her id is free: somebody else may have had it between the backup and its return."""
    world = await archived_since("hubspot")
    await answer(world, held(world)[0], "create")
    (ada,) = everybody(world)
    assert ada.external_id == "ada"
    assert [one.remote_id for one in mapped(world, "hubspot")] == [only(world, "hubspot")]
