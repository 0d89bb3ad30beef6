"""Ways in which documents flow in a world: where they are made, and where they are copied."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import ENTITY_FIELD, DocumentPolicy, FieldFilter
from tests.simulation.tape import BRANCH, Billing, is_books

MIRRORS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "stripe": {"stripe": ("quickbooks", "hubspot")},
    "books": {"quickbooks": ("stripe", "hubspot")},
    "both": {"stripe": ("quickbooks", "hubspot"), "quickbooks": ("hubspot",)},
    "cross": {"stripe": ("quickbooks", "hubspot"), "quickbooks": ("stripe", "hubspot")},
}
"""By route and by the system where documents are made: the systems that get copies."""
Mirrors = Mapping[str, tuple[str, ...]]

HOME: Final = tuple(f"us{number}" for number in range(30))
ABROAD: Final = tuple(f"eu{number}" for number in range(30))
BRANCH_REALM: Final = "9341453908059322"
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
    if billing.has_branch and first == "quickbooks":
        found[BRANCH] = ABROAD
    return {name: entities for name, entities in found.items() if entities}


def mirrors_of(billing: Billing) -> Mirrors:
    """The systems that get copies, by where documents are made: a second company is wherever the first one is."""
    found = MIRRORS[billing.route]
    if not billing.has_branch:
        return found
    copied = _and_branch({mirror for some in found.values() for mirror in some})
    return {origin: tuple(sorted(copied - {origin})) for origin in sorted(_and_branch(found))}


def _and_branch(systems: Collection[str]) -> set[str]:
    return {*systems, *([BRANCH] if "quickbooks" in systems else [])}


def is_passed_on(mirrors: Mirrors, system: str, origin: str) -> bool:
    """Whether a payment that is recorded at a system, of a copy there, reaches the invoice's origin by policy."""
    return origin in mirrors.get(system, ())


def with_branch(config: AccordConfig) -> AccordConfig:
    """The same connections, and another company at QuickBooks beside the first."""
    first, scope = config.connections["quickbooks"], config.policy.connections["quickbooks"]
    settings = {name: one.replace("//quickbooks.", f"//{BRANCH}.") for name, one in first.settings.items()}
    settings["realm_id"] = BRANCH_REALM
    connections = {**config.connections, BRANCH: dataclasses.replace(first, name=BRANCH, settings=settings)}
    scopes = {**config.policy.connections, BRANCH: msgspec.structs.replace(scope, name=BRANCH)}
    policy = msgspec.structs.replace(config.policy, connections=scopes)
    return dataclasses.replace(config, connections=connections, policy=policy)


def with_billing(config: AccordConfig, billing: Billing) -> AccordConfig:
    """The same connections, with documents flowing along one route."""
    mirrors, books = mirrors_of(billing), books_of(billing)
    copied = {mirror for some in mirrors.values() for mirror in some}
    scopes = {}
    for name, one in config.policy.connections.items():
        kinds = () if name not in copied else ("invoice",) if name == "hubspot" else KINDS
        papers = DocumentPolicy(originates=KINDS if name in mirrors else (), mirrors=kinds, since=billing.since)
        papers = msgspec.structs.replace(papers, entities=books.get(name, ()))
        scopes[name] = msgspec.structs.replace(one, documents=papers)
        if billing.parts_customers and is_books(name):
            theirs = FieldFilter(ENTITY_FIELD, HOME if name == "quickbooks" else ABROAD)
            scopes[name] = msgspec.structs.replace(scopes[name], creates="filter", creates_filter=theirs)
    stripe = config.connections["stripe"]
    told = {**stripe.settings, "mirror_open_invoices": "yes" if billing.mirrors_open else "no"}
    connections = {**config.connections, "stripe": dataclasses.replace(stripe, settings=told)}
    policy = msgspec.structs.replace(config.policy, connections=scopes)
    return dataclasses.replace(config, connections=connections, policy=policy)
