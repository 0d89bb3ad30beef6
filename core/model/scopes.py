"""What a token of the API may do. Each scope includes those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

READ: Final = "read"
WRITE: Final = "write"
APPROVE: Final = "approve"
ADMIN: Final = "admin"

SCOPES: Final[Mapping[str, str]] = {
    READ: "viewer: looks at everything, changes nothing",
    WRITE: "operator: edits customers, answers holds, asks for syncs, retries, undoes",
    APPROVE: "approver: activates connections and answers what a mass change or a shrunken listing asks",
    ADMIN: "admin: everything; erases customers",
}


def includes(has: str, needed: str) -> bool:
    """Whether a token of one scope may do what needs another; an unknown scope may do nothing."""
    order = list(SCOPES)
    return has in order and needed in order and order.index(needed) <= order.index(has)


def included(has: str) -> list[str]:
    """Every scope that one includes, itself last."""
    return [one for one in SCOPES if includes(has, one)]
