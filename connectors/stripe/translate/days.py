"""Which day a time of Stripe's falls on: Stripe tells seconds, and documents are booked by days. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from core.errors import ConfigError, ReplyError
from core.ports import ConnectionConfig

SETTING: Final = "time_zone"


@dataclass(frozen=True, slots=True)
class Days:
    """The days of one zone: of that in which the account's books are kept."""

    zone: tzinfo = UTC

    def day_of(self, seconds: int | None) -> date | None:
        """The day of a time; None for none."""
        at = moment_of(seconds)
        return at.astimezone(self.zone).date() if at else None

    def seconds_of(self, day: date) -> str:
        """Noon of a day, as Stripe takes a time."""
        return str(int(datetime.combine(day, time(12), self.zone).timestamp()))

    def other_than(self, day: date | None, seconds: int | None) -> date | None:
        """The day of a time where that is not the one it was to be on; None where one of the two is not known."""
        there = self.day_of(seconds)
        return there if day is not None and there != day else None


def moment_of(seconds: int | None) -> datetime | None:
    """A time in UTC; None for none. ReplyError for what is no time that every zone has."""
    if seconds is None:
        return None
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise ReplyError(f"{seconds} is no time") from error
    if not 1 < at.year < 9999:
        raise ReplyError(f"{seconds} is no time")
    return at


def days_of(config: ConnectionConfig) -> Days:
    """The days of a connection's setting; ConfigError for what is no zone."""
    name = config.settings.get(SETTING, "") or "UTC"
    try:
        return Days(ZoneInfo(name))
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is no time zone; name one like America/New_York", key=f"connections.{config.name}.{SETTING}"
        ) from error
