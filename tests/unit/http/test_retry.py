"""Short retries inside one call, in time that passes only here."""

from __future__ import annotations

import pytest

from core.errors import AmbiguousError, RetryError
from core.http.retry import ATTEMPTS, LONGEST_WAIT_SECONDS, with_retries

pytestmark = pytest.mark.anyio


class CountingClock:
    """Remembers how long it was asked to wait."""

    def __init__(self) -> None:
        """Nobody has waited yet."""
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds waited so far."""
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.slept.append(seconds)


class Provider:
    """Fails as often as it was told to, then answers."""

    def __init__(self, *errors: Exception) -> None:
        """`errors` are raised one after the other, one for each call."""
        self.calls = 0
        self._errors = list(errors)

    async def read(self, name: str) -> str:
        """Answer with what was asked for."""
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return f"this is {name}"


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on asyncio."""
    return "asyncio"


async def test_a_lambda_that_returns_a_coroutine_is_awaited_and_tried_again() -> None:
    """Tenacity handed the lambda's coroutine back as the result: nothing was sent, and nothing was retried."""
    provider, clock = Provider(RetryError("busy"), RetryError("busy")), CountingClock()
    answer = await with_retries(clock, lambda: provider.read("one"))
    assert answer == "this is one"
    assert provider.calls == 3
    assert clock.slept == [0.2, 0.4]


async def test_retries_end_with_the_providers_own_error() -> None:
    """The caller's row waits then; the lane does not."""
    provider, clock = Provider(*[RetryError("busy")] * 9), CountingClock()
    with pytest.raises(RetryError, match="busy"):
        await with_retries(clock, lambda: provider.read("one"))
    assert provider.calls == ATTEMPTS


async def test_a_wait_that_the_provider_names_is_kept_unless_it_is_long() -> None:
    """Two seconds are waited for here; an hour is the row's matter."""
    provider, clock = Provider(RetryError("busy", retry_after=2.0)), CountingClock()
    await with_retries(clock, lambda: provider.read("one"))
    assert clock.slept == [2.0]
    slow = Provider(RetryError("closed", retry_after=LONGEST_WAIT_SECONDS + 1))
    with pytest.raises(RetryError, match="closed"):
        await with_retries(clock, lambda: slow.read("one"))
    assert slow.calls == 1


async def test_what_may_have_happened_is_never_repeated() -> None:
    """Only an error that says "not executed" is tried again."""
    provider, clock = Provider(AmbiguousError("no answer")), CountingClock()
    with pytest.raises(AmbiguousError):
        await with_retries(clock, lambda: provider.read("one"))
    assert provider.calls == 1
