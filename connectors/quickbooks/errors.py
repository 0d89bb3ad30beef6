"""QuickBooks' faults as our errors: one table, by error code, then by HTTP status (PROVIDERS §1, §2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from connectors.quickbooks.manifest import CLOSED, OPEN_THE_BOOKS, THROTTLE_SECONDS
from core.errors import (
    AccordError,
    AmbiguousError,
    BugError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)

BATCH_SIZE: Final = "batch_size"
"""The `field` of the error that means: too many payloads in one batch, nothing was executed."""

FIELD_OF: Final = {
    "DisplayName": "name",
    "CompanyName": "legal_name",
    "PrimaryEmailAddr": "email",
    "Email Address": "email",
    "PrimaryPhone": "phone",
    "BillAddr": "billing_address",
    "ShipAddr": "shipping_address",
    "WebAddr": "url",
    "CurrencyRef": "currency",
    "Active": "status",
    "ParentRef": "parent",
    "DocNumber": "number",
    "TxnDate": "issued_on",
    "DueDate": "due_on",
    "CustomerRef": "customer",
    "ItemRef": "lines",
    "TaxCodeRef": "tax",
    "DepositToAccountRef": "deposit_account",
    "LinkedTxn": "applications",
    "PaymentRefNum": "reference",
}
"""Attribute, as a fault names it -> neutral field."""

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_SUCCESS: Final = 200
_SERVER_FAULT: Final = 500


class Fault(msgspec.Struct, frozen=True):
    """The first error of a fault. `code` has no leading zeros."""

    code: str
    message: str
    detail: str
    element: str
    type: str

    @property
    def words(self) -> str:
        """One line for a person."""
        told = ": ".join(part for part in (self.message, self.detail) if part) or self.type or "no reason given"
        return f"QuickBooks {self.code}: {told}" if self.code else f"QuickBooks: {told}"


def error_from(status: int, headers: Mapping[str, str], body: bytes, *, is_write: bool) -> AccordError:
    """Decide which of our errors an answer is that does not carry what was asked for."""
    fault = fault_in(body)
    trace = headers.get("intuit_tid")
    if fault is None:
        fault = Fault("", f"HTTP {status} without a readable fault", "", "", "")
        if status in _UNDERSTANDABLE:
            return _UNDERSTANDABLE[status](fault, is_write)
        return _garbage(fault, status, trace, is_write=is_write)
    if status >= _SERVER_FAULT:
        return _down(fault, is_write)
    if status in _UNDERSTANDABLE and fault.code not in _BY_CODE:
        return _UNDERSTANDABLE[status](fault, is_write)
    return error_from_fault(fault, is_write=is_write)


def error_from_fault(fault: Fault, *, is_write: bool) -> AccordError:
    """Decide by code, else by the fault's type (also for one item of a batch, where HTTP said 200)."""
    decide = _BY_CODE.get(fault.code) or _BY_TYPE.get(fault.type.upper().removesuffix("FAULT"), _rejected)
    return decide(fault, is_write)


def has_fault(body: bytes) -> bool:
    """Whether an answer carries a fault, also one that cannot be read."""
    return any(part.get("fault") is not None for part in _parts(body))


def fault_in(body: bytes) -> Fault | None:
    """Read the fault an answer carries: `{"Fault": {"Error": [...]}}`, in either of Intuit's two letter cases."""
    return next(filter(None, (fault_of(part.get("fault")) for part in _parts(body))), None)


def _parts(body: bytes) -> list[dict[str, object]]:
    """An answer and what of it stands for objects: each may be a fault instead (PROVIDERS §1)."""
    try:
        whole = _lower(msgspec.json.decode(body))
    except _UNREADABLE:
        return []
    sets = [_lower(one) for one in _listed(whole.get("cdcresponse"))]
    results = [_lower(one) for part in (whole, *sets) for one in _listed(part.get("queryresponse"))]
    return [whole, *sets, *results]


def fault_of(value: object) -> Fault | None:
    """Read a decoded fault."""
    fault = _lower(value)
    if not fault:
        return None
    errors = fault.get("error")
    first = _lower(errors[0]) if isinstance(errors, list) and errors else {}
    return Fault(
        code=_text(first.get("code")).lstrip("0"),
        message=_text(first.get("message")),
        detail=_text(first.get("detail")),
        element=_text(first.get("element")),
        type=_text(fault.get("type")),
    )


def field_of(fault: Fault) -> str | None:
    """Name the neutral field that a fault is about, where it says."""
    for text in (fault.element, fault.detail, fault.message):
        for attribute, field in FIELD_OF.items():
            if attribute in text:
                return field
    return None


def _garbage(fault: Fault, status: int, trace: str | None, *, is_write: bool) -> AccordError:
    # a proxy's HTML page, a cut answer: a write behind it may have been executed
    words = fault.words + (f" (intuit_tid {trace})" if trace else "")
    if is_write:
        return AmbiguousError(words)
    return RetryError(words) if status >= _SERVER_FAULT else ReplyError(words)


def _throttled(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001 - one signature for the table
    return RetryError(fault.words, retry_after=THROTTLE_SECONDS)


def _down(fault: Fault, is_write: bool) -> AccordError:  # noqa: FBT001
    return AmbiguousError(fault.words) if is_write else RetryError(fault.words)


def _unauthorized(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return ReauthorizeError(f"{fault.words}; connect the company again")


def _forbidden(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return ReauthorizeError(
        f"{fault.words}; the app needs the scope com.intuit.quickbooks.accounting and the company a plan that allows it"
    )


def _gone(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return GoneError(fault.words)


def _not_found(fault: Fault, is_write: bool) -> AccordError:  # noqa: FBT001
    # without code 610 a 404 may be a wrong address: no read may conclude from it that an object is gone
    return GoneError(fault.words) if is_write else ReplyError(fault.words)


def _stale(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return StaleError(fault.words)


def _taken(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return TakenError(fault.words, field="name")


def _number_taken(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    # "DocNumber=1037 is assigned to TxnType=Invoice with TxnId=145"
    holder = re.search(r"TxnId=(\d+)", fault.detail)
    return TakenError(fault.words, field="number", remote_id=holder[1] if holder else None)


def _closed(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return RejectedError(fault.words, field=CLOSED, limit="books are open", cure=OPEN_THE_BOOKS)


def _deposited(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return RejectedError(
        fault.words, field="status", limit="not in a bank deposit", cure="take it out of the deposit in QuickBooks"
    )


def _repeated(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    # the first request with this id was executed, or still is: only a look-up can tell
    return AmbiguousError(fault.words)


def _batch_too_big(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return RejectedError(fault.words, field=BATCH_SIZE, cure="lower batch_size of this connection")


def _our_query(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    return BugError(fault.words)


def _rejected(fault: Fault, is_write: bool) -> AccordError:  # noqa: ARG001, FBT001
    if field_of(fault) == "currency":
        cure = "book it by hand on another customer there, of its currency, or leave it"
        return RejectedError(fault.words, field="currency", limit="the customer's currency", cure=cure)
    if field_of(fault) == "applications":
        cure = (
            "look in QuickBooks whose the invoice is, and what settles it: if that is this very payment, leave this;"
            " else take it off there, and retry"
        )
        return RejectedError(fault.words, field="applications", limit="what is due there", cure=cure)
    most = re.search(r"Max:(\d+)", fault.detail)
    limit = f"{most[1]} characters" if most else None
    return RejectedError(fault.words, field=field_of(fault), limit=limit, cure="change the value")


_Decide = Callable[[Fault, bool], AccordError]

_BY_CODE: Final[Mapping[str, _Decide]] = {
    "120": _forbidden,
    "600": _repeated,
    "610": _gone,
    "1040": _batch_too_big,
    "3001": _throttled,
    "3100": _forbidden,
    "3200": _unauthorized,
    "4000": _our_query,
    "4001": _our_query,
    "5010": _stale,
    "5020": _forbidden,
    "6140": _number_taken,
    "6190": _forbidden,
    "6200": _closed,
    "6210": _closed,
    "6240": _taken,
    "6540": _deposited,
    "10000": _down,
}
_BY_TYPE: Final[Mapping[str, _Decide]] = {
    "AUTHENTICATION": _unauthorized,
    "AUTHORIZATION": _forbidden,
    "SERVICE": _down,
    "SYSTEM": _down,
}
_UNDERSTANDABLE: Final[Mapping[int, _Decide]] = {
    401: _unauthorized,
    403: _forbidden,
    404: _not_found,
    429: _throttled,
}


def _lower(value: object) -> dict[str, object]:
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, dict) else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
