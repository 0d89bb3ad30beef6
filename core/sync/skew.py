"""How far this machine's clock is ahead of a provider's, now and when a write was sent: it may be set in between."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import msgspec

from core.ports import Clock
from core.store.ahead import STEP_SECONDS
from core.store.intents import Intent


class Skew:
    """Of one connection, by the date of its last answer."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is known before the first answer."""
        self._clock = clock
        self.ahead: float | None = None
        """By how many seconds ours is ahead; negative where it is behind. Never known where an SDK asks by itself."""

    def hear(self, date: str) -> None:
        """Take the `Date` of an answer that came just now; one that is no date tells nothing."""
        try:
            self.ahead = self._clock.now() - parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return

    def by_this_clock(self, intent: Intent) -> Intent:
        """The write as if it had been sent by the clock of now.

        One that was ahead then, and was set right since, would hide what was made, and have an old key trusted. The
        other way round, a key could be trusted for longer: a wrong date, of a proxy, must not do that.
        """
        then, now = intent.ahead, self.ahead
        if then is None or now is None or then - now <= STEP_SECONDS:
            return intent
        return msgspec.structs.replace(intent, sent_at=intent.sent_at - (then - now))
