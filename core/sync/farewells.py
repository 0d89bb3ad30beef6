"""Objects of customers who were archived in the registry: archived too, where policy says so.

The mapping has ended with its customer and is never written again. What is left to do stands in one dirty row,
`f:<mapping>`, which goes once the object is archived, or a person was asked. An object is read before it is written:
whoever changed it meanwhile does not lose that unasked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from core.errors import AccordError, AmbiguousError, RejectedError, ReplyError
from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.ports import Missing, Sighting, Write
from core.store import connections, customers, documents, intents, journal, leaving, mappings, observations, work
from core.store import holds as hold_rows
from core.store.connections import ConnectionRow
from core.store.customers import Customer
from core.store.database import Tx
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync import guard
from core.sync.batch import Found, Report, Seen, observe, understand
from core.sync.failing import back_off, concerns_all, dealt_with, record_trouble
from core.sync.hub import KIND, Connection, Hub
from core.sync.send import NOT_EXECUTED, doubt, not_executed
from core.sync.taken import look_again_after
from core.sync.unseen import unseen

LEAVE: Final = "leave"
NOT_ACTIVE: Final = "nothing is written to this connection before it is activated"
CHANGED: Final = "it was changed there since, and nobody has seen that: retry archives it as it is"
SHOWN: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Farewell:
    """One object that is to be archived. `intent`: a write of that kind whose outcome is not known."""

    row: DirtyRow
    mapping: MappingRow
    intent: Intent | None = None

    @property
    def remote_id(self) -> str:
        """The object."""
        return self.mapping.remote_id or ""

    @property
    def digest(self) -> str:
        """Names what is done: a person who approved it has approved no other."""
        return digest_of(intents.ARCHIVE, self.remote_id)


def subject_of(intent: Intent) -> str:
    """What waits for the outcome of a write."""
    is_farewell = intent.action == intents.ARCHIVE
    return work.farewell_subject(intent.mapping_id) if is_farewell else work.mapping_subject(intent.mapping_id)


def look_again(tx: Tx, hub: Hub, connection: Connection, remote_ids: Collection[str]) -> None:
    """Something was seen of these objects, or somebody has them now: what is asked about one may be moot."""
    subjects = hold_rows.about_farewells(tx, connection.name, remote_ids) if connection.manifest.archives else []
    if subjects:
        work.mark(tx, connection.name, subjects, reason="seen again", trace="", now=hub.clock.now())


def end_where_left(tx: Tx, hub: Hub, connection: Connection) -> None:
    """Policy may be another one since the last start: where objects are left alone, nobody is asked about one."""
    if connection.policy.when_archived == "archive":
        return
    asked = hold_rows.listing(tx, connection=connection.name, reason=holds.NOT_ARCHIVED)
    subjects = [one.subject for one in asked]
    work.mark(tx, connection.name, subjects, reason="the policy changed", trace="", now=hub.clock.now(), noticed=False)


async def bid_farewell(hub: Hub, connection: Connection, rows: Sequence[DirtyRow], report: Report) -> None:
    """Bring each of these as far as it goes now. Raises what concerns the connection as a whole."""
    some = await hub.db.run(lambda tx: _sorted(tx, hub, connection, rows, report))
    if not some:
        return
    seen = await observe(connection, [one.remote_id for one in some])
    outgoing = await hub.db.run(lambda tx: _Decision(tx, hub, connection, seen, report).decided(some))
    for number, (row, intent) in enumerate(outgoing, 1):
        receipt = await _sent(connection, intent)
        await hub.db.run(
            lambda tx, row=row, intent=intent, receipt=receipt: _commit(  # type: ignore[misc]
                tx, hub, connection, row, intent, receipt, report
            )
        )
        if isinstance(receipt, AccordError) and concerns_all(receipt):
            # left open, what was never sent would be in doubt
            unsent = {behind.id: "void" for _, behind in outgoing[number:]}
            await hub.db.run(lambda tx, unsent=unsent: intents.close(tx, unsent, hub.clock.now()))  # type: ignore[misc]
            raise receipt


async def _sent(connection: Connection, intent: Intent) -> Sighting | Missing | AccordError:
    write = Write(key=intent.key, action=intent.action, kind=intent.kind, remote_id=intent.remote_id, body=intent.body)
    try:
        return await connection.connector.archive(write)
    except ReplyError as error:  # the write behind a garbled answer may well have happened
        return AmbiguousError(str(error))
    except AccordError as error:
        return error


# ---- what each of them is by now -------------------------------------------------------------------


def _sorted(tx: Tx, hub: Hub, connection: Connection, rows: Sequence[DirtyRow], report: Report) -> list[Farewell]:
    """Those to read now. The others have nothing to do any more, or wait for the outcome of a write."""
    ids = [row.subject.removeprefix(work.FAREWELL) for row in rows]
    known, open_ = mappings.by_ids(tx, ids), intents.open_of(tx, ids)
    taken = mappings.by_remote_ids(
        tx, connection.name, KIND, [one.remote_id for one in known.values() if one.remote_id]
    )
    found: list[Farewell] = []
    for row, name in zip(rows, ids, strict=True):
        mapping, intent = known.get(name), open_.get(name)
        until = _not_before(hub, connection, intent) if intent else 0.0
        if until > hub.clock.now():
            work.postpone(tx, connection.name, {row.subject: until}, is_attempt=False)
            report.waiting += 1
        elif mapping is None or (intent is None and not is_to_go(connection, mapping, taken)):
            _leave(tx, hub, connection, row)
        else:
            found.append(Farewell(row, mapping, intent))
    # a company's contact goes before it
    return sorted(found, key=lambda one: not one.mapping.part)


def _not_before(hub: Hub, connection: Connection, intent: Intent) -> float:
    """When the outcome of a write can be told; of another one than ours, its own subject finds it out."""
    if intent.action != intents.ARCHIVE:
        return hub.clock.now() + hub.timing.first_back_off
    manifest = connection.manifest
    settles = 0.0 if manifest.is_conditional else manifest.settle_seconds * hub.timing.patience
    return intent.resolve_after if intent.resolve_after is not None else intent.sent_at + settles


def is_to_go(connection: Connection, mapping: MappingRow, taken: Mapping[str, MappingRow]) -> bool:
    """Not where policy has changed, where there is no object, or where a person has given it to somebody."""
    is_wanted = connection.policy.when_archived == "archive" and mapping.state == mappings.ENDED
    return is_wanted and mapping.remote_id is not None and mapping.remote_id not in taken


# ---- the deciding transaction ----------------------------------------------------------------------


class _Decision:
    """One batch, in one transaction."""

    def __init__(self, tx: Tx, hub: Hub, connection: Connection, seen: Seen, report: Report) -> None:
        self._tx = tx
        self._hub = hub
        self._connection = connection
        self._seen = seen
        self._report = report
        self._state: ConnectionRow = connections.get(tx, connection.name)
        self._taken: Mapping[str, MappingRow] = {}
        self._below: Mapping[str, Sequence[str]] = {}
        self._unsettled: Mapping[str, int] = {}
        self._owners: Mapping[str, Customer] = {}

    def decided(self, some: Sequence[Farewell]) -> list[tuple[DirtyRow, Intent]]:
        """The intents to send; everything else is committed with them."""
        mappings.lock(self._tx, [one.mapping.id for one in some])
        # whoever was erased during the read has no row any more
        waiting = work.of_subjects(self._tx, self._connection.name, [one.row.subject for one in some])
        some = [one for one in some if one.row.subject in waiting]
        self._taken = mappings.by_remote_ids(self._tx, self._connection.name, KIND, [one.remote_id for one in some])
        self._below = self._children([one.remote_id for one in some])
        owners = [one.mapping.record_id for one in some]
        self._owners = customers.by_ids(self._tx, owners)
        self._unsettled = documents.unsettled(self._tx, self._connection.name, owners)
        bodies = [(one, self._body(one)) for one in some]
        wanted = {one: body for one, body in bodies if body is not None}
        stopped = self._stopped(list(wanted))
        outgoing = [(one.row, self._intent(one, body)) for one, body in wanted.items() if one not in stopped]
        intents.insert(self._tx, [intent for _, intent in outgoing])
        return outgoing

    def _body(self, one: Farewell) -> Mapping[str, Any] | None:
        """What archives it; None where it is not written now."""
        tx, hub, connection = self._tx, self._hub, self._connection
        if one.remote_id in self._seen.trouble:
            record_trouble(tx, hub, connection, {one.row: self._seen.trouble[one.remote_id]})
            self._report.failed += 1
            return None
        found = self._seen.there.get(one.remote_id)
        try:
            body = connection.connector.farewell(found.raw) if found else None
            refused = None
        except RejectedError as error:
            body, refused = {}, error
        if found is None or body is None:
            _archived(tx, hub, connection, one, found)
            return None
        if one.intent:  # it never landed, and cannot any more: decided again from what is there
            intents.close(tx, {one.intent.id: "void"}, hub.clock.now())
        if one.remote_id in self._taken:
            _leave(tx, hub, connection, one.row)
            return None
        return body if self._may_go(one, found, refused) else None

    def _may_go(self, one: Farewell, found: Found, refused: RejectedError | None) -> bool:
        """Nothing speaks against it, or a person has seen what does. Asks, or waits, where it may not."""
        held = hold_rows.of_subjects(self._tx, self._connection.name, [one.row.subject]).get(one.row.subject, ())
        answer = hold_rows.answers(held).get("")
        if answer and answer.choice == LEAVE:
            _leave(self._tx, self._hub, self._connection, one.row)
            return False
        children = self._below.get(one.remote_id, [])
        if children and self._waits_for(one, children):
            return False
        draft = self._obstacle(one, refused, children)
        if draft is None:
            fields = self._owners[one.mapping.record_id].fields
            changed = unseen(self._hub, self._connection, one.mapping, fields, found.observation.remote)
            draft = _draft(one, {"problem": CHANGED, "changed": changed}) if changed else None
            if draft is None or (answer and answer.digest == draft.digest):
                return True
        _ask(self._tx, self._hub, self._connection, one, draft)
        self._report.held += 1
        return False

    def _obstacle(self, one: Farewell, refused: RejectedError | None, children: Sequence[str]) -> HoldDraft | None:
        """What no answer passes over: it must be out of the way."""
        if self._state.state != "active":
            return _draft(one, {"problem": NOT_ACTIVE, "cure": "activate it, then retry"})
        if refused is not None:
            return _refusal(one, refused)
        if unsettled := self._unsettled.get(one.mapping.record_id):
            told = {
                "problem": "documents of its customer are open there, or on their way there",
                "documents": unsettled,
            }
            return _draft(one, {**told, "cure": "settle them, then retry"})
        if children:
            told = {"problem": "there are objects below it", "below": children[:SHOWN]}
            return _draft(one, {**told, "cure": "hang them elsewhere, or archive them there, then retry"})
        return None

    def _waits_for(self, one: Farewell, children: Sequence[str]) -> bool:
        """What hangs below it goes first, where it goes."""
        if not leaving.subjects(self._tx, self._connection.name, children):
            return False
        # they may wait for a person: each look at this one is a read. The last of them says when it is gone
        until = self._hub.clock.now() + back_off(self._hub.timing, one.row.attempts)
        work.postpone(self._tx, self._connection.name, {one.row.subject: until})
        self._report.waiting += 1
        return True

    def _children(self, remote_ids: Sequence[str]) -> dict[str, list[str]]:
        """What hangs below each object, as far as it was seen, without what is inactive."""
        below = observations.below(self._tx, self._connection.name, KIND, remote_ids)
        ids = [child for some in below.values() for child in some]
        seen = observations.by_ids(self._tx, self._connection.name, KIND, ids)
        active = {name for name, one in seen.items() if one.remote.fields.get("status") != "inactive"}
        return {parent: [one for one in some if one in active] for parent, some in below.items()}

    def _stopped(self, some: Sequence[Farewell]) -> set[Farewell]:
        """Those that wait for a person, because it is too much at once; what was approved passes."""
        tx, connection = self._tx, self._connection
        unseen = [one for one in some if not guard.is_approved(one.row, one.digest)]
        if not unseen:
            return set()
        so_far = guard.spent(tx, self._hub, self._state)
        so_far.archives += self._more()
        total = mappings.count(tx, connection.name, "live", "pending", part="") + so_far.archives
        why = guard.too_much(self._hub.policy.guard, so_far, total)
        asked = [one for one in unseen if one.row.shown == one.digest]
        stopped = unseen if why else asked
        if stopped:
            shown = {one.row.subject: one.digest for one in stopped}
            guard.stop(tx, self._hub, connection, shown, why or "it was asked about before, and is not answered")
        return set(stopped)

    def _more(self) -> int:
        """How many wait that are not counted as under way: all of them at once, however few a batch takes."""
        under_way = sum(
            one.action == intents.ARCHIVE and not one.trace.startswith(work.APPROVED_TRACE)
            for one in intents.all_open(self._tx, self._connection.name)
        )
        return max(0, leaving.count(self._tx, self._connection.name, is_seen=False) - under_way)

    def _intent(self, one: Farewell, body: Mapping[str, Any]) -> Intent:
        return Intent(
            id=self._hub.ids.new(),
            connection=self._connection.name,
            mapping_id=one.mapping.id,
            action=intents.ARCHIVE,
            key=self._hub.ids.new(),
            body=dict(body),
            wanted={},
            before={},
            remote_id=one.remote_id,
            sent_at=self._hub.clock.now(),
            trace=one.row.trace,
        )


# ---- what became of it -----------------------------------------------------------------------------


def _commit(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    row: DirtyRow,
    intent: Intent,
    receipt: Sighting | Missing | AccordError,
    report: Report,
) -> None:
    """One answer: intent, observation, journal and dirty mark in one transaction."""
    mapping = mappings.by_ids(tx, [intent.mapping_id])[intent.mapping_id]
    one = Farewell(row, mapping, intent)
    if isinstance(receipt, NOT_EXECUTED):
        not_executed(tx, hub, connection, row, intent, receipt)
        report.waiting += 1
    elif isinstance(receipt, RejectedError):
        intents.close(tx, {intent.id: "refused"}, hub.clock.now())
        _ask(tx, hub, connection, one, _refusal(one, receipt))
        report.held += 1
    elif isinstance(receipt, AccordError):
        doubt(tx, hub, connection, row, intent, str(receipt))
        report.waiting += 1
    else:
        seen = understand(connection, {one.remote_id: receipt})
        if seen.trouble:
            doubt(tx, hub, connection, row, intent, "answered with something unreadable")
            return
        _archived(tx, hub, connection, one, seen.there.get(one.remote_id))
        report.written += 1


def _archived(tx: Tx, hub: Hub, connection: Connection, one: Farewell, found: Found | None) -> None:
    """It is archived: by us, where there was an intent. `found`: as it shows, where it still does."""
    now = hub.clock.now()
    if one.intent is not None:
        intents.close(tx, {one.intent.id: "done"}, now)
        entry = journal.about(one.mapping, at=now, action=intents.ARCHIVE, actor="accord", trace=one.intent.trace)
        journal.write(tx, [entry])
    known = list(observations.by_ids(tx, connection.name, KIND, [one.remote_id]).values())
    gone = [msgspec.structs.replace(old, state="gone") for old in known]
    observations.put(tx, connection.name, KIND, [found.observation] if found else gone, now)
    look_again_after(tx, hub, connection, [one.remote_id], one.row.trace)
    above = leaving.subjects(tx, connection.name, [old.remote.parent_id for old in known if old.remote.parent_id])
    work.postpone(tx, connection.name, dict.fromkeys(above, now), is_attempt=False)
    _leave(tx, hub, connection, one.row)


def _leave(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow) -> None:
    """Nothing is left to do, and nothing to ask."""
    known = hold_rows.of_subjects(tx, connection.name, [row.subject])
    nothing = hold_rows.Held(subject=row.subject, record_id=None, drafts=[])
    hold_rows.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
    hold_rows.spend(tx, connection.name, [(row.subject, "")])
    dealt_with(tx, connection, [row])


def _ask(tx: Tx, hub: Hub, connection: Connection, one: Farewell, draft: HoldDraft) -> None:
    held = hold_rows.Held(subject=one.row.subject, record_id=one.mapping.record_id, drafts=[draft], trace=one.row.trace)
    known = hold_rows.of_subjects(tx, connection.name, [one.row.subject])
    hold_rows.spend(tx, connection.name, [(one.row.subject, "")])
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
    dealt_with(tx, connection, [one.row])


def _refusal(one: Farewell, error: RejectedError) -> HoldDraft:
    """A question for what cannot be, in the words of whoever refused it."""
    told = {"problem": error.problem, "limit": error.limit or "", "cure": error.cure or ""}
    return _draft(one, dict(told))


def _draft(one: Farewell, detail: Mapping[str, Any]) -> HoldDraft:
    detail = {"remote_id": one.remote_id, **detail}
    return HoldDraft(reason=holds.NOT_ARCHIVED, detail=detail, digest=digest_of(holds.NOT_ARCHIVED, detail))
