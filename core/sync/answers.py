"""What a person's answer to a hold does; bound to the values that were seen."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.errors import InvalidInputError, NotFoundError
from core.model import holds
from core.model.documents import KINDS
from core.model.match import CUSTOMERS, EXTERNAL_ID
from core.store import connections, customers, documents, failures, journal, mappings, observations, tombstones, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync import guard
from core.sync.documents import by_hand, let_go
from core.sync.documents.accounting import require_current
from core.sync.documents.marking import wake_what_it_settles
from core.sync.documents.offering import RECREATED, mapping_id
from core.sync.documents.origins import count_as_void
from core.sync.family import parent_left
from core.sync.hub import KIND, Hub
from core.sync.linking import let_go_parts, require_staying
from core.sync.registry import archive, forget
from core.sync.taken import look_again_at_merged


def answer(tx: Tx, hub: Hub, hold_id: str, choice: str, *, actor: str, digest: str | None = None) -> Hold:
    """Answer one hold. Raises NotFoundError, or InvalidInputError naming the choices there are."""
    hold = hold_rows.get(tx, hold_id)
    if hold is None:
        raise NotFoundError(f"there is no hold {hold_id!r}", field="hold", cure="`accord holds` shows them")
    if choice.startswith("link:"):
        tx.serialize("first contact")  # a lane beside this might give that object to somebody else
    check(tx, hold, choice, digest)
    now = hub.clock.now()
    if not hold_rows.answer(tx, hold_id, hold.digest, choice, actor, now):
        raise _too_late(hold_rows.get(tx, hold_id) or hold)
    _note(tx, hold, choice, actor, now)
    if hold.reason in (holds.MASS_CHANGE, holds.LISTING_SHRANK):
        _answer_connection(tx, hub, hold, choice)
    elif hold.field == "" and hold.subject.startswith("m:"):
        _answer_mapping(tx, hub, hold, choice, actor)
        if hold.reason == holds.MERGED:
            # the other customer of the merge waits for this answer
            look_again_at_merged(tx, hub, hold.connection, hold.id)
        elif hold.reason == holds.LOST_CREATE:
            # until now, none of them could enter: it might have been this customer's
            subjects = [work.remote_subject(one) for one in holds.candidates_of(hold.detail)]
            work.mark(tx, hold.connection, subjects, reason="answered", trace=hold.id, now=now)
    else:
        _look_again(tx, hub, hold)
    tx.after_commit(lambda: hub.wake(hold.connection))
    return hold


def _note(tx: Tx, hold: Hold, choice: str, actor: str, now: float) -> None:
    """Who said what about a document, a whole connection, or what follows a customer: a lane does it later."""
    is_farewell = hold.subject.startswith(work.FAREWELL)
    is_of_mapping = is_farewell or hold.subject.startswith("m:")
    row = mappings.by_ids(tx, [hold.subject[2:]]).get(hold.subject[2:]) if is_of_mapping else None
    if row is not None and row.kind not in KINDS and not is_farewell:
        return  # what is answered about a customer is journalled where it is carried out
    if row is None and hold.reason not in (holds.MASS_CHANGE, holds.LISTING_SHRANK):
        return
    entry = journal.Entry(
        at=now,
        kind=row.kind if row else "connection",
        record_id=row.record_id if row else "",
        connection=hold.connection,
        remote_id=row.remote_id if row else None,
        action="answer",
        changes={hold.reason: (None, choice, "answer")},
        actor=actor,
        trace=hold.id,
    )
    journal.write(tx, [entry])


def _too_late(hold: Hold) -> InvalidInputError:
    """Why nothing can be answered: `hold` as it is by now."""
    if hold.state == "open":
        return _moved_on()
    said = f"{hold.actor or 'somebody'} answered {hold.answer} already"
    why = "its cause is gone" if hold.state == "moot" else said
    return InvalidInputError(f"it is not open any more: {why}", field="hold", cure="`accord holds` shows what is open")


def _moved_on() -> InvalidInputError:
    problem = "the values have changed since they were seen"
    return InvalidInputError(problem, field="digest", cure="look at the hold again")


def check(tx: Tx, hold: Hold, choice: str, digest: str | None) -> None:
    """Refuse a choice that the hold does not offer, or one for values that are not there any more."""
    allowed = choices(tx, [hold])[hold.id]
    is_link = choice.startswith("link:") and len(choice) > len("link:") and "link:<id>" in allowed
    if choice not in allowed and not is_link:
        cure = "give one of these, as it is written here"
        raise InvalidInputError(f"{choice!r} is no choice here", field="choice", limit=", ".join(allowed), cure=cure)
    if choice == "registry" and hold.reason == holds.UNREADABLE and hold.detail.get("registry") is None:
        cure = "correct it there, give the customer a value here, or `accept` it as it is"
        raise InvalidInputError("the registry has no value to write", field="choice", limit="accept", cure=cure)
    if digest is not None and digest != hold.digest:
        raise _moved_on()
    if is_link:
        _check_link(tx, hold, choice[len("link:") :])
    elif (
        choice == "create" and hold.detail.get("rung") == EXTERNAL_ID and hold.detail.get("candidates_are") == CUSTOMERS
    ):
        owner = ", ".join(holds.candidates_of(hold.detail))
        cure = "give the object another one there, link it, or leave it"
        raise InvalidInputError(f"its external id is that of customer {owner}", field="choice", cure=cure)


def choices(tx: Tx, some: Sequence[Hold]) -> dict[str, tuple[str, ...]]:
    """What each of some holds offers, by its id."""
    rows = mappings.by_ids(tx, [one.subject[2:] for one in some if one.reason == holds.REMOTE_GONE])
    own = {work.mapping_subject(row.id) for row in rows.values() if row.kind == KIND and not row.part}
    return {one.id: holds.offered(one.reason, is_customer=one.subject in own) for one in some}


def _check_link(tx: Tx, hold: Hold, wanted: str) -> None:
    """An object is linked to a customer that is there, and a customer to an object that was seen and is nobody's."""
    if hold.subject.startswith("r:"):
        if wanted not in customers.by_external_ids(tx, [wanted]):
            cure = "`accord customers list` shows them"
            raise InvalidInputError(f"there is no customer {wanted!r} to link to", field="choice", cure=cure)
        return
    if wanted in tombstones.erased_objects(tx, hold.connection, [wanted]):
        problem = f"{wanted} was of a customer that was erased"
        raise InvalidInputError(problem, field="choice", cure="take another object, or another choice")
    require_staying(tx, hold.connection, wanted, "choice")
    seen = observations.by_ids(tx, hold.connection, KIND, [wanted]).get(wanted)
    # one that the provider itself named may not have been seen yet
    is_named = wanted in holds.candidates_of(hold.detail)
    if seen.state != "live" if seen else not is_named:
        problem = f"no object {wanted!r} was seen at {hold.connection}"
        raise InvalidInputError(problem, field="choice", cure="take one of the candidates")
    other = mappings.by_remote_ids(tx, hold.connection, KIND, [wanted]).get(wanted)
    if hold.reason == holds.AMBIGUOUS_MATCH and other is not None and other.id != hold.subject[2:]:
        raise InvalidInputError(f"{wanted} belongs to another customer", field="choice", cure="unlink that first")


def _look_again(tx: Tx, hub: Hub, hold: Hold) -> None:
    kind = _kind_of(tx, hold.subject)
    work.mark(tx, hold.connection, [hold.subject], reason="answered", trace=hold.id, now=hub.clock.now(), kind=kind)


def _kind_of(tx: Tx, subject: str) -> str:
    row = mappings.by_ids(tx, [subject[2:]]).get(subject[2:]) if subject.startswith("m:") else None
    return row.kind if row else KIND


def _answer_connection(tx: Tx, hub: Hub, hold: Hold, choice: str) -> None:
    """Approve: exactly what waits passes. Reject: it stays parked until somebody changes it again."""
    if hold.reason == holds.LISTING_SHRANK:
        if choice == "approve":
            connections.touch_cursor(tx, hold.connection, hold.subject.partition(":")[2] or KIND, "full")
    elif choice == "approve":
        work.release(tx, hold.connection, guard.PARKED, approval=hold.id)
        connections.change(tx, hold.connection, allowance_from=hub.clock.now())
    else:
        work.reject(tx, hold.connection, guard.PARKED)


def _answer_mapping(tx: Tx, hub: Hub, hold: Hold, choice: str, actor: str) -> None:
    """Answers about the mapping as a whole are carried out here and now."""
    mappings.lock(tx, [hold.subject[2:]])
    row = mappings.by_ids(tx, [hold.subject[2:]])[hold.subject[2:]]
    now = hub.clock.now()
    if choice.startswith("link:"):
        _link(tx, hub, row, choice[len("link:") :], actor)
    elif choice in ("leave", "unlink"):
        _let_go(tx, hub, row, hold, actor)
        return
    elif hold.reason == holds.DOCUMENT_GONE and choice == "accept":
        count_as_void(tx, hub, row, actor=actor, trace=hold.id)
        return
    elif choice == "archive":
        owner = customers.by_ids(tx, [row.record_id])[row.record_id]
        archive(tx, hub, owner.external_id, actor=actor, trace=hold.id)
        return
    elif choice == by_hand.BOOKED:
        require_current(tx, hub, hold, row)
        by_hand.book(tx, row, hold.detail, actor=actor, now=now)
    elif choice in ("create", "retry"):
        _ask_for(tx, row, now)
    elif choice == "recreate":
        fresh = _made_anew(tx, hub, row)
        hold = msgspec.structs.replace(hold, subject=work.mapping_subject(fresh.id))
    _look_again(tx, hub, hold)


def _let_go(tx: Tx, hub: Hub, row: MappingRow, hold: Hold, actor: str) -> None:
    # its object stays known as its own: else it would enter as a new customer, and be made everywhere
    kept = None if hold.reason == holds.MERGED else row.remote_id
    base = let_go.base_of(tx, row, hold) if row.kind in KINDS else {}
    _replace(tx, hub, row, actor, remote_id=kept, state="excluded", base=base)
    if row.kind == KIND and not row.part:
        let_go_parts(tx, hub, row, actor)
    if row.kind == KIND:
        forget(tx, hub, row)
        parent_left(tx, hub, hub.connection(row.connection), row.record_id, hold.id)
    else:
        if hold.reason == holds.DOCUMENT_GONE:
            # it counts: whether what it settles adds up was not asked before
            documents.touch(tx, row.record_id, hub.clock.now())
        wake_what_it_settles(tx, hub, row, hold.id)
        _look_again(tx, hub, hold)  # of what went back of it a person is asked all the same


def _link(tx: Tx, hub: Hub, row: MappingRow, remote_id: str, actor: str) -> None:
    _check_fits(hub, row, remote_id)
    other = mappings.by_remote_ids(tx, row.connection, KIND, [remote_id]).get(remote_id)
    if other is not None and other.id != row.id:
        _make_free(tx, hub, other)
    # of a customer that was deleted meanwhile: known as its own from now on, and nobody's
    state = mappings.ENDED if row.state == mappings.ENDED else "live"
    # the object it had keeps our marker, which no second one may carry
    generation = row.generation + (row.remote_id not in (None, remote_id))
    _replace(tx, hub, row, actor, remote_id=remote_id, state=state, generation=generation, base={})


def _ask_for(tx: Tx, row: MappingRow, now: float) -> None:
    """A person wants this customer's object made, whatever policy creates by the time it is."""
    if row.kind == KIND and row.state == "pending":
        mappings.update(tx, [msgspec.structs.replace(row, note=mappings.ASKED, updated_at=now)])


def _made_anew(tx: Tx, hub: Hub, row: MappingRow) -> MappingRow:
    """The next generation of a mapping, whose object is to be made."""
    now, generation = hub.clock.now(), row.generation + 1
    # a document's copy has the same one always: a database that was put back finds it by its marker
    fixed = mapping_id(row.record_id, row.connection, generation) if row.kind in KINDS else None
    name = fixed or hub.ids.new()
    fresh = mappings.pending(
        name, row.record_id, row.connection, kind=row.kind, part=row.part, generation=generation, now=now
    )
    fresh = msgspec.structs.replace(fresh, note=mappings.ASKED)
    if row.kind in KINDS:
        # what a person booked beside the old one stands there still
        fresh = msgspec.structs.replace(fresh, base=by_hand.kept(row), note=RECREATED)
    mappings.update(tx, [msgspec.structs.replace(row, state="ended", updated_at=now)])
    mappings.insert(tx, [fresh])
    return fresh


def _check_fits(hub: Hub, row: MappingRow, remote_id: str) -> None:
    """A part is an object of one kind."""
    connection = hub.connections.get(row.connection)
    part = connection.parts.named(row.part) if connection else None
    if part is not None and not remote_id.startswith(part.ids):
        problem, limit = f"{remote_id} can be no {part.title}", f"objects {part.ids}..."
        raise InvalidInputError(problem, field="choice", limit=limit, cure="name one of these, or take another choice")


def _make_free(tx: Tx, hub: Hub, other: MappingRow) -> None:
    """An object that a person left out for one customer may be linked to another; a customer's own may not."""
    if other.state != "excluded":
        owner = customers.by_ids(tx, [other.record_id])[other.record_id].external_id
        raise InvalidInputError(
            f"{other.remote_id} belongs to customer {owner}", field="choice", cure="unlink that one first"
        )
    mappings.update(tx, [msgspec.structs.replace(other, remote_id=None, updated_at=hub.clock.now())])


def _replace(tx: Tx, hub: Hub, row: MappingRow, actor: str, **values: object) -> None:
    now = hub.clock.now()
    mappings.update(tx, [msgspec.structs.replace(row, updated_at=now, **values)])
    action = "relink" if values["state"] == "live" else "unlink"
    journal.write(tx, [journal.about(row, at=now, action=action, actor=actor)])


def retry(tx: Tx, hub: Hub, connection: str, subjects: list[str], *, actor: str | None = None) -> int:
    """Look again, now, at subjects that failed (dead ones too); all of the connection's for an empty list.

    Of what waits, documents that are named. Of whoever asked, if it was a person, the journal knows.
    """
    known = failures.listing(tx, connection=connection, limit=100_000)
    failed = [one for one in known if not subjects or one.subject in subjects or one.subject[2:] in subjects]
    waiting = [one for one in work.of_subjects(tx, connection, subjects).values() if one.kind in KINDS]
    wanted = {one.subject: one.kind for one in failed} | {one.subject: one.kind for one in waiting}
    for kind in sorted({*wanted.values()}):
        some = [name for name, of in wanted.items() if of == kind]
        trace, now = hub.ids.new(), hub.clock.now()
        work.mark(tx, connection, some, reason="retry", trace=trace, now=now, kind=kind)
        if actor is not None:
            told = {kind: (None, str(len(some)), "retry")}
            journal.note(tx, "connection", "retry", told, at=now, actor=actor, connection=connection, trace=trace)
    tx.after_commit(lambda: hub.wake(connection))
    return len(wanted)
