"""What stands before every endpoint: keys, permissions, rate limits, idempotency keys (PROVIDERS §1, §2, §6)."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.stripe.sandbox.settings import RefusedError, StripeSettings
from core.ports import HttpRequest, HttpResponse

_KEY_SECONDS: Final = 24 * 3600.0  # PROVIDERS §2
_MAX_KEY: Final = 255  # PROVIDERS §2
_HOUR_SECONDS: Final = 3600.0
_ALLOTTED_HOURS: Final = 30 * 24  # PROVIDERS §1


def caller_of(headers: Mapping[str, str], settings: StripeSettings) -> str:
    """Return who calls, by key; 401 otherwise (PROVIDERS §6)."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    key = ""
    if scheme.lower() == "bearer":
        key = credentials.strip()
    elif scheme.lower() == "basic":
        try:
            key = base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise RefusedError("You did not provide an API key.", status=401)
    if key == settings.api_key:
        return "accord"
    if key in settings.other_keys:
        return settings.other_keys[key]
    raise RefusedError(f"Invalid API Key provided: {key[:8]}********", status=401)


def permit(permission: str, account: str, settings: StripeSettings) -> None:
    """403 where the key lacks a permission; the message names it (PROVIDERS §6)."""
    if permission in settings.denied_permissions:
        raise RefusedError(
            f"The provided key does not have the required permissions for this endpoint on account '{account}'. "
            f"Having the '{permission}' permission would allow this request to continue.",
            status=403,
        )


def too_many(reason: str) -> RefusedError:
    """Stripe's 429 for a rate (PROVIDERS §1); no header tells how long to wait."""
    headers = {"stripe-rate-limited-reason": reason, "stripe-should-retry": "true"}
    return RefusedError("Request rate limit exceeded.", status=429, code="rate_limit", headers=headers)


class Throttle:
    """Rolling seconds: 100 calls (25 in test mode), 25 per endpoint, 20 searches (PROVIDERS §1)."""

    def __init__(self) -> None:
        """Start empty."""
        self._calls: dict[str, deque[float]] = {}

    def admit(self, endpoint: str, now: float, settings: StripeSettings) -> None:
        """Count a call, or answer 429 and do not count it."""
        windows = [
            ("global", 100 if settings.is_live else 25, "global-rate"),
            (endpoint, 20 if endpoint.endswith("/search") else 25, "endpoint-rate"),
        ]
        for name, calls, reason in windows:
            window = self._calls.setdefault(name, deque())
            while window and window[0] <= now - 1.0:
                window.popleft()
            if len(window) >= calls:
                raise too_many(reason)  # PROVIDERS §1
        for name, _, _ in windows:
            self._calls[name].append(now)


class ReadMeter:
    """Reads of the last thirty days (PROVIDERS §1). Stripe allots them and refuses none; counted to be seen."""

    def __init__(self) -> None:
        """Start empty."""
        self._hours: dict[int, int] = {}

    def count(self, now: float) -> None:
        """One read was answered."""
        hour = int(now // _HOUR_SECONDS)
        self._hours[hour] = self._hours.get(hour, 0) + 1

    def used(self, now: float) -> int:
        """How many there were, to the hour."""
        first = int(now // _HOUR_SECONDS) - _ALLOTTED_HOURS
        self._hours = {hour: reads for hour, reads in self._hours.items() if hour > first}
        return sum(self._hours.values())


class Busy:
    """Requests of others that are still at work: on a customer (PROVIDERS §1), or under an idempotency key (§2)."""

    def __init__(self) -> None:
        """Nobody is at work."""
        self._until: dict[str, float] = {}

    def begin(self, what: str, until: float) -> None:
        """Someone is at work on a customer's id, or under a key."""
        self._until[what] = until

    def check(self, key: str | None, remote_id: str, now: float) -> None:
        """Refuse a write beside one that is under way; nothing is executed, nor stored under its key."""
        if key is not None and self._until.get(key, 0.0) > now:
            raise RefusedError(  # PROVIDERS §2: at once
                "There is currently another in-progress request using this Idempotent Key.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        if self._until.get(remote_id, 0.0) > now:
            message = "This object cannot be accessed right now because another API request is accessing it."
            raise RefusedError(message, status=429, code="lock_timeout")  # PROVIDERS §1: a lock


@dataclass(frozen=True, slots=True)
class _Stored:
    at: float
    fingerprint: tuple[str, str, bytes]
    response: HttpResponse


class IdempotencyKeys:
    """Results of requests that began to execute, for a day (PROVIDERS §2); another one with the same key is refused."""

    def __init__(self) -> None:
        """Start empty."""
        self._stored: dict[str, _Stored] = {}

    def replay(self, key: str | None, request: HttpRequest, now: float, scale: float) -> HttpResponse | None:
        """Return the stored answer, 500 included, or None for a key that is new or forgotten."""
        if key is None:
            return None
        if len(key) > _MAX_KEY:  # PROVIDERS §2: 255
            raise RefusedError(f"Idempotency keys must be at most {_MAX_KEY} characters", kind="idempotency_error")
        stored = self._stored.get(key)
        if stored is None or stored.at + _KEY_SECONDS * scale <= now:
            return None
        if stored.fingerprint != _fingerprint(request):
            raise RefusedError(  # PROVIDERS §2: other parameters
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        headers = {**stored.response.headers, "idempotent-replayed": "true"}
        return HttpResponse(stored.response.status, headers, stored.response.body)

    def store(self, key: str | None, request: HttpRequest, response: HttpResponse, now: float) -> None:
        """Remember an answer, success or not, once the request began to execute."""
        if key is not None:
            self._stored[key] = _Stored(now, _fingerprint(request), response)


def _fingerprint(request: HttpRequest) -> tuple[str, str, bytes]:
    return request.method, request.url, request.body
