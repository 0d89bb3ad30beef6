"""HubSpot's limits (PROVIDERS §1): ten rolling seconds, searches in a second, and an allowance until midnight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from connectors.hubspot.sandbox.answers import rate_limited
from connectors.hubspot.sandbox.settings import HubSpotSettings
from core.ports import HttpResponse

BURST_SECONDS: Final = 10.0  # PROVIDERS §1
SEARCHES: Final = 5  # PROVIDERS §1
SEARCH_SECONDS: Final = 1.0  # PROVIDERS §1


class Limits:
    """What an account has used up. Refused calls do not count; a search counts in its own window and in the others."""

    def __init__(self, settings: Callable[[], HubSpotSettings]) -> None:
        """Nothing is used yet."""
        self.calls_today = 0
        self.errors_today = 0
        """HubSpot refuses nobody for these, but certifies no app whose errors are 5% of its calls of a day."""
        self._settings = settings
        self._burst: deque[float] = deque()
        self._searches: deque[float] = deque()
        self._midnight = 0.0

    def refusal(self, now: float, *, is_search: bool) -> HttpResponse | None:
        """Count a call, or answer 429 and do not count it."""
        self._forget(now)
        told = self._settings()
        full = [
            ("DAILY", told.daily is not None and self.calls_today >= told.daily),
            ("SECONDLY", is_search and len(self._searches) >= SEARCHES),
            ("TEN_SECONDLY_ROLLING", len(self._burst) >= told.burst),
        ]
        policy = next((name for name, is_full in full if is_full), None)
        if policy and told.enforce_limits:
            return self.told(rate_limited(policy), is_search=is_search)
        self.calls_today += 1
        self._burst.append(now)
        if is_search:
            self._searches.append(now)
        return None

    def told(self, found: HttpResponse, *, is_search: bool) -> HttpResponse:
        """Count an error; every answer but a search's says what is left. An OAuth token has no daily headers."""
        self.errors_today += found.status >= 400
        if is_search:
            return found
        told = self._settings()
        headers = {
            "x-hubspot-ratelimit-max": str(told.burst),
            "x-hubspot-ratelimit-remaining": str(max(0, told.burst - len(self._burst))),
            "x-hubspot-ratelimit-interval-milliseconds": str(int(BURST_SECONDS * 1000)),
        }
        if told.daily is not None:
            headers["x-hubspot-ratelimit-daily"] = str(told.daily)
            headers["x-hubspot-ratelimit-daily-remaining"] = str(max(0, told.daily - self.calls_today))
        return HttpResponse(found.status, {**found.headers, **headers}, found.body)

    def _forget(self, now: float) -> None:
        for calls, seconds in ((self._burst, BURST_SECONDS), (self._searches, SEARCH_SECONDS)):
            while calls and calls[0] <= now - seconds:
                calls.popleft()
        if now >= self._midnight:
            self.calls_today = self.errors_today = 0
            self._midnight = _next_midnight(now, self._settings().time_zone)


def _next_midnight(now: float, zone: str) -> float:
    """Of the account's own time zone, which a client cannot tell from the answer."""
    today = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1)).timestamp()
