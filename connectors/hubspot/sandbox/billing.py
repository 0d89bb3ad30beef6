"""Contacts of companies in the look-alike: what a contact is to a company, by label and direction (PROVIDERS §5).

Whoever is something to a company is associated with it, which is a type of its own, without a label: it comes with the
first label, stays when that goes, and takes all labels along when it is removed itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.hubspot.sandbox.answers import bad_request
from connectors.hubspot.sandbox.settings import HubSpotSettings
from connectors.hubspot.sandbox.store import Table

PLAIN: Final = "plain"
PRIMARY: Final = "primary"
BILLING: Final = "billing"
LABELS: Final[Mapping[str, str | None]] = {PLAIN: None, PRIMARY: "Primary", BILLING: "Billing contact"}
PAGE: Final = 500
"""Associations of one object in one answer; more are on its next pages."""


class Billing:
    """Which contacts are what to which companies. Ids are without the type."""

    def __init__(self, contacts: Table, companies: Table) -> None:
        """Nobody is anything."""
        self._contacts, self._companies = contacts, companies
        self._ties: dict[tuple[str, str], set[str]] = {}

    def between(self, contact: str, company: str) -> set[str]:
        """What a live contact is to a live company."""
        is_there = self._contacts.live(contact) and self._companies.live(company)
        return self._ties.get((contact, company), set()) if is_there else set()

    def check(self, contact: str, company: str) -> None:
        """Refused unless both are there, each by its own id."""
        for table, hubspot_id in ((self._contacts, contact), (self._companies, company)):
            record = table.live(hubspot_id)
            if record is None or record.id != hubspot_id:
                raise table.missing([hubspot_id])  # PROVIDERS §5

    def put(self, contact: str, company: str, label: str) -> None:
        """Tie the two by a label. A contact has one primary company."""
        if label == PRIMARY:
            for (one, _), labels in self._ties.items():
                labels.discard(PRIMARY if one == contact else "")
        self._ties.setdefault((contact, company), {PLAIN}).add(label)

    def take_off(self, contact: str, company: str, label: str) -> None:
        """Remove a label; without the association itself there is none left."""
        if label == PLAIN:
            self._ties.pop((contact, company), None)
        else:
            self._ties.get((contact, company), set()).discard(label)

    def merged(self, table: Table, new: str, *old: str) -> None:
        """The new object is to everybody what both were."""
        ties, self._ties = self._ties, {}
        for (contact, company), labels in ties.items():
            contact = new if table is self._contacts and contact in old else contact  # noqa: PLW2901
            company = new if table is self._companies and company in old else company  # noqa: PLW2901
            self._ties.setdefault((contact, company), set()).update(labels)

    def billed(self, contact: str) -> list[str]:
        """The companies whose billing contact a contact is."""
        return [one for one, labels in self._others("contact", contact) if BILLING in labels]

    def _others(self, start: str, hubspot_id: str) -> Iterator[tuple[str, set[str]]]:
        for contact, company in sorted(self._ties, key=lambda one: (int(one[0]), int(one[1]))):
            mine, other = (contact, company) if start == "contact" else (company, contact)
            if mine == hubspot_id and (labels := self.between(contact, company)):
                yield other, labels

    def told(self, settings: HubSpotSettings, start: str, hubspot_id: str, after: int) -> dict[str, Any] | None:
        """One object's associations from a place on, as a batch read returns them; None without any."""
        found = list(self._others(start, hubspot_id))
        if not found:
            return None
        numbers = types_of(settings, start)
        shown: dict[str, Any] = {
            "from": {"id": hubspot_id},
            "to": [
                {
                    "toObjectId": int(one),
                    "associationTypes": [_kind(numbers, label) for label in LABELS if label in labels],
                }
                for one, labels in found[after : after + PAGE]
            ],
        }
        if len(found) > after + PAGE:
            shown["paging"] = {"next": {"after": str(after + PAGE), "link": f"?after={after + PAGE}"}}
        return shown


def types_of(settings: HubSpotSettings, start: str) -> dict[str, int]:
    """The number of each label, seen from a contact or from a company: each direction has its own."""
    contact, company = settings.billing_types
    if start == "contact":
        return {PLAIN: 279, PRIMARY: 1} | ({BILLING: contact} if contact else {})
    return {PLAIN: 280, PRIMARY: 2} | ({BILLING: company} if company else {})


def labels_told(settings: HubSpotSettings, start: str) -> list[dict[str, Any]]:
    """Every way in which objects of two types can be associated, from the first to the second."""
    numbers = types_of(settings, start)
    return [_kind(numbers, label) for label in LABELS if label in numbers]


def label_in(settings: HubSpotSettings, start: str, given: Mapping[str, Any]) -> str:
    """The label that an association's one type names; Refused where there is none of that number in this direction."""
    kinds = given.get("types")
    if not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], dict):
        raise bad_request("Invalid input JSON: types must be set")  # PROVIDERS §5
    number, category = kinds[0].get("associationTypeId"), kinds[0].get("associationCategory")
    for label, known in types_of(settings, start).items():
        if number == known and category == "HUBSPOT_DEFINED":
            return label
    raise bad_request(f"{category} association type {number} does not exist from {start} on")  # PROVIDERS §5


def _kind(numbers: Mapping[str, int], label: str) -> dict[str, Any]:
    return {"category": "HUBSPOT_DEFINED", "typeId": numbers[label], "label": LABELS[label]}
