"""What a tie-out rests on: how each connection stands that documents come from or go to, and when it was last read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from core.model.settings import Zone
from core.store import connections, holds
from core.store.connections import ConnectionRow, Cursors
from core.store.database import Tx
from core.sync.documents.looking import LOOK
from core.sync.hub import KIND, Connection, Hub
from core.sync.sweep import listing_subject

ABSENT = "not configured"
"""The state of a connection that documents came from, and that accord.toml does not name any more."""
LAST: Final = timezone(timedelta(hours=-12))
"""Where a day ends last: that of an origin that tells days, and not where they are."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """One connection. Times are UTC; "" is never.

    `listed_at`: since when all documents that originate there were listed in full, or all copies looked at that no feed
    tells of. `is_listed`: whether there are any to list. `changes_at`: up to when its changes were read. `problems`:
    why nothing can be said by it. `unread`: what else brings money there, and is in nothing that is told here.
    """

    connection: str
    originates: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    state: str
    error_code: str = ""
    error: str = ""
    paused_until: str = ""
    listed_at: str = ""
    is_listed: bool = False
    changes_at: str = ""
    is_sound: bool
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def grounds(tx: Tx, hub: Hub, period: str, places: Mapping[str, Collection[str]]) -> list[Ground]:
    """How each connection stands that has to do with documents, or is one of the `places` of those that are counted.

    `places`: by connection, the kinds of which some were made there; none where there are copies only.
    """
    rows, now = {row.name: row for row in connections.every(tx)}, hub.clock.now()
    cursors = connections.every_cursor(tx, rows)
    found = []
    for name, row in sorted(rows.items()):
        connection = hub.connections.get(name)
        end = _end_of(period, _zone_of(connection))
        needed = end if end <= now else now - hub.timing.full_every
        if connection is None:
            if name in places:
                found.append(_absent(row, cursors[name], needed))
        elif connection.policy.documents.originates or connection.policy.documents.mirrors or name in places:
            more = [*_untold(connection, cursors[name], needed, places.get(name, ())), *_shrunk(tx, connection)]
            found.append(_ground(connection, row, cursors[name], now, needed, more))
    return found


def sound(found: Collection[Ground]) -> list[dict[str, object]]:
    """The part of it that is the same until something happens: what a digest may cover. No times."""
    names = ("connection", "originates", "mirrors", "state", "error_code", "is_sound")
    return [{name: msgspec.to_builtins(getattr(one, name)) for name in names} for one in found]


def is_over(hub: Hub, period: str) -> bool:
    """Whether a month, or a year, has ended wherever documents originate: until then there may be more of it."""
    origins = [one for one in hub.connections.values() if one.policy.documents.originates]
    zones = [UTC, *(_zone_of(one) for one in origins)]
    return hub.clock.now() >= max(_end_of(period, zone) for zone in zones)


def _end_of(period: str, zone: tzinfo) -> float:
    """The first moment after a month, or a year, in a zone."""
    year, month = int(period[:4]), int(period[5:] or 12)
    after = date(year + month // 12, month % 12 + 1, 1)
    return datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()


def _zone_of(connection: Connection | None) -> tzinfo:
    """The zone whose days documents are dated by that originate at a connection."""
    if connection is None or not connection.policy.documents.originates:
        return UTC
    setting = next((name for name, one in connection.manifest.settings.items() if isinstance(one.form, Zone)), None)
    return LAST if setting is None else ZoneInfo(connection.config.settings.get(setting) or "UTC")


def _ground(
    connection: Connection, row: ConnectionRow, cursors: Cursors, now: float, needed: float, more: Sequence[str]
) -> Ground:
    policy = connection.policy.documents
    read_at, listings = cursors[KIND, "changes"].started_at, _listings(connection, cursors)
    problems = [*_standing(row, now), *_reading(connection, cursors, needed), *more]
    return Ground(
        connection=row.name,
        originates=policy.originates,
        mirrors=policy.mirrors,
        state=row.state,
        error_code=row.error_code,
        error=row.error,
        paused_until=_moment(row.paused_until if (row.paused_until or 0.0) > now else None),
        listed_at=_moment(min(listings, default=0.0) or None),
        is_listed=bool(listings),
        changes_at=_moment(read_at),
        is_sound=not problems,
        problems=tuple(problems),
        unread=connection.manifest.unread if policy.originates else (),
    )


def _standing(row: ConnectionRow, now: float) -> Iterator[str]:
    """What is the matter with a connection as such."""
    if row.state == "reauthorize":
        yield f"it must be authorised again: `accord connect {row.name}`"
    elif row.state != "active":
        yield f"it observes, and nothing is taken or copied: `accord plan {row.name}`, then `accord activate`"
    if row.error_code:
        yield f"{row.error_code}: {row.error}"
    elif (row.paused_until or 0.0) > now:
        yield f"it is paused until {_moment(row.paused_until)}"


def _reading(connection: Connection, cursors: Cursors, needed: float) -> Iterator[str]:
    """What was not read since the period's end, or, of one that is not over, for a day."""
    name, policy, specs = connection.name, connection.policy.documents, connection.manifest.documents
    unlisted = [kind for kind in policy.originates if specs[kind].lists and not cursors[kind, "full"].completed_at]
    for kind in unlisted:
        yield f"its {kind.replace('_', ' ')}s were never listed in full, or are being listed anew: `accord sync {name}`"
    changes_at = cursors[KIND, "changes"].started_at or 0.0
    fed = any(specs[kind].feeds for kind in (*policy.originates, *policy.mirrors))
    if fed and changes_at < needed:
        since = _moment(changes_at) or "never"
        yield f"its changes were last read {since}, and are needed up to {_moment(needed)}: `accord sync {name}`"
    for kind in _unfed(connection):
        looked_at = cursors[kind, LOOK].completed_at or 0.0
        if looked_at < needed:
            since = _moment(looked_at) or "never"
            yield (
                f"its copies of {kind}s were last looked at {since}, and that is needed after {_moment(needed)}:"
                f" `accord sync {name} --kind {kind}s`"
            )


def _untold(connection: Connection, cursors: Cursors, needed: float, made: Collection[str]) -> Iterator[str]:
    """Kinds of which documents that are counted were made there, and which policy takes no more."""
    specs = connection.manifest.documents
    for kind in sorted({*made} - {*connection.policy.documents.originates}):
        listed_at = cursors[kind, "full"].completed_at or 0.0
        if kind in specs and specs[kind].lists and listed_at < needed:
            since = _moment(listed_at) or "never"
            yield (
                f"its {kind.replace('_', ' ')}s are not taken any more; they were last listed {since}, and that is"
                f" needed after {_moment(needed)}: name them in originates until then"
            )


def _shrunk(tx: Tx, connection: Connection) -> list[str]:
    """What its last listings did not show, and nobody has looked for: of that, nobody knows whether it still counts."""
    subjects = [listing_subject(kind) for kind in connection.policy.documents.originates]
    known = holds.of_subjects(tx, connection.name, subjects)
    asked = [one for _, some in sorted(known.items()) for one in some if one.state == "open"]
    return [f"{one.detail['problem']}: answer the hold {one.id}" for one in asked]


def _unfed(connection: Connection) -> list[str]:
    specs = connection.manifest.documents
    return [kind for kind in connection.policy.documents.mirrors if not specs[kind].feeds]


def _listings(connection: Connection, cursors: Cursors) -> list[float]:
    """When each of its complete looks was; 0 for one that is still to be."""
    policy, specs = connection.policy.documents, connection.manifest.documents
    times = [cursors[kind, "full"].completed_at for kind in policy.originates if specs[kind].lists]
    times += [cursors[kind, LOOK].completed_at for kind in _unfed(connection)]
    return [one or 0.0 for one in times]


def _absent(row: ConnectionRow, cursors: Cursors, needed: float) -> Ground:
    """Its documents are still counted; what became of them since it was taken out of accord.toml, nobody knows."""
    read_at = cursors[KIND, "changes"].started_at or 0.0
    problem = f"accord.toml does not name it any more; its changes were last read {_moment(read_at) or 'never'}"
    problems = (problem,) if read_at < needed else ()
    return Ground(
        connection=row.name, state=ABSENT, changes_at=_moment(read_at), is_sound=not problems, problems=problems
    )


def _moment(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}" if seconds else ""
