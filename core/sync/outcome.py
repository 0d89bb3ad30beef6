"""What a deciding transaction gathers, to be written in one go at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.store import holds as hold_rows
from core.store import journal
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync.registry import Moved


@dataclass(slots=True)
class Outcome:
    """What the transaction has gathered."""

    changed: list[Moved] = field(default_factory=list)
    entries: list[journal.Entry] = field(default_factory=list)
    held: list[hold_rows.Held] = field(default_factory=list)
    mappings: list[MappingRow] = field(default_factory=list)
    intents: list[tuple[DirtyRow, Intent]] = field(default_factory=list)
    done: list[DirtyRow] = field(default_factory=list)
    waiting: list[tuple[DirtyRow, str]] = field(default_factory=list)
    """What may be done by now at any time, without anybody telling of it; and why it waits."""
    in_order: list[str] = field(default_factory=list)
    """Other subjects of what is done: an object may have failed under its own name, and work by its customer's."""
    spent: list[tuple[str, str]] = field(default_factory=list)
    """(subject, field) of answers that were carried out."""
    placed: dict[str, str | None] = field(default_factory=dict)
    """By external id, the objects of customers that got a mapping or a place among the others."""
    has_moved: bool = False
    """Whether one of them hangs elsewhere by now."""
