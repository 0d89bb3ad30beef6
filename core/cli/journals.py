"""`accord journal`: who did what, when and where, for whoever has to prove it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.store.database import Tx


class Format(StrEnum):
    """How entries are written."""

    jsonl = "jsonl"
    csv = "csv"


File = Annotated[str, typer.Argument(metavar="[FILE]", help="File to write; `-` is stdout.")]
Written = Annotated[Format | None, typer.Option("--format", help="Default: csv if FILE ends in .csv, otherwise jsonl.")]
Since = Annotated[str | None, typer.Option(metavar="DAY|TIME", help="From this day (UTC) or time on.")]
Until = Annotated[str | None, typer.Option(metavar="DAY|TIME", help="Up to this day (UTC, all of it) or time.")]
Who = Annotated[str | None, typer.Option(metavar="NAME", help="Only changes made by this: cli:NAME, api:NAME, ...")]
Connection = Annotated[str | None, typer.Option(metavar="NAME", help="Only changes at this connection.")]
Customer = Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's (external_customer_id).")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("What was changed, by whom, and what was replaced.")
    group.callback()(lambda: None)  # else a group of one command would be that command
    add(group, "export", export)
    app.add_typer(group, name="journal")


def export(
    desk: Desk,
    file: File = "-",
    written: Written = None,
    since: Since = None,
    until: Until = None,
    actor: Who = None,
    connection: Connection = None,
    customer: Customer = None,
) -> None:
    """Write the journal, oldest entry first, as JSON lines or CSV.

    A CSV file has one row per changed field. Cells that a spreadsheet would run as a formula begin with an apostrophe.
    """
    from core.cli.csv_files import STDOUT
    from core.sync.auditing import every, filter_of

    is_csv = written is Format.csv if written else file.lower().endswith(".csv")

    def work(tx: Tx) -> int:
        wanted = filter_of(
            tx, since=since, until=until, actor=actor, connection=connection, customer=customer
        )  # fmt: skip
        return _write(desk, file, every(tx, wanted), is_csv=is_csv)

    with desk.root.open_hub() as hub:
        number = hub.db.read_now(work)
    if file != STDOUT:
        desk.show({"file": file, "entries": number}, lambda screen: screen.line(f"{file}: {number} entries"))


def _write(desk: Desk, file: str, entries: Iterable[Mapping[str, Any]], *, is_csv: bool) -> int:
    from core.cli.csv_files import writing
    from core.cli.report_files import write_journal

    if is_csv:
        with writing(desk, file) as writer:
            return write_journal(writer, entries)
    number = 0
    with _lines(desk, file) as stream:
        for one in entries:
            stream.write(json.dumps(one, ensure_ascii=False) + "\n")
            number += 1
    return number


@contextmanager
def _lines(desk: Desk, file: str) -> Iterator[TextIO]:
    from core.cli.csv_files import STDOUT
    from core.cli.drafts import drafted

    if file == STDOUT:
        if desk.as_json:
            raise InvalidInputError("goes to stdout, and so does --json", field="file", cure="name a file")
        with desk.raw_output() as stream:
            yield stream
        return
    with drafted(desk, Path(file), "file") as place, place.open("w", encoding="utf-8", newline="") as stream:
        yield stream
