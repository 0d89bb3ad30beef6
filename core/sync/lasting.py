"""Settings by which documents are read: with another one, what is known and closed would be read as something else."""

from __future__ import annotations

from core.errors import ConfigError
from core.model.documents import KINDS
from core.store import connections, mappings
from core.store.database import Tx
from core.sync.hub import Connection


def check_lasting(tx: Tx, connection: Connection) -> None:
    """Remember such settings until a document is known. Raises ConfigError for one that was another one then."""
    for name, now in _of(connection).items():
        if problem := _problem(tx, connection, name, now):
            raise ConfigError(problem, key=f"connections.{connection.name}.{name}")
        if connections.meta(tx, _meta(connection, name)) != now:
            connections.put_meta(tx, _meta(connection, name), now)


def changed(tx: Tx, connection: Connection) -> list[str]:
    """What is wrong with such settings, in words; nothing is remembered."""
    found = {name: _problem(tx, connection, name, now) for name, now in _of(connection).items()}
    return [f"{name}: {problem}" for name, problem in found.items() if problem]


def _of(connection: Connection) -> dict[str, str]:
    known, given = connection.manifest.settings, connection.config.settings
    return {name: given.get(name) or one.lasting for name, one in known.items() if one.lasting}


def _problem(tx: Tx, connection: Connection, name: str, now: str) -> str:
    before = connections.meta(tx, _meta(connection, name))
    was = f"{name}_was"
    if before in (None, now, connection.config.settings.get(was)):
        return ""
    if not any(mappings.page(tx, connection.name, "", 1, kind) for kind in KINDS):
        return ""
    return (
        f"documents were read with {before!r}, and it is {now!r} now: those that are known, and perhaps closed, would"
        f" be read as others; put {before!r} back, or, if that was wrong, set {was} = {before!r} beside it: what is"
        " another day by it is asked about, document by document"
    )


def _meta(connection: Connection, name: str) -> str:
    return f"{name} of {connection.name}"
