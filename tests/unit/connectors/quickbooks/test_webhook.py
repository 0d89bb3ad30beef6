"""Who signed, what repeats, whom it concerns."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from base64 import b64encode
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.quickbooks.manifest import MANIFEST
from connectors.quickbooks.webhook import QuickBooksWebhooks
from core.errors import PartlyReadError, ReplyError, SignatureError
from core.ports import Delivery, Notice

HOOKS = QuickBooksWebhooks()
TOKEN = "7d3c-verifier"
KINDS = {"customer": "customer", "invoice": "invoice", "payment": "payment", "creditmemo": "credit_note"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "88cd52aa-33b6-4351-9aa4-47572edbd068",
    "source": "intuit.abc",
    "type": "qbo.customer.created.v1",
    "time": "2026-11-20T21:31:25.179550271Z",
    "intuitentityid": "1234",
    "intuitaccountid": "9341",
    "data": {},
}


def signed(body: bytes, key: str = TOKEN, **headers: str) -> Delivery:
    """A delivery as Intuit makes it."""
    signature = b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
    return Delivery("POST", "https://accord.example/w", {"intuit-signature": signature, **headers}, body)


def events(*changes: dict[str, Any]) -> bytes:
    """A body of CloudEvents."""
    return json.dumps([{**EVENT, **change} for change in changes]).encode()


def test_an_authentic_delivery_is_let_in() -> None:
    """Any live token may have signed: rotation must not lose events."""
    delivery = signed(events({}))

    HOOKS.verify(delivery, [TOKEN], 0)
    HOOKS.verify(delivery, ["older", TOKEN], 0)
    HOOKS.verify(delivery, [f"older, {TOKEN}"], 0)
    HOOKS.verify(delivery, [f"older\n{TOKEN} newer"], 0)


@pytest.mark.parametrize("secrets", [[], [""], [" , "], ["other"], ["other", ""]])
def test_no_token_verifies_nothing(secrets: list[str]) -> None:
    """An empty key signs anything: whoever forgot to configure one accepted forgeries."""
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(events({})), secrets, 0)
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(events({}), key=""), secrets, 0)


def test_a_refusal_says_why() -> None:
    """It stands in the daemon's log, and is all there is to find out why events are missing."""
    delivery = signed(b"[]")
    with pytest.raises(SignatureError, match=r"^the delivery carries no intuit-signature$"):
        HOOKS.verify(Delivery("POST", delivery.url, {}, b"[]"), [TOKEN], 0)
    with pytest.raises(SignatureError, match=r"^no verifier token is configured$"):
        HOOKS.verify(delivery, [" , "], 0)
    with pytest.raises(SignatureError, match=r"^the intuit-signature is not of any live verifier token$"):
        HOOKS.verify(delivery, ["other"], 0)


def test_a_token_that_is_not_text_is_its_bytes() -> None:
    """The environment gives odd bytes as half surrogate pairs: beside a good token they must not raise."""
    key = b"odd\xff"
    signature = b64encode(hmac.new(key, b"[]", hashlib.sha256).digest()).decode()

    HOOKS.verify(Delivery("POST", "https://a", {"intuit-signature": signature}, b"[]"), ["odd\udcff"], 0)
    HOOKS.verify(signed(b"[]"), ["odd\udcff", TOKEN], 0)


@pytest.mark.parametrize("header", [None, "", "x", "=", "é", "\ud800", "a, b", "0" * 10_000])
def test_an_odd_header_is_a_bad_signature_and_nothing_else(header: str | None) -> None:
    """An exception of another kind would be answered 500, and Intuit would hold every later event back."""
    headers = {} if header is None else {"intuit-signature": header}

    with pytest.raises(SignatureError):
        HOOKS.verify(Delivery("POST", "https://a", headers, b"[]"), [TOKEN], 0)


def test_a_doubled_header_is_refused() -> None:
    """Two signatures joined by a proxy are none."""
    delivery = signed(b"[]")
    doubled = {"intuit-signature": ", ".join([delivery.headers["intuit-signature"]] * 2)}

    with pytest.raises(SignatureError):
        HOOKS.verify(Delivery("POST", delivery.url, doubled, b"[]"), [TOKEN], 0)


def test_two_thousand_mutated_deliveries_are_refused() -> None:
    """One flipped bit, one cut byte, one added one, in body, signature or key."""
    rng, body = random.Random(3), events({}, {"intuitentityid": "77"})
    good = signed(body)
    for number in range(2000):
        changed, signature = bytearray(body), bytearray(good.headers["intuit-signature"].encode())
        target = signature if number % 3 == 0 else changed
        at = rng.randrange(len(target))
        match number % 4:
            case 0 | 1:
                target[at] ^= 1 << rng.randrange(7)
            case 2:
                del target[at]
            case _:
                target.insert(at, rng.randrange(128))
        if bytes(changed) == body and signature.decode("latin-1") == good.headers["intuit-signature"]:
            continue
        forged = Delivery("POST", good.url, {"intuit-signature": signature.decode("latin-1")}, bytes(changed))

        with pytest.raises(SignatureError):
            HOOKS.verify(forged, [TOKEN], 0)


# ---- notices ---------------------------------------------------------------------------------------


def named(entity: str, remote_id: str) -> Notice:
    """What an event about one object names."""
    if entity == "refundreceipt":
        return Notice(kind="credit_note", remote_id=f"refund-{remote_id}", account="9341")
    return Notice(kind=KINDS[entity], remote_id=remote_id, account="9341")


def test_each_event_the_manifest_names_is_understood() -> None:
    """An event that is subscribed to and not understood is an edit lost until the next sweep."""
    for event_type in MANIFEST.webhook_events:
        entity = event_type.split(".")[1]
        assert HOOKS.notices(events({"type": event_type})) == [named(entity, "1234")]


@pytest.mark.parametrize("entity", ["invoice", "payment", "creditmemo", "refundreceipt"])
@pytest.mark.parametrize("change", ["created", "updated", "deleted", "voided", "emailed"])
def test_a_document_of_the_same_id_as_a_customer_is_another_object(entity: str, change: str) -> None:
    """Ids are of each entity; a delete or void that is ignored leaves an invoice open that nobody owes."""
    body = events({}, {"type": f"qbo.{entity}.{change}.v1"})

    assert HOOKS.notices(body) == [
        Notice(kind="customer", remote_id="1234", account="9341"),
        named(entity, "1234"),
    ]


def test_an_event_of_a_later_version_is_understood() -> None:
    """It names the customer in the same place; what it says of him is not used."""
    assert HOOKS.notices(events({"type": "qbo.customer.updated.v12"})) == [
        Notice(kind="customer", remote_id="1234", account="9341")
    ]


def test_a_merge_names_whom_the_survivor_absorbed() -> None:
    """The mapping of the absorbed customer moves to the survivor."""
    body = events({"type": "qbo.customer.merged.v1", "data": {"deletedid": "55"}})

    assert HOOKS.notices(body) == [Notice(kind="customer", remote_id="1234", merged=("55",), account="9341")]
    untold = events({"type": "qbo.customer.merged.v1", "data": {"deletedid": "55"}, "intuitaccountid": None})
    assert HOOKS.notices(untold) == [Notice(kind="customer", remote_id="1234", merged=("55",))]


def test_events_of_other_entities_give_no_notice() -> None:
    """One app, one address: bills and vendors arrive here as well."""
    odd = (
        "qbo.bill.created.v1",
        "qbo.vendor.merged.v1",
        "something.else",
        "qbo-customer.created.v1",
        "qbo.customer.created-v1",
    )
    body = events(*({"type": one} for one in odd), {"data": None})

    assert HOOKS.notices(body) == [Notice(kind="customer", remote_id="1234", account="9341")]
    assert HOOKS.notices(b" []") == []


@pytest.mark.parametrize(
    "odd", [{"data": []}, {"data": "x"}, {"data": {"deletedid": 5}}, {"intuitentityid": 5}, {"id": 5}]
)
def test_an_odd_event_of_another_entity_hides_no_customer(odd: dict[str, object]) -> None:
    """What bills and vendors look like is not our business; with one of them the whole delivery was not understood."""
    body = events({"type": "qbo.vendor.updated.v1", **odd}, {})

    assert HOOKS.notices(body) == [Notice(kind="customer", remote_id="1234", account="9341")]
    with pytest.raises(ReplyError):
        HOOKS.notices(events({"type": "qbo.customer.merged.v1", **odd}, {}))


def test_the_older_format_is_understood() -> None:
    """Apps that were not moved to CloudEvents still send it."""
    entities = [
        {"name": "Customer", "id": "1", "operation": "Create", "lastUpdated": "2015-10-05T14:42:19-0700"},
        {"name": "Invoice", "id": "1", "operation": "Update"},
        {"name": "Payment", "id": "2", "operation": "Void"},
        {"name": "CreditMemo", "id": "2", "operation": "Delete"},
        {"name": "Bill", "id": "2", "operation": "Update"},
        {"name": "Customer", "id": "3", "operation": "Merge", "deletedId": "4"},
    ]
    body = json.dumps({"eventNotifications": [{"realmId": "9", "dataChangeEvent": {"entities": entities}}]}).encode()

    assert HOOKS.notices(body) == [
        Notice(kind="customer", remote_id="1", account="9"),
        Notice(kind="invoice", remote_id="1", account="9"),
        Notice(kind="payment", remote_id="2", account="9"),
        Notice(kind="credit_note", remote_id="2", account="9"),
        Notice(kind="customer", remote_id="3", merged=("4",), account="9"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"[{}]",
        b"\xff",
        b"[" * 100_000,
        b'[{"type":"\xff"}]',
        b'[{"type":"x","data":' + b'{"a":' * 100_000,
        b'[{"type":"qbo.customer.created.v1"}]',
        b'[{"type":"qbo.customer.created.v1","intuitentityid":""}]',
        b'{"eventNotifications":[{"dataChangeEvent":{"entities":[{"name":"Customer","id":""}]}}]}',
        b'{"eventNotifications":[{"dataChangeEvent":{"entities":[{"id":"1"}]}}]}',
    ],
)
def test_a_body_of_no_known_shape_is_a_bad_reply(body: bytes) -> None:
    """Authentic but unreadable: it is parked and shown, never dropped as "no notices"."""
    with pytest.raises(ReplyError, match=r"^(a webhook of no known shape: .+|a customer event names no customer)$"):
        HOOKS.notices(body)


def old(*entities: object) -> bytes:
    """A body of the older format."""
    return json.dumps({"eventNotifications": [{"realmId": "9", "dataChangeEvent": {"entities": entities}}]}).encode()


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (events({"intuitentityid": ""}, {}), named("customer", "1234")),
        (events({}, {"data": 5}), named("customer", "1234")),
        (b"[5," + events({})[1:], named("customer", "1234")),
        (old({"name": "Customer"}, {"name": "Customer", "id": "1"}), replace(named("customer", "1"), account="9")),
        (
            old({"name": "Customer", "id": ""}, {"name": "Customer", "id": "1"}),
            replace(named("customer", "1"), account="9"),
        ),
    ],
)
def test_one_event_that_cannot_be_read_hides_no_other(body: bytes, good: Notice) -> None:
    """The customers beside it were not looked at until the next sweep."""
    with pytest.raises(PartlyReadError, match=r"\(1 of 2 events; the others were taken\)$") as told:
        HOOKS.notices(body)
    assert told.value.notices == [good]


# ---- repeats ---------------------------------------------------------------------------------------


def test_a_redelivery_has_the_same_key_and_a_new_event_another() -> None:
    """Nothing in the signature tells a replay: the events' ids do."""
    first, second = events({}), events({"id": "other"})

    assert HOOKS.dedupe_key(signed(first)) == HOOKS.dedupe_key(signed(first, extra="1"))
    assert HOOKS.dedupe_key(signed(first)) == HOOKS.dedupe_key(signed(events({"data": {"note": "resent"}})))
    assert HOOKS.dedupe_key(signed(first)) != HOOKS.dedupe_key(signed(second))
    assert HOOKS.dedupe_key(signed(events({}, {"id": "b"}))) == HOOKS.dedupe_key(signed(events({"id": "b"}, {})))
    assert HOOKS.dedupe_key(signed(first)).startswith("events:")


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"eventNotifications":[]}', b'[{"type":"x"}]'])
def test_a_delivery_without_event_ids_is_named_by_its_bytes(body: bytes) -> None:
    """Odd bodies must still be storable, once."""
    assert HOOKS.dedupe_key(signed(body)) == f"body:{hashlib.sha256(body).hexdigest()}"


def test_one_event_without_an_id_makes_the_bytes_count() -> None:
    """Two deliveries that share one id and differ in an anonymous event are two."""
    one = json.dumps([EVENT, {"type": "x"}]).encode()
    other = json.dumps([EVENT, {"type": "y"}]).encode()

    assert HOOKS.dedupe_key(signed(one)) != HOOKS.dedupe_key(signed(other))
