"""One look-alike with its people, its weather and its witness: what Accord read and wrote there, seen from outside."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import FaultPlan, Faults, FaultyExchange
from core.sandbox.lookalike import LookAlike, Outgoing
from tests.simulation.unheard import Lost

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import SimWorld

CALM = FaultPlan()


class Overwrite(msgspec.Struct, frozen=True):
    """Accord's write replaced a value. `unseen`: it was put there after Accord had last looked at the object."""

    at: float
    remote_id: str
    field: str
    old: Any
    new: Any
    key: str | None
    unseen: bool
    number: int


class Site:
    """One provider account."""

    def __init__(self, world: SimWorld, name: str, lookalike: LookAlike, rng: Random) -> None:
        """Weather by the world's profile."""
        self.world, self.name, self.lookalike = world, name, lookalike
        self._rng = rng
        self._faulty = FaultyExchange(lookalike, world.tape.profile.plan, rng=rng, clock=world.clock)
        self.webhook_faults: Faults = self._faulty.faults
        self.lost = Lost(lookalike)
        self.seen: dict[str, int] = {}
        """By remote id: how many mutations there were when Accord last read the object."""
        self.overwrites: list[Overwrite] = []
        self.answered_keys: set[str] = set()
        """Keys of writes whose webhook Accord has acknowledged."""
        self.delivered: list[tuple[float, Outgoing]] = []
        """Webhooks that Accord has acknowledged, and when they were first on their way."""
        self._watched = 0
        self._people: Mapping[str, Mapping[str, Any]] = {}
        self._people_at = -1

    def calm(self) -> None:
        """The weather ends; what is still under way lands when its time has come."""
        self._weather(CALM)

    def storm(self) -> None:
        """The weather that the world's profile wants."""
        self._weather(self.world.tape.profile.plan)

    def _weather(self, plan: FaultPlan) -> None:
        late = self._faulty._late
        self._faulty = FaultyExchange(self.lookalike, plan, rng=self._rng, clock=self.world.clock)
        self._faulty._late = late
        self.webhook_faults = self._faulty.faults

    def land_late(self) -> None:
        """Slow requests whose time has come."""
        before = self._customers()
        self._faulty.run_late()
        self._witness(before)

    # ---- Accord's requests ---------------------------------------------------------------------------

    def exchange(self, request: HttpRequest, life: Life) -> HttpResponse:
        """Answer one request of Accord's, in whatever weather it is."""
        before = self._customers()
        strikes = len(self._faulty.trace)
        answer: HttpResponse | None = None
        try:
            answer = self._faulty(request)
        finally:
            struck = [one.kind for one in self._faulty.trace[strikes:]]
            for kind in struck:
                self.world.reached[f"fault: {kind}"] += 1
                if kind == "slow":
                    self.world.land_later(self)
            told = "broken" if answer is None else f"{answer.status}"
            path = request.url.partition(".test")[2][:90]
            self.world.note(f"{self.name} {request.method} {path} -> {told} {' '.join(struck)}")
            if self._witness(before):
                life.heat()
        if answer.status == 200 and not struck:
            self._saw(request, answer)
        return self.lost.told(request, answer)

    def _customers(self) -> Mapping[str, Mapping[str, Any]]:
        """What is there now; looked up again only after something changed, since most requests change nothing."""
        count = len(self.lookalike.mutations)
        if self._people_at != count:
            self._people, self._people_at = self.lookalike.neutral("customer"), count
        return self._people

    def _saw(self, request: HttpRequest, answer: HttpResponse) -> None:
        if answer.headers.get("idempotent-replayed"):
            self.world.reached["key replay"] += 1
            return
        count = len(self.lookalike.mutations)
        if request.method == "GET" and "/events" in request.url:
            return  # snapshots of the past
        if (
            "search" in request.url
            or "batch/upsert" in request.url
            or "batch/update" in request.url
            or "associations" in request.url
        ):
            return  # an index that lags, and answers that show only what was written
        for remote_id in self._customers():
            bare = remote_id.partition(":")[2] or remote_id
            if f'"{bare}"'.encode() in answer.body:
                self.seen[remote_id] = count

    def _witness(self, before: Mapping[str, Mapping[str, Any]]) -> bool:
        """Look at what Accord has just changed. False: nothing."""
        mutations = self.lookalike.mutations
        fresh = list(enumerate(mutations))[self._watched :]
        self._watched = len(mutations)
        mine = [(number, one) for number, one in fresh if one.caller == "accord"]
        if not mine:
            return False
        about = [(number, one) for number, one in mine if one.kind == "customer"]
        after = self._customers()
        for number, one in mine:
            self.world.note(f"{self.name} WRITES {one.action} {one.id} {sorted(one.changed)} key={one.request_key}")
            if one.kind != "customer":
                if self.world.audit is not None:
                    self.world.audit.written(self, one)
                continue
            behind = self.world.checks.mutation(self, one)
            old, new = before.get(one.id, {}), after.get(one.id, {})
            changed = {field for field in {*old, *new} if old.get(field) != new.get(field)}
            if len(about) == len({other.id for _, other in about}):
                self.world.checks.frame(self, one, behind, changed)
            for field in sorted(changed):
                put = self.world.put_at.get((self.name, one.id, field), -1)
                unseen = put >= self.seen.get(one.id, 0)
                self.overwrites.append(
                    Overwrite(one.at, one.id, field, old.get(field), new.get(field), one.request_key, unseen, number)
                )
                self.world.checks.field_written(self, one.id, field, behind)
        return True

    # ---- people ----------------------------------------------------------------------------------------

    def person_did(self) -> None:
        """A person changed something: not Accord's doing."""
        self._watched = len(self.lookalike.mutations)
