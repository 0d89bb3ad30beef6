"""The JSON of a request: one value for each name, and only what JSON has."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from fastapi import Request

from core.errors import BadRequestError

CURE: Final = "send JSON in UTF-8, as /openapi.json shows it for this route"
BODY: Final = "body"
SEVERAL: Final = "send several requests"
_SHOWN: Final = 100


class TooLargeError(Exception):
    """More came than a body may hold; `str(error)` says how much that is."""


class StrictRequest(Request):
    """A request whose body is read as RFC 8259 has it: Python takes NaN, and of two members of one name the last."""

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """What the body says. Raises BadRequestError, and ValueError for what is no JSON at all."""
        if not hasattr(self, "_json"):
            self._json = json.loads(await self.body(), object_pairs_hook=_members, parse_constant=_no_number)
        return self._json


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadRequestError("is there twice", field=twice[:_SHOWN], limit="once", cure="keep one of the two")
    return found


def _no_number(word: str) -> None:
    raise BadRequestError(f"has {word}, which is no JSON", field="body", cure=CURE)


def unreadable(cause: BaseException | None) -> BadRequestError:
    """What is wrong with a body that no parser took."""
    if isinstance(cause, BadRequestError):
        return cause
    if isinstance(cause, UnicodeDecodeError):
        problem = f"is no UTF-8 at byte {cause.start}: 0x{cause.object[cause.start]:02x}"
    elif isinstance(cause, RecursionError):
        problem = "has lists or objects that lie too deep in each other"
    elif isinstance(cause, ValueError):
        problem = "has a number of too many digits"
    else:
        problem = "ended before it was whole"
    return BadRequestError(problem, field="body", cure=CURE)
