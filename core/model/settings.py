"""A connection's settings as data: a wrong value is refused when it is read, not by the first call that needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

_SHOWN: Final = 60
"""More of a value than that would hide what is said about it."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What the value of a setting looks like; `example` is a good one."""

    example: str

    def problem(self, value: str) -> str | None:
        """What is wrong with a value, what it must be, and an example; None for a good one."""
        if not value.strip():
            return f'is blank; leave it out, or write one like "{self.example}"'
        fault = self.fault(value)
        return f'{fault}; write it like "{self.example}"' if fault else None

    def fault(self, value: str) -> str | None:
        """What is wrong with a value that is not blank, and what it must be."""
        raise NotImplementedError


class Word(Form, frozen=True, kw_only=True):
    """A value that `pattern` matches whole; `words` say which these are."""

    pattern: str
    words: str

    def fault(self, value: str) -> str | None:
        """Anything else."""
        return None if re.fullmatch(self.pattern, value) else f"must be {self.words}, not {shown(value)}"


class Choice(Form, frozen=True, kw_only=True):
    """One of a few words; `refused`: others that somebody may well write, each with why it is not taken."""

    choices: tuple[str, ...]
    refused: Mapping[str, str] = {}

    def fault(self, value: str) -> str | None:
        """Anything else."""
        if value in self.choices:
            return None
        why = f": {self.refused[value]}" if value in self.refused else ""
        return f"must be {' | '.join(self.choices)}, not {shown(value)}{why}"


class Whole(Form, frozen=True, kw_only=True):
    """A whole number."""

    least: int = 1
    most: int

    def fault(self, value: str) -> str | None:
        """What is none, or beyond the bounds."""
        is_one = re.fullmatch(r"[0-9]{1,18}", value) and self.least <= int(value) <= self.most
        return None if is_one else f"must be a whole number from {self.least} to {self.most}, not {shown(value)}"


class Zone(Form, frozen=True, kw_only=True):
    """A time zone by its name."""

    def fault(self, value: str) -> str | None:
        """What is none."""
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            return f"must be the name of a time zone, not {shown(value)}"
        return None


class Address(Form, frozen=True, kw_only=True):
    """An address of HTTP. It is never repeated: a password or a token may be in it."""

    def fault(self, value: str) -> str | None:
        """What no request could be sent to, or what would send along more than a path."""
        if not _is_address(value):
            return "is no address: it must be http:// or https://, a host, perhaps a port and a path"
        if "@" in urlsplit(value).netloc:
            return "has a user or a password in it, which do not belong into this file; it must be an address without"
        return "must be an address without ? and #" if re.search(r"[?#]", value) else None

    def is_overheard(self, value: str) -> bool:
        """Whether everybody on the way can read what is sent there, and with it the key."""
        parts = urlsplit(value)
        host = parts.hostname or ""
        return parts.scheme == "http" and not re.fullmatch(r"localhost|::1|127(\.\d+){3}", host)


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and not re.search(r"[^!-~]", value)


class Setting(msgspec.Struct, frozen=True):
    """One setting: what it is, in words, and what its value looks like.

    `lasting`, of one by which documents are read: what it is where it is left out. It stays once any are
    known, unless another setting, of its name and `_was`, says what it was.
    """

    words: str
    form: Form
    lasting: str = ""


def secret_problem(value: str) -> str | None:
    """Why no provider can have given a secret; None for one that may be right. The value itself is not told."""
    strange = re.search(r"[^\t\n\r -~]", value)
    if strange is None:
        return None
    return f"has a letter that no key or token has, at place {strange.start() + 1} of {len(value)}; copy it again"


def shown(value: str) -> str:
    """A value in quotes, cut where it would hide what is said about it."""
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
