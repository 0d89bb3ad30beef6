"""The planner alone, fast: three connections and a registry as dicts, driven by the real `decide`.

`python -m tests.support.planner 10000000 --jobs 2` runs that many random worlds by hand, of some 14 verdicts each; the
tests run a few. Every verdict obeys flow and clear policy, writes only what was read, and gives no field both ways;
base is what was seen; all lanes come to rest within 12 rounds, and stay so. With complete ranks, any order of lanes
ends with the best ranked edit everywhere, and the other edits are kept as lost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from random import Random
from typing import Any, Final

from core.model.decide import Snapshot, Verdict, after_write, decide
from core.model.merge import Base
from core.model.policy import ConnectionPolicy, Policy, Rule
from core.model.remote import Remote
from core.model.values import Value, blank
from tests.support.deciding import CONNECTIONS, projection

FIELDS: Final = ("name", "email", "phone", "metadata.plan")
SIDES: Final = ("registry", *CONNECTIONS)
VALUES: Final[tuple[Value, ...]] = ("Ann", "ann ", "Bob", "Bea", "Cy", "Dee")
LONGEST: Final = 12
"""Rounds of all lanes after which a world must have come to rest."""
SLICE: Final = 2_000
"""Worlds that one process plays before it tells what it saw."""
TELL_SECONDS: Final = 60.0
PROJECTION: Final = projection()


@dataclass
class Sides:
    """Every side's values, as they are."""

    policy: Policy
    registry: dict[str, Value] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    remotes: dict[str, dict[str, Value]] = field(default_factory=lambda: {name: {} for name in CONNECTIONS})
    bases: dict[str, dict[str, Base]] = field(default_factory=lambda: {name: {} for name in CONNECTIONS})
    lost: list[tuple[str, Value]] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    decided: int = 0

    def copy(self) -> Sides:
        """The same, to be driven another way."""
        return Sides(
            self.policy,
            dict(self.registry),
            dict(self.sources),
            {name: dict(one) for name, one in self.remotes.items()},
            {name: dict(one) for name, one in self.bases.items()},
        )

    def edit(self, side: str, name: str, value: Value) -> None:
        """A person's edit; a provider stores its own spelling."""
        if side == "registry":
            self.registry[name] = value
            self.sources[name] = "registry"
        else:
            self.remotes[side][name] = PROJECTION.canonical(name, value)

    def decide(self, connection: str) -> Verdict:
        """What one lane would do now."""
        self.decided += 1
        seen = Remote(id="r", fields=dict(self.remotes[connection]), metadata_complete=True)
        snapshot = Snapshot(registry=self.registry, sources=self.sources, remote=seen, base=self.bases[connection])
        return decide(snapshot, self.policy, connection, PROJECTION)

    def step(self, connection: str) -> bool:
        """One lane decides and does it; False when it found nothing to do."""
        verdict = self.decide(connection)
        check_verdict(self, connection, verdict)
        self.lost += [(one.field, one.value) for one in verdict.lost]
        self.held.update(one.reason for one in verdict.holds)
        for rule in verdict.rules.values():
            self.reached[rule.split(":")[0]] += 1
        for name, value in verdict.pull.items():
            self.registry[name] = value
            self.sources[name] = connection
        for name, value in verdict.push.items():
            self.remotes[connection][name] = PROJECTION.canonical(name, value)
        written = Remote(id="r", fields=dict(self.remotes[connection]))
        pairs, drafts = after_write(verdict.push, written, PROJECTION)
        assert not drafts, "a faithful provider changes nothing"
        self.bases[connection] |= verdict.base | pairs
        return not verdict.is_quiet or bool(verdict.base)

    def run(self, order: tuple[str, ...]) -> None:
        """Lanes in this order, until none has anything to do."""
        for _ in range(LONGEST):
            if not [name for name in order if self.step(name)]:
                return
        raise AssertionError(f"no rest after {LONGEST} rounds: {self}")


def check_verdict(sides: Sides, connection: str, verdict: Verdict) -> None:
    """The laws that every single verdict keeps, whatever the policy."""
    for name in verdict.pull:
        flow = sides.policy.rule(connection, name).flow
        assert flow in ("both", "in"), (name, flow, "pulled")
        assert verdict.pull[name] == sides.remotes[connection].get(name), "only what was read is taken"
    for name in verdict.push:
        flow = sides.policy.rule(connection, name).flow
        assert flow in ("both", "out"), (name, flow, "pushed")
        assert verdict.push[name] == sides.registry.get(name), "only the registry's own value is sent"
    assert not set(verdict.pull) & set(verdict.push)
    for name, (mine, theirs) in verdict.base.items():
        remote = sides.remotes[connection].get(name)
        assert theirs == remote, "base is what was seen"
        assert mine in (sides.registry.get(name), remote), "base is what was seen or taken"
        assert mine == theirs or PROJECTION.canonical(name, mine) == PROJECTION.canonical(name, theirs)
    for name, value in [*verdict.pull.items(), *verdict.push.items()]:
        rule = sides.policy.rule(connection, name)
        if blank(value) and rule.clear != "propagate":
            old = sides.registry if name in verdict.pull else sides.remotes[connection]
            # drift on an `out` field is put back, blank or not: nobody edits it there
            drift = rule.flow == "out" and sides.bases[connection].get(name, (None,))[0] == sides.registry.get(name)
            assert blank(old.get(name)) or drift, f"{name} cleared against policy"


RANKED: Final = {name: Rule(ranks=("registry", "hubspot", "stripe", "quickbooks")) for name in FIELDS}


def policy_with(rules: dict[str, Rule]) -> Policy:
    """Three connections and these rules."""
    return Policy(connections={name: ConnectionPolicy(name=name, provider=name) for name in CONNECTIONS}, fields=rules)


def some_rule(rng: Random) -> Rule:
    """Any rule."""
    ranks = rng.sample(SIDES, rng.randint(0, 4))
    flow: Any = rng.choice(("both", "both", "both", "in", "out", "off"))
    clear: Any = rng.choice(("propagate", "restore", "hold"))
    return Rule(flow=flow, ranks=tuple(ranks), clear=clear)


def agreed(rng: Random, policy: Policy) -> Sides:
    """A world in agreement: generated once, then perturbed, so that edits meet edits."""
    sides = Sides(policy)
    for name in FIELDS:
        value = rng.choice((*VALUES, None))
        sides.registry[name] = value
        sides.sources[name] = rng.choice(SIDES)
        for connection in CONNECTIONS:
            stored = PROJECTION.canonical(name, value)
            sides.remotes[connection][name] = stored
            sides.bases[connection][name] = (value, stored)
    return sides


def perturb(
    rng: Random, sides: Sides, values: tuple[Value, ...], *, chance: float = 0.4
) -> dict[str, dict[str, Value]]:
    """Concurrent edits, of values that differ from each other and from what was there; field -> side -> value."""
    edits: dict[str, dict[str, Value]] = {}
    for name in FIELDS:
        old = PROJECTION.canonical(name, sides.registry[name])
        left = [one for one in values if PROJECTION.canonical(name, one) != old and one != "ann "]
        rng.shuffle(left)
        for side in SIDES:
            if left and rng.random() < chance:
                value = left.pop()
                sides.edit(side, name, value)
                edits.setdefault(name, {})[side] = value
    return edits


def ranked_case(rng: Random) -> Sides:
    """Complete ranks: every order of lanes ends with the best ranked edit everywhere, and losers are recorded."""
    start = agreed(rng, policy_with(RANKED))
    before = dict(start.registry)
    edits = perturb(rng, start, VALUES)
    orders = list(permutations(CONNECTIONS))
    total = start.copy()
    for order in rng.sample(orders, 2):
        sides = start.copy()
        sides.run(order)
        assert not sides.held, sides.held
        for name in FIELDS:
            made = edits.get(name, {})
            best = next((made[side] for side in RANKED[name].ranks if side in made), before[name])
            wanted = PROJECTION.canonical(name, best)
            for where in (sides.registry, *sides.remotes.values()):
                assert PROJECTION.canonical(name, where.get(name)) == wanted, (name, order, edits, sides)
            losers = {PROJECTION.canonical(name, one) for one in made.values()} - {wanted, None}
            kept = {PROJECTION.canonical(name, value) for what, value in sides.lost if what == name}
            assert losers <= kept, (name, order, losers, kept)
        total.decided += sides.decided
        total.reached += sides.reached
    return total


def mixed_case(rng: Random) -> Sides:
    """Any policy, blanks, first contacts: the laws of single verdicts, rest, and silence after it."""
    sides = agreed(rng, policy_with({name: some_rule(rng) for name in FIELDS}))
    perturb(rng, sides, (*VALUES, None), chance=0.5)
    for connection in CONNECTIONS:
        for name in FIELDS:
            if rng.random() < 0.2:
                sides.bases[connection].pop(name, None)
            if rng.random() < 0.05:
                sides.remotes[connection].pop(name, None)
    order = tuple(rng.sample(CONNECTIONS, 3))
    sides.run(order)
    for connection in CONNECTIONS:
        assert sides.decide(connection).is_quiet, "a world at rest stays so"
    sides.reached.update(sides.held)
    return sides


def campaign(numbers: range, seed: int) -> Counter[str]:
    """Worlds by number; how often each rule was reached, how many worlds and verdicts there were."""
    reached: Counter[str] = Counter()
    for number in numbers:
        case = ranked_case if number % 2 else mixed_case
        try:
            sides = case(Random(f"{seed}.{number}"))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, world {number} ({case.__name__}): {error}") from error
        reached["verdicts"] += sides.decided
        reached += sides.reached
    reached["worlds"] += len(numbers)
    return reached


def _timed(numbers: range, seed: int) -> tuple[Counter[str], float]:
    started = time.process_time()
    return campaign(numbers, seed), time.process_time() - started


def _slices(numbers: range) -> list[range]:
    return [numbers[at : at + SLICE] for at in range(0, len(numbers), SLICE)]


def main() -> None:
    """Run worlds in several processes; says once a minute from where to go on if it is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.planner", description=__doc__)
    parser.add_argument("worlds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first world's number: to go on where a run was ended")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    reached, seconds, told = Counter[str](), 0.0, time.perf_counter()
    slices = _slices(range(options.first, options.first + options.worlds))
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for some, spent in pool.imap(partial(_timed, seed=options.seed), slices):
            reached, seconds = reached + some, seconds + spent
            if time.perf_counter() - told >= TELL_SECONDS:
                told, done = time.perf_counter(), reached["worlds"]
                print(
                    f"{done} worlds; the rest: {options.worlds - done} --first {options.first + done}", file=sys.stderr
                )
    for what, times in sorted(reached.items()):
        print(f"{times:>12}  {what}")
    print(f"{seconds:>12.0f}  CPU-seconds")


if __name__ == "__main__":
    main()
