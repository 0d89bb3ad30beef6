"""`accord sandbox serve`: the built-in look-alikes over real HTTP, to try Accord against without any account."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Built-in look-alikes of the providers.")
    add(group, "serve", serve)
    app.add_typer(group, name="sandbox")


def serve(
    desk: Desk,
    *,
    port_base: Annotated[int, typer.Option(min=0, max=65000, help="First port to use; 0 picks free ones.")] = 8410,
    lag_scale: Annotated[
        float, typer.Option(min=0, help="Scale the providers' declared delays by this; 0 means none.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 1,
    customers: Annotated[int, typer.Option(min=0, max=100_000, help="How many people and companies to seed.")] = 0,
    enforce_limits: Annotated[bool, typer.Option("--enforce-limits", help="Answer 429 as the providers do.")] = False,
) -> int:
    """Serve look-alikes until Ctrl-C.

    Serves one per provider over real HTTP, and prints how to point Accord at them.
    """
    from core.cli.sandbox_serve import World, serve_until_stopped

    world = World(port_base, lag_scale, seed, customers, enforce_limits)
    return serve_until_stopped(desk, world)
