"""What commands need from the composition root (run_daemon.py), as a Protocol: core imports nothing above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # `accord --help` must not wait for SQLAlchemy
    from core.model.policy import ConnectionPolicy
    from core.ports import Clock, ConnectionConfig, Provider, Shell, Vault
    from core.sandbox.lookalike import LookAlike
    from core.store.database import Database
    from core.store.keyring import Keyring
    from core.sync.hub import Hub


@dataclass(frozen=True, slots=True)
class SandboxAccess:
    """A running sandbox: base URLs and secrets by connection, which is called as its look-alike (`stripe`, ...).

    `settings` and `policies`: of connections that are not set up as usual, with whatever names.
    """

    urls: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    policies: Mapping[str, ConnectionPolicy] = field(default_factory=dict)


class Root(Protocol):
    """The application, built lazily: nothing is opened before it is asked for."""

    def providers(self) -> Mapping[str, Provider]:
        """Every connector folder's offer, by provider name."""
        ...

    def clock(self) -> Clock:
        """The machine's clock."""
        ...

    def database(self) -> Database:
        """The registry's database, whatever its schema."""
        ...

    def open_hub(
        self,
        *,
        sandbox: SandboxAccess | None = None,
        wake: Callable[[str], None] | None = None,
        is_direct: bool = True,
        database_url: str | None = None,
    ) -> AbstractContextManager[Hub]:
        """A hub on the configured (or sandbox) connections, its schema checked; closed at the end.

        `database_url` instead of the configured one: a scratch registry (the demo's), made if it is not there.

        Raises ConfigError, SchemaError, StorageError.
        """
        ...

    def connections(self) -> Mapping[str, ConnectionConfig]:
        """The configured connections by name. Raises ConfigError."""
        ...

    def vault(self, connection: str) -> Vault:
        """The sealed secrets of one configured connection. Raises NotFoundError for a name that is not configured."""
        ...

    def keyring(self) -> Keyring:
        """The keys of the vault; the database must have today's schema. Raises ConfigError."""
        ...

    def shell(self, connection: str) -> Shell:
        """What a connector's transport stands on (`accord connect` exchanges an OAuth code before there is a hub)."""
        ...

    def variable(self, connection: str, secret: str) -> str:
        """The environment variable that may hold one secret of a connection."""
        ...

    def given(self, connection: str) -> Sequence[str]:
        """The variables of one configured connection's secrets that are set in this process's environment."""
        ...

    def warnings(self) -> Sequence[str]:
        """What is configured without effect, in words: settings of accord.toml, variables that nothing reads."""
        ...

    def public_url(self) -> str | None:
        """Where providers reach the webhook receiver, when that is configured."""
        ...

    def is_daemon_running(self) -> bool:
        """Whether a daemon holds this database."""
        ...

    def serve(self, *, sandbox: bool, migrate: bool) -> int:
        """Run the daemon until SIGTERM; returns the exit code."""
        ...

    def lookalikes(self, *, lag_scale: float, seed: int, enforce_limits: bool) -> Mapping[str, LookAlike]:
        """Fresh look-alikes of every provider that has one, and their planted secrets (`sandbox_secrets`)."""
        ...

    def sandbox_secrets(self) -> Mapping[str, Mapping[str, str]]:
        """The secrets that open the look-alikes."""
        ...

    def sandbox_settings(self, urls: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
        """Settings of a connection to each look-alike (`base_url`, ...), by name; `urls` are their base URLs."""
        ...

    def receiver_url(self) -> str:
        """Where a running daemon's webhook receiver listens."""
        ...

    def policy_file(self) -> Path:
        """accord.toml's place, whether it exists or not."""
        ...

    def check_policy(self, file: Path) -> Sequence[str]:
        """Read a file as the daemon would read accord.toml; returns its warnings. Raises ConfigError."""
        ...

    def configure(self, arguments: Sequence[str]) -> None:
        """Global options (`--config FILE`), before anything is opened."""
        ...
