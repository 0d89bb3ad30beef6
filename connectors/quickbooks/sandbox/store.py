"""The customers of one company: what QuickBooks keeps, computes and enforces beyond single values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from connectors.quickbooks.sandbox import rules
from connectors.quickbooks.sandbox.about import shown
from connectors.quickbooks.sandbox.rules import BUSINESS, Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings

_SUFFIX: Final = " (deleted)"  # PROVIDERS §3
_ZERO: Final = Decimal(0)
LEVELS: Final = 4
"""Levels of sub-customers below a top-level customer (PROVIDERS §5)."""
_COMPUTED: Final = ("domain", "sparse", "Id", "SyncToken", "MetaData", "Balance", "BalanceWithJobs", "CurrencyRef")
NOT_FOUND: Final = (
    "Object Not Found : Something you're trying to use has been made inactive. "
    "Check the fields with accounts, customers, items, vendors or employees."
)


def stamp(now: float, zone: str, *, grain: str = "seconds") -> str:
    """Spell a time as QuickBooks does: with the offset of the day, which summer moves by an hour."""
    return datetime.fromtimestamp(now, ZoneInfo(zone)).isoformat(timespec=grain)


def _nothing(_remote_id: str) -> Decimal:
    return _ZERO


def _masked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """As answers show it (PROVIDERS §5): whoever sends the tax identifier back sends the mask."""
    held = row.get("PrimaryTaxIdentifier")
    return {**row, "PrimaryTaxIdentifier": "X" * len(held[:-5]) + held[-5:]} if held else row


class Customers:
    """State, and the rules that need more than one value to decide."""

    def __init__(self, settings: Callable[[], QuickBooksSettings]) -> None:
        """Start empty."""
        self.rows: dict[str, dict[str, Any]] = {}
        self._settings = settings
        self._names: dict[str, int] = {}
        self._seconds: dict[str, int] = {}
        self._encoded: dict[str, bytes] = {}
        self._order: list[tuple[int, int]] | None = None
        self._children: dict[str, dict[str, None]] = {}
        self._last_id = 0
        self.owes: Callable[[str], Decimal] = _nothing
        """What a customer owes by the books."""

    # ---- reading -------------------------------------------------------------------------------

    def row(self, remote_id: str) -> dict[str, Any]:
        """One customer, active or not; one that was merged away is not found any more."""
        if remote_id not in self.rows:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §3: merged away
        return self.rows[remote_id]

    def encoded(self, remote_id: str) -> bytes:
        """Its JSON, kept until it changes; balances are reckoned."""
        owed = self.owes(remote_id)
        with_jobs = owed + sum(map(self.owes, self._children.get(remote_id, ())), _ZERO)
        if owed or with_jobs:
            balances = {"Balance": float(owed), "BalanceWithJobs": float(with_jobs)}
            return msgspec.json.encode(shown(_masked({**self.rows[remote_id], **balances}), self._settings()))
        if remote_id not in self._encoded:
            self._encoded[remote_id] = msgspec.json.encode(shown(_masked(self.rows[remote_id]), self._settings()))
        return self._encoded[remote_id]

    def payers_of(self, remote_id: str) -> set[str]:
        """Whose payments may settle what a customer owes: its own, and those of who is above it (PROVIDERS §5)."""
        return {remote_id, *self._above(self.rows[remote_id])}

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        """Ids of what changed at or after a time, oldest first."""
        if self._order is None:
            self._order = sorted((second, int(remote_id)) for remote_id, second in self._seconds.items())
        first = bisect_left(self._order, (since, 0))
        return (str(number) for _, number in self._order[first:])

    # ---- writing -------------------------------------------------------------------------------

    def create(self, body: Mapping[str, Any], now: float) -> str:
        """Create through the API: every rule applies."""
        attributes = rules.accepted(body, is_us=self._settings().country == "US")
        name = rules.name_in(attributes)
        self.check_free(name)
        told = self._settings()
        currency = attributes.get("CurrencyRef", {}).get("value", told.home_currency)
        if currency != told.home_currency and not told.is_multicurrency:
            raise Refused("6000", BUSINESS, "CurrencyRef: multicurrency is not enabled")  # PROVIDERS §5
        self.check_parent(None, attributes)
        return self.add({**attributes, "DisplayName": name, "CurrencyRef": {"value": currency}}, now)

    def update(self, body: Mapping[str, Any], now: float) -> str:
        """Sparse or full update through the API, behind the SyncToken lock (PROVIDERS §2)."""
        row = self.row(str(body["Id"]))
        if "SyncToken" not in body:  # PROVIDERS §2: the lock
            raise Refused("2020", "Required param missing, need to supply the required value for the API", "SyncToken")
        if body["SyncToken"] != row["SyncToken"]:
            raise Refused(  # PROVIDERS §2: the lock
                "5010",
                "Stale Object Error",
                "Stale Object Error : You and someone else were working on this at the same time.",
            )
        attributes = rules.accepted(body, is_us=self._settings().country == "US")
        currency = attributes.pop("CurrencyRef", {}).get("value")
        if currency and currency != row["CurrencyRef"]["value"]:
            raise Refused("6000", BUSINESS, "CurrencyRef cannot be changed")  # PROVIDERS §5: for ever
        if not body.get("sparse"):
            attributes = self._replaced(row, attributes)
        name = attributes.get("DisplayName")
        if name and name.casefold() != row["DisplayName"].casefold():
            self.check_free(name)
        self.check_parent(row, attributes)
        self.change(row["Id"], attributes, now)
        return str(row["Id"])

    def add(self, attributes: Mapping[str, Any], now: float) -> str:
        """Store a new customer with all that QuickBooks computes."""
        self._last_id += 1
        remote_id = str(self._last_id)
        time = stamp(now, self._settings().time_zone)
        row: dict[str, Any] = {
            "Taxable": True,
            "Job": False,
            "BillWithParent": False,
            "Balance": 0,
            "BalanceWithJobs": 0,
            "PreferredDeliveryMethod": "Print",
            "IsProject": False,
            "PrintOnCheckName": attributes["DisplayName"][:110],
            "Active": True,
            **{name: value for name, value in attributes.items() if value not in ("", {})},
            "domain": "QBO",
            "sparse": False,
            "Id": remote_id,
            "SyncToken": "0",
            "MetaData": {"CreateTime": time, "LastUpdatedTime": time},
        }
        self.rows[remote_id] = row
        self._count_name(row["DisplayName"], 1)
        if not row["Active"]:
            self._rename(row, row["DisplayName"] + _SUFFIX)
        self._hang(row, "")
        self._touched(row, now)
        return remote_id

    def change(self, remote_id: str, attributes: Mapping[str, Any], now: float) -> None:
        """Change some attributes: blank ones go, objects are replaced whole."""
        row = self.rows[remote_id]
        was_active, old_name, old_parent = row["Active"], row["DisplayName"], row.get("ParentRef", {}).get("value", "")
        name = attributes.get("DisplayName") or old_name
        for attribute, value in attributes.items():
            if attribute in {"DisplayName", "PrintOnCheckName"} and not value:
                continue  # PROVIDERS §5: these two cannot be removed
            if value in ("", {}):
                row.pop(attribute, None)
            else:
                row[attribute] = value
        if was_active and not row["Active"]:
            name += _SUFFIX
        row["DisplayName"] = old_name
        self._rename(row, name)
        self._hang(row, old_parent)
        row["SyncToken"] = str(int(row["SyncToken"]) + 1)
        row["MetaData"] = {**row["MetaData"], "LastUpdatedTime": stamp(now, self._settings().time_zone)}
        self._touched(row, now)

    def absorb(self, survivor: str, absorbed: str, now: float) -> None:
        """Merge (PROVIDERS §3): the absorbed one is inactive, or not found; its name is free, the survivor changed."""
        self._follow(survivor, absorbed)
        if self._settings().keeps_absorbed:
            self.change(absorbed, {"Active": False}, now)
        else:
            self._drop(absorbed)
        self.change(survivor, {}, now)

    def _drop(self, remote_id: str) -> None:
        gone = self.rows.pop(remote_id)
        self._count_name(gone["DisplayName"], -1)
        self._children.get(gone.get("ParentRef", {}).get("value", ""), {}).pop(remote_id, None)
        del self._seconds[remote_id]
        self._encoded.pop(remote_id, None)
        self._order = None

    def _follow(self, survivor: str, absorbed: str) -> None:
        """Sub-customers of the absorbed one hang below the survivor; the survivor itself below nobody it absorbed."""
        for child in list(self._children.pop(absorbed, {})):
            row = self.rows[child]
            if child == survivor or survivor == row["Id"] or child in self._above(self.rows[survivor]):
                row.pop("ParentRef", None)
                row["Job"] = False
            else:
                row["ParentRef"] = {"value": survivor}
                self._children.setdefault(survivor, {})[child] = None
            self._named(row)

    def check_free(self, name: str) -> None:
        """Refuse a name in use: one for all customers, vendors and employees, inactive ones too (PROVIDERS §2)."""
        others = {other.casefold() for other in self._settings().other_names}
        if self._names.get(name.casefold(), 0) > 0 or name.casefold() in others:
            raise Refused("6240", "Duplicate Name Exists Error", "The name supplied already exists. : null")

    def check_parent(self, row: Mapping[str, Any] | None, attributes: Mapping[str, Any]) -> None:
        """Refuse a place in the hierarchy that is none: the parent is there and active, no circle, four levels.

        A sub-customer has both ParentRef and Job, any other neither: one without the other is refused, to be strict.
        """
        if not {"ParentRef", "Job"} & attributes.keys():
            return
        known = row or {}
        parent_id = (attributes["ParentRef"] if "ParentRef" in attributes else known.get("ParentRef", {})).get("value")
        if bool(attributes.get("Job", known.get("Job", False))) != bool(parent_id):  # stricter reading
            raise Refused("6000", BUSINESS, "ParentRef and Job: one needs the other", element="ParentRef")
        if not parent_id or parent_id == known.get("ParentRef", {}).get("value"):
            return
        parent = self.rows.get(parent_id)
        if parent is not None and not parent["Active"]:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §2: inactive
        if parent is None:  # PROVIDERS §5
            raise Refused("2500", "Invalid Reference Id", f"ParentRef: Names element id {parent_id} not found")
        above = self._above(parent)
        if row is not None and row["Id"] in {parent_id, *above}:  # stricter reading
            raise Refused("6000", BUSINESS, "ParentRef: a customer cannot be its own parent", element="ParentRef")
        height = self._height(row["Id"]) if row is not None else 0
        if len(above) + 1 + height > LEVELS:
            raise Refused(  # PROVIDERS §5: four levels
                "6000", BUSINESS, f"ParentRef: at most {LEVELS} levels of sub-customers", element="ParentRef"
            )

    def _above(self, row: Mapping[str, Any]) -> list[str]:
        found: list[str] = []
        while (parent_id := row.get("ParentRef", {}).get("value")) in self.rows and parent_id not in found:
            found.append(parent_id)
            row = self.rows[parent_id]
        return found

    def _height(self, remote_id: str) -> int:
        return max((1 + self._height(one) for one in self._children.get(remote_id, ())), default=0)

    def _replaced(self, row: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        # PROVIDERS §2: a full update blanks what it leaves out
        rules.name_in(attributes)
        written = [*rules.TEXTS, *rules.OBJECTS, *rules.SWITCHES]
        left_out = [name for name in written if name in row and name not in attributes and name not in _COMPUTED]
        defaults = {"Active": True, "Taxable": False, "Job": False, "BillWithParent": False}
        return {**{name: defaults.get(name, "") for name in left_out}, **attributes}

    def _rename(self, row: dict[str, Any], name: str) -> None:
        old = row["DisplayName"]
        if row.get("PrintOnCheckName") == old:
            row["PrintOnCheckName"] = name[:110]
        self._count_name(old, -1)
        self._count_name(name, 1)
        row["DisplayName"] = name

    def _count_name(self, name: str, by: int) -> None:
        key = name.casefold()
        self._names[key] = self._names.get(key, 0) + by

    def _hang(self, row: Mapping[str, Any], old_parent: str) -> None:
        self._children.get(old_parent, {}).pop(row["Id"], None)
        if parent_id := row.get("ParentRef", {}).get("value", ""):
            self._children.setdefault(parent_id, {})[row["Id"]] = None

    def _named(self, row: dict[str, Any]) -> None:
        """Level and full name follow from the parents above, for everybody below as well."""
        parent = self.rows.get(row.get("ParentRef", {}).get("value", ""))
        row["FullyQualifiedName"] = (f"{parent['FullyQualifiedName']}:" if parent else "") + row["DisplayName"]
        row.pop("Level", None)
        if parent:
            row["Level"] = parent.get("Level", 0) + 1
        self._encoded.pop(row["Id"], None)
        for child in self._children.get(row["Id"], ()):
            self._named(self.rows[child])

    def _touched(self, row: dict[str, Any], now: float) -> None:
        self._named(row)
        self._seconds[row["Id"]] = int(now)
        self._encoded.pop(row["Id"], None)
        self._order = None
