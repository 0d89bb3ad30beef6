"""Acme's API over the stored customers: keys, limits, pages, look-ups, refusals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from connectors.acme.sandbox.rules import accepted
from connectors.acme.sandbox.settings import AcmeSettings, RefusedError
from connectors.acme.sandbox.store import Customer, Customers, stamp
from core.ports import Clock, HttpRequest, HttpResponse

MOST: Final = 100
CALLS_PER_SECOND: Final = 10
KEY_SECONDS: Final = 86_400.0
_PARAMETERS: Final = {"limit", "cursor", "updated_since", "external_id", "accord_ref"}
_CUSTOMERS: Final = "/v1/customers"


@dataclass
class Api:
    """One account's endpoints. `told` gives the settings in force; `happened` hears of each event and its object."""

    customers: Customers
    clock: Clock
    told: Callable[[], AcmeSettings]
    happened: Callable[[str, str], None]
    reads: int = 0
    _starts: deque[float] = field(default_factory=deque)
    _keys: dict[str, tuple[float, bytes, HttpResponse]] = field(default_factory=dict)

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        try:
            self._admit(request)
            return self._routed(request)
        except RefusedError as refused:
            return _answer(refused.status, {"error": refused.error}, refused.headers)

    def _admit(self, request: HttpRequest) -> None:
        if request.headers.get("authorization") != f"Bearer {self.told().api_key}":
            raise RefusedError(401, "unauthorized", "no such API key")
        now = self.clock.now()
        while self._starts and self._starts[0] <= now - 1.0:
            self._starts.popleft()
        if self.told().enforce_limits and len(self._starts) >= CALLS_PER_SECOND:
            raise RefusedError(429, "too_many", "fewer calls, please", headers={"retry-after": "1"})
        self._starts.append(now)

    # Decide 2: paths and parameters, how a listing goes on, what a key and a version do, how one looks an object up.
    def _routed(self, request: HttpRequest) -> HttpResponse:
        parts = urlsplit(request.url)
        remote_id = unquote(parts.path.removeprefix(f"{_CUSTOMERS}/"))
        match request.method, parts.path == _CUSTOMERS, parts.path.startswith(f"{_CUSTOMERS}/"):
            case "GET", True, _:
                return self._list(dict(parse_qsl(parts.query, keep_blank_values=True)))
            case "GET", _, True:
                self.reads += 1
                return _answer(200, self.customers.get(remote_id))
            case "POST", True, _:
                return self._create(request)
            case "PATCH", _, True:
                return self._update(request, remote_id)
        if (request.method, parts.path) == ("GET", "/v1/account"):
            return _answer(200, {"id": "acc_lookalike", "name": "Look-alike"})
        raise RefusedError(404, "no_such_path", f"{request.method} {parts.path}")

    def _list(self, query: Mapping[str, str]) -> HttpResponse:
        self.reads += 1
        if set(query) - _PARAMETERS:
            raise RefusedError(400, "unknown_parameter", f"listings take {', '.join(sorted(_PARAMETERS))}")
        limit, cursor = query.get("limit", "20"), query.get("cursor", "0")
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST or not cursor.isdecimal():
            raise RefusedError(400, "bad_parameter", f"limit is 1 to {MOST}, cursor one that we gave")
        found = list(self._chosen(query))
        start, end = int(cursor), int(cursor) + int(limit)
        return _answer(200, {"data": found[start:end], "next_cursor": str(end) if end < len(found) else None})

    def _chosen(self, query: Mapping[str, str]) -> Iterator[Customer]:
        since = query.get("updated_since")
        everybody = self.customers.changed(_time(since)) if since else self.customers.everybody()
        for one in everybody:
            if "external_id" in query and one.get("external_id") != query["external_id"]:
                continue
            if "accord_ref" in query and one.get("attributes", {}).get("accord_ref") != query["accord_ref"]:
                continue
            yield one

    def _create(self, request: HttpRequest) -> HttpResponse:
        key, now = request.headers.get("idempotency-key"), self.clock.now()
        kept = self._keys.get(key) if key else None
        if kept and now < kept[0] + KEY_SECONDS * self.told().lag_scale:
            if kept[1] != request.body:
                raise RefusedError(422, "key_reused", "this key came with another body")
            return HttpResponse(kept[2].status, {**kept[2].headers, "idempotent-replayed": "true"}, kept[2].body)
        attributes = accepted(_body(request))
        if "name" not in attributes:
            raise RefusedError(422, "blank", "name is missing", field="name")
        made = self.customers.create(attributes, now, "accord", key)
        answer = _answer(201, made)
        if key:
            self._keys[key] = (now, request.body, answer)
        self.happened("customer.created", made["id"])
        return answer

    def _update(self, request: HttpRequest, remote_id: str) -> HttpResponse:
        there = self.customers.get(remote_id)
        version = request.headers.get("if-match")
        if version is None:
            raise RefusedError(428, "no_version", "an update names the version that it was decided on")
        if version != there["version"]:
            raise RefusedError(412, "stale", f"the customer is at version {there['version']}")
        after = self.customers.change(remote_id, accepted(_body(request)), self.clock.now(), "accord")
        if after["version"] != version:
            self.happened("customer.updated", remote_id)
        return _answer(200, after)


def _time(text: str) -> str:
    try:
        return stamp(datetime.fromisoformat(text).timestamp())
    except ValueError as error:
        raise RefusedError(400, "bad_parameter", "updated_since is no time") from error


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        return msgspec.json.decode(request.body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "no_json", "the body is no JSON object") from error


def _answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> HttpResponse:
    told = {"content-type": "application/json", **(headers or {})}
    return HttpResponse(status, told, msgspec.json.encode(content))
