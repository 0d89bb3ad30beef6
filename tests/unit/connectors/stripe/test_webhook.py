# ruff: noqa: D103 -- small builders of wire values
"""Stripe's signatures and notices."""

import dataclasses
import hashlib
import hmac
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from connectors.stripe.webhook import StripeWebhooks
from core.errors import ReplyError, SignatureError
from core.ports import Delivery

HOOKS = StripeWebhooks()
NOW = 1_790_000_000.0
SECRET = "whsec_one"


def event(kind: str = "customer.updated", **data: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "data": {"object": {"id": "cus_1", "object": "customer"}, **data},
        "request": {"id": "req_1", "idempotency_key": "key-1"},
    }


def encoded(content: object) -> bytes:
    return json.dumps(content).encode()


def sign(body: bytes, *secrets: str, at: float = NOW) -> str:
    time = str(int(at))
    parts = [hmac.new(s.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest() for s in secrets]
    return ",".join([f"t={time}", *(f"v1={part}" for part in parts)])


def delivery(body: bytes, header: str | None = None, *secrets: str, at: float = NOW) -> Delivery:
    text = sign(body, *(secrets or (SECRET,)), at=at) if header is None else header
    return Delivery("POST", "https://accord.example/webhooks/stripe-eu", {"stripe-signature": text}, body)


BODY = encoded(event())


def test_a_signed_delivery_is_accepted() -> None:
    """The control for everything below."""
    HOOKS.verify(delivery(BODY), [SECRET], NOW)


def test_stripes_own_sdk_accepts_what_we_accept() -> None:
    """The scheme is Stripe's and not one of our own."""
    header = sign(BODY, SECRET)
    assert WebhookSignature.verify_header(BODY.decode(), header, SECRET, tolerance=None)
    HOOKS.verify(delivery(BODY, header), [SECRET], NOW)


@pytest.mark.parametrize(
    "live", [[SECRET, "whsec_two"], [f"{SECRET} whsec_two"], [f"whsec_two,{SECRET}"], ["", SECRET]]
)
def test_each_live_secret_verifies(live: list[str]) -> None:
    """While a secret is rolled, two are live; they may come as one text."""
    HOOKS.verify(delivery(BODY), live, NOW)
    HOOKS.verify(delivery(BODY, None, "whsec_gone", SECRET), live, NOW)


@pytest.mark.parametrize("live", [[], [""], [" , "], ["whsec_other"], ["WHSEC_ONE"]])
def test_without_the_right_secret_nothing_is_authentic(live: list[str]) -> None:
    """An empty secret is a key that everybody knows."""
    for body_signed_with in (SECRET, ""):
        with pytest.raises(SignatureError):
            HOOKS.verify(delivery(BODY, sign(BODY, body_signed_with)), live, NOW)


def test_a_secret_that_is_not_text_does_not_stop_the_others() -> None:
    """The environment gives odd bytes as half surrogate pairs: beside a good secret they must not raise."""
    HOOKS.verify(delivery(BODY), ["\udcff", SECRET], NOW)


@pytest.mark.parametrize(("age", "is_fresh"), [(300, True), (301, False), (-300, True), (-301, False), (0, True)])
def test_a_signature_ages_in_both_directions(age: int, is_fresh: bool) -> None:  # noqa: FBT001 - a table's column
    """A recorded delivery must not be replayed next week, nor one signed for next week be accepted now."""
    old = delivery(BODY, at=NOW - age)
    if is_fresh:
        HOOKS.verify(old, [SECRET], NOW)
    else:
        with pytest.raises(SignatureError, match="five minutes"):
            HOOKS.verify(old, [SECRET], NOW)


GOOD = sign(BODY, SECRET)
TIME, SIGNATURE = GOOD.split(",")


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        TIME,
        SIGNATURE,
        f"{TIME},{TIME},{SIGNATURE}",
        f"{TIME},{TIME}=1,{SIGNATURE}",
        f"t=,{SIGNATURE}",
        f"t=-1,{SIGNATURE}",
        f"t=1e9,{SIGNATURE}",
        f"t=١٧٩٠٠٠٠٠٠٠,{SIGNATURE}",
        f"t={'9' * 5000},{SIGNATURE}",
        f"{TIME},v1=",
        f"{TIME},v1",
        f"{TIME},v0={SIGNATURE[3:]}",
        f"{TIME},V1={SIGNATURE[3:]}",
        f"{TIME},v1={SIGNATURE[3:].upper()}",
        f"{TIME},v1={SIGNATURE[3:]}00",
        f"{TIME},v1={SIGNATURE[3:-1]}",
        f"{TIME},v1={'z' * 64}",
        f"{TIME},v1={'é' * 64}",
        "\ud800",
        f"{TIME} {SIGNATURE}",
        f"{TIME};{SIGNATURE}",
        f"t={int(NOW) + 1},{SIGNATURE}",
    ],
)
def test_an_odd_header_is_refused(header: str) -> None:
    """Whatever is wrong with the header, the answer is a refusal and never a crash."""
    with pytest.raises(SignatureError):
        HOOKS.verify(delivery(BODY, header), [SECRET], NOW)


@pytest.mark.parametrize(
    ("header", "live", "why"),
    [
        (GOOD, [], "no webhook secret is set for this connection"),
        (GOOD, ["whsec_other"], "no live secret signed this delivery"),
        (f"t={int(NOW) + 301},{SIGNATURE}", [SECRET], "the signature's time is more than five minutes away from now"),
        (SIGNATURE, [SECRET], "the Stripe-Signature header is missing or carries no single time"),
        (TIME, [SECRET], "the Stripe-Signature header carries no v1 signature"),
        (
            f"{TIME},v1=abc",
            [SECRET],
            "the v1 signature of the Stripe-Signature header is wrong: it is not 64 digits, 0-9 and a-f",
        ),
    ],
)
def test_a_refusal_says_why(header: str, live: list[str], why: str) -> None:
    """It stands in the daemon's log, and is all there is to find out why events are missing."""
    with pytest.raises(SignatureError, match=f"^{why}$"):
        HOOKS.verify(delivery(BODY, header), live, NOW)


def test_a_missing_header_is_refused() -> None:
    """A delivery without a signature is anybody's."""
    with pytest.raises(SignatureError):
        HOOKS.verify(dataclasses.replace(delivery(BODY), headers={}), [SECRET], NOW)


def test_thousands_of_mutated_deliveries_are_refused() -> None:
    """Flipped, cut, swapped and doubled bytes of body and signature: none gets in."""
    rng = random.Random(11)
    good = delivery(BODY)
    refused = 0
    for _ in range(3000):
        body, header = bytearray(BODY), bytearray(GOOD.encode())
        target = rng.choice([body, header])
        place = rng.randrange(len(target))
        kind = rng.randrange(4)
        if kind == 0:
            target[place] ^= 1 << rng.randrange(7)
        elif kind == 1:
            del target[place]
        elif kind == 2:
            target.insert(place, rng.randrange(128))
        else:
            other = rng.randrange(len(target))
            target[place], target[other] = target[other], target[place]
        text = header.decode("latin-1")
        if bytes(body) == BODY and _same_parts(text):
            continue
        changed = dataclasses.replace(good, body=bytes(body), headers={"stripe-signature": text})
        with pytest.raises(SignatureError):
            HOOKS.verify(changed, [SECRET], NOW)
        refused += 1
    assert refused > 2500


def _same_parts(header: str) -> bool:
    """A header may gain blanks or unknown items; what is signed is the same."""
    parts = [part.strip() for part in header.split(",")]
    return parts.count(TIME) == 1 and SIGNATURE in parts and sum(part.startswith("t=") for part in parts) == 1


@given(st.binary(max_size=200), st.text(max_size=100))
def test_no_bytes_raise_anything_but_a_signature_error(body: bytes, header: str) -> None:
    """The listener answers 400 to a SignatureError; anything else would be a 500 and a redelivery storm."""
    with pytest.raises(SignatureError):
        HOOKS.verify(delivery(body, header), [SECRET], NOW)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(encoded))
def test_any_authentic_body_has_a_dedupe_key(body: bytes) -> None:
    """The row is written before anybody understands the body."""
    key = HOOKS.dedupe_key(delivery(body))
    assert key
    assert key == HOOKS.dedupe_key(delivery(body))


@pytest.mark.parametrize("event_id", [None, 7, "", "a b", "é", "x" * 256, "\x00"])
def test_an_event_without_a_usable_id_is_told_apart_by_its_bytes(event_id: object) -> None:
    """Two odd events must not swallow each other."""
    one, two = encoded({"id": event_id, "n": 1}), encoded({"id": event_id, "n": 2})
    assert HOOKS.dedupe_key(delivery(one)) != HOOKS.dedupe_key(delivery(two))


def test_a_key_of_bytes_stays_what_it_was() -> None:
    """Keys are stored: with another spelling, what was redelivered after an upgrade would count as new."""
    assert HOOKS.dedupe_key(delivery(b"odd")) == "72bb2edb0dc3f163f84bd00814e106f0"


@pytest.mark.parametrize("event_id", ["e", "!~", "x" * 255])
def test_an_id_of_printable_characters_is_the_key(event_id: str) -> None:
    """As long as the database takes."""
    assert HOOKS.dedupe_key(delivery(encoded({"id": event_id}))) == event_id


def test_redeliveries_of_one_event_share_its_id() -> None:
    """The second delivery is signed later and is the same event."""
    assert HOOKS.dedupe_key(delivery(BODY)) == HOOKS.dedupe_key(delivery(BODY, at=NOW + 60)) == "evt_1"


@pytest.mark.parametrize("kind", ["customer.created", "customer.updated", "customer.deleted"])
def test_a_customers_event_names_the_customer_and_our_key(kind: str) -> None:
    """The key tells an echo of our own write."""
    (notice,) = HOOKS.notices(encoded(event(kind)))
    assert (notice.kind, notice.remote_id, notice.our_key, notice.overwritten) == ("customer", "cus_1", "key-1", {})


@pytest.mark.parametrize("request_part", [None, "req_1", {}, {"idempotency_key": None}, {"idempotency_key": ""},
                                          {"idempotency_key": 5}, {"idempotency_key": "k" * 256},
                                          {"idempotency_key": "\x00"}])  # fmt: skip
def test_an_event_that_nobody_keyed_has_no_key_of_ours(request_part: object) -> None:
    """Edits in the dashboard have request.idempotency_key null."""
    (notice,) = HOOKS.notices(encoded({**event(), "request": request_part}))
    assert notice.our_key is None


@pytest.mark.parametrize(("about", "account"), [
    ({}, ""), ({"livemode": True}, ":live"), ({"livemode": False}, ":test"), ({"livemode": 0}, ""),
    ({"account": "acct_1", "livemode": True}, "acct_1:live"), ({"account": "acct_1"}, "acct_1"),
    ({"account": ["acct_1"], "livemode": None}, ""),
])  # fmt: skip
def test_an_event_says_whose_it_is_and_in_which_mode(about: dict[str, object], account: str) -> None:
    """Those of a connected account name it; a platform's live endpoint is sent test events as well."""
    assert [one.account for one in HOOKS.notices(encoded({**event(), **about}))] == [account]
    document = {"type": "invoice.paid", "data": {"object": {"id": "in_1", "object": "invoice"}}}
    assert [one.account for one in HOOKS.notices(encoded({**document, **about}))] == [account]


@pytest.mark.parametrize("key", ["k", "k" * 255])
def test_a_key_of_ours_may_be_as_long_as_stripe_takes(key: str) -> None:
    """The echo of a write is told by it, whatever its length."""
    (notice,) = HOOKS.notices(encoded({**event(), "request": {"idempotency_key": key}}))
    assert notice.our_key == key


@pytest.mark.parametrize("kind", ["invoice.upcoming", "customer.subscription.updated", "customer.tax_id.created"])
def test_other_events_concern_nobody(kind: str) -> None:
    """An endpoint that was set to "all events" must not fail."""
    assert HOOKS.notices(encoded({"type": kind})) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"[]",
        b"{}",
        b'{"type": 5}',
        b'{"type":"customer.updated"}',
        b'{"type":"customer.updated","data":5}',
        b'{"type":"customer.updated","data":{"object":[]}}',
        b'{"type":"customer.updated","data":{"object":{"id":5}}}',
        b'{"type":"customer.updated","data":{"object":{"id":""}}}',
        b'{"type":"customer.updated","data":{"object":{"id":"\\u0000"}}}',
        b"[" * 50_000,
    ],
)
def test_a_body_of_no_known_shape_is_a_reply_error(body: bytes) -> None:
    """It is kept and shown, and not taken for "nothing happened"."""
    with pytest.raises(ReplyError, match=r"^(not a Stripe event|a customer's event names no customer|.+JSON.*)$"):
        HOOKS.notices(body)


def overwritten(now: dict[str, Any], was: dict[str, Any]) -> dict[str, Any]:
    data = {"object": {"id": "cus_1", **now}, "previous_attributes": was}
    (notice,) = HOOKS.notices(encoded({**event(), "data": data}))
    return dict(notice.overwritten)


def test_what_was_overwritten_comes_from_stripes_own_history() -> None:
    """A value that was typed between our read and our write is lost from the customer, but not from the event."""
    now = {"name": "B", "address": {"line1": "new", "city": "Berlin"}, "preferred_locales": ["de"]}
    was = {
        "name": "A",
        "email": None,
        "phone": "1",
        "address": {"line1": "old"},
        "preferred_locales": ["en", "fr"],
        "metadata": {"accord_ref": "m", "lago_x": "y", "odd": 5, "a\x00": "b", "plan": "free", "fresh": None},
        "balance": 5,
    }
    assert overwritten(now, was) == {
        "name": "A",
        "email": None,
        "phone": "1",
        "billing_address": {"city": "Berlin", "line1": "old"},
        "locale": "en",
        "metadata.plan": "free",
        "metadata.fresh": None,
    }


def test_an_address_that_was_blank_or_whole_before() -> None:
    """Stripe gives the whole old hash, or null, where one side is null."""
    assert overwritten({"address": {"line1": "n"}}, {"address": None}) == {"billing_address": None}
    assert overwritten({"address": None}, {"address": {"line1": "o"}}) == {"billing_address": {"line1": "o"}}


def test_shipping_is_an_address_only_where_its_address_changed() -> None:
    """A new recipient is no change of address."""
    now = {"shipping": {"name": "B", "address": {"line1": "n", "city": "c"}}}
    assert overwritten(now, {"shipping": {"name": "A"}}) == {}
    assert overwritten(now, {"shipping": {"address": {"line1": "o"}}}) == {
        "shipping_address": {"city": "c", "line1": "o"}
    }
    assert overwritten(now, {"shipping": None}) == {"shipping_address": None}
    assert overwritten({"shipping": None}, {"shipping": {"name": "A"}}) == {"shipping_address": None}


def test_odd_old_values_are_left_out() -> None:
    """They were unreadable then, too, and say nothing of the others."""
    assert overwritten({}, {"name": 5, "phone": "1"}) == {"phone": "1"}
    now = {"shipping": {"name": "B", "address": 5}}
    assert overwritten(now, {"shipping": {"name": "A"}, "phone": "1"}) == {"phone": "1"}
    assert overwritten({}, {"name": 5, "address": {"country": "Mars"}, "preferred_locales": "x", "metadata": 3}) == {}
    assert HOOKS.notices(encoded(event(previous_attributes="odd")))[0].overwritten == {}


def test_an_old_value_may_be_nested_as_deep_as_it_likes() -> None:
    """It is laid over today's two levels deep: an error in the middle of it would be poison instead of a notice."""
    deep: dict[str, Any] = {}
    for _ in range(700):
        deep = {"a": deep}
    odd = {"address": {"line1": deep}}
    assert overwritten(odd, {**odd, "phone": "1"}) == {"phone": "1"}
