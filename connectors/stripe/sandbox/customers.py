"""A Stripe customer's attributes: what a request may set, and what becomes of it (PROVIDERS §5)."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.stripe.sandbox.forms import Form, integer_in, known, list_in, text_in
from connectors.stripe.sandbox.settings import RefusedError
from core.model.country import country_code

Customer = dict[str, Any]

PARTS: Final = ("city", "country", "line1", "line2", "postal_code", "state")
LETTERS: Final = string.ascii_letters + string.digits

_UNMODELLED: Final = frozenset({"cash_balance", "default_source", "payment_method", "source", "tax", "validate"})
_COMMON: Final = frozenset(
    {
        "address",
        "balance",
        "business_name",
        "description",
        "email",
        "expand",
        "individual_name",
        "invoice_prefix",
        "invoice_settings",
        "metadata",
        "name",
        "next_invoice_sequence",
        "phone",
        "preferred_locales",
        "shipping",
        "tax_exempt",
    }
)
CREATE_PARAMS: Final = _COMMON | _UNMODELLED | {"tax_id_data", "test_clock"}
UPDATE_PARAMS: Final = _COMMON | _UNMODELLED
_REFUSED: Final = _UNMODELLED | {"tax_id_data", "test_clock"}

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MAX_KEYS: Final = 50  # PROVIDERS §2
_MAX_KEY: Final = 40  # PROVIDERS §2
_MAX_VALUE: Final = 500  # PROVIDERS §2


def blank_customer(rng: random.Random, created: int, *, is_live: bool) -> Customer:
    """Return a customer as it is created without any parameter."""
    return {
        "id": "cus_" + "".join(rng.choices(LETTERS, k=14)),
        "object": "customer",
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": f"{rng.getrandbits(32):08X}",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": is_live,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def changed_by(customer: Customer, form: Form) -> Customer:
    """Return the customer after a request; the old one stays as it was. Raises RefusedError."""
    changed = dict(customer)
    for param, value in form.items():
        if param == "expand":
            continue
        if param in _REFUSED:
            raise RefusedError(f"This look-alike does not model {param}", param=param)
        changed[param] = _RULES[param](value, customer)
    return changed


def previous_attributes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old values of what changed; of hashes only the keys that changed (PROVIDERS §4)."""
    found: dict[str, Any] = {}
    for key in {**old, **new}:
        was: Any = old.get(key)
        now: Any = new.get(key)
        if was != now:
            nested = isinstance(was, dict) and isinstance(now, dict)
            found[key] = previous_attributes(was, now) if nested else was
    return found


def _text(param: str, limit: int = 5000) -> Callable[[object, Customer], str | None]:
    return lambda value, _: text_in(value, param, limit)


def _email(value: object, _: Customer) -> str | None:
    text = (text_in(value, "email", 512) or "").strip()
    if text and not _EMAIL.fullmatch(text):
        raise RefusedError(f"Invalid email address: {text}", code="email_invalid", param="email")  # PROVIDERS §5
    return text or None


def _address(value: object, there: Mapping[str, Any] | None, param: str) -> dict[str, Any] | None:
    if value == "":
        return None
    if not isinstance(value, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object", param=param)  # PROVIDERS §5
    known(value, frozenset(PARTS), param)
    address = dict(there or dict.fromkeys(PARTS))
    for part, text in value.items():
        address[part] = text_in(text, f"{param}[{part}]")
    country = address["country"]
    if country and country_code(country) != country.upper():  # PROVIDERS §5: two letters
        message = f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead."
        raise RefusedError(message, code="country_code_invalid", param=f"{param}[country]")
    return address


def _billing_address(value: object, customer: Customer) -> dict[str, Any] | None:
    # parts that are left out stay: the stricter reading
    return _address(value, customer["address"], "address")


def _shipping(value: object, _: Customer) -> dict[str, Any] | None:
    # replaced whole, a phone that is left out is lost: the stricter reading
    if value == "":
        return None
    if not isinstance(value, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object", param="shipping")  # PROVIDERS §5
    known(value, frozenset({"name", "phone", "address"}), "shipping")
    for part in ("address", "name"):
        if not value.get(part):  # PROVIDERS §5
            param = f"shipping[{part}]"
            raise RefusedError(f"Missing required param: {param}.", code="parameter_missing", param=param)
    return {
        "address": _address(value["address"], None, "shipping[address]"),
        "name": text_in(value["name"], "shipping[name]"),
        "phone": text_in(value.get("phone", ""), "shipping[phone]", 20),
    }


def metadata_in(value: object, customer: Mapping[str, Any]) -> dict[str, str]:
    """Metadata after a request: keys merge, "" takes one away (PROVIDERS §2)."""
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object", param="metadata")  # PROVIDERS §2
    metadata = dict(customer["metadata"])
    for key, text in value.items():
        param = f"metadata[{key}]"
        if len(key) > _MAX_KEY:  # PROVIDERS §2: 40
            raise RefusedError(f"Invalid metadata key; must be at most {_MAX_KEY} characters", param=param)
        found = text_in(text, param, _MAX_VALUE)
        if found is None:
            metadata.pop(key, None)
        else:
            metadata[key] = found
    if len(metadata) > _MAX_KEYS:
        raise RefusedError(f"Metadata must be at most {_MAX_KEYS} keys", param="metadata")  # PROVIDERS §2: 50
    return metadata


def _locales(value: object, _: Customer) -> list[str]:
    texts = [text_in(item, "preferred_locales") for item in list_in(value, "preferred_locales")]
    return [text for text in texts if text]


def _tax_exempt(value: object, _: Customer) -> str:
    if value not in ("", "none", "exempt", "reverse"):  # PROVIDERS §5
        raise RefusedError("Invalid tax_exempt: must be one of none, exempt, or reverse", param="tax_exempt")
    return str(value or "none")


def _invoice_prefix(value: object, _: Customer) -> str:
    text = text_in(value, "invoice_prefix") or ""
    if not re.fullmatch(r"[A-Z0-9]{3,12}", text):  # PROVIDERS §5
        raise RefusedError("The invoice prefix must be 3-12 uppercase letters or numbers", param="invoice_prefix")
    return text


def _invoice_settings(value: object, customer: Customer) -> dict[str, Any]:
    if not isinstance(value, dict):  # PROVIDERS §5
        raise RefusedError("Invalid object", code="parameter_invalid_object", param="invoice_settings")
    known(value, frozenset(customer["invoice_settings"]), "invoice_settings")
    unmodelled = sorted(set(value) - {"footer"})
    if unmodelled:
        param = f"invoice_settings[{unmodelled[0]}]"
        raise RefusedError(f"This look-alike does not model {param}", param=param)
    footer = text_in(value.get("footer", ""), "invoice_settings[footer]")
    return {**customer["invoice_settings"], "footer": footer}


_RULES: Final[Mapping[str, Callable[[object, Customer], Any]]] = {  # PROVIDERS §5
    "address": _billing_address,
    "balance": lambda value, _: integer_in(value, "balance"),
    "business_name": _text("business_name", 150),
    "description": _text("description"),
    "email": _email,
    "individual_name": _text("individual_name", 150),
    "invoice_prefix": _invoice_prefix,
    "invoice_settings": _invoice_settings,
    "metadata": metadata_in,
    "name": _text("name", 256),
    "next_invoice_sequence": lambda value, _: integer_in(value, "next_invoice_sequence"),
    "phone": _text("phone", 20),
    "preferred_locales": _locales,
    "shipping": _shipping,
    "tax_exempt": _tax_exempt,
}
