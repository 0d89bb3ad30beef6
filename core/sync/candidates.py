"""Which objects a lost create may have made, where they carry no marker: by their name, and by when they were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.errors import ReplyError
from core.model.values import Fields
from core.ports import Sighting
from core.store import mappings
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.hub import KIND, Connection

OFFERED: Final = 25
"""More than these nobody looks through; the others wait for the answer just as well."""

MADE_WITHIN_SECONDS: Final = 3600.0
"""A create that was held up by rate limits leaves long after its intent was committed; so may its last repeat."""


def made_until(intent: Intent) -> float:
    """By our clock: what was made later is none of this create's."""
    return max(intent.sent_at, intent.resolve_after or 0.0) + MADE_WITHIN_SECONDS


def has_value(connection: Connection, intent: Intent, found: Sighting) -> bool:
    """Nothing else there can get the unique value now. An inactive object may have given its name free."""
    fields = _fields(connection, found)
    is_active = fields is not None and fields.get("status") != "inactive"
    return not connection.manifest.has_marker and is_active and _is_named(connection, intent, fields)


def perhaps_made(tx: Tx, connection: Connection, intent: Intent, found: Sequence[Sighting]) -> list[str]:
    """The ids of those that may be it, likeliest first.

    Only one object can have the unique value: if it is another customer's, it was never ours. Of those that have
    another value by now, none is ours that was ever anybody's.
    """
    ids = [one.id for one in found]
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, ids)
    ended = mappings.ended_notes(tx, connection.name, KIND, ids)
    ranked = []
    for one in found:
        fields = _fields(connection, one)
        is_named = _is_named(connection, intent, fields)
        is_left_out = one.id in mapped and mapped[one.id].state == "excluded"
        if (is_left_out and is_named) or (one.id not in mapped and (is_named or one.id not in ended)):
            ranked.append((-_likeness(connection, intent, fields), one.id))
    return [remote_id for _, remote_id in sorted(ranked)]


def _fields(connection: Connection, found: Sighting) -> Fields | None:
    try:
        return connection.observed(found).remote.fields
    except ReplyError:
        return None


def _is_named(connection: Connection, intent: Intent, fields: Fields | None) -> bool:
    """One that cannot be understood may be anybody's."""
    same = connection.projection.canonical
    unique = connection.manifest.unique_fields
    return fields is None or all(same(name, fields.get(name)) == same(name, intent.wanted.get(name)) for name in unique)


def _likeness(connection: Connection, intent: Intent, fields: Fields | None) -> int:
    same = connection.projection.canonical
    return sum(same(name, sent) == same(name, (fields or {}).get(name)) for name, sent in intent.wanted.items())
