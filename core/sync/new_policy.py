"""A policy that has changed is for everybody: whoever it decides otherwise about is marked dirty, and nobody else.

At the start of a lane every mapping is decided anew from what was last seen of it. Nothing is read for that but what
the policy before did not ask for, and nothing goes on before all of it has been judged together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from core.model.decide import Verdict
from core.model.holds import FIELD_REASONS
from core.model.merge import digest_of
from core.model.policy import Policy
from core.model.settings import Address
from core.model.values import METADATA_PREFIX, is_metadata
from core.store import connections, failures, holds, mappings, observations, work
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync import guard
from core.sync.apart import OF_A_RECORD
from core.sync.batch import as_of_now, observe
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.judge import judged_parked, stop_too_much
from core.sync.sweep import start_first_contact
from core.sync.verdicts import verdict_on

SLICE: Final = 200


class Rules(msgspec.Struct, frozen=True):
    """What decides values at a connection, as digests: of the rules, and of what is read of an object for them."""

    decides: str
    reads: str


def rules_of(connection: Connection, policy: Policy) -> Rules:
    """Those of today. Secrets, addresses, allowances and what concerns documents only do not belong to them."""
    name, scope, config = connection.name, connection.policy, connection.config
    keys = {*policy.fields, *scope.flows}
    fields = {*connection.projection.since, *filter(is_metadata, keys), f"{METADATA_PREFIX}*"}
    decides = digest_of(
        {field: policy.rule(name, field) for field in fields},
        {one.name: one.provider for one in policy.connections.values()},
        [scope.enters, scope.creates, scope.enters_filter, scope.creates_filter],
        [scope.match_email, scope.external_id_field, scope.accept_foreign_marks],
        {key: value for key, value in config.settings.items() if not _is_rhythm(connection, key)},
    )
    named = connection.projection.metadata_keys
    asked = [part.name for part in connection.parts.asked]
    reads = digest_of(sorted(named or ()), asked, connection.shows_overview)
    return Rules(decides, reads)


def _is_rhythm(connection: Connection, key: str) -> bool:
    """A setting that says where to call, or how often."""
    setting = connection.manifest.settings.get(key)
    is_allowance = any(one.setting == key for one in connection.manifest.allowances)
    return is_allowance or (setting is not None and isinstance(setting.form, Address))


def recorded(tx: Tx, name: str) -> Rules | None:
    """Those that are applied to everybody at a connection; None where nothing is known of that."""
    told = connections.meta(tx, _meta(name))
    return msgspec.json.decode(told, type=Rules) if told else None


def _meta(name: str) -> str:
    return f"policy of {name}"


class _Slice(NamedTuple):
    """Some mappings, and all that a decision about them needs."""

    current: Mapping[str, tuple[MappingRow, Verdict | None]]
    """By subject; no verdict: its object was not seen, so only its questions count."""
    held: Mapping[str, Sequence[Hold]]
    asked: Mapping[str, DirtyRow]
    """Those of whose change a person was told that it is too much at once."""


class NewPolicy:
    """The way over all mappings of one connection. A process that dies begins it anew: it costs no call."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        """Nothing looked at yet."""
        self._hub, self._connection = hub, connection
        self._today = rules_of(connection, hub.policy)
        self._after: str | None = None
        self._before: Rules | None = None
        self._trace = hub.ids.new()

    async def go_on(self) -> bool:
        """One slice; False when there is nothing left of it."""
        db, name = self._hub.db, self._connection.name
        if self._after is None:
            self._before = await db.read(lambda tx: recorded(tx, name))
            if self._before == self._today:
                # one that was changed and put back before all were looked at
                await db.run(lambda tx: work.release(tx, name, work.NEW_POLICY))
                return False
        after = self._after or ""
        rows = await db.read(lambda tx: mappings.page(tx, name, after, SLICE))
        if not rows:
            await self._end()
            return False
        unseen = await self._read(rows) if self._before and self._before.reads != self._today.reads else ()
        await db.run(lambda tx: self._mark(tx, rows, unseen))
        # only now: a slice that could not be read is read again
        self._after = rows[-1].id
        return True

    async def _read(self, rows: Sequence[MappingRow]) -> Collection[str]:
        """What was seen before lacks what is asked for now. Returns whom the lane must look at: they were not there."""
        there = [row.remote_id for row in rows if row.state == "live" and row.remote_id]
        now = self._hub.clock.now()
        try:
            seen = await observe(self._connection, there)
            fresh = [one.observation for one in seen.there.values()]
            await self._hub.db.run(lambda tx: observations.put(tx, self._connection.name, KIND, fresh, now))
        except OF_A_RECORD:
            # whose trouble it is, the lane finds out one by one: tried again here, it would keep it from all its work
            return there
        return {*seen.gone, *seen.trouble}

    def _mark(self, tx: Tx, rows: Sequence[MappingRow], unseen: Collection[str]) -> None:
        name, now = self._connection.name, self._hub.clock.now()
        some = _slice(tx, self._hub, self._connection, rows)
        moot = [row for subject, row in some.asked.items() if not row.noticed and _is_settled(some, subject)]
        work.clear(tx, name, moot)
        wanted = {one for one in some.current if _is_concerned(some, one)} - {row.subject for row in moot}
        # what a person approved is on its way
        wanted -= {one for one, row in work.of_subjects(tx, name, wanted).items() if row.reason == work.APPROVED}
        to_read = {one for one, (row, _) in some.current.items() if row.remote_id in unseen}
        to_read |= failures.known(tx, name, wanted).keys()
        for noticed, subjects in ((True, to_read), (False, wanted - to_read)):
            work.mark(tx, name, subjects, reason=work.NEW_POLICY, trace=self._trace, now=now, noticed=noticed)
        # one that waits for something else waits for the judgement too
        work.keep(tx, name, list(work.of_subjects(tx, name, wanted | to_read).values()), work.NEW_POLICY)

    async def _end(self) -> None:
        """All are looked at: stop what is too much at once, let the others go, and remember whose rules these are."""
        hub, connection, name = self._hub, self._connection, self._connection.name
        is_active = (await hub.db.read(lambda tx: connections.get(tx, name))).state == "active"
        # an observing connection's plan is seen before it is activated
        risky, found = await judged_parked(hub, connection, work.NEW_POLICY) if is_active else ({}, guard.Spent())

        def end(tx: Tx) -> None:
            stop_too_much(tx, hub, connection, risky, found)
            work.release(tx, name, work.NEW_POLICY)
            row = connections.get(tx, name)
            if self._before and row.state == "active" and row.swept_at is not None:
                start_first_contact(tx, connection, self._trace)
            connections.put_meta(tx, _meta(name), msgspec.json.encode(self._today).decode())
            guard.end_if_moot(tx, hub, connection)
            tx.after_commit(lambda: hub.wake(name))

        await hub.db.run(end)


def _slice(tx: Tx, hub: Hub, connection: Connection, rows: Sequence[MappingRow]) -> _Slice:
    """Decide some mappings by what was last seen of their objects."""
    owned = as_of_now(tx, [row for row in rows if row.state in ("live", "pending")])
    ids = [row.remote_id for row, _ in owned.values() if row.remote_id]
    seen = observations.by_ids(tx, connection.name, KIND, ids)
    family = Family(tx, connection, [one for _, one in owned.values()], [one.remote for one in seen.values()])
    subjects = [work.mapping_subject(name) for name in owned]
    held = holds.of_subjects(tx, connection.name, subjects)
    current: dict[str, tuple[MappingRow, Verdict | None]] = {}
    for name, (row, customer) in owned.items():
        subject, one = work.mapping_subject(name), _there(row, seen)
        kin = family.kin(customer, one.remote) if one else None
        verdict = verdict_on(hub, connection, customer, row, kin, held.get(subject, ())) if kin else None
        current[subject] = (row, verdict)
    return _Slice(current, held, work.asked(tx, connection.name, subjects, guard.PARKED))


def _there(row: MappingRow, seen: Mapping[str, Observation]) -> Observation | None:
    one = seen.get(row.remote_id or "") if row.state == "live" else None
    return one if one and one.state == "live" else None


def _is_concerned(some: _Slice, subject: str) -> bool:
    row, verdict = some.current[subject]
    held, asked = some.held.get(subject, ()), some.asked.get(subject)
    if row.state == "pending":
        return any(one.state == "open" for one in held) or asked is not None
    if verdict is None or (asked is not None and asked.shown == verdict.digest):
        return False  # what it waits for, or was turned down, is the same as before
    return asked is not None or not _is_settled(some, subject)


def _is_settled(some: _Slice, subject: str) -> bool:
    """Nothing is to be written, taken, agreed on or asked, and nothing asked is moot."""
    _, verdict = some.current[subject]
    if verdict is None or not verdict.is_quiet or verdict.base:
        return False
    drafts = {(one.field, one.reason, one.digest) for one in verdict.holds}
    return drafts == {
        (one.field, one.reason, one.digest)
        for one in some.held.get(subject, ())
        if one.state == "open" and one.reason in FIELD_REASONS
    }
