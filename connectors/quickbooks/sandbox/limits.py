"""What a company lets an app do: calls in rolling windows, and metered reads in a month (PROVIDERS §1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from connectors.quickbooks.sandbox.rules import Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.window import Window

MANY: Final = 429


def throttled(code: str = "3001") -> Refused:
    """Intuit's 429 (PROVIDERS §1); no header tells how long to wait. Its code is 003001 too, here in a batch."""
    refused = Refused(code, "", status=MANY, kind="SERVICE")
    error: dict[str, Any] = {
        "Message": "message=ThrottleExceeded; errorCode=003001; statusCode=429",
        "Detail": "You have exceeded the number of requests allowed",
        "code": code,
    }
    refused.fault = {"Error": [error], "type": "SERVICE"}
    return refused


class Limits:
    """Counts per realm and app; refused calls do not count."""

    def __init__(self, settings: Callable[[], QuickBooksSettings]) -> None:
        """Nothing is used yet."""
        self.reads_this_month = 0
        """Successful reads, each query of a batch among them. Writes are free."""
        self._settings = settings
        self._windows = [Window(500, 60), Window(10, 1)]  # PROVIDERS §1
        self._batches = Window(40, 60)  # PROVIDERS §1
        self._month = (0, 0)

    def admit(self, now: float, *, is_batch: bool, is_read: bool) -> None:
        """Count a call, or refuse it; a read also when the month's reads are used up."""
        if is_read:
            self.check_reads(now, "3001")
        if not self._settings().enforce_limits:
            return
        windows = [*self._windows, self._batches] if is_batch else self._windows
        if any(window.is_full(now) for window in windows):
            raise throttled()  # PROVIDERS §1
        for window in windows:
            window.count(now)

    def check_reads(self, now: float, code: str) -> None:
        """Refuse one more read than the plan has in a calendar month."""
        here = datetime.fromtimestamp(now, ZoneInfo(self._settings().time_zone))
        if (here.year, here.month) != self._month:
            self._month, self.reads_this_month = (here.year, here.month), 0
        told = self._settings()
        if told.enforce_limits and self.reads_this_month >= told.monthly_reads:
            raise throttled(code)  # PROVIDERS §1: by the calendar's month

    def read(self) -> None:
        """A read was answered."""
        self.reads_this_month += 1
