"""The policy check before any call: what is certainly wrong about a policy that is well-formed.

Each rule here is a setting that could never do what its author meant: an owner that cannot own, a scope that
lets records through without a single value, one account connected twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from config.policy import METADATA, Carrier, fields_in
from config.section import Mistakes, Section, did_you_mean
from config.settings import own_variables, secret_variable
from core.model.policy import ENTITY_FIELD, REGISTRY, ConnectionPolicy, Policy, Rule
from core.ports import ConnectionConfig

ACCOUNT_SETTINGS: Final = ("account", "account_id", "portal_id", "realm_id")
"""Settings that name the account itself: two connections of one provider may not share one."""


def check(
    mistakes: Mistakes,
    policy: Policy,
    connections: Mapping[str, ConnectionConfig],
    carriers: Mapping[str, Carrier],
    fields: Section,
) -> None:
    """Add what is wrong. `fields` is the file's [fields]: only an order that it gives itself is checked."""
    _one_account_once(mistakes, connections)
    _one_variable_once(mistakes, carriers)
    _sources_originate(mistakes, policy)
    _copies_are_settled(mistakes, policy, connections, carriers)
    _routes_have_payments(mistakes, policy, connections)
    _entities_have_books(mistakes, policy)
    _books_have_documents(mistakes, policy)
    for name, carrier in carriers.items():
        _some_field_flows(mistakes, policy, carrier)
        if policy.connections[name].match_email and not carrier.carries("email"):
            mistakes.add(("connections", name, "match_email"), carrier.why_not("email"))
    for field, outer, key in fields_in(fields):
        if field not in policy.fields:
            continue
        if not any(carrier.carries(field) for carrier in carriers.values()):
            outer.mistake(key, f"no connection carries {field}, so this has no effect")
        elif "on_conflict" in outer.section(key):
            _conflicts_have_an_owner(outer.section(key), policy, carriers, field)


def _sources_originate(mistakes: Mistakes, policy: Policy) -> None:
    """Copies are made of documents that some connection brings in."""
    for name, one in policy.connections.items():
        for source in one.documents.sources:
            known = policy.connections.get(source)
            if known is None or source == name:
                mistakes.add(("connections", name, "documents", "sources"), f"{source!r} is no other connection")
        for kind in one.documents.mirrors:
            sources = one.documents.sources or tuple(other for other in policy.connections if other != name)
            if not any(
                kind in policy.connections[other].documents.originates
                for other in sources
                if other in policy.connections
            ):
                mistakes.add(
                    ("connections", name, "documents", "mirrors"),
                    f"no {kind} comes from {', '.join(sources) or 'here: there is no other connection'}",
                )


def _copies_are_settled(
    mistakes: Mistakes,
    policy: Policy,
    connections: Mapping[str, ConnectionConfig],
    carriers: Mapping[str, Carrier],
) -> None:
    """A copy can be paid until what settled its invoice is copied: without that, the customer could pay twice."""
    for name, carrier in carriers.items():
        mirrors = policy.connections[name].documents.mirrors
        for kind in mirrors:
            spec = carrier.manifest.documents.get(kind)
            if spec is None or connections[name].settings.get(spec.unless) == "yes":
                continue
            if lacking := [one for one in spec.settled_by if one not in mirrors]:
                title, more = carrier.manifest.title, " and ".join(lacking)
                problem = (
                    f"a paid {kind}'s copy could be paid again at {title} until {more} are copied, too: add {more}"
                )
                mistakes.add(("connections", name, "documents", "mirrors"), problem)


def _routes_have_payments(mistakes: Mistakes, policy: Policy, connections: Mapping[str, ConnectionConfig]) -> None:
    """An account for payments of a connection whose payments are not copied here is a slip of the hand."""
    for name, one in connections.items():
        told = policy.connections[name].documents
        coming = {
            other.name
            for other in policy.connections.values()
            if "payment" in told.mirrors and policy.connections[name] in _mirrors_of(policy, other.name)
        }
        for route in one.deposits:
            source = route.partition(".")[0]
            if source not in coming:
                problem = f"no payment of {source!r} is copied here{did_you_mean(source, coming)}"
                mistakes.add(("connections", name, "deposits", route), problem)


def _entities_have_books(mistakes: Mistakes, policy: Policy) -> None:
    """Whose documents they are means something where copies go by it, and one that no books list waits for ever."""
    for name, one in policy.connections.items():
        known = {entity for other in _mirrors_of(policy, name) for entity in other.documents.entities}
        path, told = ("connections", name, "documents"), one.documents
        if told.entity and told.entity not in known:
            problem = f"no connection that gets copies from here lists {told.entity!r} in its entities"
            mistakes.add((*path, "entity"), problem + did_you_mean(told.entity, known))
        if told.entity_field != ENTITY_FIELD and not known:
            mistakes.add(
                (*path, "entity_field"), "has no effect: no connection that gets copies from here names entities"
            )


def _books_have_documents(mistakes: Mistakes, policy: Policy) -> None:
    """Books of an entity that no document can be of stay empty."""
    for name, one in policy.connections.items():
        sources = [other.documents for other in policy.connections.values() if one in _mirrors_of(policy, other.name)]
        given = {told.entity for told in sources}
        for entity in one.documents.entities if sources and "" not in given else ():
            if entity not in given:
                problem = f"no document is of {entity!r}: what is copied here comes from connections with an entity"
                mistakes.add(("connections", name, "documents", "entities"), problem + did_you_mean(entity, given))


def _mirrors_of(policy: Policy, origin: str) -> list[ConnectionPolicy]:
    """The connections that get copies of what originates at one."""
    told = policy.connections[origin]
    return [
        one
        for one in policy.connections.values()
        if one is not told
        and not set(one.documents.mirrors).isdisjoint(told.documents.originates)
        and (not one.documents.sources or not {origin, told.provider}.isdisjoint(one.documents.sources))
    ]


def _conflicts_have_an_owner(table: Section, policy: Policy, carriers: Mapping[str, Carrier], field: str) -> None:
    """A ranked source must be able to hold the field, and one of them to bring a value in."""
    ranks = policy.fields[field].ranks
    owners = 0
    for source in ranks:
        meant = [carrier for carrier in carriers.values() if source in (carrier.name, carrier.manifest.provider)]
        carrying = [carrier for carrier in meant if carrier.carries(field)]
        if meant and not carrying:
            table.mistake("on_conflict", f"{source} can never own {field}: {meant[0].why_not(field)}")
        owners += source == REGISTRY or any(_flows_in(policy.rule(carrier.name, field)) for carrier in carrying)
    if ranks and not owners:
        names = ", ".join(ranks)
        table.mistake("on_conflict", f"{names} cannot bring in {field}, so no conflict would ever have a winner")


def _flows_in(rule: Rule) -> bool:
    return rule.flow in ("both", "in")


def _some_field_flows(mistakes: Mistakes, policy: Policy, carrier: Carrier) -> None:
    """Creating customers of which no field may be written, or taking in customers of which none may be read."""
    scope = policy.connections[carrier.name]
    fields = [*carrier.manifest.fields, *([METADATA] if carrier.carries(METADATA) else [])]
    flows = {_flow(policy, carrier.name, field) for field in fields}
    flows |= {flow for field, flow in scope.flows.items() if carrier.carries(field)}
    if scope.creates != "none" and not flows & {"both", "out"}:
        mistakes.add(
            ("connections", carrier.name, "creates"), "no field flows out here, so only blanks would be created"
        )
    if scope.enters in ("all", "filter") and not flows & {"both", "in"}:
        mistakes.add(("connections", carrier.name, "enters"), "no field flows in here, so only blanks would enter")


def _flow(policy: Policy, connection: str, field: str) -> str:
    # a metadata key stands for `metadata`, whose own rule is asked by way of any key without rules of its own
    return policy.rule(connection, "metadata." if field == METADATA else field).flow


def _one_account_once(mistakes: Mistakes, connections: Mapping[str, ConnectionConfig]) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for name, config in connections.items():
        for key in ACCOUNT_SETTINGS:
            if value := config.settings.get(key):
                other = seen.setdefault((config.provider, key, value), name)
                if other != name:
                    mistakes.add(
                        ("connections", name, key), f"is the account of {other} too; connect each account once"
                    )


def _one_variable_once(mistakes: Mistakes, carriers: Mapping[str, Carrier]) -> None:
    """No two secrets may come from one environment variable, nor from one of the daemon's own."""
    owners = dict.fromkeys(own_variables(), "the daemon itself")
    for name, variable in _variables(carriers):
        owner = owners.setdefault(variable, name)
        if owner != name:
            mistakes.add(("connections", name), f"its secret {variable} is also one of {owner}; rename the connection")


def _variables(carriers: Mapping[str, Carrier]) -> Iterator[tuple[str, str]]:
    for name, carrier in carriers.items():
        for secret in carrier.manifest.secrets:
            yield name, secret_variable(name, secret)
