"""`accord demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.command import add
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "demo", demo)


def demo(
    desk: Desk,
    dump: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write what each system held before and after.")
    ] = None,
    customers: Annotated[int, typer.Option(min=1, max=100_000, help="How many people and companies to seed.")] = 320,
    invoices: Annotated[int, typer.Option(min=0, max=100_000, help="How many invoices to make.")] = 520,
    seed: Annotated[int, typer.Option(help="The same seed makes the same mess.")] = 1,
) -> int:
    """Show what Accord does, on the built-in look-alikes.

    Seeds three systems with a realistic mess, makes them agree, and shows and proves what changed. Needs no account,
    key or configuration. Exits 0 when every system agrees.
    """
    from core.cli.demo import demo as show

    return show(desk.root, customers=customers, bills=invoices, seed=seed, dump=dump, as_json=desk.as_json)
