"""Mass-change accidents: whatever happens at one system, nothing is destroyed elsewhere before a person has said so.

`python -m tests.campaigns.accidents [NUMBER]`: an empty list, another account's credentials, a shrunken list, a
re-keyed CRM, a cleared column, customers archived by mistake whose objects follow; of random size, at a random
connection. Exit 1 when a value was cleared or overwritten, or an object taken away, in any other system.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from core.ports import HttpRequest, HttpResponse
from core.store import connections, customers, holds
from core.sync import registry
from tests.support.acting import with_policy
from tests.support.world import NAMES, World, config_of

LEAST, MOST = 24, 60
WHERE = ("stripe", "hubspot", "quickbooks")


def crowd(rng: random.Random) -> World:
    """Customers in agreement, born anywhere."""
    config = config_of(NAMES)
    for name in ("hubspot", "quickbooks"):
        config = with_policy(config, name, when_archived="archive")
    world = World(seed=rng.randrange(10**6), config=config)
    for number in range(rng.randint(LEAST, MOST)):
        fields = {
            "name": f"Person Number{number}",
            "email": f"person{number}@example.test",
            "phone": f"+49301{number:04}",
            "billing_address": {"line1": f"{number} High Street", "city": "Bern", "country": "CH"},
        }
        world.lookalikes[rng.choice(NAMES)].edit("customer", None, fields)
    return world


def empty_list(world: World, where: str, rng: random.Random) -> None:
    """Everything is gone at once: deleted, or not shown any more."""
    del rng
    for remote_id in list(world.neutral(where)):
        world.lookalikes[where].delete("customer", remote_id)


def shrunken_list(world: World, where: str, rng: random.Random) -> None:
    """Most of it is gone. Less than half of a few dozen is a clean-up that nobody need be asked about."""
    there = list(world.neutral(where))
    for remote_id in rng.sample(there, int(len(there) * rng.uniform(0.55, 0.95))):
        world.lookalikes[where].delete("customer", remote_id)


def other_account(world: World, where: str, rng: random.Random) -> None:
    """The credentials open another company's account: other customers, or none."""
    stranger = World(seed=rng.randrange(10**6))
    for number in range(rng.randint(0, 30)):
        stranger.lookalikes[where].edit(
            "customer", None, {"name": f"Other {number}", "email": f"o{number}@example.test"}
        )
    answer, others = world.exchanges[where], stranger.exchanges[where]
    whose = _renamed(where)

    def exchange(request: HttpRequest) -> HttpResponse:
        if whose(request):
            found = answer(request)
            return HttpResponse(found.status, found.headers, found.body.translate(_SHIFTED))
        return others(request)

    world.exchanges[where] = exchange
    world.start()


_SHIFTED = bytes.maketrans(b"0123456789", b"1234567890")
"""Another account has another id."""


def _renamed(where: str) -> Callable[[HttpRequest], bool]:
    ends = {"stripe": "/v1/account", "hubspot": "/details", "quickbooks": "/companyinfo/"}
    return lambda request: ends[where] in request.url


def rekeyed(world: World, where: str, rng: random.Random) -> None:
    """Everything was exported, deleted and imported again: the same people under other ids, some a little different."""
    there = {key: dict(one) for key, one in world.neutral(where).items()}
    for remote_id in there:
        world.lookalikes[where].delete("customer", remote_id)
    for number, one in enumerate(there.values()):
        kept = {name: one[name] for name in ("name", "email", "phone", "billing_address") if one.get(name)}
        # QuickBooks never frees the name of a customer that was made inactive
        again = {"name": f"{one['name']} {number}"} if where == "quickbooks" or rng.random() < 0.2 else {}
        world.lookalikes[where].edit("customer", None, kept | again)


def cleared_column(world: World, where: str, rng: random.Random) -> None:
    """Somebody emptied a column."""
    there = list(world.neutral(where))
    column = rng.choice(["phone", "billing_address"])
    for remote_id in rng.sample(there, int(len(there) * rng.uniform(0.55, 1.0))):
        world.lookalikes[where].edit("customer", remote_id, {column: None})


def archived_here(world: World, where: str, rng: random.Random) -> None:
    """A script archives the wrong customers in the registry, where their objects follow them."""
    del where
    everyone = world.db.read_now(lambda tx: customers.by_ids(tx, customers.live_ids(tx, "", 10_000))).values()
    ids = sorted(one.external_id for one in everyone)
    for one in rng.sample(ids, int(len(ids) * rng.uniform(0.55, 1.0))):
        world.db.run_now(partial(registry.archive, hub=world.hub, external_id=one, actor="script", trace="t"))


ACCIDENTS: Mapping[str, Callable[[World, str, random.Random], None]] = {
    one.__name__: one for one in (empty_list, shrunken_list, other_account, rekeyed, cleared_column, archived_here)
}


async def accident(seed: int) -> tuple[str, list[str]]:
    """One of them; what was destroyed elsewhere."""
    rng = random.Random(seed)
    kind, where = rng.choice(sorted(ACCIDENTS)), rng.choice(WHERE)
    world = crowd(rng)
    await world.activate_all()
    world.clock.time += 3700.0  # long enough ago that the feeds tell of the accident alone
    await world.settle()
    before = {name: {key: dict(one) for key, one in world.neutral(name).items()} for name in NAMES}
    people = _registry(world)
    ACCIDENTS[kind](world, where, rng)
    # what a change feed leaves out is found by the daily sweep
    for seconds in [*(rng.choice([61.0, 3700.0]) for _ in range(rng.randint(0, 2))), 86_500.0]:
        world.clock.time += seconds
        await world.settle()
    wrong = []
    is_ours = kind == archived_here.__name__
    for name in NAMES:
        if name != where or is_ours:
            wrong += [f"{kind} at {where}: {name} {text}" for text in _destroyed(before[name], world.neutral(name))]
    if not is_ours:
        wrong += [f"{kind} at {where}: registry {text}" for text in _destroyed(people, _registry(world))]
    if not wrong and not _asks(world, where):
        wrong.append(f"{kind} at {where}: nobody is asked")
    return kind, wrong


def _registry(world: World) -> dict[str, dict[str, Any]]:
    found = world.db.read_now(lambda tx: customers.by_ids(tx, customers.live_ids(tx, "", 10_000)))
    return {one.external_id: dict(one.fields) for one in found.values()}


def _destroyed(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Objects that are gone, and values that were there and are another one or none."""
    found = [f"{key} is gone" for key in before if key not in after]
    for key in before.keys() & after.keys():
        changed = {name for name, value in before[key].items() if value and after[key].get(name) != value}
        found += [f"{key} {name}" for name in sorted(changed)]
    return found


def _asks(world: World, where: str) -> bool:
    row = world.db.read_now(lambda tx: connections.get(tx, where))
    return bool(world.db.read_now(holds.listing)) or row.state == "reauthorize"


def campaign(number: int, first: int = 1) -> dict[str, Any]:
    """So many accidents."""
    kinds: Counter[str] = Counter()
    wrong: dict[int, list[str]] = {}
    for seed in range(first, first + number):
        kind, here = asyncio.run(accident(seed))
        kinds[kind] += 1
        if here:
            wrong[seed] = here[:5]
    return {"accidents": number, "kinds": dict(kinds), "wrong": wrong}


def main() -> int:
    """Run and print."""
    import structlog  # noqa: PLC0415 - only the command is quiet

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    result = campaign(number, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
