"""What the sync layer stands on: one frozen object, built in one place and passed down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from core.errors import InvalidInputError, NotFoundError, ReplyError
from core.model.figures import FIGURES
from core.model.keys import LONGEST_KEY
from core.model.pace import Pace
from core.model.parts import Parts, parts_of
from core.model.policy import ConnectionPolicy, Policy
from core.model.projection import Projection, projection_of
from core.model.remote import Manifest
from core.ports import (
    Clock,
    ConnectionConfig,
    DocumentTranslator,
    Ids,
    Provider,
    Shell,
    Sighting,
    Translator,
    Vault,
    Webhooks,
)
from core.store.database import Database, Tx
from core.store.life import LifeFile
from core.store.observations import Observation
from core.sync.closing import Closing
from core.sync.discreet import Discreet, build_discreet
from core.sync.meter import Meter, allowances_of
from core.sync.skew import Skew

KIND = "customer"


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection at work: its configuration, its connector, and the connector's pure halves."""

    name: str
    config: ConnectionConfig
    policy: ConnectionPolicy
    manifest: Manifest
    connector: Discreet
    translator: Translator
    webhooks: Webhooks
    projection: Projection
    """Of all fields; which of them one object holds, `parts` say."""
    parts: Parts
    webhook_secrets: Callable[[], tuple[str, ...]]
    meter: Meter
    clock: Clock
    skew: Skew
    documents: DocumentTranslator | None = None
    closing: Closing = field(default_factory=Closing)
    shows_overview: bool = False
    """Each customer's object shows what its documents add up to."""

    def full_calls(self, listed: int) -> int:
        """How many calls a complete sweep of so many objects takes."""
        return listed // self.manifest.page_size + 1

    def observed(self, sighting: Sighting) -> Observation:
        """Understand what was read. Raises ReplyError."""
        remote = self.translator.read(sighting.raw)
        if any(len(one) > LONGEST_KEY for one in (remote.external_id, remote.accord_ref) if one):
            problem = f"its external id, or Accord's marker, has more than {LONGEST_KEY} characters; correct it there"
            raise ReplyError(problem)
        return Observation(
            remote_id=sighting.id,
            digest=sighting.digest,
            remote=remote,
            # only an optimistic lock makes a write that is computed from an older read safe
            raw=_text(sighting.raw) if self.manifest.is_conditional else "",
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds. `patience` scales every wait that a manifest declares."""

    changes_every: float = 60.0
    full_every: float = 86400.0
    lane_budget: float = 30.0
    first_back_off: float = 2.0
    longest_back_off: float = 3600.0
    attempts_before_dead: int = 8
    patience: float = 1.0

    @property
    def pace(self) -> Pace:
        """How often to sweep, where nothing slows it down."""
        return Pace(self.changes_every, self.full_every)


@dataclass(frozen=True, slots=True)
class Hub:
    """Everything a job needs."""

    db: Database
    clock: Clock
    ids: Ids
    policy: Policy
    connections: Mapping[str, Connection]
    instance: str
    wake: Callable[[str], None]
    timing: Timing = field(default_factory=Timing)
    life: LifeFile | None = None
    """Where the database's life is told, to notice one that was put back from a backup; None: nowhere."""
    log: structlog.typing.FilteringBoundLogger = field(default_factory=structlog.get_logger)

    def connection(self, name: str) -> Connection:
        """A connection by name, or NotFoundError with the names there are."""
        found = self.connections.get(name)
        if found is None:
            known = ", ".join(sorted(self.connections)) or "none"
            raise NotFoundError(f"there is no connection {name!r}", field="connection", cure=f"known: {known}")
        return found

    def record_calls(self) -> None:
        """Store what every meter has counted: what a command reads draws on the month as what a daemon reads does."""
        counted = [one for one in self.connections.values() if one.meter.has_counted()]
        if not counted:
            return

        def record(tx: Tx) -> None:
            for one in counted:
                one.meter.record(tx, one.name, self.clock.now())

        self.db.run_now(record)


def connect(
    config: ConnectionConfig, policy: ConnectionPolicy, provider: Provider, vault: Vault, shell: Shell
) -> Connection:
    """Build one connection from its parts."""
    manifest = provider.manifest
    shows_overview = policy.documents.overview and manifest.overview
    config = replace(config, overview=shows_overview)
    translator = provider.translator(config)
    projection = projection_of(manifest, config.metadata_keys, translator.canonical, translator.refusal)
    projection = projection.with_figures(FIGURES) if shows_overview else projection
    meter = Meter(allowances_of(manifest.allowances, config))
    clock, skew = shell.clock, Skew(shell.clock)
    measured = replace(
        shell, count=meter.count, left=lambda share, until: meter.left(share, clock.now(), until), date=skew.hear
    )
    return Connection(
        name=config.name,
        config=config,
        policy=policy,
        manifest=manifest,
        connector=build_discreet(provider, config, vault, measured),
        translator=translator,
        webhooks=provider.webhooks,
        projection=projection,
        parts=parts_of(manifest, config.settings, projection),
        webhook_secrets=lambda: webhook_secrets(manifest, vault),
        meter=meter,
        clock=clock,
        skew=skew,
        documents=provider.documents(config) if provider.documents else None,
        shows_overview=shows_overview,
    )


def _text(raw: bytes) -> str:
    """JSON as text that every database takes; "" for bytes that are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def webhook_secrets(manifest: Manifest, vault: Vault) -> tuple[str, ...]:
    """Live signing secrets (several while one is being rolled); none: webhooks are refused."""
    name = manifest.webhook_secret
    found = vault.get(name) if name else None
    return tuple(part for part in (found or "").replace(",", " ").split() if part)


def require_known(hub: Hub, names: list[str]) -> list[Connection]:
    """Connections by name, all of them for an empty list."""
    if not hub.connections:
        raise InvalidInputError("no connection is configured", cure="add one to accord.toml: `accord connect --list`")
    return [hub.connection(name) for name in names or sorted(hub.connections)]
