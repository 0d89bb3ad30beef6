"""Acme's webhooks: who signed them, and whom they concern. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from connectors.acme.manifest import MANIFEST
from connectors.acme.wire import Event, decoded, is_storable
from core.errors import ReplyError, SignatureError
from core.ports import Delivery, Notice

TOLERANCE_SECONDS: Final = 300
HEADER: Final = "acme-signature"
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


# Decide 8: what is signed and how, which events there are, where they name the object.
class AcmeWebhooks:
    """Verifies deliveries and reads notices out of them."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Raise SignatureError unless one of the secrets signed these very bytes within five minutes of now."""
        live = [part for secret in secrets for part in re.split(r"[\s,]+", secret) if part]
        if not live:
            # an empty key would verify what anybody can sign
            raise SignatureError("no webhook secret is set for this connection")
        header = _SIGNATURE.fullmatch(delivery.headers.get(HEADER, ""))
        if header is None:
            raise SignatureError(f"the {HEADER} header is missing or not of the form t=TIME,v1=SIGNATURE")
        time, claimed = header.groups()
        if abs(now - int(time)) > TOLERANCE_SECONDS:
            raise SignatureError("the signature's time is more than five minutes away from now")
        # no short cut: the time taken must not tell which secret came close
        matches = [hmac.compare_digest(signature(secret, time, delivery.body), claimed) for secret in live]
        if not any(matches):
            raise SignatureError("no live secret signed this delivery")

    def dedupe_key(self, delivery: Delivery) -> str:
        """The event's id; the body's hash where an authentic body has no usable one."""
        try:
            event_id = decoded(delivery.body, Event).id
        except ReplyError:
            event_id = ""
        if event_id and is_storable(event_id):
            return event_id
        return hashlib.blake2b(delivery.body, digest_size=16).hexdigest()

    def notices(self, body: bytes) -> Sequence[Notice]:
        """One notice for a customer's event, none for any other event."""
        event = decoded(body, Event)
        if event.type not in MANIFEST.webhook_events:
            return ()
        if not event.customer_id or not is_storable(event.customer_id):
            raise ReplyError("a customer's event names no customer")
        return (Notice(kind="customer", remote_id=event.customer_id),)


def signature(secret: str, time: str, body: bytes) -> str:
    """What Acme signs: the time, a dot and the body's bytes."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), time.encode() + b"." + body, hashlib.sha256).hexdigest()
