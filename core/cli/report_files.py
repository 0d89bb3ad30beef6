"""A tie-out and an ageing report as CSV files: every row says what it is, and the last one names the digest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from core.cli.csv_files import STDOUT, writing
from core.model.sheet import defused

if TYPE_CHECKING:
    from core.cli.desk import Desk

AGEING: Final = ("what", "currency", "not_yet", "to_30", "to_60", "to_90", "more", "total", "day", "digest")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


def write_tie_out(desk: Desk, file: str, found: Mapping[str, Any], *, is_tied: bool) -> None:
    """All of it: the lists one after the other, each with its name, then how it came out."""
    from core.sync.documents.tie_out import COLUMNS

    lists = [(name, value) for name, value in found.items() if isinstance(value, list)]
    last = {name: found[name] for name in ("period", "is_over", "digest")}
    rows = [{"what": name, **row} for name, value in lists for row in value]
    rows.append({"what": "close", **last, "is_tied": is_tied})
    _write(desk, file, ("what", *COLUMNS, "period", "is_over", "is_tied", "digest"), rows)


def write_ageing(desk: Desk, file: str, found: Mapping[str, Any]) -> None:
    """A row for each currency, then the day and the digest."""
    rows: list[dict[str, Any]] = [
        dict(zip(AGEING, ("due", one["currency"], *one["buckets"], one["total"]), strict=False))
        for one in found["ageing"]
    ]
    rows.append({"what": "ageing", "day": found["day"], "digest": found["digest"]})
    _write(desk, file, AGEING, rows)


def is_shown(file: str) -> bool:
    """Whether the screen is free for the report itself."""
    return file != STDOUT


def _write(desk: Desk, file: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with writing(desk, file) as writer:
        writer.writerow(columns)
        for row in rows:
            if not row.keys() <= set(columns):
                raise KeyError(f"no column for {sorted(row.keys() - set(columns))}")
            writer.writerow([_cell(row.get(name, "")) for name in columns])


def _cell(value: object) -> object:
    """Amounts stay numbers; whatever a provider wrote is a text, and never a formula."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return defused("; ".join(str(one) for one in value))
    text = "" if value is None else str(value)
    return text if _NUMBER.fullmatch(text) else defused(text)
