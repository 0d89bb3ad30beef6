"""The two notes of a database's life: a row of `meta`, and a file that stays where it is when a backup is put back."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from core.errors import StorageError
from core.model.life import Life
from core.store import api_tokens, tombstones
from core.store.connections import meta, put_meta
from core.store.database import Database, Tx, sqlite_file
from core.store.tombstones import Tombstone

NAME: Final = "life"
_TURNS: Final = 1000
_TURN_SECONDS: Final = 0.01
_HOME: Final = sa.text(
    "SELECT oid::text || '/' || to_regclass('meta')::oid::text FROM pg_database WHERE datname = current_database()"
)
_MAY_ASK: Final = sa.text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
_SYSTEM: Final = sa.text("SELECT system_identifier::text FROM pg_control_system()")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says."""

    life: Life
    tombstones: list[Tombstone] = []
    revoked: list[str] = []
    """Digests of tokens of the API."""


class Ends(msgspec.Struct, frozen=True):
    """What a database knows that must not come back with an older one."""

    tombstones: Sequence[Tombstone]
    revoked: Sequence[str]


class LifeFile:
    """The file. `is_kept` where it is always beside the database, so that its absence tells something."""

    def __init__(self, path: Path, *, is_kept: bool) -> None:
        """Touch nothing yet."""
        self.path = path
        self.is_kept = is_kept

    def read(self) -> Told | None:
        """What it says; None where there is none. StorageError for one that cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Told)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            cure = "put a copy of it back, or remove it: every connection then begins observing"
            raise StorageError(f"{self.path} cannot be read: {error}; {cure}") from error

    def write(self, life: Life, ends: Ends) -> None:
        """Replace it, whole or not at all. No end that stands in it is ever left out, nor counted back."""
        with self._alone():
            before = self.read()
            known = {(one.id, one.why): one for one in (*(before.tombstones if before else ()), *ends.tombstones)}
            told = Told(
                life=_later(before.life, life) if before else life,
                tombstones=sorted(known.values(), key=lambda one: (one.at, one.id)),
                revoked=sorted({*(before.revoked if before else ()), *ends.revoked}),
            )
            if told != before:
                self._replace(msgspec.json.encode(told))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One that writes at a time, in whatever process: between another's look and its write an end would be lost."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            self._wait(folder)
            yield
        finally:
            os.close(folder)

    def _wait(self, folder: int) -> None:
        pause = threading.Event()
        for _turn in range(_TURNS):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause.wait(_TURN_SECONDS)
            except OSError as error:
                raise self._not_written(error) from error
            else:
                return
        raise StorageError(f"{self.path} cannot be written: another process keeps its folder locked; end that one")

    def _not_written(self, error: OSError) -> StorageError:
        return StorageError(f"{self.path} cannot be written: {error}; make its folder writable")

    def _replace(self, content: bytes) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            # a disk that is nearly full takes a part of one write without a word
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._not_written(error) from error


def _later(before: Life, life: Life) -> Life:
    """Of one database, the note that counts more: the other was read before it, and is written after."""
    return before if before.instance == life.instance and before.counter > life.counter else life


def life_file(db: Database, state_folder: Path | None) -> LifeFile | None:
    """Where a database's life is told: beside a SQLite file; for PostgreSQL in a folder of this machine, if any."""
    file = sqlite_file(db.url)
    if file is not None:
        return LifeFile(file.with_name(f"{file.name}.life"), is_kept=True)
    if db.is_sqlite or state_folder is None:
        return None
    place = "-".join(str(part) for part in (db.url.host or "local", db.url.port or 5432, db.url.database))
    schema = str(db.url.query.get("options", ""))
    safe = "".join(one if one.isalnum() else "-" for one in place + schema)
    return LifeFile(state_folder / f"{safe}.life", is_kept=False)


def ends(tx: Tx) -> Ends:
    """All of them."""
    return Ends(tombstones.every(tx), api_tokens.revoked_digests(tx))


def note(tx: Tx) -> Life | None:
    """What the database says; None before its first run."""
    found = meta(tx, NAME)
    return msgspec.json.decode(found, type=Life) if found else None


def put_note(tx: Tx, life: Life) -> None:
    """Set it."""
    put_meta(tx, NAME, msgspec.json.encode(life).decode())


def home(tx: Tx) -> str:
    """Where the database stands: a dump that is loaded brings the name of another place along. "" for SQLite."""
    if tx.dialect != "postgresql":
        return ""
    system = tx.execute(_SYSTEM).scalar_one() if tx.execute(_MAY_ASK).scalar_one() else ""
    return f"{system}/{tx.execute(_HOME).scalar_one()}"
