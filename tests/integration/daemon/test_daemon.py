"""The daemon as it is run: a process, a folder, two ports, three systems."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.clock import SystemClock
from core.sandbox.faults import Fault, FaultPlan
from core.store import instance, schema
from core.store.database import Database
from tests.support import deliveries
from tests.support.daemon import ROOT, DaemonProcess, eventually
from tests.support.systems import Systems
from tests.support.world import OFFERS

Start = Callable[..., DaemonProcess]


def test_an_empty_folder_runs_the_sandbox_and_says_so(tmp_path: Path, start: Start) -> None:
    """A first user needs no accounts and no keys; and nobody may take it for the real thing."""
    daemon = start(tmp_path).ready()
    (told,) = daemon.events("daemon.sandbox")
    assert "SANDBOX" in told["problem"]
    assert "nothing real is touched" in told["problem"]
    assert sorted(daemon.lookalikes) == sorted(OFFERS)
    assert daemon.call("GET", "/readyz").json == {"status": "ready"}
    assert daemon.stop() == 0
    assert not (tmp_path / "var" / "accord.sqlite3").exists()


def test_an_edit_in_one_system_reaches_the_other_two_by_webhook(systems: Systems, start: Start) -> None:
    """The main job, through real sockets; sweeps are an hour away, so it is the webhook that carries it."""
    systems.clients["stripe"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    daemon = start(systems.folder, **systems.environment).ready()
    systems.point_to(daemon)
    daemon.activate(*systems.names)
    assert eventually(lambda: all(names == ["Ada Lovelace"] for names in systems.values("name").values()))
    for number, name in enumerate(systems.names):
        phone = f"+4930123450{number}"
        (remote_id,) = systems.clients[name].neutral()
        systems.clients[name].edit({"phone": phone}, remote_id)
        wanted = {one: [phone] for one in systems.names}
        eventually(lambda w=wanted: systems.values("phone") == w)
        assert systems.values("phone") == wanted, name
    assert daemon.call("GET", "/v1/failures").json["total"] == 0
    assert daemon.stop() == 0


def test_deliveries_are_judged_by_their_signature(systems: Systems, start: Start) -> None:
    """Over real HTTP: authentic ones are kept, forged ones leave nothing."""
    daemon = start(systems.folder, **systems.environment).ready()
    now = time.time()
    for name, sign in deliveries.SIGNERS.items():
        good = sign(1, now, f"{daemon.webhooks}/webhooks/{name}")
        assert daemon.deliver(name, good.body, good.headers).status == 200
        assert daemon.deliver(name, good.body + b" ", good.headers).status == 401
    counts = daemon.call("GET", "/v1/inbox").json["counts"]
    kept = {one["connection"]: one["deliveries"] for one in counts}
    assert {name: kept[name] for name in deliveries.SIGNERS} == dict.fromkeys(deliveries.SIGNERS, 1)


def test_a_restart_keeps_everything(systems: Systems, start: Start) -> None:
    """Customers, mappings, activation: the file is all there is, and a second start writes nothing anywhere."""
    systems.clients["hubspot"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    first = start(systems.folder, **systems.environment).ready()
    first.activate(*systems.names)
    assert eventually(lambda: all(names == ["Ada Lovelace"] for names in systems.values("name").values()))
    assert eventually(lambda: {one["waiting"] for one in first.call("GET", "/v1/connections").json["data"]} == {0})
    before = first.call("GET", "/v1/customers").json["data"]
    writes = {name: client.stats().writes.get("accord") for name, client in systems.clients.items()}
    assert first.stop() == 0
    second = start(systems.folder, **systems.environment).ready()
    assert second.call("GET", "/v1/customers").json["data"] == before
    asked = second.call("POST", "/v1/syncs", {"connection": "stripe", "what": "full"}).json["id"]
    assert eventually(lambda: second.call("GET", f"/v1/syncs/{asked}").json["state"] == "done")
    states = {one["connection"]: one["state"] for one in second.call("GET", "/v1/connections").json["data"]}
    assert states == dict.fromkeys(systems.names, "active")
    assert {name: client.stats().writes.get("accord") for name, client in systems.clients.items()} == writes


def test_a_second_daemon_is_refused_and_told_who_is_there(systems: Systems, start: Start) -> None:
    """Two planners on one file would each write everything."""
    first = start(systems.folder, **systems.environment).ready()
    second = start(systems.folder, **systems.environment)
    assert second.wait(20) != 0
    assert f"pid {first.process.pid}" in "".join(second.lines)
    assert first.call("GET", "/readyz").status == 200


def test_a_port_in_use_is_told_in_one_line(
    systems: Systems, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not a traceback: which door, which address, what to do."""
    first = start(systems.folder, **systems.environment).ready()
    port = first.api.rpartition(":")[2]
    second = start(tmp_path_factory.mktemp("other"), ACCORD_API_PORT=port)
    assert second.wait(20) != 0
    said = "".join(second.lines)
    assert f"the API (ACCORD_API_PORT) cannot listen on 127.0.0.1:{port}" in said
    assert "Traceback" not in said


def test_sigterm_lets_a_lane_finish_its_piece(systems: Systems, start: Start) -> None:
    """A write that is under way gets its answer and is recorded; nothing is in doubt after the next start."""
    systems.clients["stripe"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    daemon = start(systems.folder, **systems.environment).ready()
    daemon.activate("stripe", "quickbooks")
    assert eventually(lambda: systems.values("name")["quickbooks"] == ["Ada Lovelace"])
    systems.clients["stripe"].faults(FaultPlan(requests=(Fault(kind="slow", seconds=2.0),)))
    changed = daemon.call("PATCH", "/v1/customers/" + _only_id(daemon), {"phone": "+49301234500"})
    assert changed.status == 200
    time.sleep(0.5)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    (stopped,) = daemon.events("daemon.stopped")
    assert stopped["is_drained"]
    systems.clients["stripe"].faults(FaultPlan())
    again = start(systems.folder, **systems.environment).ready()
    assert eventually(lambda: systems.values("phone")["stripe"] == ["+49301234500"])
    assert {one["in_doubt"] for one in again.call("GET", "/v1/connections").json["data"]} == {0}


def test_sigterm_does_not_wait_for_a_provider_that_hangs(systems: Systems, start: Start) -> None:
    """Exit 0 within ten seconds; what was cut off is taken up by the next start."""
    daemon = start(systems.folder, **systems.environment).ready()
    daemon.activate("stripe", "hubspot")
    for name in ("stripe", "hubspot"):
        systems.clients[name].faults(FaultPlan(requests=(Fault(kind="slow", seconds=60.0),)))
    made = daemon.call("POST", "/v1/customers", {"external_customer_id": "ada", "name": "Ada Lovelace"})
    assert made.status == 201
    time.sleep(1.0)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10


def test_trouble_with_the_disk_is_503_until_it_is_over(systems: Systems, start: Start) -> None:
    """The kernel lets no file of the daemon grow: a full disk. Providers are told to come again, and may."""
    daemon = start(systems.folder, **systems.environment).ready()
    now = time.time()
    good = deliveries.quickbooks(1, now)
    pid = daemon.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert daemon.deliver("quickbooks", good.body, good.headers).status == 503
        assert eventually(lambda: daemon.call("GET", "/readyz").status == 503)
        entered = daemon.call("POST", "/v1/customers", {"external_customer_id": "ada", "name": "Ada"})
        assert (entered.status, entered.json["code"]) == (503, "storage")
        assert daemon.call("GET", "/healthz").status == 200
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert eventually(lambda: daemon.call("GET", "/readyz").status == 200)
    assert daemon.deliver("quickbooks", good.body, good.headers).status == 200
    assert daemon.call("POST", "/v1/customers", {"external_customer_id": "ada", "name": "Ada"}).status == 201
    assert daemon.stop() == 0


def test_a_lost_lock_makes_the_daemon_rest(systems: Systems, start: Start) -> None:
    """Somebody deleted the lock file and another process took a new one: this daemon must not go on writing."""
    daemon = start(systems.folder, **systems.environment).ready()
    file = systems.folder / "var" / "accord.sqlite3"
    file.with_name("accord.sqlite3.lock").unlink()
    db = Database(f"sqlite:///{file}", is_direct=True)
    try:
        with instance.hold(db, SystemClock()):
            assert eventually(lambda: daemon.call("GET", "/readyz").status == 503)
            assert "another Accord daemon" in daemon.call("GET", "/readyz").json["detail"]
        assert eventually(lambda: daemon.call("GET", "/readyz").status == 200)
    finally:
        db.close()
    assert daemon.events("daemon.lock_lost")
    assert daemon.events("daemon.lock_regained")


def test_a_database_that_is_moved_away_acknowledges_nothing(systems: Systems, start: Start) -> None:
    """What was answered 200 went into a file without a name, and was gone at the next start."""
    daemon = start(systems.folder, **systems.environment).ready()
    good = deliveries.quickbooks(1, time.time())
    file = systems.folder / "var" / "accord.sqlite3"
    file.rename(file.with_name("away"))
    assert daemon.deliver("quickbooks", good.body, good.headers).status == 503
    entered = daemon.call("POST", "/v1/customers", {"external_customer_id": "ada", "name": "Ada"})
    assert (entered.status, entered.json["code"]) == (503, "storage")
    assert eventually(lambda: "moved away" in daemon.call("GET", "/readyz").json.get("detail", ""))
    assert not file.exists()
    file.with_name("away").rename(file)
    assert eventually(lambda: daemon.call("GET", "/readyz").status == 200)
    assert daemon.deliver("quickbooks", good.body, good.headers).status == 200
    assert daemon.stop() == 0


def test_a_newer_schema_is_refused_even_with_migrate(systems: Systems, start: Start) -> None:
    """An older program would not know what it destroys."""
    file = _new_database(systems.folder)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE accord_schema SET version_num = '9999'")
    for arguments in ((), ("--migrate",)):
        daemon = start(systems.folder, *arguments, **systems.environment)
        assert daemon.wait(20) != 0
        assert "9999" in "".join(daemon.lines)


def test_a_foreign_database_is_refused(systems: Systems, start: Start) -> None:
    """Accord makes no tables among somebody else's."""
    file = systems.folder / "theirs.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    daemon = start(systems.folder, ACCORD_DATABASE_URL=f"sqlite:///{file}", **systems.environment)
    assert daemon.wait(20) != 0
    assert "not Accord's" in "".join(daemon.lines)


def test_a_config_whose_link_leads_nowhere_is_no_sandbox(tmp_path: Path, start: Start) -> None:
    """A volume that was not mounted made a sandbox of the real daemon."""
    (tmp_path / "accord.toml").symlink_to(tmp_path / "gone" / "accord.toml")
    daemon = start(tmp_path)
    assert daemon.wait(20) == 1
    assert f"cannot be read: No such file or directory; it is a link to {tmp_path}/gone/accord.toml" in daemon.lines[-1]


def test_a_config_that_was_named_and_is_missing_is_no_sandbox(tmp_path: Path, start: Start) -> None:
    """A slip in a path must not quietly run on toys."""
    daemon = start(tmp_path, ACCORD_CONFIG=str(tmp_path / "acord.toml"))
    assert daemon.wait(20) != 0
    assert "cannot be read" in "".join(daemon.lines)
    assert not (tmp_path / "var").exists()


def test_an_api_for_everybody_needs_a_token(tmp_path: Path, start: Start) -> None:
    """Whoever reaches it could read and change every customer."""
    refused = start(tmp_path, ACCORD_API_HOST="0.0.0.0")  # noqa: S104 - the mistake under test
    assert refused.wait(20) != 0
    assert "ACCORD_API_TOKEN" in "".join(refused.lines)
    daemon = start(tmp_path, ACCORD_API_HOST="0.0.0.0", ACCORD_API_TOKEN="a-planted-token").ready()  # noqa: S104
    assert daemon.call("GET", "/v1/customers").status == 401
    opened = daemon.call("GET", "/v1/customers", headers={"authorization": "Bearer a-planted-token"})
    assert opened.status == 200
    assert "a-planted-token" not in "".join(daemon.lines)


def test_a_token_of_the_database_opens_an_api_for_everybody_too(systems: Systems, start: Start) -> None:
    """Made before the first start; the daemon then listens, and asks for it."""
    token = accord(systems, "tokens", "create", "ops", "--scope", "read", "--json")["token"]
    daemon = start(systems.folder, ACCORD_API_HOST="0.0.0.0", **systems.environment).ready()  # noqa: S104
    assert daemon.call("GET", "/v1/customers").status == 401
    headers = {"authorization": f"Bearer {token}"}
    assert daemon.call("GET", "/v1/customers", headers=headers).status == 200
    assert daemon.call("POST", "/v1/customers", {"external_customer_id": "x"}, headers).status == 403
    assert token not in "".join(daemon.lines)


def test_a_signed_address_must_be_told(systems: Systems, start: Start) -> None:
    """HubSpot signs where it sends to: checked against a guess, every delivery would be a forgery."""
    environment = {name: value for name, value in systems.environment.items() if name != "ACCORD_PUBLIC_URL"}
    refused = start(systems.folder, **environment)
    assert refused.wait(20) != 0
    said = "".join(refused.lines)
    assert "environment [ACCORD_PUBLIC_URL]: is needed, since HubSpot signs" in said
    assert "leave the client_secret of hubspot unset" in said
    assert "Traceback" not in said
    del environment["ACCORD_HUBSPOT_CLIENT_SECRET"]
    assert start(systems.folder, **environment).ready().call("GET", "/readyz").status == 200


def test_the_key_is_rotated_under_a_running_daemon(systems: Systems, start: Start) -> None:
    """It goes on refreshing QuickBooks' tokens, and writes there, with the key that it was not started with."""
    systems.clients["stripe"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    daemon = start(systems.folder, **systems.environment).ready()
    daemon.activate(*systems.names)
    assert eventually(lambda: all(names == ["Ada Lovelace"] for names in systems.values("name").values()))
    for number in range(3):
        assert accord(systems, "secrets", "rotate", "--json")["secrets"] == 3
        systems.clients["quickbooks"].settings(access_seconds=1.0)
        phone = f"+4930123450{number}"
        changed = daemon.call("PATCH", "/v1/customers/" + _only_id(daemon), {"phone": phone})
        assert changed.status == 200
        assert eventually(lambda p=phone: systems.values("phone")["quickbooks"] == [p])
        time.sleep(1.1)
    assert daemon.events("connection.troubled") == daemon.events("lane.failed") == []
    shown = daemon.call("GET", "/v1/connections").json["data"]
    assert {one["connection"]: one["state"] for one in shown} == dict.fromkeys(systems.names, "active")
    assert daemon.stop() == 0


def test_many_requests_at_once_are_all_answered_while_it_stops(systems: Systems, start: Start) -> None:
    """Deliveries under way at SIGTERM get their answer: a 200 that never arrives would be a needless repetition."""
    daemon = start(systems.folder, **systems.environment).ready()
    answers: list[int] = []

    def deliver(number: int) -> None:
        good = deliveries.quickbooks(number, 0.0)
        try:
            answers.append(daemon.deliver("quickbooks", good.body, good.headers).status)
        except (ConnectionRefusedError, ConnectionResetError):
            answers.append(0)  # came when the doors were closed, or stood in line before them

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(40)]
    for one in threads:
        one.start()
    assert daemon.stop() == 0
    for one in threads:
        one.join()
    db = sa.create_engine(f"sqlite:///{systems.folder}/var/accord.sqlite3")
    with db.connect() as connection:
        stored = connection.execute(sa.text("SELECT count(*) FROM inbox")).scalar_one()
    db.dispose()
    assert set(answers) <= {0, 200}
    assert stored == answers.count(200)


def accord(systems: Systems, *arguments: str) -> Any:
    """What a command beside the daemon prints."""
    command = [sys.executable, str(ROOT / "run_daemon.py"), *arguments]
    environment = {**os.environ, **systems.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=systems.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _only_id(daemon: DaemonProcess) -> str:
    (one,) = daemon.call("GET", "/v1/customers").json["data"]
    return str(one["external_customer_id"])


def _new_database(folder: Path) -> Path:
    file = folder / "var" / "accord.sqlite3"
    db = Database(f"sqlite:///{file}", is_direct=True)
    schema.upgrade(db)
    db.close()
    return file
