"""`accord invoices`, `payments`, `credit-notes`, `close`: documents, how their copies stand, and a period's tie-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.command import add, new_group
from core.cli.desk import CHANGES, OK, Desk
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.database import Tx

KINDS = {"invoices": "invoice", "payments": "payment", "credit-notes": "credit_note"}
Customer = Annotated[str, typer.Option("--customer", metavar="ID", help="Only this customer's (external_customer_id).")]
Children = Annotated[bool, typer.Option("--children", help="With --customer: include its children, and theirs.")]
Status = Annotated[
    str,
    typer.Option(
        metavar="STATE",
        help="Only documents in this state. Invoices: draft, open, paid, void, uncollectible. Payments: pending, "
        "succeeded, failed, void. Credit notes: issued, void.",
    ),
]
After = Annotated[str, typer.Option(metavar="ID", help="Continue after this document (the last one shown).")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many documents.")]
Out = Annotated[
    str, typer.Option(metavar="FILE", help="Also write it to a CSV file. `-` writes the CSV to stdout instead.")
]
Name = Annotated[
    str, typer.Argument(metavar="DOCUMENT", help="The document's id, its number, or its id where it was made.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for name, kind in KINDS.items():
        group = new_group(f"{name.capitalize().replace('-', ' ')}, and how their copies stand.")
        add(group, "list", _listing(kind))
        add(group, "show", _showing(kind))
        if kind == "invoice":
            add(group, "ageing", ageing)
        app.add_typer(group, name=name)
    add(app, "close", close)


def _listing(kind: str) -> Callable[..., None]:
    def listing(
        desk: Desk,
        customer: Customer = "",
        status: Status = "",
        after: After = "",
        limit: Limit = 100,
        *,
        children: Children = False,
    ) -> None:
        """List them, each with where its copies are."""
        from core.store import documents
        from core.sync.documents.telling import check_filters, listed, whose

        if children and not customer:
            raise InvalidInputError(
                "whose children is not said", field="children", cure="name the parent: --customer ID"
            )

        def look(tx: Tx, now: float) -> list[dict[str, Any]]:
            check_filters(tx, kind, status or None, after, "after")
            owners = whose(tx, customer, with_children=children) if customer else None
            return listed(
                tx,
                documents.page(tx, kind=kind, after=after, limit=limit, customer_ids=owners, status=status or None),
                now,
            )

        with desk.root.open_hub() as hub:
            found = hub.db.read_now(lambda tx: look(tx, hub.clock.now()))
        desk.show({"documents": found}, lambda screen: _draw_list(screen, found))

    return listing


def _showing(kind: str) -> Callable[..., None]:
    def show(desk: Desk, document: Name) -> None:
        """Show one with its lines, what settles it, its copies, and what keeps one from agreeing."""
        from core.sync.documents.telling import told

        with desk.root.open_hub() as hub:
            found = hub.db.read_now(lambda tx: told(tx, hub, kind, document))
        desk.show(found, lambda screen: draw(screen, found))

    return show


_TABLES = ("lines", "applications", "disputes")
"""Fields of a document that are no single fact."""


def _draw_list(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for one in found:
        document = one["document"]
        amount = document.get("total", document.get("amount"))
        number = document.get("number") or document.get("reference") or one["remote_id"]
        rows.append(
            (one["id"], number, one["customer"], document["status"], amount, document["currency"], _copies(one))
        )
    screen.table(("id", "number", "customer", "state", "amount", "currency", "copies"), rows, whole="id")
    screen.line(f"{len(found)} shown")


def _stands(copy: Mapping[str, Any]) -> str:
    if copy["agrees"]:
        return "equal"
    if copy["held"]:
        return "held"
    if copy["failure"]:
        return "failing"
    return f"waits: {copy['waits']}" if copy["waits"] else str(copy["state"])


def draw(screen: Screen, found: Mapping[str, Any]) -> None:
    """One document as people read it."""
    document = {name: value for name, value in found["document"].items() if name not in _TABLES}
    facts = {"customer": found["customer"], "origin": f"{found['origin']} {found['remote_id']}", **document}
    screen.facts(facts, title=found["id"])
    lines = found["document"].get("lines", ())
    columns = ("description", "product", "quantity", "unit_amount", "amount", "discount", "tax")
    screen.table(columns, [[line[name] for name in columns] for line in lines], title="lines")
    disputes = found["document"].get("disputes", ())
    told = ("id", "status", "amount", "withdrawn", "fee", "fee_currency")
    screen.table(told, [[one[name] for name in told] for one in disputes], title="disputes")
    copies = [
        (copy["connection"], copy["remote_id"], _stands(copy), _problem(copy), copy["write_in_doubt"])
        for copy in found["copies"]
    ]
    screen.table(("connection", "object", "stands", "why", "in doubt"), copies, title="copies")
    screen.table(("connection", "why"), [[*one.values()] for one in found["uncopied"]], title="not copied")
    settling = [
        (one["id"], one["document"]["kind"], one["document"]["status"], one["origin"], _copies(one))
        for one in found["settled_by"]
    ]
    screen.table(("id", "kind", "state", "origin", "copies"), settling, title="settled by")
    held = [
        (one["id"], one["document"], one["connection"], one["reason"], _said(one, "limit"), _said(one, "cure"))
        for document in (found, *found["settled_by"])
        for one in _asked(document)
    ]
    screen.table(("hold", "of", "connection", "reason", "limit", "what to do"), held, title="held", whole="hold")
    draw_waiting(screen, found["waits"])


def _asked(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What people are asked about one document, where it is made and at its copies."""
    of_copies = [{**one, "connection": copy["connection"]} for copy in found["copies"] for one in copy["held"]]
    return [{"document": found["document"]["kind"], **one} for one in (*found["holds"], *of_copies)]


def _copies(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{copy['connection']}: {_stands(copy)}" for copy in found["copies"])


def draw_waiting(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    """Documents that could not be taken from where they are made, a block of short lines each."""
    for one in found:
        number = one["number"] if one["number"] != one["remote_id"] else ""
        named = (one["connection"], one["kind"].replace("_", " "), one["remote_id"], number)
        facts = {"waits": one["why"], "what to do": one["cure"], "amount": f"{one['amount']} {one['currency']}".strip()}
        title = "  ".join([*(part for part in named if part), "is not taken as it is there"])
        screen.block(title, {name: value for name, value in facts.items() if value})


def _problem(copy: Mapping[str, Any]) -> str:
    held = [_said(one, "field", "problem") or one["reason"] for one in copy["held"]]
    return "; ".join([*held, *([copy["failure"]] if copy["failure"] else [])])


def _said(held: Mapping[str, Any], *parts: str) -> str:
    return " ".join(str(held[part]) for part in parts if held.get(part))


def ageing(
    desk: Desk,
    out: Out = "",
    *,
    invoices: Annotated[bool, typer.Option("--invoices", help="Also show each invoice.")] = False,
) -> None:
    """Show what customers owe, by how many days it is overdue."""
    from core.cli.report_files import is_shown, write_ageing
    from core.sync.documents.ageing import aged

    with desk.root.open_hub() as hub:
        found = hub.db.read_now(lambda tx: aged(tx, hub, with_invoices=invoices))
    if out:
        write_ageing(desk, out, found)
    if is_shown(out):
        desk.show(found, lambda screen: _draw_ageing(screen, found))


def _draw_ageing(screen: Screen, found: Mapping[str, Any]) -> None:
    ages = ("not yet", "1-30", "31-60", "61-90", "more", "total")
    rows = [(one["currency"], *one["buckets"], one["total"]) for one in found["ageing"]]
    screen.table(("currency", *ages), rows)
    owing = [
        (one["customer"], one["name"], one["currency"], *one["buckets"], one["total"]) for one in found["customers"]
    ]
    screen.table(("customer", "name", "currency", *ages), owing, title="who owes it")
    names = ("number", "customer", "name", "origin", "due_on", "days_overdue", "due", "currency")
    bills = [[one[name] for name in names] for one in found.get("invoices", ())]
    if bills:
        screen.table(names, bills, title="by invoice", whole="number")
    screen.line(f"{'due' if rows else 'nothing is due'} on {found['day']}; digest {found['digest']}")


def _draw_grounds(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    """What it rests on: a line for each connection, and what is the matter with those that are not sound."""
    heads = ("connection", "state", "error", "listed in full (UTC)", "changes read (UTC)")
    rows = [
        (
            one["connection"], one["state"], one["error_code"],
            one["listed_at"] or ("never" if one["is_listed"] else "nothing to list"), one["changes_at"] or "never",
        )
        for one in found
    ]  # fmt: skip
    screen.table(heads, rows, title="rests on", whole="connection")
    for one in found:
        for problem in one["problems"]:
            screen.line(f"{one['connection']}: {problem}", "red")
        if one["unread"]:
            screen.line(f"{one['connection']}: {' and '.join(one['unread'])} are not read, and are in nothing above")


LEFT = ("connection", "kind", "id", "number", "amount", "currency", "by")
UNTAKEN = ("connection", "kind", "remote_id", "number", "amount", "currency", "why", "cure")
OUTSIDE_SHOWN = 20


def close(
    desk: Desk,
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="A month like 2026-10, or a year.")],
    out: Out = "",
) -> int:
    """Check that all documents of a period have equal copies.

    Exits 0 if so, and 2 if something is missing, differs, does not add up or was not taken from its origin, or if a
    connection has not been read since. Changes nothing.
    """
    from core.cli.report_files import is_shown, write_tie_out
    from core.sync.documents.tie_out import is_tied, tie_out

    with desk.root.open_hub() as hub:
        found = hub.db.read_now(lambda tx: tie_out(tx, hub, period))
    if out:
        write_tie_out(desk, out, found, is_tied=is_tied(found))
    if is_shown(out):
        desk.show(found, lambda screen: _draw_tie_out(screen, found))
    return OK if is_tied(found) else CHANGES


def _draw_tie_out(screen: Screen, found: Mapping[str, Any]) -> None:
    columns = (
        "connection",
        "kind",
        "currency",
        "matched",
        "by_hand",
        "missing",
        "differs",
        "left",
        "outside",
        "unrouted",
        "amount",
        "matched_amount",
        "left_amount",
    )
    screen.table(columns, [[one[name] for name in columns] for one in found["sums"]])
    names = ("connection", "kind", "id", "number", "amount", "currency", "outcome")
    odd = [[one[name] for name in names] for one in found["differences"]]
    screen.table(names, odd, title="not equal", whole="id")
    left = [[one[name] for name in LEFT] for one in found["left"]]
    if left:
        screen.table(LEFT, left, title="let go of by a person", whole="id")
    untaken = found["untaken"]
    draw_waiting(screen, untaken)
    outside = [[one[name] for name in UNTAKEN] for one in found["outside"]]
    if outside:
        screen.table(UNTAKEN, outside[:OUTSIDE_SHOWN], title="outside, with their customers", whole="remote_id")
        screen.line(f"{len(outside)} of customers that are kept out of the registry: in no sum above; --json names all")
    names = ("connection", "number", "id", "settled", "known", "currency", "cure")
    loose = [[one[name] for name in names] for one in found["unaccounted"]]
    screen.table(names, loose, title="settled, but not by what is known", whole="id")
    _draw_grounds(screen, found["connections"])
    if not found["is_over"]:
        screen.line(f"{found['period']} is not over: more may come, so close it again then", "yellow")
    counts = f"{len(odd)} not equal, {len(left)} left, {len(untaken)} not taken, {len(loose)} not accounted for"
    screen.line(f"{found['period']}: {counts}; digest {found['digest']}")
