"""Lanes: one runner per connection. After every piece of work, the most urgent one is looked for again.

inbox, one-offs, dirty mappings (in the provider's batches), sweep slices, first contact; documents get a share beside
customers, and sweeps beside both, so that a stream of changes does not starve them. Several batches are under way at
once, so that answer times do not keep a lane from using its limits; a complete sweep sees none of them half done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from core.errors import AccordError, AllRefusedError, ReauthorizeError, RetryError, StorageError, WrongAccountError
from core.store import connections, intents, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync import wanted
from core.sync.accounts import check_account, settle_strangers
from core.sync.apart import Reconcile, as_bug, one_by_one
from core.sync.batch import Report
from core.sync.blame import require_answers
from core.sync.documents.listing import OFFER, list_slice
from core.sync.documents.reconcile import reconcile_documents
from core.sync.failing import in_order_again, stop_or_pause
from core.sync.farewells import end_where_left, subject_of
from core.sync.first_contact import WALK_AT_ONCE, Walks
from core.sync.flights import Flights
from core.sync.hub import KIND, Connection, Hub
from core.sync.inbox import drain
from core.sync.metadata import prepared
from core.sync.meter import Rest
from core.sync.new_policy import NewPolicy
from core.sync.oneoffs import finish_one_off, start_one_off
from core.sync.reconcile import reconcile
from core.sync.resolve import outlive
from core.sync.sweep import Listed, sweep_slice
from core.sync.waiting import ROWS_AT_ONCE, Look, goes_beside, look_around

BATCHES_PER_SWEEP_SLICE = 10


class Worked(Enum):
    """What became of a look for work."""

    NOTHING = 0
    DONE = 1
    BEGUN = 2
    """A batch was begun, and goes on beside whatever comes next."""
    WAITS = 3
    """Whatever is next must not begin before the batches under way have ended."""


@dataclass(slots=True)
class LaneState:
    """What one lane remembers within this process; nothing that a restart may not forget."""

    is_checked: bool = False
    is_prepared: bool = False
    policy: NewPolicy | None = None
    """The way over all mappings that a new policy makes, while it lasts."""
    is_policy_new: bool = True
    listed: Listed = field(default_factory=Listed)
    listings: dict[str, Listed] = field(default_factory=dict)
    troubles: int = 0
    has_drained: bool = False
    batches: int = 0
    of_customers: int = 0
    """Batches of customers since the last one of documents."""
    flights: Flights = field(default_factory=Flights)
    since: float = 0.0
    """When the oldest work that is under way was begun, or earlier."""
    total: Report = field(default_factory=Report)
    """A counter: monitoring takes one that falls for a restart."""
    before: Report = field(default_factory=Report)
    """What `total` was, the run under way included, when the one-off that runs was begun."""
    rest: Rest | None = None
    """Which sweeps wait while little is left of what the provider allows, as was told; None before the first look."""


class Lanes:
    """Runs lanes of a hub. One instance per process."""

    def __init__(
        self,
        hub: Hub,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        rows_at_once: int = ROWS_AT_ONCE,
        walked_at_once: int = WALK_AT_ONCE,
    ) -> None:
        """Every lane starts by checking whose account its credentials open.

        `should_stop` is asked before every piece of work: a daemon that ends begins no new one. `rows_at_once`: how
        many records one batch has at most; `walked_at_once`: how many unmapped objects one transaction takes.
        """
        self._rows_at_once = rows_at_once
        self._walks = Walks(hub, rows_at_once=rows_at_once, walked_at_once=walked_at_once)
        self._hub = hub
        self._should_stop = should_stop
        self._states: dict[str, LaneState] = {name: LaneState() for name in hub.connections}

    async def run(self, name: str) -> None:
        """Work until nothing is due or the budget is spent; then let the others have a turn."""
        hub = self._hub
        connection = hub.connection(name)
        started = hub.clock.now()
        report = Report()
        try:
            while not self._should_stop() and await self.step(connection, report):
                if hub.clock.now() - started >= hub.timing.lane_budget:
                    hub.wake(name)
                    break
            await self._land(connection, self._states[name], every=True)
        finally:
            if await self._states[name].flights.cut_off():
                # what they sent may have left a moment ago, and land late: it is waited for as after a restart
                self._states[name].is_checked = False
            await self._record_calls(connection)
            self._states[name].total.add(report)
            self._log(name, report, hub.clock.now() - started)
            await self._tell_rest(connection)

    async def _record_calls(self, connection: Connection) -> None:
        """Kept with the registry: what a provider allows per month outlives any process."""
        if not connection.meter.is_due(self._hub.clock.now()):
            return

        def record(tx: Tx) -> None:
            now, meter = self._hub.clock.now(), connection.meter
            meter.record(tx, connection.name, now)
            full_calls = connection.full_calls(connections.get(tx, connection.name).listed)
            meter.set_pace(tx, connection.name, self._hub.timing.pace, full_calls, now)

        await self._hub.db.run(record)

    def begin_anew(self) -> None:
        """Another process may have worked on the database meanwhile: its writes are waited for as after a restart."""
        for state in self._states.values():
            state.is_checked = False
            state.listings.clear()  # of what it listed nothing is known here

    def totals(self) -> Mapping[str, Report]:
        """What each lane did since this process began."""
        return {name: state.total for name, state in self._states.items()}

    def _log(self, name: str, report: Report, seconds: float) -> None:
        numbers = report.numbers()
        if numbers:
            self._hub.log.info("lane.done", connection=name, seconds=round(seconds, 3), **numbers)

    async def _tell_rest(self, connection: Connection) -> None:
        """Kept with the registry: whoever asks how a connection stands is another process."""
        name, state = connection.name, self._states[connection.name]
        if state.rest is None:
            state.rest = await self._hub.db.read(lambda tx: _rest_of(connections.get(tx, name)))
        told, rest = state.rest, connection.meter.rest(self._hub.clock.now())
        if rest.is_like(told):
            return
        until = rest.until or None
        await self._hub.db.run(lambda tx: connections.change(tx, name, rests=rest.sweeps, rests_until=until))
        state.rest = rest
        if rest.sweeps != told.sweeps:
            words = {"sweeps": rest.sweeps, "until": until} if rest.sweeps else {}
            self._hub.log.info("sweeps.rest" if rest.sweeps else "sweeps.go_on", connection=name, **words)

    async def step(self, connection: Connection, report: Report) -> bool:
        """Do, or begin, the most urgent piece of work; False when nothing may be done now."""
        hub = self._hub
        state = self._states[connection.name]
        state.since = state.since if state.flights else hub.clock.now()
        starved = state.batches >= BATCHES_PER_SWEEP_SLICE
        busy = state.flights.subjects
        look = await hub.db.read(lambda tx: look_around(tx, hub, connection, self._rows_at_once, busy))
        if look.row.state == "reauthorize":
            # what comes there may tell of another connection's account, and would heap up until a person acts
            return look.has_letters and await drain(hub, connection, report)
        if (look.row.paused_until or 0.0) > hub.clock.now():
            return False
        try:
            worked = await self._most_urgent(connection, look, state, report, starved=starved)
        except AccordError as error:
            await self._troubled(connection, state, error)
            return False
        except Exception as error:
            hub.log.exception("lane.bug", connection=connection.name)
            await self._troubled(connection, state, as_bug(error))
            return False
        if worked is Worked.BEGUN and len(state.flights) < connection.manifest.batches_at_once:
            return True
        if worked in (Worked.BEGUN, Worked.WAITS) and not await self._land(connection, state):
            return False
        if not state.has_drained and (state.troubles or look.row.error_code or look.row.paused_until):
            state.troubles = 0
            await hub.db.run(lambda tx: in_order_again(tx, connection.name))
        return worked is not Worked.NOTHING

    async def _most_urgent(
        self, connection: Connection, look: Look, state: LaneState, report: Report, *, starved: bool
    ) -> Worked:
        hub = self._hub
        if look.has_letters and not (state.has_drained and (look.dirty or look.papers)):
            state.has_drained = True
            return _worked(await drain(hub, connection, report))
        state.has_drained = False  # a stream of webhooks must not keep what they named from ever being looked at
        await self._check(connection, look, state)
        if state.is_policy_new or look.has_one_off:
            return await self._before_work(connection, state, report)
        if look.dirty and not (starved and (look.walk or look.sweep or look.listing)):
            is_papers_turn = look.papers and state.of_customers >= BATCHES_PER_SWEEP_SLICE
            begin = self._begin_papers if is_papers_turn else self._begin_customers
            return begin(connection, look, state, report)
        if look.walk == "offer" and not (starved and (look.sweep or look.listing)):
            # as urgent as what it leads to: a sweep of many pages would leave the lane without anything to create
            state.batches = state.batches + 1 if look.sweep or look.listing else 0
            await self._walks.go_on(connection, look.walk, report)
            return Worked.DONE
        if look.listing == OFFER and not (starved and look.sweep):
            state.batches = state.batches + 1 if look.sweep else 0
            await list_slice(hub, connection, look.listing, state.listings, report)
            return Worked.DONE
        if look.papers and not (starved and (look.walk or look.sweep or look.listing)):
            return self._begin_papers(connection, look, state, report)
        if state.flights and not goes_beside(look):
            return Worked.WAITS
        state.batches = 0
        return await self._less_urgent(connection, look, state, report)

    async def _before_work(self, connection: Connection, state: LaneState, report: Report) -> Worked:
        """Take up a policy that is new, then what an operator asked for."""
        if state.is_policy_new:
            state.policy = state.policy or NewPolicy(self._hub, connection)
            state.is_policy_new = await state.policy.go_on()
            return Worked.DONE
        state.before = state.total.plus(report)  # what it will be told to have done counts from here
        return _worked(await start_one_off(self._hub, connection))

    def _begin_customers(self, connection: Connection, look: Look, state: LaneState, report: Report) -> Worked:
        state.batches += 1
        state.of_customers += 1
        batch = self._fly(connection, partial(reconcile, claimed=look.claimed), look.dirty, report)
        state.flights.start(batch, look.claimed)
        return Worked.BEGUN

    def _begin_papers(self, connection: Connection, look: Look, state: LaneState, report: Report) -> Worked:
        state.batches += 1
        state.of_customers = 0
        reconcile_ = partial(reconcile_documents, claimed=look.claimed_papers)
        batch = self._fly(connection, reconcile_, look.papers, report)
        size = -(-len(look.papers) // self._rows_at_once)
        state.flights.start(batch, look.claimed_papers, size=size)
        return Worked.BEGUN

    async def _less_urgent(self, connection: Connection, look: Look, state: LaneState, report: Report) -> Worked:
        hub = self._hub
        if look.sweep:
            with connection.meter.sweeping():
                await sweep_slice(hub, connection, look.sweep, state.listed, report)
            return Worked.DONE
        if look.walk:
            await self._walks.go_on(connection, look.walk, report)
            return Worked.DONE
        if look.listing:
            with connection.meter.sweeping():
                await list_slice(hub, connection, look.listing, state.listings, report)
            return Worked.DONE
        done = state.total.plus(report).since(state.before)
        return _worked(look.has_running and await finish_one_off(hub, connection, done))

    async def _fly(
        self, connection: Connection, reconcile_: Reconcile, rows: Sequence[DirtyRow], report: Report
    ) -> AccordError | None:
        """One batch beside others; returns what is the matter with the connection as a whole."""
        try:
            await one_by_one(self._hub, connection, reconcile_, rows, report)
        except AccordError as error:
            if isinstance(error, StorageError):
                # what was answered, or not, could not be kept: it is waited for as after a restart
                self._states[connection.name].is_checked = False
            return error
        except Exception as error:
            self._hub.log.exception("lane.bug", connection=connection.name)
            return as_bug(error)
        return None

    async def _land(self, connection: Connection, state: LaneState, *, every: bool = False) -> bool:
        """Wait for the next batch under way to end; False after trouble, which is one trouble, however many met it."""
        troubles = await state.flights.landed(every=every)
        if not troubles:
            return True
        troubles += await state.flights.landed(every=True)
        await self._troubled(connection, state, max(troubles, key=_gravity))
        return False

    async def _check(self, connection: Connection, look: Look, state: LaneState) -> None:
        """Once per process: whose account it is, which writes are in doubt, what happened meanwhile, may we write.

        Once more after a batch was cut off, or could not keep what it learned. Where every read was refused, each time
        whether they are answered by now.
        """
        row = look.row
        if not state.is_checked:
            await check_account(self._hub, connection, row)
            await self._hub.db.run(lambda tx: self._catch_up(tx, connection))
            state.is_checked = True
        if row.state == "active" and not state.is_prepared:
            await prepared(self._hub, connection)
            state.is_prepared = True
        if row.error_code == AllRefusedError.code:
            await require_answers(self._hub, connection, {one.kind for one in (*look.dirty, *look.papers)})

    def _catch_up(self, tx: Tx, connection: Connection) -> None:
        # webhooks of the time when nobody listened may never come again: ask the change feed at once
        connections.touch_cursor(tx, connection.name, KIND, "changes")
        settle_strangers(tx, connections.get(tx, connection.name).account_id or "")
        outlive(tx, self._hub, connection)
        wanted.look_again(tx, connection)
        end_where_left(tx, self._hub, connection)
        kinds = {subject_of(one): one.kind for one in intents.all_open(tx, connection.name)}
        waiting = work.waiting(tx, connection.name, kinds)
        now = self._hub.clock.now()
        for kind in sorted({*kinds.values()}):
            orphans = [one for one, of in kinds.items() if of == kind and one not in waiting]
            work.mark(tx, connection.name, orphans, reason="a write in doubt", trace="", now=now, kind=kind)

    async def _troubled(self, connection: Connection, state: LaneState, error: AccordError) -> None:
        troubles, state.troubles = state.troubles, state.troubles + 1
        # what a connector made at the provider may have been taken away there: it is made again
        state.is_prepared = state.is_prepared and not isinstance(error, AllRefusedError)
        name, since = connection.name, state.since
        await self._hub.db.run(lambda tx: stop_or_pause(tx, self._hub, name, error, troubles, since))


def _rest_of(row: ConnectionRow) -> Rest:
    return Rest(row.rests, row.rests_until or 0.0)


def _worked(is_done: bool) -> Worked:  # noqa: FBT001 - the answer of a piece of work
    return Worked.DONE if is_done else Worked.NOTHING


def _gravity(error: AccordError) -> tuple[bool, float]:
    """Where a person must act, waiting helps nobody; else the longest wait is long enough for all."""
    told = error.retry_after if isinstance(error, RetryError) else None
    return isinstance(error, ReauthorizeError | WrongAccountError), told or 0.0
