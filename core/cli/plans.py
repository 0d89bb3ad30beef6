"""`accord plan`, `activate`, `apply`: what would change, field by field; then that, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.command import add
from core.cli.desk import CHANGES, FAILED, HELD, OK, Desk
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.sync.hub import Hub
    from core.sync.plan import Item, Plan

FORMAT = 1
"""Of a plan file; another one is refused."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    add(app, "plan", plan)
    add(app, "activate", activate)
    add(app, "apply", apply)


def plan(
    desk: Desk,
    connections: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="None: every one.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plan for `accord apply`.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Records shown for each connection.")] = 50,
) -> int:
    """Show what would change, field by field.

    From what was last seen at each connection; writes nothing. Exits 2 when there are changes, 3 when there
    are only holds.
    """
    from core.cli.asking import on_a_loop

    with desk.root.open_hub() as hub:
        names = desk.known(hub, connections or [])
        plans, problems = on_a_loop(hub, lambda: planned(hub, names))
        if connections and problems:
            raise problems[0]
    if out is not None:
        write_plans(out, plans)
    show_plans(desk, plans, limit)
    for problem in problems:
        desk.note(f"accord: {problem}")
    return verdict_of(plans) or (FAILED if problems else OK)


async def planned(hub: Hub, names: Sequence[str]) -> tuple[list[Plan], list[InvalidInputError]]:
    """Plans of today, and why there is none for some connections (they were not listed completely yet)."""
    from core.sync.plan import plan as decide

    plans: list[Plan] = []
    problems: list[InvalidInputError] = []
    for name in names:
        try:
            plans.append(await decide(hub, hub.connection(name)))
        except InvalidInputError as problem:
            problems.append(problem)
    return plans, problems


def verdict_of(plans: Sequence[Plan]) -> int:
    """The exit code of a dry run."""
    kinds = {kind for one in plans for kind in one.counts}
    if kinds - {"hold"}:
        return CHANGES
    return HELD if kinds else OK


def show_plans(desk: Desk, plans: Sequence[Plan], limit: int) -> None:
    """Print plans; JSON has every item, a table `limit` of them."""

    def draw(screen: Screen) -> None:
        for one in plans:
            _draw(screen, one, limit)

    desk.show({"accord_plan": FORMAT, "plans": plans}, draw)


def _draw(screen: Screen, one: Plan, limit: int) -> None:
    counts = ", ".join(f"{times} {kind}" for kind, times in sorted(one.counts.items())) or "nothing to do"
    screen.line(f"{one.connection} ({one.account}): {counts}", "bold")
    digest = f"; digest {one.digest}" if one.digest else ""
    screen.line(f"  {one.calls} write calls, about {one.seconds:g} s{digest}")
    for mark, times in sorted(one.foreign_marks.items()):
        screen.line(f"  another program marks {times} objects there: {mark}", "yellow")
    rows = [row for item in one.items[:limit] for row in _rows(item)]
    screen.table(("what", "customer", "object", "field", "where", "now", "then", "why"), rows)
    if len(one.items) > limit:
        screen.line(f"  and {len(one.items) - limit} more: see --limit, --out or --json")


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


def write_plans(file: Path, plans: Sequence[Plan]) -> None:
    """Write a plan file, whole or not at all."""
    import msgspec

    draft = file.with_name(f".{file.name}.draft")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode({"accord_plan": FORMAT, "plans": plans})))
        draft.replace(file)
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be written: {error.strerror}", field="out") from error


def activate(
    desk: Desk,
    connection: Annotated[str, typer.Argument(metavar="NAME")],
    digest: Annotated[str, typer.Option("--plan", metavar="DIGEST", help="The plan that you have seen.")],
) -> None:
    """Let a connection be written to.

    It leaves observing if its plan is still the one you name.
    """
    from core.cli.asking import actor, on_a_loop
    from core.sync.activation import activate as leave_observing

    with desk.root.open_hub() as hub:
        one = hub.connection(connection)
        done = on_a_loop(hub, lambda: leave_observing(hub, one, digest, actor=actor()))
    found = {"connection": connection, "state": "active", "digest": done.digest, "counts": done.counts}
    carrier = "the daemon" if desk.root.is_daemon_running() else "`accord sync` or `accord run`"
    desk.show(found, lambda screen: screen.line(f"{connection} is active; {carrier} carries the plan out"))


def apply(
    desk: Desk,
    plans: Annotated[list[str], typer.Argument(metavar="PLAN...", help="Plan files, or digests of plans of today.")],
    patience: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Longest wait for retries.")] = 300,
) -> int:
    """Carry out exactly what a plan says.

    At active connections only. Refused as a whole if one of the plans is stale by now; a record whose change is
    another one by the time it is read again is left to its lane (stale). What came in is passed on to other
    connections by their own lanes.
    """
    from core.cli.applying import apply_plans

    return apply_plans(desk, plans, patience)
