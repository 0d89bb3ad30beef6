"""A world: three look-alikes with people and weather, and an Accord that lives, dies and starts again."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from random import Random
from typing import Any

import msgspec
import sqlalchemy as sa

from connectors.hubspot.sandbox import HubSpotLookAlike, HubSpotSettings
from connectors.quickbooks.client import exchange_code
from connectors.quickbooks.sandbox import QuickBooksLookAlike, QuickBooksSettings
from connectors.stripe.sandbox import StripeLookAlike, StripeSettings
from core.errors import AccordError, InvalidInputError, SignatureError, StorageError, TakenError
from core.model import holds as reasons
from core.model.documents import KINDS
from core.model.policy import DEFAULT_RULES, METADATA_RULE, Rule
from core.ports import Shell
from core.sandbox.lookalike import LookAlike, Outgoing
from core.store import connections, customers, failures, holds, intents, looks
from core.store.database import Database, Tx
from core.store.tables import DIRTY, INBOX
from core.sync import answers, registry
from core.sync.activation import activate
from core.sync.hub import Hub, Timing
from core.sync.oneoffs import ask
from core.sync.plan import plan
from tests.simulation.auditing import Audit
from tests.simulation.checks import Checks, FailedError
from tests.simulation.clerks import Clerks
from tests.simulation.life import Crash, Life
from tests.simulation.quick import QuickDatabase
from tests.simulation.reference import Edit
from tests.simulation.routes import with_billing
from tests.simulation.site import Site
from tests.simulation.tape import REGISTRY, SYSTEMS, Event, Tape
from tests.simulation.virtual import START, VirtualClock, VirtualLoop, run_virtual
from tests.support.world import SECRETS, PlainVault, config_of, here

TRACE_KEPT = 400
HOOK = "https://accord.test/hooks/"
STABILISE_ROUNDS = 30
MOST_REPLAYED = 8
STILL_SIGNED = 200.0
"""Seconds after which a delivery as it was signed then is refused."""

_DELIVERED = sa.select(INBOX.c.id).where(
    INBOX.c.connection == sa.bindparam("connection"), INBOX.c.dedupe_key == sa.bindparam("key")
)
_WAITS = sa.select(sa.func.min(DIRTY.c.not_before)).where(
    DIRTY.c.connection == sa.bindparam("connection"),
    DIRTY.c.parked.is_(None),
    *(DIRTY.c.reason.not_like(f"its {whom} %") for whom in ("parent", "customer", "invoice")),
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

    def __init__(self, tape: Tape, loop: VirtualLoop, database: Database) -> None:
        """Nothing runs yet."""
        self.tape, self.loop = tape, loop
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
        self.archived: dict[str, float] = {}
        self.last_target: tuple[str, str] | None = None
        self.checks = Checks(self)
        profile = tape.profile
        self.clerks = Clerks(self, profile.billing.route if profile.billing else "")
        self.audit = Audit(self, profile.billing) if profile.billing else None
        self.timing = Timing(
            changes_every=profile.changes_every, full_every=86400, first_back_off=1, longest_back_off=120
        )
        self.config, self.db = _config(tape), database
        self.vaults = {name: PlainVault(dict(SECRETS[name])) for name in SYSTEMS}
        hooks = {name: HOOK + name if profile.webhooks else None for name in SYSTEMS}
        made = self._look_alikes(hooks)
        self.sites = {
            name: Site(self, name, one, Random(f"weather {tape.seed} {name}"))
            for name, one in made.items()
            if name in SYSTEMS
        }
        self.life: Life | None = None
        self._lives = 0
        self._outage = 0.0
        self._keepers: list[asyncio.Task[Any]] = []

    def _look_alikes(self, hooks: Mapping[str, str | None]) -> dict[str, LookAlike]:
        seed = self.tape.seed
        return {
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
        self._own(asyncio.current_task())
        if self.tape.profile.is_calm_start:
            self._calm_down()
        for event in self.tape.people:
            self._perform(event)
        self._keepers = [self._own(asyncio.create_task(work())) for work in (self._keep_alive, self._post)]
        await self._activate_all()
        self._let_loose()
        for event in self.tape.events:
            await asyncio.sleep(event.after)
            self._perform(event)
            self._look_for_bugs()
        self._calm_down()
        await self._stabilise()
        self.checks.at_rest()
        await self._silence()
        self.note(self.checks.final_state())
        if self.life:
            await self.life.bury()

    def _calm_down(self) -> None:
        self.is_chaos = False
        for site in self.sites.values():
            site.calm()

    def _let_loose(self) -> None:
        self.is_chaos = True
        for site in self.sites.values():
            site.storm()

    def _own(self, task: asyncio.Task[Any] | None) -> asyncio.Task[Any]:
        assert task is not None
        self.own_tasks.add(task)
        return task

    async def _keep_alive(self) -> None:
        """What systemd does."""
        while True:
            self._lives += 1
            self.note(f"START life {self._lives}")
            self.life = Life(self, self._lives)
            self.life.start()
            await self.life.died.wait()
            life, self.life = self.life, None
            await life.bury()
            self.checks.bugs += life.bugs
            await asyncio.sleep(self.rng.choice([0.5, 3.0, 40.0]) * (0.5 + self.rng.random()) + self._outage)
            self._outage = 0.0

    def _look_for_bugs(self) -> None:
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()
        if self.life:
            self.checks.bugs += self.life.bugs
            self.life.bugs.clear()
        self.checks.raise_bugs()

    async def _post(self) -> None:
        """Webhooks, as the providers deliver them."""
        wait = 1.0
        while True:
            await asyncio.sleep(wait)
            sent = 0
            for name in SYSTEMS:
                site = self.sites[name]
                due = site.lookalike.due_webhooks(self.clock.now())
                if not due:
                    continue
                sendings = site.webhook_faults.deliveries(due)
                for dropped in sendings.dropped:
                    self.reached["webhook dropped"] += 1
                    site.lookalike.webhook_answered(dropped.id, 200, self.clock.now())
                for sending in sendings.send:
                    self.reached["webhook doubled"] += sending.is_double
                    late = sending.after_seconds + self.rng.random()
                    self._own(
                        asyncio.create_task(self._deliver(site, sending.outgoing, late, is_double=sending.is_double))
                    )
                sent += len(due)
            wait = 1.0 if sent else min(wait * 1.5, 16.0)

    async def _deliver(self, site: Site, outgoing: Outgoing, late: float, *, is_double: bool) -> None:
        sent = self.clock.now()
        await asyncio.sleep(late)
        status = await self._received(site, outgoing)
        self.note(f"webhook {site.name} {outgoing.id} -> {status}")
        if status == 200:
            self._acknowledged(site, outgoing)
            site.delivered.append((sent, outgoing))
        if not is_double:
            site.lookalike.webhook_answered(outgoing.id, status, self.clock.now())

    def replay(self, name: str, rng: Random) -> None:
        """A provider delivers again some of what was taken already, in any order."""
        site = self.sites[name]
        now = self.clock.now()
        fresh = [outgoing for sent, outgoing in site.delivered if now - sent < STILL_SIGNED]
        for outgoing in rng.sample(fresh, min(len(fresh), MOST_REPLAYED)):
            task = self._deliver(site, outgoing, rng.random() * 5, is_double=True)
            self._own(asyncio.get_running_loop().create_task(task))
            self.reached["webhook replayed"] += 1

    async def _received(self, site: Site, outgoing: Outgoing) -> int | None:
        life = self.life
        if life is None or life.is_dead:
            return None
        task = life.task(life.inbox.receive(life.hub.connections[site.name], outgoing.delivery))
        try:
            await asyncio.wait([task])
            task.result()
        except SignatureError:
            self.reached["webhook refused"] += 1
            return 401
        except StorageError:
            return 503
        except (Crash, asyncio.CancelledError):
            return None
        return 200

    def _acknowledged(self, site: Site, outgoing: Outgoing) -> None:
        self.reached["webhook taken"] += 1
        key = self.life.hub.connections[site.name].webhooks.dedupe_key(outgoing.delivery) if self.life else None
        here = {"connection": site.name, "key": key}
        found = self.db.read_now(lambda tx: tx.rows(_DELIVERED, here))
        if key is not None and not found:
            self.checks.fail(f"D1: {site.name} delivery {outgoing.id} was acknowledged and is not in the inbox")
        if site.name == "stripe":
            key = (json.loads(outgoing.delivery.body).get("request") or {}).get("idempotency_key")
            if key:
                site.answered_keys.add(key)

    def land_later(self, site: Site) -> None:
        """A slow request is executed when its time has come, whoever waits for it."""
        at = max(at for at, _ in site._faulty._late) - START
        self.loop.call_at(at + 0.001, site.land_late)

    # ---- operators -----------------------------------------------------------------------------------

    async def _in_life(self, work: Any) -> Any:
        """Do something inside the process; None when it died meanwhile."""
        wait = 1.0
        while self.life is None or self.life.is_dead:
            await asyncio.sleep(wait)
            wait = min(wait * 2, 600.0)
        task = self.life.task(work(self.life))
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), Crash):
            return None
        return task.result()

    async def _activate_all(self) -> None:
        order = list(SYSTEMS)
        self.rng.shuffle(order)
        for name in order:
            for attempt in range(400):
                if await self._in_life(lambda life, n=name: self._activate(life, n)):
                    break
                await asyncio.sleep(2.0 + attempt)
                self._look_for_bugs()
            else:
                raise FailedError(f"{name} could not be activated")
            await asyncio.sleep(self.rng.random() * self.rng.choice([1, 20, 100]))

    async def _activate(self, life: Life, name: str) -> bool:
        hub = life.hub
        row = await hub.db.read(lambda tx: connections.get(tx, name))
        if row.state == "reauthorize":
            await self._reconnect(name)
        if row.state == "active":
            return True  # it died between the commit and the answer
        if row.state != "observing" or row.swept_at is None:
            return False
        connection = hub.connections[name]
        try:
            seen = await plan(hub, connection)
            await activate(hub, connection, seen.digest, actor="operator")
        except (InvalidInputError, AccordError) as error:
            self.note(f"activate {name}: {error}")
            return False
        self.note(f"ACTIVATED {name} {seen.counts}")
        return True

    async def _reconnect(self, name: str) -> None:
        """A person consents again."""
        self.reached["reconnected"] += 1
        site = self.sites[name]
        if isinstance(site.lookalike, QuickBooksLookAlike):
            code = site.lookalike.tokens.consent("https://accord.test/back")
            shell = Shell(clock=self.clock, hop=here, exchange=site.lookalike.respond)
            config = self.config.connections[name]
            await exchange_code(config, self.vaults[name], shell, code, "https://accord.test/back")

        def again(tx: Any) -> None:
            state = "active" if connections.get(tx, name).activated_at else "observing"
            connections.change(tx, name, state=state, error="", error_code="", paused_until=None)

        self.db.run_now(again)
        self.note(f"RECONNECTED {name}")

    # ---- events --------------------------------------------------------------------------------------

    def _perform(self, event: Event) -> None:
        self.note(f"EVENT {event.what} {event.system} {event.pick} {event.changes}")
        if event.what.startswith("clerk "):
            self.clerks.perform(event)
        else:
            getattr(self, f"_on_{event.what}")(event)
        for site in self.sites.values():
            site.person_did()

    def _target(self, event: Event) -> str | None:
        if event.system == REGISTRY:
            found = self.db.read_now(lambda tx: sorted(one.external_id for one in self.checks.live_customers(tx)))
        else:
            found = sorted(self.sites[event.system].lookalike.neutral("customer"))
        return found[event.pick % len(found)] if found else None

    def _on_edit(self, event: Event) -> None:
        target = self._target(event)
        if target is not None:
            self._edit(event.system, target, event.changes)
            self.last_target = (event.system, target)

    def _on_edit_same(self, event: Event) -> None:
        """The customer of the edit before, in another place."""
        if self.last_target is None:
            return
        before = self.last_target
        if before[0] == event.system:
            self._edit(event.system, before[1], event.changes)
            return
        target = self.db.read_now(lambda tx: self.checks.counterpart(tx, *before, event.system))
        if target is not None:
            self.reached["concurrent edits"] += 1
            self._edit(event.system, target, event.changes)

    def _edit(self, system: str, target: str, changes: Mapping[str, Any]) -> None:
        if system == REGISTRY:
            self._edit_registry(target, changes)
            return
        lookalike = self.sites[system].lookalike
        before = dict(lookalike.neutral("customer").get(target, {}))
        if not before:
            return
        count = len(lookalike.mutations)
        try:
            lookalike.edit("customer", target, changes)
        except (TakenError, ValueError, KeyError) as refused:
            self.note(f"refused: {refused}")
            return
        after = lookalike.neutral("customer").get(target)
        if after is not None:  # a merged-away id leads to its survivor
            self._record(system, target, before, after, count)

    def _record(
        self, system: str, target: str, before: Mapping[str, Any], after: Mapping[str, Any], count: int
    ) -> None:
        for field in sorted({*before, *after}):
            if before.get(field) == after.get(field) or field in ("customer_type", "currency", "status", "parent"):
                continue
            self.put_at[system, target, field] = count
            odd, replaced = self.covered.get((system, target, field), (None, before.get(field)))
            if odd != before.get(field):
                replaced = before.get(field)
            now = self.clock.now()
            self.edits.append(Edit(len(self.edits), now, system, target, field, after.get(field), replaced, count))

    def _edit_registry(self, target: str, changes: Mapping[str, Any]) -> None:
        if self.life is None:
            return
        hub = self.life.hub
        before: dict[str, Any] = {}

        def put(tx: Any) -> dict[str, Any]:
            before.update(registry.get(tx, target).fields)
            return dict(registry.update(tx, hub, target, changes, actor="operator", trace="edit").fields)

        try:
            after = self.db.run_now(put)
        except AccordError as refused:
            self.note(f"refused: {refused}")
            return
        self._record(REGISTRY, target, before, after, 0)

    def _on_create(self, event: Event) -> None:
        if event.system == REGISTRY:
            self._create_in_registry(event.changes)
            return
        lookalike = self.sites[event.system].lookalike
        count = len(lookalike.mutations)
        try:
            made = lookalike.edit("customer", None, event.changes)
        except (TakenError, ValueError, KeyError) as refused:
            self.note(f"refused: {refused}")
            return
        self.checks.born.setdefault(event.system, set()).add(made)
        self._record(event.system, made, {}, lookalike.neutral("customer")[made], count)

    def _create_in_registry(self, changes: Mapping[str, Any]) -> None:
        if self.life is None:
            return
        hub, external = self.life.hub, f"hand-{len(self.edits)}"
        fields = {name: value for name, value in changes.items() if name != "external_id"}
        try:
            made = self.db.run_now(
                lambda tx: registry.create(tx, hub, external, fields, actor="operator", trace="create")
            )
        except AccordError as refused:
            self.note(f"refused: {refused}")
            return
        self._record(REGISTRY, external, {}, made.fields, 0)

    def _on_parent(self, event: Event) -> None:
        """Somebody puts one customer below another, or on top; only companies at HubSpot."""
        target, pick = self._target(event), event.changes["above"]
        if event.system == REGISTRY:
            there = self.db.read_now(lambda tx: sorted(one.external_id for one in self.checks.live_customers(tx)))
        else:
            there = sorted(self.sites[event.system].lookalike.neutral("customer"))
        if event.system == "hubspot":
            there = [one for one in there if one.startswith("company:")]
            target = there[event.pick % len(there)] if there else None
        if target is None:
            return
        above = there[pick % len(there)] if pick is not None else None
        self.reached[f"parent set at {event.system}"] += 1
        self._edit(event.system, target, {"parent": above})

    def _on_delete(self, event: Event) -> None:
        target = self._target(event)
        if target is None:
            return
        lookalike = self.sites[event.system].lookalike
        lookalike.delete("customer", target)
        self.reached[f"deleted at {event.system}"] += 1
        if event.system != "quickbooks":
            self.checks.deleted.setdefault(event.system, set()).add(target)

    def _on_unreadable(self, event: Event) -> None:
        """Somebody writes what the registry cannot take."""
        target = self._target(event)
        if target is None:
            return
        odd: dict[str, dict[str, Any]] = {
            "stripe": {"name": 7},
            "hubspot": {"country": "Atlantis"},
            "quickbooks": {"BillAddr": {"Line1": "1", "Line2": "2", "Line3": "3"}},
        }
        self.reached["unreadable value"] += 1
        lookalike = self.sites[event.system].lookalike
        before = dict(lookalike.neutral("customer")[target])
        lookalike.edit("customer", target, {"extra": odd[event.system]})
        after = lookalike.neutral("customer").get(target, {})
        # a field that nobody can read any more is not there at all
        for field in sorted({*before, *after}):
            if after.get(field) != before.get(field):
                self.covered[event.system, target, field] = (after.get(field), before.get(field))

    def _on_unfit(self, event: Event) -> None:
        """A value that not every system can hold."""
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        if target is not None:
            number = len(self.edits)
            choices: list[dict[str, Any]] = [
                {"phone": "+49 30 " + "1 " * 11 + str(number)}, {"name": f"Łódź {number}"}, {"name": f"A:B {number}"},
                {"metadata.plan": "x" * 501 + str(number)},
            ]  # fmt: skip
            self._edit_registry(target, choices[event.pick % len(choices)])

    def _on_rename_clash(self, event: Event) -> None:
        """A name that QuickBooks has already."""
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        names = sorted(str(one.get("name")) for one in self.sites["quickbooks"].lookalike.neutral("customer").values())
        if target is not None and names:
            self._edit_registry(target, {"name": names[event.pick % len(names)]})

    def _on_merge(self, _event: Event) -> None:
        hubspot = self.sites["hubspot"].lookalike
        contacts = [one for one in sorted(hubspot.neutral("customer")) if one.startswith("contact:")]
        if isinstance(hubspot, HubSpotLookAlike) and len(contacts) > 1:
            one, other = self.rng.sample(contacts, 2)
            merged = hubspot.merge("customer", one, other)
            self.checks.merged[one] = self.checks.merged[other] = merged
            self.reached["merged"] += 1

    def _on_archive(self, event: Event) -> None:
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        if target is None or self.life is None:
            return
        hub = self.life.hub
        self.db.run_now(lambda tx: registry.archive(tx, hub, target, actor="operator", trace="archive"))
        self.reached["archived"] += 1

    def _on_break_stripe(self, event: Event) -> None:
        one = self.sites["stripe"].lookalike
        assert isinstance(one, StripeLookAlike)
        one.break_writes(1, executed=event.pick % 2 == 0)

    def _on_fail_quickbooks(self, event: Event) -> None:
        one = self.sites["quickbooks"].lookalike
        assert isinstance(one, QuickBooksLookAlike)
        one.fail_next("fault_in_200" if event.pick % 2 else "throttled_item")

    def _on_crash(self, event: Event) -> None:
        if self.life is None:
            return
        try:
            self.life.crash("by kill")
        except Crash:
            del event

    def _on_outage(self, event: Event) -> None:
        """The machine is down for more than a day: keys are forgotten, feeds are old, tokens have ended."""
        self._outage = 95_000.0
        self.reached["outage"] += 1
        self._on_crash(event)

    def _on_sabotage(self, event: Event) -> None:
        """The canary's: a value is changed behind the engine's back, so that nobody is told to pass it on."""
        found = self.db.read_now(self.checks.live_customers)
        if found:
            one = found[event.pick % len(found)]
            after = registry.changed(one, {"phone": f"+4940{event.pick}"}, REGISTRY, self.clock.now())
            self.db.run_now(lambda tx: customers.replace(tx, after))

    # ---- rest ----------------------------------------------------------------------------------------

    async def _stabilise(self) -> None:
        """Faults are over: within bounded time everything agrees, or waits for a person with a reason."""
        still = 0
        for number in range(STABILISE_ROUNDS):
            await asyncio.sleep(self.tape.profile.changes_every + 65.0)
            self._look_for_bugs()
            await self._operate()
            if number == 1:
                await self._sweep_fully()
            # two quiet rounds: the one before may have looked just before an index caught up
            still = still + 1 if self._is_at_rest() else 0
            if still >= 2 and number >= 2:
                return
        raise FailedError(f"C3: not at rest after {STABILISE_ROUNDS} rounds: {self._unrest()}")

    async def _operate(self) -> None:
        """What a person does who looks at the console: approve, retry, reconnect."""
        states = {row.name: row.state for row in self.db.read_now(connections.every)}
        for name in SYSTEMS:
            if states[name] == "reauthorize":
                await self._reconnect(name)
        if self.life is not None:
            self.db.run_now(partial(self._answer, self.life.hub))

    def _answer(self, hub: Hub, tx: Tx) -> None:
        for hold in holds.listing(tx):
            if hold.reason in (reasons.MASS_CHANGE, reasons.LISTING_SHRANK):
                self.reached["approved"] += 1
                answers.answer(tx, hub, hold.id, "approve", actor="operator")
        for one in failures.listing(tx, state="dead"):
            self.reached["retried a dead one"] += 1
            answers.retry(tx, hub, one.connection, [one.subject])

    async def _sweep_fully(self, *, is_of_documents: bool = True) -> None:
        for name in SYSTEMS:
            await self._in_life(lambda life, n=name: ask(life.hub, n, {"what": "full"}))
            if self.audit is not None and is_of_documents:
                # HubSpot tells of no edit of an invoice: whoever wants to know now has to ask
                request: dict[str, object] = {"what": "documents", "kinds": list(KINDS)}
                await self._in_life(lambda life, n=name, r=request: ask(life.hub, n, r))

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
            await self._sweep_fully(is_of_documents=number == 0)
            await asyncio.sleep(40.0)
        self._look_for_bugs()
        after = self.checks.footprint()
        if before != after:
            raise FailedError(f"C2: sweeps at rest wrote something: {before} -> {after}")


def _next_due(tx: Tx, name: str) -> float | None:
    """When something is due; a child may wait for its parent as long as a person lets the parent wait.

    So may a document for its customer, and a payment for its invoice.
    """
    due: float | None = tx.execute(_WAITS, {"connection": name}).scalar_one()
    return due


def _config(tape: Tape) -> Any:
    config = config_of(SYSTEMS)
    profile = tape.profile
    scopes = {
        name: msgspec.structs.replace(one, match_email=profile.match_email, flows=profile.flows.get(name, {}))
        for name, one in config.policy.connections.items()
    }
    rules: dict[str, Rule] = {}
    if profile.policy == "hold":
        rules = {name: msgspec.structs.replace(rule, ranks=()) for name, rule in DEFAULT_RULES.items()}
        rules["metadata"] = msgspec.structs.replace(METADATA_RULE, ranks=())
    policy = msgspec.structs.replace(config.policy, connections=scopes, fields=rules)
    config = dataclasses.replace(config, policy=policy)
    return with_billing(config, profile.billing) if profile.billing else config
