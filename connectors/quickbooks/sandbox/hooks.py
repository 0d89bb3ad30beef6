"""Webhooks as Intuit delivers them: signed arrays, and no later event before the first is acknowledged."""

from __future__ import annotations

import hashlib
import hmac
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.ports import Delivery
from core.sandbox.lookalike import Outgoing

SCHEDULE: Final = (10.0, 20.0, 30.0, 300.0, 1200.0, 7200.0, 14400.0, 21600.0)
"""Seconds before each further try; the last one repeats (PROVIDERS §4)."""
PATIENCE_SECONDS: Final = 3.0
"""An acknowledgement that comes later is none (PROVIDERS §4)."""
_MOST_EVENTS: Final = 100
_OLD_OPERATIONS: Final = {
    "created": "Create",
    "updated": "Update",
    "deleted": "Delete",
    "merged": "Merge",
    "voided": "Void",
}
_OLD_NAMES: Final = {one.lower(): one for one in ("Customer", "Invoice", "Payment", "CreditMemo", "RefundReceipt")}


@dataclass(slots=True)
class _Flight:
    id: str
    body: bytes
    due: float
    attempt: int = 0
    is_under_way: bool = False


class Hooks:
    """The queue of one app's events for one company."""

    def __init__(self, rng: random.Random, settings: Callable[[], QuickBooksSettings]) -> None:
        """Queue nothing while the settings name no address."""
        self._rng = rng
        self._settings = settings
        self._waiting: list[dict[str, Any]] = []
        self._flight: _Flight | None = None

    def emit(self, operation: str, remote_id: str, now: float, *, absorbed: str = "", entity: str = "Customer") -> None:
        """Queue one event (PROVIDERS §4); own writes of the app echo like everyone's."""
        if self._settings().webhook_url is None:
            return
        event = {
            "specversion": "1.0",
            "id": str(UUID(int=self._rng.getrandbits(128), version=4)),
            "source": "intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU=",
            "type": f"qbo.{entity.lower()}.{operation}.v1",
            "datacontenttype": "application/json",
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "000Z"),
            "intuitentityid": remote_id,
            "intuitaccountid": self._settings().realm_id,
            # PROVIDERS §4: it may be blank
            "data": {"deletedid": absorbed} if absorbed and self._settings().is_webhook_data_filled else {},
        }
        self._waiting.append(event)

    def due(self, now: float) -> Sequence[Outgoing]:
        """The delivery to make now, if any: one at a time, later ones are held (PROVIDERS §4)."""
        told = self._settings()
        if told.webhook_url is None:
            return ()
        if self._flight is None and self._waiting:
            events, self._waiting = self._waiting[:_MOST_EVENTS], self._waiting[_MOST_EVENTS:]
            # in no order (PROVIDERS §4): the last event of an array is not the newest
            self._rng.shuffle(events)
            self._flight = _Flight(events[0]["id"], self._body(events), now)
        flight = self._flight
        if flight is None or flight.is_under_way or flight.due > now:
            return ()
        flight.is_under_way = True
        headers = {
            "content-type": "application/json" if told.is_old_webhook_format else "application/cloudevents+json",
            "intuit-signature": self.signature(flight.body),
            "user-agent": "Intuit-Webhooks",
        }
        delivery = Delivery("POST", told.webhook_url, headers, flight.body)
        return (Outgoing(flight.id, delivery, flight.attempt, PATIENCE_SECONDS),)

    def answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """2xx ends a delivery; everything else brings the same bytes again later."""
        flight = self._flight
        if flight is None or flight.id != outgoing_id:
            return
        if status is not None and 200 <= status < 300:
            self._flight = None
            return
        flight.due = now + SCHEDULE[min(flight.attempt, len(SCHEDULE) - 1)] * self._settings().lag_scale
        flight.attempt += 1
        flight.is_under_way = False

    def signature(self, body: bytes) -> str:
        """What Intuit puts into the header: no time is in it (PROVIDERS §4)."""
        return b64encode(hmac.new(self._settings().verifier_token.encode(), body, hashlib.sha256).digest()).decode()

    def _body(self, events: list[dict[str, Any]]) -> bytes:
        if not self._settings().is_old_webhook_format:
            return msgspec.json.encode(events)
        entities = [
            {
                "name": _OLD_NAMES[event["type"].split(".")[1]],
                "id": event["intuitentityid"],
                "operation": _OLD_OPERATIONS[event["type"].split(".")[2]],
                "lastUpdated": event["time"],
                **({"deletedId": event["data"]["deletedid"]} if event["data"] else {}),
            }
            for event in events
        ]
        change = {"realmId": self._settings().realm_id, "dataChangeEvent": {"entities": entities}}
        return msgspec.json.encode({"eventNotifications": [change]})
