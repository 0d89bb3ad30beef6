"""Documents of which it is asked whether their origin has them, or has them so: no new copy is made before the answer.

Made meanwhile, a credit or a payment that was taken back would leave what came in instead no room at the copy, and what
is another document by now would be made as it was, where nothing final can be changed any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.model import holds
from core.store import holds as hold_rows
from core.store import mappings, work
from core.store.database import Tx
from core.store.documents import Paper

_ASKED: Final = frozenset({holds.DOCUMENT_CHANGED, holds.DOCUMENT_GONE})


def asked_about(tx: Tx, papers: Iterable[Paper]) -> dict[str, str]:
    """Those of some documents, by id, of which it is asked, and for which reason."""
    origins = {one.id: one.origin for one in papers}
    rows = mappings.of_records(tx, origins)
    subjects: dict[str, dict[str, str]] = {}
    for name, some in rows.items():
        for row in some:
            if row.connection == origins[name]:
                subjects.setdefault(row.connection, {})[work.mapping_subject(row.id)] = name
    return {
        named[subject]: one.reason
        for connection, named in subjects.items()
        for subject, some in hold_rows.of_subjects(tx, connection, named).items()
        for one in some
        if one.state == "open" and one.reason in _ASKED
    }


def gone(tx: Tx, papers: Iterable[Paper]) -> set[str]:
    """Those, by id, of which it is asked whether they count at all."""
    return {name for name, reason in asked_about(tx, papers).items() if reason == holds.DOCUMENT_GONE}
