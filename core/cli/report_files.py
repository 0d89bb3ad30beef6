"""Reports and the journal as CSV files: every row says what it is; a report's last one names its digest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from core.cli.csv_files import STDOUT, writing
from core.model.sheet import defused

if TYPE_CHECKING:
    from core.cli.desk import Desk

_AGES: Final = ("not_yet", "to_30", "to_60", "to_90", "more")
AGEING: Final = (
    "what", "currency", "customer", "name", "number", "id", "origin", "due_on", "days_overdue", *_AGES, "total", "day",
    "digest",
)  # fmt: skip
JOURNAL: Final = (
    "change", "at", "what", "action", "actor", "kind", "external_customer_id", "record_id", "connection", "remote_id",
    "field", "old", "new", "rule", "trace",
)  # fmt: skip
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
    """A row for each currency, each customer and each invoice that is shown, then the day and the digest."""
    rows = [{"what": "due", **_aged(one)} for one in found["ageing"]]
    rows += [{"what": "customer", **_aged(one)} for one in found["customers"]]
    for one in found.get("invoices", ()):
        told = {name: value for name, value in one.items() if name in AGEING}
        rows.append({"what": "invoice", **told, one["bucket"]: one["due"], "total": one["due"]})
    rows.append({"what": "ageing", "day": found["day"], "digest": found["digest"]})
    _write(desk, file, AGEING, rows)


def _aged(one: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in one.items() if name != "buckets"}
    return {**rest, **dict(zip(_AGES, one["buckets"], strict=True))}


def write_journal(stream: Any, entries: Iterable[Mapping[str, Any]]) -> int:  # noqa: ANN401 - csv's writer
    """A row for each field that changed and each value that was lost, one for what is about no field."""
    stream.writerow(JOURNAL)
    number = 0
    for one in entries:
        number += 1
        told = {name: one[name] for name in JOURNAL if name in one}
        changed = [{"what": "change", "field": name, **values} for name, values in one["changes"].items()]
        lost = [{"what": "lost", "field": it["field"], "old": it["value"], "rule": it["rule"]} for it in one["lost"]]
        for row in [*changed, *lost] or [{"what": "entry"}]:
            cells = {**told, **row}
            stream.writerow([_cell(cells.get(name, "")) for name in JOURNAL])
    return number


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
