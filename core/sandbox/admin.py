"""The sandbox's own interface beside a look-alike's: what a person at the provider's UI can see and do, as JSON.

GET objects/{kind}, neutral/{kind}, mutations?since=N, stats;
POST edit {kind,id,changes}, delete {kind,id}, bulk {edits:[{kind,id,changes}]}, faults {requests,webhooks},
settings {webhooks_enabled, or any setting of the look-alike}.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, TypeVar, get_type_hints
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from core.errors import AccordError
from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.deliver import Courier
from core.sandbox.faults import FaultPlan, Faults
from core.sandbox.lookalike import LookAlike

T = TypeVar("T")

PREFIX: Final = "/__sandbox__/"
MUTATIONS_PAGE: Final = 1000
"""How many mutations one answer carries at most."""


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One edit by a person; `id` None creates. `changes` are as LookAlike.edit takes them."""

    kind: str = "customer"
    id: str | None = None
    changes: dict[str, Any]


class Bulk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many edits in one call."""

    edits: list[Edit]


class Deletion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person deletes one object."""

    kind: str = "customer"
    id: str


class _RefusedError(Exception):
    """The call to the admin interface was wrong; the text says how."""


class Desk:
    """Where one look-alike is run and looked into."""

    def __init__(self, lookalike: LookAlike, clock: Clock, rng: Random) -> None:
        """Start without faults, webhooks on."""
        self.lookalike = lookalike
        self.faults = Faults(FaultPlan(), rng)
        self.courier = Courier(lookalike, clock, lambda: self.faults)
        self.requests = 0
        self.failures: list[str] = []
        """Tracebacks of the look-alike itself: bugs of the sandbox, not faults."""
        self._rng = rng
        self._gets: Mapping[str, Callable[[str, Mapping[str, str]], object]] = {
            "objects": lambda kind, _: lookalike.objects(kind),
            "neutral": lambda kind, _: lookalike.neutral(kind),
            "mutations": lambda _, query: self._mutations(query),
            "stats": lambda _, __: self._stats(),
        }
        self._posts: Mapping[str, Callable[[bytes], object]] = {
            "edit": self._edit,
            "delete": self._delete,
            "bulk": self._bulk,
            "faults": self._set_faults,
            "settings": self._set_settings,
        }

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one call below PREFIX."""
        parts = urlsplit(request.url)
        verb, _, rest = parts.path.removeprefix(PREFIX).partition("/")
        try:
            if request.method == "GET" and verb in self._gets:
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                return _json(200, self._gets[verb](unquote(rest), query))
            if request.method == "POST" and verb in self._posts and not rest:
                return _json(200, self._posts[verb](request.body))
        except (_RefusedError, AccordError, KeyError, ValueError) as error:
            # a look-alike raises KeyError for an unknown kind or id, the others for what its UI would refuse
            return _json(400, {"error": f"{type(error).__name__}: {error}"})
        return _json(404, {"error": f"no {request.method} {parts.path} here"})

    def _mutations(self, query: Mapping[str, str]) -> object:
        since = int(query.get("since", "0"))
        everything = self.lookalike.mutations
        page = everything[since : since + MUTATIONS_PAGE]
        return {"total": len(everything), "next": since + len(page), "mutations": page}

    def _stats(self) -> object:
        mutations = self.lookalike.mutations
        return {
            "requests": self.requests,
            "reads": self.lookalike.reads,
            "mutations": len(mutations),
            "writes": Counter(mutation.caller for mutation in mutations),
            "strikes": Counter(strike.kind for strike in self.faults.trace),
            "webhooks": self.courier.answers,
            "webhooks_under_way": self.courier.under_way,
            "failures": self.failures,
        }

    def _edit(self, body: bytes) -> object:
        return {"id": self._apply(_decoded(body, Edit))}

    def _bulk(self, body: bytes) -> object:
        return {"ids": [self._apply(edit) for edit in _decoded(body, Bulk).edits]}

    def _apply(self, edit: Edit) -> str:
        return self.lookalike.edit(edit.kind, edit.id, edit.changes)

    def _delete(self, body: bytes) -> object:
        wanted = _decoded(body, Deletion)
        self.lookalike.delete(wanted.kind, wanted.id)
        return {}

    def _set_faults(self, body: bytes) -> object:
        self.faults = Faults(_decoded(body, FaultPlan), self._rng)
        return {}

    def _set_settings(self, body: bytes) -> object:
        changes = _decoded(body, dict[str, Any])
        enabled = changes.pop("webhooks_enabled", self.courier.is_enabled)
        if not isinstance(enabled, bool):
            msg = "webhooks_enabled is true or false"
            raise _RefusedError(msg)
        if changes:
            _change_settings(self.lookalike, changes)
        self.courier.is_enabled = enabled
        return {}


def _change_settings(lookalike: LookAlike, changes: Mapping[str, object]) -> None:
    hints = get_type_hints(type(lookalike.settings))
    unknown = sorted(set(changes) - set(hints))
    if unknown:
        msg = f"{lookalike.name} has no setting {', '.join(unknown)}; it has {', '.join(sorted(hints))}"
        raise _RefusedError(msg)
    valid = {name: msgspec.convert(value, hints[name]) for name, value in changes.items()}
    lookalike.settings = dataclasses.replace(lookalike.settings, **valid)


def _decoded(body: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(body, type=kind)


def _json(status: int, content: object) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, msgspec.json.encode(content))
