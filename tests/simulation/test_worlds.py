"""Random worlds with faults and crashes come to agree, and the judge is awake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from core.store import connections
from core.store.database import Database, Tx
from core.store.tables import METADATA
from tests.simulation.campaign import RARE, campaign
from tests.simulation.drawing import tape_of
from tests.simulation.life import Crash
from tests.simulation.quick import QuickDatabase
from tests.simulation.reference import Edit, admissible, heads
from tests.simulation.tape import Event
from tests.simulation.world import run_world

ROOT = Path(__file__).parents[2]
WORLDS = int(os.environ.get("ACCORD_SIMULATED_WORLDS", "200"))
CALM_SEED = 4


def test_worlds_with_faults_and_crashes_come_to_agree() -> None:
    """No edit is lost, nothing is doubled, nothing is written at rest: in every one of them."""
    summary, failed = campaign(range(1, WORLDS + 1), jobs=2)
    told = "\n".join(f"{one.seed}: {one.problem}" for one in failed)
    assert not failed, told + "\n" + "\n".join(one.repeat for one in summary.failed)
    assert WORLDS < 200 or set(summary.never_reached) <= RARE


def test_the_canary_fails() -> None:
    """A world in which a value is changed behind the engine's back must fail, or the judge sleeps."""
    tape = tape_of(CALM_SEED)
    sabotage = Event(after=1.0, what="sabotage", pick=7)
    assert run_world(msgspec.structs.replace(tape, events=[sabotage])).problem


def test_the_same_seed_is_the_same_world() -> None:
    """The same trace to the last byte, whatever order hashes have: else no finding could be repeated."""
    runs = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "tests.simulation", "--digest", "--worlds", "2", "--seed", "20"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        runs.add(done.stdout)
    assert len(runs) == 1


@pytest.mark.parametrize("seed", [3, 7, 11])
def test_the_quick_database_makes_no_other_world(seed: int) -> None:
    """What worlds are played on behaves as the daemon's database does, to the last byte of the trace."""
    real = Database("sqlite://", is_direct=True)
    METADATA.create_all(real.engine)
    assert run_world(tape_of(seed), real).digest == run_world(tape_of(seed)).digest
    real.close()


def test_a_read_that_writes_is_noticed() -> None:
    """The daemon's database refuses it."""
    db = QuickDatabase()
    with pytest.raises(RuntimeError, match="wrote"):
        db.read_now(lambda tx: connections.ensure(tx, "a", "stripe"))
    assert not db.read_now(connections.every)


def test_the_quick_database_takes_back_what_failed() -> None:
    """A process that dies before its commit has written nothing."""
    db = QuickDatabase()

    def die(tx: Tx) -> None:
        connections.ensure(tx, "a", "stripe")
        raise Crash("before commit")

    with pytest.raises(Crash):
        db.run_now(die)
    assert not db.read_now(connections.every)


def _edit(number: int, site: str, value: str, replaced: str | None) -> Edit:
    return Edit(number, float(number), site, f"{site} object", "phone", value, replaced, number)


def test_an_edit_that_was_seen_and_replaced_may_not_come_back() -> None:
    """The reference model: only the last of a chain of edits may stand."""
    chain = [_edit(1, "stripe", "a", None), _edit(2, "registry", "b", "a"), _edit(3, "hubspot", "c", "b")]
    assert admissible(chain) == {"c"}


def test_concurrent_edits_are_both_admissible() -> None:
    """Neither author saw the other's value."""
    both = [_edit(1, "stripe", "a", None), _edit(2, "registry", "b", "a"), _edit(3, "hubspot", "c", "a")]
    assert [one.value for one in heads(both)] == ["b", "c"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tape_is_plain_data(seed: int) -> None:
    """A tape survives being written down, so that a finding can be kept."""
    tape = tape_of(seed)
    assert msgspec.json.decode(msgspec.json.encode(tape), type=type(tape)) == tape
