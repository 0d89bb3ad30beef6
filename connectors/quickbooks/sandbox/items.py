"""Products and services: a name space of their own, ids of their own.

PROVIDERS §5 (README, "What the look-alike rests on").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.quickbooks.sandbox.rules import BUSINESS, Refused, text_in, unsupported
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.store import NOT_FOUND, stamp

_KINDS: Final = frozenset({"Service", "NonInventory"})
_NAME: Final = 100
_SUFFIX: Final = " (deleted)"


class Items:
    """Made by the API or by people; inactive ones stay."""

    def __init__(self, settings: Callable[[], QuickBooksSettings]) -> None:
        """Start with the two that a company is born with."""
        self.rows: dict[str, dict[str, Any]] = {}
        self._settings = settings
        for name in ("Services", "Hours"):
            self.add(name, "79", 0.0)

    def check(self, remote_id: str) -> None:
        """Refuse an item that no line can be sold on."""
        row = self.rows.get(remote_id)
        if row is None:
            raise Refused(  # PROVIDERS §5
                "2500", "Invalid Reference Id", f"Invalid Reference Id : Item element id {remote_id} not found"
            )
        if not row["Active"]:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §2: inactive

    def row(self, remote_id: str) -> dict[str, Any]:
        """One item, active or not."""
        if remote_id not in self.rows:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §2
        return self.rows[remote_id]

    def encoded(self, remote_id: str) -> bytes:
        """Its JSON."""
        return msgspec.json.encode(self.row(remote_id))

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        """Ids of what changed at or after a time, oldest first."""
        times = {
            one: datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"]).timestamp()
            for one, row in self.rows.items()
        }
        return (one for one in sorted(times, key=lambda one: (times[one], int(one))) if times[one] >= since)

    def create(self, body: Mapping[str, Any], now: float) -> str:
        """Create through the API."""
        if not body.keys() <= {"Name", "Type", "IncomeAccountRef", "Description", "sparse"}:  # PROVIDERS §5
            raise unsupported(next(iter(body.keys() - {"Name", "Type", "IncomeAccountRef", "Description", "sparse"})))
        name = text_in("Name", body.get("Name", ""), _NAME, is_us=self._settings().country == "US", is_strict=True)
        account = body.get("IncomeAccountRef")
        if not name or not isinstance(account, dict) or body.get("Type") not in _KINDS:  # PROVIDERS §5
            raise Refused("2020", "Required param missing, need to supply the required value for the API", "Item")
        if account.get("value") not in self._settings().accounts:
            raise Refused(  # PROVIDERS §5
                "2500", "Invalid Reference Id", f"IncomeAccountRef: element id {account.get('value')} not found"
            )
        if account["value"] not in self._settings().income_accounts:  # PROVIDERS §5: what it earns for
            raise Refused("6000", BUSINESS, "IncomeAccountRef: no income", element="IncomeAccountRef")
        if any(one["Name"].casefold() == name.casefold() for one in self.rows.values()):  # PROVIDERS §5
            raise Refused("6240", "Duplicate Name Exists Error", "The name supplied already exists. : null")
        return self.add(name, account["value"], now, body["Type"])

    def add(self, name: str, account: str, now: float, kind: str = "Service") -> str:
        """Store a service, or another kind of item."""
        remote_id, time = str(len(self.rows) + 1), stamp(now, self._settings().time_zone)
        self.rows[remote_id] = {
            "Id": remote_id,
            "Name": name,
            "FullyQualifiedName": name,
            "Type": kind,
            "Active": True,
            "IncomeAccountRef": {"value": account},
            "SyncToken": "0",
            "MetaData": {"CreateTime": time, "LastUpdatedTime": time},
            "domain": "QBO",
            "sparse": False,
        }
        return remote_id

    def named(self, name: str) -> str:
        """The item that a person means: by id or name, else a new one."""
        if name in self.rows:
            return name
        found = next((one["Id"] for one in self.rows.values() if one["Name"] == name), None)
        return found or self.add(name, "79", 0.0)

    def deactivate(self, remote_id: str) -> None:
        """A person makes it inactive."""
        row = self.rows[remote_id]
        row.update({"Active": False, "Name": row["Name"] + _SUFFIX})
