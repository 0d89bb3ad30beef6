"""Invents customers for the demo, and the words its scenes are written in. Pure: chance is injected."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final, Literal

import msgspec

System = Literal["stripe", "hubspot", "quickbooks"]
SYSTEMS: Final[tuple[System, ...]] = ("stripe", "hubspot", "quickbooks")
"""In the order in which the demo activates them."""

PROJECTED: Final[Mapping[System, frozenset[str]]] = {
    "stripe": frozenset({"name", "email", "phone", "billing_address", "shipping_address", "locale"}),
    "hubspot": frozenset(
        {
            "name",
            "email",
            "phone",
            "billing_address",
            "url",
            "customer_type",
            "legal_name",
            "legal_number",
            "tax_identification_number",
        }
    ),
    "quickbooks": frozenset(
        {
            "name",
            "legal_name",
            "email",
            "phone",
            "billing_address",
            "shipping_address",
            "url",
            "currency",
            "status",
        }
    ),
}
"""Which neutral fields each system holds, beside metadata."""

HUBSPOT_METADATA_KEYS: Final = ("plan", "segment")
"""The keys that the demo's policy allow-lists at HubSpot. Stripe takes every key, QuickBooks none."""

Record = dict[str, Any]
"""Neutral fields, as LookAlike.edit takes them."""


class Hold(msgspec.Struct, frozen=True):
    """A person must decide: at which system, why (a reason of core.model.holds) and, if told, on which field."""

    system: System
    reason: str
    field: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One person or company: its rows, and what a scene knows that the ranks do not tell.

    `absent` are systems where it must not appear; with `enters` False it must not enter the registry at all.
    `parents` are, by the systems that say so, the number of the case in the same scene that is this one's parent.
    """

    rows: Mapping[System, Record]
    holds: tuple[Hold, ...] = ()
    absent: frozenset[System] = frozenset()
    enters: bool = True
    parents: Mapping[System, int] = {}


class Scene(msgspec.Struct, frozen=True):
    """The cases of one mess. With `rivalry`, exactly one of the cases escapes that hold, whichever comes first."""

    cases: tuple[Case, ...]
    rivalry: Hold | None = None


_FIRST: Final = tuple(
    "Anna Bruno Clara David Elena Felix Greta Hugo Inês José Karin Lars María Nils Olga Pedro René Sofía Théo "
    "Ursula Victor Wanda Xavier Yvonne Zoë Björn Chloé Dörte Émile François".split()
)
_LAST: Final = tuple(
    "Abbott Bergström Castro Dubois Eriksen Fischer García Hansen Ibáñez Jansen Keller López Müller Nuñez Olsen "
    "Peña Quist Rossi Sørensen Thomas Uhl Vasquez Weiß Yilmaz Zimmermann".split()
)
_ADJECTIVES: Final = tuple("Amber Blue Clear Dry Early Fair Golden High Iron Long North Open Quiet Red Swift".split())
_NOUNS: Final = tuple(
    "Anchor Bridge Canyon Dune Elm Forge Garden Harbor Island Lantern Mill Orchard Pine Quarry".split()
)
_FORMS: Final = ("Inc.", "LLC", "GmbH", "Ltd", "AB", "SARL", "B.V.")
_PLACES: Final = (
    ("Portland", "OR", "97205", "US"),
    ("Austin", "TX", "78701", "US"),
    ("Berlin", "", "10115", "DE"),
    ("München", "", "80331", "DE"),
    ("London", "", "EC1A 1BB", "GB"),
    ("Lyon", "", "69002", "FR"),
    ("Utrecht", "", "3511 AB", "NL"),
    ("Malmö", "", "211 20", "SE"),
    ("Toronto", "ON", "M5V 2T6", "CA"),
)
_STREETS: Final = ("Market St", "Hauptstraße", "Rue de l'Église", "Kungsgatan", "Mill Lane", "Calle Mayor")
_LOCALES: Final = ("en-US", "de-DE", "en-GB", "fr-FR", "nl-NL", "sv-SE")


class Cast:
    """Invents customers whose names and e-mails never repeat, so that nobody is alike but by intent.

    Everything fits every system (Latin-1 letters, short values): a scene spoils on purpose what it is about.
    """

    def __init__(self, rng: Random) -> None:
        """Start with nobody."""
        self.rng = rng
        self._count = 0

    def company(self) -> Record:
        """A company with a value in every field that is an attribute of companies."""
        number = self._next()
        word = f"{self.rng.choice(_ADJECTIVES)} {self.rng.choice(_NOUNS)} {number}"
        form = self.rng.choice(_FORMS)
        domain = word.lower().replace(" ", "-") + ".example"
        return self._reachable(f"office@{domain}", number) | {
            "name": word,
            "legal_name": f"{word} {form}",
            "legal_number": f"HRB {10_000 + number}",
            "tax_identification_number": f"{self.rng.choice(('DE', 'NL', 'SE'))}{100_000_000 + number}",
            "url": f"https://www.{domain}",
            "customer_type": "company",
        }

    def person(self) -> Record:
        """An individual."""
        number = self._next()
        first, last = self.rng.choice(_FIRST), self.rng.choice(_LAST)
        return self._reachable(f"customer{number}@mail.example", number) | {
            # the number keeps names apart: QuickBooks knows each only once
            "name": f"{first} {last} {_roman(number)}",
            "customer_type": "individual",
        }

    def anyone(self) -> Record:
        """A company or an individual."""
        return self.company() if self.rng.random() < 0.5 else self.person()

    def address(self) -> dict[str, str]:
        """An address without blank parts; some with a second line."""
        city, state, postal_code, country = self.rng.choice(_PLACES)
        parts = {
            "city": city,
            "country": country,
            "line1": f"{self.rng.randint(1, 199)} {self.rng.choice(_STREETS)}",
            "line2": self.rng.choice(("", f"Floor {self.rng.randint(1, 30)}")),
            "postal_code": postal_code,
            "state": state,
        }
        return {part: text for part, text in parts.items() if text}

    def _reachable(self, email: str, number: int) -> Record:
        return {
            "email": email,
            "phone": f"+1415{2_000_000 + number}",
            "billing_address": self.address(),
            "shipping_address": self.address(),
            "locale": self.rng.choice(_LOCALES),
            "currency": "USD",
            "status": "active",
        }

    def _next(self) -> int:
        self._count += 1
        return self._count


def row(system: System, record: Mapping[str, Any], **changes: object) -> Record:
    """What `system` holds of a record, with changes; None leaves a field out."""
    found = {field: value for field, value in record.items() if field in PROJECTED[system]} | changes
    return {field: value for field, value in found.items() if value is not None}


def _roman(number: int) -> str:
    """12 -> `XII`: tells people of one name apart, as families do, without a digit in the name."""
    values = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"))
    text = ""
    for value, letters in (*values, (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        times, number = divmod(number, value)
        text += letters * times
    return text
