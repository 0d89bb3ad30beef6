"""Values that a provider lets nobody change once an object has them: they are held alone, and all else goes on."""

from __future__ import annotations

import pytest

from core.model.holds import UNREPRESENTABLE
from tests.support.acting import ADA, all_day, answer, change, enter, failing, held, only, value, waiting
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def with_ada(**fields: str) -> World:
    """Ada, born in the registry, in agreement everywhere."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", **ADA, **fields)
    return world


@pytest.mark.parametrize(
    ("name", "field", "before", "after"),
    [("quickbooks", "currency", "USD", "EUR"), ("hubspot", "customer_type", "individual", "company")],
)
async def test_what_never_changes_there_keeps_nothing_else_of_the_customer_from_being_written(
    name: str, field: str, before: str, after: str
) -> None:
    """The whole write was refused, for as long as the two differed: no address, no e-mail got there any more."""
    world = await with_ada(**{field: before})
    await change(world, "ada", **{field: after})
    await change(world, "ada", email="lovelace@example.test")
    await all_day(world)
    assert (value(world, name, "email"), value(world, name, field)) == ("lovelace@example.test", before)
    assert [(one.connection, one.field, one.reason) for one in held(world)] == [(name, field, UNREPRESENTABLE)]


@pytest.mark.parametrize(("choice", "kept"), [("accept", "EUR"), ("remote", "USD")])
async def test_who_is_asked_about_such_a_value_need_not_let_the_object_go(choice: str, kept: str) -> None:
    """The only answers were to try it again, and to untie the customer from the books."""
    world = await with_ada(currency="USD")
    await change(world, "ada", currency="EUR")
    (asked,) = held(world)
    await answer(world, asked, choice)
    await all_day(world)
    assert (value(world, "registry", "currency"), value(world, "quickbooks", "currency")) == (kept, "USD")
    assert only(world, "quickbooks")
    assert (held(world), waiting(world), failing(world)) == ([], {}, [])
