"""Values reduced to what two of them are compared by; what is stored stays as it was given (pure)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import phonenumbers

from core.model.values import Value

LONGEST_KEY: Final = 500
"""Characters of four bytes each that a row of an index takes. PostgreSQL refuses a longer one with all that is stored
beside it: one object would keep its connection's lane from all its work."""


def compared_by(field: str, value: Value) -> Value:
    """What two values of a field are compared by: phones by the number they name, whatever their spelling."""
    return phone_key(value) if field == "phone" and isinstance(value, str) else value


def email_key(text: str) -> str:
    """`" Ann@Example.COM "` -> `ann@example.com`: trimmed, in small letters.

    Not case folded: `straße` and `strasse` are two domains, and may be two people's.
    """
    return _indexable(text.strip().lower())


def text_key(text: str) -> str:
    """Case folded; of a text that no index takes whole, how it begins, and a digest of all of it."""
    return _indexable(text.casefold())


def _indexable(found: str) -> str:
    if len(found) <= LONGEST_KEY:
        return found
    digest = blake2b(found.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{found[: LONGEST_KEY - len(digest) - 1]} {digest}"


def phone_key(text: str) -> str:
    """E.164 where the number says its country (`+49 30 1234` -> `+49301234`), else its bare digits.

    An extension is kept: two desks behind one switchboard are two numbers.
    """
    wanted = text.strip()
    if wanted.startswith("+"):
        try:
            number = phonenumbers.parse(wanted, None)
        except phonenumbers.NumberParseException:
            return _digits(wanted)
        base = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return f"{base};ext={number.extension}" if number.extension else base
    return _digits(wanted)


def _digits(text: str) -> str:
    # a "number" without digits still has to differ from a blank one and from other such texts
    return "".join(char for char in text if char.isdecimal()) or text.casefold()
