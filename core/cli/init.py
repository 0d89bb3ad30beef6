"""`accord init`: writes a first accord.toml, by asking or from flags."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add
from core.cli.desk import Desk

Named = Annotated[
    list[str] | None,
    typer.Option("--connection", metavar="NAME=PROVIDER", help="An account to connect. Can be repeated."),
]
Enters = Annotated[
    list[str] | None,
    typer.Option(
        "--enters", metavar="NAME=WHO", help="Whose customers enter the registry: all, marked or none. Default: marked."
    ),
]
Creates = Annotated[
    list[str] | None,
    typer.Option(
        "--creates", metavar="NAME=WHO", help="Whether customers are created there: all or none. Default: none."
    ),
]
Archives = Annotated[
    list[str] | None,
    typer.Option(
        "--when-archived",
        metavar="NAME=WHAT",
        help="What happens there to objects of archived customers: leave or archive. Default: leave.",
    ),
]
Emails = Annotated[
    list[str] | None, typer.Option("--match-email", metavar="NAME", help="Link objects there to customers by e-mail.")
]
Places = Annotated[
    list[str] | None, typer.Option("--external-id", metavar="NAME=PLACE", help="Where its objects hold your ids.")
]
Originates = Annotated[
    list[str] | None,
    typer.Option(
        "--originates", metavar="NAME=KINDS", help="Documents made there: invoice,payment,credit_note or all."
    ),
]
Mirrors = Annotated[
    list[str] | None, typer.Option("--mirrors", metavar="NAME=KINDS", help="Documents copied to it: the same kinds.")
]
Since = Annotated[
    list[str] | None, typer.Option("--since", metavar="NAME=DAY", help="Copy documents dated on this day or later.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--setting", metavar="NAME.KEY=VALUE", help="A setting of the provider.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "init", init)


def init(  # noqa: PLR0913 - each is an option
    desk: Desk,
    *,
    connection: Named = None,
    mints: Annotated[str | None, typer.Option(metavar="NAME", help="The connection that customers come from.")] = None,
    enters: Enters = None,
    creates: Creates = None,
    when_archived: Archives = None,
    match_email: Emails = None,
    external_id: Places = None,
    setting: Settings = None,
    originates: Originates = None,
    mirrors: Mirrors = None,
    since: Since = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> int:
    """Write accord.toml.

    Asks which accounts you have, which customers may enter the registry, what may be created and archived where, and
    where invoices are made and copied to. With --connection it asks none of that: whatever you leave out gets the
    cautious default. It asks for no secrets: `accord connect NAME` does.
    """
    from core.cli.init_choices import Flags
    from core.cli.init_file import write_first

    flags = Flags(
        connections=connection or [],
        mints=mints,
        enters=enters or [],
        creates=creates or [],
        when_archived=when_archived or [],
        match_email=match_email or [],
        external_id=external_id or [],
        settings=setting or [],
        originates=originates or [],
        mirrors=mirrors or [],
        since=since or [],
    )
    return write_first(desk, flags, force=force, yes=yes)
