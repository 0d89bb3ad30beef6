"""Stripe's webhooks: who signed them, and whom they concern. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from connectors.stripe.manifest import MANIFEST
from connectors.stripe.wire import (
    address_in,
    is_marker,
    is_storable,
    loads,
    locale_in,
    shipping_address_in,
    text_in,
)
from core.errors import ReplyError, SignatureError
from core.model.values import METADATA_PREFIX, Value
from core.ports import Delivery, Notice

TOLERANCE_SECONDS: Final = 300

_HEADER: Final = "stripe-signature"
_TIME: Final = re.compile(r"[0-9]{1,12}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_EVENT_ID: Final = re.compile(r"[!-~]{1,255}")
_CUSTOMER: Final = "customer."
_KEY_LENGTH: Final = 255
_SETTLING: Final = {"invoice_payment": "payment", "credit_note": "credit_note"}
"""What settles an invoice: Stripe's name -> ours."""


class StripeWebhooks:
    """Verifies deliveries and reads notices out of them."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Raise SignatureError unless one of the secrets signed these very bytes within five minutes of now."""
        live = [part for secret in secrets for part in re.split(r"[\s,]+", secret) if part]
        if not live:
            # an empty key would verify what anybody can sign
            raise SignatureError("no webhook secret is set for this connection")
        time, signatures = _signed(delivery.headers.get(_HEADER, ""))
        if abs(now - int(time)) > TOLERANCE_SECONDS:
            raise SignatureError("the signature's time is more than five minutes away from now")
        signed = time.encode() + b"." + delivery.body
        expected = [
            hmac.new(secret.encode("utf-8", "surrogatepass"), signed, hashlib.sha256).digest() for secret in live
        ]
        # no short cut: the time taken must not tell which pair came close
        matches = [hmac.compare_digest(one, other) for one in expected for other in signatures]
        if not any(matches):
            raise SignatureError("no live secret signed this delivery")

    def dedupe_key(self, delivery: Delivery) -> str:
        """Return the event's id; the body's hash where an authentic body has no usable one."""
        try:
            event = loads(delivery.body)
        except ReplyError:
            event = None
        found = event.get("id") if isinstance(event, dict) else None
        if isinstance(found, str) and _EVENT_ID.fullmatch(found):
            return found
        return hashlib.blake2b(delivery.body, digest_size=16).hexdigest()

    def notices(self, body: bytes) -> Sequence[Notice]:
        """Whom one event concerns: a customer, or documents; nobody for types that are not listened to.

        A refund or a dispute names what was paid and not an invoice's payment: `read` finds out which one that was.
        """
        event = loads(body)
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise ReplyError("not a Stripe event")
        if event["type"] not in MANIFEST.webhook_events:
            return ()
        account = _account_in(event)
        return [replace(one, account=account) for one in _named(event["type"], event)]


def _account_in(event: Mapping[str, object]) -> str:
    """A connected account's events name it; Stripe sends those of both modes to a platform's live endpoint."""
    is_live = event.get("livemode")
    mode = (":live" if is_live else ":test") if isinstance(is_live, bool) else ""
    return _id_of(event.get("account")) + mode


def _named(kind: str, event: Mapping[str, object]) -> Sequence[Notice]:
    data = _dict(event.get("data"))
    if not kind.startswith(_CUSTOMER):
        return _documents(_dict(data.get("object")), _key_of(event.get("request")))
    customer = _dict(data.get("object"))
    remote_id = _id_of(customer)
    if not remote_id:
        raise ReplyError("a customer's event names no customer")
    return (
        Notice(
            kind="customer",
            remote_id=remote_id,
            our_key=_key_of(event.get("request")),
            overwritten=_overwritten(customer, _dict(data.get("previous_attributes"))),
        ),
    )


def _documents(about: Mapping[str, object], our_key: str | None) -> Sequence[Notice]:
    kind = str(about.get("object"))
    if kind in ("refund", "charge", "dispute"):
        # of a charge without an intent nobody can tell which invoice it paid
        found = [("payment", _id_of(about.get("payment_intent")))]
    elif not _id_of(about):
        raise ReplyError("a document's event names no document")
    elif kind == "invoice":
        found = [("invoice", _id_of(about))]
    elif kind in _SETTLING:
        # it changed what is due of its invoice
        found = [(_SETTLING[kind], _id_of(about)), ("invoice", _id_of(about.get("invoice")))]
    else:
        raise ReplyError("a document's event is about none")
    return [Notice(kind=name, remote_id=remote_id, our_key=our_key) for name, remote_id in found if remote_id]


def _id_of(value: object) -> str:
    """The id of an object, or of a reference to one, expanded or not; "" for none that can be used."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and is_storable(found) else ""


def _signed(header: str) -> tuple[str, list[bytes]]:
    """Return the header's time and its v1 signatures; anything odd about it is a SignatureError."""
    items = [item.strip().partition("=") for item in header.split(",")]
    times = [value for name, _, value in items if name == "t"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise SignatureError("the Stripe-Signature header is missing or carries no single time")
    told = [value for name, _, value in items if name == "v1"]
    signatures = [bytes.fromhex(value) for value in told if _SIGNATURE.fullmatch(value)]
    if told and not signatures:
        raise SignatureError(
            "the v1 signature of the Stripe-Signature header is wrong: it is not 64 digits, 0-9 and a-f"
        )
    if not signatures:
        raise SignatureError("the Stripe-Signature header carries no v1 signature")
    return times[0], signatures


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _key_of(request: object) -> str | None:
    key = _dict(request).get("idempotency_key")
    return key if isinstance(key, str) and 0 < len(key) <= _KEY_LENGTH and is_storable(key) else None


def _overwritten(customer: Mapping[str, object], previous: Mapping[str, object]) -> dict[str, Value]:
    """Neutral values before the change. Hashes hold only the keys that changed, so they are laid over today's."""
    found: dict[str, Value] = {}
    for attribute, field, take in (
        ("name", "name", text_in),
        ("email", "email", text_in),
        ("phone", "phone", text_in),
        ("preferred_locales", "locale", locale_in),
        ("address", "billing_address", address_in),
        ("shipping", "shipping_address", shipping_address_in),
    ):
        if attribute not in previous:
            continue
        try:
            found[field] = take(_before(customer.get(attribute), previous[attribute]))
        except ValueError:
            # an odd old value is no candidate for a raced one
            continue
    shipping = previous.get("shipping")
    if isinstance(shipping, dict) and "address" not in shipping and customer.get("shipping") is not None:
        # only the recipient or the phone changed
        found.pop("shipping_address", None)
    found.update(_metadata_before(previous.get("metadata")))
    return found


def _before(now: object, was: object, depth: int = 2) -> object:
    # two levels are all there is (shipping, its address); deeper ones are no customer's
    if not depth or not isinstance(was, dict) or not isinstance(now, dict):
        return was
    return {**now, **{key: _before(now.get(key), value, depth - 1) for key, value in was.items()}}


def _metadata_before(previous: object) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in _dict(previous).items():
        if is_marker(key) or not is_storable(key):
            continue
        try:
            found[METADATA_PREFIX + key] = text_in(value)
        except ValueError:
            continue
    return found
