"""Races: an edit slipped in between our read and our write, where a provider has no conditional write.

The value it had is gone from the object, but not from the provider's own history: a receipt, a webhook or the
change feed tells it, often more than one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.model.decide import Lost
from core.model.merge import winner
from core.model.policy import REGISTRY
from core.model.values import Value, blank
from core.ports import Notice
from core.store import customers, intents, journal, mappings
from core.store.customers import Customer
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.batch import as_of_now
from core.sync.hub import Connection, Hub
from core.sync.registry import Moved, changed, fan_out


def judge_races(tx: Tx, hub: Hub, connection: Connection, notices: Iterable[Notice]) -> None:
    """Judge what our own writes overwrote, as far as the notices tell."""
    for notice in notices:
        if notice.our_key and notice.overwritten:
            intent = intents.by_key(tx, connection.name, notice.our_key)
            if intent is not None:
                raced(tx, hub, connection, intent, notice.overwritten)


def raced(tx: Tx, hub: Hub, connection: Connection, intent: Intent, overwritten: Mapping[str, Value]) -> None:
    """Judge one write's race like any other conflict: the better ranked value stands, the other is in the journal.

    Once per write, however often it is told: a second verdict would undo what was decided since.
    """
    lost = _unseen(connection, intent, overwritten)
    current = as_of_now(tx, list(mappings.by_ids(tx, [intent.mapping_id]).values())) if lost else {}
    if intent.mapping_id not in current:
        return
    mapping, customer = current[intent.mapping_id]
    if journal.is_traced(tx, customer.id, "raced", intent.id):
        return
    now = hub.clock.now()
    # of an object that its customer has no more, only the journal is told: it may be somebody else's by now
    is_its = intent.remote_id == mapping.remote_id
    wins = {name: value for name, value in lost.items() if is_its and _stands(hub, connection, customer, intent, name)}
    losers = [Lost(name, value, "remote", "raced") for name, value in lost.items() if name not in wins]
    losers += [Lost(name, intent.wanted[name], "registry", "raced") for name in wins]
    entry = journal.about(
        mapping,
        at=now,
        action="raced",
        changes={name: (customer.fields.get(name), value, "raced") for name, value in wins.items()},
        lost=losers,
        actor=connection.name,
        # the write that raced: its intent leads on to the trace of the change behind it
        trace=intent.id,
    )
    after = changed(customer, wins, connection.name, now)
    if wins and not customers.replace(tx, after):
        raced(tx, hub, connection, intent, overwritten)  # another lane was faster: judged anew
        return
    journal.write(tx, [entry])
    if wins:
        fan_out(tx, hub, [Moved(after, wins)], but="", trace=intent.trace)


def _unseen(connection: Connection, intent: Intent, overwritten: Mapping[str, Value]) -> dict[str, Value]:
    """Overwritten values that were neither there when we looked nor what we wrote."""
    same = connection.projection.canonical
    return {
        name: value
        for name, value in overwritten.items()
        if name in intent.wanted
        and not blank(value)
        and same(name, value) != same(name, intent.before.get(name))
        and same(name, value) != same(name, intent.wanted[name])
    }


def _stands(hub: Hub, connection: Connection, customer: Customer, intent: Intent, name: str) -> bool:
    """True where the overwritten value is to come back: it outranks the one written, which nobody changed since."""
    rule = hub.policy.rule(connection.name, name)
    if rule.flow in ("out", "off") or customer.fields.get(name) != intent.wanted[name]:
        return False
    return winner(hub.policy, rule, customer.sources.get(name, REGISTRY), connection.name) == "remote"
