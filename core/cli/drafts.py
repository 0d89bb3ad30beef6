"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.desk import Desk

_ENDS: Final = ("", "-journal", "-shm", "-wal", ".key", ".life", ".lock")


@contextmanager
def redrafted(file: Path) -> Iterator[Path]:
    """Where to write the next text of a file that people keep: in its place once it is put there with `put`.

    What a link leads to is meant: a file in the link's place would leave the one that is kept as it was.
    """
    draft = _beside(_real(file))
    try:
        yield draft
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def put(draft: Path, file: Path) -> None:
    """Let the draft stand in the file's place, as readable as that was, and of the same owner where that can be."""
    target = _real(file)
    if target.exists():
        before = target.stat()
        with suppress(PermissionError):
            os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(before.st_mode & 0o7777)
    draft.replace(target)


def _beside(file: Path) -> Path:
    """No two commands have one draft: what one wrote would stand in the place of what the other one checked."""
    return file.with_name(f".{file.name}.{secrets.token_hex(8)}.draft")


def _own(desk: Desk) -> set[Path]:
    """What no report may take the place of: the configuration, the database, and what belongs to it."""
    file = desk.root.database().file
    beside = [file.with_name(f"{file.name}{end}") for end in _ENDS] if file else []
    return {_real(one) for one in (desk.root.policy_file(), *beside)}


def _real(file: Path) -> Path:
    return Path(os.path.realpath(file))


@contextmanager
def drafted(desk: Desk, target: Path, field: str) -> Iterator[Path]:
    """Where to write what shall stand at `target`: beside it, and in its place at the end.

    A device, a pipe or a link is written to itself: a file would take its place. OSError is InvalidInputError.
    """
    if not target.name:
        raise InvalidInputError(f"{str(target)!r} is no name of a file", field=field, cure="name a file")
    if _real(target) in _own(desk):
        raise InvalidInputError(f"{target} is Accord's own, and would be lost", field=field, cure="name another file")
    try:
        is_ours = not target.is_symlink() and (target.is_file() or not target.exists())
    except OSError as error:  # too long a name, or in a folder that may not be entered
        raise _unwritable(target, field, error) from error
    draft = _beside(target) if is_ours else target
    try:
        yield draft
        if is_ours:
            put(draft, target)
    except OSError as error:
        raise _unwritable(target, field, error) from error
    finally:
        if is_ours:
            with suppress(OSError):  # of a folder that is not there, there is no draft either
                draft.unlink(missing_ok=True)


def _unwritable(target: Path, field: str, error: OSError) -> InvalidInputError:
    cure = "name another place, or free space there"
    return InvalidInputError(f"{target} cannot be written: {error.strerror}", field=field, cure=cure)
