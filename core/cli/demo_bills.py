"""The demo's documents: made where people bill, copied to where the books are, and compared without the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final

import msgspec

from core.model.documents import KINDS
from core.model.holds import BY_HAND, MASS_CHANGE
from core.model.policy import ENTITY_FIELD, DocumentPolicy
from core.sandbox.audit import Belongs, Shown, discrepancies, settlement_problems
from core.sandbox.branches import branch_problems
from core.sandbox.client import SandboxClient
from core.sandbox.company import BRANCH, INC, LABS
from core.sandbox.money_back import Question, questions, wrong_questions
from core.sandbox.papers import ENDINGS, MONEY_BACK, PLACES, Account, Biller, invent, plant_bills
from core.sandbox.seed import Seed
from core.sandbox.sums import unbalanced, unsettled
from core.store import documents, holds, mappings
from core.store.database import Tx
from core.store.holds import Hold
from core.sync.answers import answer
from core.sync.documents.standing import is_equal
from core.sync.documents.telling import every
from core.sync.hub import Hub
from core.sync.oneoffs import ask

Clients = Mapping[str, SandboxClient]
Settle = Callable[[], Awaitable[None]]

BILLERS: Final[tuple[Biller, ...]] = ("stripe", "quickbooks")
BOOKS: Final = ("quickbooks", BRANCH)
_MAPPED: Final = "m:"
"""How the subject of a hold about a copy begins; its mapping's id follows."""
HOME: Final = "USD"
ACCOUNTS: Final = 80
"""So many customers are billed at most, and those abroad."""
BRANCH_SHARE: Final = 4
"""One in so many of those who may be is the branch's customer."""


def divided(seed: Seed, rng: Random) -> list[dict[str, str]]:
    """What stands on each row at Stripe, besides: of which entity the customer is.

    Only of those of whom nothing is held, who are active and below nobody, some are the branch's: there nothing is
    held either.
    """
    rivals = {one for rivalry in seed.rivalries for one in rivalry.persons}
    plain = [
        person.rows["stripe"]
        for person in seed.persons
        if "stripe" in person.rows
        and not (person.holds or person.parent or person.key in rivals or person.final.get("status") == "inactive")
    ]
    labs = set(rng.sample(plain, len(plain) // BRANCH_SHARE))
    return [{ENTITY_FIELD: LABS if place in labs else INC} for place in range(len(seed.rows["stripe"]))]


def choose_accounts(hub: Hub, clients: Clients, rng: Random) -> list[Account]:
    """Who is billed: some of those of whom it is known which entity they belong to, and everybody abroad."""
    people = clients["stripe"].neutral()
    # in an order that the seed alone tells: Accord's own ids are drawn anew each time
    found = sorted(_accounts(hub, clients), key=lambda one: one.ids["stripe"])
    known = [one for one in found if people[one.ids["stripe"]].get(ENTITY_FIELD)]
    at_home = [one for one in known if one.currency == HOME]
    abroad = [one for one in known if one.currency != HOME]
    return rng.sample(at_home, min(ACCOUNTS, len(at_home))) + abroad


async def bill_everybody(
    hub: Hub, clients: Clients, rng: Random, accounts: Sequence[Account], number: int, settle: Settle
) -> list[str]:
    """Make `number` invoices for customers that both billers know, and let them flow.

    So many copies at once wait for a person, whom the demo plays. Returns what was approved, in words.
    """

    def edit(system: Biller, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return clients[system].edit(changes, remote_id, kind)

    if accounts:
        plant_bills(invent(rng, accounts, number, (*ENDINGS, *MONEY_BACK)), edit)
        await look_at_bills(hub, settle)
    approved = []
    while stops := hub.db.read_now(lambda tx: holds.listing(tx, reason=MASS_CHANGE)):
        for one in stops:
            amounts = ", ".join(f"{name} {amount}" for name, amount in sorted(one.detail.get("amounts", {}).items()))
            approved.append(f"{one.connection}: {one.detail['problem']} ({amounts})")
            await hub.db.run(lambda tx, name=one.id: answer(tx, hub, name, "approve", actor="demo"))  # type: ignore[misc]
        await settle()
    return approved


async def look_at_bills(hub: Hub, settle: Settle) -> None:
    """List all documents where they originate, and see to their copies."""
    for name, connection in sorted(hub.connections.items()):
        if connection.policy.documents.originates or connection.policy.documents.mirrors:
            await ask(hub, name, {"what": "changes"})
            await ask(hub, name, {"what": "documents", "kinds": list(KINDS)})
    await settle()


def _accounts(hub: Hub, clients: Clients) -> list[Account]:
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


# ---- the judge ---------------------------------------------------------------------------------------


def audited(hub: Hub, clients: Clients) -> list[str]:
    """What is wrong about invoices, payments and credit notes, read from the systems themselves.

    Of Accord it is asked only which questions are open; which must be is told by the systems.
    """
    policies = {name: one.policy.documents for name, one in hub.connections.items()}
    # HubSpot shows what was paid on the invoice, and knows no payments
    shown: dict[str, dict[str, Shown]] = {
        kind: {name: client.neutral(kind) for name, client in clients.items() if kind in _seen_at(policies[name])}
        for kind in KINDS
    }
    belongs = _belonging(policies, clients)
    copies = _mirrors(policies, "invoice")
    found = [
        f"{one.system} {one.number}: {one.problem}"
        for one in discrepancies(shown["invoice"], copies, frozenset(), belongs)
    ]
    settled = _mirrors(policies, "payment")
    for origin, names in settled.items():
        for books in names:
            found += [f"{books}: {problem}" for problem in settlement_problems(shown, (), origin, books, belongs)]
    systems: dict[str, dict[str, Shown]] = {
        name: {kind: shown[kind].get(name, {}) for kind in KINDS} for name in clients if name in shown["invoice"]
    }
    booked = {name: clients[name].objects("payment") for name in BOOKS if name in clients}
    found += unbalanced(systems, booked)
    for mirror in sorted(systems.keys() - shown["payment"].keys()):
        found += unsettled(systems, booked, mirror)
    if BRANCH in clients:
        named, main, branch = (clients[name].neutral() for name in ("stripe", *BOOKS))
        found += branch_problems(named, main, branch, LABS)
    asked, others = hub.db.read_now(_asked)
    found += wrong_questions(questions(shown["payment"], settled, belongs), asked)
    return found + [f"nobody expects this to be held: {one}" for one in others]


def _seen_at(policy: DocumentPolicy) -> set[str]:
    return {*policy.originates, *policy.mirrors}


def _mirrors(policies: Mapping[str, DocumentPolicy], kind: str) -> dict[str, list[str]]:
    """Where documents of a kind are made -> where their copies are."""
    return {
        name: [
            other
            for other, policy in policies.items()
            if other != name and kind in policy.mirrors and name in (policy.sources or policies)
        ]
        for name, policy in policies.items()
        if kind in policy.originates
    }


def _belonging(policies: Mapping[str, DocumentPolicy], clients: Clients) -> Belongs:
    """In whose books what was made for whom belongs, by what stands on the customer where it was made."""
    people = {name: clients[name].neutral() for name, policy in policies.items() if policy.originates}

    def belongs(system: str, one: Mapping[str, Any], mirror: str) -> bool:
        entities, told = policies[mirror].entities, policies[system]
        entity = told.entity or people[system][one["customer"]].get(told.entity_field)
        return not entities or entity in entities

    return belongs


def is_of_documents(hold: Hold) -> bool:
    """Whether a hold is about a document, and not about a customer."""
    return "document" in hold.detail


def _asked(tx: Tx) -> tuple[Counter[Question], list[str]]:
    """What people are asked to book by hand; and what else of documents is held, in words."""
    found = [one for one in holds.listing(tx, limit=100_000) if is_of_documents(one)]
    rows = mappings.by_ids(tx, [one.subject.removeprefix(_MAPPED) for one in found])
    papers = documents.by_ids(tx, {row.record_id for row in rows.values()})
    asked: Counter[Question] = Counter()
    others = []
    for one in found:
        row, told = rows.get(one.subject.removeprefix(_MAPPED)), one.detail
        paper = papers.get(row.record_id) if row else None
        if one.reason == BY_HAND and paper is not None:
            amount = Decimal(told["amount"])
            way = str(told["field"])
            asked[Question(one.connection, paper.origin, paper.remote_id, way, amount, told["currency"])] += 1
        else:
            others.append(f"{one.connection} {told.get('number', '')} {one.reason}: {told.get('problem', '')}")
    return asked, sorted(others)


def unequal(documents: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What `copied` tells and must not: copies that Accord itself takes for equal no more, and asks nobody about."""
    return [
        f"{rest} of {counts['copies']} copies of {kind}s are not known to be equal"
        for kind, counts in documents.items()
        if (rest := counts["copies"] - counts["equal"] - counts["by_hand"])
    ]


def copied(tx: Tx) -> dict[str, dict[str, int]]:
    """How many documents of each kind there are, how many copies, and how many of those are equal.

    Of the others, how many wait for a person who books by hand what went back.
    """
    asked = {one.subject.removeprefix(_MAPPED) for one in holds.listing(tx, reason=BY_HAND, limit=100_000)}
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        papers = list(every(tx, kind))
        rows = mappings.of_records(tx, [one.id for one in papers])
        counts: Counter[str] = Counter(documents=len(papers))
        for one in papers:
            copies = [row for row in rows.get(one.id, ()) if row.connection != one.origin]
            counts["copies"] += len(copies)
            counts["equal"] += sum(is_equal(one, row) for row in copies)
            counts["by_hand"] += sum(row.id in asked and not is_equal(one, row) for row in copies)
        found[kind] = {name: counts[name] for name in ("documents", "copies", "equal", "by_hand")}
    return found


def billed(clients: Clients) -> dict[str, dict[str, int]]:
    """What the systems show of documents, by system: what was made there, and the copies there."""
    found = {}
    for name, client in clients.items():
        shown = {kind: client.neutral(kind).values() for kind in KINDS if kind == "invoice" or name != "hubspot"}
        own = [one for one in shown["invoice"] if not one.get("mark")]
        below = [one for one in shown["invoice"] if any(Decimal(line["amount"]) < 0 for line in one["lines"])]
        counts = {
            "invoices": len(own),
            "with_lines_below_zero": sum(not one.get("mark") for one in below),
            "copies_with_lines_below_zero": sum(bool(one.get("mark")) for one in below),
        }
        for kind, some in shown.items():
            counts[f"copies_of_{kind}s"] = sum(bool(one.get("mark")) for one in some)
        for way in ("refunded", "charged_back"):
            counts[way] = sum(Decimal(one.get(way) or 0) != 0 for one in shown.get("payment", ()))
        found[name] = counts
    return found


def by_hand(tx: Tx) -> list[dict[str, Any]]:
    """Every question about money that went back, for the verdict."""
    asked, _ = _asked(tx)
    return [msgspec.to_builtins(one) for one in sorted(asked.elements())]
