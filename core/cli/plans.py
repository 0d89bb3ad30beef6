"""`accord plan`, `activate`, `apply`: what would change, field by field; then that, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.command import add
from core.cli.desk import CHANGES, FAILED, HELD, OK, Desk, told_of
from core.cli.drafts import drafted
from core.errors import AccordError, InvalidInputError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.sync.documents.planning import Scope
    from core.sync.documents.tally import DocumentPlan, Outcome
    from core.sync.hub import Hub
    from core.sync.plan import Plan
    from core.sync.plan_items import Item

OUTCOMES: tuple[Outcome, ...] = ("take", "create", "change", "look", "wait", "hold", "fail")
"""Of documents, in the order in which they are told."""
FORMAT = 1
"""Of a plan file; another one is refused."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    add(app, "plan", plan)
    add(app, "activate", activate)
    add(app, "apply", apply)


def plan(
    desk: Desk,
    connections: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Connections to plan for; without any, all of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the plans to this file, for `accord apply`.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most this many records per connection.")] = 50,
) -> int:
    """Show what would change, field by field.

    Plans from what was last seen at each connection and writes nothing. For documents it shows how many and how much,
    and reads copies that are not known to be equal. Exits 2 when there are changes, 3 when there are only holds.
    """
    from core.cli.asking import on_a_loop

    with desk.root.open_hub() as hub:
        names = desk.known(hub, connections or [])
        plans, problems = on_a_loop(hub, lambda: planned(hub, names))
        if connections and problems:
            raise problems[0]
    if out is not None:
        write_plans(desk, out, plans)
    show_plans(desk, plans, problems, limit)
    return verdict_of(plans) or (FAILED if problems else OK)


async def planned(
    hub: Hub, names: Sequence[str], scope: Scope | None = None
) -> tuple[list[Plan], list[InvalidInputError]]:
    """Plans of today, and why there is none for some connections (they were not listed completely yet).

    `scope`: of documents; None: of all of them.
    """
    from core.sync.documents.planning import EVERYTHING
    from core.sync.plan import plan as decide

    plans: list[Plan] = []
    problems: list[InvalidInputError] = []
    for name in names:
        try:
            plans.append(await decide(hub, hub.connection(name), scope or EVERYTHING))
        except InvalidInputError as problem:
            problems.append(problem)
    return plans, problems


def verdict_of(plans: Sequence[Plan]) -> int:
    """The exit code of a dry run."""
    kinds: set[str] = {kind for one in plans for kind in one.counts if kind != "wait"}
    kinds |= {some.outcome for one in plans if one.documents for some in one.documents.sums}
    if kinds - {"hold"}:
        return CHANGES
    return HELD if kinds else OK


def show_plans(desk: Desk, plans: Sequence[Plan], problems: Sequence[AccordError], limit: int) -> None:
    """Print plans, and why there are no others; JSON has every item, a table `limit` of them."""

    def draw(screen: Screen) -> None:
        for one in plans:
            _draw(screen, one, limit)

    desk.show({"accord_plan": FORMAT, "plans": plans, "problems": [told_of(one) for one in problems]}, draw)
    for problem in problems:
        desk.note(f"accord: {problem}")


def _draw(screen: Screen, one: Plan, limit: int) -> None:
    screen.line(f"{one.connection} ({one.account}): {_in_numbers(one)}", "bold")
    digest = f"; digest {one.digest}" if one.digest else ""
    screen.line(f"  {one.calls} write calls for customers, about {one.seconds:g} s{digest}")
    for mark, times in sorted(one.foreign_marks.items()):
        screen.line(f"  another program marks {times} objects there: {mark}", "yellow")
    draw_items(screen, one.items[:limit])
    if len(one.items) > limit:
        screen.line(f"  and {len(one.items) - limit} more: see --limit, --out or --json")
    if one.documents is not None:
        _draw_documents(screen, one.documents, limit)


def draw_items(screen: Screen, items: Sequence[Item]) -> None:
    """What would happen to each record, field by field."""
    rows = [row for item in items for row in _rows(item)]
    screen.table(("what", "customer", "object", "field", "where", "now", "then", "why"), rows)


def _in_numbers(one: Plan) -> str:
    """Customers by what would be done, then documents by what would become of them."""
    customers = [f"{times} {kind}" for kind, times in sorted(one.counts.items())]
    found = one.documents
    documents = [f"{times} {outcome}" for outcome in OUTCOMES if found and (times := found.number(outcome))]
    told = [", ".join(customers), "documents: " + ", ".join(documents) if documents else ""]
    return "; ".join(filter(None, told)) or "nothing to do"


def _draw_documents(screen: Screen, found: DocumentPlan, limit: int) -> None:
    if not found.sums:
        return
    screen.line(f"  documents, copied where issued since {found.since}" if found.since else "  documents")
    if found.asks_first:
        screen.line(f"  too much at once, a person is asked before any of it is done: {found.asks_first}", "yellow")
    if found.not_read:
        screen.line(f"  not all copies could be read: {found.not_read}", "yellow")
    sums = [(one.outcome, one.kind, one.number, one.amount, one.currency, one.reason) for one in found.sums]
    screen.table(("what", "documents", "number", "amount", "currency", "why"), sums)
    some = [
        (one.outcome, one.kind, one.number, one.origin, one.amount, one.currency, one.says or one.reason)
        for one in found.examples[:limit]
    ]
    screen.table(("for example", "document", "number", "from", "amount", "currency", "why"), some)


def _rows(item: Item) -> list[list[object]]:
    from core.cli.screen import spoken

    head: list[object] = [item.kind, item.external_id, item.remote_id]
    if not item.changes:
        return [[*head, "", "", "", "", item.reason]]
    # the same words on every row would hide what differs
    return [
        [*(["", "", ""] if number else head), one.field, one.where, spoken(one.old), spoken(one.new), one.rule]
        for number, one in enumerate(item.changes)
    ]


def write_plans(desk: Desk, file: Path, plans: Sequence[Plan]) -> None:
    """Write a plan file, whole or not at all."""
    import msgspec

    with drafted(desk, file, "out") as place:
        place.write_bytes(msgspec.json.format(msgspec.json.encode({"accord_plan": FORMAT, "plans": plans})))


def activate(
    desk: Desk,
    connection: Annotated[str, typer.Argument(metavar="NAME")],
    digest: Annotated[str, typer.Option("--plan", metavar="DIGEST", help="Digest of the plan you have seen.")],
) -> None:
    """Allow Accord to write to a connection.

    The connection leaves `observing` if its plan is still the one you name.
    """
    from core.cli.asking import actor, on_a_loop
    from core.sync.activation import activate as leave_observing

    with desk.root.open_hub() as hub:
        one = hub.connection(connection)
        done = on_a_loop(hub, lambda: leave_observing(hub, one, digest, actor=actor()))
    copied = done.documents.number("create") if done.documents else 0
    found = {
        "connection": connection, "state": "active", "digest": done.digest, "counts": done.counts, "copies": copied
    }  # fmt: skip
    carrier = "the daemon" if desk.root.is_daemon_running() else "`accord sync` or `accord run`"
    desk.show(found, lambda screen: screen.line(f"{connection} is active; {carrier} carries the plan out"))


def apply(
    desk: Desk,
    plans: Annotated[list[str], typer.Argument(metavar="PLAN...", help="Plan files, or digests of today's plans.")],
    patience: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Longest wait for retries.")] = 300,
) -> int:
    """Carry out exactly what a plan says.

    Works at active connections only. If any plan is stale, all are refused. A record whose change turns out
    different when it is read again counts as `stale` and is left to the normal sync, which also passes values on to
    other connections.
    """
    from core.cli.applying import apply_plans

    return apply_plans(desk, plans, patience)
