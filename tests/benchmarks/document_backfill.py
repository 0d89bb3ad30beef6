"""Copies of invoices against look-alikes that enforce the published limits, in virtual time.

`python -m tests.benchmarks.document_backfill [INVOICES] [SECONDS ONE WAY] [MIRROR]`: invoices of two or three lines,
made at one system before Accord was, are copied to another. Printed is the time from the first call to the answer that
ends the last copy, against the shortest time that the published limits leave to the fewest calls that make such copies
(PROVIDERS §1 and §5), with the answers 429, all calls per invoice, and the processor time per invoice, in which is
that of the look-alike.

A window that is empty when the work begins would let a burst through that no later one does: those of HubSpot and
QuickBooks are as full then as after hours of the same work, and Stripe's, of a second, are taken off.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import structlog

from config.file import sandbox_config
from core.model.documents import Invoice
from core.model.policy import DocumentPolicy
from core.ports import Connector, Exchange, HttpRequest, HttpResponse, Shell, Write
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


class Ceiling(NamedTuple):
    """What a provider's published limits allow. `span`, `calls`: its longest window; `batches`: of them, in batches.

    `ends`: how the path of the call that ends a copy ends.
    """

    what: str
    span: float
    calls: int
    batches: int
    ends: tuple[str, ...]


CEILINGS: Final = {
    "stripe": Ceiling(
        "25 calls a second of an endpoint; a draft, its lines, and finalising it are an endpoint each",
        1.0,
        25,
        0,
        ("/finalize",),
    ),
    "hubspot": Ceiling(
        "190 calls in ten seconds; a hundred lines, or a hundred invoices with their ties, are a call each",
        10.0,
        190,
        0,
        ("/invoices/batch/create",),
    ),
    "quickbooks": Ceiling(
        "500 calls a minute, of which 40 may be batches; a batch is thirty invoices, any other call is one",
        60.0,
        500,
        40,
        ("/batch", "/invoice"),
    ),
}
HUNDRED: Final = 100
THIRTY: Final = 30


def shortest(name: str, number: int) -> float:
    """Seconds that the limits leave to as many copies, while the windows are neither empty nor ever left half empty."""
    ceiling = CEILINGS[name]
    if name == "stripe":
        return (number - ceiling.calls) / ceiling.calls * ceiling.span  # the first window is empty
    if name == "quickbooks":
        return number / (ceiling.batches * THIRTY + ceiling.calls - ceiling.batches) * ceiling.span
    lines = sum(_lines_of(one) for one in range(number))
    return (math.ceil(lines / HUNDRED) + math.ceil(number / HUNDRED)) / ceiling.calls * ceiling.span


OPEN: Final[Mapping[str, Mapping[str, str]]] = {"stripe": {"mirror_open_invoices": "yes"}}
MINUTES: Final = 600
UNHURRIED: Final = Timing(lane_budget=1e9)


class Ways:
    """Two providers that keep their limits, at a distance, and one Accord after the other on the same registry."""

    def __init__(
        self,
        origin: str,
        mirror: str,
        way: float,
        timing: Timing = UNHURRIED,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`way`: seconds to a provider, and as many back. `settings`: more of the mirror's."""
        self.origin, self.mirror, self._settings = origin, mirror, {**OPEN.get(mirror, {}), **(settings or {})}
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self.calls, self.refused = dict.fromkeys((origin, mirror), 0), dict.fromkeys((origin, mirror), 0)
        self.ended = 0.0
        self.lookalikes = {
            name: OFFERS[name].build(self.clock, random.Random(1), 1.0, True)  # noqa: FBT003 - Offer.build
            for name in (origin, mirror)
        }
        # refresh tokens rotate: each Accord goes on with what the one before it was given
        self._vaults = {name: PlainVault(dict(SECRETS[name])) for name in (origin, mirror)}
        self._ids = SeededIds(random.Random(2))
        self._way, self._timing = way, timing
        self._db = Database("sqlite://", is_direct=True)
        METADATA.create_all(self._db.engine)

    def accord(self, *, copies: bool) -> Hub:
        """`copies`: invoices of the one are copied to the other; else there are customers only."""
        more = {self.origin: OPEN.get(self.origin, {}), self.mirror: self._settings}
        config = sandbox_config({name: {**SETTINGS[name], **told} for name, told in more.items()})
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
                timing=self._timing,
            )
        )

    def _exchange(self, name: str) -> Exchange:
        def exchange(request: HttpRequest) -> HttpResponse:
            answer = self.lookalikes[name].respond(request)
            self.calls[name] += 1
            self.refused[name] += answer.status == 429 or b"ThrottleExceeded" in answer.body
            if request.method == "POST" and urlsplit(request.url).path.endswith(CEILINGS[name].ends):
                self.ended = self.clock.now() + self._way
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
        there = self.lookalikes[self.mirror].neutral("customer").values()
        assert len({one["name"] for one in there if one["name"]}) == CUSTOMERS

    def bill(self, number: int) -> None:
        """People have made invoices at the origin."""
        rng, owners = random.Random(3), sorted(self.lookalikes[self.origin].neutral("customer"))
        for one in range(number):
            lines = [_line(rng) for _ in range(_lines_of(one))]
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

    async def taken(self) -> tuple[Hub, Lanes]:
        """The registry has them all, what is there to be copied waits, and the mirror's windows are full."""
        # the change feeds are past them, and past the customers: they are listed, as those of before are
        await self.clock.sleep(MINUTES)
        lanes = Lanes(self.accord(copies=False))
        for name in (self.origin, self.mirror):
            await lanes.run(name)
        await self.clock.sleep(MINUTES)
        hub = self.accord(copies=True)
        # what is done once a day is done
        lanes = Lanes(hub)
        await lanes.run(self.mirror)
        await lanes.run(self.origin)
        await self.clock.sleep(MINUTES)
        if self.mirror != "stripe":
            await self._use_up(hub.connections[self.mirror].connector)
        return hub, lanes

    async def _use_up(self, connector: Connector) -> None:
        """As many calls as the longest window takes, one after the other for as long as it is."""
        _, span, calls, batches, _ = CEILINGS[self.mirror]

        async def one(number: int) -> None:
            await self.clock.sleep(number * span / calls)
            if batches and number * batches // calls < (number + 1) * batches // calls:
                await connector.write([_refused(number)])
            elif batches:
                await connector.read("customer", ["1"])
            else:
                await connector.identify()

        before = self.calls[self.mirror]
        await asyncio.gather(*(one(number) for number in range(calls)))
        assert self.calls[self.mirror] - before == calls

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


def _lines_of(number: int) -> int:
    return 2 + number % 2


def _refused(number: int) -> Write:
    """A batch at QuickBooks that makes nothing: the name is taken."""
    body = {"DisplayName": "Customer 1"}
    return Write(key=f"full-{number}", action="create", kind="customer", remote_id=None, body=body, batch=f"{number}")


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
    hub, lanes = await ways.taken()
    name = ways.mirror
    calls, refused, started = ways.calls[name], ways.refused[name], ways.clock.now()
    worked = time.process_time()
    await lanes.run(name)
    worked = time.process_time() - worked
    took = ways.ended - started
    ways.check(hub, number)
    return {
        "ceiling": CEILINGS[name].what,
        "seconds": round(took, 2),
        "shortest_seconds": round(shortest(name, number), 2),
        "share_of_ceiling": round(shortest(name, number) / took, 3),
        "invoices_per_second": round(number / took, 1),
        "calls_per_invoice": round((ways.calls[name] - calls) / number, 4),
        "answers_429": ways.refused[name] - refused,
        "cpu_milliseconds_per_invoice": round(worked * 1000 / number, 1),
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
