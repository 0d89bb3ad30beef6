"""Signed webhook deliveries, and their redeliveries."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from connectors.acme.sandbox.settings import AcmeSettings
from core.ports import Delivery
from core.sandbox.lookalike import Outgoing

SCHEDULE: Final = (60.0, 600.0, 3600.0, 21_600.0)
"""Seconds until the next try; after the last one the delivery is given up."""


@dataclass
class _Waiting:
    body: bytes
    due: float
    attempt: int = 1
    is_under_way: bool = False


class Outbox:
    """Deliveries to one endpoint: at least once, in no promised order."""

    def __init__(self, rng: Random) -> None:
        """Start empty."""
        self._rng = rng
        self._waiting: dict[str, _Waiting] = {}

    # Decide 3: what a delivery looks like and how it is signed.
    def add(self, kind: str, customer_id: str, now: float) -> None:
        """Queue one event."""
        event_id = f"evt_{self._rng.getrandbits(60):015x}"
        body = msgspec.json.encode({"id": event_id, "type": kind, "customer_id": customer_id})
        self._waiting[event_id] = _Waiting(body, now)

    def due(self, now: float, settings: AcmeSettings) -> Sequence[Outgoing]:
        """Attempts to make now, signed now. An attempt is out until it is answered."""
        if settings.webhook_url is None:
            return ()
        made = []
        for event_id, one in self._waiting.items():
            if one.due <= now and not one.is_under_way:
                one.is_under_way = True
                made.append(Outgoing(event_id, _signed(one.body, now, settings), one.attempt))
        return made

    def answered(self, event_id: str, status: int | None, now: float, lag_scale: float) -> None:
        """A 2xx ends it; anything else brings the same bytes again, until the schedule ends."""
        one = self._waiting.get(event_id)
        if one is None:
            return
        if (status is not None and 200 <= status < 300) or one.attempt > len(SCHEDULE):
            del self._waiting[event_id]
            return
        one.due = now + SCHEDULE[one.attempt - 1] * lag_scale
        one.attempt += 1
        one.is_under_way = False


def _signed(body: bytes, now: float, settings: AcmeSettings) -> Delivery:
    time = str(int(now))
    # written apart from webhook.py on purpose: it is what that one is checked against
    signature = hmac.new(settings.webhook_secret.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "acme-signature": f"t={time},v1={signature}"}
    return Delivery("POST", settings.webhook_url or "", headers, body)
