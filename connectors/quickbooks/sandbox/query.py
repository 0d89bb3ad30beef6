"""The query language, as little of it as QuickBooks has: no OR, no projection, no join (PROVIDERS §3)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final, Protocol

from connectors.quickbooks.sandbox.rules import Refused

_TOKEN: Final = re.compile(r"\s*('(?:[^'\\]|\\.)*'|[A-Za-z_][A-Za-z_.0-9]*|\d+|<=|>=|!=|[=<>(),*])")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "in": lambda value, among: value in among,
}
_UPDATED: Final = "metadata.lastupdatedtime"
_NESTED: Final = {
    "primaryemailaddr": ("PrimaryEmailAddr", "Address"),
    "primaryphone": ("PrimaryPhone", "FreeFormNumber"),
}
_COLUMNS: Final = {
    "customer": "Id Active DisplayName CompanyName GivenName FamilyName FullyQualifiedName Notes".split(),
    "item": "Id Active Name Type FullyQualifiedName".split(),
    "account": "Id Active Name".split(),
    "invoice": "Id DocNumber TxnDate DueDate TotalAmt Balance CustomerRef".split(),
    "payment": "Id PaymentRefNum TxnDate TotalAmt CustomerRef".split(),
    "creditmemo": "Id DocNumber TxnDate TotalAmt Balance CustomerRef".split(),
    "refundreceipt": "Id DocNumber TxnDate TotalAmt CustomerRef".split(),
}
"""What a query can ask for (PROVIDERS §3). A private note is in none of them."""
_PLAIN: Final = {name.lower(): name for columns in _COLUMNS.values() for name in columns}
_LISTED: Final = frozenset({"customer", "item", "account"})
"""Entities that are never deleted, only made inactive."""
_DEFAULT_PAGE: Final = 100  # PROVIDERS §1
_MOST: Final = 1000  # PROVIDERS §1


class Table(Protocol):
    """The objects of one entity."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """All of them, by id."""
        ...

    def encoded(self, remote_id: str) -> bytes:
        """One of them as JSON."""
        ...

    def by_time(self, since: float = 0.0) -> Iterator[str]:
        """Ids of what changed at or after a time, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Condition:
    """`name operator value`."""

    name: str
    operator: str
    value: Any

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Judge one row; an absent value satisfies nothing."""
        there = _value(row, self.name)
        return there is not None and _COMPARE[self.operator](there, self.value)


@dataclass(slots=True)
class Query:
    """What was asked."""

    entity: str = ""
    is_count: bool = False
    conditions: list[Condition] = field(default_factory=list)
    order: str = "id"
    is_descending: bool = False
    start: int = 1
    most: int = _DEFAULT_PAGE


def run(text: str, tables: Mapping[str, Table]) -> tuple[Query, list[str]]:
    """Ids that a query finds, of its page; for a count, of all pages."""
    query = _Parser(text).query()
    table = tables[query.entity]
    found = (remote_id for remote_id in _candidates(query, table) if _matches(query, table.rows[remote_id]))
    if query.is_count:
        return query, list(found)
    return query, list(islice(found, query.start - 1, query.start - 1 + query.most))


def _matches(query: Query, row: Mapping[str, Any]) -> bool:
    return all(condition.holds(row) for condition in query.conditions)


def _candidates(query: Query, table: Table) -> Iterator[str]:
    if query.order == _UPDATED and not query.is_descending:
        since = max([c.value for c in query.conditions if c.name == _UPDATED and c.operator == ">="], default=0.0)
        return table.by_time(since)
    lists = [c.value for c in query.conditions if c.name == "id" and c.operator == "in"]
    ids = [remote_id for remote_id in table.rows if not lists or remote_id in set(lists[0])]
    # Id is a text: "10" comes before "9"
    ids.sort(key=lambda remote_id: str(_value(table.rows[remote_id], query.order)), reverse=query.is_descending)
    return iter(ids)


def _value(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - text, truth or time
    if name.startswith("metadata."):
        attribute = "LastUpdatedTime" if name == _UPDATED else "CreateTime"
        return datetime.fromisoformat(row["MetaData"][attribute]).timestamp()
    if name in _NESTED:
        outer, inner = _NESTED[name]
        return row.get(outer, {}).get(inner)
    found = row.get(_PLAIN[name])
    return found.get("value") if isinstance(found, dict) else found


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = self._split(text)
        self._at = 0
        self._entity = ""

    def query(self) -> Query:
        query = Query()
        self._expect("select")
        if self._accept("count"):
            for token in ("(", "*", ")"):
                self._expect(token)
            query.is_count = True
        else:
            self._expect("*")
        self._expect("from")
        query.entity = self._entity = self._next().lower()
        if query.entity not in _COLUMNS:
            raise self._refuse()  # PROVIDERS §3
        if self._accept("where"):
            query.conditions.append(self._condition())
            while self._accept("and"):
                query.conditions.append(self._condition())
        self._tail(query)
        # PROVIDERS §3: inactive ones are hidden unless asked for
        if query.entity in _LISTED and not any(condition.name == "active" for condition in query.conditions):
            query.conditions.append(Condition("active", "=", value=True))
        return query

    def _tail(self, query: Query) -> None:
        if self._accept("orderby") or (self._accept("order") and self._expect("by")):
            query.order = self._name()
            query.is_descending = self._accept("desc")
            self._accept("asc")
        if self._accept("startposition"):
            query.start = self._number()
        if self._accept("maxresults"):
            query.most = self._number()
        if self._at < len(self._tokens):
            raise self._refuse()  # PROVIDERS §3: no OR, no join
        if query.start < 1 or not 1 <= query.most <= _MOST:  # PROVIDERS §1: 1,000 in a page
            raise Refused("4001", "Invalid query", f"QueryValidationError: maxresults is at most {_MOST}")

    def _condition(self) -> Condition:
        name = self._name()
        sign = self._next().lower()
        if sign not in _COMPARE:
            raise self._refuse()  # PROVIDERS §3
        if sign != "in":
            return Condition(name, sign, self._literal(name))
        self._expect("(")
        values = [self._literal(name)]
        while self._accept(","):
            values.append(self._literal(name))
        self._expect(")")
        return Condition(name, sign, frozenset(values))

    def _name(self) -> str:
        token = self._next()
        name = token.lower()
        columns = {one.lower() for one in _COLUMNS[self._entity]} | {_UPDATED, "metadata.createtime"}
        if name not in columns and (self._entity != "customer" or name not in _NESTED):
            raise Refused(  # PROVIDERS §3
                "4001", "Invalid query", f"QueryValidationError: Property {token} not found for Entity {self._entity}"
            )
        return name

    def _literal(self, name: str) -> Any:  # noqa: ANN401 - text, truth or time
        token = self._next()
        if name == "active" and token.lower() in {"true", "false"}:
            return token.lower() == "true"
        if not token.startswith("'"):
            raise self._refuse()  # PROVIDERS §3: all in quotes
        text = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
        if name in {"totalamt", "balance"}:
            return self._amount(text)
        if not name.startswith("metadata."):
            return text
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise self._refuse() from None  # PROVIDERS §3

    def _amount(self, text: str) -> Decimal:
        try:
            return Decimal(text)
        except InvalidOperation:
            raise self._refuse() from None  # PROVIDERS §3

    def _number(self) -> int:
        token = self._next()
        if not token.isdigit():
            raise self._refuse()  # PROVIDERS §3
        return int(token)

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise self._refuse()  # PROVIDERS §3
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> bool:
        if not self._accept(word):
            raise self._refuse()  # PROVIDERS §3: no projection
        return True

    def _split(self, text: str) -> list[str]:
        tokens: list[str] = []
        at = 0
        self._tokens, self._at = tokens, 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._refuse()  # PROVIDERS §3: quotes are escaped
            tokens.append(match[1])
            at = match.end()
        return tokens

    def _refuse(self) -> Refused:
        at = min(self._at, len(self._tokens))
        near = self._tokens[at - 1] if at else "<EOF>"
        return Refused("4000", "Error parsing query", f'QueryParserError: Encountered " {near} " at line 1.')
