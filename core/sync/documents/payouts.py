"""The payout report: what went to the bank, what it is made of, and which of the registry's payments are in it.

Read from the provider when somebody asks. Nothing is booked, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.abilities import PayoutSource
from core.errors import GoneError, InvalidInputError, NotFoundError
from core.model.documents import Payment
from core.model.money import spelled, total_of
from core.model.payouts import Movement, PaidOut, sums_of
from core.store import customers, documents
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.hub import Connection, Hub


async def payouts(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest payouts of a connection, JSON-able. InvalidInputError where its provider has none."""
    return [msgspec.to_builtins(one) for one in await source_of(connection).payouts(limit)]


async def payout(hub: Hub, connection: Connection, payout_id: str) -> dict[str, Any]:
    """One payout with its sums, and each movement with the payment that it belongs to, JSON-able. NotFoundError."""
    source = source_of(connection)
    cure = f"`accord payouts list {connection.name}` shows them"
    if not payout_id.strip():
        # without an id, the provider's answer would be the list
        raise InvalidInputError("is blank", field="payout", cure=cure)
    try:
        found = await source.payout(payout_id)
    except GoneError as error:
        problem = f"there is no payout {payout_id!r} at {connection.name}"
        raise NotFoundError(problem, field="payout", cure=cure) from error
    return await hub.db.read(lambda tx: told(tx, connection.name, found))


def source_of(connection: Connection) -> PayoutSource:
    """What tells of a connection's payouts."""
    if not connection.manifest.has_payouts or not isinstance(connection.connector, PayoutSource):
        problem = f"{connection.manifest.title} tells of no payouts"
        raise InvalidInputError(
            problem, field="connection", cure="name a connection that collects money, as Stripe's do"
        )
    return connection.connector


def told(tx: Tx, connection: str, found: PaidOut) -> dict[str, Any]:
    """A payout with its sums; `payments` of a movement are the registry's, as far as they are known.

    `known`: what these come to; None for what is no payment, or came in in another currency than the payout's.
    """
    known = _payments(tx, connection, {one.about for one in found.movements if one.about})
    papers = [one for some in known.values() for one in some]
    names = customers.external_ids(tx, [one.customer_id for one in papers])
    numbers = _numbers(tx, papers)
    currency = found.payout.currency
    sums = {one.id: _known(one, known.get(one.about, ()), currency) for one in found.movements}
    return {
        "connection": connection,
        **msgspec.to_builtins(found.payout),
        "sums": msgspec.to_builtins(sums_of(found.payout, found.movements)),
        "movements": [
            _movement(one, known.get(one.about, ()), names, numbers) | {"known": _spelled(sums[one.id], currency)}
            for one in found.movements
        ],
        "unknown": sum(1 for one in found.movements if sums[one.id] not in (None, abs(one.amount))),
    }


def _known(one: Movement, papers: Sequence[Paper], currency: str) -> Decimal | None:
    """How much of a payment the registry has: of a charge that paid several invoices, perhaps not all."""
    if one.kind != "payment" or any(paper.document.currency != currency for paper in papers):
        return None
    return total_of([paper.amount for paper in papers])


def _spelled(amount: Decimal | None, currency: str) -> str | None:
    return None if amount is None else spelled(amount, currency)


def _payments(tx: Tx, connection: str, abouts: Iterable[str]) -> dict[str, list[Paper]]:
    """The payments that the provider calls so: of a charge that paid several invoices, one for each."""
    found: dict[str, list[Paper]] = {}
    for one in documents.numbered(tx, abouts):
        if isinstance(one.document, Payment) and one.origin == connection:
            found.setdefault(one.document.reference, []).append(one)
    return found


def _numbers(tx: Tx, payments: Sequence[Paper]) -> dict[str, str]:
    ids = {one.invoice for paper in payments for one in _applications(paper)}
    return {one.id: getattr(one.document, "number", "") for one in documents.by_ids(tx, ids).values()}


def _applications(paper: Paper) -> Sequence[Any]:
    return paper.document.applications if isinstance(paper.document, Payment) else ()


def _movement(
    one: Movement, papers: Sequence[Paper], names: Mapping[str, str], numbers: Mapping[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(one)
    found["net"] = str(one.amount - one.fee)
    found["payments"] = [paper.id for paper in papers]
    # one charge is of one customer
    found["customer"] = names.get(papers[0].customer_id) if papers else None
    found["invoices"] = [numbers.get(part.invoice, "") for paper in papers for part in _applications(paper)]
    return found


def is_whole(found: Mapping[str, Any]) -> bool:
    """Whether a payout is the sum of what it is made of."""
    return not Decimal(found["sums"]["difference"])
