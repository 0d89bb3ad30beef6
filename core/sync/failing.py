"""Failures by record: back-off, and death after too many attempts (a person must retry then)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import AccordError, AmbiguousError, ReauthorizeError, RejectedError, RetryError, WrongAccountError
from core.ports import Bad
from core.store import connections, failures, journal, work
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.documents.marking import BY_THE_CLOCK
from core.sync.hub import KIND, Connection, Hub, Timing

RAW_SHOWN = 2000
BAD_RECORD = "bad_record"
CONNECT = "connect"
"""What the journal says of a person who has stored credentials."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one record. `raw` is printable ASCII, so that any database can store it."""

    error: AccordError
    raw: str = ""
    record_id: str | None = None


def concerns_all(receipt: object) -> bool:
    """Whether the connection as a whole must stop, or wait for long: that is no record's failure."""
    return isinstance(receipt, ReauthorizeError) or (isinstance(receipt, RetryError) and receipt.is_long)


def back_off(timing: Timing, attempts: int) -> float:
    """Seconds until the next attempt: doubling, capped."""
    return min(timing.longest_back_off, timing.first_back_off * 2.0 ** min(attempts, 30))


def record_bad(tx: Tx, hub: Hub, connection: Connection, bad: Mapping[str, Bad], trace: str, kind: str = KIND) -> None:
    """A record that cannot be taken never stops a page: it is stored by its subject, and shown."""
    now = hub.clock.now()
    rows = [
        failures.Failure(
            connection=connection.name,
            subject=subject,
            kind=kind,
            field=one.field,
            code=BAD_RECORD,
            message=f"{one.field}: {one.problem}" if one.field else one.problem,
            raw=one.raw[:RAW_SHOWN],
            state="retrying",
            first_at=now,
            last_at=now,
            trace=trace,
        )
        for subject, one in bad.items()
    ]
    failures.record(tx, rows)


def record_trouble(tx: Tx, hub: Hub, connection: Connection, troubled: Mapping[DirtyRow, Trouble]) -> None:
    """Store what failed, and when to look again; a wait that the provider asked for is no attempt.

    Nor is a look at what waits for something else: what waited for long, and fails once, is not given up for that.
    """
    now = hub.clock.now()
    dead, rows = [], []
    known = failures.known(tx, connection.name, [row.subject for row in troubled])
    for row, trouble in troubled.items():
        told = trouble.error.retry_after if isinstance(trouble.error, RetryError) else None
        failed = min(row.attempts, known[row.subject].attempts) if row.subject in known else 0
        is_last = failed + 1 >= hub.timing.attempts_before_dead or _stays_dead(row, known.get(row.subject))
        is_dead = told is None and is_last
        next_at = None if is_dead else now + (told if told is not None else back_off(hub.timing, failed))
        rows.append(
            failures.Failure(
                connection=connection.name,
                subject=row.subject,
                kind=row.kind,
                record_id=trouble.record_id,
                field=trouble.error.field if isinstance(trouble.error, RejectedError) else None,
                code=trouble.error.code,
                message=str(trouble.error),
                raw=trouble.raw[:RAW_SHOWN],
                state="dead" if is_dead else "retrying",
                first_at=now,
                last_at=now,
                next_at=next_at,
                trace=row.trace,
            )
        )
        if next_at is None:
            dead.append(row)
        else:
            work.postpone(tx, connection.name, {row.subject: next_at}, is_attempt=told is None)
    failures.record(tx, rows)
    work.clear(tx, connection.name, dead)


def record_doubt(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, why: str, until: float, record_id: str | None
) -> None:
    """Nobody knows whether a write happened: looked into then, and shown until it is known."""
    work.postpone(tx, connection.name, {row.subject: until}, is_attempt=False)
    error = AmbiguousError(f"a write went unanswered and is being looked into: {why}")
    failure = failures.Failure(
        connection=connection.name,
        subject=row.subject,
        kind=row.kind,
        record_id=record_id,
        code=error.code,
        message=str(error),
        state="retrying",
        first_at=hub.clock.now(),
        last_at=hub.clock.now(),
        next_at=until,
        trace=row.trace,
    )
    failures.record(tx, [failure])


def _stays_dead(row: DirtyRow, known: failures.Failure | None) -> bool:
    """One try of the hour's does not take it up again: whoever is told of what was given up would be, every hour."""
    return known is not None and known.state == "dead" and row.reason in BY_THE_CLOCK


def tried_in_vain(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow) -> None:
    """What went unanswered was not done: at once again the first time, then after ever longer waits.

    Never given up for it, as an outage looks the same; but a provider may fail at this one record for ever.
    """
    known = failures.known(tx, connection.name, [row.subject]).get(row.subject)
    again = known.attempts - 1 if known else 0
    until = hub.clock.now() + (back_off(hub.timing, again) if again > 0 else 0.0)
    work.postpone(tx, connection.name, {row.subject: until}, is_attempt=False)


def dealt_with(tx: Tx, connection: Connection, rows: Sequence[DirtyRow]) -> None:
    """Nothing is left to do about these, for whatever reason: what failed about them before stands no more."""
    work.clear(tx, connection.name, rows)
    failures.resolve(tx, connection.name, [row.subject for row in rows])


def stop_or_pause(tx: Tx, hub: Hub, name: str, error: AccordError, troubles: int, since: float) -> None:
    """Trouble with the connection as a whole: pause it, or stop it until a person acts. Records lose nothing.

    `troubles`: how often in a row it had some before, which makes the pause longer. `since`: no later than what failed
    was begun; of credentials that a person has stored by now, its refusal says nothing.
    """
    values: dict[str, object] = {"error": told_of(error, name), "error_code": error.code}
    connections.change(tx, name, **values)  # whoever stores some just now has ended, or finds what is written here
    calls_for_a_person = isinstance(error, ReauthorizeError | WrongAccountError)
    if calls_for_a_person and not journal.is_noted(tx, name, CONNECT, since):
        values["state"] = "reauthorize"
    else:
        told = error.retry_after if isinstance(error, RetryError) else None
        values["paused_until"] = hub.clock.now() + (told if told is not None else back_off(hub.timing, troubles))
    hub.log.warning("connection.troubled", connection=name, code=error.code, problem=values["error"])
    connections.change(tx, name, **values)


def in_order_again(tx: Tx, name: str) -> None:
    """The connection answers: no pause, no error."""
    connections.change(tx, name, error="", error_code="", paused_until=None)


def told_of(error: AccordError, connection: str) -> str:
    """What is the matter with a connection, in words; a cure that names no connection names this one."""
    return str(error).replace("`accord connect`", f"`accord connect {connection}`")
