"""The demo's documents: made where people bill, copied to where the books are, and compared without the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from core.model.documents import KINDS
from core.model.holds import MASS_CHANGE
from core.model.policy import DocumentPolicy
from core.sandbox.audit import discrepancies, settlement_problems
from core.sandbox.cast import System
from core.sandbox.client import SandboxClient
from core.sandbox.papers import PLACES, Account, Biller, invent, plant_bills
from core.sandbox.sums import unbalanced, unsettled
from core.store import holds, mappings
from core.store.database import Tx
from core.sync.answers import answer
from core.sync.documents.standing import is_equal
from core.sync.documents.telling import every
from core.sync.hub import Hub
from core.sync.oneoffs import ask

BILLERS: tuple[Biller, ...] = ("stripe", "quickbooks")


async def bill_everybody(
    hub: Hub,
    clients: Mapping[System, SandboxClient],
    rng: Random,
    number: int,
    settle: Callable[[], Awaitable[None]],
) -> list[str]:
    """Make `number` invoices for customers that both billers know, and let them flow.

    So many copies at once wait for a person, whom the demo plays. Returns what was approved, in words.
    """
    accounts = _accounts(hub, clients)

    def edit(system: Biller, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return clients[system].edit(changes, remote_id, kind)

    if accounts:
        plant_bills(invent(rng, accounts, number), edit)
        await look_at_bills(hub, settle)
    approved = []
    while stops := hub.db.read_now(lambda tx: holds.listing(tx, reason=MASS_CHANGE)):
        for one in stops:
            amounts = ", ".join(f"{name} {amount}" for name, amount in sorted(one.detail.get("amounts", {}).items()))
            approved.append(f"{one.connection}: {one.detail['problem']} ({amounts})")
            await hub.db.run(lambda tx, name=one.id: answer(tx, hub, name, "approve", actor="demo"))  # type: ignore[misc]
        await settle()
    return approved


async def look_at_bills(hub: Hub, settle: Callable[[], Awaitable[None]]) -> None:
    """List all documents where they originate, and see to their copies."""
    for name, connection in sorted(hub.connections.items()):
        if connection.policy.documents.originates or connection.policy.documents.mirrors:
            await ask(hub, name, {"what": "changes"})
            await ask(hub, name, {"what": "documents", "kinds": list(KINDS)})
    await settle()


def _accounts(hub: Hub, clients: Mapping[System, SandboxClient]) -> list[Account]:
    """Customers with an object at each biller, each in the currency of its books."""
    books = clients["quickbooks"].neutral()
    at_stripe = {row.record_id: row for row in hub.db.read_now(lambda tx: _live(tx, "stripe"))}
    found = []
    for row in hub.db.read_now(lambda tx: _live(tx, "quickbooks")):
        other = at_stripe.get(row.record_id)
        shown = books.get(str(row.remote_id), {})
        if other is not None and shown.get("currency") in PLACES and shown.get("status") != "inactive":
            ids: dict[Biller, str] = {"stripe": str(other.remote_id), "quickbooks": str(row.remote_id)}
            found.append(Account(ids, str(shown["currency"])))
    return found


def _live(tx: Tx, name: str) -> list[mappings.MappingRow]:
    return [row for row in mappings.page(tx, name, "", 100_000) if row.state == "live" and row.remote_id]


def audited(hub: Hub, clients: Mapping[System, SandboxClient]) -> list[str]:
    """What is wrong about invoices, payments and credit notes, read from the systems themselves."""
    policies = {name: one.policy.documents for name, one in hub.connections.items()}
    # HubSpot shows what was paid on the invoice, and knows no payments
    shown: dict[str, dict[str, Mapping[str, Any]]] = {
        kind: {name: client.neutral(kind) for name, client in clients.items() if kind in _seen_at(policies[name])}
        for kind in KINDS
    }
    held = hub.db.read_now(_held)
    mirrors = _mirrors(policies, "invoice")
    found = [f"{one.system} {one.number}: {one.problem}" for one in discrepancies(shown["invoice"], mirrors, held)]
    for origin, names in _mirrors(policies, "payment").items():
        for books in names:
            found += [f"{books}: {problem}" for problem in settlement_problems(shown, (), origin, books)]
    systems: dict[str, dict[str, Mapping[str, Any]]] = {
        name: {kind: shown[kind].get(name, {}) for kind in KINDS} for name in clients if name in shown["invoice"]
    }
    booked = clients["quickbooks"].objects("payment")
    found += unbalanced(systems, booked)
    for mirror in sorted(systems.keys() - shown["payment"].keys()):
        found += unsettled(systems, booked, mirror)
    return found + [f"nobody expects this to be held: {number}" for number in sorted(held)]


def _seen_at(policy: DocumentPolicy) -> set[str]:
    return {*policy.originates, *policy.mirrors}


def _mirrors(policies: Mapping[str, DocumentPolicy], kind: str) -> dict[str, list[str]]:
    """Where documents of a kind are made -> where their copies are."""
    return {
        name: [other for other, policy in policies.items() if other != name and kind in policy.mirrors]
        for name, policy in policies.items()
        if kind in policy.originates
    }


def unequal(documents: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What `copied` tells and must not: copies that Accord itself does not take for equal."""
    return [
        f"{counts['copies'] - counts['equal']} of {counts['copies']} copies of {kind}s are not known to be equal"
        for kind, counts in documents.items()
        if counts["equal"] < counts["copies"]
    ]


def _held(tx: Tx) -> frozenset[str]:
    """Numbers of invoices that a person must decide about."""
    return frozenset(
        str(one.detail.get("number", "")) for one in holds.listing(tx, limit=100_000) if "document" in one.detail
    )


def copied(tx: Tx) -> dict[str, dict[str, int]]:
    """How many documents of each kind there are, how many copies, and how many of those are equal."""
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        papers = every(tx, kind)
        rows = mappings.of_records(tx, [one.id for one in papers])
        counts: Counter[str] = Counter(documents=len(papers))
        for one in papers:
            copies = [row for row in rows.get(one.id, ()) if row.connection != one.origin]
            counts["copies"] += len(copies)
            counts["equal"] += sum(is_equal(one, row) for row in copies)
        found[kind] = {name: counts[name] for name in ("documents", "copies", "equal")}
    return found
