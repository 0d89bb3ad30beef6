"""Letters that nobody sees, or that show others in another order: refused where a person enters text (pure).

Never asked of what a provider returned, nor of what is to be cleared: a key like that can be taken out.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from core.errors import InvalidInputError

_TURNS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates: what comes behind shows in another order than it is stored."""
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs by their category, and empty on every screen."""
_SHOW: Final = "letters that show"


def no_controls(field: str, text: str) -> None:
    """Raise InvalidInputError for what is more than one line, or no text."""
    for char in text:
        if unicodedata.category(char) in ("Cc", "Zl", "Zp"):
            raise InvalidInputError(
                f"contains the control character {_code(char)}", field=field, limit="one line", cure="remove it"
            )


def nothing_unseen(field: str, text: str) -> None:
    """Raise for any: two ids that look alike are two customers, and nobody sees why. A mark of a spreadsheet, say."""
    for char in text:
        if unicodedata.category(char) == "Cf":
            problem = f"contains {_code(char)}, which nobody sees"
            raise InvalidInputError(problem, field=field, limit=_SHOW, cure="remove it, or type it anew")


def readable(field: str, text: str) -> None:
    """Raise for what shows nothing, or something else than it is. Some scripts need marks between their letters."""
    if text and not any(map(_shows, text)):
        problem = "is made of characters that nobody sees"
        raise InvalidInputError(problem, field=field, limit=_SHOW, cure="type it anew, or leave it blank")
    for char in text:
        if char in _TURNS:
            problem = f"contains {_code(char)}, which shows what is behind it in another order"
            raise InvalidInputError(problem, field=field, limit="text as it is read", cure="remove it, or type it anew")


def _shows(char: str) -> bool:
    return char not in _FILLERS and unicodedata.category(char) not in ("Cf", "Zs")


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"
