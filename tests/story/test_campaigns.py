"""A little of the long campaigns, so that they still run, and find what they found."""

from __future__ import annotations

import asyncio

from tests.campaigns import accidents, lost_creates


def test_no_create_is_made_twice_though_every_answer_is_lost() -> None:
    """`python -m tests.campaigns.lost_creates` makes ten thousand."""
    result = asyncio.run(lost_creates.campaign(60))
    assert lost_creates.is_clean(result), result
    assert result["stripe"]["answers_lost"] == 60
    assert result["quickbooks"]["answers_lost"] >= 2  # 30 creates share a request


def test_no_accident_at_one_system_destroys_anything_elsewhere() -> None:
    """`python -m tests.campaigns.accidents` has a thousand."""
    result = accidents.campaign(8)
    assert result["wrong"] == {}
    assert len(result["kinds"]) >= 4
