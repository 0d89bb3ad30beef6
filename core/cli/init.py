"""`accord init`: writes a first accord.toml, by asking or from flags."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.command import add
from core.cli.desk import Desk

Named = Annotated[list[str] | None, typer.Option("--connection", metavar="NAME=PROVIDER", help="One account.")]
Enters = Annotated[list[str] | None, typer.Option("--enters", metavar="NAME=WHO", help="all | marked | none.")]
Creates = Annotated[list[str] | None, typer.Option("--creates", metavar="NAME=WHO", help="all | none.")]
Archives = Annotated[list[str] | None, typer.Option("--when-archived", metavar="NAME=WHAT", help="leave | archive.")]
Emails = Annotated[list[str] | None, typer.Option("--match-email", metavar="NAME", help="Link by e-mail there.")]
Places = Annotated[list[str] | None, typer.Option("--external-id", metavar="NAME=PLACE", help="Where ids are kept.")]
Originates = Annotated[
    list[str] | None, typer.Option("--originates", metavar="NAME=KINDS", help="invoice,payment,credit_note | all.")
]
Mirrors = Annotated[list[str] | None, typer.Option("--mirrors", metavar="NAME=KINDS", help="Gets copies of these.")]
Since = Annotated[list[str] | None, typer.Option("--since", metavar="NAME=DAY", help="Copies of that day and later.")]
Settings = Annotated[list[str] | None, typer.Option("--setting", metavar="NAME.KEY=VALUE", help="The provider's own.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "init", init)


def init(  # noqa: PLR0913 - each is an option
    desk: Desk,
    *,
    connection: Named = None,
    mints: Annotated[str | None, typer.Option(metavar="NAME", help="Where customers come from.")] = None,
    enters: Enters = None,
    creates: Creates = None,
    when_archived: Archives = None,
    match_email: Emails = None,
    external_id: Places = None,
    setting: Settings = None,
    originates: Originates = None,
    mirrors: Mirrors = None,
    since: Since = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Write accord.toml.

    Asks which accounts there are, who may enter the registry, what may be created and archived where, and where
    invoices are made and copied to; or takes it from the options. What is left out is the cautious choice. No secret is
    asked for: `accord connect NAME` does that.
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
