"""`accord sync`: make records agree now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import typer

from core.cli.command import add
from core.cli.desk import Desk
from core.errors import InvalidInputError

KINDS: Mapping[str, tuple[str, ...]] = {"invoices": ("invoice", "credit_note"), "payments": ("payment",)}
"""Documents that `--kind` means."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    add(app, "sync", sync)


def sync(
    desk: Desk,
    connections: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CONNECTION]...", help="Connections to sync; without any, all of them."),
    ] = None,
    *,
    kind: Annotated[
        Literal["customers", "metadata", "invoices", "payments"], typer.Option(help="What to sync.")
    ] = "customers",
    customer: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this customer. Can be repeated.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything, not just what changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and show the plan; write nothing.")] = False,
    patience: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Longest wait for retries. Default: 300, or 60 if only a provider that is down is waited for.",
        ),
    ] = None,
) -> int:
    """Make records agree now.

    The running daemon does it, or this process if no daemon runs. Exits 0 when everything agrees, 1 when something
    failed, 2 when a dry run found changes or a connection only observes, 3 when something is held.
    """
    kinds = KINDS.get(kind, ())
    if customer and full:
        raise InvalidInputError("reads everything, --customer only some", field="full", cure="name one of the two")
    from core.cli.sync_now import Request, sync_now

    request = Request(
        names=connections or [], is_metadata=kind == "metadata", customers=tuple(dict.fromkeys(customer or [])),
        is_full=full, kinds=kinds,
    )  # fmt: skip
    if patience is not None:
        request = replace(request, patience=patience, outage_patience=patience)
    return sync_now(desk, request, is_dry=dry_run)
