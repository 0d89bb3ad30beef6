"""The API's half about objects of any entity: shown, listed, told as changes; transactions and items written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.quickbooks.sandbox.books import TRANSACTIONS, Books
from connectors.quickbooks.sandbox.query import Table
from connectors.quickbooks.sandbox.rules import Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.store import Customers

CDC_MOST: Final = 1000  # PROVIDERS §1, §3
_NAMES: Final = {one.lower(): one for one in ("Customer", "Item", "Account", *TRANSACTIONS)}
_ALLOWS_TWIN: Final = "allowduplicatedocnum"  # PROVIDERS §2

Record = Callable[[str, str, str, str | None], None]
"""Told of every write: action, entity, id, requestid."""


class _Transactions:
    """One entity of the books, as a table."""

    def __init__(self, books: Books, entity: str) -> None:
        self._books = books
        self._entity = entity

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        return self._books.rows[self._entity]

    def encoded(self, remote_id: str) -> bytes:
        self._books.row(self._entity, remote_id)
        return self._books.encoded(self._entity, remote_id)

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        return self._books.by_time(self._entity, since)


class _Customers:
    """Customers, where one that is not there is refused."""

    def __init__(self, customers: Customers) -> None:
        self._customers = customers

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        return self._customers.rows

    def encoded(self, remote_id: str) -> bytes:
        self._customers.row(remote_id)
        return self._customers.encoded(remote_id)

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        return self._customers.by_time(since)


class _Accounts:
    """The chart of accounts, as far as settings name any: people make accounts, the API only shows them here."""

    def __init__(self, settings: Callable[[], QuickBooksSettings]) -> None:
        self._settings = settings

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        told = self._settings()
        kinds = {one: "Income" if one in told.income_accounts else "Bank" for one in sorted(told.accounts)}
        return {
            one: {"Id": one, "Name": f"Account {one}", "Active": True, "AccountType": kind}
            for one, kind in kinds.items()
        }

    def encoded(self, remote_id: str) -> bytes:
        return msgspec.json.encode(self.rows[remote_id])

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        return iter(()) if since else iter(self.rows)


class Desk:
    """Every table of the company by its entity in small letters, and what can be written besides customers."""

    def __init__(
        self, books: Books, customers: Customers, settings: Callable[[], QuickBooksSettings], record: Record
    ) -> None:
        """Show `customers` and the accounts of `settings`, show and write `books`."""
        self._books = books
        self._record = record
        self._settings = settings
        self.tables: dict[str, Table] = {
            "customer": _Customers(customers),
            "item": books.items,
            "account": _Accounts(settings),
            **{one.lower(): _Transactions(books, one) for one in TRANSACTIONS},
        }

    def shown(self, entity: str, remote_id: str) -> bytes:
        """One object under its entity's name."""
        return b'"%b":%b' % (_NAMES[entity].encode(), self.tables[entity].encoded(remote_id))

    def listed(self, entity: str, ids: Sequence[str], start: int) -> bytes:
        """A QueryResponse."""
        rows = b",".join(map(self.tables[entity].encoded, ids))
        told = (_NAMES[entity].encode(), rows, start, len(ids))
        return b'{"%b":[%b],"startPosition":%d,"maxResults":%d}' % told

    def changes(self, entities: Sequence[str], since: float) -> Iterator[bytes]:
        """A QueryResponse for each entity, without pages: beyond the first 1,000 nothing is there (PROVIDERS §3)."""
        left = CDC_MOST
        for entity in entities:
            ids = list(self.tables[entity].by_time(since))
            if self._settings().tells_newest_changes:
                ids.reverse()
            rows = [self.tables[entity].encoded(one) for one in ids[:left]]
            left -= len(rows)
            if _NAMES[entity] in TRANSACTIONS:
                gone = [msgspec.json.encode(one) for one in self._books.gone_since(_NAMES[entity], since)][:left]
                left -= len(gone)
                rows += gone
            told = (_NAMES[entity].encode(), b",".join(rows), len(rows))
            yield b'{"%b":[%b],"startPosition":1,"maxResults":%d}' % told if rows else b"{}"

    def saved(
        self, entity: str, body: Mapping[str, Any], params: Mapping[str, str], key: str | None, now: float
    ) -> bytes:
        """Create, update, void or delete (PROVIDERS §5); each entity has its own way of voiding, credit memos none."""
        name = _NAMES[entity]
        asked = params.get("operation"), params.get("include")
        if name == "Item":
            return self._new_item(body, params, key, now)
        if (name, asked) in {("Invoice", ("void", None)), ("Payment", ("update", "void"))}:
            return self._done("void", name, self._books.void(name, body, now), key)
        if asked[0] == "delete":
            self._record("delete", name, self._books.delete(name, body, now), key)
            return b'"%b":{"status":"Deleted","domain":"QBO","Id":"%b"}' % (name.encode(), str(body["Id"]).encode())
        if asked[0] is not None:
            raise Refused("500", "Unsupported Operation", f"Operation {asked[0]} is not supported.")
        if "Id" in body:
            return self._done("update", name, self._books.update(name, body, now), key)
        remote_id = self._books.create(name, body, now, allows_twin=asked[1] == _ALLOWS_TWIN)
        return self._done("create", name, remote_id, key)

    def _new_item(self, body: Mapping[str, Any], params: Mapping[str, str], key: str | None, now: float) -> bytes:
        if "Id" in body or "operation" in params:
            raise Refused("500", "Unsupported Operation", "only creating items was built")
        return self._done("create", "Item", self._books.items.create(body, now), key)

    def _done(self, action: str, name: str, remote_id: str, key: str | None) -> bytes:
        self._record(action, name, remote_id, key)
        return self.shown(name.lower(), remote_id)
