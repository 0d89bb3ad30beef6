"""Copies that a database which was put back has forgotten: people are told of each, and what settles one may wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from core.model.remote import parse_mark
from core.store import mappings, work
from core.store.database import Tx
from core.store.tables import DIRTY, DOCUMENTS, MAPPINGS
from core.sync.documents.marking import FORGOTTEN, subject_of
from tests.simulation.papers import Named, Shown

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


def untold(world: SimWorld, tx: Tx) -> Iterator[str]:
    """Copies that stand and carry our marker of what no record knows, wherever nobody is told of one."""
    erased = world.erasures.objects()
    for system, kind in _copied(world):
        for name, one in world.clerks.copies(system, kind).items():
            mark = parse_mark(one.get("mark"))
            is_over = one["status"] == "void" or (system, one["customer"]) in erased
            if mark is None or is_over or mappings.by_ids(tx, [mark.mapping]):
                continue
            subject = subject_of((kind, name))
            row = work.of_subjects(tx, system, [subject]).get(subject)
            if row is None or row.reason != FORGOTTEN:
                yield f"F: {system} {kind} {name} carries a mark that nobody remembers, and nobody is told: {one}"
            world.reached[f"a copy is forgotten and told of at {system}"] += 1


def _copied(world: SimWorld) -> Iterator[tuple[str, str]]:
    for system, there in world.life.hub.connections.items() if world.life else ():
        policy = there.policy.documents
        yield from ((system, kind) for kind in sorted({*policy.mirrors, *policy.originates}))


def remembered_copies(tx: Tx, system: str, kind: str) -> set[str]:
    """Objects there that the registry has as copies of what was made elsewhere, also of what ended."""
    here = (MAPPINGS.c.connection == system, MAPPINGS.c.kind == kind, DOCUMENTS.c.origin != system)
    known = sa.select(MAPPINGS.c.remote_id).join_from(MAPPINGS, DOCUMENTS, MAPPINGS.c.record_id == DOCUMENTS.c.id)
    return {str(row.remote_id) for row in tx.rows(known.where(*here))}


def settles_forgotten(tx: Tx, named: Named, one: Shown) -> bool:
    """Whether it settles a copy whose document was deleted and forgotten: both wait, and say for what."""
    return is_any_forgotten(tx, named.system, [part["invoice"] for part in one.get("applications", ())])


def is_any_forgotten(tx: Tx, system: str, invoices: Iterable[str]) -> bool:
    """Whether people are told of one of these copies that nobody remembers of what it is."""
    subjects = [subject_of(("invoice", one)) for one in invoices]
    here = (DIRTY.c.connection == system, DIRTY.c.subject.in_(subjects), DIRTY.c.reason == FORGOTTEN)
    return tx.execute(sa.select(DIRTY.c.subject).where(*here)).first() is not None
