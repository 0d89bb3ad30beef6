"""After a restore: a copy that an older database has forgotten is found by its marker, and never made a second time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec

from core.errors import AccordError, ReplyError
from core.model.documents import KINDS
from core.ports import Sighting
from core.store import connections, journal, mappings
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.batch import Report
from core.sync.documents import by_hand
from core.sync.documents.copies import close_holds, hold, wait
from core.sync.documents.finding import find_own, several
from core.sync.documents.forgetting import RESTORED_AT, may_be_forgotten, restored, restored_at
from core.sync.documents.listing import OFFER
from core.sync.documents.marking import mark_mappings
from core.sync.documents.offering import fresh_mapping
from core.sync.documents.standing import Copy
from core.sync.failing import Trouble, back_off, dealt_with, record_trouble
from core.sync.hub import Connection, Hub

BEHIND_SECONDS: Final = timedelta(hours=2).total_seconds()
"""Longer than a provider's index is behind what was made: an hour in an outage (PROVIDERS §1), and clocks differ."""
LATER: Final = 2
"""A copy that was deleted since the backup may have been made anew on request, under a marker of its own: of so many
it is looked for.
"""


class _Own(NamedTuple):
    """Objects that carry the marker of a copy, or of one that was made in its place, and the mapping of that one."""

    mapping: MappingRow
    there: Sequence[Sighting] = ()


def forget_listings(tx: Tx, hub: Hub) -> None:
    """All documents are listed again, and copies of what was there before are looked for before they are made."""
    connections.put_meta(tx, RESTORED_AT, str(hub.clock.now()))
    for row in connections.every(tx):
        for kind, mode in (*((kind, "full") for kind in KINDS), (OFFER, "offer")):
            cursor = connections.cursor(tx, row.name, kind, mode)
            connections.put_cursor(tx, msgspec.structs.replace(cursor, cursor=None, run=None, completed_at=None))


async def recover(hub: Hub, connection: Connection, copies: Sequence[Copy], report: Report) -> list[Copy]:
    """The same copies; those that are there already although nobody remembers it are linked.

    Left out are those that are there and cannot be read (they are seen among the failures), those that are there more
    than once (a person is asked which it is), and those that may be in another entity's books, until these were asked.
    """
    put_back = await hub.db.read(restored)
    if put_back is None:
        return list(copies)
    found = []
    for copy in copies:
        if copy.mapping.remote_id is None and may_be_forgotten(copy.paper, put_back):
            looked_at = replace(copy, seen_at=hub.clock.now())
            try:
                own = await _find_own(hub, connection, looked_at)
            except ReplyError as error:
                trouble = Trouble(error, record_id=copy.paper.customer_id)
                await hub.db.run(lambda tx, c=copy, t=trouble: record_trouble(tx, hub, connection, {c.row: t}))  # type: ignore[misc]
                report.failed += 1
                continue
            if len(own.there) > 1:
                await hub.db.run(lambda tx, c=looked_at, o=own.there: hold(tx, hub, connection, c, several(c, o)))  # type: ignore[misc]
                report.held += 1
                continue
            # also where it is found here: books may be shared, and it may be in those of the entity that it was of
            if not await _is_elsewhere_told(hub, connection, looked_at, report):
                continue
            if own.there:
                linked = await hub.db.run(lambda tx, c=looked_at, o=own: _link(tx, hub, connection, c, o))  # type: ignore[misc]
                found += [linked] if linked else []
                continue
        found.append(copy)
    return found


async def _find_own(hub: Hub, connection: Connection, copy: Copy) -> _Own:
    """Objects that carry the copy's marker, whenever they were made: also just before the restore.

    An index may not show those yet, and once the document has changed its create goes out under another key.
    """
    at = await hub.db.read(restored_at) or 0.0
    is_shown = not connection.manifest.lookup_lag_seconds or hub.clock.now() > at + BEHIND_SECONDS
    for since in (None,) if is_shown else (None, at - BEHIND_SECONDS):
        for mapping in _generations(copy, hub.clock.now()):
            own = await find_own(hub, connection, replace(copy, mapping=mapping), since=since)
            if own:
                return _Own(mapping, own)
    return _Own(copy.mapping)


def _generations(copy: Copy, now: float) -> Iterator[MappingRow]:
    """The copy's mapping, and those that its successors have got."""
    yield copy.mapping
    for generation in range(copy.mapping.generation + 1, copy.mapping.generation + 1 + LATER):
        yield fresh_mapping(copy.paper, copy.mapping.connection, generation, now)


async def _is_elsewhere_told(hub: Hub, connection: Connection, copy: Copy, report: Report) -> bool:
    """Whether all other entities' books were asked; what is found there is known to be booked there from then on.

    False, too, where it is there more than once: a person is asked which it is, before it is booked here.

    Whose it is may have changed since it was booked, and its own books' lane would never look for it. They are only
    read, within the limits of their own connector.
    """
    kind = copy.mapping.kind
    books = [one for one in hub.connections.values() if one.policy.documents.entities and one.name != connection.name]
    for other in books if connection.policy.documents.entities else ():
        if kind not in other.policy.documents.mirrors or other.name == copy.paper.origin:
            continue
        there = await hub.db.read(lambda tx, o=other: _mapping_at(tx, hub, o, copy))  # type: ignore[misc]
        if there.remote_id is not None:
            continue
        try:
            own = await _find_own(hub, other, replace(copy, mapping=there))
        except AccordError as error:
            why, until = (
                f"{other.name} cannot be asked: {error}",
                hub.clock.now() + back_off(hub.timing, copy.row.attempts),
            )
            await hub.db.run(lambda tx, w=why, u=until: wait(tx, connection, copy, report, why=w, until=u))  # type: ignore[misc]
            return False
        if len(own.there) > 1:
            asked = several(copy, own.there, at=other.name)
            await hub.db.run(lambda tx, a=asked: hold(tx, hub, connection, copy, a))  # type: ignore[misc]
            report.held += 1
            return False
        if own.there:
            found = replace(copy, mapping=there)
            await hub.db.run(lambda tx, c=other, f=found, o=own: _known_at(tx, hub, c, f, o))  # type: ignore[misc]
    return True


def _mapping_at(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> MappingRow:
    """The document's mapping in other books; where it has none, the one that was made next there.

    Of those that ended before, the registry remembers what became of their copies.
    """
    known = mappings.of_records(tx, [copy.paper.id]).get(copy.paper.id, ())
    here = next((row for row in known if row.connection == connection.name), None)
    used = mappings.generations(tx, [copy.paper.id], connection.name).get(copy.paper.id, 0)
    return here or fresh_mapping(copy.paper, connection.name, used + 1, hub.clock.now())


def _known_at(tx: Tx, hub: Hub, connection: Connection, copy: Copy, own: _Own) -> None:
    if copy.mapping.id not in mappings.by_ids(tx, [copy.mapping.id]):
        mappings.insert(tx, [copy.mapping])
    if linked := _link(tx, hub, connection, copy, own):
        mark_mappings(tx, hub, [linked.mapping], reason="found in these books", trace=copy.row.trace)


def _link(tx: Tx, hub: Hub, connection: Connection, copy: Copy, own: _Own) -> Copy | None:
    """The copy with its object; None where it was let go of, or linked, while that was asked for.

    None, too, where the object is of another mapping: that one is looked at in its own turn.
    """
    mappings.lock(tx, [copy.mapping.id])
    mapping, now, (there,) = mappings.by_ids(tx, [copy.mapping.id])[copy.mapping.id], hub.clock.now(), own.there
    if mapping.state in (mappings.ENDED, "excluded") or mapping.remote_id is not None:
        return None
    is_later = own.mapping.id != mapping.id
    if is_later:
        ended = msgspec.structs.replace(mapping, state=mappings.ENDED, note="it was made anew", updated_at=now)
        mappings.update(tx, [ended])
        close_holds(tx, hub, connection, copy)
        mapping = msgspec.structs.replace(own.mapping, base=by_hand.kept(mapping))
        mappings.insert(tx, [mapping])
    linked = msgspec.structs.replace(mapping, remote_id=there.id, state="live", updated_at=now)
    mappings.update(tx, [linked])
    journal.write(tx, [journal.about(linked, at=now, action="link", actor="accord", trace=copy.row.trace)])
    if is_later:
        mark_mappings(tx, hub, [linked], reason="it was made anew", trace=copy.row.trace)
        dealt_with(tx, connection, [copy.row])
        return None
    return replace(copy, mapping=linked, raw=there.raw)
