"""A small synchronous client of the sandbox's admin interface, for tests, the demo and the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from core.errors import InvalidInputError
from core.sandbox.admin import PREFIX, Bulk, Deletion, Edit
from core.sandbox.faults import FaultPlan
from core.sandbox.lookalike import Mutation

_TIMEOUT_SECONDS: Final = 30.0
_BULK: Final = 1000


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What one look-alike has seen. `writes` counts mutations by caller."""

    requests: int
    reads: int
    mutations: int
    writes: dict[str, int]
    strikes: dict[str, int]
    webhooks: dict[str, int]
    webhooks_under_way: int
    failures: list[str]


class _Mutations(msgspec.Struct, frozen=True):
    total: int
    next: int
    mutations: list[Mutation]


class SandboxClient:
    """One look-alike, seen and changed from outside. Keeps one connection; not for several threads."""

    def __init__(self, url: str) -> None:
        """`url` is the look-alike's base URL."""
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)

    def objects(self, kind: str = "customer") -> dict[str, dict[str, Any]]:
        """Every live object, provider-shaped."""
        return msgspec.json.decode(self._call("GET", f"objects/{quote(kind)}"), type=dict[str, dict[str, Any]])

    def neutral(self, kind: str = "customer") -> dict[str, dict[str, Any]]:
        """Every live object as neutral fields."""
        return msgspec.json.decode(self._call("GET", f"neutral/{quote(kind)}"), type=dict[str, dict[str, Any]])

    def mutations(self, since: int = 0) -> list[Mutation]:
        """Every change from number `since` on (0: from the start), oldest first."""
        found: list[Mutation] = []
        while True:
            page = msgspec.json.decode(self._call("GET", f"mutations?since={since + len(found)}"), type=_Mutations)
            found += page.mutations
            if page.next >= page.total or not page.mutations:
                return found

    def stats(self) -> Stats:
        """What the look-alike has seen so far."""
        return msgspec.json.decode(self._call("GET", "stats"), type=Stats)

    def edit(self, changes: Mapping[str, Any], remote_id: str | None = None, kind: str = "customer") -> str:
        """A person's edit by neutral field names; without `remote_id` a new object. Returns the id."""
        answer = self._call("POST", "edit", Edit(kind=kind, id=remote_id, changes=dict(changes)))
        return msgspec.json.decode(answer, type=dict[str, str])["id"]

    def bulk(self, edits: Iterable[Edit]) -> list[str]:
        """Many edits; the ids in order."""
        found: list[str] = []
        for some in _chunks(list(edits)):
            found += msgspec.json.decode(self._call("POST", "bulk", Bulk(edits=some)), type=dict[str, list[str]])["ids"]
        return found

    def delete(self, remote_id: str, kind: str = "customer") -> None:
        """A person deletes the object."""
        self._call("POST", "delete", Deletion(kind=kind, id=remote_id))

    def faults(self, plan: FaultPlan) -> None:
        """Let this go wrong from now on, instead of what was planned before; an empty plan ends it."""
        self._call("POST", "faults", plan)

    def settings(self, **changes: object) -> None:
        """Change `webhooks_enabled` or any setting of the look-alike (`webhook_url`, ...)."""
        self._call("POST", "settings", changes)

    def close(self) -> None:
        """Let go of the socket."""
        self._connection.close()

    def _call(self, method: str, path: str, content: object = None) -> bytes:
        body = None if content is None else msgspec.json.encode(content)
        try:
            return self._exchange(method, path, body)
        except (HTTPException, OSError):
            # closed so that the next call connects again; not repeated here, since it may have been executed
            self._connection.close()
            raise

    def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, PREFIX + path, body)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != HTTPStatus.OK:
            raise InvalidInputError(content.decode("utf-8", "replace"))
        return content


def _chunks(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    for start in range(0, len(edits), _BULK):
        yield list(edits[start : start + _BULK])
