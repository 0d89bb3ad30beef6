"""Whether a database is the one that ran here last."""

from __future__ import annotations

import pytest

from core.model.life import Life, strange

HERE = Life(instance="a", counter=5, home="x")


@pytest.mark.parametrize(
    ("here", "beside", "needs_file", "word"),
    [
        (HERE, HERE, True, None),
        (Life(instance="a", counter=6, home="x"), HERE, True, None),
        (HERE, Life(instance="a", counter=6, home="x"), True, "older"),
        (HERE, Life(instance="b", counter=1, home="x"), True, "another"),
        (HERE, None, True, "copy"),
        (HERE, None, False, None),
        (None, HERE, True, "empty"),
        (None, HERE, False, "empty"),
        (None, None, True, None),
        (Life(instance="a", counter=5, home="y"), HERE, True, "dump"),
    ],
)
def test_the_two_notes_are_compared(
    here: Life | None, beside: Life | None, word: str | None, *, needs_file: bool
) -> None:
    """The database counts first, so it may be one ahead after a crash; never behind, and never at nothing."""
    found = strange(here, beside, home="x", needs_file=needs_file)
    assert found is None if word is None else word in str(found)
