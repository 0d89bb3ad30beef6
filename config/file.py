"""accord.toml -> AccordConfig: connections, policy, the daemon's rhythm. Every mistake is named, all at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.check import check
from config.documents import check_needs, deposits, items
from config.policy import LONGEST_SECONDS, Carrier, connection_policy, field_rules, guard
from config.section import Mistakes, Section, did_you_mean
from config.settings import secret_variable
from core.errors import ConfigError
from core.model.documents import KINDS
from core.model.policy import REGISTRY, ConnectionPolicy, DocumentPolicy, Policy
from core.model.remote import Manifest
from core.model.settings import Address
from core.ports import ConnectionConfig

MOST_CONNECTIONS: Final = 200
MOST_BYTES: Final = 4 * 1024 * 1024
SHORTEST_SECONDS: Final = 1.0
"""Between two sweeps: what is asked for more often is never done asking."""
NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
SANDBOX_DOCUMENTS: Final[Mapping[str, DocumentPolicy]] = {
    "stripe": DocumentPolicy(originates=KINDS),
    "quickbooks": DocumentPolicy(originates=KINDS, mirrors=KINDS, since="2000-01-01"),
    "hubspot": DocumentPolicy(mirrors=("invoice",), since="2000-01-01", overview=True),
}
"""What flows between look-alikes: Stripe's documents to QuickBooks, and the invoices of both to HubSpot.

Nothing is copied to Stripe here: that is for a policy of its own, since customers pay at Stripe what is open there.
"""
SANDBOX_METADATA_KEYS: Final[Mapping[str, tuple[str, ...]]] = {"hubspot": ("plan", "segment", "account_manager")}


@dataclass(frozen=True, slots=True)
class Daemon:
    """[daemon]: how often it looks by itself; webhooks are answered at once whatever stands here."""

    sweep_every: float = 60.0
    """Seconds between two sweeps of a connection's changes."""
    full_sweep_every: float = 86_400.0
    """Seconds between two complete sweeps of a connection, which find what its change feed left out."""


@dataclass(frozen=True, slots=True)
class AccordConfig:
    """Everything that accord.toml says. `warnings` are for a person: allowed, but hardly what was meant."""

    connections: Mapping[str, ConnectionConfig]
    policy: Policy
    daemon: Daemon = field(default_factory=Daemon)
    warnings: tuple[str, ...] = ()


def load_config(
    path: Path, providers: Mapping[str, Manifest], judge: Callable[[ConnectionConfig], None] = lambda _one: None
) -> AccordConfig:
    """Read and check the file; `providers` are the known ones by name. Raises one ConfigError listing all mistakes.

    `judge` raises a ConfigError for what takes more than one setting to judge, which is a provider's own.
    """
    text = _content(path)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is no TOML: {_said(error)}", file=str(path)) from error
    mistakes = Mistakes(str(path), text)
    config = _Reading(Section(document, (), mistakes), mistakes, providers).config()
    mistakes.raise_any()
    try:
        for one in config.connections.values():
            judge(one)
    except ConfigError as error:
        raise ConfigError(error.problem, file=str(path), key=error.key) from error
    return config


def sandbox_config(
    urls: Mapping[str, Mapping[str, str]], told: Mapping[str, ConnectionPolicy] | None = None
) -> AccordConfig:
    """Connect local look-alikes: `urls` is connection -> its settings.

    Everything flows, and a connection is called as its provider, but for those of which `told` says otherwise.
    """
    usual = {
        name: ConnectionPolicy(
            name=name,
            provider=name,
            enters="all",
            creates="all",
            match_email=True,
            documents=SANDBOX_DOCUMENTS.get(name, DocumentPolicy()),
        )
        for name in urls
    }
    scopes = usual | dict(told or {})
    connections = {
        name: ConnectionConfig(
            name=name,
            provider=scopes[name].provider,
            settings=dict(settings),
            metadata_keys=SANDBOX_METADATA_KEYS.get(name, ()),
        )
        for name, settings in urls.items()
    }
    return AccordConfig(connections=connections, policy=Policy(connections=scopes))


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(f"is larger than {MOST_BYTES} bytes, so it is another file", file=str(path))
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}{_leads(path)}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text; save it as UTF-8", file=str(path)) from error


def _leads(path: Path) -> str:
    """Of a link, where to; of what is none, or in a folder that may not be entered, nothing."""
    try:
        return f"; it is a link to {path.readlink()}"
    except OSError:
        return ""


def _said(error: Exception) -> str:
    """Python's words for broken TOML are good; those for what it cannot count or nest are about Python."""
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error)
    return "tables or lists lie too deep in each other" if isinstance(error, RecursionError) else "a number is too long"


class _Reading:
    """One pass over one document."""

    def __init__(self, document: Section, mistakes: Mistakes, providers: Mapping[str, Manifest]) -> None:
        self._document = document
        self._mistakes = mistakes
        self._providers = providers
        self._connections: dict[str, ConnectionConfig] = {}
        self._scopes: dict[str, ConnectionPolicy] = {}
        self._carriers: dict[str, Carrier] = {}
        self._warnings: list[str] = []

    def config(self) -> AccordConfig:
        connections = self._document.section("connections")
        if len(list(connections)) > MOST_CONNECTIONS:
            self._document.mistake(
                "connections", f"there are more than {MOST_CONNECTIONS}; run a second daemon for the rest"
            )
            self._mistakes.raise_any()
        for name in connections:
            self._connection(connections, name)
        if not self._scopes:
            self._document.mistake("connections", "there is no connection; add a table like [connections.stripe]")
        fields = self._document.section("fields")
        rules = field_rules(fields, {REGISTRY, *self._scopes, *self._providers})
        policy = Policy(connections=self._scopes, fields=rules, guard=guard(self._document.section("guard")))
        daemon = self._daemon(self._document.section("daemon"))
        self._document.close()
        # an unknown provider would make owners look missing: its own mistake is told alone
        if len(self._carriers) == len(self._scopes):
            check(self._mistakes, policy, self._connections, self._carriers, fields)
        return AccordConfig(self._connections, policy, daemon, tuple(self._warnings))

    def _connection(self, connections: Section, name: str) -> None:
        section = connections.section(name)
        if not NAME.fullmatch(name) or name == REGISTRY:
            connections.mistake(name, 'a name is 1 to 40 of a-z, 0-9 and "-", and not "registry"')
        provider = self._provider(section, name)
        manifest = self._providers.get(provider)
        keys = self._metadata_keys(section, manifest)
        carrier = Carrier(name, manifest, keys) if manifest else None
        self._scopes[name] = connection_policy(section, name, provider, carrier)
        settings = _settings(section, name, manifest)
        self._warnings += _overheard(name, settings, manifest)
        routes = deposits(section.section("deposits"), manifest)
        if manifest:
            check_needs(section.section("documents"), self._scopes[name].documents, settings, routes, manifest)
        self._connections[name] = ConnectionConfig(
            name,
            provider,
            settings,
            keys,
            self._scopes[name].external_id_field,
            items(section.section("items"), manifest),
            deposits=routes,
        )
        if carrier:
            self._carriers[name] = carrier

    def _provider(self, section: Section, name: str) -> str:
        provider = section.text("provider")
        if "provider" not in section:
            section.mistake("provider", f"is missing (known: {', '.join(sorted(self._providers))})")
        elif provider is not None and provider not in self._providers:
            section.mistake("provider", f"{provider!r} is no provider{did_you_mean(provider, self._providers)}")
        elif name in self._providers and provider not in (None, name):
            section.mistake("provider", f"a connection called {name} must be one of {name}; rename the connection")
        return provider or ""

    def _metadata_keys(self, section: Section, manifest: Manifest | None) -> tuple[str, ...]:
        keys = section.texts("metadata_keys")
        if manifest is None or "metadata_keys" not in section:
            return keys
        spec = manifest.metadata
        if spec is None:
            section.mistake("metadata_keys", f"{manifest.title} carries no metadata")
        elif spec.is_open:
            where = ".".join((*section.path, "metadata_keys"))
            self._warnings.append(f"[{where}] has no effect: {manifest.title} carries every metadata key")
        elif spec.max_keys is not None and len(keys) > spec.max_keys:
            section.mistake("metadata_keys", f"has {len(keys)} keys; {manifest.title} holds {spec.max_keys}")
        return keys

    def _daemon(self, section: Section) -> Daemon:
        default = Daemon()
        daemon = Daemon(
            sweep_every=section.number(
                "sweep_every", default.sweep_every, least=SHORTEST_SECONDS, most=LONGEST_SECONDS
            ),
            full_sweep_every=section.number(
                "full_sweep_every", default.full_sweep_every, least=SHORTEST_SECONDS, most=LONGEST_SECONDS
            ),
        )
        for carrier in self._carriers.values():
            window = carrier.manifest.changes_window_seconds
            if daemon.sweep_every >= window:
                title = carrier.manifest.title
                section.mistake("sweep_every", f"{title} remembers changes for {window:g} s only; look more often")
        return daemon


def _overheard(name: str, settings: Mapping[str, str], manifest: Manifest | None) -> Iterator[str]:
    known = manifest.settings if manifest else {}
    for key, value in settings.items():
        form = known[key].form
        if isinstance(form, Address) and form.problem(value) is None and form.is_overheard(value):
            yield f"[connections.{name}.{key}] begins with http://: everybody on the way can read the key; say https://"


def _settings(section: Section, name: str, manifest: Manifest | None) -> dict[str, str]:
    """The provider's own keys. A secret written here is refused, with the variable it belongs in."""
    if manifest is None:
        section.allow_rest()
        return {}
    for secret in manifest.secrets:
        section.hint(secret, f"is a secret: keep it out of this file and set {secret_variable(name, secret)}")
    found = {key: section.scalar(key) for key in manifest.settings}
    given = {key: value for key, value in found.items() if value is not None}
    for key, value in given.items():
        if problem := manifest.settings[key].form.problem(value):
            section.mistake(key, problem)
    return given
