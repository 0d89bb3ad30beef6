"""What a property may be (PROVIDERS §2, §5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from connectors.hubspot.sandbox.answers import bad_request

MAX_UNIQUE: Final = 10  # PROVIDERS §2
MAX_CUSTOM: Final = 1_000  # PROVIDERS §5
"""Of one type of object; HubSpot's own do not count."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_TYPES: Final = ("bool", "date", "datetime", "enumeration", "number", "phone_number", "string")
_GROUPS: Final = ("contactinformation", "companyinformation", "invoiceinformation", "lineiteminformation")
_GIVEN: Final = ("label", "type", "fieldType", "groupName")  # PROVIDERS §5


def checked_definition(body: Mapping[str, Any], groups: Collection[str]) -> dict[str, Any]:
    """The definition that a request describes; Refused when it describes none."""
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):  # stricter reading
        raise bad_request("property names are lower case letters, digits and underscores, and start with a letter")
    for wanted in _GIVEN:
        if not isinstance(body.get(wanted), str) or not body[wanted]:
            raise bad_request(f"Invalid input JSON: {wanted} must be set")  # PROVIDERS §5
    if body["type"] not in _TYPES:
        raise bad_request(f"Invalid input JSON: {body['type']} is no type of a property")  # PROVIDERS §5
    if body["groupName"] not in (*groups, *_GROUPS):
        raise bad_request(f"Property group {body['groupName']} does not exist")  # PROVIDERS §5
    options = body.get("options", [])
    if body["type"] == "enumeration" and not (options and all(isinstance(one.get("value"), str) for one in options)):
        raise bad_request("Invalid input JSON: an enumeration needs options with values")  # PROVIDERS §5
    given = {key: body[key] for key in _GIVEN} | {"options": options}
    return definition_of(name) | given | {"hasUniqueValue": bool(body.get("hasUniqueValue"))}


def definition_of(name: str, kind: str = "string", *, is_read_only: bool = False) -> dict[str, Any]:
    """A property as HubSpot's own are here, and those that people make. `kind`: its type, or a narrower one of ours."""
    return {
        "name": name,
        "label": name,
        "type": _PUBLIC.get(kind, kind),
        "fieldType": "text",
        "groupName": "contactinformation",
        "hasUniqueValue": False,
        "modificationMetadata": {"readOnlyValue": is_read_only},
    }


_PUBLIC: Final = {"currency": "enumeration", "status": "enumeration", "price": "number"}
