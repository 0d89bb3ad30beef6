"""Ways in which documents flow in a world: where they are made, and where they are copied."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import msgspec

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.simulation.tape import Billing

MIRRORS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "stripe": {"stripe": ("quickbooks", "hubspot")},
    "books": {"quickbooks": ("stripe", "hubspot")},
    "both": {"stripe": ("quickbooks", "hubspot"), "quickbooks": ("hubspot",)},
    "cross": {"stripe": ("quickbooks", "hubspot"), "quickbooks": ("stripe", "hubspot")},
}
"""By route and by the system where documents are made: the systems that get copies."""

HOME: Final = tuple(f"us{number}" for number in range(30))
ABROAD: Final = tuple(f"eu{number}" for number in range(30))
NOBODY: Final = tuple(f"mars{number}" for number in range(30))
"""Texts that no books list."""
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {"apart": ABROAD, "shared": (*HOME, *ABROAD), "alone": ()}
"""Whose books HubSpot's copies are, where the other ones are of those at home; of nobody, it gets every document."""


def books_of(billing: Billing) -> Mapping[str, tuple[str, ...]]:
    """The systems whose copies are of entities, and of which."""
    if not billing.entities:
        return {}
    first = "stripe" if billing.route == "books" else "quickbooks"
    found = {first: HOME, "hubspot": SHAPES[billing.entities]}
    return {name: entities for name, entities in found.items() if entities}


def originates(route: str, system: str) -> bool:
    """Whether documents of a system enter the registry."""
    return system in MIRRORS.get(route, {})


def is_passed_on(route: str, system: str, origin: str) -> bool:
    """Whether a payment that is recorded at a system, of a copy there, reaches the invoice's origin by policy."""
    return origin in MIRRORS.get(route, {}).get(system, ())


def with_billing(config: AccordConfig, billing: Billing) -> AccordConfig:
    """The same connections, with documents flowing along one route."""
    mirrors, books = MIRRORS[billing.route], books_of(billing)
    copied = {mirror for some in mirrors.values() for mirror in some}
    scopes = {}
    for name, one in config.policy.connections.items():
        kinds = () if name not in copied else ("invoice",) if name == "hubspot" else KINDS
        papers = DocumentPolicy(originates=KINDS if name in mirrors else (), mirrors=kinds, since=billing.since)
        papers = msgspec.structs.replace(papers, entities=books.get(name, ()))
        scopes[name] = msgspec.structs.replace(one, documents=papers)
    stripe = config.connections["stripe"]
    told = {**stripe.settings, "mirror_open_invoices": "yes" if billing.mirrors_open else "no"}
    connections = {**config.connections, "stripe": dataclasses.replace(stripe, settings=told)}
    policy = msgspec.structs.replace(config.policy, connections=scopes)
    return dataclasses.replace(config, connections=connections, policy=policy)
