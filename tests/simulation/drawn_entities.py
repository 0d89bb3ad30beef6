"""Draws whose customers people are, in worlds whose books are of entities: at first, and what is said of it later."""

from __future__ import annotations

from random import Random

import msgspec

from core.model.policy import ENTITY_FIELD
from tests.simulation.routes import ABROAD, HOME, NOBODY, SHAPES
from tests.simulation.tape import REGISTRY, Event, Tape

SAID_AT = ("stripe", "stripe", REGISTRY)
"""Where metadata is."""


def with_entities(tape: Tape, rng: Random) -> Tape:
    """In some worlds with documents books are of entities, and most customers of one; so they are of two companies."""
    billing = tape.profile.billing
    if billing is None or (rng.random() >= 0.2 and not billing.has_branch):
        return tape
    said = _Said(rng)
    people = [said.of_first(one) for one in tape.people]
    events = list(tape.events)
    for _ in range(rng.randint(2, 4)):
        events.insert(rng.randint(0, len(events) // 3), said.of_nobodys())
    for _ in range(rng.randint(1, 4)):
        events.insert(rng.randint(len(events) // 3, len(events)), said.of_somebodys())
    said.add_across(events, billing.route, Random(f"across {tape.seed}"))
    shape = rng.choice(list(SHAPES))
    profile = msgspec.structs.replace(tape.profile, billing=msgspec.structs.replace(billing, entities=shape))
    return msgspec.structs.replace(tape, profile=profile, people=people, events=events)


class _Said:
    """Every entity is said once in a world, so that each saying can be told apart; many are of the same books."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._left = {name: list(names) for name, names in (("us", HOME), ("eu", ABROAD), ("mars", NOBODY))}

    def _one(self, *weights: int) -> str:
        return self._left[self._rng.choices(("us", "eu", "mars"), weights=weights)[0]].pop(0)

    def of_first(self, one: Event) -> Event:
        """Who is at Stripe before Accord is somebody's, mostly."""
        if (one.what, one.system) != ("create", "stripe") or self._rng.random() < 0.25:
            return one
        return msgspec.structs.replace(one, changes={**one.changes, ENTITY_FIELD: self._one(6, 3, 1)})

    def of_nobodys(self) -> Event:
        """Somebody says whose a customer is who was nobody's."""
        one, rng = self._one(6, 3, 1), self._rng
        return self._saying("assign", one, [0.0, rng.uniform(0, 5), rng.uniform(5, 90)])

    def of_somebodys(self) -> Event:
        """It is another entity's by now, or nobody knows any more."""
        value = None if self._rng.random() < 0.2 else self._one(2, 5, 1)
        # time enough for a document to be booked before
        return self._saying("reassign", value, [self._rng.uniform(0, 90), self._rng.uniform(90, 900)])

    def add_across(self, events: list[Event], route: str, rng: Random) -> None:
        """In most worlds one customer is billed for one entity, then for another, and pays both at once."""
        if rng.random() < 0.3:
            return
        system, names = "quickbooks" if route == "books" else "stripe", ["us", "eu"]
        rng.shuffle(names)
        # time enough for the first one to be booked, and for both
        places = sorted(rng.randint(0, len(events)) for _ in range(3))
        across = [
            Event(after=after, what=what, system=system, pick=rng.randrange(10**9), changes=changes)
            for what, after, changes in (
                ("bill_across", rng.uniform(0, 60), {ENTITY_FIELD: self._left[names[0]].pop(0)}),
                ("bill_across", rng.uniform(60, 900), {ENTITY_FIELD: self._left[names[1]].pop(0)}),
                ("pay_across", rng.choice([rng.uniform(0, 5), rng.uniform(60, 900)]), {}),
            )
        ]
        for number, one in enumerate(across):
            events.insert(places[number] + number, one)

    def _saying(self, what: str, value: str | None, after: list[float]) -> Event:
        rng = self._rng
        system, pick = rng.choice(SAID_AT), rng.randrange(1000)
        return Event(after=rng.choice(after), what=what, system=system, pick=pick, changes={ENTITY_FIELD: value})
