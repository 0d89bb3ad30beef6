"""`accord db`: the registry's database itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("The registry's database.")
    for name, function in (("upgrade", upgrade), ("check", check), ("backup", backup), ("adopt", adopt)):
        add(group, name, function)
    app.add_typer(group, name="db")


def upgrade(desk: Desk) -> None:
    """Bring the schema up to date.

    Applies all missing revisions in one transaction. Safe to run again.
    """
    from core.store import instance, schema

    db = desk.root.database()
    # a daemon must not find its tables changed under it
    with instance.hold(db, desk.root.clock()):
        applied = schema.upgrade(db)
        revision = schema.current(db)
    words = f"applied {', '.join(applied)}" if applied else "nothing to do"
    found = {"applied": applied, "revision": revision}
    desk.show(found, lambda screen: screen.line(f"{words}; the schema is at {revision}"))


def check(desk: Desk) -> None:
    """Say whether the schema is the one this program needs."""
    from core.store import schema

    db = desk.root.database()
    schema.check(db)
    revision = schema.current(db)
    desk.show({"revision": revision}, lambda screen: screen.line(f"the schema is at {revision}, as it should be"))


def backup(desk: Desk, file: Annotated[Path, typer.Argument(metavar="FILE", help="Must not exist yet.")]) -> None:
    """Copy the database, while the daemon runs.

    The copy does not contain the vault's key: back that up elsewhere.
    """
    from core.errors import InvalidInputError
    from core.store import schema
    from core.store.backup import backup as copy
    from core.store.life import life_file
    from core.sync.life import move_on

    db = desk.root.database()
    if schema.current(db) is None:
        raise InvalidInputError("the database has nothing in it to back up", cure="`accord run` makes its tables")
    copy(db, file)
    if life := life_file(db, None):
        move_on(db, life)  # from now on the copy is an older database
    size = file.stat().st_size
    desk.show({"file": str(file), "bytes": size}, lambda screen: screen.line(f"{file}: {size} bytes"))


def adopt(
    desk: Desk, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False
) -> None:
    """Tell Accord that this database was restored from a backup, if it cannot tell by itself.

    Every connection goes back to `observing`: it is read and planned for, but not written to until you activate it
    again.
    """
    from core.cli.asking import actor
    from core.store import instance
    from core.sync.restoring import adopt_copy

    with desk.root.open_hub() as hub, instance.hold(hub.db, hub.clock):
        if not yes:
            desk.confirm("Let every connection start observing?", otherwise="--yes")
        adopt_copy(hub, actor=actor())
        names = sorted(hub.connections)
    words = "every connection is observing: `accord plan NAME`, then `accord activate NAME --plan DIGEST`"
    desk.show({"observing": names}, lambda screen: screen.line(words))
