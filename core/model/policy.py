"""Who owns what: typed policy, and the default ownership table (pure; config/policy.py reads it from a file)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from core.model.values import PART_OF, is_figure, is_metadata

Flow = Literal["both", "in", "out", "off"]
Clear = Literal["propagate", "restore", "hold"]
Scope = Literal["all", "filter", "marked", "none"]
WhenArchived = Literal["leave", "archive"]

REGISTRY: Final = "registry"
"""The source of a value that a person or program wrote to the registry itself."""

ENTITY_FIELD: Final = "metadata.entity"
"""The customer's field that names the entity of its documents, where policy names no other one."""

HOLD: Final[tuple[str, ...]] = ()
"""`on_conflict` with no source in it: ask a person."""


class Rule(msgspec.Struct, frozen=True):
    """How one field behaves at one connection. `ranks` are sources, best first; empty means hold.

    A source is a connection's name, a provider's name (all its connections) or `registry`.
    """

    flow: Flow = "both"
    ranks: tuple[str, ...] = HOLD
    clear: Clear = "propagate"


class FieldFilter(msgspec.Struct, frozen=True):
    """`enters` / `creates` = filter: the record must have `field` equal to one of `values`."""

    field: str
    values: tuple[str, ...]


class DocumentPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which kinds of documents enter the registry from a connection, and which it gets copies of.

    `sources`: the connections whose documents it gets copies of; none named: all that originate any. `since`: copies of
    documents issued from that day on (ISO date); "": from the day of the connection's activation. `overview`: what
    each customer's documents add up to is written on its object there. `entities`: it is the books of these legal
    entities, and gets copies of their documents only; none named: of all. `entity`: whose all documents that
    originate here are; "": the customer's `entity_field` says whose each is.
    """

    originates: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: str = ""
    overview: bool = False
    entities: tuple[str, ...] = ()
    entity: str = ""
    entity_field: str = ENTITY_FIELD


class ConnectionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Scope and matching at one connection. Defaults are the cautious ones: marked objects only, no creates.

    `when_archived`: what becomes of a customer's objects there when the customer is archived in the registry.
    """

    name: str
    provider: str
    enters: Scope = "marked"
    creates: Scope = "none"
    enters_filter: FieldFilter | None = None
    creates_filter: FieldFilter | None = None
    match_email: bool = False
    external_id_field: str | None = None
    accept_foreign_marks: bool = False
    when_archived: WhenArchived = "leave"
    flows: Mapping[str, Flow] = {}
    """Per field overrides of the flow at this connection; `metadata` stands for every metadata key."""
    documents: DocumentPolicy = DocumentPolicy()


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds of the mass-change stop. Shares are of the customers that a connection has, not of their parts.

    `document_*`: of copies of documents; a share of the documents there. Voided ones count as cleared.
    """

    clear_share: float = 0.05
    clear_count: int = 20
    clear_share_small: float = 0.50
    clear_count_small: int = 3
    overwrite_share: float = 0.20
    overwrite_count: int = 200
    same_value_share: float = 0.20
    same_value_count: int = 200
    document_share: float = 0.20
    document_count: int = 200
    listing_share: float = 0.20
    window_seconds: float = 3600.0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The whole policy. `fields` overrides the default table per neutral field (or `metadata`, `metadata.<key>`)."""

    connections: Mapping[str, ConnectionPolicy]
    fields: Mapping[str, Rule] = {}
    guard: Guard = Guard()

    def rule(self, connection: str, field: str) -> Rule:
        """The rule of `field` at `connection`: file first, then the default table."""
        if field == PART_OF:
            return TIE_RULE
        if is_figure(field):
            return FIGURE_RULE
        rule = self.fields.get(field) or (self.fields.get("metadata") if is_metadata(field) else None)
        rule = rule or DEFAULT_RULES.get(field) or (METADATA_RULE if is_metadata(field) else Rule())
        flows = self.connections[connection].flows
        flow = flows.get(field) or (flows.get("metadata") if is_metadata(field) else None)
        return msgspec.structs.replace(rule, flow=flow) if flow else rule

    def rank(self, ranks: tuple[str, ...], source: str) -> int | None:
        """Position of a source in `ranks` by connection name or provider name; None when not listed."""
        if source in ranks:
            return ranks.index(source)
        known = self.connections.get(source)
        if known and known.provider in ranks:
            return ranks.index(known.provider)
        return None


_SELLING = ("registry", "hubspot", "stripe", "quickbooks")
_BILLING = ("registry", "stripe", "quickbooks", "hubspot")
_BOOKS = ("registry", "quickbooks", "stripe", "hubspot")

DEFAULT_RULES: Final[Mapping[str, Rule]] = {
    "name": Rule(ranks=_SELLING),
    "legal_name": Rule(ranks=_BOOKS),
    "legal_number": Rule(ranks=_BOOKS),
    "tax_identification_number": Rule(ranks=_BOOKS, clear="hold"),
    "email": Rule(ranks=_BILLING, clear="hold"),
    "phone": Rule(ranks=_SELLING),
    "customer_type": Rule(ranks=_SELLING),
    "billing_address": Rule(ranks=_BILLING),
    "shipping_address": Rule(ranks=_BILLING),
    "currency": Rule(ranks=_BILLING, clear="restore"),
    "timezone": Rule(ranks=_SELLING),
    "locale": Rule(ranks=_BILLING),
    "url": Rule(ranks=_SELLING),
    "logo_url": Rule(ranks=_SELLING),
    "parent": Rule(ranks=_SELLING),
    "status": Rule(ranks=_BOOKS, clear="restore"),
}
TIE_RULE: Final = Rule(flow="out")
"""What a part belongs to is the registry's to say; who takes it off there finds it put back."""
FIGURE_RULE: Final = Rule(flow="out")
"""Nobody but the registry has all documents."""
METADATA_RULE: Final = Rule(ranks=("registry", "stripe", "hubspot", "quickbooks"))
