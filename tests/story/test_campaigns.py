"""A little of the long campaigns, so that they still run, and find what they found."""

from __future__ import annotations

import asyncio
from itertools import count
from random import Random

import msgspec

from tests.campaigns import accidents, lost_creates, replays


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


def test_a_webhook_about_money_that_comes_again_changes_nothing() -> None:
    """`python -m tests.campaigns.replays` has each come a thousand times."""
    result = asyncio.run(replays.campaign(2, rounds=1, bills=6))
    assert result["wrong"] == []
    for name in replays.histories():
        assert result[name]["deliveries"] > 0
        assert {kind for one in result[name]["events"].values() for kind in one} == replays.MONEY


def test_a_change_that_a_repeated_webhook_made_would_be_seen() -> None:
    """Documents that never look the same twice are taken anew each time that somebody names them."""
    config, billers = replays.histories()["billed in the books"]
    replay = replays.Replay(config, billers, Random(1), rounds=1, bills=3)
    asyncio.run(replay.play())
    replay.about_money()
    before = replay.seen()
    replay.restart()
    asyncio.run(replay.again())
    assert replays.differences(before, replay.seen()) == []

    numbers = count()
    replay.restart({"invoice": lambda one: msgspec.structs.replace(one, memo=f"look {next(numbers)}")})
    asyncio.run(replay.again())
    found = replays.differences(before, replay.seen())
    assert any(one.startswith("documents: ") for one in found), found
