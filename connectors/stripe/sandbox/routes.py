"""Which endpoint a path means: `/v1/invoices/in_1/pay` is `/v1/invoices/{id}/pay` of `in_1`."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

_LITERALS: Final = frozenset({"search", "report_payment"})
"""What stands where an id would, and is none."""


def endpoint_of(method: str, path: str) -> tuple[str, str]:
    """Method and path with `{id}` in the id's place, and the id ("" for none): ids share a limit (PROVIDERS §1)."""
    parts = path.rstrip("/").split("/")
    if len(parts) < 4 or parts[3] in _LITERALS:
        return f"{method} {'/'.join(parts)}", ""
    return f"{method} {'/'.join([*parts[:3], '{id}', *parts[4:]])}", unquote(parts[3])


def permission_of(method: str, path: str) -> str:
    """The permission that a restricted key needs (PROVIDERS §6)."""
    place = path.split("/")[2] if path.count("/") > 1 else ""
    if place in _SPECIAL:
        return _SPECIAL[place]
    verb = "read" if method == "GET" else "write"
    return f"rak_{_NOUNS.get(place, 'customer')}_{verb}"


_SPECIAL: Final = {
    "account": "rak_accounts_kyc_basic_read",
    "balance": "rak_balance_read",
    "balance_transactions": "rak_balance_read",
    "events": "rak_event_read",
}
_NOUNS: Final = {
    "customers": "customer",
    "invoices": "invoice",
    "invoiceitems": "invoice",
    "invoice_payments": "invoice",
    "credit_notes": "credit_note",
    "payment_records": "payment_records",
    "disputes": "dispute",
    "payouts": "payout",
}
