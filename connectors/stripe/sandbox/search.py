"""Search over an index that lags behind (PROVIDERS §1, §2): a subset of Stripe's query language."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from connectors.stripe.sandbox.settings import RefusedError

Thing = dict[str, Any]

_TERM: Final = re.compile(
    r"""\s*(?:(?P<field>[a-z]+)|metadata\[(?P<q>["'])(?P<key>(?:\\.|(?!(?P=q)).)+)(?P=q)\])"""
    r"""(?P<op>[:~])(?P<p>["'])(?P<value>(?:\\.|(?!(?P=p)).)*)(?P=p)\s*"""
)


class LaggedIndex:
    """What Search sees: every object of a kind as it was `lag` seconds ago."""

    def __init__(self, fields: frozenset[str]) -> None:
        """Start empty. `fields`: what can be searched for besides metadata."""
        self._fields = fields
        self._seen: dict[str, Thing] = {}
        self._coming: deque[tuple[float, str, Thing | None]] = deque()

    def put(self, remote_id: str, thing: Thing | None, visible_at: float) -> None:
        """A change (None: deleted) that Search sees from `visible_at` on."""
        self._coming.append((visible_at, remote_id, thing))

    def found(self, query: str, now: float) -> list[str]:
        """Ids that match, oldest first."""
        while self._coming and self._coming[0][0] <= now:
            _, remote_id, thing = self._coming.popleft()
            if thing is None:
                self._seen.pop(remote_id, None)
            else:
                self._seen[remote_id] = thing
        terms = _terms(query, self._fields)
        return [remote_id for remote_id, thing in self._seen.items() if all(term(thing) for term in terms)]


def _terms(query: str, fields: frozenset[str]) -> list[Callable[[Thing], bool]]:
    terms = []
    for text in re.split(r"\s+AND\s+", query.strip()):
        match = _TERM.fullmatch(text)
        if match is None or match["field"] not in {None, *fields}:
            raise RefusedError("We were unable to parse your search query.", param="query")  # PROVIDERS §1
        key = _unquoted(match["key"]) if match["key"] is not None else None
        terms.append(_term(match["field"], key, match["op"], _unquoted(match["value"]).casefold()))
    return terms


def _term(field: str | None, key: str | None, operator: str, wanted: str) -> Callable[[Thing], bool]:
    def matches(thing: Thing) -> bool:
        held = thing[field] if field else thing["metadata"].get(key)
        text = (held or "").casefold()
        return wanted in text if operator == "~" else bool(held) and text == wanted

    return matches


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
