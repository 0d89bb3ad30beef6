# ruff: noqa: D103 -- `world` is made in conftest, which tests cannot import
"""Stripe's documents in neutral form: every minor unit, every line, or the reason why not."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.stripe.connector import PROVIDER
from connectors.stripe.translate.documents import StripeDocuments
from connectors.stripe.translate.money import amount_in, minor_out, places
from core.errors import InvalidInputError, RejectedError, ReplyError
from core.model.documents import Application, CreditNote, Invoice, Payment, breaches
from core.ports import ConnectionConfig

assert PROVIDER.documents is not None
DOCUMENTS = PROVIDER.documents(ConnectionConfig("s", "stripe"))


def line(**says: Any) -> dict[str, Any]:
    return {"id": f"il_{len(says)}{says.get('amount', 0)}", "amount": 1000, **says}


def invoice(*lines: Any, **says: Any) -> dict[str, Any]:
    total = sum(one["amount"] for one in lines)
    return {
        "id": "in_1", "object": "invoice", "status": "open", "currency": "eur", "created": 1_790_000_000,
        "customer": "cus_1", "total": total, "amount_due": total, "amount_paid": 0, "amount_remaining": total,
        "lines": {"data": list(lines), "has_more": False}, **says,
    }  # fmt: skip


def read(kind: str, wire: Any) -> Any:
    found = DOCUMENTS.read(kind, json.dumps(wire).encode())
    assert breaches(found.document) == []
    return found


def read_invoice(*lines: Any, **says: Any) -> Invoice:
    found = read("invoice", invoice(*lines, **says)).document
    assert isinstance(found, Invoice)
    return found


# ---- Stripe's own table of minor units -------------------------------------------------------------


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (1050, "EUR", "10.50"), (1050, "JPY", "1050"), (1050, "KRW", "1050"), (1050, "VND", "1050"),
        (1050, "MGA", "1050"), (1050, "CLP", "1050"), (10500, "KWD", "10.500"), (10500, "TND", "10.500"),
        (1000, "ISK", "10"), (1000, "UGX", "10"), (1050, "HUF", "10.50"), (1050, "TWD", "10.50"), (-5, "USD", "-0.05"),
    ],
)  # fmt: skip
def test_an_integer_is_what_stripe_means_by_it(minor: int, currency: str, amount: str) -> None:
    """Ariary have hundredths in ISO 4217 and none at Stripe; krónur have none, and two at Stripe."""
    assert amount_in(minor, currency) == Decimal(amount)
    assert minor_out(Decimal(amount), currency, "x") == minor


@pytest.mark.parametrize(
    ("amount", "currency"), [("10.505", "EUR"), ("1.5", "JPY"), ("1.005", "KWD"), ("1.5", "ISK"), ("1", "CLF")]
)
def test_an_amount_that_stripe_cannot_say_is_refused(amount: str, currency: str) -> None:
    """A plugin that multiplied shillings by one billed a hundredth."""
    with pytest.raises(RejectedError) as refused:
        minor_out(Decimal(amount), currency, "total")
    assert refused.value.field == "total"


def test_a_currency_that_stripe_does_not_write_is_refused() -> None:
    """Four decimals: nobody knows what an integer would mean."""
    with pytest.raises(InvalidInputError, match="CLF"):
        places("CLF")


# ---- invoices --------------------------------------------------------------------------------------


def test_an_invoice_is_read_with_all_it_says() -> None:
    """Amounts before discount and tax, days in UTC, who owes it, what is still due."""
    one = line(
        amount=1000, description="Seats", quantity_decimal="2.5", quantity=2,
        pricing={"price_details": {"product": "prod_1", "price": "p"}, "unit_amount_decimal": "400"},
        discount_amounts=[{"amount": 100, "discount": "di_1"}],
        taxes=[{"amount": 63, "tax_behavior": "exclusive"}], period={"start": 1_793_491_200, "end": 1_796_083_199},
    )  # fmt: skip
    found = read_invoice(
        one, total=963, amount_due=900, amount_paid=300, amount_remaining=600, number="A-1", description="memo",
        effective_at=1_793_491_200, due_date=1_796_083_199, customer={"id": "cus_2"},
    )  # fmt: skip
    (seen,) = found.lines
    assert (seen.description, seen.product, seen.quantity, seen.unit_amount) == (
        "Seats", "prod_1", Decimal("2.5"), Decimal(4),
    )  # fmt: skip
    assert (seen.amount, seen.discount, seen.tax) == (Decimal(10), Decimal(1), Decimal("0.63"))
    assert (seen.period_start, seen.period_end) == (date(2026, 11, 1), date(2026, 11, 30))
    assert (found.total, found.paid, found.credited, found.due) == (
        Decimal("9.63"), Decimal(3), Decimal("0.63"), Decimal(6),
    )  # fmt: skip
    assert (found.number, found.memo, found.customer, found.issued_on, found.due_on) == (
        "A-1", "memo", "cus_2", date(2026, 11, 1), date(2026, 11, 30),
    )  # fmt: skip


def test_a_price_that_does_not_explain_the_amount_is_left_out() -> None:
    """Tiers, packages and minimums: whoever multiplies would get another amount."""
    tiered = {"unit_amount_decimal": "399", "price_details": None}
    (seen,) = read_invoice(line(amount=1000, quantity=3, pricing=tiered)).lines
    assert (seen.quantity, seen.unit_amount, seen.product) == (Decimal(3), None, "")
    (free,) = read_invoice(line(amount=0, quantity=0)).lines
    assert free.quantity == 0


def test_tax_that_is_inside_is_taken_out_of_amount_and_discount() -> None:
    """119.00 with 19 % inside, a tenth off: 100.00 less 10.00, and 17.10 of tax."""
    inside = [{"amount": 1710, "tax_behavior": "inclusive"}]
    (seen,) = read_invoice(
        line(amount=11900, discount_amounts=[{"amount": 1190}], taxes=inside), total=10710, amount_due=10710,
        amount_remaining=10710,
    ).lines  # fmt: skip
    assert (seen.amount, seen.discount, seen.tax) == (Decimal(100), Decimal(10), Decimal("17.10"))
    (plain,) = read_invoice(line(amount=11900, taxes=[{"amount": 1900, "tax_behavior": "inclusive"}])).lines
    assert (plain.amount, plain.discount, plain.tax) == (Decimal(100), Decimal(0), Decimal(19))


@pytest.mark.parametrize(("currency", "least"), [("kwd", "0.01"), ("isk", "1"), ("eur", "0.01"), ("jpy", "1")])
def test_a_discount_with_tax_in_it_is_divided_into_what_the_currency_is_paid_in(currency: str, least: str) -> None:
    """29.662 KWD fitted into no books: of three decimals two are used."""
    unit = int(Decimal(least).scaleb({"kwd": 3, "jpy": 0}.get(currency, 2)))
    inside = [{"amount": 33 * unit, "tax_behavior": "inclusive"}]
    worth = (3003 - 311) * unit
    (seen,) = read_invoice(
        line(amount=3003 * unit, discount_amounts=[{"amount": 311 * unit}], taxes=inside), currency=currency,
        total=worth, amount_due=worth, amount_remaining=worth,
    ).lines  # fmt: skip
    assert [one % Decimal(least) for one in (seen.amount, seen.discount, seen.tax)] == [0, 0, 0]
    assert seen.amount - seen.discount + seen.tax == (3003 - 311) * Decimal(least)


@pytest.mark.parametrize(
    ("says", "settled"),
    [
        ({"amount_paid": 400, "amount_remaining": 600}, (4, 0, 0, 6)),
        ({"amount_due": 700, "amount_remaining": 700}, (0, 3, 0, 7)),
        ({"amount_due": 1200, "amount_remaining": 1200}, (0, -2, 0, 12)),
        ({"status": "uncollectible", "amount_paid": 400, "amount_remaining": 600}, (4, 0, 6, 0)),
        ({"status": "paid", "amount_paid": 1000, "amount_remaining": 0}, (10, 0, 0, 0)),
        ({"status": "paid", "amount_paid": 1500, "amount_overpaid": 500, "amount_remaining": 0}, (10, 0, 0, 0)),
        ({"status": "paid", "amount_paid_off_stripe": 1000}, (10, 0, 0, 0)),
        ({"status": "paid", "amount_paid": 900, "amount_remaining": 100}, (9, 0, 1, 0)),
        ({"status": "void"}, (0, 0, 0, 0)),
        ({"status": "draft", "auto_advance": True}, (0, 0, 0, 10)),
    ],
)
def test_total_is_paid_credited_written_off_or_due(says: Any, settled: tuple[int, ...]) -> None:
    """Balances, credit notes, forgiveness, money that came in past Stripe: nothing is counted twice."""
    found = read("invoice", invoice(line(), **says))
    document = found.document
    assert (document.paid, document.credited, document.written_off, document.due) == settled
    assert found.collects is bool(says.get("auto_advance"))


def test_shipping_and_credit_grants_are_part_of_the_sum() -> None:
    """They are in Stripe's total and in none of its lines' amounts."""
    granted = [{"amount": 200, "type": "credit_balance_transaction"}, {"amount": 50, "type": "discount"}]
    found = read_invoice(
        line(discount_amounts=[{"amount": 50}], pretax_credit_amounts=granted), total=1345, amount_due=1345,
        amount_remaining=1345, shipping_cost={"amount_total": 595, "amount_tax": 95, "amount_subtotal": 500},
    )  # fmt: skip
    assert [(one.id, one.amount, one.discount, one.tax) for one in found.lines][1] == (
        "shipping",
        Decimal(5),
        Decimal(0),
        Decimal("0.95"),
    )
    assert (found.discount, found.total) == (Decimal("2.50"), Decimal("13.45"))
    free = read_invoice(line(), shipping_cost={"amount_total": 0, "amount_tax": 0})
    assert len(free.lines) == 1


@pytest.mark.parametrize(
    ("lines", "says", "word"),
    [
        ([line()], {"total": 999}, "add up"),
        ([line()], {"amount_paid": 5}, "5 are paid"),
        ([line()], {"status": "new"}, "state"),
        ([line()], {"customer": None}, "customer"),
        ([line()], {"currency": "zzz"}, "currency"),
        ([line()], {"currency": "clf"}, "CLF"),
        ([line(amount=1050)], {"currency": "isk"}, "finer"),
        ([line(), line()], {}, "same id"),
        ([line(taxes=[{"amount": 1, "tax_behavior": "beside"}])], {}, "beside"),
        ([line(quantity_decimal="x")], {}, "no number"),
        ([line(quantity_decimal="NaN")], {}, "no number"),
        ([line(description="a\x00")], {}, "U[+]0000"),
        ([line()], {"due_date": 10**18}, "no time"),
        ([line()], {"metadata": {"accord_ref": "i.m.1", "accord_due_on": "soon"}}, "no date"),
        ([line()], {"object": "quote"}, "quote"),
        ([line()], {"id": ""}, "not what Stripe documents"),
        ([line(amount=10.5)], {"total": 10}, "not what Stripe documents"),
        ([line()], {"lines": {"data": [], "has_more": True}}, "all of its lines"),
        ([line(amount=-1000)], {"amount_due": -1000, "amount_remaining": -1000}, "negative"),
    ],
)
def test_an_invoice_that_does_not_add_up_is_none(lines: Any, says: Any, word: str) -> None:
    """Its problem is told, and it is looked at again; nothing is guessed."""
    with pytest.raises(ReplyError, match=word):
        DOCUMENTS.read("invoice", json.dumps(invoice(*lines, **says)).encode())


def test_text_that_is_no_json_or_no_utf8_is_told() -> None:
    """Lone surrogates come over the wire; they are no reason to stop."""
    raw = json.dumps(invoice(line(description="\ud800"))).encode()
    with pytest.raises(ReplyError, match="surrogate"):
        DOCUMENTS.read("invoice", raw)
    with pytest.raises(ReplyError, match="not what Stripe documents"):
        DOCUMENTS.read("invoice", b'{"id": "in_1", "x": "\\ud800"}')
    with pytest.raises(ReplyError):
        DOCUMENTS.read("invoice", b"<html>")


# ---- payments --------------------------------------------------------------------------------------


def payment(paid_by: Any, **says: Any) -> dict[str, Any]:
    return {
        "id": "inpay_1", "object": "invoice_payment", "status": "paid", "currency": "eur", "created": 1,
        "amount_requested": 1000, "amount_paid": 1000, "invoice": {"id": "in_1", "customer": "cus_1"},
        "payment": paid_by, "status_transitions": {"paid_at": 1_793_491_200}, **says,
    }  # fmt: skip


def by_card(**charge: Any) -> dict[str, Any]:
    charged = {"id": "ch_1", "amount": 1000, "payment_method_details": {"type": "card"}, **charge}
    return {"type": "payment_intent", "payment_intent": {"id": "pi_1", "latest_charge": charged}}


def by_report(**record: Any) -> dict[str, Any]:
    return {"type": "payment_record", "payment_record": {"id": "pr_1", "amount": {"value": 1000}, **record}}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (payment(by_card()), ("succeeded", 10, 0, "card", "ch_1")),
        (payment(by_card(amount_refunded=300)), ("succeeded", 10, 3, "card", "ch_1")),
        (payment(by_card(amount=2500)), ("succeeded", 10, 0, "card", "ch_1")),
        (payment(by_card(amount=2500, amount_refunded=2500)), ("succeeded", 10, 10, "card", "ch_1")),
        (payment(by_card(payment_method_details=None)), ("succeeded", 10, 0, "", "ch_1")),
        (payment({"type": "charge", "charge": {"id": "ch_2", "amount": 1000}}), ("succeeded", 10, 0, "", "ch_2")),
        (payment(by_report()), ("succeeded", 10, 0, "out of band", "pr_1")),
        (
            payment(by_report(
                amount_refunded={"value": 200}, processor_details={"custom": {"payment_reference": "wire 7"}},
                payment_method_details={"type": "custom", "custom": {"display_name": "Bank"}},
            )),
            ("succeeded", 10, 2, "Bank", "wire 7"),
        ),
        (
            payment({"type": "payment_intent", "payment_intent": "pi_1"}, status="open", amount_paid=None),
            ("pending", 10, 0, "", "pi_1"),
        ),
        (
            payment({"type": "payment_intent", "payment_intent": {"id": "pi_1"}}, status="canceled", amount_paid=None),
            ("void", 10, 0, "", "pi_1"),
        ),
        (payment({"type": "new"}), ("succeeded", 10, 0, "", "")),
    ],
)  # fmt: skip
def test_a_payment_is_read_with_what_went_back_of_it(wire: Any, expected: Any) -> None:
    """By card, by a charge without an intent, reported from elsewhere, expected only, or called off."""
    found = read("payment", wire).document
    assert isinstance(found, Payment)
    assert (found.status, found.amount, found.refunded, found.method, found.reference) == expected
    assert found.applications == (Application(invoice="in_1", amount=Decimal(10)),)
    assert (found.customer, found.received_on) == ("cus_1", date(2026, 11, 1))


@pytest.mark.parametrize(
    ("wire", "word"),
    [
        (payment(by_card(), amount_paid=0), "positive"),
        (payment(by_card(), invoice="in_1"), "not what Stripe documents"),
        (payment(by_card(), status="lost"), "state"),
    ],
)
def test_a_payment_that_cannot_be_told_exactly_is_none(wire: Any, word: str) -> None:
    """It is kept as a failure."""
    with pytest.raises(ReplyError, match=word):
        DOCUMENTS.read("payment", json.dumps(wire).encode())


@pytest.mark.parametrize(
    ("wire", "refunded", "untold"),
    [
        (payment(by_card(amount=2500, amount_refunded=100)), 0, Decimal(1)),
        (payment(by_card(amount=2500, amount_refunded=2500)), 10, None),
        (payment(by_card(amount=2500)), 0, None),
        (payment(by_card(amount_refunded=100)), 1, None),
        (payment(by_report(amount={"value": 2500}, amount_refunded={"value": 100})), 0, Decimal(1)),
    ],
)
def test_of_which_of_several_invoices_a_part_went_back_is_not_told(
    wire: Any, refunded: int, untold: Decimal | None
) -> None:
    """All of it is all of each; of a part, the payment says no more than that it went back of what they share."""
    found = read("payment", wire)
    assert isinstance(found.document, Payment)
    assert found.document.refunded == refunded
    assert (found.untold and found.untold.amount) == untold
    if found.untold is not None:
        assert (found.untold.field, found.untold.of) == ("refunded", found.document.reference)


def test_the_mark_of_a_payment_stands_on_its_report() -> None:
    """Stripe's invoice payments have no metadata; those of a card are never ours."""
    assert read("payment", payment(by_report(metadata={"accord_ref": "i.m.1"}))).mark == "i.m.1"
    assert read("payment", payment(by_card())).mark is None
    raw = json.dumps(payment(by_card())).encode()
    assert isinstance(DOCUMENTS, StripeDocuments)
    assert DOCUMENTS.mark("payment", raw) is None


# ---- credit notes ----------------------------------------------------------------------------------


def note(*lines: Any, **says: Any) -> dict[str, Any]:
    amount = sum(one["amount"] for one in lines)
    return {
        "id": "cn_1", "object": "credit_note", "status": "issued", "currency": "eur", "created": 1_793_491_200,
        "customer": "cus_1", "invoice": "in_1", "amount": amount, "pre_payment_amount": amount, "number": "A-1-CN-01",
        "lines": {"data": list(lines), "has_more": False}, **says,
    }  # fmt: skip


def test_a_credit_note_is_read_with_what_it_settled() -> None:
    """What lowered the invoice is applied, what went back elsewhere is refunded; a payment tells of its own refund."""
    one = line(
        amount=1000, quantity=2, unit_amount_decimal="500", discount_amount=100,
        taxes=[{"amount": 90, "tax_behavior": "exclusive"}],
    )  # fmt: skip
    found = read(
        "credit_note",
        note(one, amount=990, pre_payment_amount=300, post_payment_amount=690, out_of_band_amount=100,
             refunds=[{"amount_refunded": 250, "refund": "re_1"}], reason="duplicate"),
    ).document  # fmt: skip
    assert isinstance(found, CreditNote)
    assert (found.total, found.applied, found.refunded) == (Decimal("9.90"), Decimal(3), Decimal(1))
    assert (found.lines[0].unit_amount, found.lines[0].discount, found.tax) == (
        Decimal(5), Decimal(1), Decimal("0.90"),
    )  # fmt: skip
    assert (found.reason, found.number, found.issued_on) == ("duplicate", "A-1-CN-01", date(2026, 11, 1))


@pytest.mark.parametrize(
    ("lines", "says", "word"),
    [
        ([line()], {"amount": 999}, "add up"),
        ([line()], {"pre_payment_amount": 5}, "paid before"),
        ([line()], {"status": "new"}, "state"),
        ([line()], {"lines": {"data": [], "has_more": True}}, "all of its lines"),
        ([line(metadata={"accord_discount_minor": "x"})], {}, "no amount"),
    ],
)
def test_a_credit_note_that_does_not_add_up_is_none(lines: Any, says: Any, word: str) -> None:
    """As an invoice."""
    with pytest.raises(ReplyError, match=word):
        DOCUMENTS.read("credit_note", json.dumps(note(*lines, **says)).encode())


def test_a_discount_of_a_copy_whose_line_is_gone_stays_a_line() -> None:
    """Nothing of a sum may vanish in being told nicely."""
    marked = {"metadata": {"accord_ref": "i.m.1"}}
    off = line(amount=-300, metadata={"accord_discount": "l1"})
    found = read_invoice(line(metadata={"accord_line": "l2", "accord_quantity": "3"}), off, **marked)
    assert [(one.amount, one.discount, one.quantity) for one in found.lines] == [
        (Decimal(10), Decimal(0), Decimal(3)),
        (Decimal(-3), Decimal(0), Decimal(1)),
    ]


# ---- through the look-alike: what people make is read as it is ------------------------------------

AMOUNTS = st.integers(0, 100_000)


@st.composite
def bills(draw: st.DrawFn) -> dict[str, Any]:
    currency = draw(st.sampled_from(("EUR", "JPY", "KWD", "ISK", "MGA", "HUF")))
    places_there = {"JPY": 0, "ISK": 0, "MGA": 0, "KWD": 2}.get(currency, 2)

    def amount(value: int) -> str:
        return f"{Decimal(value).scaleb(-places_there):f}"

    lines = []
    for _ in range(draw(st.integers(1, 13))):
        gross = draw(AMOUNTS)
        discount = draw(st.integers(0, gross))
        name = draw(st.sampled_from(("tax", "tax_inside")))
        tax = draw(st.integers(0, gross - discount))
        lines.append({"description": "x", "amount": amount(gross), "discount": amount(discount), name: amount(tax)})
    return {"currency": currency, "lines": lines, "status": "open"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(bill=bills())
def test_whatever_people_bill_is_read_to_the_minor_unit(make_world: Callable[..., Any], bill: dict[str, Any]) -> None:
    """Against the look-alike's own truth, which is written apart; more lines than come along at once, too."""
    world = make_world()
    customer = world.stripe.edit("customer", None, {"name": "A"})
    remote_id = world.stripe.edit("invoice", None, {"customer": customer, **bill})
    sighting = world.run(world.connector.read("invoice", [remote_id]))[remote_id]
    found, truth = DOCUMENTS.read("invoice", sighting.raw).document, world.stripe.neutral("invoice")[remote_id]
    assert isinstance(found, Invoice)
    for name in ("subtotal", "discount", "tax", "total", "paid", "credited", "due"):
        assert getattr(found, name) == Decimal(truth[name]), name
    assert [(one.amount, one.discount, one.tax) for one in found.lines] == [
        (Decimal(one["amount"]), Decimal(one["discount"]), Decimal(one["tax"])) for one in truth["lines"]
    ]
    (listed,) = world.run(world.connector.sweep("invoice", "full", None)).sightings
    assert listed == sighting
