"""QuickBooks webhooks: who signed, what repeats, whom it concerns (PROVIDERS §4)."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from connectors.quickbooks.manifest import FEEDS, REFUND
from connectors.quickbooks.wire import CloudEvent, OldEntity, OldWebhook, Typed
from core.errors import PartlyReadError, ReplyError, SignatureError
from core.ports import Delivery, Notice

SIGNATURE_HEADER: Final = "intuit-signature"
EVENT: Final = re.compile(
    r"qbo\.(customer|invoice|payment|creditmemo|refundreceipt)\.(created|updated|deleted|merged|voided|emailed)\.v\d+"
)
_FEED_OF: Final = {entity.lower(): feed for feed, entity in FEEDS.items()}
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class QuickBooksWebhooks:
    """Pure: raw bytes in, verdict or notices out."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:  # noqa: ARG002 - no time is signed
        """Refuse unless one live verifier token signed these very bytes."""
        signature = delivery.headers.get(SIGNATURE_HEADER)
        if not signature:
            msg = "the delivery carries no intuit-signature"
            raise SignatureError(msg)
        # an empty key signs anything: whoever has no token configured must not accept forgeries
        keys = [key for secret in secrets for key in re.split(r"[\s,]+", secret) if key]
        if not keys:
            msg = "no verifier token is configured"
            raise SignatureError(msg)
        claimed = signature.encode("utf-8", "surrogatepass")
        matches = [hmac.compare_digest(_signature(key, delivery.body), claimed) for key in keys]
        if not any(matches):
            msg = "the intuit-signature is not of any live verifier token"
            raise SignatureError(msg)

    def dedupe_key(self, delivery: Delivery) -> str:
        """Name a delivery by its events' ids; by its bytes where it has none (the older format)."""
        try:
            events = msgspec.json.decode(delivery.body, type=list[CloudEvent])
        except _UNREADABLE:
            events = []
        ids = sorted(event.id for event in events if event.id)
        if not ids or len(ids) != len(events):
            return "body:" + hashlib.sha256(delivery.body).hexdigest()
        return "events:" + hashlib.sha256(msgspec.json.encode(ids)).hexdigest()

    def notices(self, body: bytes) -> Sequence[Notice]:
        """Objects that the delivery concerns; entities of no kind and unknown event types give none."""
        found: list[Notice] = []
        problems: list[str] = []
        events = _events(body)
        for read in events:
            try:
                found += read()
            except _UNREADABLE as error:
                problems.append(_shapeless(error))
            except ReplyError as error:
                problems.append(str(error))
        if problems:
            raise PartlyReadError(problems, len(events), found)
        return found


def _signature(key: str, body: bytes) -> bytes:
    return b64encode(hmac.digest(key.encode("utf-8", "surrogateescape"), body, "sha256"))


def _events(body: bytes) -> Sequence[Callable[[], Sequence[Notice]]]:
    """How each of a delivery's events is read. Raises ReplyError for what is no list of any."""
    try:
        if body.lstrip()[:1] == b"[":
            return [partial(_of_cloud_event, raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
        webhook = msgspec.json.decode(body, type=OldWebhook)
    except _UNREADABLE as error:
        raise ReplyError(_shapeless(error)) from error
    return [
        partial(_of_old_entity, raw, notification.realm)
        for notification in webhook.notifications
        for raw in notification.change.entities
    ]


def _shapeless(error: Exception) -> str:
    return f"a webhook of no known shape: {error}"


def _of_cloud_event(raw: msgspec.Raw) -> Sequence[Notice]:
    # of other entities' events nothing but the type is looked at: one app has one address for all of them
    known = EVENT.fullmatch(msgspec.json.decode(raw, type=Typed).type)
    if not known:
        return ()
    event = msgspec.json.decode(raw, type=CloudEvent)
    merged_id = event.data.merged_id if event.data else None
    return (_notice(known[1], event.entity_id, merged_id, event.realm),)


def _of_old_entity(raw: msgspec.Raw, realm: str | int | None) -> Sequence[Notice]:
    entity = msgspec.json.decode(raw, type=OldEntity)
    if entity.name.lower() not in _FEED_OF:
        return ()
    return (_notice(entity.name.lower(), entity.id, entity.merged_id, realm),)


def _notice(entity: str, remote_id: str | None, merged_id: str | None, realm: str | int | None) -> Notice:
    if not remote_id:
        msg = f"a {entity} event names no {entity}"
        raise ReplyError(msg)
    merged = (merged_id,) if merged_id else ()
    feed, account = _FEED_OF[entity], str(realm or "")
    if feed == REFUND:
        return Notice(kind="credit_note", remote_id=f"{REFUND}-{remote_id}", account=account)
    return Notice(kind=feed, remote_id=remote_id, merged=merged, account=account)
