"""The file that tells of a database's life, written by a daemon and by commands at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.model.life import Life
from core.store.life import Ends, LifeFile

WRITERS = 4
TURNS = 20


def test_what_two_write_at_once_both_stands(tmp_path: Path) -> None:
    """The one that read first and wrote last took the other's newest end out: the erased came back with a backup."""
    place = tmp_path / "var" / "accord.life"

    def ends(writer: int) -> list[str]:
        return [f"{writer}-{turn}" for turn in range(TURNS)]

    def write(writer: int) -> None:
        for one in ends(writer):
            LifeFile(place, is_kept=True).write(Life(instance="one", counter=1), Ends([], [one]))

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))

    told = LifeFile(place, is_kept=True).read()
    assert told is not None
    assert told.revoked == sorted(one for writer in range(WRITERS) for one in ends(writer))


def test_a_count_that_is_written_late_does_not_count_back(tmp_path: Path) -> None:
    """A backup from between the two would pass for the database that ran last."""
    file = LifeFile(tmp_path / "accord.life", is_kept=True)
    file.write(Life(instance="one", counter=7), Ends([], []))
    file.write(Life(instance="one", counter=6), Ends([], ["late"]))
    told = file.read()
    assert told is not None
    assert (told.life.counter, told.revoked) == (7, ["late"])
    file.write(Life(instance="two", counter=1), Ends([], []))
    told = file.read()
    assert told is not None
    assert (told.life, told.revoked) == (Life(instance="two", counter=1), ["late"])
