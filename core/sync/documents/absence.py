"""Documents that a complete listing of their origin did not show: a read tells what became of each, not the listing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.store import documents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.marking import mark_mappings
from core.sync.hub import Connection, Hub
from core.sync.sweep import listing_subject

AT_ONCE: Final = 1000
FEW: Final = 100
"""So many are read without a question, however short the listing is."""


async def absent(hub: Hub, connection: Connection, kind: str, listed: Collection[str]) -> list[MappingRow]:
    """Known documents of this origin that are not listed, but for those that a person is asked about already."""
    found: list[MappingRow] = []
    after: str | None = ""
    while after is not None:
        rows = await hub.db.read(lambda tx, a=after: mappings.page(tx, connection.name, a, AT_ONCE, kind))  # type: ignore[misc]
        after = rows[-1].id if rows else None
        unlisted = [row for row in rows if row.state == "live" and row.remote_id not in listed]
        found += await hub.db.read(lambda tx, some=unlisted: _unexplained(tx, connection, some))  # type: ignore[misc]
    return found


def _unexplained(tx: Tx, connection: Connection, rows: Sequence[MappingRow]) -> list[MappingRow]:
    papers = documents.by_ids(tx, [row.record_id for row in rows])
    known = hold_rows.of_subjects(tx, connection.name, [work.mapping_subject(row.id) for row in rows])
    asked = {
        subject
        for subject, some in known.items()
        if any((one.state, one.reason) == ("open", holds.DOCUMENT_GONE) for one in some)
    }
    return [
        row
        for row in rows
        if papers[row.record_id].origin == connection.name and work.mapping_subject(row.id) not in asked
    ]


def look_for(
    tx: Tx, hub: Hub, connection: Connection, kind: str, rows: Sequence[MappingRow], total: int, trace: str
) -> int:
    """Mark them to be read; a listing that is implausibly short asks first. Returns how many questions that makes."""
    subject = listing_subject(kind)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    digest = digest_of(holds.LISTING_SHRANK, kind, total, len(rows))
    share = hub.policy.guard.listing_share
    is_plausible = len(rows) <= max(FEW, share * (total + len(rows)))
    said = hold_rows.answers(known.get(subject, ())).get("")
    choice = said.choice if said and said.digest == digest else ""
    drafts = []
    if is_plausible or choice == "approve":
        mark_mappings(tx, hub, rows, reason="missing from the listing", trace=trace)
        hold_rows.spend(tx, connection.name, [(subject, "")] if choice else [])
    elif not choice:
        problem = f"{total} {kind.replace('_', ' ')}s listed; {len(rows)} that are known are not among them"
        detail: dict[str, object] = {"document": kind, "problem": problem, "digest": digest}
        drafts = [HoldDraft(reason=holds.LISTING_SHRANK, detail=detail, digest=digest)]
    # rejected: the same listing is not asked about again, and nothing is looked for
    held = hold_rows.Held(subject=subject, record_id=None, drafts=drafts, trace=trace)
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
    return len(drafts)
