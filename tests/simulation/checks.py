"""What must hold of a world: while it runs (every write) and when it has come to rest."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from connectors.quickbooks.connector import batch_id, request_id
from core.model import holds as reasons
from core.model.documents import KINDS
from core.model.remote import parse_mark
from core.model.values import Value, blank, is_metadata
from core.ports import Write
from core.sandbox.lookalike import Mutation
from core.store import customers, failures, holds, intents, journal, mappings, observations, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.tables import CUSTOMERS, HOLDS, INTENTS, JOURNAL, MAPPINGS
from core.sync.family import Family
from core.sync.hub import KIND
from core.sync.verdicts import verdict_on
from tests.simulation.reference import UNCONFIRMED, Edit, admissible, heads, loose
from tests.simulation.tape import REGISTRY, SYSTEMS

if TYPE_CHECKING:
    from tests.simulation.site import Site
    from tests.simulation.world import SimWorld


class FailedError(Exception):
    """An invariant does not hold in this world."""


class Checks:
    """The judge of one world."""

    def __init__(self, world: SimWorld) -> None:
        """Know nothing yet."""
        self._world = world
        self.bugs: list[BaseException] = []
        self.problems: list[str] = []
        self.born: dict[str, set[str]] = {}
        self.deleted: dict[str, set[str]] = {}
        self.merged: dict[str, str] = {}

    # ---- while it runs -------------------------------------------------------------------------------

    def fail(self, problem: str) -> None:
        """Remember; raised by the play, since this may run inside the engine."""
        self._world.note(f"PROBLEM {problem}")
        self.problems.append(problem)

    def raise_bugs(self) -> None:
        """Stop at whatever was found so far."""
        if self.problems:
            raise FailedError(self.problems[0])
        for bug in self.bugs:
            where = "".join(traceback.format_exception(bug)[-3:])
            raise FailedError(f"an exception escaped the engine: {type(bug).__name__}: {bug}\n{where}")

    def mutation(self, site: Site, one: Mutation) -> _Behind | None:
        """I2: a committed intent with this key (or body) was there before the write. Returns it."""
        intent = self._world.db.read_now(lambda tx: _intent_behind(tx, site.name, one))
        if intent is None:
            self.fail(f"I2: {site.name} {one.action} {one.id} has no committed intent (key {one.request_key})")
            return None
        if intent.closed and intent.action == "update" and intent.state != "done":
            self._world.reached["landed after it was given up"] += 1
        if one.action == "create":
            self._not_resurrected(site, one, intent)
        return intent

    def frame(self, site: Site, one: Mutation, behind: _Behind | None, changed: set[str]) -> None:
        """Frame: a write changes only what its intent names. A create may bring what the provider fills in."""
        if behind is None or one.action == "create" or behind.action == "create":
            return
        for field in sorted(changed - set(behind.wanted) - {"customer_type"}):
            self.fail(f"M1: {site.name} {one.action} {one.id} changed {field}, which its intent does not name")

    def _not_resurrected(self, site: Site, one: Mutation, intent: _Behind) -> None:
        """I5: nothing is created for a customer that was archived before the intent."""
        if intent.deleted_at is not None and intent.deleted_at < intent.sent_at:
            self.fail(f"I5: {site.name} {one.id} was created for an archived customer")

    def field_written(self, site: Site, remote_id: str, field: str) -> None:
        """M3: only fields whose flow lets values out."""
        policy = self._world.config.policy
        if field == "customer_type":
            return
        if policy.rule(site.name, field).flow in ("in", "off"):
            self.fail(f"M3: {field} of {site.name} {remote_id} was written against policy")

    # ---- lookups -------------------------------------------------------------------------------------

    @staticmethod
    def live_customers(tx: Tx) -> list[Customer]:
        """Customers that are not archived."""
        ids = [row[0] for row in tx.rows(sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.deleted_at.is_(None)))]
        return sorted(customers.by_ids(tx, ids).values(), key=lambda one: one.external_id)

    @staticmethod
    def counterpart(tx: Tx, system: str, target: str, other: str) -> str | None:
        """The same customer in another place, as the engine maps it."""
        if system == REGISTRY:
            found = customers.by_external_ids(tx, [target]).get(target)
        else:
            row = mappings.by_remote_ids(tx, system, "customer", [target]).get(target)
            found = customers.by_ids(tx, [row.record_id]).get(row.record_id) if row else None
        if found is None or found.deleted_at is not None:
            return None
        if other == REGISTRY:
            return found.external_id
        rows = [row for row in mappings.of_records(tx, [found.id]).get(found.id, ()) if row.connection == other]
        return rows[0].remote_id if rows and rows[0].state == "live" else None

    def footprint(self) -> tuple[int, ...]:
        """How much was ever written, anywhere."""
        written = [
            sum(one.caller == "accord" for one in self._world.sites[name].lookalike.mutations) for name in SYSTEMS
        ]
        return (*written, self._world.db.read_now(journal.last_id))

    # ---- at rest -------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Everything that must hold once the world has come to rest."""
        self.raise_bugs()
        self._world.db.read_now(self._judge)
        if self._world.audit is not None:
            self._world.db.read_now(self._world.audit.at_rest)
        if self.problems:
            raise FailedError("; ".join(self.problems[:6]))

    def _judge(self, tx: Tx) -> None:
        everything = _Rest(self._world, tx)
        for check in (
            self._open_intents,
            self._failures,
            self._doubles,
            self._bijection,
            self._agreement,
            self._edits,
            self._holds,
            self._identity,
            self._gone,
        ):
            check(everything)
        self._count(everything)

    def _open_intents(self, rest: _Rest) -> None:
        for one in intents.all_open(rest.tx):
            self.fail(f"an intent is still open: {one.connection} {one.action} {one.error}")

    def _failures(self, rest: _Rest) -> None:
        for one in failures.listing(rest.tx):
            self.fail(f"a failure stands without a cause: {one.connection} {one.subject} {one.code} {one.message}")

    def _doubles(self, rest: _Rest) -> None:
        """I1: at most one live object per mapping and generation was created by Accord."""
        for name, site in self._world.sites.items():
            live = site.lookalike.neutral("customer")
            made: dict[str, set[str]] = {}
            for one in site.lookalike.mutations:
                if one.caller == "accord" and (one.kind, one.action) == ("customer", "create") and one.id in live:
                    behind = _intent_behind(rest.tx, name, one)
                    if behind is not None:
                        made.setdefault(behind.mapping_id, set()).add(one.id)
            for mapping_id, ids in made.items():
                if len(ids) > 1:
                    self.fail(f"I1: {name} has {len(ids)} objects of mapping {mapping_id}: {sorted(ids)}")

    def _bijection(self, rest: _Rest) -> None:
        """I3: one live mapping per customer and connection, and per remote object."""
        seen: set[tuple[str, str]] = set()
        for row in rest.mappings:
            for key in ((row.connection, f"r {row.remote_id}"), (row.connection, f"c {row.record_id}")):
                if row.state != "ended" and row.remote_id and key in seen:
                    self.fail(f"I3: {key} is mapped twice")
                seen.add(key)

    def _agreement(self, rest: _Rest) -> None:
        """C1 and M4: remote, registry and base agree wherever values flow and nobody is asked."""
        for row in rest.live:
            customer = rest.customers.get(row.record_id)
            if customer is None or rest.is_held(row, ""):
                continue
            shown = self._world.sites[row.connection].lookalike.neutral("customer").get(row.remote_id or "")
            if shown is None:
                self.fail(f"C1: {row.connection} {row.remote_id} is mapped, live, and not there")
                continue
            for field in rest.fields_at(row, customer, shown):
                if field == "parent":
                    self._parent_agrees(rest, row, customer, shown["parent"])
                elif not rest.is_held(row, field):
                    self._field_agrees(rest, row, customer, field, shown.get(field))

    def _parent_agrees(self, rest: _Rest, row: MappingRow, customer: Customer, there: str | None) -> None:
        """The same customer is above on both sides; one that has no object there, or an object of nobody, waits."""
        by_remote = {one.remote_id: one for one in rest.live if one.connection == row.connection}
        by_name = {one.external_id: one for one in rest.customers.values()}
        above = by_name.get(str(customer.fields.get("parent")))
        ours = [one for one in rest.rows_of.get(above.id, []) if one.connection == row.connection] if above else []
        if there is not None and there not in by_remote:
            self._world.reached["a parent that nobody knows"] += 1
        elif customer.fields.get("parent") and not any(one.state == "live" for one in ours):
            self._world.reached["a parent that is not there"] += 1
        elif rest.is_held(row, "parent"):
            self._world.reached["a parent that is held"] += 1
        elif self._hangs_above(row, ours):
            self._world.reached["a parent that hangs below its child there"] += 1
        else:
            owner = rest.customers.get(by_remote[there].record_id) if there else None
            named = owner.external_id if owner else None
            self._world.reached["a parent on both sides"] += named is not None
            self._field_agrees(rest, row, customer, "parent", named)

    def _hangs_above(self, row: MappingRow, ours: list[MappingRow]) -> bool:
        """The registry's parent is below this very object there: it waits for the hold on that to be answered."""
        shown = self._world.sites[row.connection].lookalike.neutral("customer")
        above = ours[0].remote_id if ours else None
        for _ in range(len(shown)):
            if above is None or above == row.remote_id:
                break
            above = shown.get(above, {}).get("parent")
        return above is not None and above == row.remote_id

    def _field_agrees(self, rest: _Rest, row: MappingRow, customer: Customer, field: str, there: Value) -> None:
        policy = self._world.config.policy
        flow = policy.rule(row.connection, field).flow
        if flow in ("off", "in"):
            return
        if flow == "out" and row.base.get(field) is None and blank(customer.fields.get(field)):
            return  # nothing to send, and nothing is taken
        if flow == "out" and not isinstance(there, str | dict | list | None):
            self._world.reached["an unreadable value stays where nothing is taken"] += 1
            return
        same = rest.projection(row.connection).canonical
        here = customer.fields.get(field)
        what = f"{row.connection} {row.remote_id} {field}"
        if same(field, here) != same(field, there):
            self.fail(f"C1: {what} is {there!r}, the registry has {here!r}, base {row.base.get(field)!r}")
            return
        base = row.base.get(field)
        if base is None:
            if not blank(here) and not blank(there):
                self.fail(f"M4: {what} is {there!r} and was never agreed")
        elif same(field, base[0]) != same(field, base[1]) or same(field, base[0]) != same(field, here):
            self.fail(f"M4: base of {what} is {base!r}, both sides have {here!r}")

    # ---- edits ---------------------------------------------------------------------------------------

    def _edits(self, rest: _Rest) -> None:
        """M1, M2 and M6, by customer and field."""
        for customer in rest.customers.values():
            rows = rest.rows_of.get(customer.id, [])
            for field, edits in self._edits_of(rest.tx, customer, rows).items():
                self._field_stands(rest, customer, rows, field, edits)

    def _edits_of(self, tx: Tx, customer: Customer, rows: list[MappingRow]) -> dict[str, list[Edit]]:
        places = {(REGISTRY, customer.external_id)}
        for row in rows:
            if row.remote_id:
                places.add((row.connection, row.remote_id))
        found: dict[str, list[Edit]] = {}
        for edit in self._world.edits:
            if (edit.site, edit.target) in places and self._flows_in(edit):
                seen = edit._replace(replaced=UNCONFIRMED) if self._is_on_unconfirmed(tx, edit) else edit
                found.setdefault(edit.field, []).append(seen)
        return found

    def _is_on_unconfirmed(self, tx: Tx, edit: Edit) -> bool:
        """The author saw what a write of Accord's had put there, and Accord never learnt that it had.

        To Accord the two are concurrent: it cannot know that the one was built on the other.
        """
        if edit.site == REGISTRY:
            return False
        site = self._world.sites[edit.site]
        before = [
            one
            for one in site.overwrites
            if (one.remote_id, one.field) == (edit.target, edit.field) and one.number < edit.mutation
        ]
        if not before or loose(before[-1].new) != loose(edit.replaced):
            return False
        behind = _intent_behind(tx, edit.site, site.lookalike.mutations[before[-1].number])
        if behind is None or behind.state == "done":
            return False
        self._world.reached["edited on top of an unconfirmed write"] += 1
        return True

    def _flows_in(self, edit: Edit) -> bool:
        if edit.site == REGISTRY:
            return True
        return self._world.config.policy.rule(edit.site, edit.field).flow in ("both", "in")

    def _field_stands(
        self, rest: _Rest, customer: Customer, rows: list[MappingRow], field: str, edits: list[Edit]
    ) -> None:
        if any(rest.is_held(row, field) or row.state in ("gone", "excluded") for row in rows):
            return
        if any(row.remote_id in self.merged.values() for row in rows):
            return  # a merge moves values by the provider's rules
        rule = self._world.config.policy.rule("stripe", field)
        if rule.clear == "restore" and any(edit.value is None for edit in edits):
            return
        final = loose(customer.fields.get(field))
        if final not in admissible(edits):
            told = [(one.site, one.value, one.replaced) for one in edits]
            self.fail(f"M1: {field} of {customer.external_id} is {final!r}; people wrote {told}")
            return
        for head in heads(edits):
            if loose(head.value) not in (final, None):
                self._on_record(rest, customer, head)

    def _on_record(self, rest: _Rest, customer: Customer, head: Edit) -> None:
        value = loose(head.value)
        if value in rest.recorded(customer.id, head.field):
            self._world.reached["a losing value is on record"] += 1
            return
        if head.site == REGISTRY:
            self.fail(f"M2: {head.field}={head.value!r}, written to the registry, is lost without a record")
            return
        site = self._world.sites[head.site]
        raced = [
            one
            for one in site.overwrites
            if (one.remote_id, one.field) == (head.target, head.field) and loose(one.old) == value
        ]
        if raced and all(one.unseen for one in raced) and head.site != "quickbooks":
            told = [one for one in raced if one.key in site.answered_keys]
            if told:
                self.fail(f"M2: {head.field}={head.value!r} raced at {head.site}; its webhook came, and no record")
            self._world.reached["raced and unseen"] += 1
            self._world.note(f"raced and unseen: {head}")
            return
        self.fail(f"M2: {head.field}={head.value!r}, written at {head.site} {head.target}, is lost without a record")

    # ---- holds ---------------------------------------------------------------------------------------

    def _holds(self, rest: _Rest) -> None:
        """Every hold's reason is still a reason."""
        for hold in rest.holds:
            problem = self._idle_reason(rest, hold)
            if problem:
                self.fail(
                    f"a hold without a reason: {hold.connection} {hold.subject} {hold.reason} {hold.field}: {problem}"
                )

    def _idle_reason(self, rest: _Rest, hold: Hold) -> str:
        if hold.reason in (reasons.MASS_CHANGE, reasons.LISTING_SHRANK):
            return "an operator approved it"
        row = rest.by_id.get(hold.subject[2:]) if hold.subject.startswith("m:") else None
        if row is not None and row.state == "ended":
            return "its mapping has ended"
        live = self._world.sites[hold.connection].lookalike.neutral("customer")
        if hold.reason == reasons.REMOTE_GONE and row is not None and row.remote_id in live:
            return "the object is there"
        if row is None or row.remote_id not in live or hold.reason not in reasons.FIELD_REASONS:
            return ""
        if hold.reason == reasons.OSCILLATION:
            return ""
        drafts = self._recomputed(rest, row, hold)
        return "" if hold.field in drafts else f"a fresh decision holds only {sorted(drafts)}"

    def _recomputed(self, rest: _Rest, row: MappingRow, hold: Hold) -> set[str]:
        life = self._world.life
        seen = observations.by_ids(rest.tx, row.connection, "customer", [row.remote_id or ""])
        customer = rest.customers.get(row.record_id)
        if life is None or customer is None or row.remote_id not in seen:
            return {hold.field}
        connection = life.hub.connections[row.connection]
        remote = seen[row.remote_id].remote
        kin = Family(rest.tx, connection, [customer], [remote]).kin(customer, remote)
        verdict = verdict_on(life.hub, connection, customer, row, kin, [hold])
        return {draft.field for draft in verdict.holds}

    # ---- identity ------------------------------------------------------------------------------------

    def _identity(self, rest: _Rest) -> None:
        """Nothing of an archived customer is mapped to another one; what people made first was never doubled."""
        ended = {(row.connection, row.remote_id) for row in rest.mappings if row.state == "ended" and row.remote_id}
        for row in rest.mappings:
            if row.state != "ended" and (row.connection, row.remote_id) in ended:
                self.fail(f"I5: {row.connection} {row.remote_id} of an archived customer came back as another one")
        for name, site in self._world.sites.items():
            for remote_id, one in site.lookalike.objects("customer").items():
                mark = parse_mark(_mark_in(name, one))
                if mark and mark.mapping not in rest.by_id:
                    self.fail(f"I4: {name} {remote_id} carries a marker of nobody")

    def _gone(self, rest: _Rest) -> None:
        """S3: nothing was ever taken for gone that nobody had deleted."""
        gone = (JOURNAL.c.action.in_(("gone", "merged")), JOURNAL.c.kind == KIND)
        statement = sa.select(JOURNAL.c.connection, JOURNAL.c.remote_id).where(*gone)
        for connection, remote_id in rest.tx.rows(statement):
            if remote_id not in self.deleted.get(connection, ()) and remote_id not in self.merged:
                self.fail(f"S3: {connection} {remote_id} was taken for gone while it was there")

    def _count(self, rest: _Rest) -> None:
        reached = self._world.reached
        for row in rest.tx.rows(sa.select(JOURNAL.c.action, sa.func.count()).group_by(JOURNAL.c.action)):
            reached[f"journal: {row[0]}"] += row[1]
        for row in rest.tx.rows(sa.select(HOLDS.c.reason, sa.func.count()).group_by(HOLDS.c.reason)):
            reached[f"hold: {row[0]}"] += row[1]
        for row in rest.tx.rows(sa.select(INTENTS.c.state, sa.func.count()).group_by(INTENTS.c.state)):
            reached[f"intent: {row[0]}"] += row[1]
        self._count_doubts(rest)

    def _count_doubts(self, rest: _Rest) -> None:
        reached, doubted = self._world.reached, INTENTS.c.attempts > 0
        for name, which in (
            ("intent: in doubt", doubted),
            ("intent: quarantined", INTENTS.c.resolve_after.is_not(None)),
            ("intent: adopted", sa.and_(doubted, INTENTS.c.action == "create", INTENTS.c.state == "done")),
        ):
            count = sa.select(sa.func.count()).where(which)
            reached[name] += int(rest.tx.execute(count).scalar_one())
        fenced = getattr(self._world.db, "fenced", {})
        reached.update({f"fenced: {table}": times for table, times in fenced.items()})
        shared = INTENTS.c.batch != ""
        reached["intent: of a batch"] += int(rest.tx.execute(sa.select(sa.func.count()).where(shared)).scalar_one())
        batched = rest.tx.execute(sa.select(sa.func.count()).where(shared, INTENTS.c.attempts > 0)).scalar_one()
        reached["intent: of a batch in doubt"] += int(batched)

    def final_state(self) -> str:
        """Everything that stands in the end, for the digest."""
        shown = {name: self._world.sites[name].lookalike.neutral("customer") for name in SYSTEMS}
        stored = self._world.db.read_now(lambda tx: [(one.external_id, one.fields) for one in self.live_customers(tx)])
        papers = (
            [self._world.clerks.shown(name, kind) for name in SYSTEMS for kind in KINDS] if self._world.audit else []
        )
        return msgspec.json.encode([shown, stored, *papers], order="sorted").decode()


class _Rest:
    """The state at rest, looked up once."""

    def __init__(self, world: SimWorld, tx: Tx) -> None:
        self._world, self.tx = world, tx
        ids = [row[0] for row in tx.rows(sa.select(MAPPINGS.c.id))]
        self.by_id = mappings.by_ids(tx, ids)
        papers = {work.mapping_subject(one.id) for one in self.by_id.values() if one.kind != KIND}
        self.by_id = {name: one for name, one in self.by_id.items() if one.kind == KIND}
        self.mappings = sorted(self.by_id.values(), key=lambda one: one.id)
        self.live = [one for one in self.mappings if one.state == "live"]
        self.customers = {one.id: one for one in Checks.live_customers(tx)}
        self.rows_of: dict[str, list[MappingRow]] = {}
        for row in self.mappings:
            if row.state != "ended":
                self.rows_of.setdefault(row.record_id, []).append(row)
        self.holds = [one for one in holds.listing(tx) if one.subject not in papers]
        self._held = {(one.connection, one.subject, one.field) for one in self.holds}
        self._recorded: dict[str, dict[str, set[Any]]] = {}

    def is_held(self, row: MappingRow, field: str) -> bool:
        """Whether a person is asked about the mapping, or about this field of it."""
        subjects = [work.mapping_subject(row.id), work.remote_subject(row.remote_id or "")]
        return any((row.connection, one, name) in self._held for one in subjects for name in {"", field})

    def projection(self, connection: str) -> Any:
        """The connection's canonical spellings."""
        life = self._world.life
        if life is None:
            raise FailedError("nobody lives at rest")
        return life.hub.connections[connection].projection

    def fields_at(self, row: MappingRow, customer: Customer, shown: Mapping[str, Any]) -> Iterator[str]:
        """Fields that were read there and have a place there; metadata as the union of both sides."""
        projection = self.projection(row.connection)
        for field in projection.fields:
            if field in shown and field != "customer_type":
                yield field
        for field in sorted({*customer.fields, *shown}):
            if is_metadata(field) and projection.covers(field):
                yield field

    def recorded(self, record_id: str, field: str) -> set[Any]:
        """Every value of a field that the journal names."""
        if record_id not in self._recorded:
            found: dict[str, set[Any]] = {}
            for entry in journal.of_record(self.tx, record_id, 10_000):
                for lost in entry.lost:
                    found.setdefault(lost.field, set()).add(loose(lost.value))
                for name, (old, new, _rule) in entry.changes.items():
                    found.setdefault(name, set()).update((loose(old), loose(new)))
            self._recorded[record_id] = found
        return self._recorded[record_id].get(field, set())


class _Behind(msgspec.Struct, frozen=True):
    """The intent behind a write."""

    mapping_id: str
    action: str
    state: str
    sent_at: float
    closed: bool
    deleted_at: float | None
    wanted: dict[str, Any]


def _behind(*wheres: sa.ColumnElement[bool]) -> sa.Select[*tuple[Any, ...]]:
    columns = (
        INTENTS.c.mapping_id, INTENTS.c.action, INTENTS.c.state, INTENTS.c.sent_at, INTENTS.c.closed_at,
        INTENTS.c.key, INTENTS.c.batch, INTENTS.c.body, INTENTS.c.remote_id, CUSTOMERS.c.deleted_at, INTENTS.c.wanted,
    )  # fmt: skip
    joined = INTENTS.join(MAPPINGS, MAPPINGS.c.id == INTENTS.c.mapping_id).join(
        CUSTOMERS, CUSTOMERS.c.id == MAPPINGS.c.record_id
    )
    statement = sa.select(*columns).select_from(joined).where(INTENTS.c.connection == sa.bindparam("connection"))
    return statement.where(*wheres).order_by(INTENTS.c.sent_at.desc())


_BEHIND: Final = {
    "tie": _behind(INTENTS.c.remote_id == sa.bindparam("id")),
    "key": _behind(INTENTS.c.key == sa.bindparam("key")),
    "body": _behind(),
}
"""Intents that may be behind a write, newest first, by what tells which one it is."""


def _intent_behind(tx: Tx, name: str, one: Mutation) -> _Behind | None:
    is_tie = one.action in ("associate", "dissociate")
    by = "tie" if is_tie else "key" if name != "quickbooks" else "body"
    for row in tx.rows(_BEHIND[by], {"connection": name, "id": one.id, "key": one.request_key}):
        if name == "quickbooks" and not _is_of_quickbooks(row, one):
            continue
        if is_tie and not _is_of_tie(row, one):
            continue
        return _Behind(row[0], row[1], row[2], row[3], row[4] is not None, row[9], msgspec.json.decode(row[10]))
    return None


def _is_of_tie(row: Any, one: Mutation) -> bool:
    """Associations have no key: the move must name the parent that was put on, or be one that takes some off."""
    body = msgspec.json.decode(row.body)
    if "parent" not in body:
        return False
    return bool(
        body["parent"]["from"] if one.changed["parent"] is None else body["parent"]["to"] == one.changed["parent"]
    )


def _is_of_quickbooks(row: Any, one: Mutation) -> bool:
    """By request id, made of key and body; that of a batch is its name, and there the body must be the same."""
    body = msgspec.json.decode(row.body)
    if row.batch and batch_id(row.batch) == one.request_key:
        return bool(row.remote_id in (None, one.id) and body == dict(one.changed))
    write = Write(key=row.key, action=row.action, kind="customer", remote_id=row.remote_id, body=body)
    return request_id(write) == one.request_key


def _mark_in(name: str, one: Mapping[str, Any]) -> str | None:
    place = {"stripe": "metadata", "hubspot": "properties"}.get(name, "")
    found = one.get(place, {}).get("accord_ref")
    return found if isinstance(found, str) else None
