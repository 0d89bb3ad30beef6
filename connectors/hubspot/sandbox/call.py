"""One request to the look-alike's API, taken apart: bodies are JSON objects (PROVIDERS §5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.hubspot.sandbox.answers import bad_request


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart."""

    method: str
    tail: str
    query: Mapping[str, list[str]]
    body: bytes

    def one(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.query.get(name, [default])[0]

    def listed(self, name: str) -> list[str]:
        """A query parameter that is a list, repeated or with commas."""
        return [one for given in self.query.get(name, []) for one in given.split(",") if one]

    def json(self) -> dict[str, Any]:
        """The body; HubSpot wants an object."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise bad_request(f"Invalid input JSON: {error}") from error  # PROVIDERS §5
        if not isinstance(found, dict):
            raise bad_request("Invalid input JSON: an object is expected")  # PROVIDERS §5
        return found
