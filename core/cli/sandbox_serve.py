"""The work of `accord sandbox serve`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from core.cli.desk import OK, Desk
from core.errors import StorageError
from core.sandbox.lookalike import LookAlike
from core.sandbox.seed import demo_seed, plant
from core.sandbox.server import SandboxServer

if TYPE_CHECKING:
    from core.cli.screen import Screen


@dataclass(frozen=True, slots=True)
class World:
    """What is served."""

    port_base: int
    lag_scale: float
    seed: int
    customers: int
    enforce_limits: bool


def serve_until_stopped(desk: Desk, world: World) -> int:
    """Seed, serve, tell where, wait for SIGINT or SIGTERM."""
    lookalikes = desk.root.lookalikes(lag_scale=world.lag_scale, seed=world.seed, enforce_limits=world.enforce_limits)
    if world.customers:
        _seed(lookalikes, world)
    asyncio.run(_serve(desk, world, lookalikes))
    return OK


def _seed(lookalikes: Mapping[str, LookAlike], world: World) -> None:
    seed = demo_seed(Random(world.seed), world.customers)  # noqa: S311 - the same seed shall make the same world
    plant(seed, lambda system, rows: [lookalikes[system].edit("customer", None, one) for one in rows])


async def _serve(desk: Desk, world: World, lookalikes: Mapping[str, LookAlike]) -> None:
    names = sorted(lookalikes)
    ports = {name: world.port_base + index for index, name in enumerate(names)} if world.port_base else {}
    rng = Random(world.seed)  # noqa: S311 - of the look-alikes' faults
    server = SandboxServer(lookalikes, clock=desk.root.clock(), rng=rng, ports=ports)
    stopped = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    try:
        await server.start()
        _tell(desk, {name: server.url(name) for name in names})
        await stopped.wait()
    except OSError as error:
        raise StorageError(f"cannot listen: {error.strerror or error}; name other ports with --port-base") from error
    finally:
        await server.stop()


def _tell(desk: Desk, urls: Mapping[str, str]) -> None:
    settings, secrets = desk.root.sandbox_settings(urls), desk.root.sandbox_secrets()
    environment = {
        desk.root.variable(name, secret): value for name in urls for secret, value in sorted(secrets[name].items())
    }
    # the look-alikes run on this machine, so that is where they reach the receiver
    environment["ACCORD_PUBLIC_URL"] = desk.root.receiver_url()
    found = {"urls": urls, "settings": {name: settings[name] for name in urls}, "environment": environment}
    desk.show(found, lambda screen: _draw(screen, urls, settings, environment))


def _draw(
    screen: Screen,
    urls: Mapping[str, str],
    settings: Mapping[str, Mapping[str, str]],
    environment: Mapping[str, str],
) -> None:
    for name, url in sorted(urls.items()):
        screen.line(f"{name:12} {url}", "bold")
    screen.line("\naccord.toml:\n")
    for name in sorted(urls):
        screen.line(f'[connections.{name}]\nprovider = "{name}"\nenters = "all"\ncreates = "all"\nmatch_email = true')
        for key, value in sorted(settings[name].items()):
            screen.line(f'{key} = "{value}"')
        screen.line()
    screen.line("environment:\n")
    for variable, value in environment.items():
        screen.line(f"export {variable}={value}")
    screen.line("\nCtrl-C stops it; nothing is kept.")
