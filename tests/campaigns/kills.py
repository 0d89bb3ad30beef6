"""Kill the real daemon, again and again, while people edit everywhere; look at what is there every now and then.

`python -m tests.campaigns.kills [KILLS] [sqlite | postgres] [customers | documents]`: SIGKILL at random moments under
edits and webhooks, on look-alikes in a process of their own. After every 25 kills it is let rest: one object per
customer and system, the same values everywhere, no write in doubt, every acknowledged delivery stored. With
`documents`, people bill at Stripe, and there is one copy of each document in the books and at HubSpot, equal or held.
Exit 1 when one of these is not so.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from core.store.database import Database
from core.store.tables import HOLDS, INBOX, INTENTS
from tests.benchmarks.daemon_process import CONFIG, DaemonProcess
from tests.benchmarks.sandbox_process import SandboxProcess
from tests.support.bookkeepers import Bookkeepers

NAMES = ("stripe", "hubspot", "quickbooks")
KNOWN = 40
INDEX_SECONDS = 12.0
"""HubSpot's search shows an edit after at most ten."""
LOOK_EVERY = 25
PAUSES = (0.0, 0.02, 0.1, 0.3, 0.6, 1.5)
"""Longest waits before a kill: what was begun may just have begun, or be nearly done."""
BUSY = """
[guard]
clear_count = 1000000
overwrite_count = 1000000
same_value_count = 1000000
document_count = 1000000
"""
"""Hundreds of edits of two hundred customers, as many new copies, or twenty voids, within an hour would rightly be
stopped."""
POSTGRES = os.environ.get("ACCORD_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


class Side(Protocol):
    """What people do meanwhile, and what must be true of it at rest."""

    config: str
    clients: Mapping[str, Any]

    def begin(self) -> None:
        """Every connection is active, and nothing is under way."""
        ...

    def act(self) -> None:
        """A moment of everybody's work."""
        ...

    def problems(self, db: Database) -> list[str]:
        """What is not as it must be."""
        ...

    def told(self, db: Database) -> dict[str, Any]:
        """For the summary."""
        ...


class People:
    """Edit and create, at random, at every provider."""

    config = CONFIG

    def __init__(self, urls: dict[str, str], rng: random.Random) -> None:
        """Some customers to begin with, each born at one provider."""
        self.clients: Mapping[str, SandboxClient] = {name: SandboxClient(url) for name, url in urls.items()}
        self._rng = rng
        self.born = 0
        for number, client in enumerate(self.clients.values()):
            client.bulk(Edit(changes=self._person()) for _ in range(KNOWN + number))

    def _person(self) -> dict[str, Any]:
        self.born += 1
        return {
            "name": f"Customer {self.born}",
            "email": f"customer{self.born}@example.test",
            "phone": f"+4930{self.born:07d}",
        }

    def act(self) -> None:
        """A moment of everybody's work."""
        for _ in range(self._rng.randint(1, 6)):
            client = self.clients[self._rng.choice(NAMES)]
            known = sorted(client.neutral())
            if self._rng.random() < 0.3 or not known:
                client.edit(self._person())
            else:
                phone = f"+4940{self._rng.randrange(10**7):07d}"
                client.edit({"phone": phone}, self._rng.choice(known))

    def begin(self) -> None:
        """Nothing more is needed."""

    def problems(self, db: Database) -> list[str]:
        """One object per customer and system, with the same values."""
        found: list[str] = []
        with db.engine.connect() as connection:
            is_held = connection.execute(sa.select(HOLDS.c.id).where(HOLDS.c.state == "open")).first() is not None
        seen = {name: client.neutral() for name, client in self.clients.items()}
        by_email = {name: Counter(str(one["email"]).lower() for one in here.values()) for name, here in seen.items()}
        for name, emails in by_email.items():
            found += [f"{name}: {times} objects of {email}" for email, times in emails.items() if times > 1]
            if len(emails) != self.born:
                found.append(f"{name}: {len(emails)} customers of {self.born}")
        phones = {
            name: {str(one["email"]).lower(): one["phone"] for one in here.values()} for name, here in seen.items()
        }
        for email, phone in phones["stripe"].items():
            there = {name: phones[name].get(email) for name in NAMES}
            if set(there.values()) != {phone} and not is_held:
                found.append(f"{email}: {there}")
        return found

    def told(self, db: Database) -> dict[str, Any]:
        """How many there are."""
        del db
        return {"customers": self.born}


def rows_left(db: Database, clients: Iterable[SandboxClient]) -> list[str]:
    """Nothing is in doubt, and whatever was acknowledged is stored."""
    found = []
    with db.engine.connect() as connection:
        doubt = connection.execute(
            sa.select(sa.func.count()).select_from(INTENTS).where(INTENTS.c.closed_at.is_(None))
        ).scalar_one()
        rows = connection.execute(sa.select(sa.func.count()).select_from(INBOX)).scalar_one()
    if doubt:
        found.append(f"{doubt} writes in doubt")
    acknowledged = sum(client.stats().webhooks.get("200", 0) for client in clients)
    if rows < acknowledged:
        found.append(f"{acknowledged} deliveries acknowledged, {rows} stored")
    return found


def under_way(db: Database) -> dict[str, str]:
    """What the daemon was writing when it died, by the intents' ids."""
    open_ = sa.select(*(INTENTS.c[name] for name in ("id", "connection", "kind", "action")))
    with db.engine.connect() as connection:
        rows = connection.execute(open_.where(INTENTS.c.closed_at.is_(None)))
        return {row.id: f"{row.connection}: {row.action} {row.kind}" for row in rows}


@contextmanager
def database(folder: Path, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Where the registry is, and the variables that say so to the daemon."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'var' / 'accord.sqlite3'}", {}
        return
    name = f"accord_kills_{uuid.uuid4().hex[:8]}"
    admin = sa.create_engine(sa.make_url(POSTGRES).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    key = base64.b64encode(os.urandom(32)).decode()
    try:
        yield url, {"ACCORD_DATABASE_URL": url, "ACCORD_SECRET_KEY": key}
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def _come_to_rest(daemon: DaemonProcess, index_seconds: float) -> None:
    """Whose webhook died with the daemon is found by the next sweep, once the provider's index shows it."""
    time.sleep(index_seconds)
    for what in ("changes", "full"):
        asked = [daemon.post("/v1/syncs", {"connection": name, "what": what})["id"] for name in NAMES]
        # a connection looks quiet before its one-off has begun
        while any(daemon.get(f"/v1/syncs/{one}")["state"] not in ("done", "failed") for one in asked):
            time.sleep(0.1)
        daemon.wait_until_quiet()


def _bookkeepers(urls: dict[str, str], rng: random.Random) -> Bookkeepers:
    return Bookkeepers({name: SandboxClient(url) for name, url in urls.items()}, rng)


SIDES: Mapping[str, Callable[[dict[str, str], random.Random], Side]] = {
    "customers": People,
    "documents": _bookkeepers,
}


def campaign(kills: int, kind: str, about: str = "customers", *, lag_scale: float = 1.0) -> dict[str, Any]:
    """Kill so many times; what was wrong at which look."""
    rng = random.Random(kills)
    wrong: dict[int, list[str]] = {}
    died: dict[str, str] = {}
    with SandboxProcess(lag_scale) as urls, tempfile.TemporaryDirectory() as text, database(Path(text), kind) as told:
        url, environment = told
        side = SIDES[about](urls, rng)
        with DaemonProcess(Path(text), urls, side.config + BUSY, **environment) as daemon:
            daemon.activate(*NAMES)
            side.begin()
            for name, client in side.clients.items():
                client.settings(webhook_url=f"http://127.0.0.1:{daemon.webhook_port}/webhooks/{name}")
            db = Database(url)
            for number in range(1, kills + 1):
                side.act()
                time.sleep(rng.choice(PAUSES) * rng.random())
                daemon.process.kill()
                daemon.process.wait()
                died.update(under_way(db))
                daemon.start()
                if number % LOOK_EVERY == 0 or number == kills:
                    _come_to_rest(daemon, INDEX_SECONDS * lag_scale)
                    here = side.problems(db) + rows_left(db, side.clients.values())
                    print(f"{number} kills: {len(here)} wrong", file=sys.stderr, flush=True)
                    if here:
                        wrong[number] = here[:10]
            told_of = side.told(db)
            db.close()
        webhooks = {name: dict(client.stats().webhooks) for name, client in side.clients.items()}
        for client in side.clients.values():
            client.close()
    result = {"database": kind, "kills": kills, **told_of, "wrong": wrong, "webhooks": webhooks}
    return {**result, "writes_under_way": dict(sorted(Counter(died.values()).items()))}


def main() -> int:
    """Run and print."""
    told = [*sys.argv[1:], *("300", "sqlite", "customers")[len(sys.argv) - 1 :]]
    result = campaign(int(told[0]), told[1], told[2])
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
