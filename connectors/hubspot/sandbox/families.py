"""Parent and child companies of the look-alike: one parent at most, no circle; archived ones keep their ties.

PROVIDERS §5: associations (README, "What the look-alike rests on").
"""

from __future__ import annotations

from typing import Any, Final

from connectors.hubspot.sandbox.answers import Refused
from connectors.hubspot.sandbox.store import Table

PARENT_TO_CHILD: Final = 13  # PROVIDERS §5
CHILD_TO_PARENT: Final = 14  # PROVIDERS §5
PAGE: Final = 500
"""Associations of one object in one answer; more are on its next pages."""


class Families:
    """Who is whose parent. Ids are those of companies, without the type."""

    def __init__(self, companies: Table) -> None:
        """Nobody has a parent."""
        self._companies = companies
        self._parents: dict[str, str] = {}

    def parent(self, child: str) -> str | None:
        """The live company above a live company."""
        parent = self._parents.get(child)
        is_there = parent is not None and self._companies.live(parent) and self._companies.live(child)
        return parent if is_there else None

    def check(self, child: str, parent: str) -> None:
        """Refused where HubSpot would, by the stricter reading of what its documentation leaves open."""
        for hubspot_id in (child, parent):
            record = self._companies.live(hubspot_id)
            if record is None or record.id != hubspot_id:
                raise self._companies.missing([hubspot_id])  # PROVIDERS §5
        there = self.parent(child)
        if there not in (None, parent):
            raise _refused(f"company {child} already has the parent company {there}")  # stricter reading
        above: str | None = parent
        while above is not None:
            if above == child:
                raise _refused(f"company {child} is above company {parent} already")  # stricter reading
            above = self.parent(above)

    def put(self, child: str, parent: str | None) -> None:
        """Tie, or untie."""
        if parent is None:
            self._parents.pop(child, None)
        else:
            self._parents[child] = parent

    def merged(self, new: str, primary: str, absorbed: str) -> None:
        """The new company stands where both stood; the primary's parent counts. Neither becomes its own ancestor."""
        old = {primary, absorbed}
        parent = next(
            (found for one in (primary, absorbed) if (found := self._parents.get(one)) and found not in old), None
        )
        self._parents = {
            child: new if above in old else above for child, above in self._parents.items() if child not in old
        }
        if parent is not None:
            self._parents[new] = parent
        for child in self._ancestors_below(new):
            del self._parents[child]

    def _ancestors_below(self, new: str) -> list[str]:
        """Children of `new` that are above it as well: a merge of a company with its grandchild's parent."""
        above, one = list[str](), self._parents.get(new)
        while one is not None and one not in above and one != new:
            above.append(one)
            one = self._parents.get(one)
        return [child for child in above if self._parents.get(child) == new]

    def told(self, hubspot_id: str, after: int) -> dict[str, Any] | None:
        """One object's associations with companies from a place on, as a batch read returns them; None without any."""
        found = [(one, PARENT_TO_CHILD) for one in sorted(self._parents, key=int) if self.parent(one) == hubspot_id]
        parent = self.parent(hubspot_id)
        # last, so that whoever reads one page only will miss it
        found += [(parent, CHILD_TO_PARENT)] if parent else []
        if not found:
            return None
        shown: dict[str, Any] = {
            "from": {"id": hubspot_id},
            "to": [
                {"toObjectId": int(one), "associationTypes": [_kind(kind)]} for one, kind in found[after : after + PAGE]
            ],
        }
        if len(found) > after + PAGE:
            shown["paging"] = {"next": {"after": str(after + PAGE), "link": f"?after={after + PAGE}"}}
        return shown


def _kind(number: int) -> dict[str, Any]:
    return {"category": "HUBSPOT_DEFINED", "typeId": number, "label": None}


def _refused(message: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", message)
