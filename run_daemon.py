"""The composition root and the command line's entry: `accord ...` is `python run_daemon.py ...`.

Everything is built here and handed down. Imports wait until they are needed, so that `--help` answers at once.
"""

# ruff: noqa: PLC0415 - a command must not pay for what another one needs

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from config.file import AccordConfig
    from config.settings import Settings
    from core.api.serve import Doors
    from core.cli.root import SandboxAccess
    from core.clock import ThreadHop
    from core.ports import Clock, ConnectionConfig, Provider, Shell, Vault
    from core.sandbox.lookalike import LookAlike, Offer
    from core.store.database import Database
    from core.store.instance import Instance
    from core.store.keyring import Keyring
    from core.sync.hub import Hub

SANDBOX_FILE: Final = "sandbox.sqlite3"
SANDBOX_URLS: Final = "sandbox_urls"
"""Row of `meta` in which a sandbox daemon tells other commands where its look-alikes are."""
SANDBOX_SCALE: Final = 0.1
"""Look-alikes lag a tenth of what the providers do, and Accord waits a tenth as long for them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        from core.cli.main import run
    except KeyboardInterrupt:
        return 130
    return run(Application(), argv)


class Application:
    """`core.cli.root.Root`, for real."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Read nothing yet; `environ` instead of the process's own environment."""
        self._environ = environ
        self._file: Path | None = None
        self._learn: Callable[[str], None] = lambda _secret: None

    # ---- what is configured --------------------------------------------------------------------

    def configure(self, arguments: Sequence[str]) -> None:
        """Take `--config FILE`; ConfigError for anything else."""
        from core.errors import ConfigError

        if len(arguments) != 2 or arguments[0] != "--config":
            raise ConfigError(f"cannot use {' '.join(arguments)}; there is --config FILE")
        self._file = Path(arguments[1])

    @cached_property
    def settings(self) -> Settings:
        """The environment, read once."""
        from config.settings import load_settings

        settings = load_settings(self._environ)
        return settings.model_copy(update={"config": self._file}) if self._file else settings

    @property
    def is_sandbox(self) -> bool:
        """Whether there is no accord.toml; one that was named, or is linked to, and is missing is a mistake."""
        return "config" not in self.settings.model_fields_set and not os.path.lexists(self.settings.config)

    @cached_property
    def config(self) -> AccordConfig:
        """accord.toml, read and checked. Raises ConfigError."""
        return self._read(self.settings.config)

    def _read(self, file: Path) -> AccordConfig:
        from config.file import load_config

        return load_config(file, {name: one.manifest for name, one in self.providers().items()}, self._judge)

    def _judge(self, one: ConnectionConfig) -> None:
        offer = self.providers()[one.provider]
        _ = offer.translator(one), offer.documents and offer.documents(one)

    def check_policy(self, file: Path) -> Sequence[str]:
        """Read another file as if it were accord.toml; returns its warnings. Raises ConfigError."""
        return self._read(file).warnings

    def connections(self) -> Mapping[str, ConnectionConfig]:
        """The configured connections by name."""
        return self.config.connections

    def policy_file(self) -> Path:
        """accord.toml's place, whether it exists or not."""
        return self.settings.config

    def public_url(self) -> str | None:
        """Where providers reach the webhook receiver, when that is configured."""
        return self.settings.public_url

    def receiver_url(self) -> str:
        """Where a running daemon's webhook receiver listens, by its settings."""
        return self.settings.receiver_url

    def variable(self, connection: str, secret: str) -> str:
        """The environment variable that may hold one secret of a connection."""
        from config.settings import secret_variable

        return secret_variable(connection, secret)

    def given(self, connection: str) -> Sequence[str]:
        """The variables of one configured connection's secrets that are set here."""
        manifest = self.providers()[self.config.connections[connection].provider].manifest
        found = self.settings.connection_secrets(connection, manifest.secrets)
        return [self.variable(connection, name) for name in sorted(found)]

    def warnings(self) -> Sequence[str]:
        """What is configured without effect, in words."""
        if self.is_sandbox:
            return self.settings.unknown_variables({})
        manifests = {name: self.providers()[one.provider].manifest for name, one in self.config.connections.items()}
        unread = self.settings.unknown_variables({name: one.secrets for name, one in manifests.items()})
        return [*self.config.warnings, *unread]

    # ---- what is in the folders ----------------------------------------------------------------

    def providers(self) -> Mapping[str, Provider]:
        """Every connector folder's offer, by provider name."""
        return self._providers

    @cached_property
    def _providers(self) -> Mapping[str, Provider]:
        import connectors

        return connectors.providers()

    @cached_property
    def _offers(self) -> Mapping[str, Offer]:
        import connectors

        return connectors.offers()

    def lookalikes(self, *, lag_scale: float, seed: int, enforce_limits: bool) -> Mapping[str, LookAlike]:
        """Fresh look-alikes of every provider that has one."""
        from random import Random

        chances = {name: Random(f"{seed} {name}") for name in self._offers}  # noqa: S311 - a sandbox's
        built = ((name, one.build, chances[name]) for name, one in self._offers.items())
        return {name: build(self.clock(), chance, lag_scale, enforce_limits) for name, build, chance in built}

    def sandbox_secrets(self) -> Mapping[str, Mapping[str, str]]:
        """The secrets that open the look-alikes."""
        return {name: offer.secrets for name, offer in self._offers.items()}

    def sandbox_settings(self, urls: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
        """Settings of a connection to each look-alike, by name; `urls` are their base URLs."""
        return {name: self._offers[name].settings(url) for name, url in urls.items()}

    def clock(self) -> Clock:
        """The machine's clock."""
        from core.clock import SystemClock

        return SystemClock()

    @cached_property
    def _hop(self) -> ThreadHop:
        from core.clock import ThreadHop

        return ThreadHop()

    def shell(self, connection: str) -> Shell:  # noqa: ARG002 - they all stand on the same
        """What a connector's transport stands on."""
        from core.ports import Shell

        return Shell(clock=self.clock(), hop=self._hop)

    def _database_url(self, *, is_sandbox: bool) -> str:
        # a file of its own, whatever else is configured: a sandbox must never meet real records
        own = self.settings.config.absolute().parent / "var" / SANDBOX_FILE
        return f"sqlite:///{own}" if is_sandbox else self.settings.database

    def database(self) -> Database:
        """The registry's database, whatever its schema, for the calling thread."""
        return self._database

    @cached_property
    def _database(self) -> Database:
        from core.store.database import Database

        return Database(self._database_url(is_sandbox=self.is_sandbox), is_direct=True)

    def is_daemon_running(self) -> bool:
        """Whether a daemon holds this database."""
        from core.store.instance import is_held

        return is_held(self.database())

    def vault(self, connection: str) -> Vault:
        """The sealed secrets of one configured connection. Raises NotFoundError."""
        from core.errors import NotFoundError
        from core.store import schema

        if connection not in self.connections():
            known = ", ".join(sorted(self.connections()))
            raise NotFoundError(f"there is no connection {connection!r}", field="connection", cure=f"known: {known}")
        schema.bring(self.database(), migrate=False)
        return self._vaults(self.database(), None)(connection)

    def _vaults(self, db: Database, access: SandboxAccess | None) -> Callable[[str], Vault]:
        """Vaults by connection; in a sandbox with the planted secrets, else with those of the environment."""
        from core.store.vault import SealedVault, check_keys

        clock, keys = self.clock(), self._keys(db, is_sandbox=access is not None)
        check_keys(db, keys)

        def initial(name: str) -> Mapping[str, str]:
            if access is not None:
                return access.secrets[name]
            manifest = self.providers()[self.config.connections[name].provider].manifest
            return self.settings.connection_secrets(name, manifest.secrets)

        return lambda name: SealedVault(db, keys, name, clock=clock, initial=initial(name), tell=self._learn)

    def keyring(self) -> Keyring:
        """The keys of the vault. Raises ConfigError, SchemaError."""
        from core.store import schema

        access = self._running_sandbox() if self.is_sandbox else None
        schema.bring(self.database(), migrate=False)
        return self._keys(self.database(), is_sandbox=access is not None)

    def _keys(self, db: Database, *, is_sandbox: bool) -> Keyring:
        from core.store.keyring import keyring_for

        given = None if is_sandbox else self.settings.read_secret_key
        return keyring_for(db.url.render_as_string(hide_password=False), given)

    @contextmanager
    def open_hub(
        self,
        *,
        sandbox: SandboxAccess | None = None,
        wake: Callable[[str], None] | None = None,
        is_direct: bool = True,
        database_url: str | None = None,
    ) -> Iterator[Hub]:
        """A hub on the configured connections, or on a sandbox's; see Root."""
        from config.logging import configure_logging
        from core.store import schema
        from core.store.database import Database

        # stdout is a command's result; what lanes say by the way is for whoever asks for it
        is_asked_for = "log_level" in self.settings.model_fields_set
        quiet = self.settings.model_copy(update={"log_level": "warning"})
        self._learn = configure_logging(self.settings if is_asked_for else quiet, sys.stderr).learn
        access = sandbox or (self._running_sandbox() if self.is_sandbox else None)
        _ = access or self.config  # mistakes in the file are told before anything is opened
        db = Database(database_url or self._database_url(is_sandbox=access is not None), is_direct=is_direct)
        try:
            schema.bring(db, migrate=False)
            yield self._hub(db, access, wake or (lambda _lane: None))
        finally:
            db.close()

    def _hub(self, db: Database, access: SandboxAccess | None, wake: Callable[[str], None]) -> Hub:
        from config.file import sandbox_config
        from core.clock import RandomIds
        from core.store.life import life_file
        from core.sync.build import Parts, build_hub
        from core.sync.hub import Timing

        settings = (access.settings or self.sandbox_settings(access.urls)) if access else {}
        config = sandbox_config(settings, access.policies) if access else self.config
        parts = Parts(
            configs=config.connections,
            policy=config.policy,
            providers=self.providers(),
            db=db,
            clock=self.clock(),
            ids=RandomIds(self.clock()),
            vault=self._vaults(db, access),
            shell=self.shell,
            wake=wake,
            life=life_file(db, self.settings.config.absolute().parent / "var") if access is None else None,
            timing=Timing(
                changes_every=config.daemon.sweep_every,
                full_every=config.daemon.full_sweep_every,
                patience=1.0 if access is None else SANDBOX_SCALE,
            ),
        )
        return build_hub(parts)

    def _running_sandbox(self) -> SandboxAccess:
        """The look-alikes of the sandbox daemon that runs here. Raises ConfigError when none does."""
        import json

        from core.cli.root import SandboxAccess
        from core.errors import ConfigError
        from core.store.connections import meta

        is_running = self.is_daemon_running()
        told = self.database().read_now(lambda tx: meta(tx, SANDBOX_URLS)) if is_running else None
        if told is None:
            message = (
                "is not there; `accord init` writes one (config/accord.example.toml shows all of it), "
                "`accord run` starts a sandbox"
            )
            raise ConfigError(message, file=str(self.settings.config))
        return SandboxAccess(urls=json.loads(told), secrets=self.sandbox_secrets())

    def serve(self, *, sandbox: bool, migrate: bool) -> int:
        """Run the daemon until SIGTERM; returns the exit code. Raises AccordError when it cannot start."""
        from config.logging import configure_logging
        from core.api.serve import run_loop
        from core.sandbox.standing import forget
        from core.store import schema
        from core.store.database import Database
        from core.store.instance import hold

        is_sandbox = sandbox or self.is_sandbox
        self._learn = configure_logging(self.settings, sys.stderr).learn
        _ = is_sandbox or self.config  # as in `open_hub`
        with ExitStack() as stack:
            db = Database(self._database_url(is_sandbox=is_sandbox))
            stack.callback(db.close)
            lock = stack.enter_context(hold(db, self.clock()))
            if is_sandbox and db.file:
                forget(db.file)
            schema.bring(db, migrate=migrate)
            doors = self._doors(db, is_sandbox=is_sandbox)
            is_drained = run_loop(lambda: self._serve(db, lock, doors, is_sandbox=is_sandbox))
        if not is_drained:
            # a thread is still in a provider's call: it would keep the interpreter from ending for as long
            sys.stderr.flush()
            os._exit(0)
        return 0

    def _doors(self, db: Database, *, is_sandbox: bool) -> Doors:
        from core.api.serve import Doors, listen, require_token, url_of

        settings = self.settings
        token = settings.api_token.get_secret_value() if settings.api_token else None
        require_token(db, settings.api_host, token)
        webhooks = listen(settings.webhook_host, settings.webhook_port, "the webhook receiver (ACCORD_WEBHOOK_PORT)")
        api = listen(settings.api_host, settings.api_port, "the API (ACCORD_API_PORT)")
        own = url_of(webhooks)
        return Doors(api, webhooks, own if is_sandbox else settings.public_url or own, token)

    async def _serve(self, db: Database, lock: Instance, doors: Doors, *, is_sandbox: bool) -> bool:
        import structlog

        from core.api.serve import Daemon, require_public_url
        from core.engine.embedded import EmbeddedEngine
        from core.sync.restoring import notice
        from jobs import schedule

        log = structlog.get_logger()
        for warning in self.warnings() if not is_sandbox or self.is_sandbox else ():
            log.warning("config.no_effect", problem=warning)
        engine, access = EmbeddedEngine(), None
        async with AsyncExitStack() as stack:
            if is_sandbox:
                access = await self._start_sandbox(stack, db, doors.public_url)
                why = f"there is no {self.settings.config}" if self.is_sandbox else "--sandbox"
                told = f"SANDBOX: {why}; running on built-in look-alikes, nothing real is touched"
                log.warning("daemon.sandbox", problem=told, lookalikes=dict(access.urls), database=str(db.file))
            hub = self._hub(db, access, engine.wake)
            if not is_sandbox:
                require_public_url(hub, self.settings.public_url)
            notice(hub)
            return await Daemon(hub, engine, lock, doors, schedule(hub.timing)).run()

    async def _start_sandbox(self, stack: AsyncExitStack, db: Database, receiver: str) -> SandboxAccess:
        import json
        from random import Random

        from core.cli.root import SandboxAccess
        from core.sandbox.standing import stand
        from core.store.connections import put_meta_once

        lookalikes = self.lookalikes(lag_scale=SANDBOX_SCALE, seed=1, enforce_limits=True)
        chance = Random(1)  # noqa: S311 - a sandbox's
        server = await stand(lookalikes, clock=self.clock(), rng=chance, receiver=receiver)
        stack.push_async_callback(server.stop)
        urls = {name: server.url(name) for name in lookalikes}
        await db.run(lambda tx: put_meta_once(tx, SANDBOX_URLS, json.dumps(urls)))
        return SandboxAccess(urls=urls, secrets=self.sandbox_secrets())


if __name__ == "__main__":
    sys.exit(main())
