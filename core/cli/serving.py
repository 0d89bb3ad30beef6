"""`accord run`: the daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "run", run)


def run(
    desk: Desk,
    *,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Run on built-in look-alikes of the providers.")] = False,
    migrate: Annotated[bool, typer.Option("--migrate", help="Upgrade an older database first.")] = False,
) -> int:
    """Run the daemon.

    Runs API, webhooks, scheduler and lanes in this process until SIGTERM or Ctrl-C. Without an accord.toml it uses
    built-in look-alikes of the providers, and says so.
    """
    return desk.root.serve(sandbox=sandbox, migrate=migrate)
