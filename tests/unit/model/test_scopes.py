"""Scopes are a ladder: each includes those before it, and an unknown one is worth nothing."""

from __future__ import annotations

import pytest

from core.model.scopes import ADMIN, APPROVE, READ, SCOPES, WRITE, included, includes

LADDER = (READ, WRITE, APPROVE, ADMIN)


def test_each_scope_includes_those_before_it_and_no_other() -> None:
    """Every pair."""
    assert tuple(SCOPES) == LADDER
    for has in LADDER:
        assert included(has) == list(LADDER[: LADDER.index(has) + 1])
        for needed in LADDER:
            assert includes(has, needed) == (LADDER.index(needed) <= LADDER.index(has))


@pytest.mark.parametrize(("has", "needed"), [("god", READ), (ADMIN, "god"), ("", "")])
def test_an_unknown_scope_opens_nothing(has: str, needed: str) -> None:
    """A token of a newer version, or a slip of the pen."""
    assert not includes(has, needed)
