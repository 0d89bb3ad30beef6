"""Invoices and credit notes that carry the mark of a copy of ours, and are another object."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import ReplyError
from core.model.remote import parse_mark
from core.store import mappings
from core.store.database import Tx
from core.sync.documents.offering import NOTHING_TO_COPY
from core.sync.documents.taking import Read
from core.sync.hub import Connection, Hub


def strays(tx: Tx, hub: Hub, connection: Connection, kind: str, found: Sequence[Read]) -> dict[str, ReplyError]:
    """What is wrong with those of some documents, by remote id.

    Whoever makes an invoice or a credit memo of a copy takes the copy's note along. Were it taken for the copy, it
    would be in no registry and in no other books, and nobody would ever hear of it. Of payments, several objects may
    rightly carry one mark: reports of one payment, and what applies a credit memo.
    """
    standing = [one for one in found if kind != "payment" and one.remote.document.status not in NOTHING_TO_COPY]
    marks = {one.sighting.id: mark for one in standing if (mark := parse_mark(one.remote.mark)) is not None}
    ours = {name: mark for name, mark in marks.items() if mark.instance == hub.instance}
    rows = mappings.by_ids(tx, [mark.mapping for mark in ours.values()])
    known = mappings.by_remote_ids(tx, connection.name, kind, ours)
    wrong: dict[str, ReplyError] = {}
    for name, mark in ours.items():
        row = rows.get(mark.mapping)
        if row is None or row.connection != connection.name or row.remote_id in (None, name) or name in known:
            continue  # a copy; or what a write made that nobody has answered, or nobody remembers
        wrong[name] = ReplyError(
            f"it carries the mark of a copy of ours, {row.remote_id}, and is another {kind.replace('_', ' ')}:"
            f" take {mark} out of it, and it is taken as what it is; or void it, where it was made by mistake"
        )
    return wrong
