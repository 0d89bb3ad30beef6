"""`accord mappings`: which object is which customer, decided by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk, printable

if TYPE_CHECKING:
    from core.store.mappings import MappingRow

Id = Annotated[str, typer.Argument(metavar="ID", help="external_customer_id")]
Name = Annotated[str, typer.Argument(metavar="CONNECTION")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Which remote object is which customer.")
    add(group, "link", link)
    add(group, "unlink", unlink)
    app.add_typer(group, name="mappings")


def link(
    desk: Desk,
    customer: Id,
    connection: Name,
    remote: Annotated[str, typer.Argument(metavar="REMOTE_ID", help="The object's id there.")],
) -> None:
    """Tie a customer to an object that is nobody's.

    The two are merged as on first contact, with the next look at them.
    """
    from core.cli.asking import actor
    from core.sync.linking import link as tie

    with desk.root.open_hub() as hub:
        trace = hub.ids.new()
        row = hub.db.run_now(lambda tx: tie(tx, hub, customer, connection, remote, actor=actor(), trace=trace))
    _show(desk, customer, row, f"{customer} is {remote} at {connection}; `accord sync {connection}` merges the two")


def unlink(
    desk: Desk,
    customer: Id,
    connection: Name,
    remote: Annotated[str | None, typer.Option(metavar="REMOTE_ID", help="Refuse if it is another object.")] = None,
) -> None:
    """Let a customer's object go.

    The object stays as it is. Neither of the two is tied or made again by itself: only `link` does.
    """
    from core.cli.asking import actor
    from core.sync.linking import unlink as let_go

    with desk.root.open_hub() as hub:
        trace = hub.ids.new()
        row = hub.db.run_now(
            lambda tx: let_go(tx, hub, customer, connection, remote_id=remote, actor=actor(), trace=trace)
        )
    _show(desk, customer, row, f"{customer} has no object at {connection} any more; {row.remote_id} is left alone")


def _show(desk: Desk, customer: str, row: MappingRow, words: str) -> None:
    found = {
        "external_customer_id": customer,
        "connection": row.connection,
        "remote_id": row.remote_id,
        "state": row.state,
        "generation": row.generation,
    }
    desk.show(found, lambda screen: screen.line(printable(words)))
