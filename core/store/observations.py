"""Observations: what was last seen of each remote object, mapped or not. They say what to look at, and feed plans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.keys import email_key
from core.model.remote import Remote
from core.store import tombstones
from core.store.database import Tx
from core.store.mappings import IS_LIVE
from core.store.tables import MAPPINGS, OBSERVATIONS
from core.store.text import DIALECTS, SOME, AnyRow, chunks, dump, upsert

_REMOTE = msgspec.json.Decoder(Remote)
_NAMES = ("remote_id", "digest", "remote", "state", "raw")
_COLUMNS = tuple(OBSERVATIONS.c[name] for name in _NAMES)
_CHANGED = ("digest", "remote", "raw", "accord_ref", "external_id", "email_key", "parent_id", "state", "seen_at")

ERASED: Final = "erased"
UNSEEN: Final = ""
"""No object has this digest: what carries it is news to the next sweep."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One remote object as last seen. state: live | gone | erased.

    `raw` is the object's JSON where a write may be computed from it later, "" elsewhere.
    """

    remote_id: str
    digest: str
    remote: Remote
    state: str = "live"
    raw: str = ""


def _is_unmapped() -> sa.ColumnElement[bool]:
    mapped = sa.exists().where(
        MAPPINGS.c.connection == OBSERVATIONS.c.connection,
        MAPPINGS.c.kind == OBSERVATIONS.c.kind,
        MAPPINGS.c.remote_id == OBSERVATIONS.c.remote_id,
        IS_LIVE,
        MAPPINGS.c.remote_id.is_not(None),
    )
    return ~mapped


_EXACTLY: Final = (OBSERVATIONS.c.connection == sa.bindparam("connection"), OBSERVATIONS.c.kind == sa.bindparam("kind"))
# as expressions, so that SQLite's planner looks values up instead of walking the whole connection
_LOOSELY: Final = (
    OBSERVATIONS.c.connection.concat("") == sa.bindparam("connection"),
    OBSERVATIONS.c.kind.concat("") == sa.bindparam("kind"),
)
_STATE: Final = OBSERVATIONS.c.state.concat("")
"""As an expression, too: objects that are named are looked up by their ids, and not among all that are there."""
_PUT: Final = {name: upsert(name, OBSERVATIONS, ("connection", "kind", "remote_id"), _CHANGED) for name in DIALECTS}
_BY_ID: Final = sa.select(*_COLUMNS).where(*_EXACTLY, OBSERVATIONS.c.remote_id.in_(SOME))
_DIGESTS: Final = sa.select(OBSERVATIONS.c.remote_id, OBSERVATIONS.c.digest).where(
    *_EXACTLY, OBSERVATIONS.c.remote_id.in_(SOME), _STATE.in_(("live", ERASED))
)
_UNMAPPED: Final = (
    sa.select(*_COLUMNS)
    .where(*_EXACTLY, OBSERVATIONS.c.state == "live", OBSERVATIONS.c.remote_id > sa.bindparam("after"), _is_unmapped())
    .order_by(OBSERVATIONS.c.remote_id)
    .limit(sa.bindparam("most"))
)
_IDS_AFTER: Final = (
    sa.select(OBSERVATIONS.c.remote_id)
    .where(*_EXACTLY, OBSERVATIONS.c.state == "live", OBSERVATIONS.c.remote_id > sa.bindparam("after"))
    .order_by(OBSERVATIONS.c.remote_id)
    .limit(sa.bindparam("most"))
)
_LATEST: Final = (
    sa.select(OBSERVATIONS.c.remote_id)
    .where(*_EXACTLY, OBSERVATIONS.c.state == "live")
    .order_by(OBSERVATIONS.c.seen_at.desc(), OBSERVATIONS.c.remote_id)
    .limit(sa.bindparam("most"))
)
_COUNT: Final = (
    sa.select(sa.func.count()).select_from(OBSERVATIONS).where(*_EXACTLY, OBSERVATIONS.c.state == sa.bindparam("state"))
)
_BELOW: Final = (
    sa.select(OBSERVATIONS.c.parent_id, OBSERVATIONS.c.remote_id)
    .where(*_LOOSELY, OBSERVATIONS.c.state == "live", OBSERVATIONS.c.parent_id.in_(SOME))
    .order_by(OBSERVATIONS.c.remote_id)
)
_ABOVE: Final = sa.select(OBSERVATIONS.c.remote_id, OBSERVATIONS.c.parent_id).where(
    *_EXACTLY, OBSERVATIONS.c.remote_id.in_(SOME), _STATE == "live", OBSERVATIONS.c.parent_id.is_not(None)
)
_DOUBLES: Final = {
    by: sa.select(OBSERVATIONS.c[by], OBSERVATIONS.c.remote_id)
    .where(*_LOOSELY, OBSERVATIONS.c.state == "live", OBSERVATIONS.c[by].in_(SOME), _is_unmapped())
    .order_by(OBSERVATIONS.c.remote_id)
    for by in ("accord_ref", "external_id", "email_key")
}


def digests(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, str]:
    """What these objects (but gone ones) looked like last time, by id: the fast path of a sweep."""
    found: dict[str, str] = {}
    for some in chunks(list(remote_ids)):
        rows = tx.rows(_DIGESTS, {"some": some, "connection": connection, "kind": kind})
        found.update((row[0], row[1]) for row in rows)
    return found


def by_ids(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, Observation]:
    """Observations by remote id, those of gone objects included."""
    found: dict[str, Observation] = {}
    for some in chunks(sorted(set(remote_ids))):
        rows = tx.rows(_BY_ID, {"some": some, "connection": connection, "kind": kind})
        found.update((row[0], _observation(row)) for row in rows)
    return found


def put(tx: Tx, connection: str, kind: str, seen: Sequence[Observation], now: float) -> None:
    """Store what was seen; of erased objects no more than that they were."""
    tx.serialize("erasure", is_shared=True)  # an erasure that commits between the look and the write would be undone
    erased = tombstones.erased_among(tx, connection, kind, [one.remote for one in seen])
    kept = [_emptied(one) if one.remote_id in erased else one for one in seen] if erased else seen
    rows = [_row(connection, kind, one, now) for one in kept]
    tx.load(_PUT[tx.dialect], rows)


def _emptied(one: Observation) -> Observation:
    return Observation(
        remote_id=one.remote_id, digest=one.digest, remote=Remote(id=one.remote_id, fields={}), state=ERASED
    )


def erase(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str], now: float) -> None:
    """Keep nothing of these objects; their tombstones are there already."""
    put(tx, connection, kind, list(by_ids(tx, connection, kind, remote_ids).values()), now)


def unmapped(tx: Tx, connection: str, kind: str, after: str, limit: int) -> list[Observation]:
    """Live objects without a mapping, by remote id."""
    values = {"connection": connection, "kind": kind, "after": after, "most": limit}
    return [_observation(row) for row in tx.rows(_UNMAPPED, values)]


def doubles(tx: Tx, connection: str, kind: str, column: str, values: Iterable[str]) -> dict[str, list[str]]:
    """Remote ids of live, unmapped objects by accord_ref, external_id or email_key."""
    found: dict[str, list[str]] = {}
    for some in chunks(sorted({value for value in values if value})):
        for value, remote_id in tx.rows(_DOUBLES[column], {"some": some, "connection": connection, "kind": kind}):
            found.setdefault(value, []).append(remote_id)
    return found


def below(tx: Tx, connection: str, kind: str, parent_ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids of live objects by the object that is their parent."""
    found: dict[str, list[str]] = {}
    for some in chunks(sorted(set(parent_ids))):
        for parent_id, remote_id in tx.rows(_BELOW, {"some": some, "connection": connection, "kind": kind}):
            found.setdefault(parent_id, []).append(remote_id)
    return found


def parents(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, str]:
    """The parent of each of these live objects that has one."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(remote_ids))):
        found.update(
            (row[0], row[1]) for row in tx.rows(_ABOVE, {"some": some, "connection": connection, "kind": kind})
        )
    return found


def ids_after(tx: Tx, connection: str, kind: str, after: str, limit: int) -> list[str]:
    """Ids of live objects in order, for walking all of them."""
    values = {"connection": connection, "kind": kind, "after": after, "most": limit}
    return [row[0] for row in tx.rows(_IDS_AFTER, values)]


def latest(tx: Tx, connection: str, kind: str, limit: int) -> list[str]:
    """Ids of the live objects that were seen last."""
    return [row[0] for row in tx.rows(_LATEST, {"connection": connection, "kind": kind, "most": limit})]


def count(tx: Tx, connection: str, kind: str, state: str = "live") -> int:
    """How many objects of a connection are known in a state."""
    return int(tx.execute(_COUNT, {"connection": connection, "kind": kind, "state": state}).scalar_one())


def _observation(row: AnyRow) -> Observation:
    return Observation(remote_id=row[0], digest=row[1], remote=_REMOTE.decode(row[2]), state=row[3], raw=row[4])


def _row(connection: str, kind: str, one: Observation, now: float) -> dict[str, Any]:
    email = one.remote.fields.get("email")
    return {
        "connection": connection,
        "kind": kind,
        "remote_id": one.remote_id,
        "digest": one.digest,
        "remote": dump(one.remote),
        "raw": one.raw,
        "accord_ref": one.remote.accord_ref,
        "external_id": one.remote.external_id,
        "email_key": email_key(email) if isinstance(email, str) else "",
        "parent_id": one.remote.parent_id,
        "state": one.state,
        "seen_at": now,
    }
