"""The seams: what the application needs from the world, as Protocols and plain data.

Everything here is implemented at least twice: by the real thing and by the simulation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from core.errors import AccordError
from core.model.paper import RemoteDocument, Step, WantedDocument
from core.model.remote import Manifest, Patch, Refusal, Remote, Wanted
from core.model.values import Value

T = TypeVar("T")


# ---- time, chance, threads -------------------------------------------------------------------------


class Clock(Protocol):
    """Wall time and waiting. Times are seconds since 1970 in UTC."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; the simulation does so in virtual time."""
        ...


class Ids(Protocol):
    """Where identifiers and keys come from (random, never counters: a restored backup would rewind those)."""

    def new(self) -> str:
        """Return a fresh id: at most 32 lower-case letters and digits, roughly sorted by time."""
        ...


class Hop(Protocol):
    """Runs a blocking call off the event loop; in the simulation, right here."""

    async def __call__(self, call: Callable[[], T]) -> T:
        """Run `call` and return what it returns."""
        ...


# ---- HTTP, as plain data ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a transport-free look-alike sees it. Header names are lower case."""

    method: str
    url: str
    """Absolute, as the client called it, query included."""
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Exchange = Callable[[HttpRequest], HttpResponse]
"""One synchronous request/response. The simulation passes a look-alike's `respond`, wrapped in faults."""


# ---- what connectors say ---------------------------------------------------------------------------


class Sighting(msgspec.Struct, frozen=True):
    """One remote object as it was read: enough to see whether it changed, without translating it.

    `digest` covers the translation version and every byte that `translate` looks at (more is allowed).
    """

    id: str
    digest: str
    raw: bytes


class Bad(msgspec.Struct, frozen=True):
    """A record in a page that cannot be understood; `raw` is escaped so that any database can store it."""

    id: str
    field: str | None
    problem: str
    raw: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a sweep.

    `sightings` are objects as listed (a listing may lag: they say what to look at, not what to write).
    `changed` are ids that a change feed named without a usable snapshot. `gone` are ids the feed calls
    deleted or merged away (to be confirmed by a read). `notices` are those of the feed that carry `our_key`
    and `overwritten`: what our own writes replaced; they mark nothing. `others` are objects of other kinds that
    the same feed named. `cut` are kinds of documents of which the feed tells less than happened, and no read of
    it can tell more: what was deleted among them only a listing shows. `cursor` continues the sweep, or, when
    `is_last`, starts the next incremental one (None after the last page of a full sweep: keep the old one).
    """

    sightings: Sequence[Sighting] = ()
    changed: Sequence[str] = ()
    gone: Sequence[str] = ()
    bad: Sequence[Bad] = ()
    notices: Sequence[Notice] = ()
    others: Sequence[Notice] = ()
    cut: Sequence[str] = ()
    cursor: str | None
    is_last: bool


class Missing(msgspec.Struct, frozen=True):
    """Only a successful read returns this: the object is not there. `survivor` when it was merged away."""

    id: str
    survivor: str | None = None


class Account(msgspec.Struct, frozen=True):
    """Who the credentials belong to; pinned on first contact. `id` includes the mode (live, test)."""

    id: str
    title: str
    notes: tuple[str, ...] = ()


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What to look an object up by; the connector uses the rungs it has. See `Connector.find`.

    `created_after` and `created_before`: when it was made, by our clock; the connector allows for a skewed one.
    `with_deleted`: look also among what was deleted since, as far back as the provider tells.
    """

    mark: str | None = None
    external_id: str | None = None
    unique: Mapping[str, str] = {}
    created_after: float | None = None
    created_before: float | None = None
    with_deleted: bool = False


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One remote write. `body` was frozen in the intent; the same `key` always goes with the same body.

    `action`: create or update; of documents, the connector's own word for a step.
    `is_repeat`: it was sent before and may have happened; nothing that was done to its object since may be undone.
    `batch`: it goes in one request with those of the same one, and always in a request of that name; "": alone.
    `current`: the object's bytes as they were read for this write; None where it was not read.
    """

    key: str
    action: str
    kind: str
    remote_id: str | None
    body: Mapping[str, Any]
    is_repeat: bool = False
    batch: str = ""
    current: bytes | None = None


class Written(msgspec.Struct, frozen=True):
    """A write that happened. `sighting` is the write's own response, complete; `is_replay` when it may be older.

    `stamp`: when it was done, as the provider says, where what it replaced can be asked for later (`core.abilities`).
    """

    sighting: Sighting
    is_replay: bool = False
    stamp: str = ""


Receipt = Written | AccordError
"""RetryError: not executed. AmbiguousError: perhaps executed. RejectedError and its kin, StaleError: refused."""


class Connector(Protocol):
    """One connection to one account. Every method raises errors of core.errors and nothing else."""

    @property
    def manifest(self) -> Manifest:
        """Capabilities as data."""
        ...

    async def identify(self) -> Account:
        """Who these credentials belong to (a cheap read)."""
        ...

    async def prepare(self) -> Sequence[str]:
        """Make what writing needs (custom properties, ...); idempotent; returns what was made, in words.

        PlaceError, once all else is made, where the place of one field is refused.
        """
        ...

    async def sweep(self, kind: str, mode: Literal["full", "changes"], cursor: str | None) -> Page:
        """Read the next page. `cursor` None: from the start (full) or from now (changes: an empty last page)."""
        ...

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """Read objects as they are now, in batches; the answer has every id asked for. Raises if any read failed."""
        ...

    async def find(self, kind: str, probe: Probe) -> Sequence[Sighting | Missing]:
        """Objects that carry the probe's mark, external id or unique value; empty only after a successful look.

        One that was deleted is `Missing`, and named only where the probe wants those too.
        """
        ...

    async def write(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Send writes, one receipt for each, in order. Does not raise for one record.

        At most manifest.write_batch, and singles_per_batch beside them; of documents document_batches times as many.
        """
        ...

    async def aclose(self) -> None:
        """Let go of sockets."""
        ...


class Translator(Protocol):
    """A connector's pure half (`translate.py`), both directions."""

    def read(self, raw: bytes) -> Remote:
        """Wire bytes of one object -> neutral. Raises ReplyError when it is not one."""
        ...

    def canonical(self, field: str, value: Value) -> Value:
        """The spelling the provider would give back for `value` (trimmed, lower-cased, ...)."""
        ...

    def refusal(self, field: str, value: Value) -> Refusal | None:
        """Why this provider cannot hold `value` in `field`, or None."""
        ...

    def patch(self, wanted: Wanted, current: bytes | None) -> Patch:
        """A sparse write that makes `wanted` true; `current` is the object's raw bytes (None: create)."""
        ...


class DocumentTranslator(Protocol):
    """A connector's pure half for invoices, payments and credit notes, both directions."""

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """Wire bytes of one document -> neutral, to the minor unit; ReplyError for what cannot be told exactly."""
        ...

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        """The next write that makes `current` (None: not there yet) what is wanted; None when it is.

        Raises RejectedError (field, problem, limit, cure) for what cannot be represented there to the minor unit, has
        no place that policy names (a line's product without an item), or may not be changed any more.
        """
        ...


# ---- webhooks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it arrived. `url` is the public one (HubSpot signs it). Header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An object may have changed. `merged` are ids it absorbed. Carries an identity, never a value."""

    kind: str
    remote_id: str
    merged: tuple[str, ...] = ()
    account: str = ""
    """Whose object it is, where that is told: an app may have one address for several accounts. With `:mode` after it
    where that is told; that alone is told of the account whose address it came to."""
    our_key: str | None = None
    """The idempotency key of the write that caused it, when the provider says so (ours: an echo)."""
    overwritten: Mapping[str, Value] = {}
    """Neutral values this change replaced, from the provider's own history: for finding raced values."""


class Webhooks(Protocol):
    """A connector's pure webhook half (`webhook.py`)."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Raise SignatureError unless a live secret signed these very bytes, recently where time is signed."""
        ...

    def dedupe_key(self, delivery: Delivery) -> str:
        """Equal for redeliveries of the same event(s). Never raises on authentic but odd bodies."""
        ...

    def notices(self, body: bytes) -> Sequence[Notice]:
        """Whom the delivery concerns; unknown event types give none. Raises ReplyError on a body of no known shape, and
        PartlyReadError where that is some of its events.
        """
        ...


# ---- building a connector --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """One `[connections.NAME]` of accord.toml. `settings` are the provider's own keys, as strings."""

    name: str
    provider: str
    settings: Mapping[str, str] = field(default_factory=dict)
    metadata_keys: tuple[str, ...] = ()
    """Allow-list for providers whose metadata is not open."""
    external_id_field: str | None = None
    """Where this connection's objects carry their external_customer_id (`metadata.x`, a property name)."""
    items: Mapping[str, str] = field(default_factory=dict)
    """Which item of this connection's books a product of the documents' origin is: product -> item."""
    overview: bool = False
    """Policy wants the customers' billing overview there."""
    deposits: Mapping[str, str] = field(default_factory=dict)
    """Which account a payment of a route goes to: connection that it comes from, or that.CURRENCY -> account."""


class Vault(Protocol):
    """Secrets of one connection. Saving commits before it returns."""

    def get(self, name: str) -> str | None:
        """The newest value, or None."""
        ...

    async def save(self, values: Mapping[str, str]) -> None:
        """Store atomically (OAuth tokens must be durable before they are used)."""
        ...


@dataclass(frozen=True, slots=True)
class Shell:
    """What a connector's transport stands on. With `exchange`, no socket is opened at all."""

    clock: Clock
    hop: Hop
    exchange: Exchange | None = None
    pause: Callable[[], Awaitable[None]] | None = None
    """Simulation only: awaited before and after each exchange, so that time passes and crashes can strike."""
    count: Callable[[str], None] = lambda _endpoint: None
    """Told of every call, by its endpoint class."""
    left: Callable[[float, float], None] = lambda _share, _until: None
    """Told what share is left of the calls that all programs have together, and until when no more are added."""
    date: Callable[[str], None] = lambda _date: None
    """Told the `Date` of every answer that comes through `core.http`: the provider's clock."""
    whole_seconds: float = 120.0
    """Of one exchange in all: a time-out is of one silence, and who sends a letter now and then is never silent."""


@dataclass(frozen=True, slots=True)
class OAuth:
    """Consent in a browser, for providers without keys to paste. Secrets are in the connection's vault."""

    needs: tuple[str, ...]
    """Secrets of the app itself, which a person must give before."""
    authorize_url: Callable[[Vault, str, str], str]
    """(vault, redirect URI, state) -> where a person consents."""
    exchange: Callable[[ConnectionConfig, Vault, Shell, Mapping[str, str], str], Awaitable[Mapping[str, str]]]
    """(config, vault, shell, query of the redirect, redirect URI): stores the tokens, returns settings it learned."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What a connector folder offers: `connectors.<name>.connector.PROVIDER`. Adding one edits no other file."""

    manifest: Manifest
    webhooks: Webhooks
    translator: Callable[[ConnectionConfig], Translator]
    build: Callable[[ConnectionConfig, Vault, Shell], Connector]
    oauth: OAuth | None = None
    documents: Callable[[ConnectionConfig], DocumentTranslator] | None = None
    """For providers whose manifest has `documents`."""
