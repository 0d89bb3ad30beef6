"""Where a command stands: the application's root, and how it speaks (Rich tables, or one JSON document)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from core.errors import AccordError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from core.cli.root import Root
    from core.cli.screen import Screen
    from core.sync.hub import Hub

OK: Final = 0
FAILED: Final = 1
CHANGES: Final = 2
HELD: Final = 3
USAGE: Final = 64

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)}
_TURNED: Final = _CONTROL | {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Turns of the direction of writing: what stands behind one is read as something else."""


class Desk:
    """One invocation of `accord`: what every command is given."""

    def __init__(self, root: Root, streams: tuple[TextIO, TextIO, TextIO]) -> None:
        """`streams` are stdin, stdout and stderr. Nothing is opened before a command asks for it."""
        self.root = root
        self.as_json = False
        self.if_ended = ""
        """What to do if the command is told to end now: where it stands, and how to go on."""
        self._in, self._out, self._err = streams

    def show(self, data: object, human: Callable[[Screen], None]) -> None:
        """Print the command's result: `data` as JSON, or what `human` draws."""
        if self.as_json:
            self._out.write(f"{json.dumps(_builtins(data), indent=2)}\n")
            self._out.flush()
            return
        from core.cli.screen import Screen

        human(Screen(self._out))
        self._out.flush()

    def note(self, text: str) -> None:
        """Tell a person something beside the result."""
        self._err.write(f"{printable(text)}\n")
        self._err.flush()

    def fail(self, error: AccordError) -> None:
        """One clear line on stderr, or the error as JSON."""
        if self.as_json:
            self._out.write(f"{json.dumps({'error': told_of(error)}, indent=2)}\n")
            self._out.flush()
        else:
            self.note(f"accord: {error}")

    @contextmanager
    def counting(self) -> Iterator[Callable[[str, int, str], None]]:
        """A progress display: call it with (what, how many so far, words). Silent unless stderr is a terminal."""
        if self.as_json or not self._err.isatty():
            yield lambda _what, _count, _words: None
            return
        from core.cli.screen import counting

        with counting(self._err) as count:
            yield count

    @contextmanager
    def raw_output(self) -> Iterator[TextIO]:
        """Stdout for the bytes of a file: UTF-8 and its own line ends, whatever the terminal speaks."""
        self._out.flush()
        stream = io.TextIOWrapper(self._out.buffer, encoding="utf-8", newline="")
        try:
            yield stream
            stream.flush()
        finally:
            stream.detach()

    @property
    def is_terminal(self) -> bool:
        """Whether a person can be asked something."""
        return self._in.isatty() and self._err.isatty() and not self.as_json

    def confirm(self, question: str, *, otherwise: str) -> None:
        """Go on only if a person says yes; where nobody can be asked, the option `otherwise` must have said so."""
        if not self.is_terminal:
            raise InvalidInputError("nobody can be asked here", cure=f"say {otherwise}")
        import typer

        typer.confirm(question, abort=True, err=True)

    def ask_hidden(self, words: str) -> str:
        """What a person types, which is not shown."""
        import typer

        answer: str = typer.prompt(words, hide_input=True, default="", show_default=False, err=True)
        return answer.strip()

    def known(self, hub: Hub, names: list[str]) -> list[str]:
        """Connections by name, each once; every one for an empty list."""
        from core.sync.hub import require_known

        return list(dict.fromkeys(one.name for one in require_known(hub, names)))


def told_of(error: AccordError) -> dict[str, Any]:
    """An error as JSON has it; `errors` where it stands for several."""
    parts = {name: getattr(error, name, None) for name in ("field", "problem", "limit", "cure")}
    found = {"code": error.code, **parts, "problem": parts["problem"] or str(error)}
    each = [told_of(one) for one in getattr(error, "errors", ())]
    return {**found, "errors": each} if each else found


def printable(text: str) -> str:
    """Nothing in a customer's name may drive the terminal of whoever reads it."""
    return text.translate(_TURNED).encode("utf-8", "backslashreplace").decode("utf-8")


def known_row(names: list[str], wanted: str | None) -> None:
    """Refuse a filter that names a connection which never was."""
    if wanted is not None and wanted not in names:
        problem, cure = f"there is no connection {printable(wanted)!r}", f"known: {', '.join(sorted(names)) or 'none'}"
        raise NotFoundError(problem, field="connection", cure=cure)


def _builtins(data: object) -> Any:  # noqa: ANN401 - JSON
    import msgspec

    return msgspec.to_builtins(data, str_keys=True)
