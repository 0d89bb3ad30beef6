# ruff: noqa: D103 -- each test says what it is about
"""Payouts: to the minor unit the sum of charges, refunds, disputes and fees, or not told at all."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.stripe.connector import PROVIDER
from connectors.stripe.manifest import MANIFEST
from core.errors import GoneError, ReplyError
from core.model.payouts import sums_of
from core.ports import HttpResponse
from tests.unit.connectors.stripe.test_document_feeds import billed, paid


def paid_out(world: Any, **says: Any) -> str:
    remote_id: str = world.stripe.edit("payout", None, {"currency": "EUR", **says})
    return remote_id


def read(world: Any, payout: str) -> Any:
    return world.run(world.connector.payout(payout))


def test_a_payout_is_the_sum_of_what_it_is_made_of(world: Any) -> None:
    payments = [paid(world, "10.00", billed(world)) for _ in range(4)]
    world.stripe.edit("payment", payments[0], {"refunded": "4.00"})
    world.stripe.edit("payment", payments[1], {"refunded": "2.00"})
    world.stripe.edit("payment", payments[1], {"refund_failed": True})
    world.stripe.edit("payment", payments[2], {"dispute": {"amount": "10.00"}})
    world.stripe.edit("payment", payments[2], {"dispute": {"status": "won"}})
    world.stripe.edit("payment", payments[3], {"dispute": {"amount": "3.00"}})
    found = read(world, paid_out(world))
    sums = sums_of(found.payout, found.movements)
    # each charge costs 2.9 % and 0.30, each dispute 15.00
    assert (sums.gross, sums.refunds, sums.disputes) == (Decimal("40.00"), Decimal("-4.00"), Decimal("-3.00"))
    assert (sums.fees, sums.other, sums.difference) == (Decimal("32.36"), Decimal(0), Decimal(0))
    assert sums.net == found.payout.amount == Decimal("0.64")
    charges = {one.about for one in found.movements}
    assert charges == set(world.stripe.ledger.charges)
    assert found.payout.arrives_on is not None


def test_what_was_paid_out_once_is_in_no_second_payout(world: Any) -> None:
    paid(world, "10.00", billed(world))
    first = paid_out(world)
    with pytest.raises(ValueError, match="no EUR"):
        paid_out(world)
    paid(world, "5.00", billed(world))
    second = paid_out(world)
    amounts = [[one.amount for one in read(world, one).movements] for one in (first, second)]
    assert amounts == [[Decimal("10.00")], [Decimal("5.00")]]


def test_a_payout_of_more_than_a_page_is_read_to_its_end(world: Any) -> None:
    for _ in range(120):
        paid(world, "1.00", billed(world))
    found = read(world, paid_out(world))
    assert len({one.id for one in found.movements}) == 120
    assert sums_of(found.payout, found.movements).difference == 0


def test_every_read_draws_on_the_months_reads(world: Any) -> None:
    payment = paid(world, "10.00", billed(world))
    payout = paid_out(world)
    world.stripe.edit("payment", payment, {"dispute": {"amount": "4.00"}})
    counted: list[str] = []
    connector: Any = PROVIDER.build(world.config, world.vault, replace(world.shell, count=counted.append))
    world.run(connector.read("payment", [payment]))
    world.run(connector.payouts(10))
    world.run(connector.payout(payout))
    (allowance,) = MANIFEST.allowances
    assert [one for one in counted if one not in allowance.endpoints] == []
    assert len(counted) == len(world.requests) == 5


def test_the_newest_payouts_are_listed(world: Any) -> None:
    made = []
    for _ in range(3):
        paid(world, "10.00", billed(world))
        made.append(paid_out(world))
    assert [one.id for one in world.run(world.connector.payouts(2))] == [made[2], made[1]]
    assert len(world.run(world.connector.payouts(1000))) == 3
    assert world.run(world.connector.payouts(2))[0].note == ""


def test_what_a_person_sent_is_not_tied_to_anything(world: Any) -> None:
    paid(world, "10.00", billed(world))
    sent = paid_out(world, amount="5.00")
    found = read(world, sent)
    assert (found.payout.is_itemised, found.movements) == (False, ())
    assert "sent by a person" in found.payout.note
    assert sums_of(found.payout, found.movements).difference == Decimal("5.00")
    # Stripe refuses the question
    assert world.call("GET", "/v1/balance_transactions", {"payout": sent})[0] == 400
    with pytest.raises(GoneError):
        read(world, "po_x")
    assert world.call("GET", "/v1/balance_transactions", {"payout": "po_x"})[0] == 400


def tampered(world: Any, path: str, **changes: Any) -> None:
    """The oldest object of every list, or the one that is read, is as Stripe would tell it in another case."""

    def tamper(request: Any, respond: Any) -> HttpResponse:
        answer: HttpResponse = respond()
        if path not in request.url:
            return answer
        body = json.loads(answer.body)
        if "data" in body:
            body["has_more"] = changes.get("has_more", body["has_more"])
            body["data"] = [] if changes.get("is_empty") else [*body["data"][:-1], {**body["data"][-1], **changes}]
        else:
            body |= changes
        return HttpResponse(200, answer.headers, json.dumps(body).encode())

    world.tamper = tamper


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"currency": "usd"}, "its payout in EUR"),
        ({"net": 1}, "another sum"),
        ({"amount": "x"}, "not what Stripe documents"),
        ({"has_more": True, "is_empty": True}, "without getting on"),
    ],
)
def test_a_movement_that_does_not_add_up_is_no_report(world: Any, changes: Any, words: str) -> None:
    paid(world, "10.00", billed(world))
    payout = paid_out(world)
    tampered(world, "/v1/balance_transactions", **changes)
    with pytest.raises(ReplyError, match=words):
        read(world, payout)


@pytest.mark.parametrize(
    ("changes", "kind", "about", "note"),
    [
        ({"reporting_category": "topup", "source": None}, "other", "", "topup"),
        ({"reporting_category": "fee", "source": "x", "description": "Billing"}, "fee", "", "Billing"),
        ({"source": {"id": "re_1", "object": "refund"}}, "payment", "", ""),
    ],
)
def test_whatever_else_moves_the_balance_is_told(world: Any, changes: Any, kind: str, about: str, note: str) -> None:
    paid(world, "10.00", billed(world))
    payout = paid_out(world)
    tampered(world, "/v1/balance_transactions", **changes)
    (found,) = read(world, payout).movements
    assert (found.kind, found.about, found.note) == (kind, about, note)


def test_a_payout_that_is_still_being_told_says_so(world: Any) -> None:
    paid(world, "10.00", billed(world))
    payout = paid_out(world)
    tampered(world, "/v1/payouts/", reconciliation_status="in_progress")
    assert "not finished" in read(world, payout).payout.note


def test_a_charge_costs_no_more_than_it_brings(world: Any) -> None:
    paid(world, "0.10", billed(world))
    (one,) = world.call("GET", "/v1/balance_transactions")[1]["data"]
    assert (one["amount"], one["fee"], one["net"]) == (10, 10, 0)
    assert (
        world.call("GET", f"/v1/balance_transactions/{one['id']}", {"expand[0]": "source"})[1]["source"]["amount"] == 10
    )
    for place, permission in (("balance_transactions", "rak_balance_read"), ("payouts", "rak_payout_read")):
        world.change(denied_permissions=frozenset({permission}))
        assert world.call("GET", f"/v1/{place}")[0] == 403
