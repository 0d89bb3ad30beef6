"""Copies of invoices against look-alikes that enforce the published limits, in virtual time.

`python -m tests.benchmarks.document_backfill [INVOICES] [SECONDS ONE WAY] [MIRROR]`: invoices of two or three lines,
made at one system before Accord was, are copied to another. Printed is the speed as a share of what the limits allow
for the fewest calls that make such a copy (PROVIDERS §1 and §5), with the answers 429 and the calls per invoice.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from config.file import sandbox_config
from core.model.documents import Invoice
from core.model.policy import DocumentPolicy
from core.ports import Exchange, HttpRequest, HttpResponse, Shell
from core.store import documents
from core.store.database import Database
from core.store.tables import METADATA
from core.sync.activation import activate
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub, Timing
from core.sync.lanes import Lanes
from core.sync.plan import plan
from tests.benchmarks.backfill import EVERYTHING
from tests.simulation.virtual import VirtualClock, VirtualLoop, run_virtual
from tests.support.paper import SINCE
from tests.support.world import OFFERS, PROVIDERS, SECRETS, SETTINGS, PlainVault, SeededIds, here

WAYS: Final = (("stripe", "quickbooks"), ("stripe", "hubspot"), ("quickbooks", "stripe"))
"""From where to where."""
CUSTOMERS: Final = 100
LINES: Final = 2.5
"""On average."""
CEILINGS: Final = {
    # a draft, its lines in one call, finalising it: three endpoints, each with its own 25 a second
    "stripe": 25.0,
    # 19 calls a second; of a hundred invoices, their lines a hundred at a time, and they themselves with their ties
    "hubspot": 1900.0 / (LINES + 1),
    # each is one payload: 40 batches of 30 a minute, and 460 calls beside them
    "quickbooks": 27.7,
}
"""Invoices per second, once the first window is used up: a short run, which begins with an empty one, may be above."""
OPEN: Final[Mapping[str, Mapping[str, str]]] = {"stripe": {"mirror_open_invoices": "yes"}}
MINUTES: Final = 600


class Ways:
    """Two providers that keep their limits, at a distance, and one Accord after the other on the same registry."""

    def __init__(self, origin: str, mirror: str, way: float) -> None:
        """`way`: seconds to a provider, and as many back."""
        self.origin, self.mirror = origin, mirror
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.calls, self.refused = dict.fromkeys((origin, mirror), 0), dict.fromkeys((origin, mirror), 0)
        self.lookalikes = {
            name: OFFERS[name].build(self.clock, random.Random(1), 1.0, True)  # noqa: FBT003 - Offer.build
            for name in (origin, mirror)
        }
        # refresh tokens rotate: each Accord goes on with what the one before it was given
        self._vaults = {name: PlainVault(dict(SECRETS[name])) for name in (origin, mirror)}
        self._ids = SeededIds(random.Random(2))
        self._way = way
        self._db = Database("sqlite://", is_direct=True)
        METADATA.create_all(self._db.engine)

    def accord(self, *, copies: bool) -> Hub:
        """`copies`: invoices of the one are copied to the other; else there are customers only."""
        config = sandbox_config({name: {**SETTINGS[name], **OPEN.get(name, {})} for name in (self.origin, self.mirror)})
        told = {
            self.origin: DocumentPolicy(originates=("invoice",)),
            self.mirror: DocumentPolicy(mirrors=("invoice",), since=SINCE),
        }
        scopes = {
            name: msgspec.structs.replace(one, documents=told[name] if copies else DocumentPolicy())
            for name, one in config.policy.connections.items()
        }
        return build_hub(
            Parts(
                configs=config.connections,
                policy=msgspec.structs.replace(config.policy, connections=scopes, guard=UNASKED),
                providers=PROVIDERS,
                db=self._db,
                clock=self.clock,
                ids=self._ids,
                vault=lambda name: self._vaults[name],
                shell=lambda name: Shell(self.clock, here, self._exchange(name), self._pause),
                wake=lambda _: None,
                timing=Timing(lane_budget=1e9),
            )
        )

    def _exchange(self, name: str) -> Exchange:
        def exchange(request: HttpRequest) -> HttpResponse:
            answer = self.lookalikes[name].respond(request)
            self.calls[name] += 1
            self.refused[name] += answer.status == 429 or b"ThrottleExceeded" in answer.body
            return answer

        return exchange

    async def _pause(self) -> None:
        await self.clock.sleep(self._way)

    # ---- before ----------------------------------------------------------------------------------------

    async def customers(self) -> None:
        """The same ones at both, known to the registry."""
        for one in range(CUSTOMERS):
            person = {"name": f"Customer {one}", "email": f"c{one}@example.test"}
            self.lookalikes[self.origin].edit("customer", None, person)
        hub = self.accord(copies=False)
        lanes = Lanes(hub)
        for name in (self.origin, self.mirror):
            await lanes.run(name)
            seen = await plan(hub, hub.connections[name])
            await activate(hub, hub.connections[name], seen.digest, actor="bench")
            await lanes.run(name)
        assert len(self.lookalikes[self.mirror].neutral("customer")) == CUSTOMERS

    def bill(self, number: int) -> None:
        """People have made invoices at the origin."""
        rng, owners = random.Random(3), sorted(self.lookalikes[self.origin].neutral("customer"))
        for one in range(number):
            lines = [_line(rng) for _ in range(2 + one % 2)]
            made = {
                "customer": owners[one % len(owners)],
                "currency": "USD",
                "issued_on": "2026-11-18",
                "due_on": "2026-12-18",
                "lines": lines,
                "status": "open",
            }
            named = {} if self.origin == "stripe" else {"number": f"B-{one:06d}"}
            self.lookalikes[self.origin].edit("invoice", None, made | named)

    async def taken(self) -> Hub:
        """The registry has them all, and what is there to be copied waits."""
        # the change feeds are past them, and past the customers: they are listed, as those of before are
        await self.clock.sleep(MINUTES)
        lanes = Lanes(self.accord(copies=False))
        for name in (self.origin, self.mirror):
            await lanes.run(name)
        await self.clock.sleep(MINUTES)
        hub = self.accord(copies=True)
        # what is done once a day is done
        await Lanes(hub).run(self.mirror)
        await Lanes(hub).run(self.origin)
        await hub.connections[self.mirror].connector.prepare()
        await self.clock.sleep(MINUTES)
        return hub

    # ---- after -----------------------------------------------------------------------------------------

    def check(self, hub: Hub, number: int) -> None:
        """Each is there once, and equal."""
        wanted = sorted(_worth(one) for one in self.lookalikes[self.origin].neutral("invoice").values())
        there = sorted(_worth(one) for one in self.lookalikes[self.mirror].neutral("invoice").values())
        assert len(there) == number
        assert there == wanted
        known = hub.db.read_now(lambda tx: documents.page(tx, kind="invoice", limit=number + 1))
        assert all(isinstance(one.document, Invoice) for one in known)
        assert len(known) == number


UNASKED: Final = msgspec.structs.replace(EVERYTHING, document_share=1, document_count=10**9)


def _line(rng: random.Random) -> dict[str, str]:
    return {
        "description": "Seats",
        "quantity": str(rng.randint(1, 9)),
        "unit_amount": f"{rng.randint(1, 90_000) / 100:.2f}",
        "tax": "0.00",
    }


def _worth(invoice: Mapping[str, Any]) -> tuple[str, str, str, str, int]:
    return invoice["number"], invoice["total"], invoice["due"], invoice["status"], len(invoice["lines"])


async def copied(ways: Ways, number: int) -> dict[str, Any]:
    """How fast the copies were made."""
    await ways.customers()
    ways.bill(number)
    hub = await ways.taken()
    name = ways.mirror
    calls, refused, started = ways.calls[name], ways.refused[name], ways.clock.now()
    await Lanes(hub).run(name)
    speed = number / (ways.clock.now() - started)
    ways.check(hub, number)
    return {
        "invoices_per_second": round(speed, 1),
        "share_of_ceiling": round(speed / CEILINGS[name], 3),
        "calls_per_invoice": round((ways.calls[name] - calls) / number, 4),
        "answers_429": ways.refused[name] - refused,
    }


def main() -> int:
    """Measure every way and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    way = float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
    result: dict[str, Any] = {"invoices": number, "seconds_one_way": way}
    for origin, mirror in WAYS:
        if sys.argv[3:] and mirror not in sys.argv[3:]:
            continue
        ways = Ways(origin, mirror, way)
        result[f"{origin}_to_{mirror}"] = run_virtual(copied(ways, number), ways.loop)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
