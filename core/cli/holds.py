"""`accord holds`, `failures`, `retry`, `undo`: what waits for a person, and what a person decides.

Only rows of the registry are written: a running daemon finds them at its next look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.answering import answer, next_step
from core.cli.command import add, add_default, new_group
from core.cli.desk import Desk, known_row
from core.cli.undoing import undo

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.database import Tx
    from core.store.failures import Failure
    from core.store.holds import Hold
    from core.sync.hub import Hub

Connection = Annotated[str | None, typer.Option(metavar="NAME", help="Only this connection's.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Show at most this many rows.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("Show what waits for a person's decision.", is_command=True)
    add_default(group, holds)
    add(group, "answer", answer)
    app.add_typer(group, name="holds")
    add(app, "failures", failures)
    add(app, "retry", retry)
    add(app, "undo", undo)


def holds(
    desk: Desk,
    connection: Connection = None,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="Only holds with this reason, such as conflict.")
    ] = None,
    limit: Limit = 1000,
) -> None:
    """Show what Accord will not decide alone, oldest first; each hold names its choices."""
    from core.cli.hold_ids import open_ids
    from core.errors import InvalidInputError
    from core.model.holds import TEXTS
    from core.store import customers
    from core.store import holds as rows
    from core.sync.answers import choices

    if reason is not None and reason not in TEXTS:
        cure = "`accord holds` shows the reason of each"
        raise InvalidInputError(f"{reason!r} is no reason", field="reason", limit=", ".join(TEXTS), cure=cure)

    def look(tx: Tx) -> tuple[list[dict[str, object]], dict[str, str]]:
        _check_connection(tx, connection)
        found = rows.listing(tx, connection=connection, reason=reason, limit=limit)
        owners, offered = customers.external_ids(tx, [one.record_id for one in found]), choices(tx, found)
        return [_hold(one, owners, offered[one.id]) for one in found], open_ids(tx)

    with desk.root.open_hub() as hub:
        shown, short = hub.db.read_now(look)
    desk.show(shown, lambda screen: _draw_holds(screen, shown, short))


def _check_connection(tx: Tx, connection: str | None) -> None:
    from core.store import connections

    known_row([one.name for one in connections.every(tx)], connection)


def _hold(one: Hold, owners: dict[str, str], offered: Sequence[str]) -> dict[str, object]:
    from core.model.holds import TEXTS

    return {
        "id": one.id,
        "connection": one.connection,
        "external_customer_id": owners.get(one.record_id or "", ""),
        "subject": one.subject,
        "field": one.field,
        "reason": one.reason,
        "why": TEXTS[one.reason],
        "detail": one.detail,
        "digest": one.digest,
        "choices": list(offered),
        "opened_at": one.opened_at,
    }


def _draw_holds(screen: Screen, found: list[dict[str, object]], short: Mapping[str, str]) -> None:
    if not found:
        screen.line("nothing is held")
        return
    for one in found:
        named = (one["connection"], one["external_customer_id"] or _object(str(one["subject"])), one["field"])
        detail = one["detail"] if isinstance(one["detail"], Mapping) else {}
        title = "  ".join([short[str(one["id"])], *(str(part) for part in named if part)])
        screen.block(title, {"why": one["why"], **_told(detail), "choices": one["choices"]})
    screen.line("answer one with `accord holds answer HOLD CHOICE`")


def _object(subject: str) -> str:
    """What a hold is about that is about no customer; "" where it is no single object."""
    return f"object {subject.removeprefix('r:')}" if subject.startswith("r:") else ""


def _told(detail: Mapping[str, object]) -> dict[str, object]:
    """What a hold says of itself, in plain words for a line each."""
    return {name.replace("_", " "): value for name, value in detail.items()}


def failures(desk: Desk, connection: Connection = None, limit: Limit = 1000) -> None:
    """Show failed records, and documents that wait to be taken.

    `retrying` and `waiting` ones are tried again automatically; `dead` ones wait for `accord retry`.
    """
    from core.store import customers
    from core.store import failures as rows

    def look(tx: Tx) -> tuple[list[Failure], dict[str, str], list[dict[str, object]]]:
        _check_connection(tx, connection)
        found = rows.listing(tx, connection=connection, limit=limit)
        owners = customers.external_ids(tx, [one.record_id for one in found])
        return found, owners, _waiting(tx, hub, connection, limit)

    with desk.root.open_hub() as hub:
        found, owners, waiting = hub.db.read_now(look)
    shown: list[dict[str, object]] = [
        {
            "connection": one.connection, "subject": one.subject,
            "external_customer_id": owners.get(one.record_id or "", ""),
            "state": one.state, "attempts": one.attempts, "code": one.code, "field": one.field, "problem": one.message,
            "raw": one.raw, "first_at": one.first_at, "last_at": one.last_at, "next_at": one.next_at, "cure": None,
        }
        for one in found
    ]  # fmt: skip
    shown = (shown + waiting)[:limit]
    desk.show(shown, lambda screen: _draw_failures(screen, shown))


def _waiting(tx: Tx, hub: Hub, connection: str | None, limit: int) -> list[dict[str, object]]:
    from core.sync.documents.waits import read_waits

    return [
        {
            "connection": one.connection, "subject": one.subject, "external_customer_id": "", "state": "waiting",
            "attempts": one.attempts, "code": "waits", "field": None, "problem": one.why, "raw": "",
            "first_at": one.since, "last_at": None, "next_at": None, "cure": one.cure,
        }
        for one in read_waits(tx, hub, connection)[:limit]
    ]  # fmt: skip


def _draw_failures(screen: Screen, found: Sequence[dict[str, object]]) -> None:
    if not found:
        screen.line("nothing fails")
        return
    names = ("connection", "subject", "external_customer_id", "state", "attempts", "problem")
    failed = [one for one in found if one["state"] != "waiting"]
    screen.table(names, [[one[name] for name in names] for one in failed], whole="subject")
    if any(one["state"] == "dead" for one in failed):
        screen.line("dead ones wait for `accord retry CONNECTION SUBJECT`, or for a change of the record")
    waiting = [one for one in found if one["state"] == "waiting"]
    told = ("connection", "subject", "attempts", "problem", "cure")
    screen.table(told, [[one[name] for name in told] for one in waiting], title="not taken yet", whole="subject")


def retry(
    desk: Desk,
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="One connection; without it, all of them.")
    ] = None,
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="[SUBJECT]...", help="What to look at, as `accord failures` shows it.")
    ] = None,
) -> None:
    """Try failed records again now.

    Dead ones too; documents that wait only if you name them.
    """
    from core.cli.asking import actor
    from core.errors import NotFoundError
    from core.sync.answers import retry as look_again

    def work(tx: Tx, hub: Hub, name: str) -> int:
        return look_again(tx, hub, name, subjects or [], actor=actor())

    with desk.root.open_hub() as hub:
        names = desk.known(hub, [] if connection is None else [connection])
        marked = {name: hub.db.run_now(partial(work, hub=hub, name=name)) for name in names}
    if subjects and not any(marked.values()):
        raise NotFoundError("none of these fails", field="subject", cure="`accord failures` shows what does")
    total = sum(marked.values())
    found = {"retried": total, "connections": marked}
    desk.show(found, lambda screen: screen.line(f"{total} to be looked at again; {next_step(desk, connection or '')}"))
