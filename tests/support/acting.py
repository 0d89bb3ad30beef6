"""What people do to a world, and what they see of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from config.file import AccordConfig
from core.model.policy import ConnectionPolicy, Rule
from core.ports import HttpRequest, HttpResponse
from core.store import customers, failures, holds, journal, mappings, work
from core.store.customers import Customer
from core.store.failures import Failure
from core.store.holds import Hold
from core.store.journal import Entry
from core.store.mappings import MappingRow
from core.sync import answers, registry
from tests.support.world import World

ADA = {"name": "Ada Lovelace", "email": "ada@example.test"}
DAY = 86_500.0
REVIVALS: Mapping[str, Callable[[World, str], object]] = {
    "hubspot": lambda world, one: world.lookalikes["hubspot"].restore("customer", one),  # type: ignore[attr-defined]  # as HubSpot's can
    "quickbooks": lambda world, one: world.lookalikes["quickbooks"].edit("customer", one, {"status": "active"}),
}
"""How people bring an archived object back."""


def with_policy(
    config: AccordConfig, name: str = "", *, fields: Mapping[str, Rule] | None = None, **changes: Any
) -> AccordConfig:
    """The same configuration with another policy: scopes of one connection, rules of fields."""
    scopes = dict(config.policy.connections)
    if changes:
        scopes[name] = _changed(scopes[name], changes)
    policy = _changed(config.policy, {"connections": scopes, "fields": {**config.policy.fields, **(fields or {})}})
    return AccordConfig(connections=config.connections, policy=policy)


def with_settings(config: AccordConfig, name: str, **settings: str) -> AccordConfig:
    """The same configuration with other settings of one connection."""
    old = config.connections[name]
    fresh = replace(old, settings={**old.settings, **settings})
    return replace(config, connections={**config.connections, name: fresh})


def _changed(struct: Any, changes: Mapping[str, Any]) -> Any:
    values = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return type(struct)(**{**values, **changes})


def scope(world: World, name: str) -> ConnectionPolicy:
    """What policy says about one connection."""
    return world.config.policy.connections[name]


async def agreeing(**fields: Any) -> World:
    """One customer, born at Stripe, in agreement everywhere."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, **fields})
    await world.activate_all()
    return world


def only(world: World, name: str) -> str:
    """The id of the one object at a look-alike."""
    (remote_id,) = world.neutral(name)
    return remote_id


def value(world: World, name: str, field: str) -> Any:
    """A field of the one object at a look-alike, or of the registry's one customer."""
    if name == "registry":
        (one,) = everybody(world)
        return one.fields.get(field)
    return world.neutral(name)[only(world, name)][field]


def everybody(world: World) -> list[Customer]:
    """All live customers, by external id."""
    found = world.db.read_now(lambda tx: customers.by_ids(tx, customers.live_ids(tx, "", 10_000)))
    return sorted(found.values(), key=lambda one: one.external_id)


def mapped(world: World, name: str) -> list[MappingRow]:
    """All mappings at a connection."""
    return world.db.read_now(lambda tx: mappings.page(tx, name, "", 10_000))


def held(world: World, reason: str | None = None) -> list[Hold]:
    """Open holds."""
    return world.db.read_now(lambda tx: holds.listing(tx, reason=reason, limit=10_000))


def failing(world: World) -> list[Failure]:
    """Failures that stand."""
    return world.db.read_now(lambda tx: failures.listing(tx, limit=10_000))


def waiting(world: World) -> dict[str, int]:
    """How much waits at each connection."""
    return world.db.read_now(work.counts)


def entries(world: World) -> list[Entry]:
    """The journal of the registry's one customer, newest first."""
    (one,) = everybody(world)
    return world.db.read_now(lambda tx: journal.of_record(tx, one.id))


async def edit(world: World, name: str, changes: Mapping[str, Any], remote_id: str | None = None) -> None:
    """A person's edit at a provider, and the next sweep."""
    edit_only(world, name, changes, remote_id)
    await world.next_sweep()


def edit_only(world: World, name: str, changes: Mapping[str, Any], remote_id: str | None = None) -> None:
    """A person's edit at a provider, not seen yet."""
    world.lookalikes[name].edit("customer", remote_id or only(world, name), changes)


async def change(world: World, external_id: str, **values: Any) -> None:
    """A person's edit in the registry."""
    change_only(world, external_id, **values)
    await world.settle()


def change_only(world: World, external_id: str, **values: Any) -> None:
    """A person's edit in the registry, not passed on yet."""
    world.db.run_now(lambda tx: registry.update(tx, world.hub, external_id, values, actor="ann", trace="t"))


async def enter(world: World, external_id: str, **values: Any) -> None:
    """A new customer, by hand."""
    world.db.run_now(lambda tx: registry.create(tx, world.hub, external_id, values, actor="ann", trace="t"))
    await world.settle()


async def answer(world: World, hold: Hold, choice: str) -> None:
    """A person answers a hold."""
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, choice, actor="ann", digest=hold.digest))
    await world.settle()


async def all_day(world: World) -> None:
    """Let a day pass, so that the next sweep is a full one."""
    world.clock.time += DAY
    await world.settle()


def counted(world: World, name: str) -> list[str]:
    """Method and path of each call that this connection makes from now on."""
    calls: list[str] = []
    answer = world.lookalikes[name].respond

    def exchange(request: HttpRequest) -> HttpResponse:
        calls.append(f"{request.method} {request.url.partition('?')[0].rpartition('/')[2]}")
        return answer(request)

    world.exchanges[name] = exchange
    return calls
