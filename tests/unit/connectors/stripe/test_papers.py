# ruff: noqa: D103 -- `world` is made in conftest, which tests cannot import
"""The look-alike's documents: as strict as Stripe, so that a naive client fails here first."""

from collections.abc import Mapping
from typing import Any

import pytest

from connectors.stripe.sandbox import StripeSettings

CUSTOMER = "cus"


@pytest.fixture
def customer(world: Any) -> str:
    found: str = world.stripe.edit("customer", None, {"name": "A"})
    return found


def post(world: Any, path: str, form: Mapping[str, Any] | None = None, **headers: str) -> tuple[int, Any]:
    status, body, _ = world.call("POST", f"/v1/{path}", form, **headers)
    return status, body


def made(world: Any, customer: str, **form: Any) -> Any:
    status, body = post(world, "invoices", {"customer": customer, "currency": "eur", **form})
    assert status == 200, body
    return body


def with_lines(world: Any, customer: str, amount: int = 1000, **form: Any) -> Any:
    draft = made(world, customer, **form)
    status, body = post(world, f"invoices/{draft['id']}/add_lines", {"lines[0][amount]": str(amount)})
    assert status == 200, body
    return body


def opened(world: Any, customer: str, amount: int = 1000) -> Any:
    draft = with_lines(world, customer, amount)
    status, body = post(world, f"invoices/{draft['id']}/finalize")
    assert status == 200, body
    return body


def refused(answer: tuple[int, Any]) -> tuple[int, str | None, str | None]:
    status, body = answer
    return status, body["error"].get("code"), body["error"].get("param")


def told(world: Any) -> list[str]:
    return [event.type for event in world.stripe._account.events.values()]


# ---- drafts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"customer": ""}, "customer"),
        ({"customer": "cus_none"}, "customer"),
        ({"currency": "euro"}, "currency"),
        ({"colour": "x"}, "colour"),
        ({"from_invoice[invoice]": "in_1"}, "from_invoice"),
        ({"pending_invoice_items_behavior": "include"}, "pending_invoice_items_behavior"),
        ({"collection_method": "mail"}, "collection_method"),
        ({"collection_method": "send_invoice"}, "days_until_due"),
        ({"days_until_due": "3"}, "days_until_due"),
        ({"collection_method": "send_invoice", "days_until_due": "3", "due_date": "9999999999"}, "due_date"),
        ({"collection_method": "send_invoice", "days_until_due": "-3"}, "days_until_due"),
        ({"collection_method": "send_invoice", "due_date": "1700000000"}, "due_date"),
        ({"number": "n" * 27}, "number"),
        ({"description": "n" * 1501}, "description"),
        ({"auto_advance": "maybe"}, "auto_advance"),
    ],
)
def test_a_draft_that_stripe_would_refuse_is_refused(world: Any, customer: str, form: Any, param: str) -> None:
    """A due date in the past among them: copies of old invoices need another way."""
    answer = post(world, "invoices", {"customer": customer, "currency": "eur", **form})
    assert (answer[0], answer[1]["error"]["param"]) == (400, param)
    assert world.stripe.objects("invoice") == {}


def test_the_first_invoice_fixes_the_currency_of_its_customer(world: Any, customer: str) -> None:
    """From then on another one is refused."""
    assert made(world, customer)["currency"] == "eur"
    assert world.stripe.objects("customer")[customer]["currency"] == "eur"
    assert refused(post(world, "invoices", {"customer": customer, "currency": "usd"})) == (400, None, "currency")
    assert post(world, "invoices", {"customer": customer})[1]["currency"] == "eur"
    with pytest.raises(ValueError, match="billed in eur"):
        world.stripe.edit("invoice", None, {"customer": customer, "currency": "USD"})


@pytest.mark.parametrize(
    ("line", "param"),
    [
        ({"description": "x"}, "lines[0][amount]"),
        ({"amount": "1.5"}, "lines[0][amount]"),
        ({"amount": "5", "quantity": "2"}, "lines[0][quantity]"),
        ({"amount": "5", "tax_rates": "x"}, "lines[0][tax_rates]"),
        ({"amount": "5", "colour": "x"}, "lines[0][colour]"),
        ({"amount": "5", "period[start]": "5", "period[end]": "4"}, "lines[0][period]"),
        ({"price_data[currency]": "eur", "price_data[product]": "plan"}, "lines[0][price_data][product]"),
        ({"price_data[currency]": "usd", "price_data[product]": "prod_1"}, "lines[0][price_data][currency]"),
        (
            {"price_data[currency]": "eur", "price_data[product]": "prod_1", "price_data[unit_amount]": "x"},
            "lines[0][price_data][unit_amount]",
        ),
        (
            {"price_data[currency]": "eur", "price_data[product]": "prod_1", "price_data[unit_amount]": "-1"},
            "lines[0][price_data][unit_amount]",
        ),
        ({"amount": "5", "tax_amounts[0][amount]": "1"}, "lines[0][tax_amounts][0][taxable_amount]"),
        (
            {"amount": "5", "tax_amounts[0][amount]": "-1", "tax_amounts[0][taxable_amount]": "5",
             "tax_amounts[0][tax_rate_data][display_name]": "x"},
            "lines[0][tax_amounts][0][amount]",
        ),
        (
            {"amount": "5", "tax_amounts[0][amount]": "1", "tax_amounts[0][taxable_amount]": "5",
             "tax_amounts[0][tax_rate_data][display_name]": "x"},
            "lines[0][tax_amounts][0][tax_rate_data][inclusive]",
        ),
        ({"amount": "5"} | {f"tax_amounts[{n}][amount]": "1" for n in range(21)}, "lines[0][tax_amounts]"),
    ],
)  # fmt: skip
def test_a_line_that_stripe_would_refuse_is_refused(world: Any, customer: str, line: Any, param: str) -> None:
    """All lines of a call or none of them."""
    draft = made(world, customer)["id"]
    form = {f"lines[0][{name.split('[')[0]}]{name[len(name.split('[')[0]) :]}": value for name, value in line.items()}
    answer = post(world, f"invoices/{draft}/add_lines", {**form, "lines[1][amount]": "7"})
    assert (answer[0], answer[1]["error"]["param"]) == (400, param)
    assert world.stripe.objects("invoice")[draft]["lines"]["data"] == []


def test_lines_are_added_by_the_call_and_not_by_more(world: Any, customer: str) -> None:
    """Two hundred and fifty at once."""
    draft = made(world, customer)["id"]
    form = {f"lines[{place}][amount]": "1" for place in range(251)}
    assert refused(post(world, f"invoices/{draft}/add_lines", form)) == (400, None, "lines")
    assert refused(post(world, f"invoices/{draft}/add_lines", {"lines": "x"}))[0] == 400
    assert refused(post(world, f"invoices/{draft}/add_lines", {"lines[0]": "x"}))[2] == "lines[0]"
    assert refused(post(world, f"invoices/{draft}/add_lines", {"invoice_metadata[a]": "x"}))[2] == "invoice_metadata"
    del form["lines[250][amount]"]
    body = post(world, f"invoices/{draft}/add_lines", form)[1]
    assert (body["total"], len(body["lines"]["data"]), body["lines"]["has_more"]) == (250, 10, True)
    after = body["lines"]["data"][-1]["id"]
    page = world.call("GET", f"/v1/invoices/{draft}/lines", {"limit": "100", "starting_after": after})[1]
    assert (len(page["data"]), page["has_more"]) == (100, True)
    bad = world.call("GET", f"/v1/invoices/{draft}/lines", {"starting_after": "il_none"})
    assert bad[1]["error"]["code"] == "resource_missing"


def test_an_amount_that_a_currency_does_not_know_is_refused(world: Any, customer: str) -> None:
    """Three decimals, of which two are used; krónur that are whole, with two zeros."""
    draft = made(world, customer, currency="kwd")["id"]
    answer = post(world, f"invoices/{draft}/add_lines", {"lines[0][amount]": "1005"})
    assert refused(answer) == (400, "parameter_invalid_integer", "lines[0][amount]")
    with pytest.raises(ValueError, match="no amount in isk"):
        world.stripe.edit("invoice", None, {
            "customer": world.stripe.edit("customer", None, {"name": "B"}), "currency": "ISK",
            "lines": [{"amount": "1.50"}],
        })  # fmt: skip


def test_a_key_makes_one_invoice_and_its_lines_once(world: Any, customer: str) -> None:
    """And not, if the key is another one: a retry without keys doubles the bill."""
    form = {"customer": customer, "currency": "eur"}
    first, again = (post(world, "invoices", form, idempotency_key="a")[1]["id"] for _ in range(2))
    assert first == again
    for key in ("b", "b", "c"):
        post(world, f"invoices/{first}/add_lines", {"lines[0][amount]": "100"}, idempotency_key=key)
    assert world.call("GET", f"/v1/invoices/{first}")[1]["total"] == 200
    other = post(world, f"invoices/{first}/add_lines", {"lines[0][amount]": "1"}, idempotency_key="b")
    assert other[1]["error"]["type"] == "idempotency_error"


def test_a_deleted_draft_is_not_there_any_more(world: Any, customer: str) -> None:
    """Unlike a deleted customer, which leaves a stub."""
    draft, final = made(world, customer)["id"], opened(world, customer)["id"]
    assert world.call("DELETE", f"/v1/invoices/{draft}")[1] == {"id": draft, "object": "invoice", "deleted": True}
    assert refused(world.call("GET", f"/v1/invoices/{draft}")[:2]) == (404, "resource_missing", "id")
    assert refused(world.call("DELETE", f"/v1/invoices/{final}")[:2])[1] == "invoice_not_editable"
    assert [one["id"] for one in world.call("GET", "/v1/invoices")[1]["data"]] == [final]
    assert "invoice.deleted" in told(world)
    for kind, remote_id, error in (("invoice", final, ValueError), ("payment", "x", KeyError)):
        with pytest.raises(error):
            world.stripe.delete(kind, remote_id)


# ---- finalising ------------------------------------------------------------------------------------


def test_a_finalised_invoice_has_a_number_and_is_fixed(world: Any, customer: str) -> None:
    """Only what is not about money may still be changed."""
    invoice = opened(world, customer)
    prefix = world.stripe.objects("customer")[customer]["invoice_prefix"]
    assert (invoice["status"], invoice["number"]) == ("open", f"{prefix}-0001")
    assert invoice["hosted_invoice_url"]
    path = f"invoices/{invoice['id']}"
    for answer in (
        post(world, f"{path}/add_lines", {"lines[0][amount]": "5"}), post(world, f"{path}/finalize"),
        post(world, path, {"number": "B"}), post(world, path, {"effective_at": "5"}),
    ):  # fmt: skip
        assert refused(answer)[:2] == (400, "invoice_not_editable")
    assert post(world, path, {"description": "d", "metadata[a]": "b"})[1]["description"] == "d"
    assert opened(world, customer)["number"] == f"{prefix}-0002"


def test_a_number_is_given_once(world: Any, customer: str) -> None:
    """By whomever; one that Stripe would draw itself, too."""
    draft, prefix = with_lines(world, customer)["id"], world.stripe.objects("customer")[customer]["invoice_prefix"]
    made(world, customer, number=f"{prefix}-0001")
    assert refused(post(world, f"invoices/{draft}/finalize"))[2] == "number"
    made(world, customer, number="A-1")
    assert refused(post(world, "invoices", {"customer": customer, "number": "A-1"})) == (400, None, "number")
    with pytest.raises(ValueError, match="A-1"):
        world.stripe.edit("invoice", None, {"customer": customer, "currency": "EUR", "number": "A-1"})


def test_a_draft_that_advances_by_itself_is_finalised_and_mailed_within_the_hour(world: Any, customer: str) -> None:
    """A draft that is half made must not advance."""
    send: dict[str, Any] = {"collection_method": "send_invoice", "days_until_due": "3"}
    going = with_lines(world, customer, auto_advance="true", **send)["id"]
    staying = with_lines(world, customer, auto_advance="false", **send)["id"]
    world.clock.time += 3599
    assert world.stripe.neutral("invoice")[going]["status"] == "draft"
    world.clock.time += 1
    truth = world.stripe.neutral("invoice")
    assert (truth[going]["status"], truth[staying]["status"]) == ("open", "draft")
    assert world.stripe.ledger.mails == [f"invoice {going}"]
    assert post(world, f"invoices/{staying}/finalize", {"auto_advance": "false"})[0] == 200
    assert len(world.stripe.ledger.mails) == 1
    post(world, f"invoices/{staying}/send")
    assert len(world.stripe.ledger.mails) == 2


@pytest.mark.parametrize(("balance", "due", "left", "status"), [
    (-300, 700, 0, "open"), (-5000, 0, -4000, "paid"), (200, 1200, 0, "open"),
])  # fmt: skip
def test_a_customers_balance_is_spent_on_the_next_invoice(
    world: Any, customer: str, balance: int, due: int, left: int, status: str
) -> None:
    """Whoever copies an invoice without looking spends a customer's money."""
    world.stripe.edit("customer", customer, {"extra": {"balance": balance}})
    invoice = opened(world, customer)
    assert (invoice["amount_due"], invoice["status"], invoice["total"]) == (due, status, 1000)
    assert world.stripe.objects("customer")[customer]["balance"] == left
    truth = world.stripe.neutral("invoice")[invoice["id"]]
    assert float(truth["credited"]) * 100 == 1000 - due


def test_less_than_nothing_goes_to_the_customers_balance(world: Any, customer: str) -> None:
    """And the invoice is paid."""
    invoice = opened(world, customer, -500)
    assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)
    assert world.stripe.objects("customer")[customer]["balance"] == -500


def test_an_invoice_of_a_customer_that_was_deleted_still_gets_a_number(world: Any, customer: str) -> None:
    """Customers go, their invoices stay."""
    draft = with_lines(world, customer)["id"]
    world.stripe.delete("customer", customer)
    assert post(world, f"invoices/{draft}/finalize")[1]["number"].endswith("-0001")


# ---- after that ------------------------------------------------------------------------------------


def test_void_and_write_off_are_for_open_invoices(world: Any, customer: str) -> None:
    """A void is for good; what is written off can still be paid."""
    draft, one, other = made(world, customer)["id"], opened(world, customer)["id"], opened(world, customer)["id"]
    for verb in ("void", "mark_uncollectible", "pay", "send"):
        assert refused(post(world, f"invoices/{draft}/{verb}"))[:2] == (400, "invoice_not_editable")
    assert post(world, f"invoices/{one}/void")[1]["status"] == "void"
    expected = world.call("GET", "/v1/invoice_payments", {"invoice": one})[1]["data"]
    assert [payment["status"] for payment in expected] == ["canceled"]
    assert refused(post(world, f"invoices/{one}/void"))[0] == 400
    assert post(world, f"invoices/{other}/mark_uncollectible")[1]["status"] == "uncollectible"
    assert world.stripe.neutral("invoice")[other]["written_off"] == "10.00"
    assert post(world, f"invoices/{other}/pay", {"paid_out_of_band": "true"})[1]["status"] == "paid"
    assert refused(post(world, f"invoices/{other}/void"))[1] == "invoice_already_paid"
    third = opened(world, customer)["id"]
    assert refused(post(world, f"invoices/{third}/pay"))[0] == 402
    world.stripe.edit("invoice", third, {"status": "uncollectible"})
    world.stripe.edit("invoice", third, {"status": "void"})
    for status in ("open", "void", "uncollectible", "paid"):
        with pytest.raises(ValueError, match=r"."):
            world.stripe.edit("invoice", third, {"status": status})


REPORT = {
    "amount_requested[currency]": "eur", "amount_requested[value]": "400", "initiated_at": "1", "outcome": "guaranteed",
    "guaranteed[guaranteed_at]": "1", "payment_method_details[type]": "custom",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"initiated_at": None}, "initiated_at"),
        ({"outcome": "failed"}, "outcome"),
        ({"payment_method_details[type]": "card"}, "payment_method_details[type]"),
        ({"amount_requested[value]": "0"}, "amount_requested[value]"),
        ({"amount_requested[currency]": "EUR"}, "amount_requested[value]"),
        ({"amount_requested[colour]": "red"}, "amount_requested[colour]"),
        ({"colour": "x"}, "colour"),
        ({"metadata": "x"}, "metadata"),
        ({"customer_details[customer]": "cus_none"}, "customer_details[customer]"),
    ],
)
def test_a_report_that_stripe_would_refuse_is_refused(world: Any, changed: Any, param: str) -> None:
    """Nothing is recorded."""
    form = {name: value for name, value in (REPORT | changed).items() if value is not None}
    answer = post(world, "payment_records/report_payment", form)
    assert (answer[0], answer[1]["error"].get("param")) == (400, param)
    assert refused(post(world, "payment_records/report_payment", REPORT | {"guaranteed": "x"}))[0] == 400


def test_a_report_pays_as_much_as_remains(world: Any, customer: str) -> None:
    """Stripe divides it, and does not say so: whoever wants an exact amount reports exactly that."""
    first, second = opened(world, customer, 300)["id"], opened(world, customer)["id"]
    record = post(world, "payment_records/report_payment", REPORT)[1]["id"]
    assert refused(post(world, f"invoices/{first}/attach_payment", {"payment_intent": "pi"}))[2] == "payment_intent"
    assert refused(post(world, f"invoices/{first}/attach_payment", {"payment_record": "x"}))[1] == "resource_missing"
    assert post(world, f"invoices/{first}/attach_payment", {"payment_record": record})[1]["status"] == "paid"
    body = post(world, f"invoices/{second}/attach_payment", {"payment_record": record, "expand[]": "payments"})[1]
    assert (body["amount_paid"], body["amount_remaining"], body["status"]) == (100, 900, "open")
    assert body["payments"]["data"][-1]["payment"] == {"type": "payment_record", "payment_record": record}
    for _ in range(2):
        assert refused(post(world, f"invoices/{second}/attach_payment", {"payment_record": record}))[0] == 400
    third = opened(world, customer)["id"]
    assert refused(post(world, f"invoices/{third}/attach_payment", {"payment_record": record}))[2] == "payment_record"
    dollars = post(world, "payment_records/report_payment", REPORT | {"amount_requested[currency]": "usd"})[1]["id"]
    assert refused(post(world, f"invoices/{third}/attach_payment", {"payment_record": dollars}))[2] == "payment_record"
    assert refused(post(world, f"invoices/{second}/void"))[1] == "invoice_not_editable"
    one = world.call("GET", f"/v1/invoices/{second}", {"expand[]": "amount_paid_off_stripe"})[1]
    assert one["amount_paid_off_stripe"] == 100
    assert "amount_paid_off_stripe" not in world.call("GET", f"/v1/invoices/{second}")[1]
    assert world.call("GET", f"/v1/payment_records/{dollars}")[1]["id"] == dollars
    assert world.call("GET", "/v1/payment_records")[0] == 404


def test_what_is_said_about_a_report_is_changed_key_by_key(world: Any) -> None:
    """And nothing else of it."""
    made = post(world, "payment_records/report_payment", REPORT | {"metadata[one]": "1", "metadata[two]": "2"})[1]
    path = f"payment_records/{made['id']}/report_payment_attempt_informational"
    changed = post(world, path, {"metadata[two]": "3"})[1]
    assert changed == made | {"metadata": {"one": "1", "two": "3"}}
    assert refused(post(world, "payment_records/x/report_payment_attempt_informational"))[0] == 404


def test_a_refund_that_is_reported_has_a_reference_of_its_own(world: Any) -> None:
    """And no more goes back than came in."""
    record = post(world, "payment_records/report_payment", REPORT)[1]["id"]
    path, form = f"payment_records/{record}/report_refund", {"outcome": "refunded"}

    def with_reference(name: str, **more: str) -> dict[str, str]:
        return {**form, "processor_details[custom][refund_reference]": name} | more

    assert refused(post(world, path, form))[2] == "processor_details"
    amount = {"amount[currency]": "eur", "amount[value]": "500"}
    assert refused(post(world, path, with_reference("a", **amount)))[2] == "amount[value]"
    back = post(world, path, with_reference("a", **amount | {"amount[value]": "150"}))[1]
    assert back["amount_refunded"]["value"] == 150
    assert refused(post(world, path, with_reference("a")))[2] == "processor_details[custom][refund_reference]"
    assert post(world, path, with_reference("b"))[1]["amount_refunded"]["value"] == 400


# ---- credit notes ----------------------------------------------------------------------------------

LINE = {"lines[0][type]": "custom_line_item", "lines[0][description]": "x", "lines[0][quantity]": "1"}


def credited(world: Any, of: str, amount: int, **form: str) -> tuple[int, Any]:
    return post(world, "credit_notes", {"invoice": of, **LINE, "lines[0][unit_amount]": str(amount), **form})


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"invoice": "in_none"}, "invoice"), ({"reason": "x"}, "reason"), ({"email_type": "x"}, "email_type"),
        ({"lines[0][type]": "invoice_line_item"}, "lines[0][type]"),
        ({"lines[0][description]": ""}, "lines[0][description]"),
        ({"lines[0][amount]": "5"}, "lines[0][amount]"), ({"lines[0][unit_amount]": "-5"}, "lines[0][unit_amount]"),
        ({"lines[0][unit_amount]": "0"}, "lines"), ({"lines[0][unit_amount]": "1001"}, "lines"),
        ({"out_of_band_amount": "5"}, "out_of_band_amount"), ({"refund_amount": "5"}, "refund_amount"),
        ({"lines[0][tax_amounts][0][tax_rate]": "txr_none"}, "lines[0][tax_amounts][tax_rate]"),
        ({"lines[1]": "x"}, "lines[1]"), ({"lines[0][colour]": "red"}, "lines[0][colour]"),
    ],
)  # fmt: skip
def test_a_credit_note_that_stripe_would_refuse_is_refused(world: Any, customer: str, form: Any, param: str) -> None:
    """It never goes beyond its invoice, nor tells more of a refund than was paid."""
    invoice = opened(world, customer)["id"]
    answer = credited(world, invoice, 100, **form)
    assert (answer[0], answer[1]["error"]["param"]) == (400, param)
    assert world.stripe.objects("credit_note") == {}
    assert refused(post(world, "credit_notes", {"invoice": invoice}))[2] == "lines"
    assert refused(credited(world, made(world, customer)["id"], 5))[2] == "invoice"


def test_a_credit_note_lowers_what_is_due_first_and_tells_where_the_rest_went(world: Any, customer: str) -> None:
    """And mails the customer, unless it is told not to."""
    invoice = opened(world, customer)["id"]
    record = post(world, "payment_records/report_payment", REPORT)[1]["id"]
    post(world, f"invoices/{invoice}/attach_payment", {"payment_record": record})
    first = credited(world, invoice, 100, email_type="none", effective_at="5", reason="duplicate")[1]
    assert (first["type"], first["pre_payment_amount"], first["effective_at"]) == ("pre_payment", 100, 5)
    assert world.stripe.ledger.mails == []
    assert refused(credited(world, invoice, 700))[2] == "out_of_band_amount"
    second = credited(world, invoice, 700, out_of_band_amount="200")[1]
    assert (second["type"], second["pre_payment_amount"], second["post_payment_amount"]) == ("mixed", 500, 200)
    assert world.stripe.ledger.mails == [f"credit_note {second['id']}"]
    truth = world.stripe.neutral("invoice")[invoice]
    assert (truth["status"], truth["credited"], truth["paid"], truth["due"]) == ("paid", "6.00", "4.00", "0.00")
    assert refused(post(world, f"credit_notes/{first['id']}/void"))[0] == 400
    assert second["number"].endswith("-CN-02")
    listed = world.call("GET", "/v1/credit_notes", {"invoice": invoice})[1]["data"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]


def test_what_a_credit_note_puts_on_the_balance_comes_off_the_next_invoice(world: Any, customer: str) -> None:
    """PROVIDERS §5: what was paid, and is credited and not paid back, is the customer's."""

    def balance() -> int:
        return int(world.call("GET", f"/v1/customers/{customer}")[1]["balance"])

    invoice = opened(world, customer)["id"]
    record = post(world, "payment_records/report_payment", REPORT | {"amount_requested[value]": "1000"})[1]["id"]
    post(world, f"invoices/{invoice}/attach_payment", {"payment_record": record})
    elsewhere = credited(world, invoice, 100, out_of_band_amount="100")[1]
    assert (elsewhere["customer_balance_transaction"], balance()) == (None, 0)
    assert refused(credited(world, invoice, 300, credit_amount="200"))[2] == "out_of_band_amount"
    kept = credited(world, invoice, 300, credit_amount="200", out_of_band_amount="100")[1]
    assert kept["customer_balance_transaction"].startswith("cbtxn_")
    assert balance() == -200
    following = opened(world, customer)
    assert (following["starting_balance"], following["ending_balance"]) == (-200, 0)
    assert (following["amount_due"], following["total"], balance()) == (800, 1000, 0)


def test_a_credit_note_of_an_open_invoice_can_be_taken_back(world: Any, customer: str) -> None:
    """Once."""
    invoice = opened(world, customer)["id"]
    note = credited(world, invoice, 100)[1]["id"]
    assert post(world, f"credit_notes/{note}/void")[1]["status"] == "void"
    assert refused(post(world, f"credit_notes/{note}/void"))[0] == 400
    assert world.stripe.neutral("invoice")[invoice]["due"] == "10.00"
    for changes, error in (({"status": "issued"}, ValueError), ({"memo": "x"}, KeyError)):
        with pytest.raises(error):
            world.stripe.edit("credit_note", note, changes)
    other = world.stripe.edit("credit_note", None, {"invoice": invoice, "lines": [{"amount": "1.00"}], "applied": "1"})
    world.stripe.edit("credit_note", other, {"status": "void"})
    assert world.stripe.neutral("credit_note")[other]["status"] == "void"


def test_people_credit_no_more_than_they_may(world: Any, customer: str) -> None:
    """As the dashboard would not let them."""
    invoice = opened(world, customer)["id"]
    for changes in (
        {"lines": [{"amount": "1.00"}], "applied": "0.50"}, {"lines": [{"amount": "1.00"}], "refunded": "1.00"},
        {"lines": [{"amount": "11.00"}]},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            world.stripe.edit("credit_note", None, {"invoice": invoice, **changes})


# ---- people ----------------------------------------------------------------------------------------


def test_people_pay_refund_and_edit_as_the_dashboard_lets_them(world: Any, customer: str) -> None:
    """What it does not is an error, so that a test cannot do what nobody could."""
    invoice = opened(world, customer)["id"]

    def pays(amount: str, part: str, **says: Any) -> str:
        applications = [{"invoice": invoice, "amount": part}]
        found: str = world.stripe.edit(
            "payment", None, {"currency": "EUR", "amount": amount, "applications": applications, **says}
        )
        return found

    for amount, part, says in (("5.00", "4.00", {}), ("11.00", "11.00", {}), ("5.00", "5.00", {"currency": "USD"})):
        with pytest.raises(ValueError, match=r"."):
            pays(amount, part, **says)
    cheque = pays("1.00", "1.00", method="cheque", reference="7", received_on="2026-11-01")
    card = pays("9.00", "9.00")
    truth = world.stripe.neutral("payment")
    assert (truth[cheque]["received_on"], truth[card]["status"]) == ("2026-11-01", "succeeded")
    assert len(truth) == 2
    for remote_id, back in ((cheque, "0.50"), (card, "2.00")):
        world.stripe.edit("payment", remote_id, {"refunded": back})
        for odd in ("0.10", "99.00"):
            with pytest.raises(ValueError, match="taken back"):
                world.stripe.edit("payment", remote_id, {"refunded": odd})
        assert world.stripe.neutral("payment")[remote_id]["refunded"] == back


def test_people_edit_what_can_still_be_edited(world: Any, customer: str) -> None:
    """A memo always, lines of a draft, and nothing that Stripe has no place for."""
    open_one = opened(world, customer)["id"]
    (expected,) = [one for one, said in world.stripe.neutral("payment").items() if said["status"] == "pending"]
    with pytest.raises(ValueError, match="nothing was paid"):
        world.stripe.edit("payment", expected, {"refunded": "1.00"})
    world.stripe.edit("invoice", open_one, {"memo": "m", "metadata": {"a": "b"}})
    with pytest.raises(ValueError, match="no longer editable"):
        world.stripe.edit("invoice", open_one, {"lines": []})
    with pytest.raises(KeyError):
        world.stripe.edit("invoice", open_one, {"colour": "red"})
    with pytest.raises(ValueError, match="negative"):
        world.stripe.edit("invoice", None, {"customer": customer, "currency": "EUR", "lines": [
            {"quantity": "-1", "unit_amount": "1"}]})  # fmt: skip
    part_paid = opened(world, customer)["id"]
    world.stripe.edit("payment", None, {"currency": "EUR", "amount": "1.00", "applications": [
        {"invoice": part_paid, "amount": "1.00"}]})  # fmt: skip
    with pytest.raises(ValueError, match="paid in part"):
        world.stripe.edit("invoice", part_paid, {"status": "void"})


def test_people_mark_as_paid_what_no_payment_tells_of(world: Any, customer: str) -> None:
    """As older accounts have it: the invoice is paid, nothing came in, and it cannot be paid any more."""
    invoice = opened(world, customer)["id"]
    world.stripe.edit("invoice", invoice, {"status": "paid"})
    marked = world.stripe.neutral("invoice")[invoice]
    assert (marked["status"], marked["paid"], marked["due"]) == ("paid", marked["total"], "0.00")
    assert [one["status"] for one in world.stripe.neutral("payment").values()] == ["void"]
    with pytest.raises(ValueError, match="already paid"):
        world.stripe.edit("invoice", invoice, {"status": "paid"})


# ---- lists, events, keys ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expand"),
    [
        ("/v1/invoices", "amount_paid_off_stripe"),
        ("/v1/invoices", "data.owner"),
        ("/v1/invoices/{id}", "data.payments"),
        ("/v1/invoice_payments", "data.payment.payment_intent.latest_charge.balance_transaction"),
        ("/v1/credit_notes", "data.lines"),
    ],
)
def test_what_cannot_be_expanded_is_refused(world: Any, customer: str, path: str, expand: str) -> None:
    """Lists begin with `data`, and four levels are the most."""
    one = opened(world, customer)["id"]
    answer = world.call("GET", path.format(id=one), {"expand[0]": expand})
    assert refused(answer[:2]) == (400, None, "expand")
    assert ("more than 4 levels" in answer[1]["error"]["message"]) is (expand.count(".") > 3)
    assert refused(post(world, f"invoices/{one}/void", {"expand[0]": "data.payments"}))[2] == "expand"
    assert world.stripe.ledger.things["invoice"][one]["status"] == "open"


ENDPOINTS = """
GET account, GET balance, GET events, GET customers, GET customers/search, GET customers/x, POST customers,
POST customers/{cus}, DELETE customers/x, GET invoices, GET invoices/search, GET invoices/x, GET invoices/x/lines,
POST invoices, POST invoices/x, DELETE invoices/x, POST invoices/x/add_lines, POST invoices/x/finalize,
POST invoices/x/pay, POST invoices/x/send, POST invoices/x/void, POST invoices/x/mark_uncollectible,
POST invoices/x/attach_payment, GET invoice_payments, GET invoice_payments/x, GET credit_notes, GET credit_notes/x,
GET credit_notes/x/lines, POST credit_notes, POST credit_notes/x/void, GET payment_records/x,
POST payment_records/report_payment, POST payment_records/x/report_refund,
POST payment_records/x/report_payment_attempt_informational, GET disputes, GET disputes/x,
GET balance_transactions, GET balance_transactions/x, GET payouts, GET payouts/x
"""


@pytest.mark.parametrize("endpoint", [one.strip() for one in ENDPOINTS.split(",")])
def test_every_endpoint_refuses_a_parameter_that_it_does_not_know(world: Any, customer: str, endpoint: str) -> None:
    """PROVIDERS §5: whoever misspells one is told so, and does not go on without it."""
    method, _, path = endpoint.partition(" ")
    answer = world.call(method, f"/v1/{path.format(cus=customer)}", {"colour": "red"})
    assert refused(answer[:2]) == (400, "parameter_unknown", "colour")


def searched(world: Any, query: str) -> list[str]:
    """Ids that Search finds."""
    return [one["id"] for one in world.call("GET", "/v1/invoices/search", {"query": query})[1]["data"]]


def test_lists_filter_and_search_finds_what_is_not_too_new(world: Any, customer: str) -> None:
    """Newest first; filters that a list does not have are refused, and what Search does not know yet is missing."""
    other = world.stripe.edit("customer", None, {"name": "B"})
    one, two = opened(world, customer)["id"], made(world, other, **{"metadata[two]": "2"})["id"]

    def listed(**query: str) -> list[str]:
        return [found["id"] for found in world.call("GET", "/v1/invoices", query)[1]["data"]]

    assert listed() == [two, one]
    assert listed(status="open") == listed(customer=customer) == [one]
    assert refused(world.call("GET", "/v1/invoices", {"number": "x"})[:2])[2] == "number"
    for path in ("/v1/invoice_payments", "/v1/credit_notes"):
        assert refused(world.call("GET", path, {"invoice": "in_gone"})[:2]) == (400, "resource_missing", "invoice")
    payments = world.call("GET", "/v1/invoice_payments", {"invoice": one, "payment[type]": "payment_record"})[1]
    assert payments["data"] == []
    number = world.call("GET", f"/v1/invoices/{one}")[1]["number"]
    assert searched(world, f'number:"{number.lower()}"') == []
    world.clock.time += 60
    assert searched(world, f'number:"{number.lower()}"') == [one]
    world.stripe.delete("invoice", two)
    assert searched(world, 'metadata["two"]:"2"') == []
    for query in ({"query": "x"}, {"query": 'email:"a@example.com"'}, {}):
        assert refused(world.call("GET", "/v1/invoices/search", query)[:2])[2] == "query"


def test_every_change_is_told_with_what_it_was_before(world: Any, customer: str) -> None:
    """Events are all there is to learn of changes."""
    invoice = opened(world, customer)["id"]
    record = post(world, "payment_records/report_payment", REPORT)[1]["id"]
    post(world, f"invoices/{invoice}/attach_payment", {"payment_record": record})
    note = credited(world, invoice, 100)[1]["id"]
    post(world, f"credit_notes/{note}/void")
    post(world, f"invoices/{invoice}/mark_uncollectible")
    assert set(told(world)) >= {
        "invoice.created", "invoice.updated", "invoice.finalized", "invoice_payment.paid", "credit_note.created",
        "credit_note.voided", "invoice.marked_uncollectible", "customer.updated",
    }  # fmt: skip
    changes = [one.previous for one in world.stripe._account.events.values() if one.type == "invoice.updated"]
    assert {"amount_paid": 0, "amount_remaining": 1000} in changes
    assert any(was and "lines" in was for was in changes)


def test_each_endpoint_has_its_own_limit(world: Any, customer: str) -> None:
    """Twenty-five a second, whichever object they are about."""
    world.change(enforce_limits=True)
    draft = made(world, customer)["id"]
    for place in range(25):
        assert post(world, f"invoices/{draft}/add_lines", {"lines[0][amount]": str(place)})[0] == 200
    assert post(world, f"invoices/{draft}/add_lines", {"lines[0][amount]": "1"})[0] == 429
    assert post(world, f"invoices/{draft}", {"description": "d"})[0] == 200


def test_a_key_without_a_permission_is_told_its_name(world: Any, customer: str) -> None:
    """Invoices, credit notes and reported payments have permissions of their own."""
    denied = frozenset({"rak_invoice_write", "rak_credit_note_read", "rak_payment_records_write"})
    world.change(denied_permissions=denied)
    for method, path, name in (
        ("POST", "/v1/invoices", "rak_invoice_write"), ("GET", "/v1/credit_notes", "rak_credit_note_read"),
        ("POST", "/v1/payment_records/report_payment", "rak_payment_records_write"),
    ):  # fmt: skip
        status, body, _ = world.call(method, path, {"customer": customer})
        assert (status, name in body["error"]["message"]) == (403, True)
    assert world.call("GET", "/v1/invoices")[0] == 200
    assert StripeSettings().denied_permissions == frozenset()
