"""Backfills against look-alikes that enforce the published limits, in virtual time.

`python -m tests.benchmarks.backfill [RECORDS] [SECONDS ONE WAY] [PROVIDER...]`: creating, changing and reading
customers at each provider, as a share of what its limits allow (PROVIDERS §1), with the answers 429 and the calls per
record. Without webhooks: what a change costs once more, when the next sweep names it, is `calls_per_echo`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from config.file import sandbox_config
from core.model.policy import Guard
from core.ports import HttpRequest, HttpResponse, Shell
from core.store import customers
from core.store.database import Database
from core.store.tables import METADATA
from core.sync import registry
from core.sync.activation import activate
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub, Timing
from core.sync.lanes import Lanes
from core.sync.plan import plan
from tests.simulation.virtual import VirtualClock, VirtualLoop, run_virtual
from tests.support.world import OFFERS, PROVIDERS, SECRETS, SETTINGS, PlainVault, SeededIds, here

CEILINGS = {
    "stripe": {"create": 25.0, "change": 25.0, "read": 2500.0},
    "hubspot": {"create": 1900.0, "change": 1900.0, "read": 1900.0},
    "quickbooks": {"create": 27.7, "change": 27.7, "read": 8333.0},
}
"""Records per second: what the calls allow, batched where the provider can (QuickBooks: batches and single calls)."""

EVERYTHING = Guard(
    clear_share=1,
    clear_count=10**9,
    overwrite_share=1,
    overwrite_count=10**9,
    same_value_share=1,
    same_value_count=10**9,
)


class Far:
    """One provider that keeps its limits, at a distance, and one Accord."""

    def __init__(self, name: str, way: float) -> None:
        """`way`: seconds to the provider, and as many back."""
        self.name = name
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self._way, self.calls, self.refused = way, 0, 0
        self._lookalike = OFFERS[name].build(self.clock, random.Random(1), 1.0, True)  # noqa: FBT003 - Offer.build

    def accord(self) -> Hub:
        """Nothing but this connection, on a fresh database in memory."""
        config = sandbox_config({self.name: SETTINGS[self.name]})
        db = Database("sqlite://", is_direct=True)
        METADATA.create_all(db.engine)
        policy = msgspec.structs.replace(config.policy, guard=EVERYTHING)
        return build_hub(
            Parts(
                configs=config.connections,
                policy=policy,
                providers=PROVIDERS,
                db=db,
                clock=self.clock,
                ids=SeededIds(random.Random(2)),
                vault=lambda name: PlainVault(dict(SECRETS[name])),
                shell=lambda _: Shell(self.clock, here, self._exchange, self._pause),
                wake=lambda _: None,
                timing=Timing(lane_budget=1e9),
            )
        )

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        answer = self._lookalike.respond(request)
        self.calls += 1
        self.refused += answer.status == 429 or b"ThrottleExceeded" in answer.body
        return answer

    async def _pause(self) -> None:
        await self.clock.sleep(self._way)

    async def measured(self, number: int, what: str, work: Callable[[], Awaitable[object]]) -> dict[str, Any]:
        """How fast `work` did something to `number` records."""
        calls, refused, started = self.calls, self.refused, self.clock.now()
        await work()
        speed = number / (self.clock.now() - started)
        return {
            "records_per_second": round(speed, 1),
            "share_of_ceiling": round(speed / CEILINGS[self.name][what], 3),
            "calls_per_record": round((self.calls - calls) / number, 4),
            "answers_429": self.refused - refused,
        }

    def over_read_and_write(self, hub: Hub, calls_per_record: float) -> float:
        """A change's calls, as a multiple of one fresh read and one write, each in full batches."""
        manifest = hub.connections[self.name].manifest
        return round(calls_per_record / (1 / manifest.read_batch + 1 / manifest.write_batch), 3)


def fill(hub: Hub, number: int) -> list[str]:
    """Customers in the registry that no system has."""
    names = [f"customer-{one}" for one in range(number)]

    def work(tx: Any) -> None:
        for one, name in enumerate(names):
            values = {"name": f"Customer {one}", "email": f"c{one}@example.test", "phone": f"+4930{one:07d}"}
            values["customer_type"] = "individual"
            registry.create(tx, hub, name, values, actor="bench", trace="")

    hub.db.run_now(work)
    return names


async def backfill(far: Far, number: int) -> dict[str, Any]:
    """Create, change, and read again from nothing."""
    name, hub = far.name, far.accord()
    lanes = Lanes(hub)
    await lanes.run(name)
    ids = fill(hub, number)
    seen = await plan(hub, hub.connections[name])
    await activate(hub, hub.connections[name], seen.digest, actor="bench")
    # first contact asks the change feed and prepares: not part of the speed
    await hub.connections[name].connector.prepare()
    await far.clock.sleep(120)
    found = {"create": await far.measured(number, "create", lambda: lanes.run(name))}

    def change(tx: Any) -> None:
        for one, customer in enumerate(ids):
            registry.update(tx, hub, customer, {"phone": f"+4940{one:07d}"}, actor="bench", trace="")

    # the creates are out of what a sweep of changes reads twice
    await far.clock.sleep(600)
    await lanes.run(name)
    hub.db.run_now(change)
    found["change"] = await far.measured(number, "change", lambda: lanes.run(name))
    found["change"]["over_read_and_write"] = far.over_read_and_write(hub, found["change"]["calls_per_record"])
    # what the change feed makes of our own writes: they are named, and looked at once more
    await far.clock.sleep(120)
    calls = far.calls
    await lanes.run(name)
    found["change"]["calls_per_echo"] = round((far.calls - calls) / number, 4)
    again = far.accord()
    await far.clock.sleep(120)
    found["read"] = await far.measured(number, "read", lambda: Lanes(again).run(name))
    assert again.db.read_now(customers.count) in (0, number)
    return found


def main() -> int:
    """Measure all three and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    way = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    result: dict[str, Any] = {"records": number, "seconds_one_way": way}
    for name in sys.argv[3:] or CEILINGS:
        far = Far(name, way)
        result[name] = run_virtual(backfill(far, number), far.loop)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
