"""A step that went unanswered and that no look finds, though it may have left something: not taken again unasked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.paper import Step
from core.model.remote import Mark
from core.store import holds as hold_rows
from core.store import mappings
from core.store.database import Tx
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.sync.batch import Report
from core.sync.documents.copies import CREATE, hold, step_key
from core.sync.documents.standing import UNFOUND, Copy, named_of
from core.sync.hub import Connection, Hub

ONCE: Final = "nothing is told twice"
CURE: Final = (
    "look for it there; bring it in order, or see that there is none; then retry: what is there is not made again"
)


def may_be_there(connection: Connection, intent: Intent) -> bool:
    """Whether a step that no look finds may have been taken all the same."""
    return intent.action in connection.manifest.documents[intent.kind].unfound


def remember(tx: Tx, hub: Hub, copy: Copy, intent: Intent) -> None:
    """A person is asked before the copy's next step is this one."""
    row = mappings.by_ids(tx, [copy.mapping.id])[copy.mapping.id]
    name = _name(hub, row, Step(action=intent.action, body=intent.body))
    base = {**row.base, UNFOUND: (name, str(intent.sent_at))}
    mappings.update(tx, [msgspec.structs.replace(row, base=base, updated_at=hub.clock.now())])


def refuse_unfound(
    tx: Tx, hub: Hub, connection: Connection, steps: Sequence[tuple[Copy, Step]], report: Report
) -> list[tuple[Copy, Step]]:
    """The steps but those that may have been taken already: they wait for a person's `retry`."""
    odd = {copy.subject for copy, step in steps if _may_be_taken(hub, copy.mapping, step)}
    known = hold_rows.of_subjects(tx, connection.name, odd) if odd else {}
    found = []
    for copy, step in steps:
        draft = _draft(connection, copy) if copy.subject in odd else None
        answer = hold_rows.answers(known.get(copy.subject, ())).get("")
        if draft is None:
            found.append((copy, step))
        elif answer is not None and (answer.choice, answer.digest) == ("retry", draft.digest):
            _forget(tx, hub, connection, copy)
            found.append((copy, step))
        else:
            hold(tx, hub, connection, copy, draft)
            report.held += 1
    return found


def _may_be_taken(hub: Hub, row: MappingRow, step: Step) -> bool:
    told = row.base.get(UNFOUND)
    return told is not None and (step.action == CREATE or told[0] == _name(hub, row, step))


def _name(hub: Hub, row: MappingRow, step: Step) -> str:
    return step_key(Mark(hub.instance, row.id, row.generation), row.connection, step)


def _forget(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    base = {name: pair for name, pair in copy.mapping.base.items() if name != UNFOUND}
    mappings.update(tx, [msgspec.structs.replace(copy.mapping, base=base, updated_at=hub.clock.now())])
    hold_rows.spend(tx, connection.name, [(copy.subject, "")])


def _draft(connection: Connection, copy: Copy) -> HoldDraft:
    name, sent_at = copy.mapping.base[UNFOUND]
    at = datetime.fromtimestamp(float(str(sent_at)), UTC)
    title = connection.manifest.title
    detail: dict[str, object] = {
        **named_of(copy.paper),
        "problem": f"it was sent to {title} at {at:%Y-%m-%d %H:%M} UTC, nobody said that it was done, and no"
        " look finds it there; it may be there all the same, tied to nothing",
        "limit": ONCE,
        "cure": CURE,
    }
    return HoldDraft(reason=holds.REJECTED, detail=detail, digest=digest_of(holds.REJECTED, name, sent_at))
