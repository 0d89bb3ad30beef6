"""Countries as ISO 3166 alpha-2 codes, from what people and providers write, and back (pycountry's data)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import pycountry

KNOWN: Final = 1000
"""So many texts are remembered: people write anything in a field for countries, of any length."""
_SPOKEN: Final = {
    "usa": "US",
    "u.s.": "US",
    "u.s.a.": "US",
    "america": "US",
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "holland": "NL",
    "russia": "RU",
    "south korea": "KR",
    "vietnam": "VN",
    "turkey": "TR",
    "czech republic": "CZ",
}
"""Names that people use and ISO 3166 does not list; everything else comes from pycountry."""


@lru_cache(maxsize=KNOWN)
def country_code(text: str) -> str | None:
    """`Germany`, `DEU`, `de` -> `DE`; None when it is no country we know."""
    wanted = text.strip()
    if wanted.casefold() in _SPOKEN:
        return _SPOKEN[wanted.casefold()]
    try:
        found = pycountry.countries.lookup(wanted)
    except LookupError:
        return None
    return str(found.alpha_2)


@lru_cache(maxsize=KNOWN)
def country_name(code: str) -> str:
    """`DE` -> `Germany`: the common English name; the code itself when unknown."""
    found = pycountry.countries.get(alpha_2=code.upper())
    if found is None:
        return code
    return str(getattr(found, "common_name", found.name))
