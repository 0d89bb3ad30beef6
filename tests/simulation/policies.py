"""Policy changes at a restart: how fields flow, who wins conflicts, what is created, which documents are copied."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec

from core.model.policy import DEFAULT_RULES, METADATA_RULE, ConnectionPolicy, Policy, Rule
from core.store import intents
from tests.simulation.behind import Behind
from tests.simulation.tape import Event

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


class Policies:
    """The policies of one world, one after the other."""

    def __init__(self, world: SimWorld) -> None:
        """None has changed."""
        self._world = world
        self._since: list[tuple[float, Policy]] = []
        self._decided: dict[str, Policy] = {}
        self._first_sent: dict[str, float] = {}

    def at(self, at: float) -> Policy:
        """What was in force then: each life has the policy of its start."""
        return next((one for since, one in reversed(self._since) if since <= at), self._world.config.policy)

    def begin(self) -> None:
        """A life begins, with what stands in the file now; what is under way was decided by the policy before it."""
        for one in self._world.db.read_now(intents.all_open):
            self._decided.setdefault(one.id, self.at(one.sent_at))
            self._first_sent.setdefault(one.id, one.sent_at)
        self._since.append((self._world.clock.now(), self._world.config.policy))

    def behind(self, intent: Behind | None) -> Policy:
        """What a write was decided by; its intent's time alone does not tell: sent again, it has that of the repeat.

        The body of a create is frozen: the provider may have the first one, and takes no other under its marker or key.
        """
        if intent is None:
            return self.at(self._world.clock.now())
        return self.deciding(intent.intent_id, intent.sent_at)

    def deciding(self, intent_id: str, sent_at: float) -> Policy:
        """What an intent was decided by that was sent then, perhaps again."""
        return self._decided.get(intent_id) or self.at(sent_at)

    def decided_at(self, intent_id: str, sent_at: float) -> float:
        """When an intent was decided that was sent then, perhaps again: a life that ends meanwhile moves that."""
        return self._first_sent.get(intent_id, sent_at)

    def lets_in(self, system: str, field: str, since: float) -> bool | None:
        """Whether what was written there then flows in; None: that depends on which of the policies since saw it."""
        later = [policy for start, policy in self._since if start > since]
        found = {one.rule(system, field).flow in ("both", "in") for one in (self.at(since), *later)}
        return found.pop() if len(found) == 1 else None

    def change(self, event: Event) -> None:
        """Somebody edits the file; it is read at the next start."""
        config = self._world.config
        if event.what == "ranks":
            is_ranked = not config.policy.fields
            fields = without_ranks() if is_ranked else {}
            policy = msgspec.structs.replace(config.policy, fields=fields)
        else:
            scope = self._changed(config.policy.connections[event.system], event)
            scopes = {**config.policy.connections, event.system: scope}
            policy = msgspec.structs.replace(config.policy, connections=scopes)
        self._world.config = dataclasses.replace(config, policy=policy)
        self._world.reached[f"changed in the policy: {event.what}"] += 1
        if self._world.life is not None:
            self._world.life.end()

    def _changed(self, scope: ConnectionPolicy, event: Event) -> ConnectionPolicy:
        if event.what == "flow":
            return msgspec.structs.replace(scope, flows={**scope.flows, **event.changes})
        if event.what == "creates":
            return msgspec.structs.replace(scope, creates=event.changes["creates"])
        whole = self._since[0][1].connections[event.system].documents
        narrower = {key: tuple(one) if key != "since" else one for key, one in event.changes.items()}
        return msgspec.structs.replace(scope, documents=msgspec.structs.replace(whole, **narrower))


def without_ranks() -> dict[str, Rule]:
    """Rules by which a person is asked about every conflict."""
    rules: dict[str, Rule] = {name: msgspec.structs.replace(rule, ranks=()) for name, rule in DEFAULT_RULES.items()}
    return {**rules, "metadata": msgspec.structs.replace(METADATA_RULE, ranks=())}
