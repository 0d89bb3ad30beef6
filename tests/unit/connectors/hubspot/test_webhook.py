"""Whose delivery it is, and whom it concerns."""

from __future__ import annotations

import hmac
import json
import random
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.webhook import HubSpotWebhooks
from core.errors import PartlyReadError, ReplyError, SignatureError
from core.ports import Delivery, Notice

NOW = 1_790_000_000.0
SECRET = "client-secret"
URL = "https://accord.example/hooks/crm?from=hubspot"
HOOKS = HubSpotWebhooks()
EVENT = {
    "eventId": 1,
    "subscriptionId": 12,
    "portalId": 62515,
    "occurredAt": 1_790_000_000_000,
    "subscriptionType": "contact.propertyChange",
    "attemptNumber": 0,
    "objectId": 101,
    "propertyName": "email",
    "propertyValue": "ada@example.com",
}


def body_of(*events: dict[str, Any]) -> bytes:
    """An array of events."""
    return json.dumps(events).encode()


def signed(
    body: bytes, *, secret: str = SECRET, at: float = NOW, url: str = URL, signed_url: str | None = None
) -> Delivery:
    """As HubSpot signs it, version 3."""
    stamp = str(int(at * 1000))
    source = b"POST" + (signed_url or url).encode() + body + stamp.encode()
    signature = b64encode(hmac.new(secret.encode(), source, sha256).digest()).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp}
    return Delivery("POST", url, headers, body)


def older(version: str, source: bytes, body: bytes) -> Delivery:
    """As HubSpot signs it, versions 1 and 2."""
    headers = {"x-hubspot-signature": sha256(source).hexdigest(), "x-hubspot-signature-version": version}
    return Delivery("POST", URL, headers, body)


def stamped(good: Delivery, stamp: str) -> Delivery:
    """The same delivery with another timestamp."""
    return replace(good, headers={**good.headers, "x-hubspot-request-timestamp": stamp})


def test_an_authentic_delivery_is_accepted() -> None:
    """Up to five minutes in either direction."""
    body = body_of(EVENT)
    for at in (NOW, NOW - 300, NOW + 300):
        HOOKS.verify(signed(body, at=at), [SECRET], NOW)


@pytest.mark.parametrize("secrets", [["old", SECRET], [f"old {SECRET}"], [f"old,{SECRET}"], [f" {SECRET}, old "]])
def test_any_of_several_live_secrets_will_do(secrets: list[str]) -> None:
    """While a secret is rolled both sign; a 4xx for one of them would lose events for good."""
    HOOKS.verify(signed(body_of(EVENT)), secrets, NOW)


@pytest.mark.parametrize("secrets", [[], [""], [" , "], ["", ""]])
def test_without_a_secret_nothing_is_authentic(secrets: list[str]) -> None:
    """An empty key would verify what anybody signs with an empty key."""
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(body_of(EVENT), secret=""), secrets, NOW)


def test_a_secret_that_is_not_text_is_no_secret_that_everybody_knows() -> None:
    """Odd bytes in the environment became question marks: whoever signed with "?" was let in."""
    body = body_of(EVENT)
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(body, secret="?"), ["\udcff"], NOW)
    HOOKS.verify(signed(body), ["\udcff", SECRET], NOW)


def test_the_uri_is_decoded_the_way_hubspot_does() -> None:
    """Twelve escapes are decoded before signing, and only those; lower-case hex is the same escape."""
    coded = "https://accord.example/a%3Ab%2f%3F%40%21%24%27%28%29%2A%2C%3B?q=%20%26"
    plain = "https://accord.example/a:b/?@!$'()*,;?q=%20%26"

    HOOKS.verify(signed(b"[]", url=coded, signed_url=plain), [SECRET], NOW)
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(b"[]", url=coded), [SECRET], NOW)


@pytest.mark.parametrize("seconds", [-300.1, 300.0015, -86_400.0, 1e12])
def test_a_stale_delivery_is_refused(seconds: float) -> None:
    """A recorded delivery cannot be replayed later, nor signed ahead."""
    with pytest.raises(SignatureError):
        HOOKS.verify(signed(body_of(EVENT), at=NOW + seconds), [SECRET], NOW)


def test_older_signatures_count_only_without_a_newer_one() -> None:
    """Legacy apps sign v1 or v2. With a v3 header present, a right v1 beside it must not help a wrong v3."""
    body = body_of(EVENT)
    first = older("v1", SECRET.encode() + body, body)
    second = older("v2", SECRET.encode() + b"POST" + URL.encode() + body, body)
    HOOKS.verify(first, [SECRET], NOW)
    HOOKS.verify(second, [SECRET], NOW)

    mixed = signed(body, secret="wrong")
    for broken in (
        replace(mixed, headers={**mixed.headers, **first.headers}),
        older("v1", b"wrong" + body, body),
        older("v2", SECRET.encode() + body, body),
        older("v3", SECRET.encode() + body, body),
        replace(first, headers={"x-hubspot-signature": first.headers["x-hubspot-signature"]}),
        replace(first, headers={"x-hubspot-signature-version": "v1"}),
        replace(first, headers={**first.headers, "x-hubspot-signature": "\ud800"}),
        replace(second, method="\ud800"),
        replace(second, url="\ud800"),
        replace(signed(body), url="\ud800"),
    ):
        with pytest.raises(SignatureError, match=r"^the signature fits|^there is no signature"):
            HOOKS.verify(broken, [SECRET], NOW)


def test_a_refusal_says_why() -> None:
    """It stands in the daemon's log, and is all there is to find out why events are missing."""
    good = signed(body_of(EVENT))
    for broken, live, why in (
        (good, [], "this connection has no client_secret: its webhooks cannot be verified"),
        (good, ["other"], "the signature fits none of the client secrets"),
        (replace(good, headers={}), [SECRET], "there is no signature"),
        (signed(b"", at=NOW + 301), [SECRET], "the request timestamp is more than five minutes away"),
        (stamped(good, "9" * 15), [SECRET], "the request timestamp is more than five minutes away"),
        (stamped(good, "9" * 16), [SECRET], "the request timestamp is missing or odd"),
        (stamped(good, "soon"), [SECRET], "the request timestamp is missing or odd"),
    ):
        with pytest.raises(SignatureError, match=f"^{why}$"):
            HOOKS.verify(broken, live, NOW)


@pytest.mark.parametrize(
    "stamp", ["", "abc", "-1", "1.5", "٣", "9" * 16, f"{int(NOW * 1000)}, {int(NOW * 1000)}", " 1"]
)
def test_an_odd_timestamp_is_refused(stamp: str) -> None:
    """Missing, doubled, not a number: never anything but a refusal."""
    with pytest.raises(SignatureError):
        HOOKS.verify(stamped(signed(body_of(EVENT)), stamp), [SECRET], NOW)


def test_a_thousand_mutated_deliveries_are_all_refused() -> None:
    """One byte of body, URL, method, signature, time or secret: none gets through."""
    rng = random.Random(11)
    good = signed(body_of(EVENT, EVENT | {"objectId": 102}))
    refused = 0
    for number in range(2_000):
        part = number % 5
        if part == 0:
            place = rng.randrange(len(good.body))
            broken = replace(good, body=good.body[:place] + bytes([good.body[place] ^ 1]) + good.body[place + 1 :])
        elif part == 1:
            name = rng.choice(sorted(good.headers))
            text = good.headers[name]
            place = rng.randrange(len(text) - 1)
            changed = text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]
            broken = replace(good, headers={**good.headers, name: changed})
        elif part == 2:
            broken = replace(good, url=good.url + rng.choice(["&", "/", "x", "#", " "]) * rng.randrange(1, 9))
        elif part == 3:
            broken = replace(good, method=rng.choice(["GET", "PUT", "post", "", "POST "]))
        else:
            kept = rng.choice([{}, {"x-hubspot-request-timestamp": good.headers["x-hubspot-request-timestamp"]}])
            broken = replace(good, headers=kept | {"x-hubspot-signature-v3": "é\ud800" * rng.randrange(4)})
        with pytest.raises(SignatureError):
            HOOKS.verify(broken, [SECRET], NOW)
        refused += 1
    assert refused == 2_000


NAMES = ["x-hubspot-signature-v3", "x-hubspot-request-timestamp", "x-hubspot-signature", "x-hubspot-signature-version"]


@given(
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from(NAMES), st.text(max_size=20) | st.sampled_from(["v1", "v2", str(int(NOW * 1000))])),
    st.text(max_size=20),
)
@settings(max_examples=300)
def test_whatever_comes_in_is_refused_and_never_crashes(body: bytes, headers: dict[str, str], url: str) -> None:
    """The door is open to the world."""
    with pytest.raises(SignatureError):
        HOOKS.verify(Delivery("POST", url, headers, body), [SECRET], NOW)


def test_a_redelivery_has_the_same_key_and_another_event_has_not() -> None:
    """HubSpot counts attempts inside the body and may reorder; that is still the same delivery."""
    other = EVENT | {"objectId": 102}
    key = HOOKS.dedupe_key(signed(body_of(EVENT, other)))

    assert key == HOOKS.dedupe_key(signed(body_of(other | {"attemptNumber": 3}, EVENT | {"attemptNumber": 3})))
    for name in ("subscriptionId", "objectId", "propertyName", "occurredAt", "eventId", "portalId"):
        assert key != HOOKS.dedupe_key(signed(body_of(EVENT | {name: "9"}, other)))
    assert key != HOOKS.dedupe_key(signed(body_of(EVENT)))


def test_a_nested_value_is_no_part_of_an_identity() -> None:
    """HubSpot sends none there; one could be too deep to write down."""
    plain = HOOKS.dedupe_key(signed(body_of(EVENT | {"propertyName": None})))
    assert plain == HOOKS.dedupe_key(signed(body_of(EVENT | {"propertyName": ["email"]})))


def test_a_key_stays_what_it_was() -> None:
    """Keys are stored: with another spelling, what was redelivered after an upgrade would count as new."""
    assert HOOKS.dedupe_key(signed(body_of(EVENT, EVENT | {"objectId": 102}))) == "f0fb70b3a5db59e80da3e7b70e1e9fb6"
    assert HOOKS.dedupe_key(signed(b"odd")) == "72bb2edb0dc3f163f84bd00814e106f0"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b"\xff", b"[" * 99_999, b'[{"objectId":' + b"[" * 900 + b"]" * 900 + b"}]"]
)
def test_an_odd_body_has_a_key_too(body: bytes) -> None:
    """An authentic delivery must be stored before it is understood."""
    assert HOOKS.dedupe_key(signed(body)) == HOOKS.dedupe_key(signed(body))
    assert HOOKS.dedupe_key(signed(body)) != HOOKS.dedupe_key(signed(body + b" x"))


@pytest.mark.parametrize("name", MANIFEST.webhook_events)
def test_every_event_of_the_manifest_is_understood(name: str) -> None:
    """What the README tells people to subscribe to."""
    subject, _, verb = name.partition(".")
    event = EVENT | {"subscriptionType": name}
    if subject == "object":
        # of invoices there are generic events only
        found = HOOKS.notices(body_of(event | {"objectTypeId": "0-53"}))
        assert found == [Notice(kind="invoice", remote_id="invoice:101", account="62515")]
        return
    if verb == "associationChange":
        del event["objectId"]
        event |= {"fromObjectId": 101, "toObjectId": 7}

    assert HOOKS.notices(body_of(event)) == [Notice(kind="customer", remote_id=f"{subject}:101", account="62515")]


def test_generic_events_and_old_names_are_understood() -> None:
    """`object.*` events name the type by its id; a documented sample calls the type eventType."""
    generic = {"subscriptionType": "object.creation", "objectTypeId": "0-2", "objectId": "7"}
    old = {"eventType": "contact.creation", "objectId": 8}
    contact, deal = generic | {"objectTypeId": "0-1"}, generic | {"objectTypeId": "0-3"}

    found = HOOKS.notices(body_of(generic, old, contact, deal))

    assert [one.remote_id for one in found] == ["company:7", "contact:8", "contact:7"]


def test_events_of_invoices_that_concern_nobody_give_no_notice() -> None:
    """Creations (of others), ids that are none, and generic events of what is not named."""
    invoice = {"subscriptionType": "object.propertyChange", "objectTypeId": "0-53", "objectId": 7}
    odd = [
        invoice | {"subscriptionType": "object.creation"},
        invoice | {"objectId": "x"},
        invoice | {"objectTypeId": "0-3"},
        {"subscriptionType": "object.deletion", "objectId": 7},
    ]

    assert HOOKS.notices(body_of(*odd, invoice)) == [Notice(kind="invoice", remote_id="invoice:7")]


def test_a_type_id_counts_only_where_the_event_names_no_type() -> None:
    """Events of a deal that name a contact's type id are still a deal's."""
    deal = {"subscriptionType": "deal.creation", "objectTypeId": "0-1", "objectId": 1}
    contact = {"subscriptionType": "contact.creation", "objectTypeId": "0-2", "objectId": 8}

    assert [one.remote_id for one in HOOKS.notices(body_of(deal, contact))] == ["contact:8"]


def test_a_merge_names_the_survivor_and_all_that_it_absorbed() -> None:
    """HubSpot makes a new id: then the primary is absorbed as well."""
    merge = {
        "subscriptionType": "contact.merge",
        "objectId": 9,
        "primaryObjectId": 1,
        "mergedObjectIds": [2, 2],
        "newObjectId": 9,
    }
    kept = {"subscriptionType": "company.merge", "primaryObjectId": 1, "mergedObjectIds": [2, None, "x", True]}
    plain = {"subscriptionType": "company.merge", "objectId": 5, "mergedObjectIds": "no list"}

    assert HOOKS.notices(body_of(merge, kept, plain, {"subscriptionType": "contact.merge"})) == [
        Notice(kind="customer", remote_id="contact:9", merged=("contact:2", "contact:1")),
        Notice(kind="customer", remote_id="company:1", merged=("company:2",)),
        Notice(kind="customer", remote_id="company:5"),
    ]


def test_an_object_is_named_once_with_everything_it_absorbed() -> None:
    """A batch of a hundred property changes is one notice; a merge in between is not lost."""
    merge = {"subscriptionType": "contact.merge", "newObjectId": 101, "mergedObjectIds": [2], "portalId": 62515}

    assert HOOKS.notices(body_of(EVENT, merge, EVENT | {"propertyName": "phone"})) == [
        Notice(kind="customer", remote_id="contact:101", merged=("contact:2",), account="62515")
    ]


def test_the_same_id_in_two_accounts_is_two_objects() -> None:
    """An app's batch holds events of all accounts that installed it, and ids are an account's own."""
    merge = {"subscriptionType": "contact.merge", "newObjectId": 101, "mergedObjectIds": [2], "portalId": 7}

    assert HOOKS.notices(body_of(EVENT, merge, EVENT | {"portalId": "?"})) == [
        Notice(kind="customer", remote_id="contact:101", account="62515"),
        Notice(kind="customer", remote_id="contact:101", merged=("contact:2",), account="7"),
        Notice(kind="customer", remote_id="contact:101"),
    ]


def test_what_does_not_concern_us_gives_no_notice() -> None:
    """Deals, unknown verbs, ids that are none: the others of the batch still count."""
    odd: list[dict[str, Any]] = [
        {"subscriptionType": "deal.creation", "objectId": 1},
        {"subscriptionType": "contact.exploded", "objectId": 1},
        {"subscriptionType": "contact.creation", "objectId": "1;drop"},
        {"subscriptionType": "contact.creation", "objectId": True},
        {"subscriptionType": "contact.creation"},
        {},
    ]

    assert HOOKS.notices(body_of(*odd, EVENT)) == [Notice(kind="customer", remote_id="contact:101", account="62515")]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"null", b"\xff\xfe", b"[" * 99_999])
def test_a_body_of_no_known_shape_is_a_bad_reply(body: bytes) -> None:
    """It becomes a dead letter that a person sees."""
    with pytest.raises(ReplyError, match=r"^a HubSpot webhook is not (JSON: .+|a list of events)$"):
        HOOKS.notices(body)


def test_an_event_that_is_none_hides_no_other() -> None:
    """Whoever stands beside it was not looked at until the next sweep. Its redelivery is known by its bytes."""
    body = json.dumps([5, EVENT, None]).encode()
    with pytest.raises(PartlyReadError, match=r"\(2 of 3 events; the others were taken\)$") as told:
        HOOKS.notices(body)
    assert told.value.notices == [Notice(kind="customer", remote_id="contact:101", account="62515")]
    assert HOOKS.dedupe_key(signed(body)) == HOOKS.dedupe_key(signed(body))
    assert HOOKS.dedupe_key(signed(body)) != HOOKS.dedupe_key(signed(body_of(EVENT)))


def test_a_tie_between_parent_and_child_concerns_both() -> None:
    """From whose side it is told, the documentation does not say; another association concerns the first only."""
    tie = {"subscriptionType": "company.associationChange", "fromObjectId": 7, "toObjectId": 9, "occurredAt": 1}
    family = tie | {"associationType": "PARENT_COMPANY_TO_CHILD_COMPANY"}
    staff = tie | {"associationType": "COMPANY_TO_CONTACT", "fromObjectId": 8}

    found = HOOKS.notices(body_of(family, staff, {"subscriptionType": "company.merge"}))

    assert [one.remote_id for one in found] == ["company:7", "company:9", "company:8", "contact:9"]
    taken_off = family | {"associationRemoved": True}
    assert HOOKS.dedupe_key(signed(body_of(family))) != HOOKS.dedupe_key(signed(body_of(taken_off)))
