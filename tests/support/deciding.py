"""Small policies and projections to decide with (unit and property tests)."""

from __future__ import annotations

from collections.abc import Mapping

from core.model.policy import ConnectionPolicy, Flow, Policy, Rule
from core.model.projection import Projection
from core.model.remote import Refusal
from core.model.values import Value

CONNECTIONS = ("stripe", "hubspot", "quickbooks")


def canonical(field: str, value: Value) -> Value:
    """A provider that lower-cases e-mails and trims texts."""
    if not isinstance(value, str):
        return value
    return value.strip().lower() if field == "email" else value.strip()


def refusal(field: str, value: Value) -> Refusal | None:
    """A provider that stores names of at most ten characters."""
    if field == "name" and isinstance(value, str) and len(value) > 10:
        return Refusal(field="name", problem="too long", limit="10 characters", cure="shorten it")
    return None


def policy_of(fields: Mapping[str, Rule] | None = None, **flows: Flow) -> Policy:
    """Three connections; `flows` are overrides at stripe."""
    connections = {name: ConnectionPolicy(name=name, provider=name) for name in CONNECTIONS}
    connections["stripe"] = ConnectionPolicy(name="stripe", provider="stripe", flows=flows)
    return Policy(connections=connections, fields=fields or {})


def projection() -> Projection:
    """Name, e-mail and phone, and any metadata."""
    return Projection(
        fields=("name", "email", "phone"),
        has_metadata=True,
        metadata_keys=None,
        canonical=canonical,
        refusal=refusal,
        since={"name": 1, "email": 1, "phone": 2},
        translation=2,
    )
