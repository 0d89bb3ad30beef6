"""The billing overview at HubSpot: numbers, a day, texts, read back as they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.hubspot.translate import HubSpotTranslator
from core.errors import RejectedError
from core.model.figures import FIGURES
from core.model.remote import Wanted
from core.ports import ConnectionConfig

SHOWING = HubSpotTranslator(ConnectionConfig(name="hubspot", provider="hubspot", overview=True))
SILENT = HubSpotTranslator(ConnectionConfig(name="hubspot", provider="hubspot"))
TOLD = {
    "overview.currency": "USD",
    "overview.gross_revenue": "238.00",
    "overview.outstanding": "219.50",
    "overview.overdue": "0.00",
    "overview.last_paid_on": "2026-11-20",
    "overview.other_currencies": None,
}


def raw(**properties: Any) -> bytes:
    """A contact, as read."""
    there = {"accord_ref": "a.b.1", **properties}
    return json.dumps({"type": "contact", "object": {"id": "7", "properties": there, "updatedAt": "x"}}).encode()


def test_properties_are_made_and_asked_for_only_where_policy_shows_the_overview() -> None:
    """The others of the account are none of ours."""
    ours = {
        "accord_currency": "string",
        "accord_gross_revenue": "number",
        "accord_outstanding": "number",
        "accord_overdue": "number",
        "accord_last_paid_on": "date",
        "accord_other_currencies": "string",
    }
    for object_type in ("contact", "company"):
        made = {one.name: one.type for one in SHOWING.definitions(object_type)}
        assert ours.items() <= made.items()
        assert ours.keys() <= {*SHOWING.properties(object_type)}
        silent = {*SILENT.properties(object_type), *(one.name for one in SILENT.definitions(object_type))}
        assert not ours.keys() & silent
    assert not [name for name in SILENT.read(raw(accord_overdue="1")).fields if name in FIGURES]
    assert SILENT.refusal("overview.overdue", "1") is not None


def test_figures_are_written_as_numbers_and_days_and_read_back() -> None:
    """Zeros at the end are no difference: HubSpot drops them."""
    blank = raw(**dict.fromkeys(f"accord_{name.partition('.')[2]}" for name in FIGURES))
    patch = SHOWING.patch(Wanted(fields=TOLD), blank)
    assert patch.body["properties"] == {
        "accord_currency": "USD",
        "accord_gross_revenue": "238",
        "accord_last_paid_on": "1795132800000",
        "accord_outstanding": "219.5",
        "accord_overdue": "0",
    }
    there = raw(**patch.body["properties"], accord_other_currencies="")
    read = SHOWING.read(there).fields
    assert {name: read[name] for name in FIGURES} == {
        name: SHOWING.canonical(name, value) for name, value in TOLD.items()
    }
    assert SHOWING.patch(Wanted(fields=TOLD), there).is_empty
    cleared = SHOWING.patch(Wanted(fields=dict.fromkeys(FIGURES)), there).body["properties"]
    assert set(cleared.values()) == {""}


@pytest.mark.parametrize("text", ["2026-11-20", "2026-11-20T00:00:00Z", "1795132800000"])
def test_a_day_is_read_however_it_is_spelled(text: str) -> None:
    """HubSpot has three ways."""
    assert SHOWING.read(raw(accord_last_paid_on=text)).fields["overview.last_paid_on"] == "2026-11-20"


def test_what_cannot_be_read_is_named() -> None:
    """A property of ours that somebody made anew with another type."""
    seen = SHOWING.read(raw(accord_overdue="much", accord_last_paid_on="soon"))
    assert set(seen.unreadable) == {"overview.overdue", "overview.last_paid_on"}
    assert seen.unreadable.keys().isdisjoint(seen.fields)


def test_a_figure_whose_property_is_not_made_has_no_place() -> None:
    """An account where somebody removed all that is ours looks like one where nothing was made yet."""
    seen = SHOWING.read(raw(accord_overdue="1"))
    assert seen.fields["overview.overdue"] == "1"
    assert seen.unmade >= {name for name in FIGURES if name != "overview.overdue"}
    assert "overview.overdue" not in seen.unmade


@pytest.mark.parametrize(
    ("value", "same"), [("1.50", "1.5"), ("0.00", "0"), ("NaN", "NaN"), ("x", "x"), ("-2.0", "-2")]
)
def test_numbers_compare_as_numbers(value: str, same: str) -> None:
    """What is none is left as it is."""
    assert SHOWING.canonical("overview.overdue", value) == same
    assert SHOWING.canonical("overview.currency", f" {value} ") == value


def test_an_amount_that_a_number_of_hubspot_s_cannot_hold_is_refused() -> None:
    """It would come back as another one."""
    wanted = Wanted(fields={"overview.outstanding": "12345678901234.56"})
    with pytest.raises(RejectedError, match="too many digits"):
        SHOWING.patch(wanted, raw(accord_outstanding=""))
    assert SHOWING.refusal("overview.outstanding", "1234567890123.45") is None
