"""A real daemon in a process of its own, in a folder of its own, on ports of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What an HTTP call came to."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class DaemonProcess:
    """Started by its constructor; ready when `ready()` returns."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        """Run `accord run` with more arguments in `folder`."""
        own = {
            "PYTHONPATH": str(ROOT),
            "ACCORD_API_PORT": "0",
            "ACCORD_WEBHOOK_PORT": "0",
            "ACCORD_LOG_FORMAT": "json",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        command = [sys.executable, str(ROOT / "run_daemon.py"), "run", *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder, env={**kept, **own, **environment}, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.api = self.webhooks = ""
        self.lookalikes: dict[str, str] = {}

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.lines.append(line)
                if line.startswith("{"):
                    self._events.put(json.loads(line))
        self._events.put(None)

    def ready(self) -> DaemonProcess:
        """Wait until it serves."""
        while not self.api:
            event = self.wait_for("daemon.ready", "daemon.sandbox")
            if event["event"] == "daemon.sandbox":
                self.lookalikes = event["lookalikes"]
            else:
                self.api, self.webhooks = event["api"], event["webhooks"]
        return self

    def wait_for(self, *names: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The next log event of one of these names."""
        until = time.monotonic() + seconds
        while True:
            event = self._events.get(timeout=max(0.01, until - time.monotonic()))
            if event is None:
                raise AssertionError("the daemon ended:\n" + "".join(self.lines[-30:]))
            if event["event"] in names:
                return event

    def events(self, name: str) -> list[dict[str, Any]]:
        """Every log event of a name so far."""
        found = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [one for one in found if one["event"] == name]

    def call(self, method: str, path: str, content: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask the API."""
        body = None if content is None else json.dumps(content).encode()
        return request(self.api, method, path, body, {"content-type": "application/json", **(headers or {})})

    def deliver(self, connection: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one webhook delivery."""
        return request(self.webhooks, "POST", f"/webhooks/{connection}", body, headers)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(20)

    def activate(self, *names: str) -> None:
        """Look at each connection's plan, and activate it; again while the world still moves under the plan."""
        for name in names:
            assert eventually(lambda n=name: self._is_activated(n)), f"{name}: {self.lines[-5:]}"

    def _is_activated(self, name: str) -> bool:
        seen = self.call("GET", f"/v1/connections/{name}/plan")
        if seen.status != 200:  # not listed completely yet
            return False
        digest = seen.json["digest"]
        return self.call("POST", f"/v1/connections/{name}/activate", {"digest": digest}).status == 200

    def wait(self, seconds: float) -> int:
        """Wait for the end."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait(10)


def request(base: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One HTTP call on a connection of its own."""
    parts = urlsplit(base)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def eventually(check: Any, seconds: float = 20.0) -> Any:
    """The first true answer of `check`, asked again and again; the last one when time is up."""
    until = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < until:
        time.sleep(0.05)
    return found
