"""Daemons in processes of their own; look-alikes in this one, so that they outlive a daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess
from tests.support.systems import Systems

Start = Callable[..., DaemonProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts daemons; whatever still runs at the end is killed."""
    started: list[DaemonProcess] = []

    def run(folder: Path, *arguments: str, **environment: str) -> DaemonProcess:
        started.append(DaemonProcess(folder, *arguments, **environment))
        return started[-1]

    yield run
    for one in started:
        one.kill()


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[Systems]:
    """Look-alikes beside the daemons."""
    with ExitStack() as stack:
        yield Systems(stack, tmp_path)
