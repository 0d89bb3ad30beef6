"""What must hold of a world: while it runs (every write) and when it has come to rest."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from core.model import holds as reasons
from core.model.documents import KINDS
from core.model.holds import candidates_of
from core.model.remote import parse_mark
from core.model.values import Value, blank
from core.sandbox.lookalike import Mutation
from core.store import failures, intents, observations
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.tables import DOCUMENTS, JOURNAL
from core.sync.family import Family
from core.sync.hub import KIND
from core.sync.verdicts import verdict_on
from tests.simulation.behind import Behind, intent_behind
from tests.simulation.counting import count
from tests.simulation.customers_at_rest import Rest
from tests.simulation.edit_checks import EditChecks
from tests.simulation.farewells import Farewells
from tests.simulation.lookups import live_customers

if TYPE_CHECKING:
    from tests.simulation.site import Site
    from tests.simulation.world import SimWorld

_EXPECTED = sa.select(DOCUMENTS.c.id).where(
    DOCUMENTS.c.kind == "payment",
    # void once a payment is reported in its place
    sa.or_(DOCUMENTS.c.status == "pending", sa.and_(DOCUMENTS.c.status == "void", DOCUMENTS.c.origin == "stripe")),
)
_ENTRIES = (
    sa.select(sa.func.count())
    .select_from(JOURNAL)
    .where(sa.or_(JOURNAL.c.record_id.is_(None), JOURNAL.c.record_id.not_in(_EXPECTED)))
)


class FailedError(Exception):
    """An invariant does not hold in this world."""


class Checks:
    """The judge of one world."""

    def __init__(self, world: SimWorld) -> None:
        """Know nothing yet."""
        self._world = world
        self._edits = EditChecks(world)
        self.farewells = Farewells(world)
        self.bugs: list[BaseException] = []
        self.problems: list[str] = []
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

    def mutation(self, site: Site, one: Mutation) -> Behind | None:
        """I2: a committed intent with this key (or body) was there before the write. Returns it."""
        intent = self._world.db.read_now(lambda tx: self._behind(tx, site, one))
        intent = intent or self._world.restores.intent_lost(site.name, one)
        self._world.erasures.written(site.name, one)
        if intent is None:
            self.fail(f"I2: {site.name} {one.action} {one.id} has no committed intent (key {one.request_key})")
            return None
        if intent.closed and intent.action == "update" and intent.state != "done":
            self._world.reached["landed after it was given up"] += 1
        if one.action == "create":
            self._not_resurrected(site, one, intent)
            self._is_wanted(site, one, intent)
            self._world.restores.made(site, one, intent)
        if intent.action == intents.ARCHIVE and intent.deleted_at is None:
            self.fail(f"I6: {site.name} {one.id} of a customer who lives was archived")
        return intent

    def _behind(self, tx: Tx, site: Site, one: Mutation) -> Behind | None:
        """What is merged away right before it is archived takes the survivor with it: docs/limits.md says so."""
        absorbed = [
            old for old, survivor in self.merged.items() if survivor == one.id and one.action == intents.ARCHIVE
        ]
        found = (intent_behind(tx, site.name, replace(one, id=remote_id)) for remote_id in (one.id, *absorbed))
        return next((intent for intent in found if intent), None)

    def frame(self, site: Site, one: Mutation, behind: Behind | None, changed: set[str]) -> None:
        """Frame: a write changes only what its intent names. A create may bring what the provider fills in."""
        if behind is None or one.action == "create" or behind.action == "create":
            return
        if behind.action == intents.ARCHIVE:
            changed = changed - {"status"} if one.id in site.lookalike.objects("customer") else set()
        for field in sorted(changed - set(behind.wanted) - {"customer_type"}):
            self.fail(f"M1: {site.name} {one.action} {one.id} changed {field}, which its intent does not name")

    def _not_resurrected(self, site: Site, one: Mutation, intent: Behind) -> None:
        """I5: nothing is created for a customer that was archived before the intent."""
        if intent.deleted_at is not None and intent.deleted_at < intent.sent_at:
            self.fail(f"I5: {site.name} {one.id} was created for an archived customer")

    def _is_wanted(self, site: Site, one: Mutation, intent: Behind) -> None:
        """M3: customers are created where policy wanted that when it was decided, or a person asked for it."""
        said = self._world.answering.said.get((site.name, f"m:{intent.mapping_id}", ""), set())
        if (
            said.isdisjoint(("create", "recreate", "retry"))
            and self._world.policies.behind(intent).connections[site.name].creates == "none"
        ):
            self.fail(f"M3: {site.name} {one.id} was created, where policy creates nobody")

    def field_written(self, site: Site, remote_id: str, field: str, behind: Behind | None) -> None:
        """M3: only fields whose flow lets values out, when it was decided, or of which a person said so."""
        policy = self._world.policies.behind(behind)
        if field == "customer_type" or (behind is not None and behind.action == intents.ARCHIVE):
            return
        if behind is not None and "registry" in self._world.answering.about(
            site.name, behind.mapping_id, remote_id, field
        ):
            return
        if policy.rule(site.name, field).flow in ("in", "off"):
            self.fail(f"M3: {field} of {site.name} {remote_id} was written against policy")

    # ---- lookups -------------------------------------------------------------------------------------

    def footprint(self) -> tuple[int, ...]:
        """How much was ever written, anywhere, but for what Stripe expects to be paid: no event tells of that.

        Nor for lines that are what they were: where a copy is refused at HubSpot, they are made ready for each try.
        """
        written = [_written(self._world.sites[name].lookalike.mutations) for name in self._world.systems]
        return (*written, self._world.db.read_now(lambda tx: int(tx.execute(_ENTRIES).scalar_one())))

    # ---- at rest -------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Everything that must hold once the world has come to rest."""
        self.raise_bugs()
        self._world.db.read_now(self._judge)
        self._world.db.read_now(self._world.erasures.at_rest)
        self._world.restores.at_rest()
        if self._world.audit is not None:
            self._world.db.read_now(self._world.audit.at_rest)
        if self.problems:
            raise FailedError("; ".join(self.problems[:6]))

    def _judge(self, tx: Tx) -> None:
        everything = Rest(self._world, tx)
        for check in (
            self._open_intents,
            self._failures,
            self._doubles,
            self._bijection,
            self._agreement,
            self._edits.judge,
            self._holds,
            self._identity,
            self._gone,
            self.farewells.judge,
            self._world.revivals.judge,
        ):
            check(everything)
        count(self._world, tx)

    def _open_intents(self, rest: Rest) -> None:
        for one in intents.all_open(rest.tx):
            self.fail(f"an intent is still open: {one.connection} {one.action} {one.error}")

    def _failures(self, rest: Rest) -> None:
        for one in failures.listing(rest.tx):
            self.fail(f"a failure stands without a cause: {one.connection} {one.subject} {one.code} {one.message}")

    def _doubles(self, rest: Rest) -> None:
        """I1: at most one live object per mapping and generation was created by Accord."""
        for name, site in self._world.sites.items():
            live = site.lookalike.neutral("customer")
            made: dict[str, set[str]] = {}
            for one in site.lookalike.mutations:
                if one.caller == "accord" and (one.kind, one.action) == ("customer", "create") and one.id in live:
                    behind = intent_behind(rest.tx, name, one)
                    if behind is not None:
                        made.setdefault(behind.mapping_id, set()).add(one.id)
            for mapping_id, ids in made.items():
                if len(ids) > 1:
                    self.fail(f"I1: {name} has {len(ids)} objects of mapping {mapping_id}: {sorted(ids)}")

    def _bijection(self, rest: Rest) -> None:
        """I3: one live mapping per customer and connection, and per remote object."""
        seen: set[tuple[str, str]] = set()
        for row in (one for one in rest.mappings if one.state != "ended"):
            for key in ((row.connection, f"r {row.remote_id}"), (row.connection, f"c {row.record_id}")):
                if row.remote_id and key in seen:
                    self.fail(f"I3: {key} is mapped twice")
                seen.add(key)

    def _agreement(self, rest: Rest) -> None:
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
                elif not rest.is_held(row, field) and not self._is_accepted(
                    row, field, customer.fields.get(field), shown.get(field)
                ):
                    self._field_agrees(rest, row, customer, field, shown.get(field))

    def _parent_agrees(self, rest: Rest, row: MappingRow, customer: Customer, there: str | None) -> None:
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
            if not self._is_accepted(row, "parent", customer.fields.get("parent"), named):
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

    def _field_agrees(self, rest: Rest, row: MappingRow, customer: Customer, field: str, there: Any) -> None:
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

    def _is_accepted(self, row: MappingRow, field: str, here: Value, there: Any) -> bool:
        """Somebody said that both may stay as they are, and they have."""
        is_readable = isinstance(there, str | dict | list | None)
        if self._world.revivals.is_asleep(row, field, here, there):
            return True
        is_as_it_was = row.base.get(field) == (here, there) or not is_readable
        return is_as_it_was and "accept" in self._world.answering.on([row], field)

    # ---- holds ---------------------------------------------------------------------------------------

    def _holds(self, rest: Rest) -> None:
        """Every hold's reason is still a reason."""
        for hold in rest.holds:
            problem = self._idle_reason(rest, hold)
            if problem:
                self.fail(
                    f"a hold without a reason: {hold.connection} {hold.subject} {hold.reason} {hold.field}: {problem}"
                )

    def _idle_reason(self, rest: Rest, hold: Hold) -> str:
        if hold.reason in (reasons.MASS_CHANGE, reasons.LISTING_SHRANK):
            return "an operator approved it"
        if hold.reason == reasons.NOT_ARCHIVED:
            return self.farewells.idle_reason(hold)
        row = rest.by_id.get(hold.subject[2:]) if hold.subject.startswith("m:") else None
        live = self._world.sites[hold.connection].lookalike.neutral("customer")
        if row is not None and row.state == "ended":
            # whose object a lost create made is still to be said: else it would enter as a new customer
            is_asked = hold.reason == reasons.LOST_CREATE and not live.keys().isdisjoint(candidates_of(hold.detail))
            return "" if is_asked else "its mapping has ended"
        if hold.reason == reasons.REMOTE_GONE and row is not None and row.remote_id in live:
            return "the object is there"
        if row is None or row.remote_id not in live or hold.reason not in reasons.FIELD_REASONS:
            return ""
        if hold.reason == reasons.OSCILLATION:
            return ""
        drafts = self._recomputed(rest, row, hold)
        return "" if hold.field in drafts else f"a fresh decision holds only {sorted(drafts)}"

    def _recomputed(self, rest: Rest, row: MappingRow, hold: Hold) -> set[str]:
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

    def _identity(self, rest: Rest) -> None:
        """Nothing of an archived customer is mapped to another one; what people made first was never doubled.

        What somebody made out of two customers' objects there is the other one's when the one is archived.
        """
        survivors = set(self.merged.values())
        back = self._world.revivals.back
        ended = {
            (row.connection, row.remote_id)
            for row in rest.mappings
            if row.state == "ended" and row.remote_id and row.record_id not in back
        }
        for row in rest.mappings:
            is_back = row.state != "ended" and (row.connection, row.remote_id) in ended
            if is_back and row.remote_id not in survivors:
                self.fail(f"I5: {row.connection} {row.remote_id} of an archived customer came back as another one")
        for name, site in self._world.sites.items():
            for remote_id, one in site.lookalike.objects("customer").items():
                mark = parse_mark(_mark_in(name, one))
                if mark and mark.mapping not in rest.by_id and not self._world.restores.is_of_replaced(mark.mapping):
                    self.fail(f"I4: {name} {remote_id} carries a marker of nobody")

    def _gone(self, rest: Rest) -> None:
        """S3: nothing was ever taken for gone that nobody had deleted."""
        gone = (JOURNAL.c.action.in_(("gone", "merged")), JOURNAL.c.kind == KIND)
        statement = sa.select(JOURNAL.c.connection, JOURNAL.c.remote_id).where(*gone)
        for connection, remote_id in rest.tx.rows(statement):
            is_erased = remote_id is None
            if not is_erased and self.farewells.has_followed(connection, remote_id):
                continue  # an older database does not know that it was archived with its customer
            if not is_erased and remote_id not in self.deleted.get(connection, ()) and remote_id not in self.merged:
                self.fail(f"S3: {connection} {remote_id} was taken for gone while it was there")

    def final_state(self) -> str:
        """Everything that stands in the end, for the digest."""
        systems = self._world.systems
        shown = {name: self._world.sites[name].lookalike.neutral("customer") for name in systems}
        stored = self._world.db.read_now(lambda tx: [(one.external_id, one.fields) for one in live_customers(tx)])
        papers = [self._world.clerks.shown(name, kind) for name in systems for kind in KINDS if self._world.audit]
        return msgspec.json.encode([shown, stored, *papers], order="sorted").decode()


def _mark_in(name: str, one: Mapping[str, Any]) -> str | None:
    place = {"stripe": "metadata", "hubspot": "properties"}.get(name, "")
    found = one.get(place, {}).get("accord_ref")
    return found if isinstance(found, str) else None


def _written(mutations: Iterable[Mutation]) -> int:
    lines: dict[str, Mapping[str, Any]] = {}
    count = 0
    for one in mutations:
        is_same = one.kind == "line_item" and lines.get(one.id) == one.changed
        count += one.caller == "accord" and not is_same
        if one.kind == "line_item":
            lines[one.id] = one.changed
    return count
