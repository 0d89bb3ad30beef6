"""From an edit in one system to its value in the other two, by webhook, through the real daemon.

Run as `python -m tests.benchmarks.edits [edits] [per second]`; prints one JSON object with seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from tests.benchmarks.daemon_process import DaemonProcess
from tests.benchmarks.sandbox_process import SandboxProcess

KNOWN = 3000
"""So many that 500 overwrites within the hour are no mass change."""
NAMES = ("stripe", "hubspot", "quickbooks")
LONGEST_WAIT = 30.0


class Watcher(threading.Thread):
    """Notes when each phone number shows up at one look-alike, from the look-alike's own log."""

    def __init__(self, url: str) -> None:
        """Start from the log's present end."""
        super().__init__(daemon=True)
        self._client = SandboxClient(url)
        self._since = len(self._client.mutations())
        self.seen: dict[str, float] = {}
        self.is_done = False

    def run(self) -> None:
        """Poll until told to stop."""
        while not self.is_done:
            for one in self._client.mutations(self._since):
                self._since += 1
                self.seen[json.dumps(one.changed, default=str)] = one.at
            time.sleep(0.05)


def edit_all(clients: dict[str, SandboxClient], edits: int, rate: float) -> dict[str, tuple[str, float]]:
    """Edit phones round robin: phone -> (where, when)."""
    by_email = {name: {one["email"]: key for key, one in client.neutral().items()} for name, client in clients.items()}
    emails = sorted(by_email["stripe"])
    made: dict[str, tuple[str, float]] = {}
    started = time.time()
    for number in range(edits):
        time.sleep(max(0.0, started + number / rate - time.time()))
        name, email = NAMES[number % 3], emails[number % len(emails)]
        phone = f"+49301{number:06d}"
        made[phone] = (name, time.time())
        clients[name].edit({"phone": phone}, by_email[name][email])
    return made


def delays(made: dict[str, tuple[str, float]], watchers: dict[str, Watcher]) -> tuple[list[float], int]:
    """Seconds from each edit to its arrival at each of the other two; and how many never came."""
    found, lost = [], 0
    for phone, (where, at) in made.items():
        for name, watcher in watchers.items():
            if name == where:
                continue
            arrived = next((when for text, when in watcher.seen.items() if phone in text), None)
            if arrived is None:
                lost += 1
            else:
                found.append(arrived - at)
    return sorted(found), lost


def main() -> int:
    """Measure once and print."""
    edits = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as folder:
        clients = {name: SandboxClient(urls[name]) for name in NAMES}
        for client in clients.values():
            client.bulk(
                Edit(
                    changes={
                        "name": f"Customer {number}",
                        "email": f"customer{number}@example.test",
                        "phone": f"+4930{number:07d}",
                    }
                )
                for number in range(KNOWN)
            )
        with DaemonProcess(Path(folder), urls) as daemon:
            daemon.activate(*NAMES)
            for name, client in clients.items():
                client.settings(webhook_url=f"http://127.0.0.1:{daemon.webhook_port}/webhooks/{name}")
            watchers = {name: Watcher(urls[name]) for name in NAMES}
            for watcher in watchers.values():
                watcher.start()
            made = edit_all(clients, edits, rate)
            daemon.wait_until_quiet(LONGEST_WAIT * 4)
            time.sleep(1.0)
            for watcher in watchers.values():
                watcher.is_done = True
                watcher.join()
            found, lost = delays(made, watchers)
    percentiles = {
        f"p{share}": round(found[min(len(found) - 1, len(found) * share // 100)], 3) for share in (50, 90, 99)
    }
    print(json.dumps({"edits": edits, "arrivals": len(found), "not_arrived": lost, **percentiles}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
