"""What is wrong with the shape of a request, in our words: the field, what it is, what it may be, what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.errors import InvalidInputError

MOST_TOLD: Final = 100
"""Mistakes of one request that are told: nobody reads more, and a request may have a hundred thousand."""
_SHOWN: Final = 60
_CURE: Final = "correct {field}: /openapi.json says what it takes"

_SAYS: Final[Mapping[str, tuple[str, str, str]]] = {
    "missing": ("is missing", "", "add it"),
    "extra_forbidden": ("is nothing that this route takes", "", "leave it out"),
    "literal_error": ("is {given}", "{expected}", "name one of these"),
    "string_type": ("is {given}", "a string", _CURE),
    "string_unicode": ("contains half a surrogate pair", "valid Unicode", "decode it again at its source"),
    "string_too_short": ("is {given}", "at least {min_length} character{s}", _CURE),
    "string_too_long": ("is too long", "at most {max_length} characters", _CURE),
    "too_long": ("has too many", "at most {max_length}", "name each once, or send several requests"),
    "list_type": ("is {given}", "a list", _CURE),
    "dict_type": ("is {given}", "an object", _CURE),
    "model_attributes_type": ("is {given}", "an object", _CURE),
    "int_type": ("is {given}", "a whole number", _CURE),
    "int_parsing": ("is {given}", "a whole number", _CURE),
    "int_parsing_size": ("is {given}", "a smaller whole number", _CURE),
    "int_from_float": ("is {given}", "a whole number", _CURE),
    "bool_type": ("is {given}", "true or false", _CURE),
    "bool_parsing": ("is {given}", "true or false", _CURE),
    "greater_than_equal": ("is {given}", "at least {ge}", _CURE),
    "less_than_equal": ("is {given}", "at most {le}", _CURE),
}
"""Of each kind of mistake that pydantic finds: problem, limit, cure."""


def mistakes(found: Sequence[Mapping[str, Any]], sent_as: str) -> list[InvalidInputError]:
    """The first `MOST_TOLD` of what pydantic found, by place; `sent_as` is the content type of the request."""
    first = _mistake(found[0])
    if first.field == "body" and "json" not in sent_as.lower():
        cure = "send the header content-type: application/json"
        first = InvalidInputError(f"is sent as {sent_as[:100]!r}", field="body", cure=cure)
    return [first, *map(_mistake, found[1:MOST_TOLD])]


def _mistake(one: Mapping[str, Any]) -> InvalidInputError:
    """The field by its name; of what is no JSON at all, there is only the place where it ceases to be."""
    place, *rest = one["loc"]
    if one["type"] == "json_invalid":
        at = f" at character {rest[0]}" if rest else ""
        problem = f"is no JSON{at}: {one.get('ctx', {}).get('error', one['msg'])}"
        return InvalidInputError(problem, field=str(place), cure="send a body that is JSON")
    field = ".".join(str(part) for part in rest) or str(place)
    told = {**one.get("ctx", {}), "given": _short(one.get("input")), "field": field}
    told["s"] = "" if told.get("min_length") == 1 else "s"
    says = _SAYS.get(one["type"], (str(one["msg"]).replace("{", "{{").replace("}", "}}"), "", _CURE))
    problem, limit, cure = (words.format_map(told) for words in says)
    return InvalidInputError(problem, field=field, limit=limit or None, cure=cure)


def _short(given: object) -> str:
    text = "blank" if given == "" else json.dumps(given, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
