"""What a connector's pure part says about one remote object, and what it needs to change one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from core.model.paper import DocumentSpec
from core.model.settings import Setting
from core.model.values import Value


class Mark(msgspec.Struct, frozen=True):
    """Our opaque marker on a remote object: `instance.mapping.generation`, in one string."""

    instance: str
    mapping: str
    generation: int

    def __str__(self) -> str:
        """Render as it is written on the remote object."""
        return f"{self.instance}.{self.mapping}.{self.generation}"


def parse_mark(text: str | None) -> Mark | None:
    """The mark in `text`, or None where it is not one of Accord's (of any instance)."""
    parts = (text or "").split(".")
    if len(parts) != 3 or not all(parts) or not parts[2].isdecimal() or len(parts[2]) > 9:
        return None
    return Mark(parts[0], parts[1], int(parts[2]))


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """One remote object in neutral form, as a connector's `translate.py` reads it.

    `fields` holds neutral values (see core.model.values): a key that is absent could not be read and is
    outside the comparison, None is explicitly blank. `unmade` are fields whose place is not there: blank, where
    nothing was ever agreed on; what was agreed stands, for nobody has cleared it. With `metadata_complete`, a metadata
    key that is absent is blank. `unreadable` names fields that are there but cannot be taken, and why; the engine
    holds those and lets the rest flow. `version` is the provider's optimistic lock. `foreign_marks` are
    other writers' markers (`lago_customer_id`, ...) with their values. `parent_id` is the object above this one;
    an object that could have one and has none has the field `parent` blank. `part_of` are the objects that this one is
    a part of (None: not read).
    """

    id: str
    fields: dict[str, Value]
    unmade: frozenset[str] = frozenset()
    metadata_complete: bool = False
    unreadable: dict[str, str] = {}
    version: str | None = None
    accord_ref: str | None = None
    external_id: str | None = None
    is_archived: bool = False
    parent_id: str | None = None
    part_of: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    foreign_marks: dict[str, str] = {}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a neutral value cannot be represented at a provider; nothing is ever cut short instead."""

    field: str
    problem: str
    limit: str
    cure: str


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A sparse write in the provider's own shape: only what changes. `body` is JSON-able and is frozen."""

    body: dict[str, Any]

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not self.body


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What one remote object shall hold: only the fields to write (None clears), plus our marker.

    `mark` and `external_id` are None where nothing shall be written for them. `parent_id` is the object that the
    field `parent` means there. `part` names the part of a record that the object is; "": it is the record's own.
    """

    fields: Mapping[str, Value]
    part: str = ""
    parent_id: str | None = None
    mark: str | None = None
    external_id: str | None = None


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a connector projects one neutral field. `since` is the translation version that first did.

    `is_fixed`: once an object has a value of it, it never gets another one.
    """

    since: int = 1
    is_fixed: bool = False
    max_length: int | None = None
    note: str = ""


class MetadataSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a connector carries metadata. `is_open`: any key; otherwise only keys allow-listed in policy."""

    is_open: bool = True
    max_keys: int | None = None
    max_key_length: int | None = None
    max_value_length: int | None = None


class Hierarchy(msgspec.Struct, frozen=True, kw_only=True):
    """Objects of this provider have parents. `levels`: how many may be below the top; None: any number.

    `is_apart`: a parent is written by a call of its own, to an object that is there already. `of`: how the ids of
    the objects begin that can have a parent, or be one.
    """

    levels: int | None = None
    is_apart: bool = False
    of: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A second object that a record can have at this provider, tied to its own one, which is the whole.

    It holds `fields` instead of the whole, and is made for records that have a value of `key`, one of them: no two such
    objects have the same there. `of` and `ids`: how the ids of wholes, and of such parts, begin. `when`: the field and
    its value by which a record without an object will get a whole of that kind; a blank one counts where the setting
    `blank_setting` has that value. A connection has it where its setting `setting` is `true`.
    """

    name: str
    title: str
    fields: tuple[str, ...]
    key: str
    of: str
    ids: str
    when: tuple[str, str]
    blank_setting: str
    setting: str


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One published rate limit: `calls` per `seconds` for the calls whose endpoint class is in `endpoints`.

    `endpoints` empty: all calls together. `each`: every endpoint has a bucket of its own. `credits_travel`: a
    place is free sooner by what any call is under way for, which holds on a line of steady speed only: for limits of a
    second, of which waiting for the answer would cost a tenth, and whose refusal costs a moment.
    """

    name: str
    calls: int
    seconds: float
    endpoints: tuple[str, ...] = ()
    each: bool = False
    credits_travel: bool = False


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider allows over a long time: `calls` of `endpoints` per `seconds`.

    Sweeps keep within it by running less often. `setting`: which setting of a connection says how many calls it has.
    """

    name: str
    calls: int
    seconds: float
    endpoints: tuple[str, ...]
    setting: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A connector's capabilities as data; the engine obeys it. Times are in seconds."""

    provider: str
    title: str
    translation: int
    fields: Mapping[str, FieldSpec]
    metadata: MetadataSpec | None
    hierarchy: Hierarchy | None = None
    parts: tuple[Part, ...] = ()
    kinds: tuple[str, ...] = ("customer",)
    """What `sweep`, `read`, `find` and `write` take: customers, and each kind in `documents`."""
    overview: bool = False
    """Objects of customers have places for the billing overview (core.model.figures)."""
    documents: Mapping[str, DocumentSpec] = {}
    unread: tuple[str, ...] = ()
    """What else people bill, or take money with, there, in their words: no document tells of it, and so no report."""
    unmade_customer: str = "0"
    """In the form of a customer's id there: stands, in a plan, for one that is not made yet."""
    archives: Literal["", "restorable", "final"] = ""
    """What its connector can do to the object of a customer who was archived in the registry, as an Archiver (see
    core.abilities). restorable: a write brings it back; final: only a person can, and for a time. "": nothing."""
    has_payouts: bool = False
    """It pays out what it collected, and its connector is a PayoutSource."""
    page_size: int
    read_batch: int
    write_batch: int
    """How many writes `write` is given at once."""
    writes_per_call: int = 1
    """How many of them share a request."""
    singles_per_batch: int = 0
    """How many writes go singly beside each batch, where the two have limits of their own. 0: every connector request
    is the connector's own business, and each write can be repeated by itself."""
    in_flight: int = 4
    batches_at_once: int = 2
    """How many batches of a lane are under way at once: enough to use the limits at the usual answer times. More would
    only make what comes next wait longer."""
    document_batches: int = 1
    """How many batches of documents go as one, and count as so many: where what a document is made of shares requests
    too, more of them leave fewer requests half empty."""
    create_key_seconds: float | None
    """How long a repeated create with the same key returns the first answer; None: for ever (natural key)."""
    create_key_sure_seconds: float | None = None
    """Where no document says how long a key lives: for how long a repeat is sent unlooked. None: all its life.

    `find` must then also name what was made in the probe's time and has another unique value by now.
    """
    lookup_lag_seconds: float
    """How long after a write `find` may still miss the object."""
    settle_seconds: float = 60.0
    """Client time-out plus the provider's longest in-flight time: how long an unanswered write may still land."""
    is_conditional: bool
    """Updates carry an optimistic lock, so that an overwrite between read and write cannot happen."""
    has_marker: bool
    """Remote objects have a place for our accord_ref."""
    changes_window_seconds: float
    """How far back the change feed reaches; an older cursor forces a full sweep."""
    sweep_overlap_seconds: float = 300.0
    limits: tuple[Limit, ...]
    allowances: tuple[Allowance, ...] = ()
    unique_fields: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = {}
    """Settings of a connection of this provider: name -> what it is (shown by `accord connect --list`)."""
    secrets: Mapping[str, str] = {}
    """Secrets of a connection: name -> what it is and where to find it."""
    webhook_secret: str = ""
    """Which of `secrets` signs webhooks."""
    signs_url: bool = False
    """Webhooks are signed with the address they were sent to: it must be configured exactly, headers can lie."""
    is_app_wide: bool = False
    """An app has one address for the webhooks of all accounts that it is connected to."""
    webhook_events: tuple[str, ...] = ()
    not_synced: Mapping[str, str] = {}
    """What stays outside the projection, and why."""
