"""The daemon's loop: webhooks, API, lanes and scheduled jobs in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Final, TypeVar, cast

import structlog
import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from core.api.app import build_app
from core.api.asgi import App
from core.api.context import Context
from core.api.door import MOST_ASKING, MOST_TAKING, Crowd, Door
from core.api.edge import LOOPBACK
from core.api.health import Health
from core.api.metrics import Metrics
from core.api.rhythm import Every, keep_on
from core.api.webhooks import WebhookApp
from core.engine.embedded import EmbeddedEngine, Lane
from core.errors import AccordError, BusyError, ConfigError
from core.store import api_tokens
from core.store.database import Database
from core.store.instance import Instance
from core.sync.hub import Hub
from core.sync.lanes import Lanes
from core.sync.rounds import Job

T = TypeVar("T")

CONFIRM_SECONDS: Final = 5.0
"""How often the daemon asks whether its lock is still its own."""
DRAIN_SECONDS: Final = 6.0
"""How long lanes may take to finish their piece of work after SIGTERM; exit comes within ten seconds in all."""
REQUEST_SECONDS: Final = 3
CLOSE_SECONDS: Final = 1.0
LONGEST_REST: Final = 60.0
BACKLOG: Final = 2048
NEW_OBJECTS: Final = 10_000
"""So many, before Python looks among them for garbage."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Bound sockets, and how the receiver is reached from outside."""

    api: socket.socket
    webhooks: socket.socket
    public_url: str
    token: str | None


def listen(host: str, port: int, what: str) -> socket.socket:
    """Bind a listening socket; BusyError says whose port it is meant to be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(BACKLOG)  # at once: whoever reads the address in the log may connect
    except OSError as error:
        door.close()
        message = f"{what} cannot listen on {host}:{port}: {error.strerror}; free the port, or name another"
        raise BusyError(message) from error
    door.setblocking(False)  # noqa: FBT003 - a socket's own interface
    return door


def url_of(door: socket.socket) -> str:
    """Where a door is reached from this machine."""
    host, port = door.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def require_token(db: Database, host: str, token: str | None) -> None:
    """Raise ConfigError for an API that everybody could reach and nobody needs a token for."""
    if token is None and host not in LOOPBACK and not db.read_now(api_tokens.is_any):
        problem = f"is needed, since the API would listen on {host} for everybody; or `accord tokens create`"
        raise ConfigError(problem, file="environment", key="ACCORD_API_TOKEN")


def require_public_url(hub: Hub, public_url: str | None) -> None:
    """Raise ConfigError if webhooks are to be verified whose signature covers an address that nobody told."""
    signing = [one for one in hub.connections.values() if one.manifest.signs_url and one.webhook_secrets()]
    if signing and public_url is None:
        one = signing[0]
        problem = (
            f"is needed, since {one.manifest.title} signs the address that webhooks are sent to; "
            f"to do without its webhooks, leave the {one.manifest.webhook_secret} of {one.name} unset"
        )
        raise ConfigError(problem, file="environment", key="ACCORD_PUBLIC_URL")


class Daemon:
    """One run of the daemon."""

    def __init__(self, hub: Hub, engine: EmbeddedEngine, instance: Instance, doors: Doors, jobs: Sequence[Job]) -> None:
        """Nothing runs before `run`."""
        self._hub = hub
        self._engine = engine
        self._doors = doors
        self._jobs = jobs
        self._log = structlog.get_logger()
        self._metrics = Metrics()
        self._lanes = Lanes(hub, should_stop=lambda: engine.is_draining or not self._health.is_ours)
        self._health = Health(hub.db, instance, hub.clock, self._lanes.begin_anew)
        self._stop = asyncio.Event()
        self._failed: dict[Lane, int] = {}

    async def run(self) -> bool:
        """Serve until SIGTERM or SIGINT; False when lanes had to be cut off."""
        servers = [_server(self._api()), _server(WebhookApp(self._hub, self._doors.public_url, self._metrics))]
        doors = (self._doors.api, self._doors.webhooks)
        serving = [asyncio.create_task(one.serve([door])) for one, door in zip(servers, doors, strict=True)]
        lanes = asyncio.create_task(self._engine.serve(self._run_lane))
        scheduler = self._scheduler()
        scheduler.start()
        rhythm = asyncio.create_task(keep_on(scheduler, self._hub.clock.now, asyncio.get_running_loop().time))
        stopping = asyncio.create_task(self._stop.wait())
        with self._signals():
            told = {"api": url_of(doors[0]), "webhooks": url_of(doors[1]), "public_url": self._doors.public_url}
            self._log.info("daemon.ready", connections=sorted(self._hub.connections), **told)
            await asyncio.wait([stopping, lanes, *serving], return_when=asyncio.FIRST_COMPLETED)
        self._log.info("daemon.stopping")
        self._health.is_stopping = True
        self._stop.set()
        self._engine.stop_starting()
        rhythm.cancel()
        scheduler.shutdown(wait=False)
        for one in servers:
            one.should_exit = True
        is_drained = await self._drain(lanes)
        results = await asyncio.gather(*serving, stopping, return_exceptions=True)
        await self._let_go()
        self._log.info("daemon.stopped", is_drained=is_drained)
        for found in results:
            if isinstance(found, Exception):
                raise found
        return is_drained

    # ---- the parts ----

    def _api(self) -> App:
        context = Context(hub=self._hub, health=self._health, metrics=self._metrics, totals=self._lanes.totals)
        return build_app(context, token=self._doors.token, host=self._doors.api.getsockname()[0])

    def _scheduler(self) -> AsyncIOScheduler:
        # a tick that is still busy when the next one is due is no news
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        for job in self._jobs:
            soon = {"next_run_time": datetime.fromtimestamp(self._hub.clock.now(), UTC)} if job.at_start else {}
            every = Every(seconds=job.every_seconds, timezone=UTC)
            scheduler.add_job(_until_stopped, every, args=[partial(self._run_job, job)], **soon)
        every = Every(seconds=CONFIRM_SECONDS, timezone=UTC)
        scheduler.add_job(_until_stopped, every, args=[self._health.confirm])
        return scheduler

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first signal asks to stop; a second one ends the process, which is safe at any line."""
        loop = asyncio.get_running_loop()
        taken = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # whoever means it to read a file again would find a daemon that ended without a line in its log;
            # where it is ignored (nohup), the terminal may close
            taken.append(signal.SIGHUP)
        for one in taken:
            loop.add_signal_handler(one, self._stop.set)
        try:
            yield
        finally:
            for one in taken:
                loop.remove_signal_handler(one)

    # ---- work ----

    async def _run_lane(self, lane: Lane) -> None:
        """One run of a lane. Trouble with its connection is the lane's own affair; what comes here is worse."""
        if not self._health.is_ours:
            return
        with structlog.contextvars.bound_contextvars(trace=self._hub.ids.new()):
            try:
                await self._lanes.run(lane)
            except AccordError as error:
                self._log.error("lane.failed", connection=lane, code=error.code, problem=str(error))
            except Exception:  # noqa: BLE001 - one lane's bug must not end the others; logged with its story
                self._log.exception("lane.failed", connection=lane)
            else:
                self._failed.pop(lane, None)
                return
        self._failed[lane] = self._failed.get(lane, 0) + 1
        # the tick would wake it again at once
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), min(LONGEST_REST, 2.0 ** self._failed[lane]))

    async def _run_job(self, job: Job) -> None:
        name = getattr(job.run, "__name__", "job")
        if not self._health.is_ours:
            return
        with structlog.contextvars.bound_contextvars(trace=self._hub.ids.new()):
            try:
                await job.run(self._hub)
            except AccordError as error:
                self._metrics.job(name, "failed")
                self._log.error(f"{name}.failed", code=error.code, problem=str(error))
            except Exception:  # noqa: BLE001 - one job's bug must not end the others; logged with its story
                self._metrics.job(name, "failed")
                self._log.exception(f"{name}.failed")
            else:
                self._metrics.job(name, "done")

    # ---- the end ----

    async def _drain(self, lanes: asyncio.Task[None]) -> bool:
        try:
            await asyncio.wait_for(self._engine.drained(), DRAIN_SECONDS)
            is_drained = True
        except TimeoutError:
            self._log.warning("daemon.lanes_cut_off", after_seconds=DRAIN_SECONDS)
            self._engine.abandon()
            is_drained = False
        lanes.cancel()
        await asyncio.wait([lanes], timeout=CLOSE_SECONDS)
        return is_drained

    async def _let_go(self) -> None:
        closing = [asyncio.create_task(one.connector.aclose()) for one in self._hub.connections.values()]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECONDS)


async def _until_stopped(run: Callable[[], Awaitable[None]]) -> None:
    """What the daemon's end cuts off is run again after the next start: else the scheduler tells of an error."""
    with suppress(asyncio.CancelledError):
        await run()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's: two servers would each take them from the other."""
        yield


def _server(app: App) -> _Server:
    config = uvicorn.Config(
        app,
        loop="none",
        http=cast("type[asyncio.Protocol]", partial(Door, Crowd(MOST_ASKING), Crowd(MOST_TAKING))),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=REQUEST_SECONDS,
    )
    return _Server(config)


def run_loop(serving: Callable[[], Coroutine[object, object, T]]) -> T:
    """Run one coroutine on the fastest loop there is on this platform.

    What is there by now lives as long as the process: looking through it for garbage cost a tenth of a first read.
    Looking after every few hundred new objects, as Python does by itself, cost another twelfth, for nine MiB less.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    factory = None if sys.platform == "win32" else import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(serving())
