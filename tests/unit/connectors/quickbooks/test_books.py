"""The look-alike's books are strict: each rule here is one that a naive client breaks."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from core.errors import TakenError
from core.ports import HttpRequest
from tests.unit.connectors.quickbooks.conftest import MakeWorld, World

REALM = "/v3/company/9341453908059321"
DAY = "2026-11-18"


class Api:
    """A client that does what it is told, with a good token."""

    def __init__(self, world: World) -> None:
        """Two customers, of two currencies."""
        self.world = world
        self.headers = {"authorization": f"Bearer {world.token()}"}
        world.company.edit("customer", None, {"name": "Dollar", "currency": "USD"})
        world.company.edit("customer", None, {"name": "Euro", "currency": "EUR"})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = self.world.company.respond(
            HttpRequest(method, f"http://q.example{REALM}/{path}", self.headers, content)
        )
        return json.loads(answer.body, parse_float=Decimal)

    def post(self, entity: str, body: object, params: str = "") -> Any:
        """Write; the object, or the code of the fault."""
        told = self.call("POST", f"{entity.lower()}{params}", body)
        return told["Fault"]["Error"][0]["code"] if "Fault" in told else told[entity]

    def query(self, text: str) -> Any:
        """Run a query; the QueryResponse, or the code of the fault."""
        told = self.call("GET", f"query?query={quote(text)}")
        return told["Fault"]["Error"][0]["code"] if "Fault" in told else told["QueryResponse"]

    def get(self, entity: str, remote_id: str) -> Any:
        """Read one; the object, or the code of the fault."""
        told = self.call("GET", f"{entity.lower()}/{remote_id}")
        return told["Fault"]["Error"][0]["code"] if "Fault" in told else told[entity]


@pytest.fixture
def api(world: World) -> Api:
    """An authorised client of a US company."""
    return Api(world)


def sold(amount: object = 10, **detail: Any) -> dict[str, Any]:
    """A line."""
    told = {"ItemRef": {"value": "1"}, **detail}
    return {"DetailType": "SalesItemLineDetail", "Amount": amount, "SalesItemLineDetail": told}


def form(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An invoice or credit memo as one is sent."""
    return {"CustomerRef": {"value": "1"}, "Line": list(lines or [sold()]), "TxnDate": DAY, **changes}


def pay(total: object, *links: tuple[object, str, str], **changes: Any) -> dict[str, Any]:
    """A payment as one is sent."""
    lines = [{"Amount": amount, "LinkedTxn": [{"TxnType": kind, "TxnId": one}]} for amount, kind, one in links]
    return {"CustomerRef": {"value": "1"}, "TotalAmt": total, "Line": lines, "TxnDate": DAY, **changes}


TAXED = {"TaxCodeRef": {"value": "TAX"}}


# ---- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (form(sold(10, Qty=3, UnitPrice=3.33)), "6070"),
        (form(sold(10, UnitPrice=3.33)), "6070"),
        (form(sold("10")), "2010"),
        (form({**sold(), "Amount": True}), "2010"),
        (form(sold(None)), "2020"),
        (form(sold(12345678901)), "2040"),
        (form(sold(1.0000001)), "2040"),
        (form(sold(ItemRef=None)), "2020"),
        (form(sold(ItemRef="1")), "2010"),
        (form(sold(ItemRef={"value": "99"})), "2500"),
        (form(sold(Colour="red")), "2010"),
        (form(sold(TaxCodeRef={"value": "5"})), "2500"),
        (form(sold(ServiceDate="soon")), "2030"),
        (form({**sold(), "Description": "d" * 4001}), "2050"),
        (form({**sold(), "DetailType": "TaxLineDetail"}), "2010"),
        (form({**sold(), "SalesItemLineDetail": 1}), "2010"),
        (form({**sold(), "Colour": "red"}), "2010"),
        (form(sold(-1)), "6000"),
        (form(*[sold(1, **TAXED)] * 751), "6000"),
        (form(*[sold(1)] * 10_001), "6000"),
        ({"CustomerRef": {"value": "1"}, "Line": []}, "2020"),
        ({"CustomerRef": {"value": "1"}}, "2020"),
        ({"Line": [sold()]}, "2020"),
        (form(CustomerRef={"value": "99"}), "2500"),
        (form(CustomerRef="1"), "2010"),
        (form(CustomerRef={"value": "2"}), "6000"),
        (form(CurrencyRef={"value": "EUR"}), "6000"),
        (form(DocNumber="N" * 22), "2050"),
        (form(DocNumber=7), "2010"),
        (form(PrivateNote="n" * 4001), "2050"),
        (form(PrivateNote="Łódź"), "2040"),
        (form(CustomerMemo={"value": "m" * 1001}), "2050"),
        (form(TxnDate="soon"), "2030"),
        (form(EmailStatus="Sent"), "2010"),
        (form(AllowOnlineACHPayment="no"), "2010"),
        (form(GlobalTaxCalculation="TaxInclusive"), "2010"),
        (form(PaymentRefNum="1"), "2010"),
        (form(Colour="red"), "2010"),
    ],
)
def test_what_quickbooks_does_not_take_in_an_invoice(api: Api, body: dict[str, Any], expected: str) -> None:
    """A client that is taken at its word never learns."""
    assert api.post("Invoice", body) == expected
    assert api.world.company.objects("invoice") == {}


def test_an_inactive_customer_or_item_cannot_be_sold_to(api: Api) -> None:
    """Error 610 is not always about the object that was written."""
    api.world.company.delete("customer", "1")
    api.world.company.books.items.deactivate("2")

    assert api.post("Invoice", form()) == "610"
    other = {"CustomerRef": {"value": "2"}, "CurrencyRef": {"value": "EUR"}}
    assert api.post("Invoice", form(sold(ItemRef={"value": "2"}), **other)) == "610"


def test_tax_is_computed_line_by_line_and_each_is_rounded(api: Api) -> None:
    """Computed once over the whole, 0.54 at 8.25 percent are 0.04: a naive client is off by a cent."""
    lines = [sold(0.18, **TAXED) for _ in range(3)]
    found = api.post("Invoice", form(*lines, sold(5)))

    assert found["TxnTaxDetail"]["TotalTax"] == Decimal("0.03")
    assert found["TotalAmt"] == Decimal("5.57")


def test_a_us_company_takes_the_tax_it_is_told_where_a_line_is_taxed(api: Api) -> None:
    """Without any taxable line there is nothing to prorate it over."""
    told = {"TxnTaxDetail": {"TotalTax": 1.23}}

    assert api.post("Invoice", form(sold(10, **TAXED), **told))["TotalAmt"] == Decimal("11.23")
    assert api.post("Invoice", form(**told))["TotalAmt"] == 10


def test_other_editions_want_a_code_on_each_line_and_compute_for_themselves(make_world: MakeWorld) -> None:
    """A client that counts on its own tax gets another total."""
    api = Api(make_world(country="DE"))
    coded = form(sold(0.13, TaxCodeRef={"value": "5"}), TxnTaxDetail={"TotalTax": 9})

    assert api.post("Invoice", form()) == "6000"
    assert api.post("Invoice", form(sold(10, **TAXED))) == "2500"
    assert api.post("Invoice", coded)["TotalAmt"] == Decimal("0.15")
    assert api.post("Invoice", form(GlobalTaxCalculation="NotApplicable"))["TotalAmt"] == 10


def test_more_decimals_than_two_are_rounded_away_in_silence(api: Api) -> None:
    """10.005 dinars are 10.01 in the books."""
    assert api.post("Invoice", form(sold(10.005)))["TotalAmt"] == Decimal("10.01")


def test_what_quickbooks_fills_in_by_itself(api: Api) -> None:
    """An invoice that says nothing about it can be paid online, and is due at once."""
    found = api.post("Invoice", form(sold(10, Qty=4)))

    assert (found["AllowOnlineCreditCardPayment"], found["DueDate"], "DocNumber" in found) == (True, DAY, False)
    assert (found["Balance"], found["SyncToken"], found["CurrencyRef"]) == (10, "0", {"value": "USD"})
    assert found["Line"][-1]["DetailType"] == "SubTotalLineDetail"


def test_a_form_has_ten_thousand_lines_and_taxed_750(api: Api) -> None:
    """PROVIDERS §1."""
    assert api.post("Invoice", form(*[sold(1)] * 10_000))["TotalAmt"] == 10_000
    assert len(api.post("Invoice", form(*[sold(1, **TAXED)] * 750))["Line"]) == 751


def test_a_number_is_drawn_only_where_the_company_says_so(make_world: MakeWorld) -> None:
    """Custom numbers off: the next one."""
    api = Api(make_world(has_custom_numbers=False))

    assert [api.post("Invoice", form())["DocNumber"] for _ in range(2)] == ["1001", "1002"]


def test_a_number_is_used_once(api: Api) -> None:
    """Over invoices and credit memos; a client may ask for a twin, and ours never does."""
    api.post("Invoice", form(DocNumber="A"))

    assert api.post("Invoice", form(DocNumber="A")) == "6140"
    assert api.post("CreditMemo", form(DocNumber="A")) == "6140"
    assert api.post("Invoice", form(DocNumber="A"), "?include=allowduplicatedocnum")["DocNumber"] == "A"
    told = api.call("POST", "invoice", form(DocNumber="A"))
    assert "TxnId=1" in told["Fault"]["Error"][0]["Detail"]


def test_closed_books_take_nothing(make_world: MakeWorld) -> None:
    """Neither a new one, nor a change, a void or a delete of an old one; nothing is moved out of them, or into them."""
    api = Api(make_world())
    made = api.post("Invoice", form())
    api.world.company.settings = type(api.world.company.settings)(books_closed_through=DAY)
    lock = {"Id": made["Id"], "SyncToken": "0"}

    assert api.post("Invoice", form()) == "6210"
    assert api.post("Invoice", {**lock, "sparse": True, "PrivateNote": "x"}) == "6210"
    assert api.post("Invoice", lock, "?operation=void") == "6210"
    assert api.post("Invoice", lock, "?operation=delete") == "6210"
    assert api.post("Payment", pay(1)) == "6210"
    assert api.post("Invoice", {**lock, "sparse": True, "TxnDate": "2026-11-19"}) == "6210"
    later = api.post("Invoice", form(TxnDate="2026-11-19"))
    assert later["TotalAmt"] == 10
    assert api.post("Invoice", {"Id": later["Id"], "SyncToken": "0", "sparse": True, "TxnDate": DAY}) == "6210"
    assert api.call("GET", "preferences")["Preferences"]["AccountingInfoPrefs"] == {"BookCloseDate": DAY}


def test_the_company_tells_its_preferences(api: Api) -> None:
    """Open books have no closing date."""
    found = api.call("GET", "preferences")["Preferences"]

    assert found["AccountingInfoPrefs"] == {}
    assert found["SalesFormsPrefs"] == {"CustomTxnNumbers": True, "AutoApplyCredit": False}
    assert found["CurrencyPrefs"]["HomeCurrency"] == {"value": "USD"}


# ---- changes ---------------------------------------------------------------------------------------


def test_every_change_needs_the_token(api: Api) -> None:
    """Voids and deletes too; a payment changes its invoice's."""
    made = api.post("Invoice", form())
    lock = {"Id": made["Id"], "SyncToken": made["SyncToken"]}
    api.post("Payment", pay(4, (4, "Invoice", made["Id"])))

    for params in ("", "?operation=void", "?operation=delete"):
        assert api.post("Invoice", {**lock, "sparse": True}, params) == "5010"
        assert api.post("Invoice", {"Id": made["Id"]}, params) == "2020"
    assert api.post("Invoice", {"Id": "99", "SyncToken": "0"}, "?operation=void") == "610"


def test_an_update_replaces_lists_and_keeps_what_it_leaves_out_only_where_it_is_sparse(api: Api) -> None:
    """A full update without the note wipes the marker."""
    made = api.post("Invoice", form(sold(10), sold(5), PrivateNote="accord:a.b.1", DocNumber="A"))
    lock = {"Id": made["Id"], "CustomerRef": {"value": "1"}}
    sparse = api.post("Invoice", {**lock, "SyncToken": "0", "sparse": True, "Line": [sold(7)]})
    full = api.post("Invoice", {**lock, "SyncToken": "1", "Line": [sold(7)], "DocNumber": "B"})

    assert (sparse["TotalAmt"], sparse["Balance"], sparse["PrivateNote"], sparse["DocNumber"]) == (
        7,
        7,
        "accord:a.b.1",
        "A",
    )
    assert full["DocNumber"] == "B"
    assert full["PrivateNote"] == "accord:a.b.1" or "PrivateNote" not in full


def test_what_an_update_may_not_do(api: Api) -> None:
    """Another customer, another's number, or less than what is paid."""
    made = api.post("Invoice", form(DocNumber="A"))
    api.post("Invoice", form(DocNumber="B"))
    api.post("Payment", pay(8, (8, "Invoice", made["Id"])))
    lock = {"Id": made["Id"], "SyncToken": "1", "sparse": True}

    assert api.post("Invoice", {**lock, "CustomerRef": {"value": "2"}, "CurrencyRef": {"value": "EUR"}}) == "6000"
    assert api.post("Invoice", {**lock, "DocNumber": "B"}) == "6140"
    assert api.post("Invoice", {**lock, "Line": [sold(7)]}) == "6000"


def test_each_entity_has_its_own_way_of_voiding(api: Api) -> None:
    """And credit memos have none."""
    made = [
        api.post(entity, body) for entity, body in (("Invoice", form()), ("Payment", pay(5)), ("CreditMemo", form()))
    ]
    locks = [{"Id": one["Id"], "SyncToken": one["SyncToken"]} for one in made]

    assert api.post("Payment", locks[1], "?operation=void") == "500"
    assert api.post("CreditMemo", locks[2], "?operation=void") == "500"
    assert api.post("Invoice", locks[0], "?operation=update&include=void") == "500"
    voided = api.post("Invoice", locks[0], "?operation=void")
    paid = api.post("Payment", locks[1], "?operation=update&include=void")
    assert (voided["TotalAmt"], voided["Balance"], voided["PrivateNote"]) == (0, 0, "Voided")
    assert (paid["TotalAmt"], paid["UnappliedAmt"], paid["Line"]) == (0, 0, [])


def test_a_void_may_keep_the_note(make_world: MakeWorld) -> None:
    """Not documented; the sample shows the word alone."""
    api = Api(make_world(keeps_voided_note=True))
    made = api.post("Invoice", form(PrivateNote="mine"))

    voided = api.post("Invoice", {"Id": made["Id"], "SyncToken": "0"}, "?operation=void")
    assert voided["PrivateNote"] == "Voided - mine"


def test_an_invoice_that_is_paid_is_not_voided(api: Api) -> None:
    """The payment first."""
    made = api.post("Invoice", form())
    api.post("Payment", pay(4, (4, "Invoice", made["Id"])))

    assert api.post("Invoice", {"Id": made["Id"], "SyncToken": "1"}, "?operation=void") == "6000"


def test_a_deleted_transaction_is_not_found_and_the_feed_names_it(api: Api) -> None:
    """What it settled is open again."""
    made = api.post("Invoice", form())
    paid = api.post("Payment", pay(4, (4, "Invoice", made["Id"])))
    deleted = api.post("Payment", {"Id": paid["Id"], "SyncToken": "0"}, "?operation=delete")
    since = "2026-11-18T00:00:00Z"
    feed = api.call("GET", f"cdc?entities=Payment,Invoice&changedSince={since}")["CDCResponse"][0]["QueryResponse"]

    assert deleted["status"] == "Deleted"
    assert api.get("Payment", paid["Id"]) == "610"
    assert api.get("Invoice", made["Id"])["Balance"] == 10
    assert [(one["Id"], one["status"]) for one in feed[0]["Payment"]] == [(paid["Id"], "Deleted")]
    assert [one["Id"] for one in feed[1]["Invoice"]] == [made["Id"]]
    assert api.call("GET", f"cdc?entities=Payment,Bill&changedSince={since}")["Fault"]["Error"][0]["code"] == "2020"


def test_a_deleted_invoice_leaves_its_payment_unapplied(api: Api) -> None:
    """The money came in all the same."""
    made = api.post("Invoice", form())
    paid = api.post("Payment", pay(4, (4, "Invoice", made["Id"])))
    api.post("Invoice", {"Id": made["Id"], "SyncToken": "1"}, "?operation=delete")

    found = api.get("Payment", paid["Id"])
    assert (found["UnappliedAmt"], found["Line"]) == (4, [])


# ---- payments --------------------------------------------------------------------------------------


def test_a_payment_settles_what_it_says_and_no_more(api: Api) -> None:
    """In part, too much, of several invoices; balances and links follow."""
    first, second = api.post("Invoice", form()), api.post("Invoice", form(sold(5)))
    paid = api.post("Payment", pay(20, (10, "Invoice", first["Id"]), (3, "Invoice", second["Id"])))

    assert (paid["UnappliedAmt"], paid["DepositToAccountRef"]) == (7, {"value": "4"})
    found = [api.get("Invoice", one["Id"]) for one in (first, second)]
    assert [one["Balance"] for one in found] == [0, 2]
    assert [one["LinkedTxn"] for one in found] == [[{"TxnId": paid["Id"], "TxnType": "Payment"}]] * 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (pay(None), "2020"),
        (pay("10"), "2010"),
        (pay(-1), "6000"),
        (pay(10, (0, "Invoice", "1")), "2020"),
        (pay(10, (None, "Invoice", "1")), "2020"),
        (pay(10, (1, "Bill", "1")), "2020"),
        (pay(10, (1, "Invoice", "99")), "2500"),
        (pay(20, (11, "Invoice", "1")), "6000"),
        (pay(4, (5, "Invoice", "1")), "6000"),
        (pay(10, (1, "CreditMemo", "3")), "6000"),
        (pay(10, (1, "Invoice", "2")), "6000"),
        (pay(10, Line=[1]), "2010"),
        (pay(10, Line=[{"Amount": 1}]), "2020"),
        (pay(10, DepositToAccountRef={"value": "999"}), "2500"),
        (pay(10, DepositToAccountRef={"value": "79"}), "6000"),
        (pay(10, PaymentRefNum="r" * 22), "2050"),
        (pay(10, DocNumber="1"), "2010"),
        (pay(10, CurrencyRef={"value": "EUR"}), "6000"),
    ],
)
def test_what_quickbooks_does_not_take_in_a_payment(api: Api, body: dict[str, Any], expected: str) -> None:
    """Invoices of another customer, more than is open, accounts that are not there, or hold no money."""
    api.post("Invoice", form())
    api.post("Invoice", form(CustomerRef={"value": "2"}, CurrencyRef={"value": "EUR"}))
    api.post("CreditMemo", form())

    assert api.post("Payment", body) == expected


def test_an_update_of_a_payment_gives_back_what_it_settled(api: Api) -> None:
    """Its own part of the balance counts as open."""
    made = api.post("Invoice", form())
    paid = api.post("Payment", pay(10, (10, "Invoice", made["Id"])))
    again = api.post("Payment", {**pay(10, (6, "Invoice", made["Id"])), "Id": paid["Id"], "SyncToken": "0"})

    assert again["UnappliedAmt"] == 4
    assert api.get("Invoice", made["Id"])["Balance"] == 4


def test_who_is_above_a_customer_pays_its_invoices_and_not_the_other_way_round(api: Api) -> None:
    """PROVIDERS §5: of the same customer, or of one below."""
    child, grandchild = (
        api.world.company.edit("customer", None, {"name": name, "currency": "USD", "parent": parent})
        for name, parent in (("Branch", "1"), ("Desk", "3"))
    )
    mine = api.post("Invoice", form())["Id"]
    below = api.post("Invoice", form(CustomerRef={"value": grandchild}))["Id"]

    assert api.post("Payment", pay(3, (3, "Invoice", below)))["UnappliedAmt"] == 0
    assert api.post("Payment", pay(3, (3, "Invoice", below), CustomerRef={"value": child}))["UnappliedAmt"] == 0
    assert api.post("Payment", pay(3, (3, "Invoice", mine), CustomerRef={"value": child})) == "6000"
    assert api.get("Invoice", below)["Balance"] == 4


def test_a_deposit_is_part_of_the_invoice_and_no_payment(api: Api) -> None:
    """Less is due by it; it cannot be more than that, less than nothing, or go where no account is."""
    made = api.post("Invoice", form(Deposit=4, DepositToAccountRef={"value": "35"}))
    assert (made["TotalAmt"], made["Balance"], made["Deposit"], made["LinkedTxn"]) == (10, 6, 4, [])
    assert "Payment" not in api.query("SELECT * FROM Payment")
    api.post("Payment", pay(5, (5, "Invoice", made["Id"])))
    lock = {"Id": made["Id"], "SyncToken": api.get("Invoice", made["Id"])["SyncToken"], "sparse": True}
    for changes in ({"Deposit": 6}, {"Deposit": -1}, {"Line": [sold(8)]}):
        assert api.post("Invoice", {**lock, **changes}) == "6000"
    assert api.post("Invoice", {**lock, "Deposit": 5})["Balance"] == 0
    assert api.post("Invoice", form(Deposit=11)) == "6000"
    assert api.post("Invoice", form(Deposit=1, DepositToAccountRef={"value": "99"})) == "2500"
    assert api.post("Invoice", form(Deposit=1, DepositToAccountRef={"value": "79"})) == "6000"
    assert api.post("CreditMemo", form(Deposit=1)) == "2010"
    other = api.post("Invoice", form(Deposit=4))
    gone = api.post("Invoice", {"Id": other["Id"], "SyncToken": other["SyncToken"]}, "?operation=void")
    assert (gone["TotalAmt"], gone["Deposit"], gone["Balance"]) == (0, 0, 0)


def test_a_payment_of_nothing_applies_a_credit(api: Api) -> None:
    """Both sides are less by it."""
    made, memo = api.post("Invoice", form()), api.post("CreditMemo", form(sold(4)))
    link = api.post("Payment", pay(0, (4, "Invoice", made["Id"]), (4, "CreditMemo", memo["Id"])))

    assert link["UnappliedAmt"] == 0
    assert api.get("Invoice", made["Id"])["Balance"] == 6
    assert api.get("CreditMemo", memo["Id"])["RemainingCredit"] == 0


def test_a_company_may_apply_credits_by_itself(make_world: MakeWorld) -> None:
    """To the oldest open invoice, whatever the credit is about."""
    api = Api(make_world(applies_credits=True))
    lonely = api.post("CreditMemo", form(sold(1)))
    made = api.post("Invoice", form())
    memo = api.post("CreditMemo", form(sold(4)))

    assert (lonely["RemainingCredit"], memo["RemainingCredit"]) == (1, 0)
    assert api.get("Invoice", made["Id"])["Balance"] == 6


# ---- items and queries -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Name": "services"}, "6240"),
        ({"Name": "a:b"}, "2040"),
        ({"Name": "n" * 101}, "2050"),
        ({"Name": ""}, "2020"),
        ({"Type": "Category"}, "2020"),
        ({"IncomeAccountRef": None}, "2020"),
        ({"IncomeAccountRef": {"value": "1"}}, "2500"),
        ({"IncomeAccountRef": {"value": "35"}}, "6000"),
        ({"Colour": "red"}, "2010"),
        ({"Id": "1"}, "500"),
    ],
)
def test_what_quickbooks_does_not_take_in_an_item(api: Api, changes: dict[str, Any], expected: str) -> None:
    """Names are unique, and every item earns for some account."""
    body = {"Name": "Hosting", "Type": "Service", "IncomeAccountRef": {"value": "79"}}

    assert api.post("Item", {**body, **changes}) == expected
    assert api.post("Item", body)["Id"] == "3"
    assert (api.get("Item", "3")["Name"], api.get("Item", "3")["Type"]) == ("Hosting", "Service")
    assert api.post("Item", {**body, "Name": "Box", "Type": "NonInventory"})["Type"] == "NonInventory"
    assert api.get("Item", "99") == "610"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("select * from Invoice", ["1", "2"]),
        ("select * from Invoice where DocNumber = 'A'", ["1"]),
        ("select * from Invoice where CustomerRef = '2'", ["2"]),
        ("select * from Invoice where Balance > '9.5' and TotalAmt <= '10.00'", ["1", "2"]),
        ("select * from Invoice where Metadata.CreateTime >= '2026-11-18T00:00:00Z'", ["1", "2"]),
        ("select * from Invoice orderby Metadata.LastUpdatedTime desc", ["1", "2"]),
        ("select * from Item where Name = 'Hours' and Active in (true, false)", ["2"]),
        ("select * from Item where Active = false", []),
        ("select * from Item orderby Metadata.LastUpdatedTime", ["1", "2"]),
    ],
)
def test_documents_and_items_can_be_queried(api: Api, text: str, ids: list[str]) -> None:
    """Transactions have no Active; deleted ones are in no query."""
    api.post("Invoice", form(DocNumber="A"))
    api.post("Invoice", form(CustomerRef={"value": "2"}, CurrencyRef={"value": "EUR"}))

    found = api.query(text)
    assert sorted(one["Id"] for one in next(iter(found.values()), [])) == ids if found else ids == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from Invoice where PrivateNote = 'x'", "4001"),
        ("select * from Invoice where Active = true", "4001"),
        ("select * from Payment where DocNumber = 'x'", "4001"),
        ("select * from Invoice where PrimaryPhone = 'x'", "4001"),
        ("select * from Invoice where Balance > 'much'", "4000"),
        ("select * from Bill", "4000"),
    ],
)
def test_what_cannot_be_queried(api: Api, text: str, expected: str) -> None:
    """A private note above all: whoever marks there must look for himself."""
    assert api.query(text) == expected


# ---- people ----------------------------------------------------------------------------------------


def edit(api: Api, kind: str = "invoice", remote_id: str | None = None, **changes: Any) -> str:
    """A person's edit."""
    if remote_id is None:
        changes = {"customer": "1", "currency": "USD", "issued_on": DAY, **changes}
    return api.world.company.edit(kind, remote_id, changes)


def test_people_make_documents_in_neutral_words(api: Api) -> None:
    """With a discount and a tax of their own; an item is made by its name."""
    lines = [
        {
            "description": "Seats",
            "product": "Seats",
            "quantity": "3",
            "unit_amount": "3.33",
            "discount": "0.99",
            "tax": "0.75",
        },
        {"amount": "5.00"},
    ]
    made = edit(api, number="A", due_on="2026-12-01", memo="Hello", lines=lines)
    found = api.world.company.neutral("invoice")[made]

    assert {name: found[name] for name in ("subtotal", "discount", "tax", "total", "paid", "credited", "due")} == {
        "subtotal": "14.99",
        "discount": "0.99",
        "tax": "0.75",
        "total": "14.75",
        "paid": "0.00",
        "credited": "0.00",
        "due": "14.75",
    }
    assert (found["number"], found["status"], found["due_on"], found["memo"], found["mark"]) == (
        "A",
        "open",
        "2026-12-01",
        "Hello",
        None,
    )
    assert found["lines"] == [
        {"description": "Seats", "quantity": "3", "amount": "9.99", "discount": "0.66", "tax": "0.75"},
        {"description": "", "quantity": "1", "amount": "5.00", "discount": "0.33", "tax": "0.00"},
    ]
    again = edit(api, number="B", lines=[{"product": "Seats", "amount": "1.00"}])
    assert api.world.company.books.items.rows["3"]["Name"] == "Seats"
    edit(api, "invoice", again, lines=[{"amount": "2.00", "tax": "0.10"}], memo="changed")
    assert api.world.company.neutral("invoice")[again]["total"] == "2.10"


def test_people_may_override_tax_in_every_edition(make_world: MakeWorld) -> None:
    """The UI lets them."""
    api = Api(make_world(country="DE"))
    made = edit(api, lines=[{"amount": "10.00", "tax": "1.91"}, {"amount": "1.00"}])

    assert api.world.company.neutral("invoice")[made]["tax"] == "1.91"


def test_people_void_and_delete_what_is_settled(api: Api) -> None:
    """QuickBooks takes the links away first."""
    made = edit(api, lines=[{"amount": "10.00"}])
    paid = edit(api, "payment", amount="4.00", applications=[{"invoice": made, "amount": "4.00"}], reference="CHK")
    edit(api, "invoice", made, status="void")
    told = api.world.company.neutral("payment")[paid]

    assert api.world.company.neutral("invoice")[made]["status"] == "void"
    assert (told["applications"], told["amount"], told["reference"], told["status"]) == ([], "4.00", "CHK", "succeeded")
    edit(api, "payment", paid, status="void")
    assert api.world.company.neutral("payment")[paid]["status"] == "void"
    api.world.company.delete("payment", paid)
    assert api.world.company.neutral("payment") == {}


def test_people_apply_credits_to_an_invoice(api: Api) -> None:
    """A link is no payment in neutral words."""
    made = edit(api, lines=[{"amount": "10.00"}])
    note = edit(api, "credit_note", lines=[{"amount": "4.00"}], invoice=made, applied="4.00", reason="Sorry")
    told = api.world.company.neutral("credit_note")[note]

    assert (told["applied"], told["total"], told["reason"], told["status"]) == ("4.00", "4.00", "Sorry", "issued")
    assert api.world.company.neutral("invoice")[made]["due"] == "6.00"
    assert api.world.company.neutral("payment") == {}
    edit(api, "credit_note", note, status="void")
    assert api.world.company.neutral("credit_note")[note]["status"] == "void"
    assert api.world.company.neutral("invoice")[made]["due"] == "10.00"


@pytest.mark.parametrize("by", ["delete", "edit"])
def test_who_is_made_inactive_by_people_gets_a_credit_memo_over_what_is_owed(api: Api, by: str) -> None:
    """Nobody wrote it, and nobody is told why: who takes each credit memo for a credit takes this one."""
    edit(api, lines=[{"amount": "10.00"}, {"amount": "9.00"}])
    edit(api, "payment", amount="4.00")
    edit(api, "credit_note", lines=[{"amount": "3.00"}])
    if by == "edit":
        api.world.company.edit("customer", "1", {"status": "inactive"})
    else:
        api.world.company.delete("customer", "1")
    api.world.company.delete("customer", "2")

    memo = api.get("CreditMemo", max(api.world.company.objects("credit_note"), key=int))
    assert (memo["CustomerRef"]["value"], memo["TotalAmt"], memo["Balance"]) == ("1", 12, 12)
    assert len(api.world.company.objects("credit_note")) == 2
    assert api.get("Customer", "1")["Active"] is False


def test_who_absorbs_a_customer_has_its_transactions(api: Api) -> None:
    """Whoever goes on to name the absorbed one in a payment of its invoice is refused."""
    invoice = edit(api, lines=[{"amount": "10.00"}])
    other = api.world.company.edit("customer", None, {"name": "Another", "currency": "USD"})
    api.world.company.merge("customer", other, "1")

    assert api.get("Invoice", invoice)["CustomerRef"] == {"value": other}
    assert api.get("Customer", other)["Balance"] == 10
    edit(api, "payment", customer=other, amount="10.00", applications=[{"invoice": invoice, "amount": "10.00"}])
    assert api.get("Customer", other)["Balance"] == 0


def test_a_credit_within_a_payment_goes_to_the_first_invoices(api: Api) -> None:
    """QuickBooks does not say to which."""
    one, two = (edit(api, lines=[{"amount": "5.00"}], number=number) for number in "AB")
    note = edit(api, "credit_note", lines=[{"amount": "6.00"}])
    links = [(5, "Invoice", one), (5, "Invoice", two), (6, "CreditMemo", note)]
    paid = api.post("Payment", pay(4, *links))

    assert api.world.company.neutral("payment")[paid["Id"]]["applications"] == [{"invoice": two, "amount": "4.00"}]


@pytest.mark.parametrize(
    ("currency", "told"), [("JPY", {"total": "10", "due": "10"}), ("KWD", {"total": "10.000", "due": "10.000"})]
)
def test_neutral_amounts_have_the_currencys_decimals(api: Api, currency: str, told: dict[str, str]) -> None:
    """Whatever QuickBooks keeps."""
    customer = api.world.company.edit("customer", None, {"name": currency, "currency": currency})
    made = edit(api, customer=customer, currency=currency, lines=[{"amount": "10"}])
    found = api.world.company.neutral("invoice")[made]

    assert {name: found[name] for name in told} == told


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("invoice", {"status": "draft", "lines": [{"amount": "1"}]}),
        ("invoice", {"status": "uncollectible", "lines": [{"amount": "1"}]}),
        ("payment", {"refunded": "1.00", "amount": "2"}),
        ("payment", {"status": "pending", "amount": "2"}),
        ("payment", {"amount": "2", "applications": [{"invoice": "99", "amount": "1"}]}),
        ("invoice", {"lines": []}),
    ],
)
def test_what_people_cannot_do_either(api: Api, kind: str, changes: dict[str, Any]) -> None:
    """QuickBooks has no drafts, no uncollectible invoices, and books refunds as receipts."""
    with pytest.raises(ValueError, match=r"."):
        edit(api, kind, **changes)


def test_people_cannot_use_a_number_twice(api: Api) -> None:
    """As for names of customers."""
    edit(api, number="A", lines=[{"amount": "1"}])

    with pytest.raises(TakenError):
        edit(api, number="A", lines=[{"amount": "1"}])


def test_every_change_is_told_with_who_made_it(api: Api) -> None:
    """By whom, and of which kind; what follows by itself is nobody's."""
    made = edit(api, lines=[{"amount": "10"}])
    api.post("Payment", pay(4, (4, "Invoice", made)), "?requestid=r1")
    told = [(one.caller, one.action, one.kind, one.id, one.request_key) for one in api.world.company.mutations[2:]]

    assert told == [
        ("person", "create", "invoice", "1", None),
        ("accord", "create", "payment", "2", "r1"),
    ]
