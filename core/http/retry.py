"""Short retries inside one call (tenacity). Everything longer is a row with back-off in the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from core.errors import RetryError
from core.ports import Clock

T = TypeVar("T")

ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 5.0
FIRST_WAIT_SECONDS = 0.2


async def with_retries(clock: Clock, call: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
    """Call until it succeeds; only RetryError is tried again, and only when its wait is short.

    A longer wait that the provider asked for is raised at once: the lane's row waits, the lane does not.
    """
    try:
        # almost every call succeeds at once: what is made for those that do not would cost more than they do
        return await call()
    except RetryError as error:
        if attempts == 1 or not _is_short(error):
            raise
        failed = error
    await clock.sleep(_wait(failed, 1))
    retrying = AsyncRetrying(
        sleep=clock.sleep,
        wait=lambda state: _wait(state.outcome.exception() if state.outcome else None, state.attempt_number + 1),
        stop=stop_after_attempt(attempts - 1),
        retry=retry_if_exception(_is_short),
        reraise=True,
    )

    async def once() -> T:
        # tenacity awaits what looks like a coroutine function only: it would return a lambda's coroutine as the result
        return await call()

    return await retrying(once)


def _wait(error: BaseException | None, attempt: int) -> float:
    """Seconds after the attempt with this number, counted from 1."""
    told = error.retry_after if isinstance(error, RetryError) else None
    # deterministic: jitter across processes is not needed, a connection has one lane
    return told if told is not None else FIRST_WAIT_SECONDS * 2 ** (attempt - 1)


def _is_short(error: BaseException) -> bool:
    if not isinstance(error, RetryError):
        return False
    return error.retry_after is None or error.retry_after <= LONGEST_WAIT_SECONDS
