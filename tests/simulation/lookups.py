"""Looks customers up in the registry."""

from __future__ import annotations

import sqlalchemy as sa

from core.store import customers, mappings
from core.store.customers import Customer
from core.store.database import Tx
from core.store.tables import CUSTOMERS, DOCUMENTS
from tests.simulation.tape import REGISTRY


def live_customers(tx: Tx) -> list[Customer]:
    """Customers that are not archived."""
    ids = [row[0] for row in tx.rows(sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.deleted_at.is_(None)))]
    return sorted(customers.by_ids(tx, ids).values(), key=lambda one: one.external_id)


def billed_customers(tx: Tx, field: str) -> list[str]:
    """External ids of customers with documents who have a value in a field."""
    ids = {row[0] for row in tx.rows(sa.select(DOCUMENTS.c.customer_id).distinct())}
    return [one.external_id for one in live_customers(tx) if one.id in ids and one.fields.get(field)]


def counterpart(tx: Tx, system: str, target: str, other: str) -> str | None:
    """The same customer in another place, as the engine maps it."""
    if system == REGISTRY:
        found = customers.by_external_ids(tx, [target]).get(target)
    else:
        row = mappings.by_remote_ids(tx, system, "customer", [target]).get(target)
        found = customers.by_ids(tx, [row.record_id]).get(row.record_id) if row else None
    if found is None or found.deleted_at is not None:
        return None
    if other == REGISTRY:
        return found.external_id
    rows = [row for row in mappings.of_records(tx, [found.id]).get(found.id, ()) if row.connection == other]
    return rows[0].remote_id if rows and rows[0].state == "live" else None
