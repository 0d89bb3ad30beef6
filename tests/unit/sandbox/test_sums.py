"""The sums of the demo's and the simulation's judge: an amount that is not accounted for is told, at every system."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.sandbox.sums import unbalanced, unsettled

OPEN: Mapping[str, Any] = {
    "status": "open", "total": "100.00", "paid": "30.00", "credited": "20.00", "written_off": "0.00", "due": "50.00",
}  # fmt: skip
PAID: Mapping[str, Any] = {"status": "succeeded", "applications": [{"invoice": "1", "amount": "30.00"}]}
NOTE: Mapping[str, Any] = {"status": "issued", "invoice": "1", "applied": "20.00"}
LINKED: Mapping[str, Any] = {"Line": [{"Amount": Decimal(50), "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]}]}


def told(*, stripe: Mapping[str, Any] = {}, books: Mapping[str, Any] = {}, line: str = "50") -> list[str]:
    """What is wrong where one invoice stands at both systems, with these changes of it."""
    kinds: dict[str, dict[str, Mapping[str, Any]]] = {"payment": {"p": PAID}, "credit_note": {"c": NOTE}}
    systems: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {
        "stripe": {"invoice": {"1": {**OPEN, **stripe}}, **kinds},
        "quickbooks": {"invoice": {"1": {**OPEN, "paid": "50.00", "credited": "0.00", **books}}, **kinds},
    }
    link = {"Line": [{**LINKED["Line"][0], "Amount": Decimal(line)}]}
    return list(unbalanced(systems, {"quickbooks": {"p": link}}))


def test_what_adds_up_is_not_told() -> None:
    """Payments, credits and what is due are the total."""
    assert told() == []


def test_a_cent_that_nothing_settles_is_told() -> None:
    """Of the invoice's own amounts, of its payments, of its credits, and of what the books' payments say."""
    assert told(stripe={"due": "49.99"})
    assert told(stripe={"paid": "29.99", "due": "50.01"}) == [
        "stripe 1 says 29.99 is paid, and what settles it is 30.00"
    ]
    assert told(stripe={"credited": "20.01", "due": "49.99"}) == [
        "stripe 1 says 20.01 is credited, and what settles it is 20.00"
    ]
    assert told(line="49.99") == ["quickbooks 1: 49.99 settles it, and 50.00 of 100.00 is due"]


def test_what_is_void_has_no_sums() -> None:
    """QuickBooks empties it, Stripe keeps its amounts."""
    assert told(stripe={"status": "void", "due": "0.00"}, books={"status": "void", "due": "0.00"}) == []


def shown_at_crm(*, due: str = "50.00", amount: str = "100.00", **changes: object) -> list[str]:
    """What is wrong where the invoice of either biller has a copy that knows no payments."""
    found: list[str] = []
    line = {"amount": amount, "discount": "0.00", "tax": "0.00"}
    for biller in ("stripe", "quickbooks"):
        kinds = {"payment": {"p": PAID}, "credit_note": {"c": NOTE}}
        copy = {"number": "B-1", "mark": "m", "status": "open", "due": due, "lines": [line], **changes}
        systems: dict[str, dict[str, Mapping[str, Any]]] = {
            biller: {"invoice": {"1": {**OPEN, "number": "B-1"}}, **kinds},
            "hubspot": {"invoice": {"7": copy}},
        }
        found += unsettled(systems, {"quickbooks": {"p": LINKED}} if biller == "quickbooks" else {}, "hubspot")
    return found


def test_a_copy_without_payments_is_judged_by_those_of_its_original() -> None:
    """Its lines are what came in for the original and what is due; nothing that was written on it is asked."""
    assert shown_at_crm() == []
    settled = "50.00 settled the original of B-1"
    assert shown_at_crm(due="49.99")[0] == f"hubspot 7: its lines are 100.00; {settled}, and 49.99 is due"
    assert len(shown_at_crm(due="49.99")) == len(shown_at_crm(amount="100.01")) == 2
    assert shown_at_crm(status="void", due="0.00") == []
