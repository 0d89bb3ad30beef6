"""A command is a plain function of a Desk and its options that returns its exit code; here it becomes Typer's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

from core.cli.desk import OK, Desk

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
_JSON: Final = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)


def new_group(help_text: str, *, is_command: bool = False) -> typer.Typer:
    """A group of commands; with `is_command` its callback runs without a subcommand too."""
    return typer.Typer(
        help=help_text, rich_markup_mode=None, add_completion=False, invoke_without_command=is_command,
        no_args_is_help=not is_command, pretty_exceptions_enable=False,
    )  # fmt: skip


def add(app: typer.Typer, name: str, function: Callable[..., int | None]) -> None:
    """Make `function` a command: its docstring is the help, its first parameter the desk, `--json` comes by itself."""
    app.command(name)(_adapted(function))


def add_default(app: typer.Typer, function: Callable[..., int | None]) -> None:
    """Make `function` what a group does without a subcommand."""
    app.callback()(_adapted(function, is_default=True))


def _adapted(function: Callable[..., int | None], *, is_default: bool = False) -> Callable[..., int]:
    @wraps(function)
    def command(*, ctx: typer.Context, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - Typer checked them
        desk: Desk = ctx.obj
        desk.as_json = desk.as_json or as_json
        if is_default and ctx.invoked_subcommand is not None:
            return OK
        return function(desk, **options) or OK

    _desk, *options = inspect.signature(function, eval_str=True).parameters.values()
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    wanted = [context, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options), _JSON]
    command.__signature__ = inspect.Signature(wanted)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in wanted}
    return command
