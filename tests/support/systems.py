"""Look-alikes that stay while daemons come and go."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

from core.clock import SystemClock
from core.sandbox.background import serving
from core.sandbox.client import SandboxClient
from run_daemon import Application
from tests.support.daemon import DaemonProcess


def _free_port() -> int:
    """One that the daemon's receiver can have at every start: HubSpot signs it."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
    return port


class Systems:
    """Three look-alikes, and the folder that connects to them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        """Serve them, and write the accord.toml."""
        application = Application({})
        lookalikes = application.lookalikes(lag_scale=0.05, seed=1, enforce_limits=False)
        server = stack.enter_context(serving(lookalikes, clock=SystemClock(), rng=random.Random(1)))
        self.names = sorted(lookalikes)
        self.clients = {name: SandboxClient(server.url(name)) for name in self.names}
        for one in self.clients.values():
            stack.callback(one.close)
        self.folder = folder
        settings = application.sandbox_settings({name: server.url(name) for name in self.names})
        tables = [
            "\n".join(
                [
                    f"[connections.{name}]",
                    f'provider = "{name}"',
                    'enters = "all"',
                    'creates = "all"',
                    "match_email = true",
                    *(f'{key} = "{value}"' for key, value in settings[name].items()),
                ]
            )
            for name in self.names
        ]
        (folder / "accord.toml").write_text("\n\n".join([*tables, "[daemon]\nsweep_every = 3600\n"]))
        port = _free_port()
        self.environment = {"ACCORD_WEBHOOK_PORT": str(port), "ACCORD_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        self.environment |= {
            application.variable(name, secret): value
            for name, secrets in application.sandbox_secrets().items()
            for secret, value in secrets.items()
        }

    def point_to(self, daemon: DaemonProcess) -> None:
        """Let the systems deliver their webhooks to a daemon."""
        for name, client in self.clients.items():
            client.settings(webhook_url=f"{daemon.webhooks}/webhooks/{name}")

    def values(self, field: str) -> dict[str, list[object]]:
        """One field of every object, by system."""
        return {name: [one.get(field) for one in client.neutral().values()] for name, client in self.clients.items()}
