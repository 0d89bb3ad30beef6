"""What an invoice is tied to: contacts, companies, line items. A line item belongs to one invoice only.

PROVIDERS §5: associations (README, "What the look-alike rests on").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.hubspot.sandbox.answers import Refused, bad_request
from connectors.hubspot.sandbox.store import Record, Table

PAGE: Final = 500
INVOICE_TO: Final[Mapping[str, int]] = {"contact": 177, "company": 179, "line_item": 409}  # PROVIDERS §5


class Links:
    """All ties of all invoices. Those of archived objects rest, and come back with them."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        """Nothing is tied."""
        self._tables = tables
        self._owners: dict[str, str] = {}
        self._ties: dict[str, dict[str, list[str]]] = {}

    def of(self, invoice: str, object_type: str) -> list[Record]:
        """Live objects of a type that an invoice is tied to."""
        table = self._tables[object_type]
        ids = self._ties.get(invoice, {}).get(object_type, [])
        return [record for one in ids if (record := table.live(one)) is not None]

    def check(self, invoice: str, object_type: str, other: str) -> None:
        """Refused where HubSpot would."""
        record = self._tables["invoice"].live(invoice)
        if record is None or record.id != invoice:
            raise self._tables["invoice"].missing([invoice])  # PROVIDERS §5
        self.check_other(invoice, record.properties, object_type, other)

    def check_other(self, invoice: str, properties: Mapping[str, str], object_type: str, other: str) -> None:
        """The same of the other end alone: `invoice` is "" while it is being made."""
        table = self._tables[object_type]
        record = table.live(other)
        if record is None or record.id != other:
            raise table.missing([other])  # PROVIDERS §5
        if object_type != "line_item":
            return
        owner = self._owners.get(other, invoice)
        if owner != invoice:
            raise _refused(f"line item {other} belongs to invoice {owner} already")  # stricter reading
        currency = record.properties.get("hs_line_item_currency_code")
        if currency and currency != properties.get("hs_currency"):
            raise _refused(f"line item {other} is in {currency}, and the invoice is not")  # stricter reading

    def put(self, invoice: str, object_type: str, other: str, *, is_tied: bool) -> bool:
        """Tie or untie; False where it is so already."""
        ids = self._ties.setdefault(invoice, {}).setdefault(object_type, [])
        if (other in ids) is is_tied:
            return False
        if is_tied:
            ids.append(other)
        else:
            ids.remove(other)
        if object_type == "line_item":
            self._owners.pop(other, None)
            self._owners |= {other: invoice} if is_tied else {}
        return True

    def merged(self, object_type: str, new: str, *old: str) -> None:
        """The ties of merged objects are those of the new one."""
        for ties in self._ties.values():
            ids = ties.get(object_type, [])
            if set(old) & set(ids):
                ties[object_type] = [new, *(one for one in ids if one not in old)]

    def told(self, invoice: str, object_type: str, after: int) -> dict[str, Any] | None:
        """As a batch read returns them, from a place on; None without any."""
        ids = sorted(int(one.id) for one in self.of(invoice, object_type))
        if not ids or self._tables["invoice"].live(invoice) is None:
            return None
        kind = {"category": "HUBSPOT_DEFINED", "typeId": INVOICE_TO[object_type], "label": None}
        shown: dict[str, Any] = {
            "from": {"id": invoice},
            # newest first: whoever takes the order for the lines' own has them upside down
            "to": [{"toObjectId": one, "associationTypes": [kind]} for one in ids[::-1][after : after + PAGE]],
        }
        if len(ids) > after + PAGE:
            shown["paging"] = {"next": {"after": str(after + PAGE), "link": f"?after={after + PAGE}"}}
        return shown


def tie_in(object_type: str, given: Mapping[str, Any]) -> tuple[str, str]:
    """Invoice and the other end that one input names."""
    ends = [given.get(name) for name in ("from", "to")]
    ids = [str(one.get("id", "")) if isinstance(one, dict) else "" for one in ends]
    kinds = given.get("types")
    if not all(ids) or not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], dict):
        raise bad_request("Invalid input JSON: from, to and types must be set")  # PROVIDERS §5
    told = (kinds[0].get("associationCategory"), kinds[0].get("associationTypeId"))
    if told != ("HUBSPOT_DEFINED", INVOICE_TO[object_type]):  # PROVIDERS §5: a number for each pair
        raise bad_request(f"association type {told[1]} does not exist between an invoice and a {object_type}")
    return ids[0], ids[1]


def ties_inline(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Type and id of what a new invoice is to be tied to from its start."""
    found = []
    for one in given.get("associations") or ():
        kinds = one.get("types") if isinstance(one, dict) else None
        if not isinstance(kinds, list) or len(kinds) != 1 or not isinstance(kinds[0], dict):
            raise bad_request("Invalid input JSON: types must be set")  # PROVIDERS §5
        numbers: dict[Any, str] = {number: object_type for object_type, number in INVOICE_TO.items()}
        object_type = numbers.get(kinds[0].get("associationTypeId"), "")
        _, other = tie_in(object_type, {**one, "from": {"id": "new"}}) if object_type else ("", "")
        if not other:
            raise bad_request("an association type that does not exist from an invoice on")  # PROVIDERS §5
        found.append((object_type, other))
    return found


def _refused(message: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", message)
