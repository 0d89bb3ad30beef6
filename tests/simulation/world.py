"""A world: three look-alikes with people and weather, and an Accord that lives, dies and starts again."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from random import Random
from typing import Any

import msgspec
import sqlalchemy as sa

from connectors.hubspot.sandbox import HubSpotLookAlike, HubSpotSettings
from connectors.quickbooks.sandbox import QuickBooksLookAlike, QuickBooksSettings
from connectors.stripe.sandbox import StripeLookAlike, StripeSettings
from core.sandbox.lookalike import LookAlike
from core.store import intents, looks
from core.store.database import Database, Tx
from core.store.tables import DIRTY
from core.sync.documents.marking import FORGOTTEN
from core.sync.hub import Timing
from tests.simulation.accounts import Accounts
from tests.simulation.across import Across
from tests.simulation.answering import Answering
from tests.simulation.auditing import Audit
from tests.simulation.checks import Checks, FailedError
from tests.simulation.clerks import Clerks
from tests.simulation.erasures import Erasures
from tests.simulation.life import Crash, Life
from tests.simulation.operators import Operators
from tests.simulation.people import People
from tests.simulation.policies import Policies, without_ranks
from tests.simulation.post import Post
from tests.simulation.quick import QuickDatabase
from tests.simulation.quiet import Quiet
from tests.simulation.reference import Edit
from tests.simulation.restores import Restores
from tests.simulation.revivals import Revivals
from tests.simulation.routes import BRANCH_REALM, with_billing, with_branch
from tests.simulation.site import Site
from tests.simulation.tape import BRANCH, SYSTEMS, Event, Tape, is_books
from tests.simulation.undoing import Undoing
from tests.simulation.virtual import START, VirtualClock, VirtualLoop, run_virtual
from tests.support.world import SECRETS, PlainVault, config_of

TRACE_KEPT = 400
HOOK = "https://accord.test/hooks/"
STABILISE_ROUNDS = 30

_WAITS = sa.select(sa.func.min(DIRTY.c.not_before)).where(
    DIRTY.c.connection == sa.bindparam("connection"),
    DIRTY.c.parked.is_(None),
    *(
        DIRTY.c.reason.not_like(f"its {whom} %")
        for whom in ("parent", "customer", "invoice", "entity", "object", "origin")
    ),
    DIRTY.c.reason != FORGOTTEN,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one world."""

    seed: int
    problem: str
    digest: str
    trace: list[str]
    reached: Counter[str]
    virtual_seconds: float
    writes: int
    cpu_seconds: float


def run_world(tape: Tape, database: Database | None = None) -> Outcome:
    """Play one tape to its end and judge it. `database`: an empty one; without it, the one that is kept for this."""
    started = time.process_time()
    loop = VirtualLoop()
    world = SimWorld(tape, loop, database or _empty_database())
    loop.set_exception_handler(world.unhandled)
    problem = ""
    try:
        run_virtual(world.play(), loop)
    except FailedError as failed:
        problem = str(failed)
    except Exception as error:  # noqa: BLE001 - any surprise is a finding
        problem = f"{type(error).__name__}: {error}"
        world.note(problem)
    writes = sum(one.caller == "accord" for site in world.sites.values() for one in site.lookalike.mutations)
    return Outcome(
        seed=tape.seed,
        problem=problem,
        digest=world.digest(),
        trace=list(world.trace) if problem else [],
        reached=world.reached,
        virtual_seconds=world.clock.now() - START,
        writes=writes,
        cpu_seconds=time.process_time() - started,
    )


@cache
def _quick() -> QuickDatabase:
    return QuickDatabase()


def _empty_database() -> Database:
    """The same one for world after world: they are played one at a time."""
    made = _quick()
    made.empty()
    return made


class SimWorld:
    """One world."""

    longest_tick = 100.0
    """Seconds from one look for due lanes to the next, where nothing is due."""

    def __init__(self, tape: Tape, loop: VirtualLoop, database: Database) -> None:
        """Nothing runs yet."""
        self.tape, self.loop, self.systems = tape, loop, tape.profile.systems
        self.clock = VirtualClock(loop)
        self.rng = Random(f"world {tape.seed}")
        self.trace: deque[str] = deque(maxlen=TRACE_KEPT)
        self._hash = blake2b(digest_size=16)
        self.reached: Counter[str] = Counter()
        self.own_tasks: set[asyncio.Task[Any]] = set()
        self.is_chaos = True
        self.crashes = 0
        self.edits: list[Edit] = []
        self.covered: dict[tuple[str, str, str], tuple[Any, Any]] = {}
        """What nobody can take, and the value it was written over: whoever replaces the one replaces the other."""
        self.put_at: dict[tuple[str, str, str], int] = {}
        self.checks, self.people, self.undoing = Checks(self), People(self), Undoing(self)
        self.operators, self.post, self.restores = Operators(self), Post(self), Restores(self)
        profile = tape.profile
        self.accounts, self.across, self.answering = Accounts(self), Across(self), Answering(self)
        self.erasures, self.clerks, self.revivals = Erasures(self), Clerks(self, profile.billing), Revivals(self)
        self.audit = Audit(self, profile.billing) if profile.billing else None
        self.timing = Timing(
            changes_every=profile.changes_every, full_every=86400, first_back_off=1, longest_back_off=120
        )
        self.config, self.db, self.policies = _config(tape), database, Policies(self)
        self.vaults = {
            name: PlainVault(dict(SECRETS["quickbooks" if is_books(name) else name])) for name in self.systems
        }
        made = self._look_alikes({name: HOOK + name if profile.webhooks else None for name in self.systems})
        self.sites = {name: Site(self, name, one, Random(f"weather {tape.seed} {name}")) for name, one in made.items()}
        self.life: Life | None = None
        self._lives = 0
        self.outage = 0.0
        self._keepers: list[asyncio.Task[Any]] = []

    def _look_alikes(self, hooks: Mapping[str, str | None]) -> dict[str, LookAlike]:
        seed = self.tape.seed
        made: dict[str, LookAlike] = {
            "stripe": StripeLookAlike(
                clock=self.clock,
                rng=Random(f"s {seed}"),
                settings=StripeSettings(webhook_url=hooks["stripe"], enforce_limits=True),
            ),
            "hubspot": HubSpotLookAlike(
                clock=self.clock,
                rng=Random(f"h {seed}"),
                settings=HubSpotSettings(webhook_url=hooks["hubspot"] or "", enforce_limits=True),
            ),
            "quickbooks": QuickBooksLookAlike(
                clock=self.clock,
                rng=Random(f"q {seed}"),
                settings=QuickBooksSettings(webhook_url=hooks["quickbooks"], enforce_limits=True),
            ),
        }
        if BRANCH in hooks:
            settings = QuickBooksSettings(webhook_url=hooks[BRANCH], enforce_limits=True, realm_id=BRANCH_REALM)
            made[BRANCH] = QuickBooksLookAlike(clock=self.clock, rng=Random(f"b {seed}"), settings=settings)
        return made

    # ---- the trace -----------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """One line of the trace; all of them make the world's digest."""
        line = f"{self.loop.time():.4f} {text}"
        self.trace.append(line)
        self._hash.update(line.encode("utf-8", "replace"))

    def digest(self) -> str:
        """Equal for two worlds in which exactly the same happened."""
        return self._hash.hexdigest()

    def unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What no task took up: a crash's own exceptions are meant, anything else is a finding."""
        error = context.get("exception")
        if error is not None and not isinstance(error, (Crash, FailedError)):
            self.checks.bugs.append(error)

    # ---- the play ------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Chaos, calm, rest, judgement."""
        self.own(asyncio.current_task())
        if self.tape.profile.is_calm_start:
            self._calm_down()
        for event in self.tape.people:
            self.people.perform(event)
        self._keepers = [self.own(asyncio.create_task(work())) for work in (self._keep_alive, self.post.deliver_all)]
        await self.operators.activate_all()
        self._let_loose()
        for event in self.tape.events:
            await asyncio.sleep(event.after)
            if event.what in ("quiet", "hours"):
                await self._be_quiet(event)
            else:
                self.people.perform(event)
            self.look_for_bugs()
        self._calm_down()
        await self._restored()
        await self._stabilise()
        self.checks.at_rest()
        await self._silence()
        self.note(self.checks.final_state())
        if self.life:
            await self.life.bury()

    async def _restored(self) -> None:
        """Whatever was put back is active again: whoever activates it has to look at its plan."""
        await self.operators.alive()
        for activating in self._keepers[2:]:
            await activating

    async def _be_quiet(self, event: Event) -> None:
        self._calm_down()
        if self._keepers[2:]:
            await self._restored()
        await self._stabilise()
        quiet = Quiet(self)
        await (quiet.pass_days(event) if event.what == "quiet" else quiet.pass_hours(event))
        self._let_loose()

    def _calm_down(self) -> None:
        self.is_chaos = False
        for site in self.sites.values():
            site.calm()

    def _let_loose(self) -> None:
        self.is_chaos = True
        for site in self.sites.values():
            site.storm()

    def own(self, task: asyncio.Task[Any] | None) -> asyncio.Task[Any]:
        """A task of the world's: no process dies with it."""
        assert task is not None
        self.own_tasks.add(task)
        return task

    async def _keep_alive(self) -> None:
        """What systemd does."""
        while True:
            self._lives += 1
            is_older = self.restores.put_back()
            self.note(f"START life {self._lives}")
            self.policies.begin()
            self.life = Life(self, self._lives)
            self.life.start()
            if is_older:
                self._keepers.append(self.own(asyncio.create_task(self.operators.activate_all())))
            await self.life.died.wait()
            life, self.life = self.life, None
            await life.bury()
            self.checks.bugs += life.bugs
            await asyncio.sleep(self.rng.choice([0.5, 3.0, 40.0]) * (0.5 + self.rng.random()) + self.outage)
            self.outage = 0.0

    def look_for_bugs(self) -> None:
        """Stop at whatever was found so far."""
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()
        if self.life:
            self.checks.bugs += self.life.bugs
            self.life.bugs.clear()
        self.checks.raise_bugs()

    def land_later(self, site: Site) -> None:
        """A slow request is executed when its time has come, whoever waits for it."""
        at = max(at for at, _ in site._faulty._late) - START
        self.loop.call_at(at + 0.001, site.land_late)

    # ---- rest ----------------------------------------------------------------------------------------

    async def _stabilise(self) -> None:
        """Faults are over: within bounded time everything agrees, or waits for a person with a reason."""
        still = 0
        for number in range(STABILISE_ROUNDS):
            await asyncio.sleep(self.tape.profile.changes_every + 65.0)
            self.look_for_bugs()
            await self.operators.operate()
            if number == 1:
                await self.operators.sweep_fully()
            # two quiet rounds: the one before may have looked just before an index caught up
            still = still + 1 if self._is_at_rest() else 0
            if still >= 2 and number >= 2:
                return
        raise FailedError(f"C3: not at rest after {STABILISE_ROUNDS} rounds: {self._unrest()}")

    def _unrest(self) -> list[str]:
        def look(tx: Any) -> list[str]:
            there = looks.everywhere(tx)
            found = [f"inbox {one.row.name}" for one in there if one.has_letters]
            found += [f"lane {one.row.name} has a one-off" for one in there if one.has_one_off or one.has_running]
            found += [f"intent {one.connection} {one.action} {one.error}" for one in intents.all_open(tx)]
            for row in (one.row for one in there):
                name = row.name
                if row.state != "active" or row.paused_until:
                    found.append(f"{name} is {row.state} {row.error}")
                due = _next_due(tx, name)
                if due is not None:
                    found.append(f"{name} has dirty rows, next at {due - START:.1f}")
            return found

        return self.db.read_now(look)

    def _is_at_rest(self) -> bool:
        return self.life is not None and not self._unrest()

    async def _silence(self) -> None:
        """C2: more sweeps write nothing anywhere."""
        before = self.checks.footprint()
        for number in range(self.tape.profile.silent_sweeps):
            await self.operators.sweep_fully(is_of_documents=number == 0)
            await asyncio.sleep(40.0)
        self.look_for_bugs()
        after = self.checks.footprint()
        if before != after:
            raise FailedError(f"C2: sweeps at rest wrote something: {before} -> {after}")


def _next_due(tx: Tx, name: str) -> float | None:
    """When something is due; a child may wait for its parent as long as a person lets the parent wait.

    So may a document for its customer, or for its customer's entity, a payment for its invoice, a copy for an answer
    about what its origin has no more, and a customer for what may be its object, or another one's. And a copy that an
    older database has forgotten, for its document, which may be deleted.
    """
    due: float | None = tx.execute(_WAITS, {"connection": name}).scalar_one()
    return due


def _config(tape: Tape) -> Any:
    config, profile = config_of(SYSTEMS), tape.profile
    config = with_branch(config) if profile.has_branch else config
    scopes = {
        name: msgspec.structs.replace(
            one,
            match_email=profile.match_email,
            flows=profile.flows.get(name, {}),
            when_archived="archive" if name in profile.archives else "leave",
        )
        for name, one in config.policy.connections.items()
    }
    rules = without_ranks() if profile.policy == "hold" else {}
    policy = msgspec.structs.replace(config.policy, connections=scopes, fields=rules)
    config = dataclasses.replace(config, policy=policy)
    return with_billing(config, profile.billing) if profile.billing else config
