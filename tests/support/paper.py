"""What people do with invoices, payments and credit notes in a world, and what they see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from config.file import AccordConfig
from core.model.documents import KINDS, Document
from core.model.policy import DocumentPolicy, Policy
from core.store import documents, intents
from core.store.documents import Paper
from core.sync.documents.asking import reconcile_all
from tests.support.acting import failing, held, waiting
from tests.support.world import NAMES, World, config_of

D = TypeVar("D", bound=Document)
LINE = {"description": "Seats", "product": "", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
SINCE = "2000-01-01"
BOOKS = {"deposit_account": "35", "default_item": "1"}


def with_documents(
    policies: Mapping[str, DocumentPolicy], settings: Mapping[str, Mapping[str, str]], items: Mapping[str, str]
) -> AccordConfig:
    """The usual connections, with documents flowing as these policies say."""
    config = config_of(NAMES)
    scopes = {
        name: msgspec.structs.replace(one, documents=policies.get(name, DocumentPolicy()))
        for name, one in config.policy.connections.items()
    }
    connections = dict(config.connections)
    for name, changes in settings.items():
        one = connections[name]
        connections[name] = type(one)(
            name=one.name,
            provider=one.provider,
            settings={**one.settings, **changes},
            metadata_keys=one.metadata_keys,
            external_id_field=one.external_id_field,
            items=dict(items) if name == "quickbooks" else {},
        )
    policy = Policy(connections=scopes, fields=config.policy.fields, guard=config.policy.guard)
    return AccordConfig(connections=connections, policy=policy)


def stripe_to_books(**changes: Any) -> AccordConfig:
    """Stripe's documents are copied to QuickBooks."""
    return with_documents(
        {
            "stripe": DocumentPolicy(originates=KINDS),
            "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
            **changes,
        },
        {"quickbooks": BOOKS},
        {},
    )


async def billing(config: AccordConfig | None = None, **fields: Any) -> World:
    """One customer everywhere, who can be billed."""
    world = World(config=config or stripe_to_books())
    ada = {"name": "Ada Lovelace", "email": "ada@example.test", **fields}
    world.lookalikes["stripe"].edit("customer", None, ada)
    await world.activate_all()
    return world


def bill(world: World, name: str = "stripe", *lines: Mapping[str, Any], **changes: Any) -> str:
    """A person makes an invoice at one system, for its only customer; not seen yet."""
    wanted = {
        "customer": changes.get("customer") or next(iter(world.neutral(name))),
        "currency": "USD",
        "issued_on": "2026-11-18",
        "due_on": "2026-12-18",
        "lines": list(lines) or [LINE],
        "status": "open",
        **changes,
    }
    return world.lookalikes[name].edit("invoice", None, wanted)


def pay(world: World, invoice: str, amount: str, name: str = "stripe", **changes: Any) -> str:
    """A person records a payment of an invoice; not seen yet."""
    wanted = {
        "customer": changes.get("customer") or next(iter(world.neutral(name))),
        "currency": "USD",
        "amount": amount,
        "received_on": "2026-11-20",
        "applications": [{"invoice": invoice, "amount": amount}],
        **changes,
    }
    return world.lookalikes[name].edit("payment", None, wanted)


def papers(world: World, kind: str = "invoice") -> list[Paper]:
    """All documents of a kind in the registry."""
    return world.db.read_now(lambda tx: documents.page(tx, kind=kind, limit=10_000))


def documents_of(world: World, of: type[D]) -> list[D]:
    """What all documents of one class in the registry say."""
    said = [one.document for kind in KINDS for one in papers(world, kind)]
    return [one for one in said if isinstance(one, of)]


def shown(world: World, name: str, kind: str = "invoice") -> Sequence[Mapping[str, Any]]:
    """What one look-alike holds of a kind, in neutral fields."""
    return list(world.lookalikes[name].neutral(kind).values())


def at_rest(world: World) -> None:
    """Nothing is held, failing, waiting or in doubt."""
    assert [(one.reason, one.detail) for one in held(world)] == []
    assert failing(world) == []
    assert not any(waiting(world).values())
    assert world.db.read_now(intents.all_open) == []


async def is_silent(world: World) -> None:
    """Two more sweeps, one of them of everything, write nothing."""
    before = {name: world.writes(name) for name in world.names}
    await world.next_sweep()
    world.clock.time += 90_000
    await world.settle()
    assert {name: world.writes(name) for name in world.names} == before


async def an_hour_later(world: World) -> None:
    """What `reconcile_invoices` does, at every connection."""
    world.clock.time += 3600
    for one in world.hub.connections.values():
        await reconcile_all(world.hub, one, "hourly")
    await world.settle()
