"""`accord undo`: values put back, of one change or of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.cli.desk import CHANGES, FAILED, OK, Desk
from core.errors import AccordError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.model.values import Value
    from core.sync.undo import Back, Kept

LARGEST_ID: Final = 2**63 - 1
TRACE_DIGITS: Final = 26
"""A number of fewer digits is a change; the ids of runs are longer."""

Field = Annotated[str | None, typer.Option("--field", metavar="FIELD", help="Only this field.")]


def undo(
    desk: Desk,
    what: Annotated[
        str, typer.Argument(metavar="RUN|CHANGE", help="A change number from `accord explain`, or the trace of a run.")
    ],
    field: Field = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be put back; write nothing.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also put back fields that have changed since, here or elsewhere.")
    ] = False,
) -> int:
    """Put back what one change, or a whole run, replaced.

    The values flow to every system, like an edit by hand. The systems are read first. If a field has changed since,
    here or in a system, undoing a change is refused; undoing a run skips that value, lists it and exits 1. --anyway
    puts such values back too.
    """
    if what.isascii() and what.isdecimal() and len(what) < TRACE_DIGITS:
        number = int(what)
        if not 1 <= number <= LARGEST_ID:
            raise typer.BadParameter(f"{what} is not in the range 1<=x<={LARGEST_ID}")
        return _change(desk, number, field, is_dry=dry_run, anyway=anyway)
    return _run(desk, what, field, is_dry=dry_run, anyway=anyway)


def _change(desk: Desk, change: int, field: str | None, *, is_dry: bool, anyway: bool) -> int:
    from core.cli.asking import actor, on_a_loop
    from core.sync.undo import look_first
    from core.sync.undo import undo as put_back

    with desk.root.open_hub() as hub:
        owner, back = on_a_loop(hub, lambda: look_first(hub, change, field, anyway=anyway))
        found: dict[str, Any] = {"external_customer_id": owner.external_id, "fields": back}
        if not is_dry:
            found = hub.db.run_now(lambda tx: put_back(tx, hub, change, field=field, actor=actor(), anyway=anyway))
    title = f"change {change} would be undone" if is_dry else f"change {change} undone"
    desk.show(found, lambda screen: _draw_change(screen, found, title))
    return CHANGES if is_dry else OK


def _draw_change(screen: Screen, found: Mapping[str, Any], title: str) -> None:
    from core.cli.screen import spoken

    fields = {name: spoken(value) for name, value in found["fields"].items()}
    screen.facts({"customer": found["external_customer_id"], **fields}, title=title)


def _run(desk: Desk, trace: str, field: str | None, *, is_dry: bool, anyway: bool) -> int:
    from core.cli.asking import actor, on_a_loop
    from core.sync.bulk import carry_out
    from core.sync.undo import look_first_of_run, put_back

    with desk.root.open_hub() as hub:
        backs, kept = on_a_loop(hub, lambda: look_first_of_run(hub, trace, field, anyway=anyway))
        left = [_kept(one) for one in kept]
        who = actor()
        if not is_dry:
            desk.if_ended = f"`accord undo {trace}` again puts back the rest"
            backs, late = carry_out(
                hub.db, backs, lambda tx, one: put_back(tx, hub, one, trace=trace, actor=who), goes_on=True
            )
            left += [_late(one.item, one.error) for one in late]
    found = {"run": trace, "undone": [_undone(one) for one in backs], "kept": left}
    desk.show(found, lambda screen: _draw_run(screen, found, is_dry=is_dry))
    return CHANGES if is_dry and backs else FAILED if left else OK


def _undone(one: Back) -> dict[str, Any]:
    fields: dict[str, dict[str, Value]] = {name: {"old": now, "new": back} for name, (now, back) in one.fields.items()}
    return {"external_customer_id": one.external_id, "fields": fields}


def _kept(one: Kept) -> dict[str, Any]:
    return {
        "external_customer_id": one.external_id, "change": one.change, "field": one.field, "reason": one.reason,
    }  # fmt: skip


def _late(one: Back, error: AccordError) -> dict[str, Any]:
    return {"external_customer_id": one.external_id, "change": None, "field": "", "reason": str(error)}


def _draw_run(screen: Screen, found: dict[str, Any], *, is_dry: bool) -> None:
    from core.cli.screen import spoken

    rows = [
        (one["external_customer_id"], name, spoken(two["old"]), spoken(two["new"]))
        for one in found["undone"]
        for name, two in one["fields"].items()
    ]
    screen.table(("customer", "field", "now" if is_dry else "was", "then" if is_dry else "is"), rows)
    names = ("external_customer_id", "change", "field", "reason")
    left = [[one[name] for name in names] for one in found["kept"]]
    screen.table(("customer", *names[1:]), left, title="not undone")
    would = "would be put back" if is_dry else "put back"
    screen.line(f"{len(rows)} values {would}, {len(left)} not" if rows or left else "nothing is left to undo")
