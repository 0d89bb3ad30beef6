"""The inbox: verified bytes, one durable row, then 2xx; later the rows become notices.

Deliveries that arrive together are committed together (one fsync for many).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from core.errors import PartlyReadError, ReplyError, SignatureError, StorageError
from core.ports import Delivery, Notice
from core.store import connections, erasing, inbox, mappings, tombstones, work
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.text import chunks
from core.sync.accounts import of_nobody, show_strangers, spellings
from core.sync.batch import Report
from core.sync.documents.marking import Named, mark_documents
from core.sync.hub import KIND, Connection, Hub
from core.sync.notices import mark_objects
from core.sync.races import judge_races

Read = tuple[Letter, Sequence[Notice]]
"""A delivery, and what it names."""

LETTERS_AT_ONCE = 200
LONGEST_ID = 255
GATHER_SECONDS = 0.001
"""How long a commit waits for those who were answered just now and have more to deliver."""
MARKED_AT_ONCE = 50
"""A delivery that comes while letters become marks waits for the end of that transaction: it must be a short one."""
SECRETS_LIVE_SECONDS = 10.0
"""How long signing secrets are used without a look into the vault."""
SECRETS_REST_SECONDS = 1.0
"""A signature that does not fit may be of a secret that was rolled just now: look, but not for every forgery."""


class Routed(NamedTuple):
    """Deliveries by the connection that they concern, and by id those of an account that is nobody's, with which."""

    found: dict[str, list[Read]]
    strangers: dict[int, str]


class InboxWriter:
    """Group commit: whoever comes while a commit is under way goes with the next one."""

    def __init__(self, hub: Hub) -> None:
        """Nothing runs until the first delivery."""
        self._hub = hub
        self._waiting: list[tuple[Letter, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._are_enough: tuple[int, asyncio.Future[None]] | None = None
        self._secrets: dict[str, tuple[float, tuple[str, ...]]] = {}

    def secrets(self, connection: Connection, *, oldest: float = SECRETS_LIVE_SECONDS) -> tuple[str, ...]:
        """The connection's live signing secrets, as they were at most `oldest` seconds ago; StorageError."""
        now = self._hub.clock.now()
        known = self._secrets.get(connection.name)
        if known is None or not 0 <= now - known[0] <= oldest:
            known = self._secrets[connection.name] = (now, connection.webhook_secrets())
        return known[1]

    async def receive(self, connection: Connection, delivery: Delivery) -> str:
        """Verify and store one delivery; returns its trace. Durable when this returns.

        Raises SignatureError (nothing stored) and StorageError (the provider shall try again).
        """
        hub = self._hub
        now = hub.clock.now()
        self._verify(connection, delivery, now)
        key = connection.webhooks.dedupe_key(delivery)
        letter = Letter(
            connection=connection.name, dedupe_key=key, body=delivery.body, received_at=now, trace=hub.ids.new()
        )
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((letter, done))
        if self._are_enough is not None and len(self._waiting) >= self._are_enough[0]:
            _finish(self._are_enough[1])
        if self._writer is None:
            # a task of its own: a delivery must not wait for the commits of those that come after it
            self._writer = asyncio.create_task(self._write_all())
        await done
        return letter.trace

    def _verify(self, connection: Connection, delivery: Delivery, now: float) -> None:
        secrets = self.secrets(connection)
        try:
            connection.webhooks.verify(delivery, secrets, now)
        except SignatureError:
            rolled = self.secrets(connection, oldest=SECRETS_REST_SECONDS)
            if rolled == secrets:
                raise
            connection.webhooks.verify(delivery, rolled, now)

    async def _write_all(self) -> None:
        """Commit batch after batch until nobody waits. Every waiter gets an answer, come what may."""
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:LETTERS_AT_ONCE], self._waiting[LETTERS_AT_ONCE:]
                await self._write(some)
                await self._gather(len(self._waiting), len(some))
        finally:
            self._writer = None

    async def _gather(self, waiting: int, answered: int) -> None:
        """Wait a moment for those `answered`: else the senders come in two groups, and each waits for two commits."""
        many = min(waiting + answered, LETTERS_AT_ONCE)
        if not 0 < waiting < many:
            return
        loop = asyncio.get_running_loop()
        are_enough = loop.create_future()
        self._are_enough = (many, are_enough)
        timer = loop.call_later(GATHER_SECONDS, _finish, are_enough)
        try:
            await are_enough
        finally:
            timer.cancel()
            self._are_enough = None

    async def _write(self, some: Sequence[tuple[Letter, asyncio.Future[None]]]) -> None:
        letters = [letter for letter, _ in some]
        try:
            await self._hub.db.run(lambda tx: inbox.add(tx, letters))
        except BaseException as error:
            failure = error if isinstance(error, StorageError) else StorageError(f"not stored: {error}")
            for _, done in some:
                if not done.done():
                    done.set_exception(failure)
            if not isinstance(error, Exception):
                raise
            return
        for _, done in some:
            _finish(done)
        for name in {letter.connection for letter in letters}:
            self._hub.wake(name)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def drain(hub: Hub, connection: Connection, report: Report) -> bool:
    """Turn waiting deliveries into dirty marks; False when there were none."""
    letters = await hub.db.read(lambda tx: inbox.new(tx, connection.name, LETTERS_AT_ONCE))
    if not letters:
        return False
    taken: list[Read] = []
    problems: dict[int, str] = {}
    for letter in letters:
        try:
            notices, problem = understood(connection, letter.body)
        except Exception as error:
            # kept and shown, and read again when it is sent again: it must not keep the others from being read
            hub.log.exception("inbox.bug", connection=connection.name, trace=letter.trace)
            notices, problem = (), f"a bug of Accord's ({type(error).__name__}); the log has the details"
        if problem:
            problems[letter.id] = problem
        taken.append((letter, notices))

    for some in chunks(taken, MARKED_AT_ONCE):
        await hub.db.run(partial(_mark, hub, connection, some, problems))
    report.looked += len(letters)
    report.failed += len(problems)
    return True


def _mark(hub: Hub, connection: Connection, some: Sequence[Read], problems: Mapping[int, str], tx: Tx) -> None:
    found, strangers = take(tx, hub, connection, some)
    inbox.done(tx, [letter.id for letter, _ in some])
    odd = {letter.id: problems[letter.id] for letter, _ in some if letter.id in problems}
    for one in odd.keys() & strangers.keys():
        odd[one] = f"{odd[one]}; {of_nobody(strangers.pop(one))}"
    if strangers:
        show_strangers(tx, connection.name, strangers)
    inbox.poison(tx, odd)
    for name, read in found.items():
        erasing.empty_letters(tx, _of_the_erased(tx, hub.connections[name], read))


def understood(connection: Connection, body: bytes) -> tuple[Sequence[Notice], str]:
    """What a delivery names, and what is the matter with the rest of it; "" where all was understood."""
    try:
        notices, problem = connection.webhooks.notices(body), ""
    except PartlyReadError as error:
        notices, problem = error.notices, str(error)
    except ReplyError as error:
        notices, problem = (), str(error)
    usable = [one for one in notices if not _unusable(one)]
    return usable, problem or next(filter(None, map(_unusable, notices)), "")


def _unusable(notice: Notice) -> str:
    """What is wrong with ids that no index or database holds: one would fail every letter that is marked with it."""
    ids = named([notice])
    if any("\0" in one for one in ids):
        return "it names an object by an id with U+0000 in it; no id has that"
    longest = max(map(len, ids), default=0)
    if longest > LONGEST_ID:
        return f"it names an object by an id of {longest} letters; no id has more than {LONGEST_ID}"
    return ""


def named(notices: Sequence[Notice]) -> set[str]:
    """The objects that a delivery is about."""
    return {one for notice in notices for one in (notice.remote_id, *notice.merged)}


def _of_the_erased(tx: Tx, connection: Connection, letters: Sequence[Read]) -> list[int]:
    about = {letter.id: named(notices) for letter, notices in letters}
    erased = tombstones.erased_objects(tx, connection.name, set().union(*about.values()))
    papers = {one.id: {(of.kind, of.remote_id) for of in notices if of.kind != KIND} for one, notices in letters}
    billed = _billed_to_the_erased(tx, connection, set().union(*papers.values()))
    return [one for one, objects in about.items() if objects & erased or papers[one] & billed]


def _billed_to_the_erased(tx: Tx, connection: Connection, papers: Collection[Named]) -> set[Named]:
    """Those known to be theirs of these documents: an invoice's event may say whose it is, by name and address."""
    subjects: dict[str, Named] = {}
    for kind in {kind for kind, _ in papers}:
        rows = mappings.by_remote_ids(tx, connection.name, kind, [name for of, name in papers if of == kind])
        subjects |= {work.mapping_subject(row.id): (kind, name) for name, row in rows.items()}
    return {subjects[one] for one in tombstones.erased_subjects(tx, connection.name, subjects)}


def take(tx: Tx, hub: Hub, connection: Connection, understood: Sequence[Read]) -> Routed:
    """Mark what the letters name, all at once: while this runs, no other delivery is stored.

    Each at the connection whose account it is of.
    """
    routed = by_connection(tx, hub, connection, understood)
    for name, read in routed.found.items():
        _take_at(tx, hub, hub.connections[name], read)
    return routed


def by_connection(tx: Tx, hub: Hub, connection: Connection, understood: Sequence[Read]) -> Routed:
    """What concerns each connection: an app has one address, and an id in one account is another object elsewhere."""
    here, own = _accounts(tx, hub, connection)
    others = [] if own else [connection.name]
    found: dict[str, list[Read]] = {}
    strangers: dict[int, str] = {}
    for letter, notices in understood:
        parts: dict[str, list[Notice]] = {}
        for one in notices:
            account = own + one.account if one.account.startswith(":") else one.account
            owners = here.get(account, others) if account else [connection.name]
            if not owners:
                strangers[letter.id] = account
            for name in owners:
                parts.setdefault(name, []).append(one)
        for name, some in parts.items():
            found.setdefault(name, []).append((letter, some))
    return Routed(found, strangers)


def _accounts(tx: Tx, hub: Hub, connection: Connection) -> tuple[dict[str, list[str]], str]:
    """Account, with its mode and without -> connections of it, of this provider; and this one's own, where it is known.

    What is told of others before that may be told of its own.
    """
    found: dict[str, list[str]] = {}
    own = ""
    for row in connections.every(tx):
        one = hub.connections.get(row.name)
        if one is not None and one.manifest.provider == connection.manifest.provider and row.account_id:
            for account in spellings(row.account_id):
                found.setdefault(account, []).append(row.name)
            own = spellings(row.account_id)[-1] if row.name == connection.name else own
    return found, own


def _take_at(tx: Tx, hub: Hub, connection: Connection, understood: Sequence[Read]) -> None:
    traces: dict[str, str] = {}
    papers: dict[Named, str] = {}
    for letter, notices in understood:
        for notice in notices:
            if notice.kind == KIND:
                traces |= dict.fromkeys((notice.remote_id, *notice.merged), letter.trace)
            else:
                papers[notice.kind, notice.remote_id] = letter.trace
        judge_races(tx, hub, connection, notices)
    mark_documents(tx, hub, connection, papers, reason="webhook")
    mark_objects(tx, hub, connection, traces, reason="webhook", trace=traces, may_be_echoes=True)
    for absorbed, survivor in _merges(understood).items():
        reason = f"{work.MERGED_INTO}{survivor}"
        mark_objects(tx, hub, connection, [absorbed], reason=reason, trace=traces[absorbed])


def _merges(understood: Sequence[Read]) -> dict[str, str]:
    """Absorbed customer -> survivor: not every provider's reads tell it."""
    merges = [notice for _, some in understood for notice in some if notice.kind == KIND]
    return {absorbed: one.remote_id for one in merges for absorbed in one.merged}
