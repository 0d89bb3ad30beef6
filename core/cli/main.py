"""`accord ...`: the one entry of every command.

Exit codes: 0 all agree, 1 something failed, 2 a plan has changes, 3 something is held for a person, 64 wrong usage,
130 and 143 it was told to end.
Nothing here imports what a command does not need: `accord --help` answers at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli import (
    connecting,
    customers,
    database,
    demos,
    doctor,
    documents,
    holds,
    init,
    journals,
    lookups,
    mappings,
    matches,
    payouts,
    plans,
    sandbox,
    secrets,
    serving,
    syncing,
    tokens,
)
from core.cli.command import Json, new_group
from core.cli.desk import FAILED, OK, USAGE, Desk
from core.cli.ending import INTERRUPTED, Ending
from core.errors import AccordError, InvalidInputError, VersionConflictError

if TYPE_CHECKING:
    from core.cli.root import Root


def run(root: Root, argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors of Accord become one line and never a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_what_is_closed()
    _never_fail_to_print()
    desk = Desk(root, (sys.stdin, sys.stdout, sys.stderr))
    with Ending() as ending:
        code = _code(desk, arguments)
    if code == INTERRUPTED:
        desk.fail(ending.error(desk.if_ended))
        return ending.code
    return code


def _code(desk: Desk, arguments: list[str]) -> int:
    try:
        return _decided(desk, arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except AccordError as error:
        desk.fail(error)
        return FAILED
    except BrokenPipeError:
        # whoever read the output has gone (`accord status | head -1`)
        sys.stderr.close()
        return FAILED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        desk.note("accord: the output cannot be written: no space left on its disk; free some, or name another place")
        with suppress(OSError):
            sys.stdout.close()
        return FAILED


def _decided(desk: Desk, arguments: list[str]) -> int:
    """What `_run` returns; raises VersionConflictError where the database let somebody else win."""
    try:
        return _run(desk, arguments)
    except Exception as error:
        from sqlalchemy.exc import IntegrityError

        # any other constraint that is broken is a bug of ours
        if not isinstance(error, IntegrityError) or "unique" not in str(error.orig).lower():
            raise
        problem = "somebody else, or the daemon, changed the same at the same moment and came first"
        cure = "look at what there is by now, and give the command again"
        raise VersionConflictError(problem, cure=cure) from error


def _run(desk: Desk, arguments: list[str]) -> int:
    command = typer.main.get_command(build())
    try:
        result = command.main(args=arguments, prog_name="accord", standalone_mode=False, obj=desk)
    except typer.Abort:
        desk.note("given up")
        return FAILED
    except typer.TyperException as error:
        # a command line that is wrong may have ended before its `--json` was read
        desk.as_json = desk.as_json or "--json" in arguments
        _tell_usage(desk, error)
        return USAGE
    return result if isinstance(result, int) else OK


def _tell_usage(desk: Desk, error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    words = error.format_message()
    if words.startswith("Usage:") and not desk.as_json:
        desk.note(words)  # a group without a command: its help
    else:
        cure = f"see `{context.command_path} --help`" if context else None
        desk.fail(InvalidInputError(words.rstrip("."), cure=cure))


def build() -> typer.Typer:
    """The whole command line."""
    app = new_group("Keeps one registry of customers and makes every connected system agree with it.")
    app.callback()(_options)
    groups = (
        serving,
        demos,
        init,
        connecting,
        doctor,
        plans,
        syncing,
        lookups,
        journals,
        holds,
        matches,
        customers,
        mappings,
        documents,
        payouts,
        secrets,
        tokens,
        database,
        sandbox,
    )
    for group in groups:
        group.add_to(app)
    return app


def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Use this file instead of accord.toml.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    desk: Desk = ctx.obj
    desk.as_json = as_json
    if config is not None:
        desk.root.configure(["--config", str(config)])


def _open_what_is_closed() -> None:
    """What was closed (`accord status >&-`) leads nowhere: no command fails at it, and no file takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - the process keeps it


def _never_fail_to_print() -> None:
    """A name in letters that the terminal does not know is shown escaped; it must not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
