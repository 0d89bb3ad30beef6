"""What stands after a sync: of some connections as a whole, or of some customers at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from core.store import connections, customers, failures, holds, mappings, one_offs, ownerless, work
from core.store.database import Tx
from core.sync.guard import SUBJECT
from core.sync.hub import Hub


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers, and what is wrong with whole connections. `elsewhere` is what waits for others by name.

    `observing` ones were read, and nothing else: of them nobody can say that they agree.
    """

    failed: int
    held: int
    waiting: int
    troubled: dict[str, str]
    observing: list[str]
    elsewhere: dict[str, int]


def outcome(tx: Tx, hub: Hub, names: Sequence[str], external_ids: Sequence[str], asked: Mapping[str, str]) -> Outcome:
    """Count what failed, what is held and what waits; all of it for no `external_ids`.

    `asked` are the one-offs by connection: a lane that refused its own has done nothing.
    """
    rows = {one.name: one for one in connections.every(tx)}
    refused = {name: one.error for name, id_ in asked.items() if (one := one_offs.get(tx, id_)) and one.error}
    troubled = refused | {name: rows[name].error for name in names if rows[name].error}
    observing = [name for name in names if rows[name].state == "observing"]
    waiting = work.counts(tx)
    others = hub.connections.keys() - set(names)
    undone = {name: waiting.get(name, 0) - work.count_parked(tx, name, work.UNWANTED) for name in sorted(others)}
    elsewhere = {name: number for name, number in undone.items() if number}
    if external_ids:
        failed, held, dirty = _of_customers(tx, names, external_ids)
    else:
        failed = sum(times for (name, _), times in failures.counts(tx).items() if name in names)
        held = sum(times for (name, _), times in holds.counts(tx).items() if name in names)
        dirty = sum(_unparked(tx, name, waiting.get(name, 0)) for name in names)
        # what failed waits too, and is counted once
        dirty = max(0, dirty - failed)
    return Outcome(failed=failed, held=held, waiting=dirty, troubled=troubled, observing=observing, elsewhere=elsewhere)


def _unparked(tx: Tx, name: str, waiting: int) -> int:
    """What a person is to say a word about does not wait; nor does what is of customers nobody knows."""
    parked = ("guard", "rejected", work.OBSERVED, work.UNWANTED, ownerless.PARKED)
    return waiting - sum(work.count_parked(tx, name, by) for by in parked)


def _of_customers(tx: Tx, names: Sequence[str], external_ids: Sequence[str]) -> tuple[int, int, int]:
    ids = [one.id for one in customers.by_external_ids(tx, external_ids).values()]
    rows = [row for some in mappings.of_records(tx, ids).values() for row in some if row.connection in names]
    failed = held = dirty = 0
    for name in names:
        subjects = [work.mapping_subject(row.id) for row in rows if row.connection == name]
        broken = failures.known(tx, name, subjects)
        failed += len(broken)
        waits = set(work.waiting(tx, name, subjects)) - set(broken)
        dirty += sum(work.parked_by(tx, name, one) != work.UNWANTED for one in waits)
        known = holds.of_subjects(tx, name, [*subjects, SUBJECT])
        held += sum(one.state == "open" for some in known.values() for one in some)
    return failed, held, dirty
