"""A backup is put back under a real daemon: it starts, says so, and writes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable

from tests.support.daemon import DaemonProcess, eventually
from tests.support.systems import Systems

Start = Callable[..., DaemonProcess]


def test_a_backup_that_is_put_back_is_noticed_before_anything_is_written(systems: Systems, start: Start) -> None:
    """Made by the command, put back by hand, as the documents say; a plain restart between is none."""
    systems.clients["stripe"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    daemon = start(systems.folder, **systems.environment).ready()
    daemon.activate(*systems.names)
    assert eventually(lambda: all(names == ["Ada Lovelace"] for names in systems.values("name").values()))
    assert daemon.stop() == 0
    file = systems.folder / "var" / "accord.sqlite3"
    copy = systems.folder / "copy.sqlite3"
    with sqlite3.connect(file) as there, sqlite3.connect(copy) as here:
        there.backup(here)
    assert file.with_name(f"{file.name}.life").stat().st_mode & 0o777 == 0o600

    daemon = start(systems.folder, **systems.environment).ready()
    assert daemon.events("database.restored") == []
    states = {one["connection"]: one["state"] for one in daemon.call("GET", "/v1/connections").json["data"]}
    assert states == dict.fromkeys(systems.names, "active")
    assert daemon.stop() == 0

    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, file)
    daemon = start(systems.folder, **systems.environment).ready()
    (told,) = daemon.events("database.restored")
    assert "a backup was put back" in told["problem"]
    shown = daemon.call("GET", "/v1/connections").json["data"]
    assert {one["state"] for one in shown} == {"observing"}
    assert all(one["restored_at"] for one in shown)
    daemon.activate(*systems.names)
    assert eventually(lambda: not any(one["restored_at"] for one in daemon.call("GET", "/v1/connections").json["data"]))
    assert all(names == ["Ada Lovelace"] for names in systems.values("name").values())
    assert daemon.stop() == 0


def test_an_empty_database_where_one_ran_is_taken_for_a_restored_one(systems: Systems, start: Start) -> None:
    """A disk that was not mounted, a file that was removed: it began as on a first day, and nobody said so."""
    systems.clients["stripe"].edit({"name": "Ada Lovelace", "email": "ada@example.test"})
    daemon = start(systems.folder, **systems.environment).ready()
    daemon.activate(*systems.names)
    assert eventually(lambda: all(names == ["Ada Lovelace"] for names in systems.values("name").values()))
    assert daemon.stop() == 0

    for lost in (systems.folder / "var").glob("accord.sqlite3*"):
        if lost.suffix in (".sqlite3", ".sqlite3-wal", ".sqlite3-shm"):
            lost.unlink()
    daemon = start(systems.folder, **systems.environment).ready()
    (told,) = daemon.events("database.restored")
    assert "it is empty, and another one ran here last" in told["problem"]
    shown = daemon.call("GET", "/v1/connections").json["data"]
    assert {one["state"] for one in shown} == {"observing"}
    assert all(one["restored_at"] for one in shown)
    assert daemon.stop() == 0
    assert all(names == ["Ada Lovelace"] for names in systems.values("name").values())
