"""The part of HubSpot's associations API that Accord uses: companies to companies, contacts to companies, invoices to
what is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from connectors.hubspot.sandbox.account import ACCORD, AccountState
from connectors.hubspot.sandbox.answers import Refused, answer, bad_request
from connectors.hubspot.sandbox.billing import LABELS, PLAIN, label_in, labels_told
from connectors.hubspot.sandbox.families import CHILD_TO_PARENT, PARENT_TO_CHILD
from connectors.hubspot.sandbox.links import tie_in
from connectors.hubspot.sandbox.types import NAMES
from core.ports import HttpResponse

MOST: Final[Mapping[str, int]] = {"read": 1_000, "create": 2_000, "labels/archive": 100}
"""Inputs of one batch (PROVIDERS §1); that the last counts inputs and not only their `from` is the stricter reading."""
_OF_INVOICES: Final = ("contact", "company", "line_item")


class Act(Protocol):
    """What one input does; what its result shows."""

    def __call__(self, state: AccountState, given: Mapping[str, Any]) -> dict[str, Any]:
        """Refused where HubSpot would."""
        ...


def are_known(start: str, end: str, what: str) -> bool:
    """Whether objects of these types can be tied here: Accord uses no others."""
    if {start, end} == {"contact", "company"}:
        return True
    return what != "labels" and (start == end == "company" or (start == "invoice" and end in _OF_INVOICES))


def labels_answer(state: AccountState, start: str) -> HttpResponse:
    """All that a contact can be to a company, or a company to a contact."""
    return answer(200, {"results": labels_told(state.settings, start)})


def ties_answer(
    state: AccountState, ends: tuple[str, str], what: str, inputs: Sequence[Mapping[str, Any]]
) -> HttpResponse:
    """Answer one batch. Each input has its own outcome; there are no trace ids to tell which failed."""
    if what == "read":
        return _read(state, ends, inputs)
    act = _act(ends, is_new=what == "create")
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


def _act(ends: tuple[str, str], *, is_new: bool) -> Act:
    if ends[0] == ends[1]:
        return _tied if is_new else _untied
    if ends[0] == "invoice":
        return partial(_linked, object_type=ends[1], is_tied=is_new)
    return partial(_labelled, ends=ends, is_new=is_new)


def _read(state: AccountState, ends: tuple[str, str], inputs: Sequence[Mapping[str, Any]]) -> HttpResponse:
    asked = [(str(one.get("id")), int(one.get("after") or 0)) for one in inputs]
    told = {hubspot_id: _told(state, ends, hubspot_id, after) for hubspot_id, after in asked}
    none = [hubspot_id for hubspot_id, found in told.items() if found is None]
    body: dict[str, Any] = {"status": "COMPLETE", "results": [found for found in told.values() if found]}
    if none:
        body |= {"numErrors": len(none), "errors": no_associations(ends, none)}
    return answer(207 if none else 200, body)


def _told(state: AccountState, ends: tuple[str, str], hubspot_id: str, after: int) -> dict[str, Any] | None:
    if ends[0] == ends[1]:
        return state.families.told(hubspot_id, after)
    if ends[0] == "invoice":
        return state.links.told(hubspot_id, ends[1], after)
    return state.billing.told(state.settings, ends[0], hubspot_id, after)


def _labelled(state: AccountState, given: Mapping[str, Any], *, ends: tuple[str, str], is_new: bool) -> dict[str, Any]:
    """Tie a contact to a company, or take a label off: taking off what is not there is fine."""
    label = label_in(state.settings, ends[0], given)
    ids = _ends_in(given)
    contact, company = ids if ends[0] == "contact" else ids[::-1]
    if is_new:
        state.billing.check(contact, company)
    state.label(contact, company, label, ACCORD, is_removed=not is_new)
    told = {"fromObjectId": given["from"]["id"], "toObjectId": given["to"]["id"]}
    names = [] if label == PLAIN else [LABELS[label]]
    return {"fromObjectTypeId": NAMES[ends[0]][2], "toObjectTypeId": NAMES[ends[1]][2], **told, "labels": names}


def _linked(state: AccountState, given: Mapping[str, Any], *, object_type: str, is_tied: bool) -> dict[str, Any]:
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
    return {"fromObjectTypeId": NAMES["company"][2], "toObjectTypeId": NAMES["company"][2], **ends, "labels": []}


def _untied(state: AccountState, given: Mapping[str, Any]) -> dict[str, Any]:
    """Taking off what is not there is fine."""
    child, parent = family_in(given)
    if state.families.parent(child) == parent:
        state.set_parent(child, None, ACCORD)
    return {}


def family_in(given: Mapping[str, Any]) -> tuple[str, str]:
    """Child and parent that one input names, in either direction."""
    ids = _ends_in(given)
    kinds = given.get("types")
    if not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], dict):
        raise bad_request("Invalid input JSON: from, to and types must be set")  # PROVIDERS §5
    kind = kinds[0].get("associationTypeId")
    if kinds[0].get("associationCategory") != "HUBSPOT_DEFINED" or kind not in (PARENT_TO_CHILD, CHILD_TO_PARENT):
        raise bad_request(f"association type {kind} does not exist between companies")  # PROVIDERS §5: 13 and 14
    return ids if kind == CHILD_TO_PARENT else (ids[1], ids[0])


def _ends_in(given: Mapping[str, Any]) -> tuple[str, str]:
    ends = [given.get(name) for name in ("from", "to")]
    start, end = [str(one.get("id", "")) if isinstance(one, dict) else "" for one in ends]
    if not (start and end):
        raise bad_request("Invalid input JSON: from and to must be set")  # PROVIDERS §5
    return start, end


def no_associations(ends: tuple[str, str], ids: Sequence[str]) -> list[dict[str, Any]]:
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
