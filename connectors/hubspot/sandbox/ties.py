"""The part of HubSpot's associations API that ties companies to companies, and invoices to what is theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from connectors.hubspot.sandbox.account import ACCORD, AccountState
from connectors.hubspot.sandbox.answers import Refused, answer, bad_request
from connectors.hubspot.sandbox.families import CHILD_TO_PARENT, PARENT_TO_CHILD
from connectors.hubspot.sandbox.links import tie_in
from connectors.hubspot.sandbox.types import NAMES
from core.ports import HttpResponse

WHAT: Final = ("read", "create", "labels/archive")
_COMPANY: Final = "0-2"
Act = Callable[[AccountState, Mapping[str, Any]], dict[str, Any]]
Told = Callable[[str, int], dict[str, Any] | None]


MOST: Final[Mapping[str, int]] = {"read": 1_000, "create": 2_000, "labels/archive": 2_000}
"""Inputs of one batch (PROVIDERS §1)."""


def ties_answer(
    state: AccountState, ends: tuple[str, str], what: str, inputs: Sequence[Mapping[str, Any]]
) -> HttpResponse:
    """Answer one batch. Each input has its own outcome; there are no trace ids to tell which failed."""
    is_family = ends[0] == "company"
    if what == "read":
        return _read(state.families.told if is_family else partial(_links_of, state, ends[1]), ends, inputs)
    act: Act
    if is_family:
        act = _tied if what == "create" else _untied
    else:
        act = partial(_linked, object_type=ends[1], is_tied=what == "create")
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for given in inputs:
        try:
            results.append(act(state, given))
        except Refused as refused:
            errors.append(refused.body)
    told: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if errors:
        return answer(207, told | {"numErrors": len(errors), "errors": errors})
    return answer(201, told) if what == "create" else HttpResponse(204, {}, b"")


def _read(told_of: Told, ends: tuple[str, str], inputs: Sequence[Mapping[str, Any]]) -> HttpResponse:
    asked = [(str(one.get("id")), int(one.get("after") or 0)) for one in inputs]
    told = {hubspot_id: told_of(hubspot_id, after) for hubspot_id, after in asked}
    none = [hubspot_id for hubspot_id, found in told.items() if found is None]
    body: dict[str, Any] = {"status": "COMPLETE", "results": [found for found in told.values() if found]}
    if none:
        body |= {"numErrors": len(none), "errors": no_associations(none, ends)}
    return answer(207 if none else 200, body)


def _links_of(state: AccountState, object_type: str, invoice: str, after: int) -> dict[str, Any] | None:
    return state.links.told(invoice, object_type, after)


def _linked(state: AccountState, given: Mapping[str, Any], object_type: str, *, is_tied: bool) -> dict[str, Any]:
    """An invoice to what is its own; untying what is not tied is fine."""
    invoice, other = tie_in(object_type, given)
    if is_tied:
        state.links.check(invoice, object_type, other)
    state.link(invoice, object_type, other, ACCORD, is_tied=is_tied)
    ids = {"fromObjectId": given["from"]["id"], "toObjectId": given["to"]["id"]}
    return {"fromObjectTypeId": NAMES["invoice"][2], "toObjectTypeId": NAMES[object_type][2], **ids, "labels": []}


def _tied(state: AccountState, given: Mapping[str, Any]) -> dict[str, Any]:
    child, parent = family_in(given)
    state.families.check(child, parent)
    state.set_parent(child, parent, ACCORD)
    ends = {"fromObjectId": given["from"]["id"], "toObjectId": given["to"]["id"]}
    return {"fromObjectTypeId": _COMPANY, "toObjectTypeId": _COMPANY, **ends, "labels": []}


def _untied(state: AccountState, given: Mapping[str, Any]) -> dict[str, Any]:
    """Taking off what is not there is fine."""
    child, parent = family_in(given)
    if state.families.parent(child) == parent:
        state.set_parent(child, None, ACCORD)
    return {}


def family_in(given: Mapping[str, Any]) -> tuple[str, str]:
    """Child and parent that one input names, in either direction."""
    ends = [given.get(name) for name in ("from", "to")]
    ids = [str(one.get("id", "")) if isinstance(one, dict) else "" for one in ends]
    kinds = given.get("types")
    if not all(ids) or not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], dict):
        raise bad_request("Invalid input JSON: from, to and types must be set")
    kind = kinds[0].get("associationTypeId")
    if kinds[0].get("associationCategory") != "HUBSPOT_DEFINED" or kind not in (PARENT_TO_CHILD, CHILD_TO_PARENT):
        raise bad_request(f"association type {kind} does not exist between companies")
    return (ids[0], ids[1]) if kind == CHILD_TO_PARENT else (ids[1], ids[0])


def no_associations(ids: Sequence[str], ends: tuple[str, str] = ("company", "company")) -> list[dict[str, Any]]:
    """What a batch read says about objects without any."""
    return [
        {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "message": f"No {ends[1]} is associated with {ends[0]} {one}.",
            "context": {"fromObjectId": [one]},
        }
        for one in ids
    ]
