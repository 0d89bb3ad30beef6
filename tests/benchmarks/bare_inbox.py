"""The least that a durable webhook receiver does, in a process of its own: the floor that Accord's is compared with.

The same server and loop, one signature check, one INSERT per delivery, one commit for all that came meanwhile.
No connections, no lanes, no metrics.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import uvloop

from core.api.asgi import Receive, Scope, Send
from core.api.serve import _server, listen
from tests.benchmarks.daemon_process import free_port
from tests.support.world import SECRETS

SECRET = SECRETS["stripe"]["webhook_secret"].encode()
Row: TypeAlias = tuple[str, bytes]


class BareInbox:
    """ASGI: 200 once the delivery is committed."""

    def __init__(self, file: Path) -> None:
        """A new database."""
        self._writer = ThreadPoolExecutor(1)
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._is_writing = False
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE inbox (id INTEGER PRIMARY KEY, key TEXT UNIQUE, body BLOB)")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify, store, answer."""
        body = (await receive())["body"]
        parts = dict(part.split("=", 1) for part in dict(scope["headers"])[b"stripe-signature"].decode().split(","))
        wanted = hmac.digest(SECRET, parts["t"].encode() + b"." + body, hashlib.sha256).hex()
        is_good = hmac.compare_digest(wanted, parts["v1"])
        if is_good:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(((json.loads(body)["id"], body), done))
            if not self._is_writing:
                self._is_writing = True
                self._task = asyncio.create_task(self._write())
            await done
        await send(
            {
                "type": "http.response.start",
                "status": 200 if is_good else 401,
                "headers": [(b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body", "body": b""})

    async def _write(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            rows = [row for row, _ in some]
            await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, rows)
            for _, done in some:
                done.set_result(None)
        self._is_writing = False

    def _commit(self, rows: list[Row]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO inbox (key, body) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
        self._db.execute("COMMIT")


class BareProcess:
    """`with BareProcess(folder) as bare:` runs until the end of the block."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes its database."""
        self._folder = folder
        self.port = free_port()

    def __enter__(self) -> Self:
        """Start, and wait until it listens."""
        command = [sys.executable, "-m", "tests.benchmarks.bare_inbox", str(self._folder / "bare.sqlite3")]
        self.process = subprocess.Popen([*command, str(self.port)], stdout=subprocess.PIPE, text=True)
        _ = self.process.stdout and self.process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.process.kill()
        self.process.wait()


async def serve(file: Path, port: int) -> None:
    """Serve until killed."""
    door = listen("127.0.0.1", port, "the bare inbox")
    print("listening", flush=True)
    await _server(BareInbox(file)).serve([door])


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
