"""CPU and memory of reading 10,000 Stripe customers: the first time, and again with nothing changed.

Run as a process of its own (`python -m tests.benchmarks.first_read`), prints one JSON object. CPU is this
process's own, its database included, from the start of the sync to its end in a warm daemon; the look-alike
runs in another process.
"""

from __future__ import annotations

import http.client
import json
import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from config.file import sandbox_config
from core.api.serve import run_loop
from core.clock import RandomIds, SystemClock, ThreadHop
from core.ports import Shell
from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from core.store import connections, customers
from core.store.connections import Cursor
from core.store.database import Database
from core.store.schema import upgrade
from core.sync.activation import activate
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub, Timing
from core.sync.lanes import Lanes
from core.sync.plan import plan
from tests.benchmarks.sandbox_process import SandboxProcess
from tests.support.world import PROVIDERS, SECRETS, PlainVault

MANY = 10_000
WARM = 10


def seed(client: SandboxClient, first: int, last: int) -> None:
    """Customers as they come: name, e-mail, phone, address, two metadata keys."""
    client.bulk(
        Edit(
            kind="customer",
            id=None,
            changes={
                "name": f"Customer {number}",
                "email": f"customer{number}@example.test",
                "phone": f"+4930{number:07d}",
                "billing_address": {
                    "line1": f"Street {number}",
                    "city": "Berlin",
                    "postal_code": "10115",
                    "country": "DE",
                },
                "metadata.plan": "pro",
                "metadata.segment": str(number % 7),
            },
        )
        for number in range(first, last)
    )


def open_hub(folder: str, url: str) -> Hub:
    """One Stripe connection on a fresh database."""
    clock = SystemClock()
    hop = ThreadHop()
    db = Database(f"sqlite:///{folder}/accord.sqlite3")
    upgrade(db)
    config = sandbox_config({"stripe": {"base_url": url}})
    return build_hub(
        Parts(
            configs=config.connections,
            policy=config.policy,
            providers=PROVIDERS,
            db=db,
            clock=clock,
            ids=RandomIds(clock),
            vault=lambda name: PlainVault(dict(SECRETS[name])),
            shell=lambda _: Shell(clock, hop),
            wake=lambda _: None,
            timing=Timing(lane_budget=1e9),
        )
    )


def list_all_again(hub: Hub) -> None:
    """Let a full sweep be due."""
    hub.db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="stripe", mode="full")))


async def measure(url: str, folder: str) -> dict[str, float]:
    """Warm up on a few, then the two sweeps."""
    client = SandboxClient(url)
    seed(client, 0, WARM)
    hub = open_hub(folder, url)
    lanes = Lanes(hub)
    await lanes.run("stripe")
    seen = await plan(hub, hub.connections["stripe"])
    await activate(hub, hub.connections["stripe"], seen.digest, actor="bench")
    await lanes.run("stripe")
    seed(client, WARM, WARM + MANY)
    found: dict[str, float] = {}
    for name in ("first_read", "idle_reread"):
        list_all_again(hub)
        cpu, wall = time.process_time(), time.perf_counter()
        await lanes.run("stripe")
        found[f"{name}_cpu_seconds"] = round(time.process_time() - cpu, 3)
        found[f"{name}_wall_seconds"] = round(time.perf_counter() - wall, 3)
    found["customers"] = hub.db.read_now(lambda tx: customers.count(tx))
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    client.close()
    hub.db.close()
    return found


def floor(url: str, folder: str) -> float:
    """CPU seconds of the least that could be done: read every page, store each customer's JSON in SQLite."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port)
    database = sqlite3.connect(Path(folder) / "floor.sqlite3")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE customer (id TEXT PRIMARY KEY, body TEXT)")
    cpu = time.process_time()
    after = ""
    while True:
        query = f"/v1/customers?limit=100{f'&starting_after={after}' if after else ''}"
        link.request("GET", query, headers={"Authorization": f"Bearer {SECRETS['stripe']['api_key']}"})
        page = json.loads(link.getresponse().read())
        with database:
            rows = [(one["id"], json.dumps(one)) for one in page["data"]]
            database.executemany("INSERT INTO customer VALUES (?, ?)", rows)
        if not page["has_more"]:
            break
        after = page["data"][-1]["id"]
    return round(time.process_time() - cpu, 3)


def main() -> int:
    """Measure once and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as folder:
        found = run_loop(lambda: measure(urls["stripe"], folder))
        found["floor_cpu_seconds"] = floor(urls["stripe"], folder)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
