"""A write that the provider answers well, and that changes nothing, is asked about: else it would be made for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.errors import RejectedError
from core.model.holds import HoldDraft
from core.model.paper import Step
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.intents import Intent
from core.store.text import dump
from core.sync.batch import Report
from core.sync.documents.copies import ADDS, hold
from core.sync.documents.deciding import refusal
from core.sync.documents.standing import Copy
from core.sync.hub import Connection, Hub


def named(copy: Copy, intent: Intent) -> str:
    """What a write is called when it is compared with the next one of its copy."""
    return _name(copy, intent.action, intent.body if ADDS in intent.wanted else None)


def _name(copy: Copy, action: str, added: Mapping[str, object] | None) -> str:
    # of another state of the document it is another write; what adds, also where it adds something else. The bodies of
    # the others have a version, and are never the same
    return f"{copy.paper.digest} {action}" if added is None else f"{copy.paper.digest} {action} {dump(added)}"


def refuse_idle(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    steps: Sequence[tuple[Copy, Step]],
    made: Mapping[str, str],
    report: Report,
) -> list[tuple[Copy, Step]]:
    """The steps but those that were just made (by subject), or that are asked about already."""
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject for copy, _ in steps])
    found = []
    for copy, step in steps:
        asked = hold_rows.standing(known.get(copy.subject, ())).get("")
        is_made = made.get(copy.subject) == _name(copy, step.action, step.body if step.adds else None)
        draft = _draft(connection, copy, step) if asked or is_made else None
        if draft is not None and (is_made or asked == (draft.reason, draft.digest)):
            hold(tx, hub, connection, copy, draft)
            report.held += 1
        else:
            found.append((copy, step))
    return found


def _draft(connection: Connection, copy: Copy, step: Step) -> HoldDraft:
    error = RejectedError(
        f"{connection.manifest.title} took the write {step.action!r}, and the copy is as it was before",
        field=step.action,
        limit="the same write is not made twice in a row",
        cure="look at the copy there and at what its account allows, then retry; or leave it",
    )
    return refusal(error, copy.paper)
