"""Cells of a spreadsheet: harmless to open, and back to exactly what they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.model import sheet
from core.model.values import Value

SIGNS = ("=", "+", "-", "@", "\t", "\r")
TEXTS = st.one_of(
    st.text(max_size=20),
    st.builds(str.__add__, st.text(alphabet="'=+-@\t\r\n (blank)", max_size=8), st.text(max_size=5)),
)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("quotes", ["", "'", "''"])
def test_a_formula_is_defused_and_comes_back(sign: str, quotes: str) -> None:
    """`=HYPERLINK(...)` in a customer's name must not run on the desk of whoever opens the file."""
    text = f"{quotes}{sign}cmd|' /C calc'!A0"
    cell = sheet.defused(text)
    assert cell == f"'{text}"
    assert sheet.plain(cell) == text


def test_an_apostrophe_of_ones_own_is_left_alone() -> None:
    """O'Brien, and 's-Hertogenbosch, are no formulas."""
    for text in ("'s-Hertogenbosch", "O'Brien", "'", "''", "a=b", ""):
        assert sheet.defused(text) == text
        assert sheet.plain(text) == text


@given(TEXTS)
def test_every_text_survives_its_cell(text: str) -> None:
    """No text is read as another one, none as the sign for clearing, and none starts a formula."""
    cell = sheet.defused(text)
    assert sheet.plain(cell) == text
    assert not cell.startswith(SIGNS)
    assert not sheet.is_clear(cell)


@given(st.dictionaries(st.sampled_from(["name", "metadata.x", "phone", "parent"]), TEXTS.filter(bool)), st.lists(TEXTS))
def test_a_row_changes_nothing_where_it_says_what_is_there(texts: dict[str, str], several: list[str]) -> None:
    """Also for what a provider once said and our own rules would refuse."""
    fields: dict[str, Value] = {**texts, "other_emails": several, "billing_address": {"line1": "=1", "city": "x, y"}}
    cells = {name: sheet.defused(sheet.text_of(fields, name)) for name in (*sheet.COLUMNS[2:], "metadata.x")}
    assert sheet.changes(cells, fields) == {}


def test_an_empty_cell_leaves_alone_and_blank_clears() -> None:
    """A column that somebody left empty must not empty it everywhere."""
    current = {"name": "Ada", "phone": "1", "metadata.a": "b"}
    assert sheet.changes({"name": "", "phone": "  ", "metadata.a": ""}, current) == {}
    assert sheet.changes({"name": "Eve", "phone": "(Blank) ", "metadata.a": "(blank)"}, current) == {
        "name": "Eve", "phone": None, "metadata.a": None,
    }  # fmt: skip
    assert sheet.changes({"name": "'(blank)"}, current) == {"name": "(blank)"}


def test_parts_of_an_address_change_alone() -> None:
    """The rest of it stays; blanks in all of them clear it."""
    current = {"billing_address": {"line1": "Way 1", "city": "Berlin"}}
    assert sheet.changes({"billing_address.city": "Bonn", "billing_address.line1": ""}, current) == {
        "billing_address": {"line1": "Way 1", "city": "Bonn"}
    }
    cleared = {"billing_address.city": "(blank)", "billing_address.line1": "(blank)"}
    assert sheet.changes(cleared, current) == {"billing_address": {}}


def test_lists_are_separated_by_commas() -> None:
    """An item that has a comma is quoted."""
    assert sheet.changes({"other_emails": "a@x.test, b@x.test,"}, {}) == {"other_emails": ["a@x.test", "b@x.test"]}
    assert (
        sheet.text_of({"invoice_metadata_keys": ["a,b", " c", 'd"']}, "invoice_metadata_keys") == '"a,b", " c", "d"""'
    )
    assert sheet.changes({"invoice_metadata_keys": '"a,b", c'}, {}) == {"invoice_metadata_keys": ["a,b", "c"]}
    for broken in ('"a', "a\nb", '"a"b'):
        with pytest.raises(InvalidInputError, match="other_emails: is no list"):
            sheet.changes({"other_emails": broken}, {})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ["external_customer_id", "Emial"],
            r"'Emial' is no column \(limit: external_customer_id.*metadata.<key>\).*'email'",
        ),
        (["external_customer_id", "name", "name"], "'name' is there twice"),
        (["name"], "there is no column 'external_customer_id'.*the file has: name"),
        (["external_customer_id", "billing_address"], "'billing_address' is no column"),
        (["external_customer_id", "metadata."], "'metadata.' is no column"),
        (["external_customer_id", ""], "'' is no column"),
    ],
)
def test_a_wrong_header_is_told_with_the_columns_there_are(names: list[str], words: str) -> None:
    """A mistyped column would else be left out of every row."""
    with pytest.raises(InvalidInputError, match=words):
        sheet.check_columns(names)


def test_any_spelling_of_the_clearing_cell_is_known() -> None:
    """Spreadsheets add blanks and capitals."""
    assert sheet.is_clear(" (Blank) ")
    assert not sheet.is_clear("blank")


def test_metadata_gets_the_columns_that_it_needs() -> None:
    """One for every key that somebody has."""
    records: list[dict[str, Value]] = [{"name": "Ada", "metadata.plan": "pro"}, {"metadata.tier": "1"}]
    assert sheet.metadata_columns(records) == {"metadata.plan", "metadata.tier"}


def test_a_header_that_has_what_it_needs_passes() -> None:
    """Nothing more is asked of it."""
    sheet.check_columns(["external_customer_id", "name"])
    sheet.check_columns(["name"], needed=())
