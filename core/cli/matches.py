"""`accord match export` and `import`: questions of who is who, answered in a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.cli.answering import next_step
from core.cli.command import add, new_group
from core.cli.desk import FAILED, OK, Desk, known_row
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.csv_files import Table
    from core.cli.screen import Screen
    from core.store.database import Tx
    from core.sync.questions import Choice, Party, Question

NEEDED: Final = ("hold", "candidate", "choice", "digest")
COLUMNS: Final = (
    "hold", "connection", "question",
    "about", "about_id", "about_name", "about_email", "about_external_id",
    "candidate", "candidate_is", "candidate_id", "candidate_name", "candidate_email", "candidate_external_id",
    "candidate_has", "choices", "choice", "digest",
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Decide who is who, many questions at once, in a spreadsheet.")
    add(group, "export", export)
    add(group, "import", import_)
    app.add_typer(group, name="match")


def export(
    desk: Desk,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[CONNECTION] FILE", help="Questions of one connection, or of all. `-` is stdout."),
    ],
) -> None:
    """Write every open question about who is who to a CSV file.

    The file has one line per candidate. Fill in `choice` on one line of each hold: link (to this candidate), create (it
    is a customer of its own), leave (leave it alone), or link:<id> (to somebody else).
    """
    from core.cli.csv_files import STDOUT, writing
    from core.sync.questions import questions

    if len(words) > 2:
        raise typer.BadParameter("give a CONNECTION, or none, and a FILE")
    connection, file = (words[0] if len(words) == 2 else None), words[-1]

    def look(tx: Tx) -> list[Question]:
        from core.store import connections

        names = [one.name for one in connections.every(tx)]
        known_row(names, connection)
        if connection is None and file in names:
            cure = f"`accord match export {file} FILE`, or ./{file} for a file of that name"
            raise InvalidInputError(f"no file is named, only the connection {file!r}", field="file", cure=cure)
        return questions(tx, connection)

    with desk.root.open_hub() as hub:
        found = hub.db.read_now(look)
    rows = [row for one in found for row in _rows(one)]
    with writing(desk, file) as writer:
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    if file != STDOUT:
        told = {"file": file, "holds": len(found), "rows": len(rows)}
        desk.show(told, lambda screen: screen.line(f"{file}: {len(found)} questions on {len(rows)} lines"))


def _rows(one: Question) -> list[list[str]]:
    from core.model.sheet import defused

    hold = one.hold
    linked = "link, " if one.candidates and one.is_linkable else ""
    target = "external_customer_id" if not one.about.is_customer else "remote id"
    choices = f"{linked}create, leave, link:<{target}>"
    head = [hold.id, hold.connection, _question(one), *_party(one.about)]
    numbered: list[list[str]] = [
        [str(number), *_party(candidate), candidate.remote_id] for number, candidate in enumerate(one.candidates, 1)
    ]
    rows = [[*head, *cells, choices, "", hold.digest] for cells in numbered or [[""] * 7]]
    return [[defused(cell) for cell in row] for row in rows]


def _party(one: Party) -> list[str]:
    return ["customer" if one.is_customer else "object", one.id, one.name, one.email, one.external_id]


def _question(one: Question) -> str:
    asked = "to be created here: is it one of these?" if one.about.is_customer else "who is it?"
    return f"{asked} {one.hold.detail.get('problem', '')}".strip()


def import_(
    desk: Desk,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file from `accord match export`, with choices filled in.")
    ],
    *,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip bad lines and give the other answers.")] = False,
) -> int:
    """Answer questions about who is who from a CSV file.

    Questions without a choice stay open. An answer applies only to the candidates that were exported. If any line is
    bad, nothing is answered, unless you give --skip-bad. Importing the same file again does no harm.
    """
    from core.cli.asking import actor
    from core.cli.csv_files import bad_line, read
    from core.model.sheet import check_columns
    from core.sync.answers import answer
    from core.sync.bulk import carry_out
    from core.sync.questions import check

    table = read(file, "hold")
    check_columns(table.columns, COLUMNS, needed=NEEDED)
    said = _said(table)
    bad = [bad_line(number, {"hold": ""}, error) for number, error in table.malformed]
    with desk.root.open_hub() as hub:
        found, refused = hub.db.read_now(lambda tx: check(tx, said))
        bad += [bad_line(one.item.line, {"hold": one.item.hold}, one.error) for one in refused]
        due = [one for one in found if not one.is_given]
        who = actor()
        desk.if_ended = "import the file again for the rest: answers that were given stay"
        done, late = carry_out(
            hub.db,
            due if skip_bad or not bad else [],
            lambda tx, one: answer(tx, hub, one.said.hold, one.choice, actor=who, digest=one.said.digest),
            goes_on=skip_bad,
        )
        bad += [bad_line(one.item.said.line, {"hold": one.item.said.hold}, one.error) for one in late]
    told: dict[str, Any] = {
        "answered": len(done),
        "answered_before": len(found) - len(due),
        "not_answered": len(due) - len(done),
        "without_choice": len({line.cells["hold"] for line in table.lines} - {one.hold for one in said}),
        "bad": sorted(bad, key=lambda one: one["line"]),
    }
    desk.show(told, lambda screen: _draw(screen, told, next_step(desk, "")))
    return FAILED if bad else OK


def _said(table: Table) -> list[Choice]:
    from core.model.sheet import plain
    from core.sync.questions import Choice

    return [
        Choice(
            line=number,
            hold=cells["hold"].strip(),
            digest=cells["digest"].strip(),
            candidate=cells["candidate"].strip(),
            choice=plain(cells["choice"].strip()),
        )
        for number, cells in table.lines
        if cells["choice"].strip()
    ]


def _draw(screen: Screen, told: dict[str, Any], go_on: str) -> None:
    from core.cli.csv_files import draw_bad

    draw_bad(screen, told["bad"], "hold")
    words = [f"{told['answered']} answered"]
    if told["answered_before"]:
        words.append(f"{told['answered_before']} were answered so before")
    words.append(f"{told['without_choice']} without a choice stay open")
    if told["bad"]:
        words.append(f"{len(told['bad'])} problems")
    screen.line(", ".join(words) + (f"; {go_on}" if told["answered"] else ""))
    if told["not_answered"]:
        screen.line(f"{told['not_answered']} good answers were not given; correct the file and import it again")
