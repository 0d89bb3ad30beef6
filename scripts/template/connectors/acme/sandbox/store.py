"""The customers of one account: what Acme keeps, computes and enforces beyond single values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from connectors.acme.sandbox.settings import RefusedError
from core.sandbox.lookalike import Mutation

Customer = dict[str, Any]


def stamp(now: float) -> str:
    """Spell a time as Acme does."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


class Customers:
    """State, and the rules that need more than one value to decide."""

    def __init__(self, rng: Random) -> None:
        """Start empty."""
        self.live: dict[str, Customer] = {}
        self.gone: dict[str, Customer] = {}
        self.mutations: list[Mutation] = []
        self._rng = rng

    def get(self, remote_id: str) -> Customer:
        """One live customer."""
        if remote_id not in self.live:
            raise RefusedError(404, "not_found", f"there is no customer {remote_id}")
        return self.live[remote_id]

    def create(self, attributes: Mapping[str, Any], now: float, caller: str, key: str | None = None) -> Customer:
        """Store a new customer with all that Acme computes."""
        self._check_free(attributes.get("external_id"), "")
        customer: Customer = {
            "id": f"cus_{self._rng.getrandbits(60):015x}",
            "version": "1",
            "name": None,
            "email": None,
            "phone": None,
            "website": None,
            "address": None,
            "external_id": None,
            "notes": None,
            **attributes,
            "attributes": {name: text for name, text in attributes.get("attributes", {}).items() if text},
            "created_at": stamp(now),
            "updated_at": stamp(now),
        }
        self.live[customer["id"]] = customer
        self._note(now, caller, "create", customer["id"], attributes, key)
        return customer

    def change(self, remote_id: str, attributes: Mapping[str, Any], now: float, caller: str) -> Customer:
        """Change some attributes; free ones by key, the rest of the object stays."""
        before = self.get(remote_id)
        self._check_free(attributes.get("external_id"), remote_id)
        free = {**before["attributes"], **attributes.get("attributes", {})}
        after = {**before, **attributes, "attributes": {name: text for name, text in free.items() if text}}
        if after != before:
            after |= {"version": str(int(before["version"]) + 1), "updated_at": stamp(now)}
            self.live[remote_id] = after
        self._note(now, caller, "update", remote_id, attributes if after != before else {}, None)
        return after

    def remove(self, remote_id: str, now: float) -> None:
        """A person deletes a customer, for good."""
        self.get(remote_id)
        del self.live[remote_id]
        self.gone[remote_id] = {"id": remote_id, "deleted": True, "updated_at": stamp(now)}
        self._note(now, "person", "delete", remote_id, {}, None)

    def everybody(self) -> Iterator[Customer]:
        """Live customers, oldest first."""
        yield from self.live.values()

    def changed(self, since: str) -> Iterator[Customer]:
        """Live and deleted ones that changed at or after a time, oldest change first."""
        found = [one for one in (*self.live.values(), *self.gone.values()) if one["updated_at"] >= since]
        yield from sorted(found, key=lambda one: one["updated_at"])

    def _check_free(self, external_id: object, own_id: str) -> None:
        for one in self.live.values() if external_id else ():
            if one["external_id"] == external_id and one["id"] != own_id:
                raise RefusedError(409, "taken", f"external_id is that of {one['id']}", field="external_id")

    def _note(
        self, now: float, caller: str, action: str, remote_id: str, changed: Mapping[str, Any], key: str | None
    ) -> None:
        self.mutations.append(Mutation(now, caller, action, "customer", remote_id, changed, key))
