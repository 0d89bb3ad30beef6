"""Plans: what would change at one connection, field by field, from what was last seen. Pure data, with a digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from core.errors import InvalidInputError
from core.model.decide import Verdict
from core.model.entities import routing
from core.model.family import Kin
from core.model.match import may_create
from core.model.merge import digest_of
from core.model.remote import Part
from core.model.values import Value, blank
from core.store import connections, customers, holds, mappings, observations, work
from core.store.connections import ConnectionRow
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.adopt import Judged, judge
from core.sync.documents.planning import EVERYTHING, Scope, plan_documents
from core.sync.documents.tally import DocumentPlan
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.ladder import minted_id
from core.sync.leaving import leaving
from core.sync.parts import whole_of
from core.sync.plan_items import Change, Item, Kind
from core.sync.verdicts import verdict_on
from core.sync.wanted import why_not

SLICE = 200


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that would change at one connection. `calls`: write calls for its customers.

    `documents`: None where none are copied. The digest names the customers' changes exactly; that of a connection which
    observes names its documents too, in such a way that one more is the same plan (`core.sync.activation`).
    """

    connection: str
    account: str
    digest: str
    counts: dict[str, int]
    calls: int
    seconds: float
    foreign_marks: dict[str, int] = {}
    items: list[Item]
    documents: DocumentPlan | None = None


async def plan(hub: Hub, connection: Connection, scope: Scope = EVERYTHING) -> Plan:
    """Decide everything from the last complete sweep, and write nothing; `scope`: of documents.

    Raises InvalidInputError before there was one.
    """
    return (await plan_and_copies(hub, connection, scope))[0]


async def plan_and_copies(hub: Hub, connection: Connection, scope: Scope = EVERYTHING) -> tuple[Plan, dict[str, str]]:
    """The same, and the digest of each copy that would be made, by document."""
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    if row.swept_at is None:
        cure = f"run `accord sync {connection.name} --dry-run`, or let the daemon finish its first sweep"
        raise InvalidInputError(f"{connection.name} was not listed completely yet", field="connection", cure=cure)
    items: list[Item] = []
    foreign: dict[str, int] = {}
    for walk in (_unmapped, _mapped, _uncreated, _leaving):
        after: str | None = ""
        while after is not None:
            step: _Walk = walk
            some, after = await hub.db.read(lambda tx, a=after, w=step: w(tx, hub, connection, a, foreign))  # type: ignore[misc]
            items += some
    items += await _of_parts(hub, connection, items)
    counts: dict[str, int] = {}
    for item in items:
        counts[item.kind] = counts.get(item.kind, 0) + 1
    writes = counts.get("create", 0) + counts.get("update", 0)
    calls = -(-writes // connection.connector.manifest.writes_per_call) + counts.get("archive", 0)
    copied, creates = await _of_documents(hub, connection, items, scope)
    found = Plan(
        connection=connection.name,
        account=row.account_title or row.account_id or "",
        calls=calls,
        counts=counts,
        digest=_digest(hub, connection, row, items, copied),
        seconds=round(calls / _calls_per_second(connection), 1),
        foreign_marks=foreign,
        items=items,
        documents=copied,
    )
    return found, creates


def _digest(
    hub: Hub, connection: Connection, row: ConnectionRow, items: Sequence[Item], copied: DocumentPlan | None
) -> str:
    shown = [msgspec.to_builtins(item) for item in items]
    if copied is None or row.state != "observing":
        # of an active connection documents flow by themselves, whatever plan is applied
        return digest_of(connection.name, row.account_id, shown)
    # how many goes beside what must be the same: bills come while a person reads
    sorts = sorted({(one.kind, one.currency) for one in copied.sums if one.outcome == "create"})
    policy = connection.policy.documents
    books = routing(hub.policy, connection.name)
    told = (sorted(policy.mirrors), sorted(policy.sources), policy.since, books, sorts)
    return f"{digest_of(connection.name, row.account_id, shown, told)}-{copied.number('create')}"


async def _of_documents(
    hub: Hub, connection: Connection, items: Sequence[Item], scope: Scope
) -> tuple[DocumentPlan | None, dict[str, str]]:
    """Copies of documents, made for customers that are there or will be by then."""
    if connection.documents is None or not connection.policy.documents.mirrors:
        return None, {}
    names = {
        item.external_id: item.remote_id or connection.manifest.unmade_customer
        for item in items
        if item.kind in ("link", "create") and not item.subject.startswith("p:")
    }
    owners = await hub.db.read(lambda tx: customers.by_external_ids(tx, names))
    arriving = {one.id: names[one.external_id] for one in owners.values()}
    return await plan_documents(hub, connection, arriving, scope)


async def _of_parts(hub: Hub, connection: Connection, items: Sequence[Item]) -> list[Item]:
    """What the parts of customers will need, once their objects are there: as far as can be told today."""
    wholes = {item.external_id: item.remote_id for item in items if item.kind in ("enter", "link", "create")}
    found: list[Item] = []
    for part in connection.parts.asked:
        found += [
            Item(kind="create", subject=f"p:{item.subject}", external_id=item.external_id, reason=part.title)
            for item in items
            if item.kind == "enter"
            and part in connection.parts.of_whole(item.remote_id, {})
            and any(one.field == part.key for one in item.changes)
        ]
        after: str | None = ""
        while after is not None:
            some, after = await hub.db.read(lambda tx, a=after, p=part: _partless(tx, hub, connection, p, a, wholes))  # type: ignore[misc]
            found += some
    return found


def _partless(
    tx: Tx, hub: Hub, connection: Connection, part: Part, after: str, wholes: Mapping[str, str]
) -> tuple[list[Item], str | None]:
    """Customers without this part that will get it: their object is there, or will be (`wholes`, by external id)."""
    ids = mappings.without_part(tx, connection.name, KIND, part.name, after, SLICE)
    owners = customers.by_ids(tx, ids)
    rows = mappings.of_records(tx, ids)
    doubles = observations.doubles(tx, connection.name, KIND, "email_key", map(customers.key_of, owners.values()))
    items: list[Item] = []
    for name in ids:
        customer, whole = owners[name], whole_of(rows.get(name, ()), connection.name)
        remote_id = whole.remote_id if whole and whole.state == "live" else wholes.get(customer.external_id)
        has_whole = remote_id is not None and part in connection.parts.of_whole(remote_id or None, customer.fields)
        if not has_whole or blank(customer.fields.get(part.key)):
            continue
        there = [one for one in doubles.get(customers.key_of(customer), ()) if one.startswith(part.ids)]
        items.append(_of_part(hub, connection, part, customer, there))
    return items, ids[-1] if ids else None


def _of_part(hub: Hub, connection: Connection, part: Part, customer: Customer, there: Sequence[str]) -> Item:
    subject, external_id = work.part_subject(customer.id, part.name), customer.external_id
    if there:
        is_linked = len(there) == 1 and connection.policy.match_email
        kind: Kind = "link" if is_linked else "hold"
        reason = f"{part.title}: an object there has its {part.key}"
        return Item(kind=kind, subject=subject, external_id=external_id, remote_id=there[0], reason=reason)
    sent = {name: customer.fields.get(name) for name in part.fields}
    changes = [
        Change(name, connection.name, None, value, "fills a blank")
        for name, value in sent.items()
        if not blank(value) and hub.policy.rule(connection.name, name).flow in ("both", "out")
    ]
    return Item(kind="create", subject=subject, external_id=external_id, reason=part.title, changes=changes)


_Walk = Callable[[Tx, Hub, Connection, str, dict[str, int]], tuple[list[Item], str | None]]


def _calls_per_second(connection: Connection) -> float:
    rates = [limit.calls / limit.seconds for limit in connection.manifest.limits]
    return min(rates, default=10.0)


def _unmapped(
    tx: Tx, hub: Hub, connection: Connection, after: str, foreign: dict[str, int]
) -> tuple[list[Item], str | None]:
    """Objects without a mapping: what the ladder would make of them."""
    slice_ = observations.unmapped(tx, connection.name, KIND, after, SLICE)
    for one in slice_:
        for name in one.remote.foreign_marks:
            foreign[name] = foreign.get(name, 0) + 1
    items = [item for one in judge(tx, hub, connection, slice_) for item in _of_judged(connection, one)]
    return items, slice_[-1].remote_id if slice_ else None


def _of_judged(connection: Connection, one: Judged) -> Iterator[Item]:
    remote, subject = one.seen.remote, work.remote_subject(one.seen.remote_id)
    if one.match.kind == "hold" and one.match.hold:
        reason = f"{one.match.hold.reason}: {one.match.hold.detail.get('problem', '')}"
        yield Item(kind="hold", subject=subject, remote_id=remote.id, reason=reason)
    elif one.match.kind == "enter":
        changes = [
            Change(name, "registry", None, value, one.match.rung)
            for name, value in sorted(remote.fields.items())
            if value
        ]
        yield _of_match("enter", one, minted_id(connection, remote), changes)
    elif one.match.kind == "link" and one.customer and one.verdict:
        changes = _changes(connection, one.customer, one.verdict)
        yield _of_match("link", one, one.customer.external_id, changes)
        yield from _held(subject, one.customer, remote.id, one.verdict)


def _of_match(kind: Kind, one: Judged, external_id: str, changes: list[Change]) -> Item:
    return Item(
        kind=kind,
        subject=work.remote_subject(one.seen.remote_id),
        external_id=external_id,
        remote_id=one.seen.remote.id,
        reason=one.match.rung,
        changes=changes,
        digest=one.digest,
    )


def _changes(
    connection: Connection, customer: Customer, verdict: Verdict, old: dict[str, Value] | None = None
) -> list[Change]:
    taken = [
        Change(name, "registry", customer.fields.get(name), value, verdict.rules.get(name, ""))
        for name, value in sorted(verdict.pull.items())
    ]
    there = old or {name: pair[0] for name, pair in verdict.replaced.items() if name in verdict.push}
    sent = [
        Change(name, connection.name, there.get(name), value, verdict.rules.get(name, ""))
        for name, value in sorted(verdict.push.items())
    ]
    return taken + sent


def _held(subject: str, customer: Customer, remote_id: str, verdict: Verdict) -> Iterator[Item]:
    for draft in verdict.holds:
        problem = draft.detail.get("problem") or draft.detail.get("rule") or ""
        reason = f"{draft.reason} {draft.field}: {problem}"
        yield Item(kind="hold", subject=subject, external_id=customer.external_id, remote_id=remote_id, reason=reason)


def _mapped(
    tx: Tx, hub: Hub, connection: Connection, after: str, foreign: dict[str, int]
) -> tuple[list[Item], str | None]:
    """Mappings whose sides differ, by what was last seen."""
    del foreign
    rows = mappings.page(tx, connection.name, after, SLICE)
    owners = customers.by_ids(tx, {row.record_id for row in rows})
    seen = observations.by_ids(tx, connection.name, KIND, [row.remote_id for row in rows if row.remote_id])
    held = holds.of_subjects(tx, connection.name, [work.mapping_subject(row.id) for row in rows])
    family = Family(tx, connection, owners.values(), [one.remote for one in seen.values()])
    items: list[Item] = []
    for row in rows:
        items += _of_mapping(hub, connection, row, owners[row.record_id], seen, held, family)
    return items, rows[-1].id if rows else None


def of_mapping(tx: Tx, hub: Hub, connection: Connection, row: MappingRow, seen: observations.Observation) -> list[Item]:
    """What would change for one mapping and its object as it was `seen`."""
    customer = customers.by_ids(tx, [row.record_id])[row.record_id]
    held = holds.of_subjects(tx, connection.name, [work.mapping_subject(row.id)])
    family = Family(tx, connection, [customer], [seen.remote])
    return list(_of_mapping(hub, connection, row, customer, {seen.remote_id: seen}, held, family))


def _of_mapping(
    hub: Hub,
    connection: Connection,
    row: MappingRow,
    customer: Customer,
    seen: dict[str, observations.Observation],
    held: dict[str, list[holds.Hold]],
    family: Family,
) -> Iterator[Item]:
    subject = work.mapping_subject(row.id)
    found = seen.get(row.remote_id or "")
    here = held.get(subject, [])
    if row.state == "pending":
        yield from _of_pending(hub, connection, row, customer, family.kin(customer, None), here)
    elif row.state in ("live", "gone") and found and found.state == "live":
        # one that is gone has come back then, and is to be read
        verdict = verdict_on(hub, connection, customer, row, family.kin(customer, found.remote), here)
        changes = _changes(connection, customer, verdict)
        if changes:
            kind: Kind = "update" if verdict.push else "take"
            yield Item(
                kind=kind,
                subject=subject,
                external_id=customer.external_id,
                remote_id=found.remote_id,
                changes=changes,
                digest=verdict.digest,
            )
        yield from _held(subject, customer, found.remote_id, verdict)
    elif row.state == "gone":
        reason = "remote_gone: the object is not there any more"
        yield Item(
            kind="hold", subject=subject, external_id=customer.external_id, remote_id=row.remote_id or "", reason=reason
        )


def _of_pending(
    hub: Hub,
    connection: Connection,
    row: MappingRow,
    customer: Customer,
    kin: Kin,
    held: Sequence[holds.Hold] = (),
    subject: str = "",
) -> Iterator[Item]:
    """A customer to create, unless the create as a whole waits for a person: without its name it would help nobody."""
    verdict = verdict_on(hub, connection, customer, row, kin, held)
    subject = subject or work.mapping_subject(row.id)
    part = connection.parts.named(row.part)
    if row.part and (part is None or kin.whole_id is None):
        return  # it waits for what it is to be a part of
    waits = [one for one in held if one.state == "open" and not one.field]
    is_known = part.key in verdict.push if part else not any(one.field == "name" for one in verdict.holds)
    why = why_not(hub, connection, customer, row)
    if why and not waits:
        yield Item(kind="wait", subject=subject, external_id=customer.external_id, reason=why)
        return
    if not waits and is_known:
        changes = _changes(connection, customer, verdict)
        yield Item(
            kind="create",
            subject=subject,
            external_id=customer.external_id,
            reason=part.title if part else "",
            changes=changes,
            digest=verdict.digest,
        )
    for one in waits:
        reason = f"{one.reason}: {one.detail.get('problem', '')}"
        yield Item(kind="hold", subject=subject, external_id=customer.external_id, reason=reason)
    yield from _held(subject, customer, "", verdict)


def _uncreated(
    tx: Tx, hub: Hub, connection: Connection, after: str, foreign: dict[str, int]
) -> tuple[list[Item], str | None]:
    """Customers without a mapping here that policy wants created (unless the ladder links or holds them first)."""
    del foreign
    ids = mappings.unmapped_customers(tx, connection.name, KIND, after, SLICE)
    owners = customers.by_ids(tx, ids)
    emails = {one.id: customers.key_of(one) for one in owners.values()}
    doubles = observations.doubles(tx, connection.name, KIND, "email_key", emails.values())
    family = Family(tx, connection, owners.values())
    items: list[Item] = []
    for customer_id in ids:
        customer = owners[customer_id]
        others = tuple(part.ids for part in connection.parts.of_whole(None, customer.fields))
        twins = [one for one in doubles.get(emails[customer_id], ()) if not (others and one.startswith(others))]
        if not may_create(customer.fields, connection.policy) or twins:
            continue  # its double shows up above, as a link or a hold
        row = mappings.pending("", customer_id, connection.name, generation=1, now=0.0)
        kin = family.kin(customer, None)
        items += _of_pending(hub, connection, row, customer, kin, subject=f"c:{customer_id}")
    return items, ids[-1] if ids else None


def _leaving(
    tx: Tx, hub: Hub, connection: Connection, after: str, foreign: dict[str, int]
) -> tuple[list[Item], str | None]:
    """Objects of customers who were archived, as far as they are to follow."""
    del foreign
    return leaving(tx, hub, connection, after, SLICE)
