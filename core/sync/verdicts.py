"""From rows to a snapshot, and from a verdict back to rows: what plans, adoption and reconcile share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.model.decide import Snapshot, Verdict, decide
from core.model.family import Kin
from core.model.values import PART_OF
from core.store import holds as hold_rows
from core.store import journal
from core.store.customers import Customer
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync.hub import Connection, Hub
from core.sync.registry import changed, difference

FLIP_WINDOW_SECONDS = 600.0
FLIPS_BEFORE_HOLD = 3


def verdict_on(
    hub: Hub,
    connection: Connection,
    customer: Customer,
    mapping: MappingRow,
    kin: Kin,
    held: Sequence[Hold] = (),
    recent: Sequence[journal.Entry] = (),
) -> Verdict:
    """Decide one mapping from what was read. Nothing is decided of a part whose whole is not there, or that is off."""
    projection = connection.parts.projection(mapping.part, mapping.remote_id, customer.fields)
    if projection is None or (mapping.part and kin.whole_id is None):
        return Verdict()
    more = {PART_OF: kin.whole_id} if mapping.part else kin.figures
    registry = {**customer.fields, **more}
    snapshot = Snapshot(
        registry=registry,
        sources=customer.sources,
        remote=kin.remote,
        base=connection.projection.still_agreed(mapping.base, mapping.translation),
        standing=hold_rows.standing(held),
        answers=hold_rows.answers(held),
        flapping=flapping(recent),
        kin=kin,
    )
    return decide(snapshot, hub.policy, connection.name, projection)


def flapping(entries: Sequence[journal.Entry]) -> frozenset[str]:
    """Fields that went A, B, A three times, or were put back to the same value three times, of late."""
    values: dict[str, list[object]] = {}
    put_back: dict[tuple[str, str], int] = {}
    for entry in entries:
        for field, (old, new, _rule) in entry.changes.items():
            if entry.action == "push":
                key = (field, repr((entry.connection, old, new)))
                put_back[key] = put_back.get(key, 0) + 1
            else:
                values.setdefault(field, []).append(new)
    flips = {
        field
        for field, seen in values.items()
        if sum(a == c != b for a, b, c in zip(seen, seen[1:], seen[2:], strict=False)) >= FLIPS_BEFORE_HOLD
    }
    return frozenset(flips | {field for (field, _), times in put_back.items() if times >= FLIPS_BEFORE_HOLD})


def with_base(mapping: MappingRow, verdict: Verdict, connection: Connection, now: float) -> MappingRow:
    """The mapping with the pairs that this verdict agreed on."""
    kept = connection.projection.still_agreed(mapping.base, mapping.translation)
    return msgspec.structs.replace(
        mapping,
        base={**kept, **verdict.base},
        translation=connection.projection.translation,
        updated_at=now,
    )


def pulled(customer: Customer, verdict: Verdict, connection: Connection, now: float) -> Customer:
    """The customer with the values that this verdict takes in or vouches for (the same object when there are none)."""
    real = {name: value for name, value in verdict.pull.items() if customer.fields.get(name) != value}
    vouched = {name: customer.fields.get(name) for name in verdict.vouched}
    return changed(customer, real | vouched, connection.name, now) if real or vouched else customer


def pull_entry(
    customer: Customer, mapping: MappingRow, verdict: Verdict, now: float, trace: str, action: str = "pull"
) -> journal.Entry:
    """The journal's line for what a verdict takes into the registry (`customer` is the version before)."""
    changes = difference(customer, verdict.pull, "")
    named = {name: (old, new, verdict.rules.get(name, "")) for name, (old, new, _) in changes.items()}
    return journal.about(
        mapping,
        at=now,
        action=action,
        changes=named,
        lost=[one for one in verdict.lost if one.side == "registry"],
        actor=mapping.connection,
        trace=trace,
    )
