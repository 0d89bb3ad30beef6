"""`accord customers`: the registry's records, looked at and changed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli import customer_sheets, erasing
from core.cli.assignments import assigned
from core.cli.command import add, new_group
from core.cli.desk import Desk
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.customers import Customer
    from core.store.database import Tx

Id = Annotated[str, typer.Argument(metavar="ID", help="external_customer_id")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="May be repeated; nothing after = clears. Parts of an address are billing_address.city=..., metadata "
        "is metadata.KEY=..., a list is separated by commas.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("The registry's customers.")
    add(group, "list", listing)
    for function in (show, overview, create, update, archive, restore):
        add(group, function.__name__, function)
    add(group, "erase", erasing.erase)
    add(group, "export", customer_sheets.export)
    add(group, "import", customer_sheets.import_)
    app.add_typer(group, name="customers")


def listing(
    desk: Desk,
    search: Annotated[
        str, typer.Option(metavar="TEXT", help="Only customers whose id, name or e-mail contains this.")
    ] = "",
    after: Annotated[str, typer.Option(metavar="ID", help="Continue after this customer (the last one shown).")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many customers.")] = 100,
    *,
    archived: Annotated[
        bool, typer.Option("--archived", help="Show archived customers instead, which `restore` brings back.")
    ] = False,
) -> None:
    """List customers by external_customer_id."""
    from core.store import customers
    from core.sync import registry

    def look(tx: Tx) -> tuple[list[Customer], int]:
        registry.check_place(tx, after, "after")
        rows = customers.listing(tx, search=search, is_archived=archived, after=after, limit=limit + 1)
        return rows, customers.count(tx, search=search, is_archived=archived)

    with desk.root.open_hub() as hub:
        rows, total = hub.db.read_now(look)
    found = {"total": total, "customers": [_told(one) for one in rows[:limit]]}
    desk.show(
        found, lambda screen: _draw_list(screen, rows[:limit], total, has_more=len(rows) > limit, archived=archived)
    )


def _told(one: Customer) -> dict[str, object]:
    return {
        "external_customer_id": one.external_id,
        "version": one.version,
        "fields": dict(sorted(one.fields.items())),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "archived_at": one.deleted_at,
    }


def _draw_list(screen: Screen, rows: Sequence[Customer], total: int, *, has_more: bool, archived: bool) -> None:
    from core.cli.screen import moment, spoken

    names = ("name", "email", "status")
    told = [[one.external_id, *(spoken(one.fields.get(name)) for name in names), one.version] for one in rows]
    ends = [[moment(one.deleted_at)] for one in rows] if archived else [[] for _ in rows]
    columns = ("external_customer_id", *names, "version", *(["archived (UTC)"] if archived else []))
    rows_told = [[*row, *end] for row, end in zip(told, ends, strict=True)]
    screen.table(columns, rows_told, whole="external_customer_id")
    screen.line(f"{len(rows)} of {total}{f'; go on with --after {rows[-1].external_id}' if has_more else ''}")
    if archived and rows:
        screen.line(
            "`accord customers restore ID` brings one back; `accord explain ID` shows what became of its objects"
        )


def show(desk: Desk, customer: Id) -> None:
    """Show one customer.

    If nobody has this id any more, shows the customer who was archived with it last, and when.
    """
    from core.sync import registry
    from core.sync.archived import archived_at, last_archived

    def look(tx: Tx) -> tuple[Customer, dict[str, Any] | None]:
        gone = last_archived(tx, customer)
        return (gone, archived_at(tx, gone)) if gone else (registry.get(tx, customer), None)

    with desk.root.open_hub() as hub:
        one, archived = hub.db.read_now(look)
    _show(desk, one, archived)


def _show(desk: Desk, one: Customer, archived: Mapping[str, Any] | None = None) -> None:
    from core.cli.lookups import ended

    told = _told(one) | {"sources": dict(sorted(one.sources.items())), "archived": archived}
    more = {"archived": f"{ended(archived)}; see `accord explain {one.external_id}`"} if archived else {}
    facts: Mapping[str, object] = {"version": one.version, **more, **dict(sorted(one.fields.items()))}
    desk.show(told, lambda screen: screen.facts(facts, title=one.external_id))


def overview(
    desk: Desk,
    customer: Id,
    *,
    children: Annotated[bool, typer.Option("--children", help="Include the documents of its children, and theirs.")] = (
        False
    ),
) -> None:
    """Show what a customer's documents add up to, per currency.

    Credits are subtracted. Drafts and void documents do not count.
    """
    from core.sync.documents.telling import overview as added_up

    with desk.root.open_hub() as hub:
        found = hub.db.read_now(lambda tx: added_up(tx, hub, customer, with_children=children))
    desk.show({"overview": found}, lambda screen: _draw_overview(screen, customer, found))


def _draw_overview(screen: Screen, customer: str, found: Sequence[Mapping[str, Any]]) -> None:
    names = ("currency", "gross_revenue", "outstanding", "overdue", "paid", "last_paid_on", "invoices")
    screen.table([name.replace("_", " ") for name in names], [[one[name] for name in names] for one in found])
    if not found:
        screen.line(f"{customer} has no documents that count")


def create(desk: Desk, customer: Id, values: Assignments = None) -> None:
    """Enter a new customer.

    It flows to every connection whose policy creates.
    """
    from core.cli.asking import actor
    from core.sync import registry

    wanted = assigned(values or [], {})
    with desk.root.open_hub() as hub:
        trace = hub.ids.new()
        with _unless_taken(customer):
            one = hub.db.run_now(lambda tx: registry.create(tx, hub, customer, wanted, actor=actor(), trace=trace))
    _show(desk, one)


@contextmanager
def _unless_taken(external_id: str) -> Iterator[None]:
    """Somebody else may enter the same id between our look and our commit."""
    from sqlalchemy.exc import IntegrityError

    try:
        yield
    except IntegrityError as error:
        cure = f"take another one, or `accord customers update {external_id}`"
        field = "external_customer_id"
        raise InvalidInputError(f"{external_id!r} is taken", field=field, limit="unique", cure=cure) from error


def update(
    desk: Desk,
    customer: Id,
    values: Assignments = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Refuse if the customer has another version by now.")
    ] = None,
) -> None:
    """Change fields of a customer by hand.

    Parts of an address that are not named stay.
    """
    from core.cli.asking import actor
    from core.sync import registry

    if not values:
        raise InvalidInputError("nothing to change", field="set", cure="name fields like --set phone=+4930123456")

    def change(tx: Tx) -> Customer:
        wanted = assigned(values, registry.get(tx, customer).fields)
        return registry.update(tx, hub, customer, wanted, actor=actor(), trace=hub.ids.new(), version=version)

    with desk.root.open_hub() as hub:
        one = hub.db.run_now(change)
    _show(desk, one)


def archive(
    desk: Desk,
    customer: Id,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a customer from the registry.

    Its id becomes free. Its objects in other systems are left alone, or archived there if `when_archived` says so.
    """
    from core.cli.asking import actor
    from core.sync import registry

    with desk.root.open_hub() as hub:
        rows = hub.db.read_now(lambda tx: registry.followers(tx, hub, registry.get(tx, customer)))
        there = [f"{row.connection} {row.remote_id}" for row in rows]
        if not yes:
            also = f" and, in the other systems, {', '.join(there)}" if there else ""
            desk.confirm(f"Archive {customer}{also}?", otherwise="--yes")
        one = hub.db.run_now(lambda tx: registry.archive(tx, hub, customer, actor=actor(), trace=hub.ids.new()))
    found = {"external_customer_id": one.external_id, "deleted_at": one.deleted_at, "to_archive": there}
    told = f"; to be archived by the daemon: {', '.join(there)}" if there else ""
    desk.show(found, lambda screen: screen.line(f"{one.external_id} is archived{told}"))


def restore(desk: Desk, customer: Id) -> None:
    """Bring back a customer that was archived.

    Brings back the last customer with this id, as long as nobody else has it now, and ties it to its objects again.
    They are read next: you are asked about any that is gone, archived or different. Nothing is created in their place,
    and objects that were still to be archived are not.
    """
    from core.cli.answering import next_step
    from core.cli.asking import actor
    from core.sync import revival

    with desk.root.open_hub() as hub, _unless_taken(customer):
        done = hub.db.run_now(lambda tx: revival.restore(tx, hub, customer, actor=actor(), trace=hub.ids.new()))
    one = done.customer
    objects = {
        name: [f"{row.connection} {row.remote_id}" for row in rows]
        for name, rows in (("tied", done.tied), ("archived", done.archived), ("apart", done.apart))
    }
    found = {"external_customer_id": one.external_id, "version": one.version, **objects}

    def draw(screen: Screen) -> None:
        tied = ", ".join(objects["tied"]) or "no object"
        screen.line(f"{one.external_id} is back, tied to {tied}; {next_step(desk, '')}")
        words = {"archived": "archived there: bring back by hand", "apart": "another customer's by now"}
        for name, says in words.items():
            if objects[name]:
                screen.line(f"{says}: {', '.join(objects[name])}", "yellow")

    desk.show(found, draw)
