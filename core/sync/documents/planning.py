"""What would become of a connection's documents: the decisions of a run (`verdict_on`), counted, and nothing touched.

Copies that are there and are not known to be equal are read, since nothing of them is kept here; nothing else is asked
of the provider but until when its books are closed. What only its answer to a write says (a number that something
has of which the registry does not know) no plan tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from core.errors import AccordError
from core.model import holds as reasons
from core.model.documents import KINDS, Kind
from core.model.paper import Step
from core.store import announced, connections, documents, holds, intents, mappings, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync import guard
from core.sync.accounts import check_account
from core.sync.documents.deciding import Verdict, gone, refusal, verdict_on
from core.sync.documents.foreseeing import Foresight
from core.sync.documents.forgetting import may_be_forgotten, restored
from core.sync.documents.guarding import COUNTED, begun, digest_of_copy, documents_there, too_many
from core.sync.documents.numbers import Numbers
from core.sync.documents.offering import fresh_mappings, offerable, since_of
from core.sync.documents.placing import misplaced, split
from core.sync.documents.reading import look_at
from core.sync.documents.routing import Routes
from core.sync.documents.standing import Copy, idle, is_equal
from core.sync.documents.tally import DocumentPlan, Outcome, Tally
from core.sync.documents.wanting import ToCome, stand_in
from core.sync.hub import Connection, Hub

AT_ONCE: Final = 200
WAITS: Final = {
    "customer": "its customer has no object there",
    "invoice": "its invoice has no object there",
    "settler": "what settled it is not known",
    "origin": "its origin has it no more, or otherwise: what counts is asked",
}
NO_ENTITY: Final = "its entity is not known"
IN_DOUBT: Final = "a write of it has no known outcome"
UNREADABLE: Final = "it cannot be understood"
FORGOTTEN: Final = "a restored database may have forgotten its copy"
UNREAD: Final = "its copy could not be read"

Candidate = tuple[DirtyRow, MappingRow, Paper]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents are counted. `customer_ids`: of these customers only. `is_whole`: equal copies are read, too."""

    kinds: tuple[Kind, ...] = KINDS
    customer_ids: frozenset[str] | None = None
    is_whole: bool = False

    def has(self, paper: Paper) -> bool:
        """Whether a document is asked about."""
        return paper.kind in self.kinds and (self.customer_ids is None or paper.customer_id in self.customer_ids)


EVERYTHING: Final = Scope()


async def plan_documents(
    hub: Hub, connection: Connection, arriving: Mapping[str, str], scope: Scope = EVERYTHING
) -> tuple[DocumentPlan, dict[str, str]]:
    """The plan, and the digest of each copy that it says is made, by document.

    `arriving`: customers that will have an object there by then, with its id or one that stands for it.
    """
    walk = await hub.db.read(lambda tx: _Walk(tx, hub, connection, arriving, scope))
    await walk.look_at_the_books()
    # what settles an invoice can be copied when that is there
    for kinds in (KINDS[:1], KINDS[1:]):
        for kind in kinds:
            await walk.mapped(kind)
        await walk.unmapped(kinds)
    plan = DocumentPlan(
        since=since_of(connection, walk.row),
        sums=walk.tally.sums(),
        examples=walk.tally.examples,
        asks_first=await hub.db.read(walk.asks_first),
        not_read=walk.not_read,
    )
    return plan, walk.creates


@dataclass(slots=True)
class _Page:
    """Some documents that have a mapping."""

    last: str | None
    unmade: list[Candidate] = field(default_factory=list)
    to_read: list[Candidate] = field(default_factory=list)


class _Walk:
    """One look at all documents that are copied, or are to be copied, to a connection."""

    def __init__(self, tx: Tx, hub: Hub, connection: Connection, arriving: Mapping[str, str], scope: Scope) -> None:
        """Nothing is counted yet; a connection that observes is planned for as if it were activated now."""
        row = connections.get(tx, connection.name)
        self.row: ConnectionRow = msgspec.structs.replace(
            row, first_activated_at=row.first_activated_at or hub.clock.now()
        )
        self.tally = Tally()
        self.creates: dict[str, str] = {}
        self.not_read = ""
        self._hub, self._connection, self._scope = hub, connection, scope
        self._invoices: dict[str, str] = {}
        self._offered: set[str] = set()
        self._to_come = ToCome(customers=arriving, invoices=self._invoices, offered=self._offered)
        self._numbers = Numbers(connection)
        self._unasked: Counter[str] = Counter()
        self._put_back = restored(tx)

    async def look_at_the_books(self) -> None:
        """What is dated in a closed period is told of as held."""
        if not self._connection.policy.documents.mirrors:
            return
        try:
            await self._connection.closing.look(self._connection.connector, self._hub.clock.now())
        except AccordError as error:
            self.not_read = str(error)

    async def mapped(self, kind: Kind) -> None:
        """Documents that have a copy, or a mapping for one."""
        after: str | None = ""
        while after is not None:
            page = await self._hub.db.read(lambda tx, a=after: self._mapped_page(tx, kind, a))  # type: ignore[misc]
            there = await self._read(page.to_read) + [_unmade(*one) for one in page.unmade]
            await self._hub.db.read(lambda tx, some=there: self._decide(tx, some))  # type: ignore[misc]
            after = page.last

    async def unmapped(self, kinds: Sequence[Kind]) -> None:
        """Documents that would be offered."""
        after: str | None = ""
        while after is not None:
            after = await self._hub.db.read(lambda tx, a=after: self._unmapped_page(tx, kinds, a))  # type: ignore[misc]

    def asks_first(self, tx: Tx) -> str:
        """What the mass-change stop would say to all of it at once."""
        if self.row.state != "active":
            return ""  # whoever activates has seen this plan
        so_far, total = begun(tx, self._hub, self._connection), documents_there(tx, self._connection)
        told = announced.digests(tx, self._connection.name, self.creates)
        self._unasked["create"] -= sum(told.get(name) == digest for name, digest in self.creates.items())
        limits = self._hub.policy.guard
        found = [
            too_many(limits, action, so_far[action] + self._unasked[action], total)
            for action in COUNTED
            if self._unasked[action]
        ]
        return "; ".join(filter(None, found))

    def _mapped_page(self, tx: Tx, kind: Kind, after: str) -> _Page:
        name = self._connection.name
        rows = mappings.page(tx, name, after, AT_ONCE, kind)
        page = _Page(rows[-1].id if rows else None)
        papers = documents.by_ids(tx, [row.record_id for row in rows])
        subjects = [work.mapping_subject(row.id) for row in rows]
        dirty, held = work.of_subjects(tx, name, subjects), holds.of_subjects(tx, name, subjects)
        unknown = intents.open_of(tx, [row.id for row in rows])
        for subject, row in zip(subjects, rows, strict=True):
            paper, waits = papers.get(row.record_id), dirty.get(subject)
            if paper is None or paper.origin == name or row.state == "excluded":
                continue
            asked = next((one for one in held.get(subject, ()) if one.state == "open"), None)
            if row.id in unknown:
                self._count(paper, "wait", IN_DOUBT)
            elif asked is not None and waits is None:
                self._count_hold(paper, asked.reason, asked.detail)
            elif row.remote_id is None:
                page.unmade.append((waits or idle(row), row, paper))
            elif self._scope.has(paper) and (waits or self._scope.is_whole or not is_equal(paper, row)):
                page.to_read.append((waits or idle(row), row, paper))
        return page

    async def _read(self, some: Sequence[Candidate]) -> list[Copy]:
        if not some:
            return []
        try:
            # in another account no copy would be there, and each would be told of as gone
            await check_account(self._hub, self._connection, self.row)
            there, vanished = await look_at(self._hub, self._connection, some)
        except AccordError as error:
            self.not_read = str(error)
            for _, _, paper in some:
                self._count(paper, "look", UNREAD)
            return []
        for copy in vanished:
            draft = gone(self._connection, copy)
            self._count_hold(copy.paper, draft.reason, draft.detail)
        return there

    def _unmapped_page(self, tx: Tx, kinds: Sequence[Kind], after: str) -> str | None:
        some = documents.uncopied(tx, self._connection.name, after, AT_ONCE)
        asked = [one for one in some if one.kind in kinds]
        wanted = offerable(tx, self._hub, self._connection, self.row, asked, self._offered)
        papers = {one.id: one for one in wanted}
        self._offered.update(papers)
        rows = fresh_mappings(tx, self._hub, self._connection, wanted)
        self._decide(tx, [_unmade(idle(row), row, papers[row.record_id]) for row in rows])
        return some[-1].id if some else None

    def _decide(self, tx: Tx, copies: Sequence[Copy]) -> None:
        foresight = Foresight(tx, self._hub, self._connection, self._to_come)
        self._numbers.look(tx, [copy.paper for copy in copies if copy.mapping.remote_id is None])
        for copy in self._at_home(tx, copies):
            put_back = self._put_back
            if copy.mapping.remote_id is None and put_back is not None and may_be_forgotten(copy.paper, put_back):
                self._count(copy.paper, "look", FORGOTTEN)
                self._is_to_come(copy.paper)
                continue
            verdict = verdict_on(tx, self._hub, self._connection, copy, foresight)
            if verdict.step is not None:
                self._count_step(copy, verdict.step)
            else:
                self._count_rest(copy, verdict)

    def _at_home(self, tx: Tx, copies: Sequence[Copy]) -> list[Copy]:
        """Those that belong in these books; what waits for its entity, or is asked about, is counted."""
        connection, found = self._connection, []
        routes = Routes(tx, self._hub, [copy.paper for copy in copies])
        for copy in copies:
            where = routes.at(connection.name, copy.paper)
            if where == "here" or copy.paper.document.status == "void":
                found.append(copy)
            elif where == "unknown":
                self._count(copy.paper, "wait", NO_ENTITY, routes.missing(connection.name, copy.paper))
            elif where == "split":
                draft = refusal(split(connection, copy, routes), copy.paper)
                self._count_hold(copy.paper, draft.reason, draft.detail)
            elif where == "misplaced":
                draft = misplaced(connection, copy, routes)
                self._count_hold(copy.paper, draft.reason, draft.detail)
        return found

    def _count_step(self, copy: Copy, step: Step) -> None:
        """A write, unless a person was asked about exactly this and has not approved it."""
        digest, row = digest_of_copy(step.action, copy.paper), copy.row
        if step.action in COUNTED and row.shown == digest and not guard.is_approved(row, digest):
            self._count_hold(copy.paper, reasons.MASS_CHANGE, {"problem": row.reason})
            return
        if step.action in COUNTED and not guard.is_approved(row, digest):
            self._unasked[step.action] += self._scope.has(copy.paper)
        if copy.mapping.remote_id is not None:
            self._count(copy.paper, "change", step.action)
            return
        if (refused := self._numbers.refusal(copy.paper)) is not None:
            draft = refusal(refused, copy.paper)
            self._count_hold(copy.paper, draft.reason, draft.detail)
            return
        self._numbers.take(copy.paper)
        self._count(copy.paper, "create")
        self._is_to_come(copy.paper)
        if self._scope.has(copy.paper):
            self.creates[copy.paper.id] = digest

    def _count_rest(self, copy: Copy, verdict: Verdict) -> None:
        paper, balance = copy.paper, verdict.balance
        draft = verdict.draft or (balance.draft if balance else None)
        if verdict.later is not None:
            self._count(paper, "wait", WAITS[verdict.later.of], str(verdict.later))
        elif verdict.trouble is not None:
            self._count(paper, "fail", UNREADABLE, str(verdict.trouble))
        elif draft is not None:
            self._count_hold(paper, draft.reason, draft.detail)
        elif verdict.stays_asked:
            self._count_hold(paper, reasons.BALANCE_DIFFERS, {})

    def _count_hold(self, paper: Paper, reason: str, detail: Mapping[str, Any]) -> None:
        # by reason and field: with the ids of lines, each would be a group of its own
        place = str(detail.get("field", "")).replace(".", " ").partition(" ")[0]
        self._count(paper, "hold", f"{reason}: {place}" if place else reason, str(detail.get("problem", "")))

    def _count(self, paper: Paper, outcome: Outcome, reason: str = "", says: str = "") -> None:
        if self._scope.has(paper):
            self.tally.add(paper.document, paper.origin, paper.remote_id, outcome, reason, says)

    def _is_to_come(self, paper: Paper) -> None:
        if paper.kind == "invoice":
            self._invoices[paper.id] = stand_in(self._connection, paper.id)


def _unmade(row: DirtyRow, mapping: MappingRow, paper: Paper) -> Copy:
    return Copy(row, mapping, paper, None)
