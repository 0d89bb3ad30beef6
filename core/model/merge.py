"""The three-way merge of one field: registry, remote, base (pure; DESIGN §4 in one table).

| registry | remote    | base    | outcome                                                              |
|----------|-----------|---------|----------------------------------------------------------------------|
| equal under the connection's canonical form | any | agree (store the pair if it is new)               |
| unchanged| unchanged | there   | nothing                                                               |
| changed  | unchanged | there   | push, where the flow lets values out                                  |
| unchanged| changed   | there   | pull, where the flow lets values in; put back where it is `out`       |
| changed  | changed   | there   | conflict: the better ranked source wins, the loser is kept; or hold   |
| value    | blank     | none    | push (fill the blank)                                                 |
| blank    | value     | none    | pull (fill the blank)                                                 |
| value    | value     | none    | conflict, as above                                                    |
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from core.model import holds
from core.model.policy import Policy, Rule
from core.model.values import Value, blank, is_figure

Kind = Literal["none", "agree", "pull", "push", "hold"]
Base = tuple[Value, Value]
Canonical = Callable[[str, Value], Value]


class Outcome(msgspec.Struct, frozen=True):
    """What shall happen to one field. `lost` is the value replaced; a conflict's loser is kept for an undo."""

    kind: Kind
    rule: str
    lost: Value = None
    reason: str = ""
    is_conflict: bool = False
    is_vouched: bool = False
    """Equal values, and this connection outranks the source: its rank counts from now on, or lane order would tell."""


NOTHING: Final = Outcome("none", "unchanged")
AGREE: Final = Outcome("agree", "equal on both sides")
VOUCHED: Final = Outcome("agree", "equal on both sides, and this side's word weighs more", is_vouched=True)
NOT_WRITTEN: Final = Outcome("none", "policy lets nothing out here")
NOT_TAKEN: Final = Outcome("none", "policy lets nothing in here")


def digest_of(*parts: object) -> str:
    """A short name for exactly these values."""
    return blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=12).hexdigest()


def winner(policy: Policy, rule: Rule, source: str, connection: str) -> Literal["registry", "remote"] | None:
    """Whose value stands in a conflict between the registry's (from `source`) and `connection`'s; None: hold.

    The registry's value keeps the rank of the system it came from, so the result does not depend on the
    order in which lanes run.
    """
    if not rule.ranks:
        return None
    if source == connection:
        return "remote"  # its own newer value
    mine, theirs = policy.rank(rule.ranks, source), policy.rank(rule.ranks, connection)
    if mine == theirs:
        return None
    if theirs is None or (mine is not None and mine < theirs):
        return "registry"
    return "remote"


class FieldMerge:
    """The merge of one field at one connection. Built per mapping; holds nothing but what it was given."""

    def __init__(self, policy: Policy, connection: str, canonical: Canonical) -> None:
        """`canonical` is the connection's spelling of a value."""
        self._policy = policy
        self._connection = connection
        self._canonical = canonical

    def merge(self, field: str, registry: Value, remote: Value, base: Base | None, source: str) -> Outcome:
        """One row of the table above."""
        rule = self._policy.rule(self._connection, field)
        if rule.flow == "off":
            return Outcome("none", "policy switches the field off here")
        if base is not None and base[0] == registry and base[1] == remote:
            return NOTHING
        if self._agree(field, registry, remote):
            return self._agreed(rule, registry, source)
        if base is None:
            return self._first_contact(field, rule, registry, remote, source)
        is_same_there = self._agree(field, base[1], remote)
        if base[0] == registry:
            # they differ by agreement, and go on to
            return AGREE if is_same_there else self._remote_changed(rule, registry, remote)
        if is_same_there:
            return self._registry_changed(rule, registry, remote)
        return self._conflict(rule, registry, remote, source)

    def _agree(self, field: str, registry: Value, remote: Value) -> bool:
        return registry == remote or self._canonical(field, registry) == self._canonical(field, remote)

    def _agreed(self, rule: Rule, registry: Value, source: str) -> Outcome:
        if blank(registry) or source == self._connection or rule.flow not in ("both", "in"):
            return AGREE
        return VOUCHED if winner(self._policy, rule, source, self._connection) == "remote" else AGREE

    def _first_contact(self, field: str, rule: Rule, registry: Value, remote: Value, source: str) -> Outcome:
        if blank(remote):
            return _out(rule, Outcome("push", "fills a blank"))
        if blank(registry) and not is_figure(field):
            return _in(rule, Outcome("pull", "fills a blank"))
        return self._conflict(rule, registry, remote, source)

    def _remote_changed(self, rule: Rule, registry: Value, remote: Value) -> Outcome:
        if rule.flow == "out":
            return Outcome("push", "drift is put back", lost=remote, is_conflict=True)
        if blank(remote) and rule.clear == "restore":
            return _out(rule, Outcome("push", "a cleared value is restored"))
        if blank(remote) and rule.clear == "hold":
            return Outcome("hold", "clearing needs a person", reason=holds.CLEARED)
        return Outcome("pull", "only the remote changed", lost=registry)

    def _registry_changed(self, rule: Rule, registry: Value, remote: Value) -> Outcome:
        if blank(registry) and rule.clear == "restore":
            return _in(rule, Outcome("pull", "a cleared value is restored"))
        if blank(registry) and rule.clear == "hold" and rule.flow != "in":
            return Outcome("hold", "clearing needs a person", reason=holds.CLEARED)
        return _out(rule, Outcome("push", "only the registry changed", lost=remote))

    def _conflict(self, rule: Rule, registry: Value, remote: Value, source: str) -> Outcome:
        """By flow, else by rank; but winning a conflict is no leave to clear what the clear policy protects."""
        outcome = self._fought_out(rule, registry, remote, source)
        would_clear = blank(registry) if outcome.kind == "push" else outcome.kind == "pull" and blank(remote)
        if not would_clear or rule.clear == "propagate":
            return outcome
        if rule.clear == "hold":
            return Outcome("hold", "clearing needs a person", reason=holds.CLEARED)
        if outcome.kind == "push":
            return _in(rule, Outcome("pull", "a cleared value is restored"))
        return _out(rule, Outcome("push", "a cleared value is restored"))

    def _fought_out(self, rule: Rule, registry: Value, remote: Value, source: str) -> Outcome:
        if rule.flow == "in":
            return Outcome("pull", "conflict: values only flow in here", lost=registry, is_conflict=True)
        if rule.flow == "out":
            return Outcome("push", "conflict: values only flow out here", lost=remote, is_conflict=True)
        who = winner(self._policy, rule, source, self._connection)
        if who is None:
            return Outcome("hold", "conflict: no ranked winner", reason=holds.CONFLICT)
        if who == "registry":
            return Outcome("push", f"conflict: {source} outranks {self._connection}", lost=remote, is_conflict=True)
        return Outcome("pull", f"conflict: {self._connection} outranks {source}", lost=registry, is_conflict=True)


def _out(rule: Rule, outcome: Outcome) -> Outcome:
    return outcome if rule.flow in ("both", "out") else NOT_WRITTEN


def _in(rule: Rule, outcome: Outcome) -> Outcome:
    return outcome if rule.flow in ("both", "in") else NOT_TAKEN
