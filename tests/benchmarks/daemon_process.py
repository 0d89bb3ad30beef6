"""The real daemon as a process of its own, on look-alikes in another one, driven through its API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.world import SECRETS

CONFIG = """
[daemon]
sweep_every = 3600

[connections.stripe]
provider = "stripe"
base_url = "{stripe}"
enters = "all"
creates = "all"
match_email = true

[connections.hubspot]
provider = "hubspot"
base_url = "{hubspot}"
enters = "all"
creates = "all"
match_email = true

[connections.quickbooks]
provider = "quickbooks"
base_url = "{quickbooks}"
token_url = "{quickbooks}/oauth2/v1/tokens/bearer"
realm_id = "9341453908059321"
enters = "all"
creates = "all"
match_email = true
"""
READY_SECONDS = 30.0


class DaemonProcess:
    """`with DaemonProcess(folder, urls) as daemon:` runs until the end of the block."""

    def __init__(self, folder: Path, urls: dict[str, str], config: str = CONFIG, **environment: str) -> None:
        """`urls` are the look-alikes' base URLs."""
        self.folder = folder
        (folder / "accord.toml").write_text(config.format(**urls), encoding="utf-8")
        self.api_port, self.webhook_port = free_port(), free_port()
        secrets = {
            f"ACCORD_{name.upper()}_{secret.upper()}": value
            for name, some in SECRETS.items()
            for secret, value in some.items()
        }
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")},
            **secrets,
            "ACCORD_API_PORT": str(self.api_port),
            "ACCORD_WEBHOOK_PORT": str(self.webhook_port),
            "ACCORD_PUBLIC_URL": f"http://127.0.0.1:{self.webhook_port}",
            "ACCORD_LOG_LEVEL": "warning",
            **environment,
        }

    def __enter__(self) -> Self:
        """Start, and wait until it is ready."""
        self.start()
        return self

    def start(self) -> float:
        """Start; returns the seconds until it was ready."""
        started = time.perf_counter()
        command = [sys.executable, str(Path(__file__).parents[2] / "run_daemon.py"), "run"]
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self._environment, stderr=log, stdout=log)
        while time.perf_counter() - started < READY_SECONDS:
            try:
                self.get("/readyz")
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError((self.folder / "daemon.log").read_text(errors="replace")[-3000:]) from None
                time.sleep(0.02)
            else:
                return time.perf_counter() - started
        raise RuntimeError("the daemon did not become ready")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> Any:
        """GET from the API."""
        return self._call("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        """POST to the API."""
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        url = f"http://127.0.0.1:{self.api_port}{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own daemon
            content = answer.read()
        try:
            return json.loads(content)
        except ValueError:
            return content.decode()

    def activate(self, *names: str) -> None:
        """Activate these connections one after the other, each once it was listed and everything is quiet."""
        for name in names:
            self.wait_until_quiet()
            while True:
                digest = self.get(f"/v1/connections/{name}/plan?limit=0")["digest"]
                try:
                    self.post(f"/v1/connections/{name}/activate", {"digest": digest})
                    break
                except urllib.error.HTTPError as error:
                    if error.code != 422:
                        raise
        self.wait_until_quiet()

    def wait_until_quiet(self, seconds: float = 600.0) -> None:
        """Return once every connection was listed and nothing waits anywhere, twice in a row."""
        until, calm = time.monotonic() + seconds, 0
        while calm < 3:
            found = self.get("/v1/connections")["data"]
            busy = [
                one
                for one in found
                if one["last_full_sweep"] is None or one["waiting"] or one["inbox"] or one["pending"]
            ]
            calm = 0 if busy else calm + 1
            if time.monotonic() > until:
                raise RuntimeError(f"not quiet: {found}")
            time.sleep(0.15)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
