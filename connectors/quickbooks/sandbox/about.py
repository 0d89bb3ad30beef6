"""What a company tells of itself: who it is, and the settings that matter to documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.quickbooks.sandbox.settings import QuickBooksSettings


def company(told: QuickBooksSettings) -> bytes:
    """CompanyInfo."""
    found = {"CompanyName": told.company_name, "LegalName": told.company_name, "Country": told.country, "Id": "1"}
    return b'"CompanyInfo":' + msgspec.json.encode(found)


def preferences(told: QuickBooksSettings) -> bytes:
    """Preferences: closing date (PROVIDERS §2), numbers, currencies."""
    found = {
        "AccountingInfoPrefs": {"BookCloseDate": told.books_closed_through} if told.books_closed_through else {},
        "SalesFormsPrefs": {"CustomTxnNumbers": told.has_custom_numbers, "AutoApplyCredit": told.applies_credits},
        "CurrencyPrefs": {"MultiCurrencyEnabled": told.is_multicurrency, "HomeCurrency": {"value": told.home_currency}},
        "Id": "1",
    }
    return b'"Preferences":' + msgspec.json.encode(found)


def shown(row: Mapping[str, Any], told: QuickBooksSettings) -> Mapping[str, Any]:
    """A customer or a document as answers show it: without multicurrency nothing says its currency (PROVIDERS §5)."""
    return row if told.is_multicurrency else {name: one for name, one in row.items() if name != "CurrencyRef"}
