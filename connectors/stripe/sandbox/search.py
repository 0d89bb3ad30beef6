"""Search over an index that lags behind (PROVIDERS §1, §2): a subset of Stripe's query language."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from connectors.stripe.sandbox.customers import Customer
from connectors.stripe.sandbox.settings import RefusedError

_TERM: Final = re.compile(
    r"""\s*(?:(?P<field>email|name|phone)|metadata\[(?P<q>["'])(?P<key>(?:\\.|(?!(?P=q)).)+)(?P=q)\])"""
    r"""(?P<op>[:~])(?P<p>["'])(?P<value>(?:\\.|(?!(?P=p)).)*)(?P=p)\s*"""
)


class LaggedIndex:
    """What Search sees: every customer as it was `lag` seconds ago."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: dict[str, Customer] = {}
        self._coming: deque[tuple[float, str, Customer | None]] = deque()

    def put(self, remote_id: str, customer: Customer | None, visible_at: float) -> None:
        """A change (None: deleted) that Search sees from `visible_at` on."""
        self._coming.append((visible_at, remote_id, customer))

    def found(self, query: str, now: float) -> list[str]:
        """Ids that match, oldest first."""
        while self._coming and self._coming[0][0] <= now:
            _, remote_id, customer = self._coming.popleft()
            if customer is None:
                self._seen.pop(remote_id, None)
            else:
                self._seen[remote_id] = customer
        terms = _terms(query)
        return [remote_id for remote_id, customer in self._seen.items() if all(term(customer) for term in terms)]


def _terms(query: str) -> list[Callable[[Customer], bool]]:
    terms = []
    for text in re.split(r"\s+AND\s+", query.strip()):
        match = _TERM.fullmatch(text)
        if match is None:
            raise RefusedError("We were unable to parse your search query.", param="query")
        key = _unquoted(match["key"]) if match["key"] is not None else None
        terms.append(_term(match["field"], key, match["op"], _unquoted(match["value"]).casefold()))
    return terms


def _term(field: str | None, key: str | None, operator: str, wanted: str) -> Callable[[Customer], bool]:
    def matches(customer: Customer) -> bool:
        held = customer[field] if field else customer["metadata"].get(key)
        text = (held or "").casefold()
        return wanted in text if operator == "~" else bool(held) and text == wanted

    return matches


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
