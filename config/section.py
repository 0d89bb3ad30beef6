"""Reading a TOML document so that every mistake is found in one go, with its key, its line and its cure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, TypeVar

from core.errors import ConfigError

Path = tuple[str, ...]
Choice = TypeVar("Choice", bound=str)
T = TypeVar("T")

_MOST: Final = 2**63 - 1
_PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER: Final = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY: Final = re.compile(rf"\s*({_DOTTED})\s*=")


class Mistakes:
    """All that is wrong with one file."""

    def __init__(self, file: str, text: str = "") -> None:
        """`text` is the file's, for line numbers."""
        self._file = file
        self._lines = _lines_of(text)
        self._found: list[ConfigError] = []

    def add(self, path: Path, problem: str) -> None:
        """Remember one mistake."""
        line = self._line(path)
        problem = f"line {line}: {problem}" if line else problem
        self._found.append(ConfigError(problem, file=self._file, key=dotted(path) or None))

    def raise_any(self) -> None:
        """Raise one ConfigError that lists them all, a line each; file and key are the first one's."""
        if self._found:
            first, *others = self._found
            lines = "\n".join([first.problem, *map(str, others)])
            raise ConfigError(lines, file=first.file, key=first.key)

    def _line(self, path: Path) -> int | None:
        """The line of the key itself, else of the innermost table around it."""
        return next((self._lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._lines), None)


class Section:
    """One table of the document. Each getter checks its key; `close` reports the keys that no getter asked for."""

    def __init__(self, table: Mapping[str, object], path: Path, mistakes: Mistakes) -> None:
        """`path` is where the table stands in the document."""
        self.path = path
        self._table = table
        self._mistakes = mistakes
        self._asked: list[str] = []
        self._inner: dict[str, Section] = {}
        self._hints: dict[str, str] = {}
        self._is_lenient = False

    def __contains__(self, key: str) -> bool:
        """Whether the file says anything about `key`."""
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        """The keys in the file's order."""
        return iter(self._table)

    def mistake(self, key: str, problem: str) -> None:
        """Something is wrong with `key`."""
        self._mistakes.add((*self.path, key), problem)

    def text(self, key: str) -> str | None:
        """A string that is not blank."""
        value = self._take(key, str, "text in quotes")
        if value is not None and not value.strip():
            self.mistake(key, "is blank")
            return None
        return value

    def choice(self, key: str, choices: Sequence[Choice], default: Choice) -> Choice:
        """One of `choices`."""
        value = self._take(key, str, "text in quotes")
        if value is None:
            return default
        for choice in choices:
            if value == choice:
                return choice
        self.mistake(key, f"must be {' | '.join(choices)}, not {value!r}{did_you_mean(value, choices)}")
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        """Either true or false."""
        value = self._take(key, bool, "true or false")
        return default if value is None else value

    def number(
        self, key: str, default: float, *, most: float | None = None, above: float = 0.0, least: float | None = None
    ) -> float:
        """A finite number greater than `above`, or from `least` on where that is given, at most `most`."""
        value = self._take(key, (int, float), "a number")
        if value is None:
            return default
        is_enough = value > above if least is None else value >= least
        if not is_enough or value >= float("inf") or (most is not None and value > most):
            from_ = f"more than {above:g}" if least is None else f"at least {least:g}"
            bounds = from_ + (f" and at most {most:.15g}" if most is not None else "")
            self.mistake(key, f"must be {bounds}, not {value}")
            return default
        return float(value)

    def count(self, key: str, default: int, *, most: int) -> int:
        """A whole number from zero to `most`."""
        value = self._take(key, int, "a whole number")
        if value is not None and value > most:
            self.mistake(key, f"must be at most {most}, not {value}")
            return default
        if value is not None and value < 0:
            self.mistake(key, f"must be 0 or more, not {value}")
            return default
        return default if value is None else value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of different strings, none of them blank."""
        value = self._take(key, list, 'a list like ["a", "b"]')
        if value is None:
            return ()
        if not all(isinstance(item, str) and item.strip() for item in value):
            self.mistake(key, "must be a list of texts that are not blank")
            return ()
        if len(set(value)) < len(value):
            self.mistake(key, "names one twice")
        return tuple(dict.fromkeys(value))

    def scalar(self, key: str) -> str | None:
        """Text, number or boolean, as text: a provider's own setting."""
        value = self._take(key, (str, int, float), "text, a number, or true or false", allows_bool=True)
        if value is None:
            return None
        return str(value).lower() if isinstance(value, bool) else str(value)

    def section(self, key: str) -> Section:
        """A table inside this one; an empty one where the file has none."""
        if key not in self._inner:
            table = self._take(key, dict, f"a table: [{dotted((*self.path, key))}]")
            self._inner[key] = Section(table or {}, (*self.path, key), self._mistakes)
        return self._inner[key]

    def is_table(self, key: str) -> bool:
        """Whether the value of `key` is a table."""
        return isinstance(self._table.get(key), dict)

    def is_list(self, key: str) -> bool:
        """Whether the value of `key` is a list."""
        return isinstance(self._table.get(key), list)

    def hint(self, key: str, problem: str) -> None:
        """What to say of a key that does not belong here but is often put here by mistake."""
        self._hints[key] = problem

    def allow_rest(self) -> None:
        """Nobody knows which other keys belong here."""
        self._is_lenient = True

    def close(self) -> None:
        """Report every key, here and in the tables inside, that nobody asked for."""
        for inner in self._inner.values():
            inner.close()
        for key in self._table:
            if key not in self._asked and not self._is_lenient:
                self.mistake(key, self._hints.get(key) or f"is not known here{did_you_mean(key, self._asked)}")

    def _take(
        self, key: str, kind: type[T] | tuple[type[T], ...], wanted: str, *, allows_bool: bool = False
    ) -> T | None:
        self._asked.append(key)
        value = self._table.get(key)
        # True is an int to Python, and `sweep_every = true` is no number to anyone else
        is_stray_bool = isinstance(value, bool) and kind is not bool and not allows_bool
        if isinstance(value, int) and abs(value) > _MOST:
            self.mistake(key, "is a number of more than 64 bits, which TOML does not have")
            return None
        if value is None or (isinstance(value, kind) and not is_stray_bool):
            return value
        self.mistake(key, f"must be {wanted}, not {_kind(value)}")
        return None


def dotted(path: Path) -> str:
    """`("fields", "metadata.plan")` -> `fields."metadata.plan"`, as TOML writes it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "enters"?` when something known is spelled nearly so, else all that is known."""
    choices = sorted(set(known))
    near = get_close_matches(word, choices, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f" (known: {', '.join(choices)})" if choices else ""


def _lines_of(text: str) -> dict[Path, int]:
    """Where each table and key begins. A look-alike inside a multi-line string may add an entry, and harms nothing."""
    found: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def _parts(text: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, text))


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
