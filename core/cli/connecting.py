"""`accord connect`: give a connection its secrets, and learn whose account they open."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add
from core.cli.desk import Desk
from core.errors import InvalidInputError

CALLBACK_PORT = 8402


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "connect", connect)


def connect(
    desk: Desk,
    connection: Annotated[str | None, typer.Argument(metavar="NAME", help="A connection of accord.toml.")] = None,
    *,
    is_list: Annotated[bool, typer.Option("--list", help="Show providers, their settings and secrets.")] = False,
    is_anew: Annotated[bool, typer.Option("--anew", help="Ask for its secrets though they are there.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Local port of a consent's redirect.")] = CALLBACK_PORT,
    has_browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the consent page.")] = True,
    patience: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Longest wait for a consent.")] = 300,
) -> int:
    """Connect one account of a provider.

    By a consent in the browser (QuickBooks), or by keys that are asked for and sealed. The account is pinned
    on first contact; credentials of another one are refused later, once anything was read of the first.
    """
    from core.cli.providers import show_providers

    if is_list:
        return show_providers(desk)
    if connection is None:
        cure = "`accord connect --list` shows what there is"
        raise InvalidInputError("which connection?", field="connection", cure=cure)
    from core.cli.credentials import Consenting, connect_one

    how = Consenting(port=port, has_browser=has_browser, patience=patience)
    return connect_one(desk, connection, how, is_anew=is_anew)
