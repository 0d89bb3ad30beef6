"""ASGI's words, typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def raw_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoding and all."""
    return bytes(scope.get("raw_path") or scope["path"].encode()).decode("latin-1")


def header(scope: Scope, name: bytes) -> str | None:
    """One header's value, the first one where it was sent twice."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
