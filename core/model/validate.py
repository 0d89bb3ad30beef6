"""Validation on entry: what a person or a program may write to the registry (API, CSV, commands; pure).

Never applied to what a provider returned: there, a field that cannot be taken is held and the rest flows.
Each problem names the field, what is wrong, the limit and the cure, and all of them are found at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final
from zoneinfo import available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from iso4217 import Currency

from core.errors import InvalidInputError, together
from core.model.country import country_code
from core.model.customer import FIELDS
from core.model.keys import email_key
from core.model.letters import no_controls, nothing_unseen, readable
from core.model.values import ADDRESS_PARTS, METADATA_PREFIX, Fields, Value, blank, is_metadata, metadata_key, tidy

Check = Callable[[str, str], str]
"""(field as named in messages, trimmed text) -> the spelling to store; raises InvalidInputError."""

MAX_EXTERNAL_ID: Final = 255
MAX_NAME: Final = 1000
MAX_NUMBER: Final = 255
MAX_PHONE: Final = 50
MAX_URL: Final = 2048
MAX_ADDRESS_PART: Final = 500
MAX_LIST: Final = 100
MAX_METADATA_KEY: Final = 100
MAX_METADATA_VALUE: Final = 5000
MAX_METADATA_KEYS: Final = 200

CUSTOMER_TYPES: Final = ("company", "individual")
STATUSES: Final = ("active", "inactive")

_PHONE: Final = re.compile(r"[\d\s()+./,;=#*\-\u2010-\u2015]*(?:(?:ext|extension|x)[.:=\s]*\d{1,10})?", re.IGNORECASE)
_LOCALE: Final = re.compile(
    r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?((?:-[a-z0-9]{4,8})*)", re.IGNORECASE
)
_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?", re.IGNORECASE)


def validated(changes: Mapping[str, object]) -> dict[str, Value]:
    """Every field in the spelling to store, blanks as None; raises one InvalidInputError that lists all problems."""
    values, found = _examined(changes)
    if found:
        raise together(found)
    return values


def problems(changes: Mapping[str, object]) -> list[InvalidInputError]:
    """Everything that is wrong with `changes`, in their order; empty when they may be stored."""
    return _examined(changes)[1]


def check_room(before: Fields, after: Fields) -> None:
    """Raise InvalidInputError for more metadata keys than a record holds, where this change adds to them.

    What a provider says is never refused for it: how many keys come from there, its own limit says.
    """
    had, has = (sum(is_metadata(name) and not blank(value) for name, value in one.items()) for one in (before, after))
    if has > MAX_METADATA_KEYS and has > had:
        limit, cure = f"{MAX_METADATA_KEYS} keys", "clear keys that nobody needs, or keep them elsewhere"
        raise InvalidInputError(f"would have {has} keys", field="metadata", limit=limit, cure=cure)


def external_customer_id(text: object) -> str:
    """A customer's key, exactly as given: it is compared byte for byte with what other systems carry."""
    field = "external_customer_id"
    limit = f"1 to {MAX_EXTERNAL_ID} characters"
    wanted = _text(field, text)
    if not wanted:
        raise InvalidInputError("is blank", field=field, limit=limit, cure="give the customer an id")
    if wanted != wanted.strip():
        raise InvalidInputError("begins or ends with a blank", field=field, limit=limit, cure="trim it")
    if wanted in (".", ".."):
        problem = "is a step of a path, which programs take out of an address before they call it"
        raise InvalidInputError(problem, field=field, limit='not "." or ".."', cure="give the customer another id")
    no_controls(field, wanted)
    nothing_unseen(field, wanted)
    return _no_longer(field, wanted, MAX_EXTERNAL_ID)


def _examined(changes: Mapping[str, object]) -> tuple[dict[str, Value], list[InvalidInputError]]:
    values: dict[str, Value] = {}
    found: list[InvalidInputError] = []
    for field, given in changes.items():
        try:
            values[field] = _checked(field, given)
        except InvalidInputError as problem:
            found.append(problem)
    return values, found


def _checked(field: str, given: object) -> Value:
    if is_metadata(field):
        return _metadata(field, given)
    if field not in FIELDS:
        raise _unknown(field, FIELDS, "a field of a customer")
    if given is None:
        return _blanked(field)
    if field in _LISTS:
        return _list(field, given, _LISTS[field])
    if field in ("billing_address", "shipping_address"):
        return _address(field, given)
    text = _line(field, given)
    return _TEXTS[field](field, text) if text else _blanked(field)


def _blanked(field: str) -> Value:
    if field == "status":
        raise InvalidInputError("is blank", field=field, limit=" or ".join(STATUSES), cure="write one of the two")
    return None


# ---- shapes ----------------------------------------------------------------------------------------


def _text(field: str, given: object) -> str:
    """`given` as text that every database and every provider can carry."""
    if not isinstance(given, str):
        raise InvalidInputError(f"is {_kind(given)}", field=field, limit="text", cure="write it as a string")
    if "\0" in given:
        raise InvalidInputError("contains U+0000", field=field, limit="text without U+0000", cure="remove it")
    if any("\ud800" <= char <= "\udfff" for char in given):
        raise InvalidInputError(
            "contains half a surrogate pair", field=field, limit="valid Unicode", cure="decode it again at its source"
        )
    return given


def _line(field: str, given: object) -> str:
    """One trimmed line of text."""
    text = _text(field, given).strip()
    no_controls(field, text)
    return text


def _list(field: str, given: object, check: Check) -> Value:
    if not isinstance(given, list | tuple):
        raise InvalidInputError(f"is {_kind(given)}", field=field, limit="a list of text", cure='write ["a", "b"]')
    if len(given) > MAX_LIST:
        raise InvalidInputError(
            f"has {len(given)} items", field=field, limit=f"{MAX_LIST} items", cure="leave out the rest"
        )
    found: dict[str, str] = {}
    for position, item in enumerate(given):
        text = _line(f"{field}[{position}]", item)
        if not text:
            raise InvalidInputError("is blank", field=f"{field}[{position}]", cure="leave it out")
        value = check(f"{field}[{position}]", text)
        found.setdefault(email_key(value) if field == "other_emails" else value, value)
    return tidy(list(found.values()))


def _address(field: str, given: object) -> Value:
    if not isinstance(given, Mapping):
        limit = "an object of " + ", ".join(ADDRESS_PARTS)
        raise InvalidInputError(f"is {_kind(given)}", field=field, limit=limit, cure='write {"line1": "..."}')
    parts: dict[str, str] = {}
    for part, value in given.items():
        if part not in ADDRESS_PARTS:
            raise _unknown(f"{field}.{part}", [f"{field}.{known}" for known in ADDRESS_PARTS], "a part of an address")
        if value is None:
            continue
        text = _no_longer(f"{field}.{part}", _line(f"{field}.{part}", value), MAX_ADDRESS_PART)
        readable(f"{field}.{part}", text)
        parts[part] = _country(f"{field}.{part}", text) if part == "country" and text else text
    return tidy(parts)


def _metadata(field: str, given: object) -> Value:
    key = _text(METADATA_PREFIX.rstrip("."), metadata_key(field))
    if given is None:
        return None  # a system may have brought a key that nobody may enter here
    _metadata_key(METADATA_PREFIX.rstrip("."), key)
    return tidy(_no_longer(field, _text(field, given), MAX_METADATA_VALUE))


# ---- one line of text ------------------------------------------------------------------------------


def _no_longer(field: str, text: str, most: int) -> str:
    if len(text) > most:
        raise InvalidInputError(
            f"has {len(text)} characters", field=field, limit=f"{most} characters", cure="shorten it"
        )
    return text


def _name(field: str, text: str) -> str:
    readable(field, text)
    return _no_longer(field, text, MAX_NAME)


def _number(field: str, text: str) -> str:
    nothing_unseen(field, text)
    return _no_longer(field, text, MAX_NUMBER)


def _one_of(choices: tuple[str, ...]) -> Check:
    def check(field: str, text: str) -> str:
        if text.casefold() in choices:
            return text.casefold()
        raise InvalidInputError(
            f"{_shown(text)} is not known", field=field, limit=" or ".join(choices), cure="write one of them"
        )

    return check


def _email(field: str, text: str) -> str:
    try:
        # test_environment lets example.test pass, which sandboxes use; nothing is ever asked of the DNS
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidInputError(
            f"{_shown(text)} is no e-mail address: {_first_sentence(error)}",
            field=field,
            limit="name@domain",
            cure="correct it",
        ) from error
    if "." not in found.ascii_domain:
        raise InvalidInputError(
            f"{_shown(text)} has no full domain", field=field, limit="name@domain", cure="write the whole domain"
        )
    return found.normalized


def _phone(field: str, text: str) -> str:
    _no_longer(field, text, MAX_PHONE)
    if not _PHONE.fullmatch(text) or not any(char.isdecimal() for char in text):
        raise InvalidInputError(
            f"{_shown(text)} is no phone number",
            field=field,
            limit="digits, spaces and ( ) + - . / # * with an extension",
            cure="write it like +49 30 1234567 or 030 1234567 ext 12",
        )
    if text.startswith("+") and not _is_international(text):
        raise InvalidInputError(
            f"{_shown(text)} is no international phone number",
            field=field,
            limit="+, country code, number (E.164)",
            cure="correct it, or write it without + as it is dialled locally",
        )
    return text


def _is_international(text: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, None))
    except phonenumbers.NumberParseException:
        return False


def _currency(field: str, text: str) -> str:
    try:
        found = Currency(text.upper())
    except ValueError as error:
        raise _no_currency(field, text) from error
    if found.exponent is None:
        # gold, test codes, "no currency": without a minor unit no amount can be written down
        raise _no_currency(field, text)
    return found.code


def _no_currency(field: str, text: str) -> InvalidInputError:
    return InvalidInputError(
        f"{_shown(text)} is no currency", field=field, limit="ISO 4217", cure="write a code like EUR or USD"
    )


def _country(field: str, text: str) -> str:
    code = country_code(text)
    if code is None:
        raise InvalidInputError(
            f"{_shown(text)} is no country", field=field, limit="ISO 3166", cure="write a code like DE or US"
        )
    return code


def _timezone(field: str, text: str) -> str:
    if text in _timezones():
        return text
    near = get_close_matches(text, _timezones(), n=1)
    cure = f'did you mean "{near[0]}"?' if near else "write one like Europe/Berlin"
    raise InvalidInputError(f"{_shown(text)} is no time zone", field=field, limit="IANA time zone names", cure=cure)


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _locale(field: str, text: str) -> str:
    found = _LOCALE.fullmatch(text.replace("_", "-"))
    if not found:
        raise InvalidInputError(
            f"{_shown(text)} is no locale", field=field, limit="BCP 47", cure="write one like de, pt-BR or zh-Hant-TW"
        )
    language, script, region, rest = found.groups()
    parts = [language.lower(), (script or "").title(), (region or "").upper(), *rest.lower().split("-")]
    return "-".join(part for part in parts if part)


def _url(field: str, text: str) -> str:
    _no_longer(field, text, MAX_URL)
    nothing_unseen(field, text)
    if not _URL.fullmatch(text):
        raise InvalidInputError(
            f"{_shown(text)} is no web address", field=field, limit="http or https", cure="write https://host/path"
        )
    return text


def _external_id(field: str, text: str) -> str:
    return _no_longer(field, text, MAX_EXTERNAL_ID)


def _metadata_key(field: str, text: str) -> str:
    limit = f"1 to {MAX_METADATA_KEY} characters"
    if not text.strip():
        raise InvalidInputError("has a blank key", field=field, limit=limit, cure="name the key")
    if text != text.strip():
        raise InvalidInputError(
            f"key {_shown(text)} begins or ends with a blank", field=field, limit=limit, cure="trim it"
        )
    no_controls(field, text)
    nothing_unseen(f"{field} key {_shown(text)}", text)
    return _no_longer(f"{field} key {_shown(text)}", text, MAX_METADATA_KEY)


# ---- words -----------------------------------------------------------------------------------------


def _unknown(field: str, known: tuple[str, ...] | list[str], what: str) -> InvalidInputError:
    near = get_close_matches(field, known, n=1)
    shown = field.encode("unicode_escape").decode("ascii")
    return InvalidInputError(
        f"is not {what}",
        field=shown,
        limit=", ".join(known),
        cure=f'did you mean "{near[0]}"?' if near else "leave it out, or write it as metadata.<key>",
    )


def _kind(given: object) -> str:
    """How a person calls the type of a JSON value."""
    if given is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(given), type(given).__name__)


def _shown(text: str) -> str:
    """A value inside a message: short, and on one line."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _first_sentence(error: Exception) -> str:
    return str(error).split(". ")[0].rstrip(".")


_TEXTS: Final[Mapping[str, Check]] = {
    "name": _name,
    "legal_name": _name,
    "legal_number": _number,
    "tax_identification_number": _number,
    "email": _email,
    "phone": _phone,
    "customer_type": _one_of(CUSTOMER_TYPES),
    "currency": _currency,
    "timezone": _timezone,
    "locale": _locale,
    "url": _url,
    "logo_url": _url,
    "parent": _external_id,
    "status": _one_of(STATUSES),
}

_LISTS: Final[Mapping[str, Check]] = {"other_emails": _email, "invoice_metadata_keys": _metadata_key}
