"""Inputs and answers of HubSpot's batches (pure)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from connectors.hubspot.errors import item_error
from connectors.hubspot.wire import (
    ACCORD_REF,
    BILLING,
    HUBSPOT_DEFINED,
    MERGED,
    AssociationResults,
    Framed,
    HubSpotObject,
    Labels,
    ObjectType,
    PropertyDetails,
    Results,
    Saved,
    SavedResults,
    decoded,
    identified,
    join_id,
    reframed,
    sighting,
    with_billed,
    with_parent,
)
from core.errors import AccordError, AmbiguousError, RejectedError, ReplyError
from core.ports import Missing, Sighting, Write

T = TypeVar("T")
S = TypeVar("S")

TRACE: Final = "objectWriteTraceId"
STAMP_SLACK: Final = 60.0
"""Seconds that the modification time a write was answered with and the time of its versions may differ. Both are
HubSpot's; that they are the same is not documented."""


class Version(msgspec.Struct, frozen=True):
    """A value that a property once had, and since when. What one request wrote has one time."""

    value: str | None = None
    timestamp: str = ""


class Historic(msgspec.Struct, frozen=True, rename="camel"):
    """An object's property histories, newest version first."""

    id: str
    properties_with_history: dict[str, list[Version]] = {}


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in batches."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def histories(answer: Results) -> dict[str, dict[str, list[Version]]]:
    """By HubSpot id and property: the values it had, newest first."""
    return {one.id: one.properties_with_history for one in _texts(answer, Historic)}


def _texts(answer: Results, shape: type[S]) -> Iterator[S]:
    """Those that can be read. Who looks at one of the others says what is wrong with it."""
    for raw in answer.results:
        with suppress(ReplyError):
            yield decoded(raw, shape)


def around(
    seen: Sighting, written: Mapping[str, str], stamp: str, history: Mapping[str, Sequence[Version]]
) -> tuple[bytes, bytes] | None:
    """The object right before and right after a write, as far as it wrote; None when its history tells nothing.

    Anybody may have written since, the same value too: the write's own version is, of those with its value, the one
    made nearest to `stamp`, and what it replaced is the version before that. A property that had its value already
    got no version by the write: its nearest one is not of the same time as the others'.
    """
    told = {name: one for name, value in written.items() if (one := _since(history.get(name, ()), value, stamp))}
    at = min((versions[0].timestamp for versions in told.values()), key=lambda one: _apart(one, stamp), default="")
    if not at or _apart(at, stamp) > STAMP_SLACK:
        return None
    replaced = {
        name: (versions[1].value or "") if len(versions) > 1 else ""
        for name, versions in told.items()
        if versions[0].timestamp == at
    }
    try:
        whole = json.loads(seen.raw)
        whole["object"]["properties"] |= {name: versions[0].value or "" for name, versions in told.items()}
        after = msgspec.json.encode(whole)
        whole["object"]["properties"] |= replaced
        return msgspec.json.encode(whole), after
    except (KeyError, TypeError, ValueError) as error:
        raise ReplyError("an object of HubSpot's is no text, holds half a letter, or has no properties") from error


def _since(versions: Sequence[Version], value: str, stamp: str) -> Sequence[Version]:
    """The write's own version and those before it. HubSpot may have trimmed the value, or lowered its case."""
    own = [number for number, one in enumerate(versions) if _loose(one.value) == _loose(value)]
    if not own:
        return ()
    return versions[min(own, key=lambda number: _apart(versions[number].timestamp, stamp)) :]


def _loose(value: str | None) -> str:
    return (value or "").strip().casefold()


def _apart(one: str, other: str) -> float:
    """Seconds between two of HubSpot's times."""
    try:
        return abs(datetime.fromisoformat(one).timestamp() - datetime.fromisoformat(other).timestamp())
    except ValueError as error:
        raise ReplyError(f"HubSpot's history has an odd time: {one!r} or {other!r}") from error


def by_id(object_type: ObjectType, answer: Results) -> dict[str, Sighting | Missing]:
    """Objects of an answer by HubSpot id. An object that cannot be understood is still one: its bytes say so later."""
    found: dict[str, Sighting | Missing] = {}
    for raw in answer.results:
        one = identified(raw)
        remote_id = join_id(object_type, one.id)
        found[one.id] = Missing(remote_id) if one.archived else sighting(object_type, one.id, _plain(raw))
    return found


def _plain(raw: msgspec.Raw) -> bytes:
    """Without the history, which is asked for now and then: the same object has the same bytes, however it was read."""
    if b'"propertiesWithHistory"' not in bytes(raw):
        return bytes(raw)
    try:
        whole = json.loads(bytes(raw))
        whole.pop("propertiesWithHistory", None)
        return msgspec.json.encode(whole)
    except ValueError:  # no text, or half a letter: who looks at it says so
        return bytes(raw)


def survivor(remote_id: str, answer: Results) -> Missing | None:
    """`remote_id` was merged into an object of this answer; None when no object says so."""
    object_type, _, hubspot_id = remote_id.partition(":")
    for one in _texts(answer, HubSpotObject):
        merged = one.properties.get(MERGED)
        if isinstance(merged, str) and hubspot_id in merged.split(";"):
            return Missing(remote_id, survivor=f"{object_type}:{one.id}")
    return None


def marked(object_type: ObjectType, answer: Results, mark: str) -> list[str]:
    """Remote ids of the archived objects of an answer that carry this marker. HubSpot names live ones elsewhere."""
    records = [decoded(raw, HubSpotObject) for raw in answer.results if mark.encode() in bytes(raw)]
    return [join_id(object_type, one.id) for one in records if one.archived and one.properties.get(ACCORD_REF) == mark]


def tied(
    answer: AssociationResults, found: dict[str, list[str]], types: Collection[int], object_type: ObjectType
) -> list[dict[str, str]]:
    """Add the objects that an answer ties by one of these types; returns what must be asked on, from where.

    A parent of many children has them on pages, and its own parent may be on any. Who has no associations is named
    among the errors, or left out.
    """
    for error in answer.errors or ():
        if error.category != "OBJECT_NOT_FOUND":
            raise item_error(error, object_type, is_write=False)
    onward = []
    for one in answer.results:
        kinds = {str(other.to_object_id): other.association_types for other in one.to}
        found.setdefault(one.origin.id, []).extend(
            other
            for other, told in kinds.items()
            if any(kind.category == HUBSPOT_DEFINED and kind.type_id in types for kind in told)
        )
        if one.paging and one.paging.next:
            onward.append({"id": one.origin.id, "after": one.paging.next.after})
    return onward


def tie(write: Write, to: str, type_id: int) -> Mapping[str, Any]:
    """The object of a write to another one, as associations are spelled."""
    kind = {"associationCategory": HUBSPOT_DEFINED, "associationTypeId": type_id}
    return {"from": {"id": (write.remote_id or "").partition(":")[2]}, "to": {"id": to}, "types": [kind]}


def billing_type(answer: Labels) -> int:
    """The number by which a contact is a company's billing contact; RejectedError where the account has none."""
    ours = [one.type_id for one in answer.results if one.category == HUBSPOT_DEFINED and one.type_id in BILLING]
    if len(ours) != 1:
        cure = 'set billing_contact = "false" for this connection'
        raise RejectedError("this account does not let a contact be a company's billing contact", cure=cure)
    return ours[0]


def check_marker(object_type: ObjectType, found: PropertyDetails) -> None:
    """A marker that is not unique would let a repeated create make a second object."""
    if found.type == "string" and found.has_unique_value:
        return
    raise RejectedError(
        f"the {object_type} property {ACCORD_REF} exists, but is not a unique string",
        field=ACCORD_REF,
        limit="type string, unique values (which HubSpot only sets when a property is created)",
        cure="delete that property in HubSpot's settings, and connect again",
    )


def marker(write: Write) -> str:
    """The accord_ref that a create carries."""
    return str(write.body["properties"][ACCORD_REF])


def input_of(write: Write) -> Mapping[str, Any]:
    """One input of a batch. With a trace id on each, HubSpot fails inputs one by one and says which."""
    one = {"properties": write.body["properties"], TRACE: write.key}
    if write.action == "create":
        return one | {"id": marker(write), "idProperty": ACCORD_REF}
    return one | {"id": (write.remote_id or "").partition(":")[2]}


def tied_input(write: Write, ties: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One input of a batch of new objects, each with what it is tied to."""
    return {"properties": write.body["properties"], "associations": list(ties), TRACE: write.key}


def tie_to(other: str, type_id: int) -> Mapping[str, Any]:
    """What a new object is tied to, as one of its associations is spelled."""
    kind = {"associationCategory": HUBSPOT_DEFINED, "associationTypeId": type_id}
    return {"to": {"id": other}, "types": [kind]}


def outcomes(object_type: ObjectType, writes: Sequence[Write], body: bytes) -> dict[str, Saved | AccordError]:
    """What became of each write. An answer that leaves one out leaves open whether it happened."""
    unclear = AmbiguousError("HubSpot's answer to a batch does not say what became of this write")
    found: dict[str, Saved | AccordError] = {write.key: unclear for write in writes}
    try:
        answer = decoded(body, SavedResults)
    except ReplyError:
        return found
    for error in answer.errors or ():
        for key in error.told(TRACE):
            found[key] = item_error(error, object_type, is_write=True)
    untraced = {_natural_key(write): write.key for write in writes}
    for saved in answer.results:
        natural = saved.properties.get(ACCORD_REF) if writes[0].action == "create" else saved.id
        traced = saved.object_write_trace_id or untraced.get(str(natural))
        if traced in found:
            found[traced] = saved
    return found


def _natural_key(write: Write) -> str:
    return marker(write) if write.action == "create" else (write.remote_id or "").partition(":")[2]


def created(object_type: ObjectType, saved: Saved, blank: Iterable[str]) -> Sighting:
    """An object that a create has just made: what its answer tells, and the `blank` properties, which nobody has set.

    What HubSpot's own automation adds is an edit, and is found as any other.
    """
    made = sighting(object_type, saved.id, as_made(saved, blank))
    return with_parent(made, []) if object_type == "company" else made


def as_made(saved: Saved, blank: Iterable[str]) -> bytes:
    """The bytes of an object that was just made, as a read would show it."""
    properties = dict.fromkeys(blank) | saved.properties
    whole = {
        "id": saved.id,
        "properties": dict(sorted(properties.items())),
        "createdAt": saved.created_at,
        "updatedAt": saved.updated_at,
        "archived": False,
    }
    return msgspec.json.encode(whole)


def without(seen: Sighting, name: str) -> Sighting:
    """The object without a property that the account does not have."""
    whole = json.loads(seen.raw)
    whole["object"]["properties"].pop(name, None)
    return reframed(seen.id, msgspec.json.encode(whole))


def billed_by(seen: Sighting) -> list[str]:
    """The companies whose billing contact a contact is, as far as that was read."""
    framed = decoded(seen.raw, Framed)
    return [one for one in framed.billed.split(";") if one] if isinstance(framed.billed, str) else []


def joined(read: Sighting, saved: Saved, written: Collection[str]) -> Sighting:
    """The object as it was read for the write, or after it, but with what the write's own answer tells."""
    framed = decoded(read.raw, Framed)
    properties = framed.object.properties
    told = {name: value for name, value in saved.properties.items() if name in properties or name in written}
    fresh = {name: value for name, value in sorted(told.items()) if (value or None) != (properties.get(name) or None)}
    if not fresh:
        return read
    whole = json.loads(read.raw)["object"]
    whole["properties"] |= fresh
    if saved.updated_at is not None:
        whole["updatedAt"] = saved.updated_at
    made = sighting(framed.type, framed.object.id, msgspec.json.encode(whole))
    if not isinstance(framed.billed, msgspec.UnsetType):
        return with_billed(made, billed_by(read))
    return made if isinstance(framed.parent, msgspec.UnsetType) else with_parent(made, _above(framed))


def _above(framed: Framed) -> list[str]:
    return framed.parent.split(";") if isinstance(framed.parent, str) else []
