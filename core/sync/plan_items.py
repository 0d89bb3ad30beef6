"""The lines of a plan: what would happen to one record or object."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.model.values import Value

Kind = Literal["enter", "link", "create", "update", "take", "archive", "hold", "wait"]


class Change(msgspec.Struct, frozen=True):
    """One field's change: `where` is `registry` or the connection."""

    field: str
    where: str
    old: Value
    new: Value
    rule: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to one record or object.

    enter: a new registry customer; link: a mapping to a known one; create: a new object there; update: values
    written there; take: values taken into the registry; archive: it is archived there, as its customer was here;
    hold: a person is asked, and why; wait: not created, and why.
    """

    kind: Kind
    subject: str
    external_id: str = ""
    remote_id: str = ""
    reason: str = ""
    changes: list[Change] = []
    digest: str = ""
    """Names exactly this change."""
