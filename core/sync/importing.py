"""Customers from a spreadsheet: every row is checked before the first one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy.exc import IntegrityError

from core.errors import InvalidInputError, NotFoundError, VersionConflictError
from core.model import sheet
from core.model.validate import check_room, external_customer_id, problems, validated
from core.model.values import Fields, Value, blank
from core.store import customers
from core.store.customers import Customer
from core.store.database import Tx
from core.sync import registry
from core.sync.bulk import Refused
from core.sync.hub import Hub


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One customer as its line says. `cells` are as written, by column."""

    line: int
    external_id: str
    version: int | None
    cells: Mapping[str, str]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a row would do. `changes`: field -> (old, new); `after` are the customer's fields then."""

    row: Row
    kind: Literal["create", "update", "same"]
    changes: dict[str, tuple[Value, Value]]
    after: Fields


def check(tx: Tx, rows: Sequence[Row]) -> tuple[list[Step], list[Refused[Row]]]:
    """What may be done, parents before their children; and everything that is wrong with the rest."""
    known = customers.by_external_ids(tx, [one.external_id for one in rows])
    steps: list[Step] = []
    refused: list[Refused[Row]] = []
    first: dict[str, int] = {}
    for row in rows:
        earlier = first.setdefault(row.external_id, row.line)
        wrong = [_twice(earlier)] if earlier != row.line else []
        step = None
        try:
            step, found = _step(row, known.get(row.external_id))
            wrong += found
        except InvalidInputError as error:
            wrong.append(error)
        refused += [Refused(row, one) for one in wrong]
        if step and not wrong:
            steps.append(step)
    steps, orphans = _in_order(tx, steps, known)
    return steps, sorted([*refused, *orphans], key=lambda one: one.item.line)


def _twice(line: int) -> InvalidInputError:
    return InvalidInputError(f"is on line {line} already", field=sheet.KEY, limit="once", cure="keep one of the two")


def _step(row: Row, current: Customer | None) -> tuple[Step | None, list[InvalidInputError]]:
    if current is None:
        _check_new(row)
    before: Fields = current.fields if current else {}
    wanted = sheet.changes(row.cells, before)
    wrong = problems(wanted)
    if wrong:
        return None, wrong
    values = validated(wanted)
    changes = {name: (before.get(name), value) for name, value in values.items() if before.get(name) != value}
    after = {name: value for name, value in {**before, **values}.items() if not blank(value)}
    check_room(before, after)
    if current is None:
        registry.check_any(after)
        return Step(row=row, kind="create", changes=changes, after=after), []
    if changes and row.version not in (None, current.version):
        problem = f"the customer is at version {current.version}, not {row.version}"
        raise VersionConflictError(problem, field=sheet.VERSION, cure="export it again and repeat the change")
    return Step(row=row, kind="update" if changes else "same", changes=changes, after=after), []


def _check_new(row: Row) -> None:
    external_customer_id(row.external_id)
    if row.version is not None:
        problem = f"there is no customer {row.external_id!r}, but the row has a version"
        cure = "see whether the spreadsheet rewrote the id; empty the version to create it"
        raise NotFoundError(problem, field=sheet.KEY, cure=cure)


def _in_order(tx: Tx, steps: Sequence[Step], known: Mapping[str, Customer]) -> tuple[list[Step], list[Refused[Row]]]:
    """Sorted by how many parents are above; whatever hangs on a refused row is refused, too."""
    there = _with_ancestors(tx, steps, known)
    refused: list[Refused[Row]] = []
    while True:
        after = {**there, **{one.row.external_id: one.after for one in steps}}
        depths: dict[int, int] = {}
        wrong: list[Refused[Row]] = []
        for one in steps:
            try:
                above = registry.ancestors(one.row.external_id, one.after.get("parent"), after.get)
                depths[one.row.line] = len(above)
            except InvalidInputError as error:
                depths[one.row.line] = 0
                if "parent" in one.changes:
                    wrong.append(Refused(one.row, error))
        if not wrong:
            return sorted(steps, key=lambda one: (depths[one.row.line], one.row.line)), refused
        refused += wrong
        lines = {one.item.line for one in wrong}
        steps = [one for one in steps if one.row.line not in lines]


def _with_ancestors(tx: Tx, steps: Sequence[Step], known: Mapping[str, Customer]) -> dict[str, Fields]:
    """The registry's fields of these customers, of the parents they get, and of everybody above."""
    found: dict[str, Fields] = {name: one.fields for name, one in known.items()}
    asked = set(found)
    wanted = {one.get("parent") for one in (*found.values(), *(step.after for step in steps))}
    while names := {one for one in wanted if isinstance(one, str)} - asked:
        asked |= names
        above = customers.by_external_ids(tx, names)
        found |= {name: one.fields for name, one in above.items()}
        wanted = {one.fields.get("parent") for one in above.values()}
    return found


def apply(tx: Tx, hub: Hub, step: Step, *, actor: str, trace: str) -> None:
    """Write one row as an edit by hand, on what the customer is by now."""
    row = step.row
    if step.kind == "create":
        try:
            registry.create(tx, hub, row.external_id, sheet.changes(row.cells, {}), actor=actor, trace=trace)
        except IntegrityError as error:
            problem, cure = f"{row.external_id!r} is taken", "import the file again: it is changed then"
            raise InvalidInputError(problem, field=sheet.KEY, limit="unique", cure=cure) from error
        return
    current = registry.get(tx, row.external_id)
    wanted = sheet.changes(row.cells, current.fields)
    registry.update(tx, hub, row.external_id, wanted, actor=actor, trace=trace, version=row.version)
