"""Find out what became of a step that nobody answered, before anything else is written to its copy.

| what was sent                                    | how it is found out                                              |
|--------------------------------------------------|------------------------------------------------------------------|
| something that adds, within its key's time       | the same key and body again: the provider answers as it did      |
| a create whose key is too old, or was of no help | after the look-up lag: our marker, or the document's number      |
| a create that shared its request with others     | the same: its own key was never told to the provider             |
| any of these whose copy was let go of since      | the same: it is not sent again                                   |
| anything else                                    | after the settling time, a fresh look decides what is left to do |
"""

from __future__ import annotations

from core.errors import AmbiguousError, RejectedError, ReplyError
from core.ports import Written
from core.store import intents, mappings, work
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.batch import Report
from core.sync.documents.copies import CREATE, hold
from core.sync.documents.finding import find_own, several
from core.sync.documents.sending import (
    commit_written,
    doubt,
    is_repeatable,
    key_helps,
    send_steps,
    wake_those_about_it,
)
from core.sync.documents.standing import Copy
from core.sync.documents.unfound import may_be_there, remember
from core.sync.failing import tried_in_vain
from core.sync.hub import Connection, Hub


async def resolve_step(hub: Hub, connection: Connection, copy: Copy, intent: Intent, report: Report) -> None:
    """One step towards a known outcome; may only wait. Raises what concerns the whole connection."""
    intent = connection.skew.by_this_clock(intent)
    is_repeated = key_helps(hub, connection, intent) and await hub.db.read(lambda tx: _is_wanted(tx, copy))
    until = _not_before(hub, connection, intent, is_repeated=is_repeated)
    if hub.clock.now() < until:
        await hub.db.run(lambda tx: work.postpone(tx, connection.name, {copy.row.subject: until}, is_attempt=False))
        report.waiting += 1
    elif is_repeated:
        await hub.db.run(lambda tx: intents.under_way(tx, intent.id))
        await send_steps(hub, connection, [[(copy, intent)]], report, is_repeat=True)
    elif intent.action == CREATE:
        await _look_for_it(hub, connection, copy, intent, report)
    else:
        # still dirty: a fresh look tells what of it is there
        await hub.db.run(lambda tx: _give_up(tx, hub, connection, copy, intent))


def _give_up(tx: Tx, hub: Hub, connection: Connection, copy: Copy, intent: Intent) -> None:
    intents.close(tx, {intent.id: "void"}, hub.clock.now())
    tried_in_vain(tx, hub, connection, copy.row)
    if intent.action != CREATE:
        # it may be final by this step: what settles it was refused as long as it was none
        wake_those_about_it(tx, hub, connection, copy)
    if may_be_there(connection, intent):
        mappings.lock(tx, [copy.mapping.id])
        remember(tx, hub, copy, intent)


def _is_wanted(tx: Tx, copy: Copy) -> bool:
    """Not what a person has let go of: sent again, it would be made after all."""
    return mappings.by_ids(tx, [copy.mapping.id])[copy.mapping.id].state not in (mappings.ENDED, "excluded")


def _not_before(hub: Hub, connection: Connection, intent: Intent, *, is_repeated: bool) -> float:
    """When the outcome can be told: a request may still land after our time-out."""
    manifest, patience = connection.manifest, hub.timing.patience
    told = intent.resolve_after or 0.0
    if is_repeated and (told or manifest.create_key_seconds is not None):
        return told
    lag = manifest.lookup_lag_seconds if intent.action == CREATE else 0.0
    settling = (manifest.settle_seconds + lag) * patience
    # where a repeat was to tell, the wait was for that alone
    is_counted = is_repeated or not is_repeatable(connection, intent)
    return max(intent.sent_at + settling, told if is_counted or not told else told + settling)


async def _look_for_it(hub: Hub, connection: Connection, copy: Copy, intent: Intent, report: Report) -> None:
    since = intent.sent_at - connection.manifest.settle_seconds
    try:
        ours = await find_own(hub, connection, copy, since=since)
    except (RejectedError, ReplyError) as error:
        # "could not read" is not "not there": it stays in doubt, told, and is looked for as long as it takes
        unknown = AmbiguousError(f"it cannot be looked for: {error}")
        await hub.db.run(lambda tx: doubt(tx, hub, connection, copy, intent, unknown))
        report.waiting += 1
        return

    def commit(tx: Tx) -> None:
        mappings.lock(tx, [copy.mapping.id])
        if len(ours) == 1:
            commit_written(tx, hub, connection, copy, intent, Written(ours[0]), report)
        elif ours and _is_wanted(tx, copy):
            hold(tx, hub, connection, copy, several(copy, ours))
        else:
            # none; or several of a copy that was let go of, and nobody is asked which of them it is
            intents.doubt(tx, intent.id, hub.clock.now(), "it was looked for, and is not there")
            _give_up(tx, hub, connection, copy, intent)

    await hub.db.run(commit)
