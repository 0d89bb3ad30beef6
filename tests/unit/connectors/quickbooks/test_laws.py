"""The laws of a translation, for any customer and any wish."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.quickbooks.manifest import MANIFEST
from connectors.quickbooks.sandbox.rules import Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.store import Customers
from connectors.quickbooks.translate import CustomerTranslator
from core.errors import RejectedError
from core.model.remote import Wanted

WORLD = CustomerTranslator(is_us=False)
US = CustomerTranslator(is_us=True)
TEXTS = st.text(max_size=40) | st.sampled_from(["Acme", " Acme ", "a:b", "Acme (deleted)", "a@b.example", "Łódź", ""])
PARTS = st.sampled_from(["line1", "line2", "city", "state", "postal_code"])
ADDRESSES = st.builds(
    lambda parts, country: {**parts, **({"country": country} if country else {})},
    st.dictionaries(PARTS, TEXTS, max_size=4),
    st.sampled_from([None, "DE", "US", "GB", "CI", "us", "XX"]),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("name", "legal_name", "phone", "url"), st.none() | TEXTS),
    "email": st.none() | st.emails() | TEXTS,
    "billing_address": st.none() | ADDRESSES,
    "shipping_address": st.none() | ADDRESSES,
    "status": st.sampled_from(["active", "inactive", None]),
}
WISHES = st.fixed_dictionaries({}, optional=VALUES)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.dictionaries(st.sampled_from(["Line1", "Line3", "Country", "x"]), inner, max_size=3)
        | st.lists(inner, max_size=2)
    ),
    max_leaves=4,
)


class Company:
    """The look-alike's own store, driven without HTTP."""

    def __init__(self, *, is_us: bool) -> None:
        """Hold one customer."""
        told = QuickBooksSettings(country="US" if is_us else "DE")
        self.store = Customers(lambda: told)
        self.remote_id = self.store.add({"DisplayName": "Before", "Notes": "n", "CurrencyRef": {"value": "USD"}}, 0)

    @property
    def raw(self) -> bytes:
        """The customer as an answer would carry it."""
        return self.store.encoded(self.remote_id)

    def write(self, body: dict[str, Any]) -> None:
        """Send an update through JSON."""
        self.store.update(json.loads(json.dumps(body)), 60)


def feasible(translator: CustomerTranslator, wish: dict[str, Any]) -> dict[str, Any]:
    """The part of a wish that is not refused."""
    return {field: value for field, value in wish.items() if translator.refusal(field, value) is None}


@given(wish=WISHES, is_us=st.booleans())
def test_what_is_not_refused_is_taken_and_read_back_as_its_canonical_form(wish: dict[str, Any], *, is_us: bool) -> None:
    """PutGet, against the strict look-alike: refusal() is exact enough that no write bounces."""
    translator, company = (US if is_us else WORLD), Company(is_us=is_us)
    wish = feasible(translator, wish)

    body = translator.patch(Wanted(fields=wish), company.raw).body
    if body:
        company.write(body)
    after = translator.read(company.raw)

    assert after.unreadable == {}
    for field, value in wish.items():
        assert after.fields[field] == translator.canonical(field, value)


@given(wish=WISHES)
def test_writing_what_is_there_writes_nothing(wish: dict[str, Any]) -> None:
    """GetPut: an idle reconcile costs no call."""
    company = Company(is_us=False)
    body = WORLD.patch(Wanted(fields=feasible(WORLD, wish)), company.raw).body
    if body:
        company.write(body)

    there = WORLD.read(company.raw).fields

    assert WORLD.patch(Wanted(fields=there), company.raw).is_empty


@given(field=st.sampled_from(sorted(MANIFEST.fields)), data=st.data())
def test_canonical_is_idempotent(field: str, data: st.DataObject) -> None:
    """Spelling a spelling again changes nothing."""
    value = data.draw(VALUES.get(field, TEXTS))
    once = WORLD.canonical(field, value)

    assert WORLD.canonical(field, once) == once


@given(wish=WISHES)
def test_a_write_touches_nothing_it_was_not_asked_to(wish: dict[str, Any]) -> None:
    """Frame: unknown attributes, other writers' values and unwished fields stay."""
    company = Company(is_us=False)
    before = WORLD.read(company.raw).fields
    wish = feasible(WORLD, wish)

    body = WORLD.patch(Wanted(fields=wish), company.raw).body
    if body:
        company.write(body)

    after = WORLD.read(company.raw).fields
    assert {field: after[field] for field in after if field not in wish} == {
        field: before[field] for field in before if field not in wish
    }
    assert json.loads(company.raw)["Notes"] == "n"


@given(field=st.sampled_from(sorted(VALUES)), data=st.data(), is_create=st.booleans())
def test_a_refused_value_never_gets_into_a_patch(field: str, data: st.DataObject, *, is_create: bool) -> None:
    """What refusal() names, patch() does not send."""
    value = data.draw(VALUES[field])
    assume(US.refusal(field, value) is not None)
    wish = {"name": "Acme", field: value} if field != "name" else {"name": value}
    current = None if is_create else Company(is_us=True).raw

    with pytest.raises(RejectedError) as caught:
        US.patch(Wanted(fields=wish), current)
    assert caught.value.field == field


@given(wish=WISHES)
def test_the_same_wish_gives_the_same_bytes(wish: dict[str, Any]) -> None:
    """Bodies are frozen in intents: a set's order must not leak into them."""
    raw = Company(is_us=False).raw
    wish = feasible(WORLD, wish)
    backwards = dict(reversed(wish.items()))

    first = json.dumps(WORLD.patch(Wanted(fields=wish), raw).body)

    assert json.dumps(WORLD.patch(Wanted(fields=backwards), raw).body) == first


@given(st.dictionaries(st.sampled_from(["DisplayName", "BillAddr", "Active", "SyncToken", "CompanyName"]), ODD))
@settings(max_examples=200)
def test_reading_never_fails_for_odd_values(attributes: dict[str, Any]) -> None:
    """Every field is either read or named as unreadable, whatever the provider sends."""
    remote = WORLD.read(json.dumps({**attributes, "Id": "1"}).encode())

    assert set(remote.fields) | set(remote.unreadable) == set(MANIFEST.fields)
    assert not set(remote.fields) & set(remote.unreadable)


@given(name=st.text(min_size=1, max_size=30))
def test_creating_what_is_not_refused_succeeds(name: str) -> None:
    """The first write of a new customer, against the strict look-alike."""
    if US.refusal("name", name) is not None:
        return
    told = QuickBooksSettings()
    store = Customers(lambda: told)
    body = US.patch(Wanted(fields={"name": name}), None).body
    try:
        remote_id = store.create(body, 0)
    except Refused as refused:
        raise AssertionError(refused.fault) from refused

    assert US.read(store.encoded(remote_id)).fields["name"] == US.canonical("name", name)
