"""A customer as a row of a spreadsheet, and back (pure).

Spreadsheets run cells that look like formulas, so those carry an apostrophe that `plain` takes off again. An empty
cell leaves a value alone; the cell `(blank)` clears it, so that very text carries the apostrophe, too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from core.errors import InvalidInputError
from core.model.customer import FIELDS
from core.model.values import ADDRESS_PARTS, METADATA_PREFIX, Fields, is_metadata

KEY: Final = "external_customer_id"
VERSION: Final = "version"
CLEAR: Final = "(blank)"

ADDRESSES: Final = ("billing_address", "shipping_address")
LISTS: Final = ("other_emails", "invoice_metadata_keys")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet runs; full-width signs count in some of them."""


def _columns_of(field: str) -> list[str]:
    return [f"{field}.{part}" for part in ADDRESS_PARTS] if field in ADDRESSES else [field]


COLUMNS: Final = (KEY, VERSION, *(column for field in FIELDS for column in _columns_of(field)))
"""Every column but those of metadata."""


def defused(text: str) -> str:
    """The cell for a text: with an apostrophe where a spreadsheet, or an import, would not take it for a text."""
    return f"'{text}" if _is_risky(text) else text


def plain(cell: str) -> str:
    """The text that `defused` made a cell of; a cell that a person typed is what it says."""
    return cell[1:] if cell.startswith("'") and _is_risky(cell) else cell


def _is_risky(text: str) -> bool:
    # apostrophes before a sign count as the sign: else a text that really begins so would lose its own on the way back
    bare = text.lstrip("'")
    return bare.startswith(_FORMULA) or is_clear(bare)


def is_clear(cell: str) -> bool:
    """Whether a cell says that the value shall be cleared."""
    return cell.strip().casefold() == CLEAR


def metadata_columns(records: Iterable[Fields]) -> set[str]:
    """The columns that the metadata of some customers needs."""
    return {name for fields in records for name in fields if is_metadata(name)}


def text_of(fields: Fields, column: str) -> str:
    """One column of a customer as text, "" for a blank."""
    field, dot, part = column.partition(".")
    value = fields.get(field if field in ADDRESSES and dot else column)
    if isinstance(value, dict):
        return value.get(part, "")
    if isinstance(value, list):
        return ", ".join(_item(one) for one in value)
    return value or ""


def changes(cells: Mapping[str, str], current: Fields) -> dict[str, object]:
    """What a row changes, as the registry takes it. A cell that says what is there already changes nothing.

    `current` completes an address of which only parts are named. Raises InvalidInputError for a list that is none.
    """
    found: dict[str, object] = {}
    for column, cell in cells.items():
        if not cell or (not is_metadata(column) and not cell.strip()):
            continue
        text = "" if is_clear(cell) else plain(cell)
        if text == text_of(current, column):
            continue
        field, _, part = column.partition(".")
        if field in ADDRESSES:
            found[field] = _with_part(found.get(field, current.get(field)), part, text)
        elif column in LISTS:
            found[column] = _items(column, text) or None
        else:
            found[column] = text or None
    return found


def _with_part(address: object, part: str, text: str) -> dict[str, str]:
    parts = dict(address) if isinstance(address, dict) else {}
    parts.pop(part, None)
    return parts | ({part: text} if text else {})


def _item(text: str) -> str:
    is_simple = text == text.strip() and text and not set(text) & set(',"\r\n')
    return text if is_simple else '"' + text.replace('"', '""') + '"'


def _items(column: str, text: str) -> list[str]:
    try:
        (row,) = csv.reader([text], skipinitialspace=True, strict=True) if text else [[]]
    except (csv.Error, ValueError) as error:
        raise InvalidInputError("is no list", field=column, limit="items separated by commas", cure="a, b") from error
    return [one for one in row if one.strip()]


def check_columns(names: Iterable[str], known: Iterable[str] = COLUMNS, *, needed: Iterable[str] = (KEY,)) -> None:
    """Refuse a header that names a column twice, or one that there is not, or lacks one that it needs."""
    seen: set[str] = set()
    columns = list(known)
    for name in names:
        if name in seen:
            raise InvalidInputError(f"the column {name!r} is there twice", field="header", cure="keep one of the two")
        if name not in columns and not (KEY in columns and _is_metadata_column(name)):
            raise _unknown(name, columns)
        seen.add(name)
    for name in needed:
        if name not in seen:
            some = ", ".join(sorted(seen)) or "none"
            raise InvalidInputError(
                f"there is no column {name!r}", field="header", limit=_told(columns), cure=f"the file has: {some}"
            )


def _is_metadata_column(name: str) -> bool:
    return is_metadata(name) and name != METADATA_PREFIX


def _unknown(name: str, columns: list[str]) -> InvalidInputError:
    near = get_close_matches(name.casefold(), columns, n=1)
    cure = f"did you mean {near[0]!r}?" if near else "take the column out"
    return InvalidInputError(f"{name!r} is no column", field="header", limit=_told(columns), cure=cure)


def _told(columns: list[str]) -> str:
    return ", ".join([*columns, "metadata.<key>"] if KEY in columns else columns)
