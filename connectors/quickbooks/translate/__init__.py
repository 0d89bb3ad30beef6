"""QuickBooks' objects in neutral form, and neutral ones as QuickBooks wants them written. Pure."""

from __future__ import annotations

from connectors.quickbooks.translate.booking import Booking, booking_of
from connectors.quickbooks.translate.customers import (
    DELETED_SUFFIX,
    CustomerTranslator,
    customer_in,
    farewell_to,
    read_field,
)
from connectors.quickbooks.translate.documents import QuickBooksDocuments

__all__ = [
    "Booking",
    "CustomerTranslator",
    "DELETED_SUFFIX",
    "QuickBooksDocuments",
    "booking_of",
    "customer_in",
    "farewell_to",
    "read_field",
]
