"""What the table of mutants counts."""

from __future__ import annotations

from tests.mutation.__main__ import table, verdicts

PRINTED = """
    core.model.merge.x_winner__mutmut_1: killed
    core.model.merge.xǁFieldMergeǁmerge__mutmut_2: timeout
    core.store.intents.x_close__mutmut_1: survived
    core.store.intents.x_close__mutmut_2: no tests
"""


def test_a_mutant_that_no_test_came_by_is_alive() -> None:
    """Else a module without tests would look like the best one."""
    lines, is_fine = table(verdicts(PRINTED))
    assert [line.split() for line in lines[1:]] == [
        ["core/model/merge.py", "2", "1", "1", "0"],
        ["core/store/intents.py", "2", "0", "0", "2"],
    ]
    assert not is_fine


def test_one_alive_in_twenty_is_fine_and_more_are_not() -> None:
    """In every module for itself: a large one must not hide a small one."""
    killed = {f"core.model.merge.x_winner__mutmut_{number}": "killed" for number in range(19)}
    assert table(killed | {"core.model.merge.x_digest_of__mutmut_1": "survived"})[1]
    assert not table(killed | {"core.model.match.x_match__mutmut_1": "survived"})[1]
