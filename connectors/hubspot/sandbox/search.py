"""POST .../search over the lagging index, with HubSpot's limits (PROVIDERS §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from connectors.hubspot.sandbox.answers import Refused, bad_request, iso
from connectors.hubspot.sandbox.store import Indexed, Table
from connectors.hubspot.sandbox.types import MODIFIED

MOST_RESULTS: Final = 10_000  # PROVIDERS §1, §3
MOST_PER_PAGE: Final = 200  # PROVIDERS §1
MOST_CHARACTERS: Final = 3_000  # PROVIDERS §1
Compare = Callable[[Any, Any], bool]
_COMPARED: Final[Mapping[str, Compare]] = {"EQ": eq, "NEQ": ne, "GT": gt, "GTE": ge, "LT": lt, "LTE": le}


def search(table: Table, body: Mapping[str, Any], size: int) -> tuple[int, list[Indexed], int | None]:
    """Total, one page, and the offset of the next."""
    if size > MOST_CHARACTERS:
        raise bad_request(f"the body has more than {MOST_CHARACTERS} characters")  # PROVIDERS §1: 3,000
    if body.get("query"):
        raise bad_request("this look-alike searches by filters only")
    limit, after = _number(body.get("limit", 10), "limit"), _number(body.get("after") or 0, "after")
    if not 0 < limit <= MOST_PER_PAGE:
        raise bad_request(f"limit must be at most {MOST_PER_PAGE}")  # PROVIDERS §1: 200
    if after + limit > MOST_RESULTS:  # PROVIDERS §1, §3: 10,000
        raise Refused(400, "VALIDATION_ERROR", "There was a problem with the request: paging beyond 10,000 results")
    matches = _matcher(table, body.get("filterGroups") or [])
    found = [one for one in table.index.values() if matches(one)]
    _sort(table, found, body.get("sorts") or [])
    following = after + limit
    return len(found), found[after:following], following if following < len(found) else None


def _matcher(table: Table, groups: list[dict[str, Any]]) -> Callable[[Indexed], bool]:
    filters = [group.get("filters") or [] for group in groups]
    if len(groups) > 5 or any(len(one) > 6 for one in filters) or sum(map(len, filters)) > 18:
        raise bad_request("at most 5 filterGroups, 6 filters in each, 18 altogether")  # PROVIDERS §1
    tests = [[_test(table, one) for one in group] for group in filters]
    return lambda one: not tests or any(all(test(one) for test in group) for group in tests)


def _test(table: Table, given: Mapping[str, Any]) -> Callable[[Indexed], bool]:
    name, operator = given.get("propertyName"), str(given.get("operator"))
    if name not in table.definitions:
        raise bad_request(f"There was a problem with the request: property {name} does not exist")  # PROVIDERS §3
    if operator not in _COMPARED:
        raise bad_request(f"There was a problem with the request: unknown operator {operator}")  # PROVIDERS §3
    compare, wanted = _COMPARED[operator], given.get("value")
    if not isinstance(wanted, str):  # PROVIDERS §5: all values are texts
        raise bad_request("There was a problem with the request: value must be a string")
    if name in (MODIFIED[table.type], "hs_object_id"):
        number = _number(wanted, name)
        return lambda one: compare(_numeric(one, name), number)
    return lambda one: bool(one.properties.get(name)) and compare(one.properties[name], wanted)


def _sort(table: Table, found: list[Indexed], sorts: list[dict[str, Any]]) -> None:
    if len(sorts) > 1:
        raise bad_request("only one sort is supported")  # PROVIDERS §1: one sort
    if not sorts:
        return
    name, is_descending = sorts[0].get("propertyName"), sorts[0].get("direction") == "DESCENDING"
    if name in (MODIFIED[table.type], "hs_object_id"):
        found.sort(key=lambda one: _numeric(one, str(name)), reverse=is_descending)
    else:
        found.sort(key=lambda one: one.properties.get(str(name), ""), reverse=is_descending)


def _numeric(one: Indexed, name: str) -> int:
    return int(one.id) if name == "hs_object_id" else one.modified


def _number(given: object, name: str) -> int:
    text = str(given)
    if not text.isdecimal():
        raise bad_request(f"There was a problem with the request: {name} must be a number")  # PROVIDERS §3: epoch ms
    return int(text)


def hit(table: Table, one: Indexed, asked: Sequence[str]) -> dict[str, Any]:
    """An object as search knows it, which may be older than it is."""
    own = {"hs_object_id": one.id, MODIFIED[table.type]: iso(one.modified)}
    names = [name for name in asked if name in table.definitions]
    properties = {name: one.properties.get(name) or None for name in names} | own
    return {"id": one.id, "properties": properties, "updatedAt": iso(one.modified), "archived": False}
