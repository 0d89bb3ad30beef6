"""Signed webhook deliveries of the three providers, and ways to spoil them."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping

from core.ports import Delivery

SECRETS: Mapping[str, str] = {
    "stripe": "whsec_lookalike",
    "hubspot": "hubspot-client-secret",
    "quickbooks": "sandbox-verifier-token",
}


def stripe(number: int, now: float, url: str = "", secret: str = SECRETS["stripe"], pad: int = 1500) -> Delivery:
    """One customer.updated event, signed."""
    event = {
        "id": f"evt_{number:012d}",
        "object": "event",
        "type": "customer.updated",
        "data": {"object": {"id": f"cus_{number:012d}", "object": "customer"}, "previous_attributes": {"name": "x"}},
        "request": {"id": None, "idempotency_key": None},
        "pad": "x" * pad,
    }
    return signed("stripe", json.dumps(event).encode(), now, url, secret)


def hubspot(number: int, now: float, url: str = "", secret: str = SECRETS["hubspot"]) -> Delivery:
    """One batch with one contact's change, signed as v3."""
    event = {
        "eventId": number,
        "subscriptionId": 7,
        "objectId": 1000 + number,
        "subscriptionType": "contact.propertyChange",
        "propertyName": "phone",
        "occurredAt": int(now * 1000),
        "attemptNumber": 0,
    }
    return signed("hubspot", json.dumps([event]).encode(), now, url, secret)


def quickbooks(number: int, now: float, url: str = "", secret: str = SECRETS["quickbooks"]) -> Delivery:
    """One cloud event, signed."""
    event = {
        "specversion": "1.0",
        "id": f"{number:032x}",
        "source": "intuit.example",
        "type": "qbo.customer.updated.v1",
        "intuitentityid": str(number + 1),
        "intuitaccountid": "9341453908059321",
    }
    return signed("quickbooks", json.dumps([event]).encode(), now, url, secret)


def quickbooks_signature(body: bytes, secret: str = SECRETS["quickbooks"]) -> str:
    """What Intuit signs: the body alone."""
    return b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def signed(provider: str, body: bytes, now: float, url: str = "", secret: str | None = None) -> Delivery:
    """Any body as the provider would deliver it at this moment."""
    key = (SECRETS[provider] if secret is None else secret).encode()
    headers = {"content-type": "application/json"}
    if provider == "stripe":
        stamp = str(int(now))
        digest = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers["stripe-signature"] = f"t={stamp},v1={digest}"
    elif provider == "hubspot":
        stamp = str(int(now * 1000))
        digest_v3 = hmac.new(key, b"POST" + url.encode() + body + stamp.encode(), hashlib.sha256).digest()
        headers |= {
            "x-hubspot-signature-v3": b64encode(digest_v3).decode(),
            "x-hubspot-request-timestamp": stamp,
        }
    else:
        headers["intuit-signature"] = quickbooks_signature(body, key.decode())
    return Delivery("POST", url, headers, body)


SIGNERS: Mapping[str, Callable[..., Delivery]] = {"stripe": stripe, "hubspot": hubspot, "quickbooks": quickbooks}
_SIGNED_TIME = {"stripe", "hubspot"}


def spoiled(provider: str, rng: random.Random, count: int, now: float, url: str) -> Iterator[Delivery]:
    """Deliveries that no one may take: mutated, stale, unsigned, or signed with something else."""
    sign = SIGNERS[provider]
    ways = [_flipped, _cut, _grown, _unsigned, _blank_signature, _other_header, _doubled]
    for number in range(count):
        good = sign(number, now, url)
        choice = rng.randrange(len(ways) + 2)
        if choice < len(ways):
            yield ways[choice](good, rng)
        elif choice == len(ways) and provider in _SIGNED_TIME:
            yield sign(number, now + rng.choice((-1, 1)) * rng.uniform(302, 1e6), url)
        else:
            yield sign(number, now, url, secret="".join(rng.choices("abcdef0123456789", k=24)))


def _flipped(good: Delivery, rng: random.Random) -> Delivery:
    body = bytearray(good.body)
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return _with(good, bytes(body))


def _cut(good: Delivery, rng: random.Random) -> Delivery:
    return _with(good, good.body[: rng.randrange(len(good.body))])


def _grown(good: Delivery, rng: random.Random) -> Delivery:
    return _with(good, good.body + rng.choice((b" ", b"\n", b"\0", b"{}", rng.randbytes(9))))


def _unsigned(good: Delivery, rng: random.Random) -> Delivery:
    del rng
    return Delivery(good.method, good.url, {"content-type": "application/json"}, good.body)


def _signatures(good: Delivery) -> list[str]:
    return [name for name in good.headers if "signature" in name]


def _blank_signature(good: Delivery, rng: random.Random) -> Delivery:
    changes = dict.fromkeys(_signatures(good), rng.choice(("", "t=,v1=", "t=0,v1=0", "=", "undefined", "null")))
    return _with(good, good.body, changes)


def _other_header(good: Delivery, rng: random.Random) -> Delivery:
    """One character of the signature (or of its time) is another one."""
    name = rng.choice(_signatures(good))
    value = list(good.headers[name].rstrip("="))
    place = rng.randrange(len(value))
    value[place] = rng.choice([char for char in "ABCDEFabcdef0123456789" if char.lower() != value[place].lower()])
    return _with(good, good.body, {name: "".join(value)})


def _doubled(good: Delivery, rng: random.Random) -> Delivery:
    """A forged body with the real signature beside its own."""
    body = bytearray(good.body)
    body[rng.randrange(len(body))] ^= 1
    name = _signatures(good)[0]
    return _with(good, bytes(body), {name: f"{good.headers[name]}, {good.headers[name]}"})


def _with(good: Delivery, body: bytes, headers: Mapping[str, str] | None = None) -> Delivery:
    return Delivery(good.method, good.url, {**good.headers, **(headers or {})}, body)
