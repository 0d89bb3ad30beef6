"""Webhooks of the look-alike: events in arrays, signed for the public URL, delivered again over a day."""

from __future__ import annotations

import hmac
import random
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from connectors.hubspot.sandbox.settings import HubSpotSettings
from core.ports import Delivery
from core.sandbox.lookalike import Outgoing

BATCH: Final = 100  # PROVIDERS §4
AT_ONCE: Final = 10
"""Deliveries under way at the same time (PROVIDERS §4)."""
WAITS: Final = (60, 180, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 18_000, 21_600)
"""Ten redeliveries spread over a day (PROVIDERS §4: at most 10 over 24 h; the steps are unpublished)."""

_SIGNED_AS: Final = {  # PROVIDERS §4
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


@dataclass(slots=True)
class _Parcel:
    events: list[dict[str, Any]]
    due_at: float
    attempt: int = 0
    is_away: bool = False


class Outbox:
    """Deliveries to make, with their attempts."""

    def __init__(self, rng: random.Random) -> None:
        """Nothing is queued yet."""
        self._rng = rng
        self._waiting: list[dict[str, Any]] = []
        self._parcels: dict[str, _Parcel] = {}
        self._made = 0

    def add(self, event: dict[str, Any]) -> None:
        """Queue one event."""
        self._waiting.append(event)

    def due(self, settings: HubSpotSettings, now: float) -> list[Outgoing]:
        """What is to be sent now, in no order (PROVIDERS §4); nothing is offered twice before it was answered."""
        self._rng.shuffle(self._waiting)
        for start in range(0, len(self._waiting), BATCH):
            self._made += 1
            self._parcels[f"hubspot-{self._made}"] = _Parcel(self._waiting[start : start + BATCH], now)
        self._waiting = []
        ready = [(name, one) for name, one in self._parcels.items() if not one.is_away and one.due_at <= now]
        ready = ready[: AT_ONCE - sum(one.is_away for one in self._parcels.values())]
        for _, parcel in ready:
            parcel.is_away = True
        return [Outgoing(name, _delivery(parcel, settings, now), parcel.attempt) for name, parcel in ready]

    def answered(self, name: str, status: int | None, now: float, lag_scale: float) -> None:
        """2xx ends it; anything else is tried again, ten times."""
        parcel = self._parcels[name]
        if (status is not None and 200 <= status < 300) or parcel.attempt >= len(WAITS):
            del self._parcels[name]
            return
        parcel.due_at = now + WAITS[parcel.attempt] * lag_scale
        parcel.attempt += 1
        parcel.is_away = False


def _delivery(parcel: _Parcel, settings: HubSpotSettings, now: float) -> Delivery:
    body = msgspec.json.encode([event | {"attemptNumber": parcel.attempt} for event in parcel.events])
    key = settings.client_secret.encode()
    headers = _legacy_headers(key, body)
    if not settings.is_legacy_app:
        headers |= _headers(settings.webhook_url, key, body, str(int(now * 1000)))
    return Delivery("POST", settings.webhook_url, headers, body)


def _legacy_headers(key: bytes, body: bytes) -> dict[str, str]:
    """PROVIDERS §4: signature v1 covers neither time nor address; a legacy private app's have no other."""
    return {
        "content-type": "application/json",
        "x-hubspot-signature": sha256(key + body).hexdigest(),
        "x-hubspot-signature-version": "v1",
    }


def _headers(url: str, key: bytes, body: bytes, stamp: str) -> Mapping[str, str]:
    for coded, plain in _SIGNED_AS.items():
        url = url.replace(coded, plain)
    signed = hmac.digest(key, b"POST" + url.encode() + body + stamp.encode(), "sha256")
    return {"x-hubspot-signature-v3": b64encode(signed).decode(), "x-hubspot-request-timestamp": stamp}
