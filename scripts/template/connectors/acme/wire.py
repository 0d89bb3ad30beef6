"""The shapes of Acme's JSON that we read; an object itself stays raw bytes until someone translates it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from core.errors import ReplyError

T = TypeVar("T")

Id = Annotated[str, Meta(min_length=1, max_length=100)]
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
UNSTORABLE: Final = "contains U+0000 or a lone surrogate"
"""The reason given for text that no database takes."""


# Decide 4: how a page, an object, an account, an error and an event look. Only what is read stands here.
class Row(Struct):
    """What a listing needs of one object; `deleted` where a change feed says that it is gone."""

    id: Id
    deleted: bool = False


class Listing(Struct):
    """One page; the objects stay bytes. `next_cursor` is absent or null on the last one."""

    data: list[Raw]
    next_cursor: str | None = None


class AccountReply(Struct):
    """Whose credentials these are."""

    id: Id
    name: str = ""


class Problem(Struct):
    """The `error` member of a refusal."""

    code: str
    message: str = ""
    field: str | None = None


class Refusal(Struct):
    """Any answer that is not what was asked for."""

    error: Problem


class Event(Struct):
    """One webhook delivery."""

    id: Id
    type: str
    customer_id: str | None = None


def decoded(body: bytes, shape: type[T]) -> T:
    """An answer of a known shape, or ReplyError."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"Acme's answer is not what it should be: {error}") from error


def customer_in(raw: bytes) -> dict[str, Any]:
    """One customer's attributes, untyped: an odd value must not hide the other ones. ReplyError when it is none."""
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        found = _decoded_leniently(raw)
    if not isinstance(found, dict) or not isinstance(found.get("id"), str) or not found["id"]:
        raise ReplyError("not an Acme customer: it has no id")
    return found


def _decoded_leniently(raw: bytes) -> object:
    # msgspec refuses lone surrogates and broken bytes; json takes them, and only their field is set aside
    try:
        return json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"not an Acme customer: no JSON ({len(raw)} bytes)") from error


def is_storable(text: str) -> bool:
    """False for U+0000 and lone surrogates: no database takes them."""
    return _UNSTORABLE.search(text) is None
