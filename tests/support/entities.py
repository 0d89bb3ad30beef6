"""A company of two legal entities: Stripe bills for both, and each has books of its own at QuickBooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from config.file import AccordConfig
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.model.documents import KINDS
from core.model.policy import ConnectionPolicy, DocumentPolicy, Policy
from core.ports import ConnectionConfig
from core.sync.documents.telling import told
from tests.support.crashes import FragileWorld
from tests.support.paper import BOOKS, SINCE, papers
from tests.support.world import OFFERS

US, EU = "quickbooks-us", "quickbooks-eu"
ALL_BOOKS = (US, EU)
PROVIDERS = {"stripe": "stripe", US: "quickbooks", EU: "quickbooks"}
REALMS = {US: "9341453908059321", EU: "9341453908059322"}


def documents_of(**changes: DocumentPolicy) -> dict[str, DocumentPolicy]:
    """Stripe bills, and a customer's metadata says for whom."""
    return {
        "stripe": DocumentPolicy(originates=KINDS),
        US: DocumentPolicy(mirrors=KINDS, since=SINCE, entities=("us",)),
        EU: DocumentPolicy(mirrors=KINDS, since=SINCE, entities=("eu",)),
    } | {name.replace("_", "-"): one for name, one in changes.items()}


def two_books(**changes: DocumentPolicy) -> AccordConfig:
    """One origin, two companies' books: policies by connection, with `_` for `-`."""
    told_of = documents_of(**changes)
    connections = {
        name: ConnectionConfig(name=name, provider=provider, settings=_settings(name, provider))
        for name, provider in PROVIDERS.items()
    }
    scopes = {
        name: ConnectionPolicy(
            name=name, provider=provider, enters="all", creates="all", match_email=True, documents=told_of[name]
        )
        for name, provider in PROVIDERS.items()
    }
    return AccordConfig(connections=connections, policy=Policy(connections=scopes))


def _settings(name: str, provider: str) -> dict[str, str]:
    found = dict(OFFERS[provider].settings(f"http://{name}.test"))
    return found | {"realm_id": REALMS[name], **BOOKS} if name in REALMS else found


async def company(config: AccordConfig | None = None, active: Sequence[str] = (), **entities: str) -> FragileWorld:
    """Customers by name, each with the entity that its metadata names ("" for none), everywhere that is `active`."""
    world = FragileWorld(
        names=tuple(PROVIDERS), providers=PROVIDERS, config=config or two_books(), fused=(US,), database_calls=("run",)
    )
    for name, realm in REALMS.items():
        books: Any = world.lookalikes[name]
        books.settings = replace(QuickBooksSettings(), realm_id=realm)
    for name, entity in entities.items():
        fields = {"name": name, "email": f"{name}@example.test"} | ({"metadata.entity": entity} if entity else {})
        world.lookalikes["stripe"].edit("customer", None, fields)
    await world.activate_all(*active)
    return world


def customer(world: FragileWorld, name: str) -> str:
    """A customer's id at Stripe."""
    return next(one for one, told_of in world.neutral("stripe").items() if told_of["name"] == name)


def belongs(world: FragileWorld, name: str, entity: str | None) -> None:
    """Somebody says at Stripe whose customer one is from now on; not seen yet."""
    world.lookalikes["stripe"].edit("customer", customer(world, name), {"metadata.entity": entity})


def booked(world: FragileWorld, kind: str = "invoice") -> dict[str, list[str]]:
    """What stands in each of the books that is not void: totals or amounts, in order."""
    return {
        name: sorted(
            str(one.get("total", one.get("amount")))
            for one in world.lookalikes[name].neutral(kind).values()
            if one["status"] != "void"
        )
        for name in ALL_BOOKS
    }


def copies(world: FragileWorld, kind: str = "invoice") -> Mapping[str, Mapping[str, Any]]:
    """How the copies of the one document of a kind stand, as `accord explain` tells it, by connection."""
    (paper,) = papers(world, kind)
    found = world.db.read_now(lambda tx: told(tx, world.hub, kind, paper.id))
    return {one["connection"]: one for one in found["copies"]}
