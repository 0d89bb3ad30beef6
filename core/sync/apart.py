"""A batch that cannot be done as a whole is done one by one, so that a bad record is nobody else's trouble."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from core.errors import AccordError, BugError, InvalidInputError, RejectedError
from core.store.work import DirtyRow
from core.sync.batch import Report
from core.sync.blame import REFUSALS, blame
from core.sync.failing import Trouble, record_trouble
from core.sync.hub import Connection, Hub

Reconcile = Callable[[Hub, Connection, Sequence[DirtyRow]], Awaitable[Report]]

TRACES_SHOWN: Final = 20
OF_A_RECORD: Final = (BugError, InvalidInputError, RejectedError)
"""What is a record's own; everything else that Accord raises is about the connection."""


async def one_by_one(
    hub: Hub, connection: Connection, reconcile_: Reconcile, rows: Sequence[DirtyRow], report: Report
) -> None:
    """One batch. Raises only what concerns the whole connection."""
    await _apart(hub, connection, reconcile_, rows, report, set())


async def _apart(
    hub: Hub,
    connection: Connection,
    reconcile_: Reconcile,
    rows: Sequence[DirtyRow],
    report: Report,
    answering: set[str],
) -> None:
    """`answering`: kinds whose reads were answered since the batch was refused, so that a refusal is a record's own."""
    try:
        done = await reconcile_(hub, connection, rows)
        report.add(done)
        # the ids that the journal has too: of the webhook, sweep, request or change that this work came from
        traces = sorted({row.trace for row in rows if row.trace})[:TRACES_SHOWN]
        hub.log.info("reconcile.done", connection=connection.name, traces=traces, **done.numbers())
    except Exception as error:
        if isinstance(error, AccordError) and not isinstance(error, OF_A_RECORD):
            raise
        is_bug = not isinstance(error, RejectedError)
        hub.log.exception("reconcile.failed", connection=connection.name, records=len(rows), exc_info=is_bug)
        if len(rows) == 1:
            if isinstance(error, REFUSALS) and rows[0].kind not in answering:
                await blame(hub, connection, rows[0], error)
                answering.add(rows[0].kind)
            trouble = {rows[0]: Trouble(as_bug(error))}
            await hub.db.run(lambda tx: record_trouble(tx, hub, connection, trouble))
            report.failed += 1
            return
        for row in rows:
            await _apart(hub, connection, reconcile_, [row], report, answering)


def as_bug(error: Exception) -> AccordError:
    """An error of ours; a foreign one is a bug."""
    if isinstance(error, AccordError):
        return error
    # the type only: the text of a foreign error may hold a customer's data
    return BugError(f"this is a bug of Accord's ({type(error).__name__}); the log has the details")
