"""HubSpot's webhooks: who sent it, and whom it concerns (pure; PROVIDERS §4)."""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b, sha256
from typing import Any, Final

from msgspec.structs import replace

from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.wire import ObjectType, join_id
from core.errors import PartlyReadError, ReplyError, SignatureError
from core.ports import Delivery, Notice

TOLERANCE_MS: Final = 300_000
V3: Final = "x-hubspot-signature-v3"
TIMESTAMP: Final = "x-hubspot-request-timestamp"
OLDER: Final = "x-hubspot-signature"
OLDER_VERSION: Final = "x-hubspot-signature-version"

_DECODED: Final = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""What HubSpot decodes in the URI before it signs; everything else stays as it was called."""

_OBJECT_TYPES: Final[Mapping[str, ObjectType]] = {"0-1": "contact", "0-2": "company", "0-53": "invoice"}
"""What generic events name by a number. Of invoices there are no others."""
_IDENTITY: Final = (
    "subscriptionId",
    "objectId",
    "fromObjectId",
    "toObjectId",
    "associationRemoved",
    "propertyName",
    "occurredAt",
    "eventId",
    "portalId",
)
_NO_LIST: Final = "a HubSpot webhook is not a list of events"


class HubSpotWebhooks:
    """Signatures v3, and v1 or v2 for senders that have no v3; notices that name contacts, companies and invoices."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Raise SignatureError unless a live client secret signed exactly this delivery, in the last five minutes."""
        keys = [
            key.encode("utf-8", "surrogatepass") for secret in secrets for key in re.split(r"[\s,]+", secret) if key
        ]
        if not keys:
            raise SignatureError("this connection has no client_secret: its webhooks cannot be verified")
        version, given = _claim(delivery, now)
        if not any(hmac.compare_digest(given, _signature(version, key, delivery)) for key in keys):
            raise SignatureError("the signature fits none of the client secrets")

    def dedupe_key(self, delivery: Delivery) -> str:
        """Equal for redeliveries: `attemptNumber` and the order inside the batch take no part."""
        try:
            events, odd = _events(delivery.body)
        except ReplyError:
            events, odd = [], 1
        if odd:
            return blake2b(delivery.body, digest_size=16).hexdigest()
        told = "\n".join(sorted(json.dumps([_plain(event.get(name)) for name in _IDENTITY]) for event in events))
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def notices(self, body: bytes) -> Sequence[Notice]:
        """One notice for each object named; events of other objects or of unknown types give none."""
        found: dict[tuple[str, str], Notice] = {}
        events, odd = _events(body)
        for event in events:
            account = _id_in(event, "portalId") or ""
            for notice in _notices(event):
                known = found.get((account, notice.remote_id))
                merged = dict.fromkeys((*(known.merged if known else ()), *notice.merged))
                found[account, notice.remote_id] = replace(notice, merged=tuple(merged), account=account)
        if odd:
            raise PartlyReadError([_NO_LIST] * odd, odd + len(events), list(found.values()))
        return list(found.values())


def _plain(value: object) -> str | None:
    """Only what HubSpot sends there; a nested value would be no identity, and could be too deep to write down."""
    return str(value) if isinstance(value, (str, int, float)) else None


def _claim(delivery: Delivery, now: float) -> tuple[str, bytes]:
    """By which scheme it claims to be signed, and the signature. v1 and v2 only count where v3 is absent altogether."""
    headers = delivery.headers
    if V3 in headers:
        stamp = headers.get(TIMESTAMP, "")
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 15):
            raise SignatureError("the request timestamp is missing or odd")
        if abs(now * 1000 - int(stamp)) > TOLERANCE_MS:
            raise SignatureError("the request timestamp is more than five minutes away")
        return "v3", headers[V3].encode("utf-8", "replace")
    version = headers.get(OLDER_VERSION, "")
    if version not in ("v1", "v2"):
        raise SignatureError("there is no signature")
    return version, headers.get(OLDER, "").encode("utf-8", "replace")


def _signature(version: str, key: bytes, delivery: Delivery) -> bytes:
    method, url = delivery.method.encode("utf-8", "replace"), delivery.url
    if version == "v1":
        return sha256(key + delivery.body).hexdigest().encode()
    if version == "v2":
        return sha256(key + method + url.encode("utf-8", "replace") + delivery.body).hexdigest().encode()
    uri = _DECODED.sub(lambda found: chr(int(found.group(1), 16)), url).encode("utf-8", "replace")
    source = method + uri + delivery.body + delivery.headers[TIMESTAMP].encode()
    return b64encode(hmac.new(key, source, sha256).digest())


def _events(body: bytes) -> tuple[list[Mapping[str, Any]], int]:
    """The events, and how many beside them are none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"a HubSpot webhook is not JSON: {error}") from error
    if not isinstance(told, list):
        raise ReplyError(_NO_LIST)
    events: list[Mapping[str, Any]] = [one for one in told if isinstance(one, dict)]
    return events, len(told) - len(events)


def _notices(event: Mapping[str, Any]) -> list[Notice]:
    told = str(event.get("subscriptionType") or event.get("eventType") or "")
    subject, _, verb = told.partition(".")
    known = _OBJECT_TYPES.get(str(event.get("objectTypeId"))) if subject == "object" else None
    if known == "invoice":
        return _invoice_notices(told, event)
    name = f"{known}.{verb}" if known else told
    if name not in MANIFEST.webhook_events or name.startswith("object."):
        return []
    object_type: ObjectType = "company" if name.startswith("company.") else "contact"
    if verb == "merge":
        merged = _merge_notice(object_type, event)
        return [merged] if merged else []
    ids = [(one, _id_in(event, place)) for place, one in _places(name, object_type, event).items()]
    return [Notice(kind="customer", remote_id=join_id(kind, one)) for kind, one in ids if one]


def _invoice_notices(name: str, event: Mapping[str, Any]) -> list[Notice]:
    hubspot_id = _id_in(event, "objectId")
    if hubspot_id is None or name not in MANIFEST.webhook_events:
        return []
    return [Notice(kind="invoice", remote_id=join_id("invoice", hubspot_id))]


def _places(name: str, object_type: ObjectType, event: Mapping[str, Any]) -> dict[str, ObjectType]:
    """Where the ids of the objects are, and of which type. Of a tie it is not said who is told: both ends are."""
    if not name.endswith(".associationChange"):
        return {"objectId": object_type}
    told = str(event.get("associationType")).upper()
    if object_type == "company" and "PARENT" in told:
        return {"fromObjectId": "company", "toObjectId": "company"}
    if object_type == "company" and "CONTACT" in told:
        return {"fromObjectId": "company", "toObjectId": "contact"}
    return {"fromObjectId": object_type}


def _merge_notice(object_type: ObjectType, event: Mapping[str, Any]) -> Notice | None:
    """A merge may make a new object; then the primary one is absorbed like the others."""
    survivor = _id_in(event, "newObjectId") or _id_in(event, "primaryObjectId") or _id_in(event, "objectId")
    if survivor is None:
        return None
    listed = event.get("mergedObjectIds")
    involved = [*(listed if isinstance(listed, list) else []), event.get("primaryObjectId")]
    absorbed = [hubspot_id for hubspot_id in map(_as_id, involved) if hubspot_id not in (None, survivor)]
    merged = tuple(join_id(object_type, str(hubspot_id)) for hubspot_id in dict.fromkeys(absorbed))
    return Notice(kind="customer", remote_id=join_id(object_type, survivor), merged=merged)


def _id_in(event: Mapping[str, Any], name: str) -> str | None:
    return _as_id(event.get(name))


def _as_id(told: object) -> str | None:
    text = str(told) if isinstance(told, (int, str)) else ""
    return text if text.isascii() and text.isdecimal() else None
