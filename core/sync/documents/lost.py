"""Documents that are not at their origin any more: while a person is asked whether they count, no copy is made.

Made meanwhile, a credit or a payment that was taken back would leave what came in instead no room at the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.model import holds
from core.store import holds as hold_rows
from core.store import mappings, work
from core.store.database import Tx
from core.store.documents import Paper


def asked_about(tx: Tx, papers: Iterable[Paper]) -> set[str]:
    """Those of some documents, by id, of which it is asked."""
    origins = {one.id: one.origin for one in papers}
    rows = mappings.of_records(tx, origins)
    subjects: dict[str, dict[str, str]] = {}
    for name, some in rows.items():
        for row in some:
            if row.connection == origins[name]:
                subjects.setdefault(row.connection, {})[work.mapping_subject(row.id)] = name
    return {
        named[subject]
        for connection, named in subjects.items()
        for subject, some in hold_rows.of_subjects(tx, connection, named).items()
        if any((one.state, one.reason) == ("open", holds.DOCUMENT_GONE) for one in some)
    }
