"""`accord payouts`: what a provider sent to the bank, and what it is made of. Nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.command import add, new_group
from core.cli.desk import CHANGES, OK, Desk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.cli.screen import Screen

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="A connection that collects money.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Show at most this many payouts.")]
PayoutId = Annotated[str, typer.Argument(metavar="PAYOUT", help="The payout's id at the provider.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("What was paid out to the bank, and what it is made of.")
    add(group, "list", list_payouts)
    add(group, "show", show)
    app.add_typer(group, name="payouts")


def list_payouts(desk: Desk, connection: Connection, limit: Limit = 20) -> None:
    """List the newest payouts."""
    from core.cli.asking import on_a_loop
    from core.sync.documents.payouts import payouts

    with desk.root.open_hub() as hub:
        found = on_a_loop(hub, lambda: payouts(hub.connection(connection), limit))
    desk.show({"payouts": found}, lambda screen: _draw_list(screen, found))


def show(desk: Desk, connection: Connection, payout: PayoutId) -> int:
    """Show one payout: gross, fees, refunds, disputes, net, and the payments in it.

    Exits 0 if its parts add up to it, 2 if there is a difference.
    """
    from core.cli.asking import on_a_loop
    from core.sync.documents.payouts import is_whole
    from core.sync.documents.payouts import payout as told

    with desk.root.open_hub() as hub:
        found = on_a_loop(hub, lambda: told(hub, hub.connection(connection), payout))
    desk.show(found, lambda screen: _draw(screen, found))
    return OK if is_whole(found) else CHANGES


def _draw_list(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    columns = ("id", "arrives_on", "amount", "currency", "status", "note")
    screen.table(columns, [[one[name] for name in columns] for one in found], whole="id")
    screen.line(f"{len(found)} shown")


def _draw(screen: Screen, found: Mapping[str, Any]) -> None:
    facts = {name: found[name] for name in ("connection", "status", "arrives_on", "amount", "currency", "note")}
    screen.facts({**facts, **found["sums"]}, title=found["id"])
    columns = ("moved_on", "kind", "amount", "known", "fee", "net", "customer", "invoices", "payments", "note")
    rows = [
        [", ".join(one[name]) if name in ("invoices", "payments") else one[name] for name in columns]
        for one in found["movements"]
    ]
    screen.table(columns, rows, title="made of")
    if found["unknown"]:
        screen.line(f"{found['unknown']} of the payments in it are not in the registry, or not whole", "yellow")
