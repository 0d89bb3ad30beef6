"""The demo's company: two legal entities, each with its books, billed at Stripe and in the books of one of them.

Its policy, as people would write it into accord.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.model.documents import KINDS
from core.model.policy import ENTITY_FIELD, ConnectionPolicy, DocumentPolicy, FieldFilter

INC: Final = "inc"
LABS: Final = "labs"
BRANCH: Final = "quickbooks-labs"
"""The connection to the books of the second entity; those of the first are `quickbooks`."""

REALMS: Final[Mapping[str, str]] = {BRANCH: "9341453908059322"}
"""The companies of books beside the look-alike's usual one."""

SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "stripe": {"mirror_open_invoices": "yes"},
    BRANCH: {"realm_id": REALMS[BRANCH]},
}
"""What a connection is told beside the usual."""

_SINCE: Final = "2000-01-01"
_DOCUMENTS: Final[Mapping[str, DocumentPolicy]] = {
    "stripe": DocumentPolicy(originates=KINDS, mirrors=KINDS, sources=("quickbooks",), since=_SINCE),
    "hubspot": DocumentPolicy(mirrors=("invoice",), since=_SINCE, overview=True),
    "quickbooks": DocumentPolicy(
        originates=KINDS, entity=INC, mirrors=KINDS, sources=("stripe",), since=_SINCE, entities=(INC,)
    ),
    BRANCH: DocumentPolicy(mirrors=KINDS, sources=("stripe",), since=_SINCE, entities=(LABS,)),
}


def _everybody(name: str) -> ConnectionPolicy:
    return ConnectionPolicy(
        name=name, provider=name, enters="all", creates="all", match_email=True, documents=_DOCUMENTS[name]
    )


POLICIES: Final[Mapping[str, ConnectionPolicy]] = {
    **{name: _everybody(name) for name in ("stripe", "hubspot", "quickbooks")},
    BRANCH: ConnectionPolicy(
        name=BRANCH,
        provider="quickbooks",
        creates="filter",
        creates_filter=FieldFilter(field=ENTITY_FIELD, values=(LABS,)),
        documents=_DOCUMENTS[BRANCH],
    ),
}
"""Everybody is a customer in all systems, and in the branch's books only who is its customer."""
