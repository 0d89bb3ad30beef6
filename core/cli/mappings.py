"""`accord mappings`: which object is which customer, decided by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk, printable

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.mappings import MappingRow

Id = Annotated[str, typer.Argument(metavar="ID", help="external_customer_id")]
Name = Annotated[str, typer.Argument(metavar="CONNECTION")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Which object in another system is which customer.")
    add(group, "list", show)
    add(group, "link", link)
    add(group, "unlink", unlink)
    app.add_typer(group, name="mappings")


def show(desk: Desk, customer: Id) -> None:
    """Show a customer's objects in all systems.

    A part, such as the billing contact of a company, is listed below the object it belongs to.
    """
    from core.store import mappings
    from core.sync.registry import get

    with desk.root.open_hub() as hub:
        record = hub.db.read_now(lambda tx: get(tx, customer)).id
        rows = hub.db.read_now(lambda tx: mappings.of_records(tx, [record]).get(record, []))
    rows.sort(key=lambda one: (one.connection, one.part))
    found = [_facts(customer, one) for one in rows]
    desk.show({"mappings": found}, lambda screen: _draw(screen, found))


def _draw(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    shown = [
        (f"{one['connection']} {one['part']}".rstrip(), one["remote_id"], one["state"], one["generation"])
        for one in found
    ]
    screen.table(("where", "object", "state", "generation"), shown)


def link(
    desk: Desk,
    customer: Id,
    connection: Name,
    remote: Annotated[str, typer.Argument(metavar="REMOTE_ID", help="The object's id at that connection.")],
    *,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be merged, written and held; change nothing.")
    ] = False,
) -> None:
    """Tie a customer to an object that belongs to nobody yet.

    The next sync merges the two, as on first contact. If the customer already has an object there and this one can be a
    part of it, it is tied as that part.
    """
    if is_dry_run:
        _foretell(desk, customer, connection, remote)
        return
    from core.cli.asking import actor
    from core.sync.linking import link as tie

    with desk.root.open_hub() as hub:
        trace = hub.ids.new()
        row = hub.db.run_now(lambda tx: tie(tx, hub, customer, connection, remote, actor=actor(), trace=trace))
    _show(desk, customer, row, f"{customer} is {remote} at {connection}; `accord sync {connection}` merges the two")


def _foretell(desk: Desk, customer: str, connection: str, remote: str) -> None:
    import msgspec

    from core.cli.asking import on_a_loop
    from core.cli.plans import draw_items
    from core.sync.foretelling import foretell_link

    with desk.root.open_hub() as hub:
        found = on_a_loop(hub, lambda: foretell_link(hub, customer, connection, remote))
    as_part = f" as its {found.row.part}" if found.row.part else ""

    def draw(screen: Screen) -> None:
        screen.line(printable(f"{customer} would be {remote} at {connection}{as_part}; nothing was changed"))
        draw_items(screen, found.items)
        screen.line("what goes into the registry flows on to the other connections")

    items = [msgspec.to_builtins(one) for one in found.items]
    desk.show({**_facts(customer, found.row), "is_dry_run": True, "items": items}, draw)


def unlink(
    desk: Desk,
    customer: Id,
    connection: Name,
    remote: Annotated[
        str | None,
        typer.Option(
            metavar="REMOTE_ID", help="Refuse if the object is another one. With a part's id, let go of that part only."
        ),
    ] = None,
) -> None:
    """Let go of a customer's object.

    The object stays as it is, and so do its parts, which are let go too. Accord will not tie or create them again by
    itself; only `link` does.
    """
    from core.cli.asking import actor
    from core.sync.linking import unlink as let_go

    with desk.root.open_hub() as hub:
        trace = hub.ids.new()
        row = hub.db.run_now(
            lambda tx: let_go(tx, hub, customer, connection, remote_id=remote, actor=actor(), trace=trace)
        )
        shown = hub.connections[connection].shows_overview and not row.part
    figures = ", and the figures on it stay as they were last" if shown else ""
    words = f"{customer} has no object at {connection} any more; {row.remote_id} is left alone{figures}"
    _show(desk, customer, row, words)


def _show(desk: Desk, customer: str, row: MappingRow, words: str) -> None:
    desk.show(_facts(customer, row), lambda screen: screen.line(printable(words)))


def _facts(customer: str, row: MappingRow) -> dict[str, Any]:
    return {
        "external_customer_id": customer,
        "connection": row.connection,
        "part": row.part,
        "remote_id": row.remote_id,
        "state": row.state,
        "generation": row.generation,
    }
