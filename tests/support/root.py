"""The commands' root on a World: real commands, store and connectors; look-alikes without sockets, time at will."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from config.file import load_config
from core.cli.root import SandboxAccess
from core.errors import NotFoundError
from core.ports import Clock, ConnectionConfig, Provider, Shell, Vault
from core.sandbox.lookalike import LookAlike
from core.store.database import Database
from core.store.instance import is_held
from core.store.keyring import Keyring, keyring_for
from core.store.life import life_file
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub
from tests.support.world import PROVIDERS, SECRETS, SETTINGS, SeededIds, World, here


@dataclass
class WorldRoot:
    """`core.cli.root.Root` over a World."""

    world: World
    file: Path = Path("accord.toml")
    told_public_url: str | None = "https://accord.example.test"
    told_warnings: list[str] = field(default_factory=list)
    told_given: list[str] = field(default_factory=list)
    daemon: Callable[[], bool] | None = None
    other_clock: Clock | None = None
    other_database: Database | None = None
    served: list[dict[str, bool]] = field(default_factory=list)
    configured: list[str] = field(default_factory=list)
    daemon_runs: int = 0

    def providers(self) -> Mapping[str, Provider]:
        """The three."""
        return PROVIDERS

    def clock(self) -> Clock:
        """The world's clock, unless a test brings one."""
        return self.other_clock or self.world.clock

    def database(self) -> Database:
        """The world's database, unless a test brings one."""
        return self.other_database or self.world.db

    @contextmanager
    def open_hub(
        self,
        *,
        sandbox: SandboxAccess | None = None,
        wake: Callable[[str], None] | None = None,
        is_direct: bool = True,
        database_url: str | None = None,
    ) -> Iterator[Hub]:
        """A second hub on the world's rows and look-alikes, as another process would have."""
        assert sandbox is None
        assert is_direct
        assert database_url is None
        hub = build_hub(
            Parts(
                configs=self.connections(),
                policy=self.world.config.policy,
                providers=PROVIDERS,
                db=self.database(),
                clock=self.clock(),
                ids=SeededIds(self.world.rng),
                vault=self.vault,
                shell=self.shell,
                wake=wake or (lambda _lane: None),
                timing=self.world.timing,
                life=life_file(self.database(), None),
            )
        )
        yield replace(hub, log=structlog.wrap_logger(structlog.PrintLogger(sys.stderr)))

    def connections(self) -> Mapping[str, ConnectionConfig]:
        """The world's."""
        return self.world.config.connections

    def vault(self, connection: str) -> Vault:
        """The world's."""
        if connection not in self.world.vaults:
            raise NotFoundError(f"there is no connection {connection!r}", field="connection")
        return self.world.vaults[connection]

    def shell(self, connection: str) -> Shell:
        """No sockets."""
        exchange = self.world.exchanges[connection]
        return Shell(clock=self.clock(), hop=here, exchange=exchange)

    def variable(self, connection: str, secret: str) -> str:
        """As config.settings names it."""
        return f"ACCORD_{connection}_{secret}".upper().replace("-", "_")

    def given(self, connection: str) -> Sequence[str]:
        """What the test planted, whatever the connection."""
        del connection
        return self.told_given

    def warnings(self) -> Sequence[str]:
        """What the test planted."""
        return self.told_warnings

    def public_url(self) -> str | None:
        """What the test planted."""
        return self.told_public_url

    def is_daemon_running(self) -> bool:
        """Whether the database is held, unless a test plays the daemon."""
        return self.daemon() if self.daemon else is_held(self.database())

    def serve(self, *, sandbox: bool, migrate: bool) -> int:
        """Remember that the daemon was to run."""
        self.served.append({"sandbox": sandbox, "migrate": migrate})
        return 0

    def lookalikes(self, *, lag_scale: float, seed: int, enforce_limits: bool) -> Mapping[str, LookAlike]:
        """The world's."""
        del lag_scale, seed, enforce_limits
        return self.world.lookalikes

    def sandbox_secrets(self) -> Mapping[str, Mapping[str, str]]:
        """The world's."""
        return SECRETS

    def sandbox_settings(self, urls: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
        """The world's, at these URLs."""
        return {name: {**SETTINGS[name], "base_url": url} for name, url in urls.items()}

    def receiver_url(self) -> str:
        """Nobody listens."""
        return "http://127.0.0.1:8401"

    def keyring(self) -> Keyring:
        """Of a key file beside the world's database."""
        return keyring_for(self.world.url, None)

    def policy_file(self) -> Path:
        """The file the test named."""
        return self.file

    def check_policy(self, file: Path) -> Sequence[str]:
        """As the daemon reads it."""
        return load_config(file, {name: one.manifest for name, one in PROVIDERS.items()}).warnings

    def configure(self, arguments: Sequence[str]) -> None:
        """Remember the global options."""
        self.configured += arguments

    def play_daemon(self) -> None:
        """From now on a daemon runs: it works whenever a command waits for it."""
        self.daemon = lambda: True
        self.other_clock = _DaemonClock(self)


@dataclass
class _DaemonClock:
    """Time in which a daemon works."""

    root: WorldRoot

    def now(self) -> float:
        """The world's."""
        return self.root.world.clock.now()

    async def sleep(self, seconds: float) -> None:
        """The daemon's lanes run while the command sleeps."""
        self.root.world.clock.time += seconds
        self.root.daemon_runs += 1
        for name in self.root.world.hub.connections:
            await self.root.world.lanes.run(name)
