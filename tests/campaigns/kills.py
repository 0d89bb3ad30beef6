"""Kill the real daemon, again and again, while people edit everywhere; look at what is there every now and then.

`python -m tests.campaigns.kills [KILLS] [sqlite | postgres]`: SIGKILL at random moments under edits and webhooks, on
look-alikes in a process of their own. After every 25 kills it is let rest: one object per customer and system, the same
values everywhere, no write in doubt, every acknowledged delivery stored. Exit 1 when one of these is not so.
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
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from core.store.database import Database
from core.store.tables import INBOX, INTENTS
from tests.benchmarks.daemon_process import CONFIG, DaemonProcess
from tests.benchmarks.sandbox_process import SandboxProcess

NAMES = ("stripe", "hubspot", "quickbooks")
KNOWN = 40
INDEX_SECONDS = 12.0
"""HubSpot's search shows an edit after at most ten."""
LOOK_EVERY = 25
BUSY = """
[guard]
overwrite_count = 1000000
same_value_count = 1000000
"""
"""Hundreds of edits of two hundred customers within an hour would rightly be stopped."""
POSTGRES = os.environ.get("ACCORD_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


class People:
    """Edit and create, at random, at every provider."""

    def __init__(self, urls: dict[str, str], rng: random.Random) -> None:
        """Some customers to begin with, each born at one provider."""
        self.clients = {name: SandboxClient(url) for name, url in urls.items()}
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


def problems(people: People, db: Database, daemon: DaemonProcess) -> list[str]:
    """What is not as it must be at rest."""
    found: list[str] = []
    held = {one["subject"] for one in daemon.get("/v1/holds?page_size=100")["data"]}
    seen = {name: client.neutral() for name, client in people.clients.items()}
    by_email = {name: Counter(str(one["email"]).lower() for one in here.values()) for name, here in seen.items()}
    for name, emails in by_email.items():
        found += [f"{name}: {times} objects of {email}" for email, times in emails.items() if times > 1]
        if len(emails) != people.born:
            found.append(f"{name}: {len(emails)} customers of {people.born}")
    phones = {name: {str(one["email"]).lower(): one["phone"] for one in here.values()} for name, here in seen.items()}
    for email, phone in phones["stripe"].items():
        there = {name: phones[name].get(email) for name in NAMES}
        if set(there.values()) != {phone} and not held:
            found.append(f"{email}: {there}")
    with db.engine.connect() as connection:
        doubt = connection.execute(
            sa.select(sa.func.count()).select_from(INTENTS).where(INTENTS.c.closed_at.is_(None))
        ).scalar_one()
        rows = connection.execute(sa.select(sa.func.count()).select_from(INBOX)).scalar_one()
    if doubt:
        found.append(f"{doubt} writes in doubt")
    acknowledged = sum(client.stats().webhooks.get("200", 0) for client in people.clients.values())
    if rows < acknowledged:
        found.append(f"{acknowledged} deliveries acknowledged, {rows} stored")
    return found


def database_url(folder: Path, kind: str) -> tuple[str, dict[str, str]]:
    """Where the registry is, and the variables that say so to the daemon."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'var' / 'accord.sqlite3'}", {}
    name = f"accord_kills_{uuid.uuid4().hex[:8]}"
    admin = sa.create_engine(sa.make_url(POSTGRES).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    key = base64.b64encode(os.urandom(32)).decode()
    return url, {"ACCORD_DATABASE_URL": url, "ACCORD_SECRET_KEY": key}


def _come_to_rest(daemon: DaemonProcess) -> None:
    """Whose webhook died with the daemon is found by the next sweep, once the provider's index shows it."""
    time.sleep(INDEX_SECONDS)
    for name in NAMES:
        daemon.post("/v1/syncs", {"connection": name, "what": "full"})
    time.sleep(1.0)
    daemon.wait_until_quiet()


def campaign(kills: int, kind: str) -> dict[str, Any]:
    """Kill so many times; what was wrong at which look."""
    rng = random.Random(kills)
    wrong: dict[int, list[str]] = {}
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        url, environment = database_url(folder, kind)
        people = People(urls, rng)
        with DaemonProcess(folder, urls, CONFIG + BUSY, **environment) as daemon:
            daemon.activate(*NAMES)
            for name, client in people.clients.items():
                client.settings(webhook_url=f"http://127.0.0.1:{daemon.webhook_port}/webhooks/{name}")
            db = Database(url)
            for number in range(1, kills + 1):
                people.act()
                time.sleep(rng.choice([0.0, 0.02, 0.1, 0.3, 0.6]) * rng.random())
                daemon.process.kill()
                daemon.process.wait()
                daemon.start()
                if number % LOOK_EVERY == 0 or number == kills:
                    _come_to_rest(daemon)
                    if here := problems(people, db, daemon):
                        wrong[number] = here[:10]
            db.close()
        webhooks = {name: dict(client.stats().webhooks) for name, client in people.clients.items()}
    return {"database": kind, "kills": kills, "customers": people.born, "wrong": wrong, "webhooks": webhooks}


def main() -> int:
    """Run and print."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    result = campaign(kills, sys.argv[2] if len(sys.argv) > 2 else "sqlite")
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
