"""Stripe's form encoding: `metadata[plan]=pro&preferred_locales[0]=de` as nested dicts."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from connectors.stripe.sandbox.settings import RefusedError

Form = dict[str, Any]

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")


def form_in(text: str) -> Form:
    """Decode a query or a body; a list is a dict of positions until a rule says that it is one."""
    form: Form = {}
    for name, value in _pairs(text):
        match = _NAME.fullmatch(name)
        if match is None:  # PROVIDERS §2: no brackets in keys
            raise RefusedError(f"Invalid parameter name: {name}", code="parameter_invalid", param=name)
        _put(form, [match.group(1), *_PART.findall(match.group(2))], value, name)
    return form


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise RefusedError("Invalid request: a value is no UTF-8") from error  # PROVIDERS §5


def _put(form: Form, path: list[str], value: str, name: str) -> None:
    here = form
    for part in path[:-1]:
        here = here.setdefault(part or str(len(here)), {})
        if not isinstance(here, dict):
            raise RefusedError(f"Invalid parameter: {name}", code="parameter_invalid", param=name)  # PROVIDERS §5
    here[path[-1] or str(len(here))] = value


def list_in(value: object, param: str) -> list[Any]:
    """Return a list parameter; "" is the empty one."""
    if value == "":
        return []
    if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
        raise RefusedError("Invalid array", code="parameter_invalid_array", param=param)  # PROVIDERS §5
    return [value[key] for key in sorted(value, key=int)]


def text_in(value: object, param: str, limit: int = 5000) -> str | None:
    """Return a text parameter, None for ""; too long is refused, never cut."""
    if not isinstance(value, str):
        raise RefusedError("Invalid string", code="parameter_invalid_string", param=param)  # PROVIDERS §5
    if "\x00" in value:  # stricter reading
        raise RefusedError("Invalid string: it contains a null byte", code="parameter_invalid_string", param=param)
    if len(value) > limit:  # PROVIDERS §5: refused, not cut
        raise RefusedError(f"Invalid string: {value[:20]}...; must be at most {limit} characters", param=param)
    return value or None


def integer_in(value: object, param: str) -> int:
    """Return an integer parameter."""
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,12}", value):  # PROVIDERS §5: minor units are whole
        raise RefusedError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
    return int(value)


def flag_in(value: object, param: str) -> bool:
    """Return a yes or no."""
    if value not in ("true", "false"):
        raise RefusedError(f"Invalid boolean: {value}", code="parameter_invalid_boolean", param=param)  # PROVIDERS §5
    return value == "true"


def known(form: Form, names: frozenset[str], inside: str = "") -> None:
    """Refuse what this endpoint does not know (PROVIDERS §5)."""
    for name in form:
        if name not in names:
            param = f"{inside}[{name}]" if inside else name
            raise RefusedError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
