"""Documents as the API tells them: real values of a real family, not only that a route answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.acting import change_only, everybody
from tests.support.paper import bill, pay
from tests.support.world import World

pytestmark = pytest.mark.anyio

NAMES = ("Top", "Middle", "Leaf", "Stranger")
FAMILY = {"Middle": "Top", "Leaf": "Middle"}


@pytest.fixture
async def ids(world: World) -> dict[str, str]:
    """Three generations and a stranger: each was billed 119.00 and paid some; the leaf has a credit, too."""
    stripe = world.lookalikes["stripe"]
    for name in NAMES:
        stripe.edit("customer", None, {"name": name, "email": f"{name}@example.test"})
    await world.activate_all("stripe")
    remote = {one["name"]: key for key, one in stripe.neutral("customer").items()}
    for number, name in enumerate(NAMES, 1):
        invoice = bill(world, customer=remote[name], number=f"N-{number}")
        pay(world, invoice, f"{number}.00", customer=remote[name])
        if name == "Leaf":
            stripe.edit("credit_note", None, {"invoice": invoice, "lines": [{"amount": "5.00"}]})
    await world.next_sweep()
    found = {str(one.fields["name"]): one.external_id for one in everybody(world)}
    for child, parent in FAMILY.items():
        change_only(world, found[child], parent=found[parent])
    return found


async def told(api: httpx.AsyncClient, external_id: str, what: str, **params: Any) -> list[dict[str, Any]]:
    """The documents that a route tells of, on all its pages."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await api.get(f"/v1/customers/{external_id}/{what}", params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if not answer.json().get("next_cursor"):
            return found
        params["cursor"] = answer.json()["next_cursor"]


@pytest.mark.parametrize(
    ("name", "children", "numbers"),
    [
        ("Top", "false", ["N-1"]),
        ("Top", "true", ["N-1", "N-2", "N-3"]),
        ("Middle", "true", ["N-2", "N-3"]),
        ("Leaf", "true", ["N-3"]),
        ("Stranger", "true", ["N-4"]),
    ],
)
async def test_invoices_are_a_customers_own_or_those_of_its_family(
    api: httpx.AsyncClient, ids: dict[str, str], name: str, children: str, numbers: list[str]
) -> None:
    """Every generation below it, nobody above it and no stranger."""
    found = await told(api, ids[name], "invoices", children=children)

    assert sorted(one["document"]["number"] for one in found) == numbers
    assert {one["document"]["total"] for one in found} == {"119.00"}
    of = {one["document"]["number"]: one["customer"] for one in found}
    assert of == {number: ids[NAMES[int(number[-1]) - 1]] for number in numbers}


async def test_payments_and_credit_notes_are_told_of_a_family_too(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """With their own amounts."""
    own, all_of_them = [await told(api, ids["Top"], "payments", children=flag) for flag in ("false", "true")]
    assert [one["document"]["amount"] for one in own] == ["1.00"]
    assert sorted(one["document"]["amount"] for one in all_of_them) == ["1.00", "2.00", "3.00"]
    assert await told(api, ids["Top"], "credit_notes") == []
    (note,) = await told(api, ids["Top"], "credit_notes", children="true")
    assert (note["document"]["total"], note["customer"]) == ("5.00", ids["Leaf"])


async def test_a_family_is_told_page_by_page(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """Each once."""
    found = await told(api, ids["Top"], "invoices", children="true", limit=1)

    assert sorted(one["document"]["number"] for one in found) == ["N-1", "N-2", "N-3"]


async def test_an_overview_adds_up_a_family(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """Gross revenue has credits taken off; what is due and what was paid are everybody's."""
    (own,) = await told(api, ids["Top"], "overview")
    (whole,) = await told(api, ids["Top"], "overview", children="true")

    names = ("currency", "invoices", "gross_revenue", "outstanding", "paid")
    assert [own[one] for one in names] == ["USD", 1, "119.00", "118.00", "1.00"]
    assert [whole[one] for one in names] == ["USD", 3, "352.00", "346.00", "6.00"]


async def test_whose_family_is_not_there_is_told(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    """Not an empty page."""
    assert ids
    for what in ("invoices", "payments", "credit_notes", "overview"):
        answer = await api.get(f"/v1/customers/nobody/{what}", params={"children": "true"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
