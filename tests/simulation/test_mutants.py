"""The simulation is sensitive: it catches every bug planted in mutants/, within the worlds the table allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.planted import PATCHES, REFRESH, run_mutant, table


def test_the_table_names_every_patch() -> None:
    """A patch that no test runs is no proof of anything."""
    assert set(table()) == {patch.stem for patch in PATCHES.glob("*.patch")}


@pytest.mark.parametrize("name", sorted(table()))
def test_a_planted_bug_is_caught(name: str, tmp_path: Path) -> None:
    """Each is a bug that a sync engine really had."""
    stated = table()[name]
    catch = run_mutant(name, tmp_path, first=stated.first, worlds=stated.limit, jobs=1)
    assert catch.problem, f"{name} went unseen in {catch.worlds} worlds"
    assert "NameError" not in catch.problem, f"the patch needs a name that its module has no more; {REFRESH}"
