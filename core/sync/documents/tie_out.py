"""Closing a period: which of its documents have an equal copy at each connection, and which have not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec

from core.errors import InvalidInputError
from core.model.documents import KINDS, Document, day_of, references
from core.model.entities import Route
from core.model.holds import DOCUMENT_CHANGED, DOCUMENT_GONE, TEXTS, UNTOLD
from core.model.lifecycle import is_final
from core.model.merge import digest_of
from core.model.money import ZERO, spelled, written
from core.store import connections, documents, failures, holds, journal, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync.documents import by_hand
from core.sync.documents.accounting import Unaccounted, unaccounted
from core.sync.documents.grounds import Ground, grounds, is_over, sound
from core.sync.documents.let_go import to_book
from core.sync.documents.marking import named_in
from core.sync.documents.offering import NOTHING_TO_COPY, is_of_outside, is_wanted
from core.sync.documents.routing import Routes
from core.sync.documents.standing import is_equal
from core.sync.documents.taking import DAY
from core.sync.documents.telling import today
from core.sync.documents.waits import waits_at
from core.sync.hub import Connection, Hub

REFUSED: Final = (DOCUMENT_CHANGED, DOCUMENT_GONE, UNTOLD)
"""Holds on what an origin says."""
MOST: Final = 10_000
OPEN: Final = ("missing", "differs", "unrouted")
"""Outcomes that keep a period open."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One document that is not equal everywhere."""

    connection: str
    kind: str
    id: str
    number: str
    currency: str
    amount: str
    outcome: str


class Left(Line, frozen=True, kw_only=True):
    """One that a person let go of there, by an answer to a hold; `by` whom the journal names."""

    by: str


class Sum(msgspec.Struct, kw_only=True):
    """One connection, kind and currency: how many documents of the period, what they come to (what is void: nothing).

    `left`: those that a person let go of there. `outside`: those that policy wants no copy of there, that are another
    entity's, or that were void before there was one; `unrouted`: those whose entity is not known, at each connection
    that may be theirs. The three are not in `amount`.
    `by_hand`: of those that match, how many match with what a person booked there.
    """

    connection: str
    kind: str
    currency: str
    matched: int = 0
    by_hand: int = 0
    missing: int = 0
    differs: int = 0
    left: int = 0
    outside: int = 0
    unrouted: int = 0
    amount: Decimal = ZERO
    matched_amount: Decimal = ZERO
    left_amount: Decimal = ZERO


class Untaken(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an origin whose word was not taken: its copies match what the registry knows, and no more.

    Number, day, amount and currency are those that were taken before; "" where nobody knows them: it could not be
    read, or was not yet.
    """

    connection: str
    kind: str
    remote_id: str
    why: str
    cure: str = ""
    number: str = ""
    issued_on: str = ""
    amount: str = ""
    currency: str = ""


COLUMNS: Final = tuple(
    dict.fromkeys(name for of in (Sum, Left, Untaken, Unaccounted, Ground) for name in of.__struct_fields__)
)
"""Every field that a row of a tie-out may have, in the order in which a file shows them."""


def tie_out(tx: Tx, hub: Hub, period: str) -> dict[str, Any]:
    """`2026-10` (or a year, `2026`): sums, what does not match or was not taken, a digest of it all. InvalidInputError.

    Of what was never understood nobody knows the day: it is told of with every period. `connections`: what all of it
    rests on; the digest covers how they stand, and not when they were read.
    """
    check_period(period)
    check_begun(period, today(hub))
    counted = _Counted()
    for kind in KINDS:
        _count_kind(tx, hub, period, kind, counted)
    found = [counted.sums[key] for key in sorted(counted.sums)]
    untaken = [one for name in sorted(hub.connections) for one in _untaken(tx, hub.connections[name], period)]
    waiting, outside = _waiting(tx, hub, period, {(one.connection, one.kind, one.remote_id) for one in untaken})
    shown = {
        "period": period,
        "sums": [written(one, one.currency) for one in found],
        "differences": msgspec.to_builtins(counted.odd),
        "left": msgspec.to_builtins(counted.left),
        "untaken": msgspec.to_builtins(untaken + waiting),
        "outside": msgspec.to_builtins(outside),
        "unaccounted": msgspec.to_builtins(unaccounted(tx, hub, counted.bills)),
    }
    footing = grounds(tx, hub, period, counted.places)
    digest = digest_of("tie_out", {**shown, "connections": sound(footing)})
    return {**shown, "connections": msgspec.to_builtins(footing), "is_over": is_over(hub, period), "digest": digest}


@dataclass(slots=True)
class _Counted:
    """What the copies of a period's documents come to, and which invoices they are of."""

    sums: dict[tuple[str, str, str], Sum] = field(default_factory=dict)
    odd: list[Line] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    bills: list[Paper] = field(default_factory=list)
    places: dict[str, set[str]] = field(default_factory=dict)
    """Where documents that are counted were made, and of which kinds; and where policy has copies, or had."""

    def place(self, papers: Sequence[Paper]) -> None:
        """Remember where these were made."""
        for one in papers:
            self.places.setdefault(one.origin, set()).add(one.kind)


def _count_kind(tx: Tx, hub: Hub, period: str, kind: str, counted: _Counted) -> None:
    standing = {row.name: row for row in connections.every(tx)}
    papers = [one for one in documents.of_period(tx, kind, period) if is_counted(one.document, period)]
    counted.place(papers)
    counted.bills += papers if kind == "invoice" else ()
    rows = mappings.of_records(tx, [one.id for one in papers])
    routes = Routes(tx, hub, papers)
    bills = mappings.of_records(tx, {name for one in papers for name in references(one.document)})
    billed = {
        name: {one for one, some in bills.items() if any(row.connection == name for row in some)} for name in standing
    }
    for paper in papers:
        states = {row.connection: row for row in rows.get(paper.id, ())}
        if _is_left_at_origin(paper, states.get(paper.origin)):
            counted.left.append(_left(tx, _line(paper, paper.origin, "left")))
        for name in sorted(hub.connections):
            row, connection, state = states.get(name), hub.connections[name], standing[name]
            if _may_have_a_copy(paper, connection, row):
                counted.places.setdefault(name, set())
                # what was offered with its invoice is wanted, whatever its day
                wanted = is_wanted(paper, hub, connection, state, is_of_any_day=row is not None) and (
                    row is not None or not is_of_outside(hub, connection, state, routes.invoices(paper), billed[name])
                )
                route = routes.at(name, paper) if wanted else "elsewhere"
                line = _count(counted.sums, paper, name, outcome_of(paper, row, route))
                if line.outcome == "left":
                    counted.left.append(_left(tx, line))
                elif line.outcome in OPEN:
                    counted.odd.append(line)
                if row is not None and is_equal(paper, row) and by_hand.has_any(row):
                    counted.sums[name, kind, paper.document.currency].by_hand += 1


def _may_have_a_copy(paper: Paper, connection: Connection, row: MappingRow | None) -> bool:
    """A copy that is there stays, and follows its document, also where policy makes no others any more."""
    is_there = row is not None and row.remote_id is not None
    return connection.name != paper.origin and (is_there or paper.kind in connection.policy.documents.mirrors)


def _untaken(tx: Tx, connection: Connection, period: str) -> list[Untaken]:
    name = connection.name
    failed = [one for one in failures.listing(tx, connection=name, limit=MOST) if one.kind in KINDS]
    asked = [one for why in REFUSED for one in holds.listing(tx, connection=name, reason=why, limit=MOST)]
    told = {one.subject: one.message for one in failed} | {one.subject: TEXTS[one.reason] for one in asked}
    moved = {one.subject for one in asked if _is_moved_into(one, period)}
    rows = mappings.by_ids(tx, [one[2:] for one in told if one.startswith("m:")])
    papers = documents.by_ids(tx, [row.record_id for row in rows.values()])
    found = []
    for subject, why in sorted(told.items()):
        known: dict[str, str] = {}
        if subject.startswith("d:"):
            kind, remote_id = named_in(subject)
        else:
            paper = papers.get(rows[subject[2:]].record_id) if subject[2:] in rows else None
            if paper is None or paper.origin != name:
                continue  # of a copy it is told above
            if not is_counted(paper.document, period) and subject not in moved:
                continue
            kind, remote_id, known = paper.kind, paper.remote_id, _as_known(paper)
        if kind in connection.policy.documents.originates:
            found.append(Untaken(connection=name, kind=kind, remote_id=remote_id, why=why, **known))
    return found


def _as_known(paper: Paper) -> dict[str, str]:
    """Which document it is, as it was last taken, and where what is asked or wrong about it is shown."""
    day, currency = day_of(paper.document), paper.document.currency
    return {
        "number": paper.called,
        "issued_on": day.isoformat() if day else "",
        "amount": spelled(paper.amount, currency),
        "currency": currency,
        "cure": f"`accord explain {paper.called}` shows what is asked about it, or wrong with it",
    }


def _is_moved_into(hold: Hold, period: str) -> bool:
    """Whether what is asked about changed its day, too, and is of a period by now."""
    day = hold.detail.get(DAY)
    return isinstance(day, dict) and str(day["is"]).startswith(f"{period}-")


def _waiting(
    tx: Tx, hub: Hub, period: str, told: Collection[tuple[str, str, str]]
) -> tuple[list[Untaken], list[Untaken]]:
    """What waits at its origin to be taken, but for what was `told`; and what policy keeps out with its customer.

    What was named a moment ago and is read any moment is neither: of what happens right now, no close can tell.
    """
    now = hub.clock.now()
    untaken: list[Untaken] = []
    outside: list[Untaken] = []
    for _, connection in sorted(hub.connections.items()):
        for one in waits_at(tx, hub, connection):
            is_new = not one.is_read and now - one.since < hub.timing.changes_every
            if is_new or not one.is_counted(period) or (one.connection, one.kind, one.remote_id) in told:
                continue
            found = Untaken(
                connection=one.connection, kind=one.kind, remote_id=one.remote_id, why=one.why, cure=one.cure,
                number=one.number, issued_on=one.issued_on, amount=one.amount, currency=one.currency,
            )  # fmt: skip
            (outside if one.is_outside else untaken).append(found)
    return untaken, outside


def outcome_of(paper: Paper, row: MappingRow | None, route: Route) -> str:
    """How a document's copy stands: matched, missing, differs, left, unrouted, or outside of what is to be there."""
    if row is not None and to_book(paper, row) is not None:
        return "differs"
    if row is not None and row.state == "excluded" and (row.remote_id is not None or route != "elsewhere"):
        return "left"
    if row is not None and row.remote_id is not None:
        return "matched" if is_equal(paper, row) else "differs"
    if route in ("elsewhere", "unknown"):
        return "outside" if route == "elsewhere" else "unrouted"
    return "missing"


def check_period(period: str) -> None:
    """Refuse what is neither a month nor a year."""
    try:
        date.fromisoformat(f"{period}-01" if len(period) == 7 else f"{period}-01-01")
    except ValueError:
        raise InvalidInputError(
            f"{period!r} is no period", field="period", limit="2026-10, or 2026", cure="name a month or a year"
        ) from None


def check_begun(period: str, day: date) -> None:
    """Refuse a period that has not begun by a day (UTC)."""
    current = day.isoformat()[: len(period)]
    if period > current:
        raise InvalidInputError(
            f"{period} has not begun", field="period", limit=f"{current} at the latest", cure="close it when it is over"
        )


def is_counted(document: Document, period: str) -> bool:
    """Whether a document is final and of the period. One that nothing says the day of may be of any."""
    day = day_of(document)
    if day is None:
        return is_final(document) and document.status not in NOTHING_TO_COPY
    return day.isoformat().startswith(f"{period}-") and is_final(document)


def _count(sums: dict[tuple[str, str, str], Sum], paper: Paper, connection: str, outcome: str) -> Line:
    document = paper.document
    worth = ZERO if document.status in NOTHING_TO_COPY else paper.amount
    key = (connection, paper.kind, document.currency)
    one = sums.setdefault(key, Sum(connection=connection, kind=paper.kind, currency=document.currency))
    setattr(one, outcome, getattr(one, outcome) + 1)
    if outcome in ("matched", "missing", "differs"):
        one.amount += worth
    if outcome == "matched":
        one.matched_amount += worth
    if outcome == "left":
        one.left_amount += worth
    return _line(paper, connection, outcome)


def _line(paper: Paper, connection: str, outcome: str) -> Line:
    currency = paper.document.currency
    return Line(
        connection=connection,
        kind=paper.kind,
        id=paper.id,
        number=paper.called,
        currency=currency,
        amount=spelled(paper.amount, currency),
        outcome=outcome,
    )


def _is_left_at_origin(paper: Paper, row: MappingRow | None) -> bool:
    """Whether a document is not there any more where it was made, and a person let it stay as it was."""
    return row is not None and row.state == "excluded" and paper.document.status not in NOTHING_TO_COPY


def _left(tx: Tx, line: Line) -> Left:
    told = [one for one in journal.of_record(tx, line.id, MOST) if one.connection == line.connection]
    by = next((one.actor for one in told if one.action == "unlink"), "")
    return Left(**msgspec.structs.asdict(line), by=by)


def is_tied(found: Mapping[str, Any]) -> bool:
    """Whether nothing is missing, nothing differs, everything was taken and adds up, and every connection was read."""
    are_sound = all(one["is_sound"] for one in found["connections"])
    return are_sound and not (found["differences"] or found["untaken"] or found["unaccounted"])
