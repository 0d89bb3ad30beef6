"""Deliveries: who signed them, and whom they concern."""

from __future__ import annotations

import json

import pytest

from connectors.acme.webhook import HEADER, TOLERANCE_SECONDS, AcmeWebhooks, signature
from core.errors import ReplyError, SignatureError
from core.ports import Delivery

WEBHOOKS = AcmeWebhooks()
NOW = 1_795_000_000.0


def event(kind: str = "customer.updated", **parts: object) -> bytes:
    """One event."""
    return json.dumps({"id": "evt_1", "type": kind, "customer_id": "cus_1", **parts}).encode()


def delivery(body: bytes, secret: str = "old", time: float = NOW) -> Delivery:  # noqa: S107 - planted
    """A signed delivery."""
    header = f"t={int(time)},v1={signature(secret, str(int(time)), body)}"
    return Delivery("POST", "https://accord.test", {HEADER: header}, body)


def test_one_of_several_live_secrets_will_do() -> None:
    """A secret is rolled without losing a delivery; two may stand in one."""
    WEBHOOKS.verify(delivery(event()), ["new", "old"], NOW)
    WEBHOOKS.verify(delivery(event()), ["new, old"], NOW)


@pytest.mark.parametrize("secrets", [[], [""], [" , "], ["other"]])
def test_without_the_right_secret_nothing_is_authentic(secrets: list[str]) -> None:
    """An empty key would verify what anybody can sign."""
    with pytest.raises(SignatureError):
        WEBHOOKS.verify(delivery(event()), secrets, NOW)


@pytest.mark.parametrize("header", ["", "t=1", "v1=" + "a" * 64, "t=x,v1=" + "a" * 64, "t=1,v1=short"])
def test_an_odd_header_is_refused(header: str) -> None:
    """Whatever it is, it is no signature."""
    odd = Delivery("POST", "https://accord.test", {HEADER: header}, event())
    with pytest.raises(SignatureError):
        WEBHOOKS.verify(odd, ["old"], NOW)


@pytest.mark.parametrize("late", [TOLERANCE_SECONDS + 1, -TOLERANCE_SECONDS - 1])
def test_a_stale_delivery_is_refused(late: int) -> None:
    """A recorded one must not work for ever."""
    with pytest.raises(SignatureError):
        WEBHOOKS.verify(delivery(event(), time=NOW + late), ["old"], NOW)


def test_a_redelivery_has_the_same_key() -> None:
    """By the event's id; by the body where there is no usable one."""
    assert WEBHOOKS.dedupe_key(delivery(event())) == "evt_1"
    odd = delivery(event(id="a\x00"))
    assert WEBHOOKS.dedupe_key(odd) == WEBHOOKS.dedupe_key(odd) != WEBHOOKS.dedupe_key(delivery(b"[]"))


def test_a_customers_event_names_it_and_others_name_nobody() -> None:
    """An identity, never a value; an event of tomorrow is no error."""
    (notice,) = WEBHOOKS.notices(event())
    assert (notice.kind, notice.remote_id) == ("customer", "cus_1")
    assert list(WEBHOOKS.notices(event("invoice.paid"))) == []


@pytest.mark.parametrize("body", [event(customer_id=None), event(customer_id="a\x00"), b"{}", b"5"])
def test_an_authentic_delivery_that_names_nobody_is_poison(body: bytes) -> None:
    """Kept and shown, never passed over."""
    with pytest.raises(ReplyError):
        WEBHOOKS.notices(body)
