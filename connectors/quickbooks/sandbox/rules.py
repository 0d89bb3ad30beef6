"""What QuickBooks refuses in a customer, and how it spells what it takes (PROVIDERS §2, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NO_SEPARATORS: Final = (":", "\t", "\n")  # PROVIDERS §5
_PERSON: Final = {"Title": 16, "GivenName": 100, "MiddleName": 100, "FamilyName": 100, "Suffix": 16}
TEXTS: Final = {  # PROVIDERS §5
    **_PERSON,
    "DisplayName": 500,
    "CompanyName": 100,
    "PrintOnCheckName": 110,
    "Notes": 2000,
    "ResaleNum": 16,
    "PreferredDeliveryMethod": 20,
    "PrimaryTaxIdentifier": 20,
    "SecondaryTaxIdentifier": 20,
    "TaxExemptionReasonId": 10,
    "OpenBalanceDate": 10,
}
_STRICT: Final = frozenset(_PERSON) | {"DisplayName", "PrintOnCheckName"}
_PHONE: Final = {"FreeFormNumber": 30}  # PROVIDERS §5
_LINES: Final = {f"Line{number}": 500 for number in range(1, 6)}
_ADDRESS: Final = {  # PROVIDERS §5
    **_LINES,
    "City": 255,
    "Country": 255,
    "CountrySubDivisionCode": 255,
    "PostalCode": 30,
    "Id": 50,
    "Lat": 50,
    "Long": 50,
}
_REF: Final = {"value": 100, "name": 500, "type": 100}
OBJECTS: Final[Mapping[str, Mapping[str, int]]] = {
    "PrimaryEmailAddr": {"Address": 100},  # PROVIDERS §5
    "WebAddr": {"URI": 1000},  # PROVIDERS §5
    "BillAddr": _ADDRESS,
    "ShipAddr": _ADDRESS,
    **dict.fromkeys(("PrimaryPhone", "AlternatePhone", "Mobile", "Fax"), _PHONE),
    **dict.fromkeys(
        ("CurrencyRef", "ParentRef", "DefaultTaxCodeRef", "SalesTermRef", "PaymentMethodRef", "ARAccountRef"), _REF
    ),
}
_EXEMPTIONS: Final = frozenset(str(number) for number in range(1, 16))  # PROVIDERS §5
SWITCHES: Final = frozenset({"Active", "Job", "BillWithParent", "Taxable"})
IGNORED: Final = frozenset(
    {"MetaData", "domain", "FullyQualifiedName", "Balance", "BalanceWithJobs", "Level", "IsProject", "V4IDPseudonym"}
)
"""Computed by QuickBooks: a client may send them back, to no effect."""
BUSINESS: Final = "A business validation error has occurred while processing your request"
ENVELOPE: Final = frozenset({"Id", "SyncToken", "sparse"})


class Refused(Exception):  # noqa: N818 - not an error of ours: an answer of the look-alike
    """An answer that carries a fault."""

    def __init__(
        self,
        code: str,
        message: str,
        detail: str = "",
        *,
        element: str = "",
        status: int = 400,
        kind: str = "ValidationFault",
    ) -> None:
        """Say it in QuickBooks' own words."""
        super().__init__(message)
        self.status = status
        self.fault = {
            "Error": [{"Message": message, "Detail": detail or message, "code": code, "element": element}],
            "type": kind,
        }


def accepted(body: Mapping[str, Any], *, is_us: bool) -> dict[str, Any]:
    """Attributes of a customer as QuickBooks would store them; blank texts stay, as the wish to clear."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name in ENVELOPE or name in IGNORED or value is None:
            continue  # JSON null says nothing, also in a sparse update: only a blank text clears
        if name in TEXTS:
            found[name] = text_in(name, value, TEXTS[name], is_us=is_us, is_strict=name in _STRICT)
        elif name in OBJECTS:
            found[name] = _object(name, value, is_us=is_us)
        elif name in SWITCHES:
            found[name] = _switch(name, value)
        else:
            raise unsupported(name)  # PROVIDERS §5: no such attribute
    _check_email(found.get("PrimaryEmailAddr", {}).get("Address", ""))
    reason = found.get("TaxExemptionReasonId")
    if reason and reason not in _EXEMPTIONS:  # PROVIDERS §5: 1 to 15
        raise Refused("2010", "Request has invalid or unsupported property", element="TaxExemptionReasonId")
    return found


def name_in(attributes: Mapping[str, Any]) -> str:
    """DisplayName, or what QuickBooks composes from the parts of a person's name."""
    parts = [attributes.get(part, "") for part in _PERSON]
    name: str = attributes.get("DisplayName") or " ".join(part for part in parts if part)
    if not name:
        raise Refused(  # PROVIDERS §5: a name, or a part of one
            "6080",
            "No Name Provided",
            "Title, GivenName, MiddleName, FamilyName, DisplayName, Suffix - one of these must be non-empty",
        )
    return name


def _object(name: str, value: object, *, is_us: bool) -> dict[str, str]:
    if not isinstance(value, dict):
        raise unsupported(name)  # PROVIDERS §5
    found = {}
    for part, text in value.items():
        if part not in OBJECTS[name]:
            raise unsupported(f"{name}.{part}")  # PROVIDERS §5
        if text is not None:
            found[part] = text_in(f"{name}.{part}", text, OBJECTS[name][part], is_us=is_us, is_strict=False)
    return {part: text for part, text in found.items() if text}


def text_in(name: str, value: object, most: int, *, is_us: bool, is_strict: bool) -> str:
    """A text, trimmed; refused where it is too long, or holds what QuickBooks does not take."""
    if not isinstance(value, str):
        raise unsupported(name)  # PROVIDERS §5
    text = value.strip()
    if len(text) > most:
        message = "String length is either shorter or longer than supported by specification"
        raise Refused(  # PROVIDERS §2: refused, not cut
            "2050", message, f"{message}. Min:0 Max:{most} supported. Supplied length:{len(text)}", element=name
        )
    if any(ord(character) < ord(" ") and character not in "\t\r\n" for character in text):
        raise Refused("2040", "Invalid String", f"{name} holds a control character", element=name)  # stricter reading
    if is_strict and any(character in text for character in _NO_SEPARATORS):  # PROVIDERS §5: they part sub-customers
        raise Refused("2040", "Invalid String", f"{name} holds a colon, tab or new line", element=name)
    if is_us and any(ord(character) > 0xFF for character in text):  # PROVIDERS §5: ISO-8859-1
        raise Refused("2040", "Invalid String", f"{name} holds characters outside of ISO-8859-1", element=name)
    return text


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise unsupported(name)  # PROVIDERS §5
    return value


def _check_email(address: str) -> None:
    if address and ("@" not in address or "." not in address):  # PROVIDERS §5: both @ and a dot
        raise Refused("2210", "Invalid Email Address format", f"Email Address: {address} does not conform to RFC 822")


def unsupported(name: str) -> Refused:
    """The refusal of an attribute that is not there, or of another shape."""
    return Refused(
        "2010",
        "Request has invalid or unsupported property",
        f"Property Name:{name} specified is unsupported or invalid",
        element=name,
    )
