"""`accord doctor`: what is wrong, and what to do about it. Changes nothing but the pin of a new account's id."""

from __future__ import annotations

import typer

from core.cli.command import add
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "doctor", doctor)


def doctor(desk: Desk) -> int:
    """Check everything; say what is wrong and what to do.

    Checks the configuration, the database, and each connection's credentials and webhooks. Exits 1 if anything
    is wrong.
    """
    from core.cli.checks import examine

    return examine(desk)
