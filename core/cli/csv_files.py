"""CSV files as spreadsheets write and read them: RFC 4180, UTF-8; comma, semicolon or tab; with or without a BOM."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

from core.cli.drafts import drafted
from core.errors import AccordError, InvalidInputError
from core.model.values import METADATA_PREFIX

if TYPE_CHECKING:
    from core.cli.desk import Desk
    from core.cli.screen import Screen

STDOUT: Final = "-"
_DELIMITERS: Final = (",", ";", "\t")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK: Final = "\ufeff"
_CURE: Final = "save it as `CSV UTF-8`"
_SHOWN: Final = 100


class Line(NamedTuple):
    """One row: the line of the file where it begins, and its cells by column, as written."""

    number: int
    cells: dict[str, str]


class Table(NamedTuple):
    """A file that was read. `malformed`: rows with more or fewer cells than the header."""

    columns: list[str]
    lines: list[Line]
    malformed: list[tuple[int, InvalidInputError]]


def read(file: Path, key: str) -> Table:
    """Read all of it; `key` is a column that tells which sign separates cells. Raises InvalidInputError."""
    text = _text(file)
    rows = _rows(text, _delimiter(text, key))
    _, header = next(rows, (1, []))
    columns = [_column(one) for one in header]
    while columns and not columns[-1]:
        columns.pop()
    table = Table(columns, [], [])
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        beyond = [cell for cell in cells[len(columns) :] if cell]
        if len(cells) < len(columns) or beyond:
            problem = f"has {len(cells)} cells, the header has {len(columns)}"
            cure = "put cells that hold a separator into double quotes"
            table.malformed.append((number, InvalidInputError(problem, field="row", cure=cure)))
        else:
            table.lines.append(Line(number, dict(zip(columns, cells, strict=False))))
    return table


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        cure = "name a file that is there and may be read"
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}", field="file", cure=cure) from error
    except ValueError as error:
        raise InvalidInputError("is no name of a file", field="file", cure="name one that is there") from error
    if raw.startswith(_UTF_16):
        raise InvalidInputError(f"{file} is UTF-16", field="file", limit="UTF-8", cure=_CURE)
    try:
        # a program that adds a mark to a file that has one makes two
        text = raw.decode("utf-8").lstrip(_MARK)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = f"line {line} of {file} is not UTF-8 (byte 0x{raw[error.start]:02X})"
        raise InvalidInputError(problem, field="file", limit="UTF-8", cure=_CURE) from error
    if "\0" in text.partition("\n")[0]:
        problem = f"the first line of {file} has U+0000 in it, as UTF-16 does"
        raise InvalidInputError(problem, field="file", limit="UTF-8", cure=_CURE)
    return text


def _delimiter(text: str, key: str) -> str:
    for one in _DELIMITERS:
        try:
            _, header = next(_rows(text, one), (1, []))
        except InvalidInputError:
            continue  # quotes around another separator's cells
        if key in [_column(cell) for cell in header]:
            return one
    return _DELIMITERS[0]


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins on. A file whose quotes do not close is refused: nobody knows where a row ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            limit, cure = (
                f"{csv.field_size_limit()} letters",
                "shorten it, or see whether a quote before it is not closed",
            )
            raise InvalidInputError(
                f"a cell on line {number} is too long", field="file", limit=limit, cure=cure
            ) from error
        raise InvalidInputError(
            f"the row on line {number} is no CSV: {error}", field="file", cure="see the quotes there"
        ) from error


def _column(cell: str) -> str:
    # a key of metadata may have blanks of its own
    return cell.lstrip() if cell.lstrip().startswith(METADATA_PREFIX) else cell.strip()


@contextmanager
def writing(desk: Desk, file: str) -> Iterator[Any]:
    """A csv.writer on stdout or on a file: whole or not at all, with the BOM that spreadsheets look for."""
    if file == STDOUT:
        if desk.as_json:
            raise InvalidInputError("goes to stdout, and so does --json", field="file", cure="name a file")
        with desk.raw_output() as stream:
            yield _writer(stream)
        return
    with drafted(desk, Path(file), "file") as place, place.open("w", encoding="utf-8-sig", newline="") as stream:
        yield _writer(stream)


def _writer(stream: TextIO) -> Any:  # noqa: ANN401 - csv's writer has no public name
    return csv.writer(stream, lineterminator="\r\n")


def bad_line(number: int, of: Mapping[str, str], error: AccordError) -> dict[str, Any]:
    """One problem of a file, as every import tells it."""
    parts = {name: getattr(error, name, None) for name in ("field", "problem", "limit", "cure")}
    return {"line": number, **of, "code": error.code, **parts, "problem": parts["problem"] or str(error)}


def shortened(text: str) -> str:
    """As much of a cell as tells which it is."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def draw_bad(screen: Screen, bad: Sequence[Mapping[str, Any]], of: str) -> None:
    """Every problem of a file."""
    names = ("line", of, "field", "problem", "limit", "cure")
    # a cell that took a row's place may be the rest of the file: it would push all else out of sight
    rows = [[one["line"], shortened(one[of]), *(one[name] for name in names[2:])] for one in bad]
    screen.table(names, rows, title="bad rows")
