"""How results look to a person: Rich tables, as wide as they need to be where nobody's terminal limits them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from core.cli.desk import printable

UNLIMITED: Final = 10_000
"""Columns where stdout is a file or a pipe: whoever reads it shall find whole values in it."""

BLANK: Final = "(blank)"


class Screen:
    """Draws on one stream. Values are never taken for markup."""

    def __init__(self, stream: TextIO) -> None:
        """Colours only on a terminal."""
        width = None if stream.isatty() else UNLIMITED
        self._console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text."""
        self._console.print(Text(printable(text), style=style))

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "", *, whole: str = ""
    ) -> None:
        """Rows under headings; nothing for no rows. The column `whole` is never folded: it is there to be copied."""
        if not rows:
            return
        drawn = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
        for column in columns:
            drawn.add_column(column, overflow="fold", no_wrap=column == whole)
        for row in rows:
            drawn.add_row(*(Text(printable(shown(cell))) for cell in row))
        self._console.print(drawn)

    def block(self, title: str, facts: Mapping[str, object]) -> None:
        """A heading and a line for each fact that says something: for what is too long for a row of a table."""
        self.line(title, "bold")
        grid = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            if words := shown(value):
                grid.add_row(Text(f"  {name}"), Text(printable(words), overflow="fold"))
        self._console.print(grid)
        self.line()

    def facts(self, facts: Mapping[str, object], title: str) -> None:
        """Names and values in a panel."""
        grid = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            grid.add_row(Text(name, style="bold"), Text(printable(shown(value))))
        self._console.print(Panel(grid, title=Text(printable(title)), title_align="left", expand=False))


def shown(value: object) -> str:
    """A neutral value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(_named(name, one) for name, one in value.items() if one or name not in _SELF_EVIDENT)
    if isinstance(value, list | tuple):
        return ", ".join(spoken(one) for one in value)
    return str(value)


def _named(name: str, value: object) -> str:
    return shown(value) if name in _SELF_EVIDENT else f"{name} {spoken(value)}"


def spoken(value: object) -> str:
    """A field's value where a blank one says something: beside the one that it was or will be."""
    return shown(value) or BLANK


_SELF_EVIDENT: Final = frozenset({"line1", "line2", "city", "state", "postal_code", "country"})


def moment(seconds: float | None) -> str:
    """A time in UTC, to the second."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def counting(stream: TextIO) -> Iterator[Callable[[str, int, str], None]]:
    """One line per thing that is counted, gone at the end."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeElapsedColumn(), console=Console(file=stream), transient=True) as progress:

        def count(what: str, number: int, words: str) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(printable(what), total=None, words="")
            progress.update(tasks[what], completed=number, words=printable(words))

        yield count
