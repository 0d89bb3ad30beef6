"""Signed webhook deliveries with Stripe's redeliveries (PROVIDERS §4)."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import random
from collections.abc import Callable, Sequence
from typing import Final

from connectors.stripe.sandbox.settings import StripeSettings
from core.ports import Delivery
from core.sandbox.lookalike import Outgoing

_HOUR: Final = 3600.0
RETRY_SECONDS: Final = (300.0, 1800.0, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, *(12 * _HOUR for _ in range(4)))
"""Exponential over three days in live mode; the exact steps are not published."""
TEST_RETRY_SECONDS: Final = (300.0, _HOUR, 4 * _HOUR)
"""Test mode gives up after three more attempts, over a few hours."""


class Outbox:
    """Deliveries to one endpoint: at least once, in no promised order."""

    def __init__(self, rng: random.Random) -> None:
        """Start empty."""
        self._rng = rng
        self._waiting: list[tuple[float, int, str, int]] = []
        self._in_flight: dict[str, int] = {}
        self._count = 0
        self.undelivered: set[str] = set()
        """Events whose last attempt failed."""

    def add(self, event_id: str, due: float, attempt: int = 1) -> None:
        """Queue an attempt."""
        self._count += 1
        heapq.heappush(self._waiting, (due, self._count, event_id, attempt))

    def due(self, now: float, settings: StripeSettings, body_of: Callable[[str], bytes]) -> Sequence[Outgoing]:
        """Attempts to make now, signed now, in no order. An attempt is out until it is answered."""
        made = []
        while self._waiting and self._waiting[0][0] <= now:
            _, _, event_id, attempt = heapq.heappop(self._waiting)
            self._in_flight[event_id] = attempt
            made.append(Outgoing(event_id, _signed(body_of(event_id), now, settings), attempt))
        self._rng.shuffle(made)
        return made

    def answered(self, event_id: str, status: int | None, now: float, settings: StripeSettings) -> None:
        """A 2xx ends it; anything else is tried again until the schedule ends."""
        attempt = self._in_flight.pop(event_id, None)
        if attempt is None:
            return
        if status is not None and 200 <= status < 300:
            self.undelivered.discard(event_id)
            return
        self.undelivered.add(event_id)
        steps = RETRY_SECONDS if settings.is_live else TEST_RETRY_SECONDS
        if attempt <= len(steps):
            self.add(event_id, now + steps[attempt - 1] * settings.lag_scale, attempt + 1)


def _signed(body: bytes, now: float, settings: StripeSettings) -> Delivery:
    time = str(int(now))
    signatures = [
        hmac.new(secret.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()
        for secret in settings.webhook_secrets
    ]
    # v0 comes with test events and proves nothing: whoever takes the last signature, or any of them, is fooled
    fake = [] if settings.is_live else ["v0=" + hashlib.sha256(body).hexdigest()]
    header = ",".join([f"t={time}", *(f"v1={signature}" for signature in signatures), *fake])
    headers = {"content-type": "application/json; charset=utf-8", "stripe-signature": header}
    return Delivery("POST", settings.webhook_url or "", headers, body)
