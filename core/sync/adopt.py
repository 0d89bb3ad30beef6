"""First contact: unmapped remote objects climb the match ladder, in one transaction per slice.

`judge` only looks (plans use it too); `adopt` writes what was judged. Runs only in the connection's own lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from core.model.decide import Verdict
from core.model.family import named
from core.model.holds import AMBIGUOUS_MATCH, HoldDraft
from core.model.match import Match, match
from core.model.merge import digest_of
from core.model.values import blank
from core.store import customers, holds, intents, journal, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.sync.family import FAMILIES, Family, closes_circle
from core.sync.gone import without_lost
from core.sync.hub import KIND, Connection, Hub
from core.sync.ladder import Ladder, minted_id
from core.sync.parts import placed, slot_of
from core.sync.registry import Moved, fan_out
from core.sync.taken import look_again_without
from core.sync.unsure import Unsure
from core.sync.verdicts import pull_entry, pulled, verdict_on, with_base


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One unmapped object, what it is, and (for a link) what linking it would do. `customer` is the one linked to."""

    seen: Observation
    match: Match
    customer: Customer | None = None
    mapping: MappingRow | None = None
    known: MappingRow | None = None
    """`mapping` as it was read, where the customer has one."""
    verdict: Verdict | None = None

    @property
    def digest(self) -> str:
        """Names exactly what would be done: to which customer, with which values."""
        values = self.verdict.digest if self.verdict else self.seen.remote.fields
        external_id = self.customer.external_id if self.customer else self.seen.remote.external_id
        return digest_of(self.match.kind, external_id, values, None if self.verdict else self.seen.remote.parent_id)


Link = tuple[Customer, MappingRow, Verdict]


def judge(tx: Tx, hub: Hub, connection: Connection, slice_: Sequence[Observation]) -> list[Judged]:
    """What each unmapped object is, and what linking it would do. Writes nothing."""
    ladder = Ladder(tx, hub, connection, slice_)
    subjects = [work.remote_subject(one.remote_id) for one in slice_]
    held = holds.of_subjects(tx, connection.name, subjects)
    family = Family(tx, connection, ladder.customers.values(), [one.remote for one in slice_])
    judged = []
    for one in slice_:
        held_here = held.get(work.remote_subject(one.remote_id), ())
        answers = holds.answers(held_here)
        found = match(one.remote, ladder.hits(one.remote, held_here), connection.policy, hub.instance, answers.get(""))
        judged.append(_judged(tx, hub, connection, ladder, family, one, found))
    return judged


def _judged(
    tx: Tx, hub: Hub, connection: Connection, ladder: Ladder, family: Family, seen: Observation, found: Match
) -> Judged:
    if found.kind != "link":
        return Judged(seen=seen, match=found)
    customer = ladder.customers.get(found.customer_id) or customers.by_external_ids(tx, [found.customer_id]).get(
        found.customer_id
    )
    if customer is None or customer.deleted_at is not None:
        detail: dict[str, object] = {"problem": "no such customer to link to"}
        draft = HoldDraft(reason=AMBIGUOUS_MATCH, detail=detail, digest="")
        return Judged(seen=seen, match=msgspec.structs.replace(found, kind="hold", hold=draft))
    # one that a person named may be on no rung: it may wait to be created here all the same
    rows = ladder.rows[customer.id] if customer.id in ladder.rows else _rows(tx, customer)
    known = ladder.row_of(found, seen.remote, customer)
    slot = known or slot_of(connection, rows, seen.remote_id)
    if isinstance(slot, MappingRow) and known is None and _is_another(slot, seen, ladder):
        detail = {"problem": f"that one is {slot.remote_id} here"}
        draft = HoldDraft(reason=AMBIGUOUS_MATCH, detail=detail, digest="")
        return Judged(seen=seen, match=msgspec.structs.replace(found, kind="hold", hold=draft))
    row = slot if isinstance(slot, MappingRow) else _fresh(hub, connection, customer, slot)
    base = row.base if row.remote_id in (None, seen.remote_id) else without_lost(row.base, seen.remote)
    row = msgspec.structs.replace(row, remote_id=seen.remote_id, state="live", note="", base=base)
    verdict = verdict_on(hub, connection, customer, row, family.kin(customer, seen.remote))
    before = slot if isinstance(slot, MappingRow) else None
    return Judged(seen=seen, match=found, customer=customer, mapping=row, known=before, verdict=verdict)


def _is_another(slot: MappingRow, seen: Observation, ladder: Ladder) -> bool:
    """Whether the mapping has an object that nothing speaks against."""
    return slot.remote_id not in (None, seen.remote_id) and (bool(slot.part) or slot.record_id not in ladder.here)


def _rows(tx: Tx, customer: Customer) -> list[MappingRow]:
    return mappings.of_records(tx, [customer.id]).get(customer.id, [])


def _fresh(hub: Hub, connection: Connection, customer: Customer, part: str) -> MappingRow:
    now = hub.clock.now()
    return MappingRow(
        id=hub.ids.new(),
        record_id=customer.id,
        connection=connection.name,
        part=part,
        state="live",
        created_at=now,
        updated_at=now,
    )


def adopt(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    slice_: Sequence[Observation],
    trace: str,
    approved: Mapping[str, str] = {},
) -> dict[str, int]:
    """Link, enter, hold or leave each object; returns how many of each.

    `approved` has the digests of what a person approved, by remote id: anything else is not done under that name.
    """
    tx.serialize("erasure", is_shared=True)
    if any(one.remote.parent_id for one in slice_):
        tx.serialize(FAMILIES)  # before the other, as everywhere
    tx.serialize("first contact")  # two lanes entering one person at once would make two customers of them
    unsure = Unsure(tx, connection)
    counts: dict[str, int] = {}
    entered: list[Judged] = []
    links: list[Link] = []
    taken: set[str] = set()
    held: list[holds.Held] = []
    judged = _as_approved(
        tx, hub, connection, judge(tx, hub, connection, _of_nobody(tx, connection, slice_)), approved, trace
    )
    late = _changed_since(tx, judged)
    for one in judged:
        kind = "wait" if one.mapping and one.mapping.id in late else _kind_of(one, unsure)
        if kind == "link" and one.customer and one.mapping and one.verdict:
            if one.customer.id in taken:
                kind = "wait"  # a second object for one customer in this slice: judged again, then held
            else:
                taken.add(one.customer.id)
                links.append((one.customer, one.mapping, one.verdict))
        elif kind == "enter":
            entered.append(one)
        held.append(_held(one, kind, trace))
        if kind in ("wait", "wait for a person"):
            _look_again(tx, hub, connection, one.seen.remote_id, trace, until=_until(hub, unsure, kind))
        counts[kind] = counts.get(kind, 0) + 1
    _settle_holds(tx, hub, connection, held)
    _enter(tx, hub, connection, entered, trace)
    _link(tx, hub, connection, links, trace)
    _mark_dirty(tx, hub, connection, _left_to(judged), "what it may be was seen", trace)
    return counts


def _of_nobody(tx: Tx, connection: Connection, slice_: Sequence[Observation]) -> list[Observation]:
    """Without those that a person has linked meanwhile."""
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, [one.remote_id for one in slice_])
    return [one for one in slice_ if one.remote_id not in mapped]


def _left_to(judged: Sequence[Judged]) -> list[str]:
    """Mappings of parts that wait for an object like these: they look for themselves."""
    return [one.match.mapping_id for one in judged if one.match.kind == "ignore" and one.match.mapping_id]


def _until(hub: Hub, unsure: Unsure, kind: str) -> float:
    """When it is worth another look; a webhook about it is none too early."""
    return unsure.until if kind == "wait" else hub.clock.now() + hub.timing.longest_back_off


def _kind_of(one: Judged, unsure: Unsure) -> str:
    """What is done with it: what was judged, unless that must wait."""
    kind = one.match.kind
    why = unsure.why(one.seen.remote) if kind != "ignore" else ""
    if why == "under way" or (why == "perhaps" and kind != "hold"):
        return "wait"  # linked when the intent is resolved, if it is the one
    if one.mapping is not None and one.mapping.id in unsure.creating:
        return "wait"  # its create may have made another object, which would take the mapping from this one
    if why != "asked" and one.mapping is not None:
        if one.mapping.id in unsure.askers:
            return "wait for a person"
        if (one.mapping.id, one.seen.remote_id) in unsure.strangers:
            return "enter"  # whatever the ladder says: a person has said that it is a customer of its own
    # a person is asked whose it is: the answer has it looked at again
    return "hold" if why == "asked" else kind


def _changed_since(tx: Tx, judged: Sequence[Judged]) -> set[str]:
    """Mappings that are not what was read, or have a write under way: those of another batch, which came first."""
    rows = {one.known.id: one.known for one in judged if one.known}
    if not rows:
        return set()
    mappings.lock(tx, rows)
    current = mappings.by_ids(tx, rows)
    return {name for name, row in rows.items() if current[name] != row} | intents.open_of(tx, rows).keys()


def _as_approved(
    tx: Tx, hub: Hub, connection: Connection, judged: Sequence[Judged], approved: Mapping[str, str], trace: str
) -> list[Judged]:
    """Without those of which a person approved something else: they are looked at anew, as anybody's."""
    fresh = []
    for one in judged:
        remote_id = one.seen.remote_id
        if remote_id not in approved or approved[remote_id] == one.digest:
            fresh.append(one)
        else:
            _look_again(tx, hub, connection, remote_id, trace, work.STALE)
    return fresh


def _held(one: Judged, kind: str, trace: str) -> holds.Held:
    drafts = [one.match.hold] if one.match.hold and kind == "hold" else []
    return holds.Held(subject=work.remote_subject(one.seen.remote_id), record_id=None, drafts=drafts, trace=trace)


def _settle_holds(tx: Tx, hub: Hub, connection: Connection, held: Sequence[holds.Held]) -> None:
    known = holds.of_subjects(tx, connection.name, [one.subject for one in held])
    holds.settle(tx, hub.ids, connection.name, held, known, hub.clock.now())


def _look_again(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    remote_id: str,
    trace: str,
    reason: str = "a create is under way",
    until: float = 0.0,
) -> None:
    subject = work.remote_subject(remote_id)
    now = hub.clock.now()
    work.mark(tx, connection.name, [subject], reason=reason, trace=trace, now=now)
    later = max(now + hub.timing.first_back_off, until)
    work.postpone(tx, connection.name, {subject: later}, is_attempt=False)


def _enter(tx: Tx, hub: Hub, connection: Connection, entered: Sequence[Judged], trace: str) -> None:
    """New customers from objects that no rung knows. Every field read is agreed from the start."""
    now = hub.clock.now()
    new, rows, entries = [], [], []
    comes_in = cache(lambda name: hub.policy.rule(connection.name, name).flow in ("both", "in"))
    coming = {minted_id(connection, one.seen.remote): one.seen.remote for one in entered}
    parents = Family(tx, connection, (), coming.values()).entering(coming)
    for one in entered:
        remote = named(one.seen.remote, parents.get(minted_id(connection, one.seen.remote)))
        taken = {name: value for name, value in remote.fields.items() if comes_in(name)}
        fields = {name: value for name, value in taken.items() if not blank(value)}
        customer = Customer(
            id=hub.ids.new(),
            external_id=minted_id(connection, remote),
            fields=fields,
            sources=dict.fromkeys(fields, connection.name),
            created_at=now,
            updated_at=now,
        )
        row = MappingRow(
            id=hub.ids.new(),
            record_id=customer.id,
            connection=connection.name,
            state="live",
            created_at=now,
            updated_at=now,
            remote_id=remote.id,
            translation=connection.projection.translation,
            base={name: (fields.get(name), value) for name, value in taken.items()},
        )
        new.append(customer)
        rows.append(row)
        entries.append(_entry(customer, row, "enter", one.match.rung, now, trace))
    customers.insert(tx, new)
    mappings.insert(tx, rows)
    journal.write(tx, entries)
    strange = [row.id for row, one in zip(rows, entered, strict=True) if one.seen.remote.unreadable]
    _mark_dirty(tx, hub, connection, strange, "entered with a value that cannot be taken", trace)
    placed(tx, hub, connection, {one.external_id: row.remote_id for one, row in zip(new, rows, strict=True)}, trace)
    look_again_without(tx, hub, connection, [remote.id for remote in coming.values()], trace)
    fan_out(tx, hub, [Moved(one, one.fields) for one in new], but=connection.name, trace=trace, are_new=True)


def _link(tx: Tx, hub: Hub, connection: Connection, links: Sequence[Link], trace: str) -> None:
    """Objects of known customers: registry writes now (the version was read in this transaction), pushes later."""
    now = hub.clock.now()
    known = mappings.by_ids(tx, [row.id for _, row, _ in links])
    living = customers.keep(tx, [one.id for one, _, _ in links])
    moved: list[MappingRow] = []
    fresh: list[MappingRow] = []
    changed_customers, entries, unfinished = [], [], []
    got_place: dict[str, str | None] = {}
    for customer, judged_row, whole in links:
        # what overwrites or clears is decided once more as any mapping's, where the mass-change stop counts it
        verdict = Verdict() if whole.replaced else whole
        row = with_base(judged_row, verdict, connection, now)
        after = pulled(customer, verdict, connection, now)
        if customer.id not in living or not _replaced(tx, customer, after, verdict):
            # another lane was faster: its base would say what is not so; or its customer was archived this moment
            _look_again(tx, hub, connection, str(row.remote_id), trace)
            continue
        if after is not customer:
            changed_customers.append(Moved(after, verdict.pull))
        (moved if row.id in known else fresh).append(row)
        entries.append(pull_entry(customer, row, verdict, now, trace, "link"))
        if not row.part:
            got_place[customer.external_id] = row.remote_id
        if (
            whole.replaced or verdict.push or verdict.holds or row.id in known
        ):  # a mapping that waited may have holds to close
            unfinished.append(row.id)
    mappings.update(tx, moved)
    mappings.insert(tx, fresh)
    journal.write(tx, entries)
    # writing, and holding, happen after a fresh read: what a listing showed may be old
    _mark_dirty(tx, hub, connection, unfinished, "linked", trace)
    placed(tx, hub, connection, got_place, trace)
    look_again_without(tx, hub, connection, [str(row.remote_id) for row in (*moved, *fresh)], trace)
    fan_out(tx, hub, changed_customers, but=connection.name, trace=trace)


def _replaced(tx: Tx, customer: Customer, after: Customer, verdict: Verdict) -> bool:
    return after is customer or (not closes_circle(tx, customer, verdict.pull) and customers.replace(tx, after))


def _mark_dirty(tx: Tx, hub: Hub, connection: Connection, mapping_ids: Sequence[str], reason: str, trace: str) -> None:
    subjects = [work.mapping_subject(one) for one in mapping_ids]
    if subjects:
        work.mark(tx, connection.name, subjects, reason=reason, trace=trace, now=hub.clock.now())


def _entry(customer: Customer, row: MappingRow, action: str, rule: str, now: float, trace: str) -> journal.Entry:
    changes = {name: (None, value, rule) for name, value in customer.fields.items()}
    return journal.about(row, at=now, action=action, changes=changes, actor=row.connection, trace=trace)
