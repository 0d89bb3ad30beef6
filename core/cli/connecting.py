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
    connection: Annotated[str | None, typer.Argument(metavar="NAME", help="A connection in accord.toml.")] = None,
    *,
    is_list: Annotated[
        bool, typer.Option("--list", help="Show providers with their settings, secrets and webhook events.")
    ] = False,
    is_anew: Annotated[
        bool, typer.Option("--anew", help="Ask for all secrets again, even those that are stored.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Local port that the consent page redirects to.")
    ] = CALLBACK_PORT,
    has_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the consent page in a browser.")
    ] = True,
    patience: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Longest wait for the consent.")] = 300,
) -> int:
    """Connect one account of a provider.

    Asks for keys and seals them in the database, or takes you through a consent in the browser (QuickBooks). The
    account is pinned on first contact: once anything was read from it, credentials of another account are refused.
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
