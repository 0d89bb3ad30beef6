"""`accord customers export` and `import`: all customers as one CSV file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.cli.desk import CHANGES, FAILED, OK, Desk
from core.errors import AccordError, InvalidInputError

if TYPE_CHECKING:
    from core.cli.csv_files import Table
    from core.cli.screen import Screen
    from core.store.customers import Customer
    from core.store.database import Tx
    from core.sync.importing import Row, Step

PAGE: Final = 500
SHOWN: Final = 50


def export(
    desk: Desk, file: Annotated[str, typer.Argument(metavar="[FILE]", help="A CSV file; `-` is stdout.")] = "-"
) -> None:
    """Write every customer to a CSV file.

    One column per field, part of an address and key of metadata. Cells that a spreadsheet would run as a formula
    begin with an apostrophe; the import takes it off again.
    """
    from core.cli.csv_files import STDOUT, writing

    with desk.root.open_hub() as hub, writing(desk, file) as writer:
        number = hub.db.read_now(lambda tx: _write(tx, writer))
    if file != STDOUT:
        desk.show({"file": file, "customers": number}, lambda screen: screen.line(f"{file}: {number} customers"))


def _write(tx: Tx, writer: Any) -> int:  # noqa: ANN401 - csv's writer
    """Twice through all of them on one snapshot: which columns metadata needs is known after the first time only."""
    from core.model.sheet import COLUMNS, KEY, VERSION, defused, metadata_columns, text_of

    metadata = sorted({name for page in _pages(tx) for name in metadata_columns(one.fields for one in page)})
    fields = [*COLUMNS[2:], *metadata]
    writer.writerow([KEY, VERSION, *fields])
    number = 0
    for page in _pages(tx):
        for one in page:
            writer.writerow(
                [defused(one.external_id), one.version, *(defused(text_of(one.fields, name)) for name in fields)]
            )
        number += len(page)
    return number


def _pages(tx: Tx) -> Iterator[list[Customer]]:
    from core.store import customers

    after = ""
    while page := customers.listing(tx, after=after, limit=PAGE):
        yield page
        after = page[-1].external_id


def import_(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file in the format of `accord customers export`.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file and show what would change; write nothing.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip bad rows and import the others.")] = False,
) -> int:
    """Create and update customers from a CSV file.

    The column external_customer_id names the customer; all other columns are optional. An empty cell leaves the value
    alone, the cell (blank) clears it. A row with an outdated version is refused. If any row is bad, nothing is written,
    unless you give --skip-bad.
    """
    from core.cli.asking import actor
    from core.cli.csv_files import read
    from core.model.sheet import KEY, check_columns
    from core.sync.bulk import carry_out
    from core.sync.importing import apply, check

    table = read(file, KEY)
    check_columns(table.columns)
    rows, bad = _rows(table)
    done: list[Step] = []
    with desk.root.open_hub() as hub:
        steps, refused = hub.db.read_now(lambda tx: check(tx, rows))
        bad += [_told(one.item, one.error) for one in refused]
        due = [one for one in steps if one.kind != "same"]
        who, trace = actor(), hub.ids.new()
        if not dry_run and (skip_bad or not bad):
            desk.if_ended = f"import the file again for the rest; `accord undo {trace}` puts back what is in by now"
            done, late = carry_out(
                hub.db, due, lambda tx, one: apply(tx, hub, one, actor=who, trace=trace), goes_on=skip_bad
            )
            bad += [_told(one.item.row, one.error) for one in late]
    changed = due if dry_run else done
    found: dict[str, Any] = {
        "created": sum(one.kind == "create" for one in changed),
        "updated": sum(one.kind == "update" for one in changed),
        "unchanged": len(steps) - len(due),
        "not_written": 0 if dry_run else len(due) - len(done),
        "run": trace if done else None,
        "bad": sorted(bad, key=lambda one: one["line"]),
    }
    if dry_run:
        found["rows"] = [_shown(one) for one in due]
    desk.show(found, lambda screen: _draw(screen, found, is_dry=dry_run))
    return FAILED if bad else CHANGES if dry_run and due else OK


def _rows(table: Table) -> tuple[list[Row], list[dict[str, Any]]]:
    from core.cli.csv_files import bad_line, shortened
    from core.model.sheet import KEY, VERSION, plain
    from core.sync.importing import Row

    rows, bad = [], [bad_line(number, {KEY: ""}, error) for number, error in table.malformed]
    for number, cells in table.lines:
        external_id, version = plain(cells.pop(KEY)), cells.pop(VERSION, "").strip()
        if version and not (version.isascii() and version.isdecimal() and len(version) < 10):
            limit, cure = "a whole number of at most 9 digits", "export it again; empty, it is not compared"
            error = InvalidInputError(f"{shortened(version)!r} is no version", field=VERSION, limit=limit, cure=cure)
            bad.append(bad_line(number, {KEY: external_id}, error))
        else:
            rows.append(
                Row(line=number, external_id=external_id, version=int(version) if version else None, cells=cells)
            )
    return rows, bad


def _told(row: Row, error: AccordError) -> dict[str, Any]:
    from core.cli.csv_files import bad_line
    from core.model.sheet import KEY

    return bad_line(row.line, {KEY: row.external_id}, error)


def _shown(step: Step) -> dict[str, Any]:
    return {
        "line": step.row.line,
        "external_customer_id": step.row.external_id,
        "kind": step.kind,
        "changes": {name: {"old": old, "new": new} for name, (old, new) in step.changes.items()},
    }


def _draw(screen: Screen, found: dict[str, Any], *, is_dry: bool) -> None:
    from core.cli.csv_files import draw_bad
    from core.cli.screen import spoken

    rows = [
        (one["line"], one["external_customer_id"], one["kind"], name, spoken(two["old"]), spoken(two["new"]))
        for one in found.get("rows", [])[:SHOWN]
        for name, two in (one["changes"] or {"": {"old": "", "new": ""}}).items()
    ]
    screen.table(("line", "external_customer_id", "what", "field", "now", "then"), rows)
    more = len(found.get("rows", [])) - SHOWN
    if more > 0:
        screen.line(f"  and {more} more: see --json")
    draw_bad(screen, found["bad"], "external_customer_id")
    would = "would be " if is_dry else ""
    counts = f"{found['created']} {would}created, {found['updated']} {would}updated, {found['unchanged']} as they are"
    screen.line(f"{counts}, {len(found['bad'])} problems" if found["bad"] else counts)
    if found["not_written"]:
        screen.line(f"{found['not_written']} good rows were not written; correct the file and import it again")
    if found["run"]:
        screen.line(_way_back(found))


def _way_back(found: dict[str, Any]) -> str:
    """How to take an import back: an undo restores values, and archives nobody who was created."""
    undo = f"`accord undo {found['run']}` puts"
    if not found["created"]:
        return f"{undo} all of it back"
    archive = "who was created stays, until `accord customers archive ID`"
    return f"{undo} what was updated back; {archive}" if found["updated"] else f"its run is {found['run']}; {archive}"
