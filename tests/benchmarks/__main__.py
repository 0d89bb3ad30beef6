"""`make bench`: every benchmark, medians of several runs, one JSON object.

Each run is a process of its own. Look-alikes run in another process, so their CPU is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.daemon_process import DaemonProcess
from tests.benchmarks.sandbox_process import SandboxProcess

ROOT = Path(__file__).parents[2]


def one_run(module: str, *arguments: str) -> dict[str, Any]:
    """Run one benchmark and read its JSON."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number, at any depth."""
    return {
        name: median([run[name] for run in runs])
        if isinstance(value, dict)
        else round(statistics.median(run[name] for run in runs), 4)
        for name, value in runs[0].items()
    }


def command_start(runs: int) -> dict[str, float]:
    """Seconds of `accord --help`, and of a bare interpreter for comparison."""
    found = {}
    for name, command in (("help_seconds", ["run_daemon.py", "--help"]), ("bare_python_seconds", ["-c", "pass"])):
        times = []
        for _ in range(runs * 3):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - started)
        found[name] = round(statistics.median(times), 3)
    return found


def daemon_start() -> float:
    """Seconds until the daemon answers /readyz, on an empty folder."""
    with SandboxProcess() as urls, tempfile.TemporaryDirectory() as folder:
        daemon = DaemonProcess(Path(folder), urls)
        seconds = daemon.start()
        daemon.__exit__(None, None, None)
    return round(seconds, 3)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--edits", type=int, default=500)
    wanted = parser.parse_args()
    reads = median([one_run("first_read") for _ in range(wanted.runs)])
    result = {
        "stripe_10000": reads
        | {"first_read_times_floor": round(reads["first_read_cpu_seconds"] / reads["floor_cpu_seconds"], 1)},
        "webhooks": median([one_run("webhooks") for _ in range(wanted.runs)]),
        "edit_to_the_other_two": one_run("edits", str(wanted.edits)),
        "start": command_start(wanted.runs) | {"daemon_ready_seconds": daemon_start()},
        "runs": wanted.runs,
    }
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
