"""Somebody answers what is asked about customers, in the middle of everything."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Final

from core.errors import AccordError
from core.model import holds as reasons
from core.model.holds import candidates_of
from core.model.match import CUSTOMERS, RESTORED
from core.store import holds, mappings, work
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync import answers
from core.sync.hub import KIND, Hub
from tests.simulation.behind import intent_behind
from tests.simulation.tape import Event

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

_LEFT_TO_OTHERS: Final = frozenset({reasons.MASS_CHANGE, reasons.LISTING_SHRANK})
"""Whoever looks at the console answers these in every world."""


class Answering:
    """Whoever answers holds in one world; what may be known of an object there, is known."""

    def __init__(self, world: SimWorld) -> None:
        """Nothing is answered yet."""
        self._world = world
        self.said: dict[tuple[str, str, str], set[str]] = {}
        """By connection, subject and field: what was answered."""

    def on(self, rows: Iterable[MappingRow], field: str) -> set[str]:
        """What was ever said about a field of these mappings."""
        return {choice for row in rows for choice in self.about(row.connection, row.id, row.remote_id or "", field)}

    def about(self, connection: str, mapping_id: str, remote_id: str, field: str) -> set[str]:
        """What was ever said about a field of one mapping, or of its object before it had one."""
        subjects = (work.mapping_subject(mapping_id), work.remote_subject(remote_id))
        return {choice for one in subjects for choice in self.said.get((connection, one, field), ())}

    def answer(self, event: Event) -> None:
        """One open question about a customer gets one of the answers that it offers."""
        if self._world.life is None:
            return
        hub = self._world.life.hub
        try:
            self._world.db.run_now(lambda tx: self._answer(tx, hub, Random(event.pick)))
        except AccordError as refused:
            self._world.note(f"refused: {refused}")

    def _answer(self, tx: Tx, hub: Hub, rng: Random) -> None:
        asked = [one for one in holds.listing(tx) if _is_open_to_all(one) and _is_of_customer(tx, one)]
        if not asked:
            return
        hold = rng.choice(asked)
        choice = self._choice(tx, hold, rng)
        if not choice:
            return
        self._world.note(f"ANSWER {hold.connection} {hold.subject} {hold.reason} {hold.field} {choice}")
        answers.answer(tx, hub, hold.id, choice, actor="operator", digest=hold.digest)
        self._world.reached[f"answered: {hold.reason} {choice.partition(':')[0]}"] += 1
        self.said.setdefault((hold.connection, hold.subject, hold.field), set()).add(choice)

    def _choice(self, tx: Tx, hold: Hold, rng: Random) -> str:
        if hold.reason == reasons.LOST_CREATE:
            made = self._made(tx, hold)
            return f"link:{made}" if made else "create"
        there = candidates_of(hold.detail) or [str(one) for one in [hold.detail.get("remote_id")] if one]
        may_link = hold.subject.startswith("m:") or hold.detail.get("candidates_are") == CUSTOMERS
        # whose objects these are decides whose documents: the judge of documents knows nobody who changes that
        barred = (
            {"leave", "unlink", "recreate", "archive", "link:<id>"} if self._world.audit is not None else set[str]()
        )
        if not (there and may_link):
            barred.add("link:<id>")
        offered = [one for one in reasons.CHOICES[hold.reason] if one not in barred]
        choice = rng.choice(offered) if offered else ""
        return f"link:{rng.choice(there)}" if choice == "link:<id>" else choice

    def _made(self, tx: Tx, hold: Hold) -> str | None:
        """What the lost create has made, if it is there."""
        site = self._world.sites[hold.connection]
        live = site.lookalike.neutral("customer")
        for one in reversed(site.lookalike.mutations):
            if one.caller == "accord" and (one.kind, one.action) == (KIND, "create") and one.id in live:
                behind = intent_behind(tx, hold.connection, one)
                if behind is not None and behind.mapping_id == hold.subject[2:]:
                    return one.id
        return None


def _is_open_to_all(hold: Hold) -> bool:
    """Whose an object is that an older database has forgotten, only who knows better may say."""
    return hold.reason not in _LEFT_TO_OTHERS and hold.detail.get("rung") != RESTORED


def _is_of_customer(tx: Tx, hold: Hold) -> bool:
    if hold.subject.startswith("r:"):
        return True
    row = mappings.by_ids(tx, [hold.subject[2:]]).get(hold.subject[2:])
    return row is not None and row.kind == KIND
