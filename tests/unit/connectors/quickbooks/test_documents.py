"""Documents in both directions: exact to the cent, or refused with the line and the cure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.quickbooks.connector import PROVIDER
from connectors.quickbooks.translate import Booking, QuickBooksDocuments, booking_of
from connectors.quickbooks.translate.forms import own_words
from core.errors import ByHandError, ConfigError, RejectedError, ReplyError
from core.model.documents import Application, CreditNote, Dispute, Document, Invoice, Line, Payment
from core.model.paper import Step, WantedDocument
from core.ports import ConnectionConfig

MARK = "instance.mapping.1"
NOTE = f"accord:{MARK}"
US = Booking(default_item="1", deposit_account="35")
VAT = Booking(
    is_us=False,
    default_item="1",
    rounding_item="9",
    overrides_tax=False,
    tax_codes=((Decimal(19), "5"), (Decimal(7), "7"), (Decimal(0), "2")),
)
DAY = date(2026, 11, 1)


def money(text: str) -> Decimal:
    """An amount."""
    return Decimal(text)


def line(amount: str = "10.00", **changes: Any) -> Line:
    """A line; amounts as texts."""
    decimals: dict[str, Decimal] = {
        name: Decimal(changes.pop(name)) for name in ("discount", "tax", "quantity", "unit_amount") if name in changes
    }
    told: dict[str, Any] = {"id": "l1", "description": "Seats", "amount": Decimal(amount), **decimals, **changes}
    return Line(**told)


def invoice(*lines: Line, **changes: Any) -> Invoice:
    """An open invoice of some lines."""
    lines = lines or (line(),)
    told = _sums(lines)
    due = {"due": told["total"]} if "due" not in changes else {}
    body = {"id": "", "number": "INV-7", "customer": "3", "currency": "USD", "status": "open", "issued_on": DAY}
    return Invoice(**{**body, "lines": lines, **told, **due, **changes})


def credit(*lines: Line, **changes: Any) -> CreditNote:
    """A credit note of some lines."""
    lines = lines or (line(),)
    body = {"id": "", "number": "CN-7", "customer": "3", "currency": "USD", "status": "issued", "issued_on": DAY}
    return CreditNote(**{**body, "lines": lines, **_sums(lines), **changes})


def _sums(lines: tuple[Line, ...]) -> dict[str, Decimal]:
    found = {
        "subtotal": sum((one.amount for one in lines), Decimal(0)),
        "discount": sum((one.discount for one in lines), Decimal(0)),
        "tax": sum((one.tax for one in lines), Decimal(0)),
    }
    return {**found, "total": found["subtotal"] - found["discount"] + found["tax"]}


def payment(amount: str = "10.00", **changes: Any) -> Payment:
    """A payment that came in."""
    body = {"id": "", "customer": "3", "currency": "USD", "status": "succeeded", "received_on": DAY}
    return Payment(**{**body, "amount": Decimal(amount), **changes})


def step(document: Document, current: Mapping[str, Any] | None = None, booking: Booking = US) -> Step | None:
    """The next write."""
    raw = json.dumps(current).encode() if current is not None else None
    return QuickBooksDocuments(booking).step(WantedDocument(document=document, mark=MARK), raw)


def body_of(document: Document, booking: Booking = US) -> dict[str, Any]:
    """What a create would send."""
    found = step(document, booking=booking)
    assert found is not None
    assert (found.action, found.adds) == ("create", True)
    return found.body


def refused(document: Document, current: Mapping[str, Any] | None = None, booking: Booking = US) -> RejectedError:
    """Why it is not booked."""
    with pytest.raises(RejectedError) as caught:
        step(document, current, booking)
    assert caught.value.cure
    return caught.value


def form(**changes: Any) -> dict[str, Any]:
    """An invoice of QuickBooks."""
    found = {
        "Id": "12",
        "SyncToken": "4",
        "DocNumber": "INV-7",
        "TxnDate": "2026-11-01",
        "DueDate": "2026-11-15",
        "CustomerRef": {"value": "3"},
        "CurrencyRef": {"value": "USD"},
        "Line": [sold("10.00"), {"Amount": 10.00, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}],
        "TotalAmt": 10.00,
        "Balance": 10.00,
        "PrivateNote": NOTE,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def memo(**changes: Any) -> dict[str, Any]:
    """A credit memo of QuickBooks."""
    return form(**{"DocNumber": "CN-7", "Balance": None, "RemainingCredit": 10.00, **changes})


def received(**changes: Any) -> dict[str, Any]:
    """A payment of QuickBooks."""
    cleared: dict[str, Any] = {"DocNumber": None, "DueDate": None, "Balance": None, "Line": []}
    return form(**{**cleared, **changes})


def sold(amount: str, **changes: Any) -> dict[str, Any]:
    """A line of QuickBooks."""
    detail = {"ItemRef": {"value": "1"}, **changes.pop("detail", {})}
    return {
        "Id": "1",
        "Amount": float(amount),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": detail,
        **changes,
    }


def links(amount: float, *pairs: tuple[str, str]) -> dict[str, Any]:
    """A line of a payment."""
    return {"Amount": amount, "LinkedTxn": [{"TxnType": kind, "TxnId": txn_id} for kind, txn_id in pairs]}


def read(kind: str, told: Mapping[str, Any]) -> Any:
    """The document that is read."""
    return QuickBooksDocuments(US).read(kind, json.dumps(told).encode()).document


def unreadable(kind: str, told: Mapping[str, Any] | bytes) -> str:
    """Why it is not read."""
    raw = told if isinstance(told, bytes) else json.dumps(told).encode()
    with pytest.raises(ReplyError) as caught:
        QuickBooksDocuments(US).read(kind, raw)
    return str(caught.value)


# ---- settings --------------------------------------------------------------------------------------


def test_settings_of_a_connection_are_read_once() -> None:
    """Two companies may book the same product on different items."""
    settings = {
        "default_item": "1",
        "create_items": "yes",
        "income_account": "79",
        "rounding_item": "9",
        "deposit_account": "35",
        "tax_codes": " 19 : 5, 8.25:TAX,,0:2 ",
    }
    config = ConnectionConfig("books", "quickbooks", settings, items={"prod": "8"}, deposits={"stripe-eu": "36"})
    found = booking_of(config, is_us=False)

    assert found == Booking(
        is_us=False,
        items={"prod": "8"},
        default_item="1",
        creates_items=True,
        income_account="79",
        rounding_item="9",
        deposit_account="35",
        deposits={"stripe-eu": "36"},
        overrides_tax=False,
        tax_codes=((Decimal(19), "5"), (Decimal("8.25"), "TAX"), (Decimal(0), "2")),
    )
    plain = ConnectionConfig("books", "quickbooks")
    assert booking_of(plain, is_us=True).overrides_tax
    assert not booking_of(replace(plain, settings={"tax_override": "no"}), is_us=True).overrides_tax


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"create_items": "perhaps"}, "create_items"),
        ({"tax_override": ""}, "tax_override"),
        ({"create_items": "yes"}, "income_account"),
        ({"tax_codes": "19"}, "tax_codes"),
        ({"tax_codes": "19:"}, "tax_codes"),
        ({"tax_codes": "x:5"}, "tax_codes"),
        ({"tax_codes": "NaN:5"}, "tax_codes"),
        ({"tax_codes": "19:5, 7:8, 19.0:6"}, "tax_codes"),
        ({"tax_codes": "-1:5"}, "tax_codes"),
        ({"tax_codes": "100:5"}, "tax_codes"),
    ],
)
def test_a_wrong_setting_about_documents_is_named(settings: dict[str, str], key: str) -> None:
    """The cure is one edit of one key."""
    assert PROVIDER.documents is not None
    with pytest.raises(ConfigError) as caught:
        PROVIDER.documents(ConnectionConfig("books", "quickbooks", settings))

    assert caught.value.key == f"connections.books.{key}"


# ---- what is written -------------------------------------------------------------------------------


def test_an_invoice_is_one_write_with_everything_in_it() -> None:
    """A create in two parts leaves half an invoice in the books when the second one fails."""
    one = line("20.00", id="a", product="prod", quantity="2", unit_amount="10", tax="1.65", period_start=DAY)
    two = line("5.00", id="b", discount="1.00", description="Support")
    wanted = invoice(one, two, due_on=date(2026, 12, 1), memo="Thank you")
    booking = msgspec.structs.replace(US, items={"prod": "8"})

    assert body_of(wanted, booking) == {
        "CustomerRef": {"value": "3"},
        "CurrencyRef": {"value": "USD"},
        "TxnDate": "2026-11-01",
        "DueDate": "2026-12-01",
        "DocNumber": "INV-7",
        "PrivateNote": NOTE,
        "CustomerMemo": {"value": "Thank you"},
        "AllowOnlineCreditCardPayment": False,
        "AllowOnlineACHPayment": False,
        "EmailStatus": "NotSet",
        "TxnTaxDetail": {"TotalTax": "1.65"},
        "Line": [
            {
                "DetailType": "SalesItemLineDetail",
                "Amount": "20.00",
                "Description": "Seats",
                "SalesItemLineDetail": {
                    "ItemRef": {"value": "8"},
                    "Qty": "2",
                    "UnitPrice": "10",
                    "TaxCodeRef": {"value": "TAX"},
                    "ServiceDate": "2026-11-01",
                },
            },
            {
                "DetailType": "SalesItemLineDetail",
                "Amount": "5.00",
                "Description": "Support",
                "SalesItemLineDetail": {"ItemRef": {"value": "1"}, "TaxCodeRef": {"value": "NON"}},
            },
            {
                "DetailType": "SalesItemLineDetail",
                "Amount": "-1.00",
                "Description": own_words("Discount on the line above", MARK),
                "SalesItemLineDetail": {"ItemRef": {"value": "1"}, "TaxCodeRef": {"value": "NON"}},
            },
        ],
    }


def test_no_amount_of_a_write_is_a_float() -> None:
    """0.1 + 0.2 is no amount."""
    bodies = [
        body_of(invoice(line("0.10", tax="0.01"), line("0.20", id="l2", discount="0.05"))),
        body_of(payment("0.30", applications=(Application(invoice="12", amount=Decimal("0.10")),))),
        body_of(credit()),
        body_of(invoice(line("0.10", tax="0.02")), VAT),
    ]

    def kinds(value: Any) -> set[type]:
        if isinstance(value, dict):
            return set().union(*map(kinds, value.values()))
        return set().union(*map(kinds, value)) if isinstance(value, list) else {type(value)}

    assert set().union(*map(kinds, bodies)) <= {str, bool}


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "amount"),
    [
        ("3", "0.3333", "1.00"),  # error 6070
        ("3", None, "1.00"),
        ("0", "1", "0.00"),
        ("-1", "1", "-1.00"),
        ("1", "0.00000001", "0.00000001"),
        ("0.00000001", "1", "0.00000001"),
        ("1", "10000000000", "10000000000"),
    ],
)
def test_quantity_and_price_are_left_out_where_their_product_is_not_the_amount(
    quantity: str, unit_amount: str | None, amount: str
) -> None:
    """QuickBooks would refuse them, or compute an amount of its own."""
    factors = {"quantity": quantity} | ({"unit_amount": unit_amount} if unit_amount else {})
    try:
        body = body_of(invoice(line("50.00", id="l0"), line(amount, **factors)))
    except RejectedError as error:  # the amount itself is none
        body = {"Line": [{}, {"SalesItemLineDetail": {"refused": str(error)}}]}

    assert not {"Qty", "UnitPrice"} & body["Line"][1]["SalesItemLineDetail"].keys()


def test_a_fine_price_is_told_where_the_product_is_exact() -> None:
    """Seven decimals fit."""
    detail = body_of(invoice(line("1.00", quantity="8", unit_amount="0.125")))["Line"][0]["SalesItemLineDetail"]

    assert (detail["Qty"], detail["UnitPrice"]) == ("8", "0.125")


def test_an_unmapped_line_is_refused_by_name_never_dropped() -> None:
    """Dropped, the invoice in the books is short by that line, and nobody knows."""
    bare = Booking()
    named = refused(
        invoice(line(), line(id="l2", product="prod_x")), booking=msgspec.structs.replace(bare, items={"": "1"})
    )
    nameless = refused(invoice(line()), booking=bare)

    assert (named.field, "prod_x" in named.problem) == ("line l2", True)
    assert nameless.field == "line l1"


def test_an_item_is_made_only_where_the_connection_says_so() -> None:
    """It is named like the product, and the connector finds or makes it."""
    makes = Booking(creates_items=True, income_account="79")
    detail = body_of(invoice(line(product="Hosting")), makes)["Line"][0]["SalesItemLineDetail"]

    assert detail["ItemRef"] == {"name": "Hosting", "account": "79"}
    assert refused(invoice(line()), booking=makes).field == "line l1"
    assert "item's name" in refused(invoice(line(product="a:b")), booking=makes).problem
    assert refused(invoice(line(product="x" * 101)), booking=makes).limit == "100 characters"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (invoice(number="N" * 22), "number"),
        (invoice(memo="m" * 1001), "memo"),
        (invoice(line(description="d" * 4001)), "line l1.description"),
        (invoice(line(description="Łódź")), "line l1.description"),
        (invoice(line(description="a\x00b")), "line l1.description"),
        (invoice(line(description="a\x7fb")), "line l1.description"),
        (invoice(line("10000000000.00")), "line l1.amount"),
        (invoice(line("1.005"), currency="KWD"), "line l1.amount"),
        (invoice(line(tax="0.005"), currency="KWD"), "tax"),
        (invoice(issued_on=None), "issued_on"),
        (credit(reason="r" * 1001), "reason"),
        (credit(issued_on=None), "issued_on"),
        (payment(received_on=None), "received_on"),
        (payment("0.005", currency="KWD"), "amount"),
        (payment(reference="Ł"), "reference"),
        (payment(reference="r" * 4000), "reference"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_cut(document: Document, field: str) -> None:
    """Each with the field, the limit and the cure."""
    assert refused(document).field == field


def test_an_invoice_without_lines_is_refused() -> None:
    """QuickBooks needs one."""
    nothing = msgspec.structs.replace(invoice(), lines=(), subtotal=Decimal(0), total=Decimal(0), due=Decimal(0))

    assert refused(nothing).field == "lines"


def test_an_invoice_of_less_than_nothing_is_refused_with_what_to_book() -> None:
    """QuickBooks takes none, and says no more than that."""
    error = refused(invoice(line(amount="-50.00", tax="0")))
    assert (error.problem, error.field, error.limit) == ("it comes to -50.00 USD", "total", "0 or more")
    assert "a credit memo of 50.00 USD" in str(error.cure)


def test_too_many_lines_are_refused_before_they_are_sent() -> None:
    """750 where tax is involved; discounts are lines too."""
    many = [line("1.00", id=f"l{number}", discount="0.10") for number in range(376)]

    assert refused(invoice(*many[:-1], line("1.00", tax="0.10"))).limit == "750 lines"
    assert len(body_of(invoice(*many))["Line"]) == 752


def test_lines_at_no_percent_and_the_rounding_line_are_counted_as_quickbooks_counts_them() -> None:
    """A line with a tax code is taxable, whatever its percentage; what would be refused is not sent."""
    free = [line("1.00", id=f"l{number}") for number in range(751)]
    rounded = [line("0.13", id=f"l{number}", tax="0.02") for number in range(749)] + [line("0.13", tax="0.03")]

    assert len(body_of(invoice(*free[:-1]), VAT)["Line"]) == 750
    assert len(body_of(invoice(*rounded[1:]), VAT)["Line"]) == 750
    assert refused(invoice(*free), booking=VAT).limit == "750 lines"
    assert refused(invoice(*rounded), booking=VAT).limit == "750 lines"


def test_a_line_break_is_allowed_and_other_letters_outside_of_the_us() -> None:
    """Only US companies store ISO-8859-1."""
    assert body_of(invoice(line(description="a\nb")))["Line"][0]["Description"] == "a\nb"
    assert body_of(invoice(line(description="Łódź")), VAT)["Line"][0]["Description"] == "Łódź"


def test_a_number_that_the_origin_has_not_given_is_not_made_up() -> None:
    """A due date neither."""
    assert not {"DocNumber", "DueDate", "CustomerMemo"} & body_of(invoice(number="")).keys()


# ---- tax where QuickBooks computes it --------------------------------------------------------------


def rounding(body: Mapping[str, Any]) -> list[str]:
    """Amounts of rounding lines."""
    return [one["Amount"] for one in body["Line"] if one["Description"] == own_words("Rounding of tax", MARK)]


def test_each_line_is_booked_with_the_code_of_its_rate() -> None:
    """The copy's VAT return is right, not only its total."""
    body = body_of(invoice(line(id="a", tax="1.90"), line(id="b", tax="0.70"), line(id="c")), VAT)

    assert [one["SalesItemLineDetail"]["TaxCodeRef"]["value"] for one in body["Line"]] == ["5", "7", "2"]
    assert (body["GlobalTaxCalculation"], "TxnTaxDetail" in body) == ("TaxExcluded", False)


def test_a_cent_that_quickbooks_rounds_differently_is_a_line_of_its_own() -> None:
    """Three lines of 0.13 at 19 percent are 0.06 line by line, and 0.07 together."""
    lines = (line("0.13", id="a", tax="0.03"), line("0.13", id="b", tax="0.02"), line("0.13", id="c", tax="0.02"))
    body = body_of(invoice(*lines), VAT)

    assert rounding(body) == ["0.01"]
    assert body["Line"][-1]["SalesItemLineDetail"] == {"ItemRef": {"value": "9"}, "TaxCodeRef": {"value": "2"}}


def test_more_than_half_a_cent_per_line_is_no_rounding() -> None:
    """It is another tax, and hiding it in a line would be a lie."""
    lines = (line("0.13", id="a", tax="0.03"), line("0.13", id="b", tax="0.03"), line("0.13", id="c", tax="0.03"))
    error = refused(invoice(*lines), booking=VAT)

    assert (error.field, "0.03 away" in error.problem) == ("tax", True)


@pytest.mark.parametrize(
    "booking",
    [
        msgspec.structs.replace(VAT, rounding_item=""),
        msgspec.structs.replace(VAT, tax_codes=VAT.tax_codes[:1]),
    ],
)
def test_without_a_place_for_the_cent_the_invoice_is_refused(booking: Booking) -> None:
    """An invoice whose total is off by one is worse than one that is not there."""
    lines = (line("0.13", id="a", tax="0.03"), line("0.13", id="b", tax="0.02"), line("0.13", id="c", tax="0.02"))

    assert "rounding_item" in str(refused(invoice(*lines), booking=booking))


def test_a_tax_of_no_known_rate_names_the_line() -> None:
    """Some code would always give some total."""
    error = refused(invoice(line(), line(id="l2", tax="1.00")), booking=VAT)

    assert (error.field, error.limit) == ("line l2.tax", "19 %, 7 %, 0 %")


def test_without_tax_codes_only_untaxed_documents_can_be_booked() -> None:
    """A company that is not registered for VAT has no codes at all."""
    plain = Booking(is_us=False, default_item="1", overrides_tax=False)
    computes = Booking(default_item="1", overrides_tax=False)
    body = body_of(invoice(), plain)

    assert (body["GlobalTaxCalculation"], "TaxCodeRef" in body["Line"][0]["SalesItemLineDetail"]) == (
        "NotApplicable",
        False,
    )
    assert "TaxCodeRef" in body_of(invoice(), computes)["Line"][0]["SalesItemLineDetail"]
    for booking in (plain, computes):
        assert refused(invoice(line(tax="1.90")), booking=booking).field == "line l1.tax"


# ---- payments and credits --------------------------------------------------------------------------


def test_a_payment_says_what_it_settles_and_where_it_was_deposited() -> None:
    """Two parts of one invoice are one line."""
    parts = tuple(
        Application(invoice=one, amount=Decimal(amount)) for one, amount in (("12", "3"), ("13", "4"), ("12", "2"))
    )

    assert body_of(payment("10.00", reference="CHK 5", applications=parts)) == {
        "CustomerRef": {"value": "3"},
        "CurrencyRef": {"value": "USD"},
        "TotalAmt": "10.00",
        "PaymentRefNum": "CHK 5",
        "TxnDate": "2026-11-01",
        "DepositToAccountRef": {"value": "35"},
        "PrivateNote": NOTE,
        "Line": [
            {"Amount": "5", "LinkedTxn": [{"TxnId": "12", "TxnType": "Invoice"}]},
            {"Amount": "4", "LinkedTxn": [{"TxnId": "13", "TxnType": "Invoice"}]},
        ],
    }


def test_a_long_reference_is_kept_whole_in_the_note() -> None:
    """Cut, it would name another payment; ids of payment providers are longer than 21."""
    body = body_of(payment(reference="pi_3OabcDEFghiJKLmnoPQRstu"))

    assert "PaymentRefNum" not in body
    assert body["PrivateNote"] == f"Reference: pi_3OabcDEFghiJKLmnoPQRstu\n{NOTE}"
    assert "PaymentRefNum" not in body_of(payment())


def test_without_an_account_no_payment_is_mirrored() -> None:
    """QuickBooks would put it into some account of its own choice."""
    wanted = WantedDocument(document=payment(), mark=MARK, origin="stripe-eu")
    with pytest.raises(RejectedError, match="payments of stripe-eu in USD") as caught:
        QuickBooksDocuments(Booking(deposits={"stripe-us": "36", "stripe-eu.EUR": "37"})).step(wanted, None)
    assert caught.value.field == "deposits.stripe-eu.USD"


@pytest.mark.parametrize(
    ("origin", "currency", "account"),
    [
        ("stripe-eu", "EUR", "36"),
        ("stripe-eu", "GBP", "37"),
        ("stripe-us", "GBP", "38"),
        ("stripe-us", "USD", "35"),
        ("stripe", "EUR", "35"),
    ],
)
def test_each_route_of_payments_has_its_account(origin: str, currency: str, account: str) -> None:
    """Where it was deposited, and what it is paid back out of: nothing of one route stands in another one's account."""
    routes = {"stripe-eu": "36", "stripe-eu.GBP": "37", "stripe-us.GBP": "38"}
    documents = QuickBooksDocuments(Booking(deposit_account="35", deposits=routes))
    came = payment(currency=currency)
    made = documents.step(WantedDocument(document=came, mark=MARK, origin=origin), None)
    assert made is not None
    assert made.body["DepositToAccountRef"] == {"value": account}
    there = json.dumps(received() | {"CurrencyRef": {"value": currency}}).encode()
    back = msgspec.structs.replace(came, refunded=Decimal(3))
    with pytest.raises(ByHandError) as asked:
        documents.step(WantedDocument(document=back, mark=MARK, origin=origin), there)
    assert asked.value.account == account


@pytest.mark.parametrize("document", [invoice(), credit(), payment()], ids=["invoice", "credit_note", "payment"])
def test_what_is_in_another_currency_than_its_customer_is_refused_before_it_is_sent(document: Document) -> None:
    """A customer of QuickBooks has one currency: where it was seen, nobody need ask."""
    for known, is_refused in (("", False), ("USD", False), ("EUR", True)):
        wanted = WantedDocument(document=document, mark=MARK, customer_currency=known)
        if not is_refused:
            assert QuickBooksDocuments(US).step(wanted, None) is not None
            continue
        with pytest.raises(RejectedError, match=r"it is in USD, and its customer .* is in EUR") as caught:
            QuickBooksDocuments(US).step(wanted, None)
        assert caught.value.field == "currency"


def test_what_was_void_before_there_was_a_copy_is_in_no_wrong_currency() -> None:
    """Nothing is made of it anyway."""
    wanted = WantedDocument(document=invoice(status="void"), mark=MARK, customer_currency="EUR")
    assert QuickBooksDocuments(US).step(wanted, None) is None


def test_a_credit_note_is_applied_by_a_payment_of_nothing() -> None:
    """That is how QuickBooks links the two."""
    wanted = credit(id="12", invoice="7", applied=Decimal(4))
    found = step(wanted, memo())

    assert found == Step(
        action="apply",
        adds=True,
        body={
            "CustomerRef": {"value": "3"},
            "CurrencyRef": {"value": "USD"},
            "TxnDate": "2026-11-01",
            "TotalAmt": "0",
            "PrivateNote": NOTE,
            "Line": [
                {"Amount": "4.0", "LinkedTxn": [{"TxnId": "7", "TxnType": "Invoice"}]},
                {"Amount": "4.0", "LinkedTxn": [{"TxnId": "12", "TxnType": "CreditMemo"}]},
            ],
        },
    )


def test_what_is_applied_already_is_not_applied_again() -> None:
    """After a crash the memo itself tells how much."""
    wanted = credit(id="12", invoice="7", applied=Decimal(4))
    some = {"RemainingCredit": 7.00, "AccordAppliedTo": [{"invoice": "7", "amount": "3"}]}
    all_of_it = {"RemainingCredit": 6.00, "AccordAppliedTo": [{"invoice": "7", "amount": "4"}]}
    rest = step(wanted, memo(**some))

    assert rest is not None
    assert [one["Amount"] for one in rest.body["Line"]] == ["1.0", "1.0"]
    assert step(wanted, memo(**all_of_it)) is None
    assert step(credit(id="12"), memo()) is None


@pytest.mark.parametrize(
    ("remaining", "applied"),
    [(5.00, [{"invoice": "7", "amount": "5"}]), (6.00, [{"invoice": "8", "amount": "4"}])],
)
def test_a_credit_that_somebody_applied_otherwise_is_held(remaining: float, applied: list[dict[str, str]]) -> None:
    """QuickBooks can do so by itself; more is never piled on top."""
    wanted = credit(id="12", invoice="7", applied=Decimal(4))

    assert refused(wanted, memo(RemainingCredit=remaining, AccordAppliedTo=applied)).field == "applied"


def test_a_credit_applied_to_no_invoice_needs_a_person() -> None:
    """There is nothing to link it to."""
    assert refused(credit(id="12", applied=Decimal(4)), memo()).field == "invoice"


# ---- what follows ----------------------------------------------------------------------------------


def test_a_copy_that_agrees_needs_nothing() -> None:
    """Whatever is paid of it: that is told by payments."""
    assert step(invoice(), form()) is None
    assert step(invoice(), form(Balance=3.00)) is None
    assert step(invoice(number=""), form(DocNumber="1001")) is None
    assert step(payment(), received(TotalAmt=10.00)) is None
    assert step(credit(), memo()) is None


@pytest.mark.parametrize(
    ("switched", "also"),
    [
        ({"AllowOnlineCreditCardPayment": True}, {}),
        ({"AllowOnlineACHPayment": True, "EmailStatus": "EmailSent"}, {}),
        ({"EmailStatus": "NeedToSend"}, {"EmailStatus": "NotSet"}),
    ],
)
@pytest.mark.parametrize("differs", [{}, {"Line": [sold("11.00")], "TotalAmt": 11.0, "Balance": 11.0}])
def test_a_copy_that_somebody_made_payable_is_payable_no_more(
    switched: dict[str, Any], also: dict[str, str], differs: dict[str, Any]
) -> None:
    """Whatever else was edited: an invoice has one collector. What was mailed already stays told as mailed."""
    found = step(invoice(id="3"), {**form(Id="3", SyncToken="4"), **switched, **differs})
    assert found is not None
    assert (found.action, found.adds) == ("update", False)
    off = {"AllowOnlineCreditCardPayment": False, "AllowOnlineACHPayment": False}
    assert found.body == {"Id": "3", "SyncToken": "4", "sparse": True, **off, **also}


def test_a_void_copy_is_left_as_it_is() -> None:
    """Nobody pays a void invoice."""
    there = {**form(Id="3", TotalAmt=0, Balance=0, PrivateNote="Voided", Line=[]), "AllowOnlineACHPayment": True}
    assert step(invoice(id="3", status="void"), there) is None


@pytest.mark.parametrize("document", [invoice(status="void"), payment(status="void"), credit(status="void")])
def test_what_is_void_and_was_never_here_needs_no_copy(document: Document) -> None:
    """It never was in these books."""
    assert step(document) is None


def test_a_payment_that_failed_is_not_booked_and_one_that_was_booked_is_voided() -> None:
    """It may succeed later: then it is booked."""
    assert refused(payment(status="failed")).field == "status"
    assert step(payment(status="failed"), received()) == Step(action="void", body={"Id": "12", "SyncToken": "4"})


TAKEN = Dispute(id="du_1", status="lost", amount=Decimal(4), withdrawn=Decimal(4))


@pytest.mark.parametrize(
    ("document", "there", "field", "booked", "amount"),
    [
        (payment(refunded=Decimal(3)), received(), "refunded", {}, "3"),
        (payment(refunded=Decimal(3)), received(), "refunded", {"refunded": Decimal(1)}, "2"),
        (payment(), received(), "refunded", {"refunded": Decimal(1)}, "-1"),
        (payment(disputes=(TAKEN,)), received(), "charged_back", {}, "4"),
        (payment(disputes=(TAKEN,), refunded=Decimal(3)), received(), "charged_back", {"refunded": Decimal(3)}, "4"),
        (payment(), received(), "charged_back", {"charged_back": Decimal(4)}, "-4"),
        (credit(refunded=Decimal(1)), memo(), "refunded", {}, "1"),
    ],
)
def test_what_went_back_is_held_with_what_a_person_books(
    document: Document, there: dict[str, Any], field: str, booked: dict[str, Decimal], amount: str
) -> None:
    """Once the copy is there: so much more or less than is booked, out of the deposit account, and then it agrees."""
    assert step(document) is not None, "what came in is booked first"
    wanted = WantedDocument(document=document, mark=MARK, by_hand=booked)
    raw = json.dumps(there).encode()
    with pytest.raises(ByHandError) as asked:
        QuickBooksDocuments(US).step(wanted, raw)
    error = asked.value
    assert (error.field, error.amount, error.currency) == (field, Decimal(amount), "USD")
    assert (error.account, error.covers) == (US.deposit_account, getattr(document, field))
    done = WantedDocument(document=document, mark=MARK, by_hand={**booked, field: error.covers})
    assert QuickBooksDocuments(US).step(done, raw) is None


def test_a_void_is_a_void_never_a_delete() -> None:
    """A deleted invoice leaves a gap in the numbers and no trace."""
    assert step(invoice(status="void"), form()) == Step(action="void", body={"Id": "12", "SyncToken": "4"})
    assert step(payment(status="void"), received()) == Step(action="void", body={"Id": "12", "SyncToken": "4"})
    assert step(payment(status="failed", refunded=Decimal(1)), received()) is not None


def test_an_invoice_that_something_settles_is_not_voided() -> None:
    """Its payment would lie about unapplied, or be settled against the next invoice by somebody."""
    error = refused(invoice(status="void"), form(Balance=4.00))

    assert (error.field, "6.0 of it" in error.problem) == ("status", True)


VOIDED = {"TotalAmt": 0, "Balance": 0, "PrivateNote": "Voided", "Line": []}


def test_what_is_void_in_both_needs_nothing() -> None:
    """The marker may be gone from its note: it is known by its id."""
    assert step(invoice(status="void"), form(**VOIDED)) is None
    assert step(payment(status="void"), received(**VOIDED)) is None
    assert step(credit(status="void", refunded=Decimal(1)), memo(**{**VOIDED, "RemainingCredit": 0})) is None


@pytest.mark.parametrize(
    ("document", "there", "through", "is_refused"),
    [
        (invoice(), None, date(2026, 11, 1), True),
        (invoice(), None, date(2026, 10, 31), False),
        (payment(), None, date(2026, 11, 5), True),
        (credit(applied=Decimal(4), invoice="9"), memo(), date(2026, 11, 1), True),
        (invoice(status="void"), form(), date(2026, 11, 1), True),
        # somebody gave the copy another day: that one counts, too
        (invoice(status="void", issued_on=date(2026, 12, 1)), form(), date(2026, 11, 1), True),
        (invoice(), form(AllowOnlineACHPayment=True), date(2026, 11, 1), True),
    ],
)
def test_nothing_is_written_into_a_closed_period(
    document: Document, there: dict[str, Any] | None, through: date, *, is_refused: bool
) -> None:
    """Neither made, changed, applied nor voided: on the closing date itself, and before it."""
    wanted = WantedDocument(document=document, mark=MARK, closed_through=through)
    raw = json.dumps(there).encode() if there else None
    if is_refused:
        with pytest.raises(RejectedError) as caught:
            QuickBooksDocuments(US).step(wanted, raw)
        assert (caught.value.field, caught.value.problem) == ("issued_on", f"books closed through {through}")
    else:
        assert QuickBooksDocuments(US).step(wanted, raw) is not None


def test_what_is_booked_as_it_should_be_is_no_matter_of_closed_books() -> None:
    """There is nothing to write."""
    wanted = WantedDocument(document=invoice(), mark=MARK, closed_through=date(2026, 12, 31))
    assert QuickBooksDocuments(US).step(wanted, json.dumps(form()).encode()) is None


def test_a_credit_memo_is_voided_by_hand() -> None:
    """The API has no way to."""
    assert "by hand" in str(refused(credit(status="void"), memo()))


@pytest.mark.parametrize(
    ("document", "there"),
    [(invoice(), form(**VOIDED)), (payment(), received(**VOIDED)), (credit(), memo(**VOIDED, RemainingCredit=0))],
)
def test_a_copy_that_a_person_voided_is_held(document: Document, there: dict[str, Any]) -> None:
    """Made again, it would be there twice in somebody's eyes."""
    assert refused(document, there).field == "status"


@pytest.mark.parametrize(
    ("document", "there", "field"),
    [
        (invoice(), form(TotalAmt=9.99, Balance=9.99, Line=[sold("9.99")]), "total"),
        (invoice(), form(TxnTaxDetail={"TotalTax": 1}, Line=[sold("9.00")]), "tax"),
        (invoice(), form(CurrencyRef={"value": "EUR"}), "currency"),
        (invoice(), form(CustomerRef={"value": "4"}), "customer"),
        (invoice(), form(DocNumber="1001"), "number"),
        (credit(), memo(TotalAmt=9.99, RemainingCredit=9.99, Line=[sold("9.99")]), "total"),
        (payment(), received(TotalAmt=9.99), "amount"),
        (payment(), received(CurrencyRef={"value": "EUR"}), "currency"),
        (payment(), received(CustomerRef={"value": "4"}), "customer"),
        (payment(), received(Line=[links(1, ("Invoice", "9"))]), "applications"),
    ],
)
def test_a_copy_that_differs_is_held_never_overwritten(document: Document, there: dict[str, Any], field: str) -> None:
    """Somebody edited it, or a setting is wrong: either way a person must know."""
    assert refused(document, there).field == field


def test_what_a_payment_settles_later_is_added() -> None:
    """The update carries the SyncToken, and states the whole: done twice it is the same."""
    wanted = payment(
        applications=(Application(invoice="7", amount=Decimal(6)), Application(invoice="8", amount=Decimal(4)))
    )

    assert step(wanted, received(Line=[links(6, ("Invoice", "7"))])) == Step(
        action="apply",
        body={
            "Id": "12",
            "SyncToken": "4",
            "sparse": True,
            "CustomerRef": {"value": "3"},
            "CurrencyRef": {"value": "USD"},
            "TotalAmt": "10.00",
            "Line": [
                {"Amount": "6", "LinkedTxn": [{"TxnId": "7", "TxnType": "Invoice"}]},
                {"Amount": "4", "LinkedTxn": [{"TxnId": "8", "TxnType": "Invoice"}]},
            ],
        },
    )


def test_an_uncollectible_invoice_is_written_off_by_a_bookkeeper() -> None:
    """QuickBooks has no such state; once it was written off there, both agree."""
    lost = invoice(status="uncollectible", written_off=Decimal(10), due=Decimal(0))

    assert refused(lost, form()).field == "status"
    assert step(lost, form(Balance=0)) is None
    assert step(lost) is not None


# ---- what is read ----------------------------------------------------------------------------------


def test_an_invoice_of_a_person_is_read_to_the_cent() -> None:
    """Discount and tax of the whole form are divided among its lines, so that every sum holds."""
    detail = {"Qty": 3, "UnitPrice": 3.33, "TaxCodeRef": {"value": "TAX"}, "ServiceDate": "2026-10-31"}
    told = form(
        PrivateNote=None,
        Line=[
            sold("9.99", Description="Seats", detail=detail),
            sold("5.01", Id="2", detail={"TaxCodeRef": {"value": "NON"}}),
            {"Id": "3", "DetailType": "DescriptionOnly", "Description": "Thanks"},
            {"Amount": 15.00, "DetailType": "SubTotalLineDetail"},
            {"Amount": 1.00, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": False}},
        ],
        TxnTaxDetail={"TotalTax": 0.77},
        TotalAmt=14.77,
        Balance=4.77,
        CustomerMemo={"value": "Hello"},
        AllowOnlineACHPayment=True,
    )
    remote = QuickBooksDocuments(US).read("invoice", json.dumps(told).encode())

    assert (remote.mark, remote.version, remote.collects) == (None, "4", True)
    assert remote.document == Invoice(
        id="12",
        number="INV-7",
        customer="3",
        currency="USD",
        status="open",
        issued_on=DAY,
        due_on=date(2026, 11, 15),
        lines=(
            Line(
                id="1",
                description="Seats",
                product="1",
                quantity=Decimal(3),
                unit_amount=Decimal("3.33"),
                amount=Decimal("9.99"),
                discount=Decimal("0.67"),
                tax=Decimal("0.77"),
                period_start=date(2026, 10, 31),
            ),
            Line(id="2", product="1", amount=Decimal("5.01"), discount=Decimal("0.33"), tax=Decimal("0.00")),
            Line(id="3", description="Thanks", amount=Decimal(0), discount=Decimal("0.00"), tax=Decimal("0.00")),
        ),
        subtotal=Decimal("15.00"),
        discount=Decimal("1.00"),
        tax=Decimal("0.77"),
        total=Decimal("14.77"),
        paid=Decimal("10.00"),
        due=Decimal("4.77"),
        memo="Hello",
    )


def test_lines_of_a_group_are_read_each() -> None:
    """A bundle's own amount is their sum."""
    group = {"Line": [sold("4.00"), sold("6.00", Id="2")]}
    found = read("invoice", form(Line=[{"Amount": 10, "DetailType": "GroupLineDetail", "GroupLineDetail": group}]))

    assert [one.amount for one in found.lines] == [Decimal("4.0"), Decimal("6.0")]


def test_tax_of_lines_that_are_all_called_untaxed_is_divided_all_the_same() -> None:
    """The total is what counts, and it has a tax."""
    told = form(Line=[sold("9.00", detail={"TaxCodeRef": {"value": "NON"}})], TxnTaxDetail={"TotalTax": 1.00})

    assert [one.tax for one in read("invoice", told).lines] == [Decimal("1.00")]


def test_a_line_that_takes_away_has_no_part_of_tax_and_discount() -> None:
    """Divided by negative weights, the others would have more than there is."""
    discount = {"DetailType": "DiscountLineDetail", "Amount": 1}
    told = form(
        Line=[sold("10.00"), sold("-4.00", Id="2"), discount], TxnTaxDetail={"TotalTax": 2}, TotalAmt=7, Balance=7
    )

    assert [(str(one.discount), str(one.tax)) for one in read("invoice", told).lines] == [
        ("1.00", "2.00"),
        ("0.00", "0.00"),
    ]


def test_lines_of_our_own_copies_are_folded_back() -> None:
    """A discount below its line, and the cent that makes up for QuickBooks' rounding."""
    lines = [
        sold("10.00"),
        sold("-1.00", Id="2", Description=own_words("Discount on the line above", MARK)),
        sold("0.01", Id="3", Description=own_words("Rounding of tax", MARK)),
    ]
    told = form(Line=lines, TxnTaxDetail={"TotalTax": 1.71}, TotalAmt=10.72, Balance=10.72)
    found = read("invoice", told)
    of_a_person = read("invoice", {**told, "PrivateNote": "mine"})

    assert (found.subtotal, found.discount, found.tax, len(found.lines)) == (
        Decimal("10.0"),
        Decimal("1.0"),
        Decimal("1.72"),
        1,
    )
    assert (of_a_person.subtotal, of_a_person.discount, len(of_a_person.lines)) == (Decimal("9.01"), Decimal(0), 3)
    first = form(Line=[sold("10.00", Description=own_words("Discount on the line above", MARK))])
    assert len(read("invoice", first).lines) == 1


@pytest.mark.parametrize("words", ["Rounding of tax", "Discount on the line above"])
def test_a_line_that_the_origin_calls_as_we_call_ours_is_a_line(words: str) -> None:
    """By its words alone it was taken for tax, and the copy was held for a tax that nobody wrote."""
    wanted = invoice(line("10.00", id="a", tax="1.00"), line("5.00", id="b", description=words))
    lines = [sold("10.00", Description="Seats"), sold("5.00", Id="2", Description=words)]
    there = form(Line=lines, TxnTaxDetail={"TotalTax": 1}, TotalAmt=16, Balance=16)

    assert [one.get("Description") for one in body_of(wanted)["Line"]] == ["Seats", words]
    assert step(wanted, there) is None
    assert [one.description for one in read("invoice", there).lines] == ["Seats", words]
    assert len(read("invoice", form(Line=[sold("10.00", Description=words)])).lines) == 1
    of_another = form(Line=[sold("9.00"), sold("1.00", Id="2", Description=own_words(words, "one.other.1"))])
    assert len(read("invoice", of_another).lines) == 2, "a form that somebody copied from another copy"


@pytest.mark.parametrize(("balance", "status"), [(10.00, "open"), (4.00, "open"), (0, "paid"), (None, "open")])
def test_the_status_follows_from_the_balance(balance: float | None, status: str) -> None:
    """QuickBooks has no word for it."""
    assert read("invoice", form(Balance=balance)).status == status


def test_what_was_paid_with_the_invoice_itself_is_not_taken_for_a_payment() -> None:
    """`Deposit` lowers the balance without a Payment: the invoice was paid, and nobody could say by what."""
    told = form(Deposit=4, Balance=6, PrivateNote="mine")

    problem = unreadable("invoice", told)
    assert "Deposit is 4" in problem
    assert "record a payment of the invoice instead" in problem
    assert read("invoice", {**told, "Deposit": 0, "Balance": 10}).due == Decimal(10)
    assert "is no amount" in unreadable("invoice", {**told, "Deposit": 1e99})
    assert read("invoice", {**told, "PrivateNote": NOTE}).paid == Decimal(4), "of a copy its balance is compared"


def test_a_voided_one_keeps_its_place_and_loses_its_amounts() -> None:
    """A zero invoice alone is not void."""
    assert read("invoice", form(**VOIDED)).status == "void"
    assert read("invoice", form(**{**VOIDED, "PrivateNote": "free"})).status == "paid"
    assert read("payment", received(**VOIDED, ReferencesNothing=1)).status == "void"
    assert read("credit_note", memo(**VOIDED, RemainingCredit=0)).status == "void"


def test_a_credit_memo_tells_which_invoice_it_settles() -> None:
    """The connector adds it to the bytes; QuickBooks tells it of payments only."""
    applied = [{"invoice": "7", "amount": "1.00"}, {"invoice": "7", "amount": "3.00"}]
    found = read("credit_note", memo(RemainingCredit=6.00, AccordAppliedTo=applied, CustomerMemo={"value": "Sorry"}))

    assert (found.invoice, found.applied, found.reason) == ("7", Decimal("4.0"), "Sorry")
    assert read("credit_note", memo(RemainingCredit=None, Balance=10.00)).applied == 0
    assert read("credit_note", memo(RemainingCredit=None)).applied == 0


def test_a_payment_of_a_person_is_read_with_every_invoice() -> None:
    """Only the first linked invoice was looked at, and the others stayed open for ever."""
    told = received(
        TotalAmt=10.00,
        PaymentRefNum="CHK",
        PaymentMethodRef={"value": "2", "name": "Check"},
        Line=[links(3, ("Invoice", "7")), links(4, ("Invoice", "8")), links(1, ("Invoice", "7"))],
    )
    found = read("payment", told)

    assert found.applications == (
        Application(invoice="7", amount=Decimal(4)),
        Application(invoice="8", amount=Decimal(4)),
    )
    assert (found.amount, found.method, found.reference, found.received_on) == (Decimal("10.0"), "Check", "CHK", DAY)


def test_what_credits_settle_in_a_payment_is_not_its_money() -> None:
    """An invoice of 10 paid with 7 and a credit of 3 is not paid with 10."""
    told = received(
        TotalAmt=7.00, Line=[links(2, ("Invoice", "7")), links(8, ("Invoice", "8")), links(3, ("CreditMemo", "9"))]
    )

    less = {**told, "TotalAmt": 9.00, "Line": [*told["Line"][:2], links(1, ("CreditMemo", "9"))]}

    assert read("payment", told).applications == (Application(invoice="8", amount=Decimal(7)),)
    assert read("payment", less).applications == (
        Application(invoice="7", amount=Decimal(1)),
        Application(invoice="8", amount=Decimal(8)),
    )


@pytest.mark.parametrize(
    ("kind", "told", "why"),
    [
        ("invoice", b"[]", "not a QuickBooks transaction"),
        ("invoice", b"\xff", "not a QuickBooks transaction"),
        ("invoice", form(Id=""), "no Id"),
        ("invoice", form(TotalAmt=11.00), "total"),
        ("invoice", form(Balance=-1), "due"),
        ("invoice", form(Line=[]), "subtotal|total"),
        ("invoice", form(Line=[], TxnTaxDetail={"TotalTax": 10}), "without any line"),
        ("invoice", form(Line=[{"DetailType": "TaxLineDetail", "Amount": 10}]), "unknown kind"),
        ("invoice", form(CurrencyRef=None), "CurrencyRef"),
        ("invoice", form(TxnDate="soon"), "TxnDate"),
        ("invoice", form(TxnTaxDetail={"TotalTax": 0.005}, TotalAmt=10.005), "smallest unit"),
        (
            "invoice",
            form(CurrencyRef={"value": "JPY"}, Line=[sold("9.50")], TotalAmt=9.5, Balance=9.5),
            "smallest unit",
        ),
        ("invoice", json.dumps(form(Balance="NaN")).encode(), "Balance is NaN"),
        ("invoice", form(Line=[{**sold("1"), "Amount": 1e15}]), "Amount is"),
        ("invoice", form(Line=[sold("10", detail={"Qty": 1e-13, "UnitPrice": 1})]), "Qty is"),
        ("credit_note", memo(RemainingCredit=6.00), "payments tell of 0"),
        (
            "credit_note",
            memo(
                RemainingCredit=6.00,
                AccordAppliedTo=[{"invoice": "7", "amount": "1"}, {"invoice": "8", "amount": "3"}],
            ),
            "several invoices: 7, 8",
        ),
        ("payment", received(TotalAmt=0, Line=[links(1, ("Invoice", "7")), links(1, ("CreditMemo", "9"))]), "no money"),
        ("payment", received(Line=[links(1, ("JournalEntry", "7"))]), "JournalEntry"),
        ("payment", received(Line=[links(1)]), "nothing"),
        ("payment", received(Line=[links(1, ("Invoice", "7"), ("Invoice", "8"))]), "linked to"),
        ("payment", received(Line=[links(1, ("Invoice", "7")), links(2, ("CreditMemo", "9"))]), "credits of"),
        ("payment", received(Line=[links(11, ("Invoice", "7"))]), "applications"),
        (
            "payment",
            received(Line=[links(4, ("Invoice", "7"))], UnappliedAmt=2),
            "settles no invoice, but UnappliedAmt is 2",
        ),
        ("payment", received(UnappliedAmt="NaN"), "UnappliedAmt|amount"),
    ],
)
def test_what_does_not_add_up_is_not_read(kind: str, told: Any, why: str) -> None:
    """A wrong number taken over is money."""
    assert any(one in unreadable(kind, told) for one in why.split("|"))


@pytest.mark.parametrize("note", ["accord:booked", "back in May, Accord:Booked by Ann"])
def test_a_payment_whose_rest_a_person_booked_settles_what_it_is_linked_to(note: str) -> None:
    """What went out of it, by a cheque or unseen, is outside of it then; the invoice is settled once all the same."""
    lines = [links(6, ("Invoice", "7")), links(1, ("Check", "8"))]
    payment = read("payment", received(Line=lines, UnappliedAmt=2, PrivateNote=note))
    assert [(one.invoice, one.amount) for one in payment.applications] == [("7", Decimal(6))]
    assert payment.amount == Decimal(10)


@pytest.mark.parametrize("note", ["", "accord:", "accord:a.b", "accord:a.b.c", "accord:a.b.1234567890", "a.b.1"])
def test_a_note_without_a_marker_of_ours_marks_nothing(note: str) -> None:
    """People write notes too."""
    assert QuickBooksDocuments(US).read("invoice", json.dumps(form(PrivateNote=note)).encode()).mark is None


def test_a_marker_is_found_wherever_it_stands() -> None:
    """People add to the note."""
    told = json.dumps(form(PrivateNote=f"call them\n{NOTE} (checked)")).encode()

    assert QuickBooksDocuments(US).read("invoice", told).mark == MARK
