"""`accord secrets`: the key that seals stored secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Secrets that are sealed in the database.")
    add(group, "rotate", rotate)
    add(group, "forget", forget)
    app.add_typer(group, name="secrets")


def rotate(desk: Desk) -> None:
    """Seal every stored secret with a new key, while the daemon runs.

    Rewrites the key file. If you use ACCORD_SECRET_KEY, put the new key before the old one first, and remove the old
    one afterwards. If it is interrupted, run it again.
    """
    from core.cli.asking import actor
    from core.store.vault import rotate as renew

    done = renew(desk.root.database(), desk.root.keyring(), desk.root.clock(), actor=actor())
    words = f"{done.secrets} secrets of {done.connections} connections are sealed with the new key {done.key_id}"
    desk.show(done, lambda screen: screen.line(words))
    desk.note("keep a copy of the new key; a backup made before needs the old one")


def forget(
    desk: Desk,
    connection: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One connection; without it, all of them.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Drop stored secrets whose key is lost.

    Run `accord connect` again for the connections that need them. Secrets from the environment are not touched.
    """
    from core.cli.asking import actor
    from core.store import schema
    from core.store.vault import forget as drop

    db = desk.root.database()
    schema.check(db)
    if not yes:
        desk.confirm(f"Drop the stored secrets of {connection or 'every connection'}?", otherwise="--yes")
    dropped = drop(db, connection, desk.root.clock(), actor=actor())
    nothing = f"no secret of {connection!r} is stored; nothing was dropped"
    told = nothing if connection and not dropped else f"{dropped} stored secrets dropped"
    desk.show({"dropped": dropped}, lambda screen: screen.line(told))
