"""See that every invoice, payment and credit note has the copies that policy wants, and that these are equal."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.rounds import reconcile_documents_everywhere


async def reconcile_invoices(hub: Hub) -> None:
    """Mark what is missing or not known to be equal; the lanes do the rest."""
    looked = await reconcile_documents_everywhere(hub)
    hub.log.info("reconcile_invoices.done", looked=looked)
