"""What stands on an object that nobody has seen here: it would go with the object, and be missed later."""

from __future__ import annotations

from collections.abc import Iterator

from core.model.family import PARENT
from core.model.remote import Remote
from core.model.values import PART_OF, Fields, Value, blank, is_figure
from core.store.mappings import MappingRow
from core.sync.hub import Connection, Hub

STATUS = "status"
"""What archiving changes is not lost by it."""


def unseen(
    hub: Hub, connection: Connection, mapping: MappingRow, registry: Fields, remote: Remote
) -> dict[str, list[Value]]:
    """What somebody changed there since the two sides last agreed, or what they never agreed on, by field.

    A field that was agreed on tells what it was then; one that never was, what the registry has.
    """
    base = connection.projection.still_agreed(mapping.base, mapping.translation)
    agreed = {name: there for name, (_, there) in base.items()}
    same = connection.projection.canonical
    found: dict[str, list[Value]] = {}
    for name in sorted({*agreed, *_never_agreed(connection, mapping, registry, remote, agreed)}):
        if name in (PARENT, PART_OF) or is_figure(name):
            continue
        if hub.policy.rule(connection.name, name).flow in ("out", "off"):
            continue
        before = agreed[name] if name in agreed else registry.get(name)
        if name in remote.unreadable:
            found[name] = [before, remote.unreadable[name]]
        elif name not in remote.unmade and (name in remote.fields or remote.metadata_complete):
            there = remote.fields.get(name)
            if same(name, there) != same(name, before):
                found[name] = [before, there]
    return found


def _never_agreed(
    connection: Connection, mapping: MappingRow, registry: Fields, remote: Remote, agreed: Fields
) -> Iterator[str]:
    """Fields that have a value there and are kept by this very object."""
    kept = connection.parts.projection(mapping.part, mapping.remote_id, registry) or connection.projection
    for name, there in remote.fields.items():
        if name not in agreed and name != STATUS and kept.covers(name) and not blank(there):
            yield name
