"""A look-alike of this process, seen and changed as through its admin interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.errors import InvalidInputError
from core.sandbox.admin import Edit
from core.sandbox.lookalike import LookAlike


class Beside:
    """What `SandboxClient` offers, of a look-alike in this process."""

    def __init__(self, lookalike: LookAlike) -> None:
        """Without a socket."""
        self._lookalike = lookalike

    def neutral(self, kind: str = "customer") -> Any:
        """Every live object as neutral fields."""
        return dict(self._lookalike.neutral(kind))

    def objects(self, kind: str = "customer") -> Any:
        """Every live object, provider-shaped."""
        return dict(self._lookalike.objects(kind))

    def edit(self, changes: Any, remote_id: str | None = None, kind: str = "customer") -> str:
        """A person's edit."""
        try:
            return self._lookalike.edit(kind, remote_id, changes)
        except ValueError as error:
            raise InvalidInputError(str(error)) from error

    def bulk(self, edits: Iterable[Edit]) -> list[str]:
        """Many edits."""
        return [self._lookalike.edit(one.kind, one.id, one.changes) for one in edits]
