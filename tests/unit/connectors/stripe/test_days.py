"""Which day a document of Stripe's falls on is a matter of where its books are kept."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.stripe.connector import PROVIDER
from connectors.stripe.translate.days import Days, days_of
from core.errors import ConfigError, ReplyError
from core.model.documents import CreditNote, Invoice, Line, Payment
from core.model.paper import WantedDocument
from core.ports import ConnectionConfig, DocumentTranslator

EVENING = int(datetime(2026, 12, 1, 1, 30, tzinfo=UTC).timestamp())
"""Half past eight in the evening of 30 November in New York."""


def account(zone: str = "") -> DocumentTranslator:
    """The documents of an account whose books are kept there."""
    assert PROVIDER.documents is not None
    return PROVIDER.documents(ConnectionConfig("s", "stripe", {"time_zone": zone} if zone else {}))


def read(zone: str, kind: str, **wire: Any) -> Any:
    """One document, in neutral words."""
    name = "invoice_payment" if kind == "payment" else kind
    base = {"id": "x", "object": name, "currency": "usd", "created": EVENING, "customer": "cus_1"}
    return account(zone).read(kind, json.dumps({**base, **wire}).encode()).document


def invoice(zone: str, **more: Any) -> Invoice:
    """One that was finalised, is due, and begins and ends in the evening."""
    line = {"id": "il", "amount": 1000, "period": {"start": EVENING, "end": EVENING + 86_400}}
    sums = {"total": 1000, "amount_due": 1000, "amount_paid": 0, "amount_remaining": 1000, "status": "open"}
    found = read(zone, "invoice", effective_at=EVENING, due_date=EVENING, lines={"data": [line]}, **sums, **more)
    assert isinstance(found, Invoice)
    return found


@pytest.mark.parametrize(
    ("zone", "day"),
    [("", date(2026, 12, 1)), ("America/New_York", date(2026, 11, 30)), ("Pacific/Auckland", date(2026, 12, 1))],
)
def test_a_document_falls_on_the_day_it_is_where_its_books_are_kept(zone: str, day: date) -> None:
    """In UTC, where the connection does not say."""
    found = invoice(zone)
    assert (found.issued_on, found.due_on, found.lines[0].period_start) == (day, day, day)
    note = read(
        zone, "credit_note", number="C", status="issued", invoice="in_1", amount=500, effective_at=EVENING,
        pre_payment_amount=500, post_payment_amount=0, lines={"data": [{"id": "cl", "amount": 500}], "has_more": False},
    )  # fmt: skip
    assert isinstance(note, CreditNote)
    assert note.issued_on == day


def paid(zone: str, metadata: dict[str, str]) -> Payment:
    """A payment in the evening."""
    record = {"id": "pr_1", "amount": {"value": 1000}, "metadata": metadata}
    found = read(
        zone, "payment", status="paid", amount_requested=1000, amount_paid=1000,
        invoice={"id": "in_1", "customer": "cus_1"}, payment={"type": "payment_record", "payment_record": record},
        status_transitions={"paid_at": EVENING},
    )  # fmt: skip
    assert isinstance(found, Payment)
    return found


def test_a_payment_has_its_day_and_its_time() -> None:
    """The time is told in UTC. Of a copy of ours it is noon of the day, which is no time of a payment."""
    found = paid("America/New_York", {})
    assert (found.received_on, found.received_at) == (date(2026, 11, 30), datetime(2026, 12, 1, 1, 30, tzinfo=UTC))
    assert paid("", {"accord_ref": "i.m.1"}).received_at is None


@pytest.mark.parametrize("zone", ["", "America/New_York", "Pacific/Auckland", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_day_that_is_written_is_read_as_the_same_day(zone: str) -> None:
    """Noon in UTC is the next day in Auckland."""
    days = days_of(ConnectionConfig("s", "stripe", {"time_zone": zone}))
    day = date(2026, 11, 30)
    assert days.day_of(int(days.seconds_of(day))) == day
    one, nothing = Decimal(1), Decimal(0)
    lines = (Line(id="l", amount=one),)
    wanted = Invoice(
        id="", customer="cus_1", currency="USD", status="paid", issued_on=day, lines=lines,
        subtotal=one, total=one, paid=one, due=nothing,
    )  # fmt: skip
    step = account(zone).step(WantedDocument(document=wanted, mark="i.m.1"), None)
    assert step is not None
    assert step.body["effective_at"] == days.seconds_of(day)


def test_a_zone_that_is_none_is_named() -> None:
    """Before anything is booked."""
    for name in ("New York", "../../etc/passwd", "/etc/passwd"):
        with pytest.raises(ConfigError, match="no time zone; name one like America/New_York"):
            account(name)


@pytest.mark.parametrize("seconds", [10**30, 253_402_300_000, -62_135_596_800])
def test_a_time_that_is_none_is_a_bad_reply(seconds: int) -> None:
    """Nor may one be that a zone puts beyond the calendar."""
    with pytest.raises(ReplyError, match="is no time"):
        Days().day_of(seconds)
