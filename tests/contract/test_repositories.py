"""What the repositories promise, on every database: SQLite and PostgreSQL alike."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from core.model.documents import Application, Invoice, Payment
from core.model.holds import HoldDraft
from core.model.money import ZERO
from core.store import (
    connections,
    customers,
    documents,
    failures,
    holds,
    inbox,
    intents,
    journal,
    looks,
    mappings,
    observations,
    one_offs,
    ownerless,
    work,
)
from core.store.connections import Cursor
from core.store.customers import Customer
from core.store.database import Database, Tx
from core.store.documents import Paper
from core.store.inbox import Letter
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.tables import METADATA
from tests.support.world import SeededIds, World

IDS = SeededIds(random.Random(1))


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database with today's tables."""
    one = Database(database_url)
    METADATA.create_all(one.engine)
    yield one
    one.close()


def customer(name: str = "c1", external_id: str = "ada", **fields: str) -> Customer:
    """A customer."""
    return Customer(id=name, external_id=external_id, fields=fields, sources={}, created_at=1.0, updated_at=1.0)


def mapping(name: str = "m1", record_id: str = "c1", remote_id: str | None = "r1", state: str = "live") -> MappingRow:
    """A mapping at stripe."""
    return MappingRow(
        id=name,
        record_id=record_id,
        connection="stripe",
        state=state,
        created_at=1.0,
        updated_at=1.0,
        remote_id=remote_id,
    )


def intent(name: str = "i1", mapping_id: str = "m1") -> Intent:
    """An intent."""
    return Intent(
        id=name, connection="stripe", mapping_id=mapping_id, action="create", key="k", body={"a": 1},
        wanted={"name": "Ä"}, before={"name": None}, remote_id=None, sent_at=1.0,
    )  # fmt: skip


def test_a_customer_reads_back_as_it_was_written(db: Database) -> None:
    """Any text, nested values, blanks."""
    one = msgspec.structs.replace(
        customer(), fields={"name": "Ädä 🦉", "billing_address": {"city": "Köln"}, "other_emails": ["a"]}
    )
    db.run_now(lambda tx: customers.insert(tx, [one]))
    assert db.read_now(lambda tx: customers.by_ids(tx, ["c1"])) == {"c1": one}


def test_a_name_with_a_zero_character_is_nobodys_and_keeps_no_other_from_being_found(db: Database) -> None:
    """One such cell of a spreadsheet, and PostgreSQL refused all of its rows, without a word on which."""
    db.run_now(lambda tx: customers.insert(tx, [customer()]))
    found = db.read_now(lambda tx: (customers.by_external_ids(tx, ["ada", "a\0"]), holds.get(tx, "h\0")))
    assert (list(found[0]), found[1]) == (["ada"], None)


def test_an_external_id_is_unique_among_the_living(db: Database) -> None:
    """And free again after deletion."""
    db.run_now(lambda tx: customers.insert(tx, [customer()]))
    with pytest.raises(IntegrityError):
        db.run_now(lambda tx: customers.insert(tx, [customer("c2")]))
    gone = msgspec.structs.replace(customer(), version=2, deleted_at=2.0)
    assert db.run_now(lambda tx: customers.replace(tx, gone))
    db.run_now(lambda tx: customers.insert(tx, [customer("c2")]))
    assert db.read_now(lambda tx: customers.by_external_ids(tx, ["ada"]))["ada"].id == "c2"


def test_of_archived_customers_of_one_id_the_last_is_listed_once(db: Database) -> None:
    """A list by id goes on after an id: two of one would be shown twice or not at all. Two may end in one moment."""
    ends = {"c1": 2.0, "c2": 3.0, "c3": 3.0}
    for name, at in ends.items():
        one = msgspec.structs.replace(customer(name, parent="up"), deleted_at=at)
        db.run_now(partial(customers.insert, customers=[one]))
    db.run_now(lambda tx: customers.insert(tx, [msgspec.structs.replace(customer("c4", "bob"), deleted_at=1.0)]))
    found = db.read_now(lambda tx: customers.listing(tx, is_archived=True))
    last = db.read_now(lambda tx: customers.archived(tx, "ada"))[0]
    assert [one.id for one in found] == [last.id, "c4"] == ["c2", "c4"]
    assert db.read_now(lambda tx: customers.count(tx, is_archived=True)) == 2
    assert db.read_now(lambda tx: customers.count(tx, is_archived=True, parent="up")) == 1
    db.run_now(lambda tx: customers.insert(tx, [customer("c5")]))
    assert [one.id for one in db.read_now(lambda tx: customers.listing(tx, is_archived=True))] == ["c4"]


def test_a_registry_write_is_compare_and_set(db: Database) -> None:
    """Of two that decided on one version, one must decide again."""
    db.run_now(lambda tx: customers.insert(tx, [customer()]))
    mine = msgspec.structs.replace(customer(phone="1"), version=2)
    theirs = msgspec.structs.replace(customer(phone="2"), version=2)
    assert db.run_now(lambda tx: customers.replace(tx, mine))
    assert not db.run_now(lambda tx: customers.replace(tx, theirs))
    assert db.read_now(lambda tx: customers.by_ids(tx, ["c1"]))["c1"].fields == {"phone": "1"}


def test_a_mapping_is_a_bijection(db: Database) -> None:
    """One live mapping per customer and connection, and per remote object, by the database's own word."""
    db.run_now(lambda tx: customers.insert(tx, [customer(), customer("c2", "bob")]))
    db.run_now(lambda tx: mappings.insert(tx, [mapping()]))
    for wrong in (mapping("m2", "c1", "r2"), mapping("m2", "c2", "r1")):
        with pytest.raises(IntegrityError):
            db.run_now(partial(mappings.insert, rows=[wrong]))
    ended = msgspec.structs.replace(mapping(), state="ended")
    db.run_now(lambda tx: mappings.update(tx, [ended]))
    db.run_now(lambda tx: mappings.insert(tx, [mapping("m2", "c2", "r1")]))


def test_a_mapping_has_one_open_intent(db: Database) -> None:
    """Two writes in doubt about one object could not be told apart."""
    db.run_now(lambda tx: customers.insert(tx, [customer()]))
    db.run_now(lambda tx: mappings.insert(tx, [mapping()]))
    db.run_now(lambda tx: intents.insert(tx, [intent()]))
    with pytest.raises(IntegrityError):
        db.run_now(lambda tx: intents.insert(tx, [intent("i2")]))
    assert db.read_now(lambda tx: intents.open_of(tx, ["m1"])) == {"m1": intent()}
    db.run_now(lambda tx: intents.doubt(tx, "i1", 9.0, "no answer"))
    (open_,) = db.read_now(lambda tx: intents.all_open(tx, "stripe"))
    assert (open_.state, open_.resolve_after, open_.attempts) == ("ambiguous", 9.0, 1)
    db.run_now(lambda tx: intents.close(tx, {"i1": "done"}, 2.0))
    db.run_now(lambda tx: intents.insert(tx, [intent("i2")]))
    assert [one.id for one in db.read_now(intents.all_open)] == ["i2"]


def test_an_intent_reads_back_as_it_was_written(db: Database) -> None:
    """Its body above all: it is sent once more from here."""
    one = msgspec.structs.replace(
        intent(), remote_id="r1", body={"a": [{"b": "Ö"}]}, resolve_after=4.0, attempts=2, error="odd", trace="t1"
    )
    assert (one.kind, one.state) == ("customer", "sent")
    db.run_now(lambda tx: intents.insert(tx, [one]))
    assert db.read_now(intents.all_open) == [one]


def intents_of_three(db: Database) -> None:
    """Open intents i3, i2, i1, in the order they were sent, of mappings m1, m2, m3; i2 at another connection."""
    names = ("1", "2", "3")
    db.run_now(lambda tx: customers.insert(tx, [customer(f"c{one}", f"e{one}") for one in names]))
    db.run_now(lambda tx: mappings.insert(tx, [mapping(f"m{one}", f"c{one}", f"r{one}") for one in names]))
    three = [
        msgspec.structs.replace(intent("i3", "m1"), sent_at=6.0),
        msgspec.structs.replace(intent("i2", "m2"), sent_at=7.0, connection="hubspot"),
        msgspec.structs.replace(intent("i1", "m3"), sent_at=8.0),
    ]
    db.run_now(lambda tx: intents.insert(tx, three))


def test_open_intents_are_those_of_the_mappings_asked_for(db: Database) -> None:
    """Another customer's open write stops nobody."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.close(tx, {"i2": "done"}, 2.0))
    assert set(db.read_now(lambda tx: intents.open_of(tx, ["m1", "m2"]))) == {"m1"}


def test_open_intents_are_listed_oldest_first(db: Database) -> None:
    """And by their ids where they were sent together; of one connection, or of all."""
    intents_of_three(db)
    assert [one.id for one in db.read_now(intents.all_open)] == ["i3", "i2", "i1"]
    assert [one.id for one in db.read_now(lambda tx: intents.all_open(tx, "stripe"))] == ["i3", "i1"]
    for name in ("i3", "i2", "i1"):
        db.run_now(partial(intents.sent_again, intent_id=name, now=5.0, ahead=None))
    assert [one.id for one in db.read_now(intents.all_open)] == ["i1", "i2", "i3"]


def test_an_intent_that_is_sent_again_waits_anew_and_no_other_does(db: Database) -> None:
    """What may still land is waited for from the last time it went out."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.doubt(tx, "i1", 9.0, "no answer"))
    db.run_now(lambda tx: intents.sent_again(tx, "i1", 20.0, 0.5))
    assert {one.id: one.state for one in db.read_now(intents.all_open)}["i1"] == "sent"
    sent = {one.id: (one.sent_at, one.ahead) for one in db.read_now(intents.all_open)}
    assert sent == {"i1": (20.0, 0.5), "i2": (7.0, None), "i3": (6.0, None)}


def test_a_closed_intent_keeps_how_it_ended(db: Database) -> None:
    """Each its own word; the first one counts."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.close(tx, {"i1": "done", "i2": "void"}, 2.0))
    db.run_now(lambda tx: intents.close(tx, {"i1": "refused"}, 3.0))
    assert [one.id for one in db.read_now(intents.all_open)] == ["i3"]
    ended = [db.read_now(partial(intents.by_key, connection=at, key="k")) for at in ("stripe", "hubspot")]
    assert [(one.id, one.state) for one in ended if one] == [("i1", "done"), ("i2", "void")]


def test_an_intent_is_found_by_its_key(db: Database) -> None:
    """The newest at that connection, which may have keys in common with another."""
    intents_of_three(db)
    assert db.read_now(lambda tx: intents.by_key(tx, "quickbooks", "k")) is None
    assert db.read_now(lambda tx: intents.by_key(tx, "stripe", "other")) is None
    found = db.read_now(lambda tx: intents.by_key(tx, "stripe", "k"))
    assert found == msgspec.structs.replace(intent("i1", "m3"), sent_at=8.0)


def test_what_is_under_way_is_told_without_its_body(db: Database) -> None:
    """Of one connection; what is closed is not under way."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.insert(tx, [msgspec.structs.replace(intent("i4", "m4"), trace="t4", sent_at=9.0)]))
    db.run_now(lambda tx: intents.close(tx, {"i1": "done"}, 2.0))
    found = db.read_now(lambda tx: intents.open_actions(tx, "stripe"))
    assert sorted(found) == [("customer", "create", 6.0, ""), ("customer", "create", 9.0, "t4")]


def test_the_newest_write_of_which_it_is_not_known_what_it_replaced(db: Database) -> None:
    """By mapping, until it is known of all of a mapping's writes; of the others it stays asked."""
    intents_of_three(db)
    for name in ("i1", "i3"):
        db.run_now(partial(intents.stamp, intent_id=name, stamp=f"at {name}"))
    db.run_now(lambda tx: intents.close(tx, {"i3": "done"}, 2.0))
    later = msgspec.structs.replace(intent("i5", "m1"), sent_at=30.0, stamp="at i5")
    db.run_now(lambda tx: intents.insert(tx, [later]))

    def stamps() -> dict[str, str]:
        found = db.read_now(lambda tx: intents.stamped_of(tx, ["m1", "m2", "m3"]))
        return {name: one.stamp for name, one in found.items()}

    assert stamps() == {"m1": "at i5", "m3": "at i1"}
    db.run_now(lambda tx: intents.recalled(tx, ["m1"]))
    assert stamps() == {"m3": "at i1"}


def test_an_intent_in_doubt_is_under_way_again_under_its_key_and_time(db: Database) -> None:
    """Its answer may still come: what may land of the first try is waited for as before."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.doubt(tx, "i1", 9.0, "no answer"))
    db.run_now(lambda tx: intents.under_way(tx, "i1"))
    told = {one.id: (one.state, one.sent_at, one.resolve_after, one.attempts) for one in db.read_now(intents.all_open)}
    assert told == {"i1": ("sent", 8.0, 9.0, 1), "i2": ("sent", 7.0, None, 0), "i3": ("sent", 6.0, None, 0)}


def test_an_intent_that_outlived_its_sender_waits_from_now_on(db: Database) -> None:
    """When it was sent is not known: the one that died may have sent it just before."""
    intents_of_three(db)
    db.run_now(lambda tx: intents.outlived(tx, "i1", 90.0, 50.0, 0.5))
    told = {one.id: (one.state, one.sent_at, one.resolve_after, one.ahead) for one in db.read_now(intents.all_open)}
    assert told["i1"] == ("ambiguous", 50.0, 90.0, 0.5)
    assert told["i3"] == ("sent", 6.0, None, None)


def test_a_mark_made_while_one_was_dealt_with_stays(db: Database) -> None:
    """The change it tells of was not seen by the one who clears."""
    mark: dict[str, Any] = {"reason": "t", "trace": "", "now": 5.0}
    db.run_now(lambda tx: work.mark(tx, "stripe", ["m:1", "m:2"], **mark))
    rows = db.read_now(lambda tx: work.due(tx, "stripe", 5.0, 10))
    assert [row.subject for row in rows] == ["m:1", "m:2"]
    db.run_now(lambda tx: work.mark(tx, "stripe", ["m:2"], **mark))
    db.run_now(lambda tx: work.clear(tx, "stripe", rows))
    assert [row.subject for row in db.read_now(lambda tx: work.due(tx, "stripe", 5.0, 10))] == ["m:2"]


def test_the_last_merge_that_was_told_of_an_object_is_kept(db: Database) -> None:
    """Its survivor may be absorbed itself before anybody looks; whatever else is noticed meanwhile says less."""
    told = []
    for reason in ("webhook", f"{work.MERGED_INTO}2", "sweep", f"{work.MERGED_INTO}3", "sweep"):
        db.run_now(partial(work.mark, connection="stripe", subjects=["m:1"], reason=reason, trace="", now=5.0))
        told += [row.reason for row in db.read_now(lambda tx: work.due(tx, "stripe", 5.0, 10))]
    assert told == ["webhook", "merged into 2", "merged into 2", "merged into 3", "merged into 3"]


def test_what_is_postponed_or_parked_is_not_due(db: Database) -> None:
    """Until its time, or its release; a new mark ends the wait, but a sweep parks nothing that was asked for."""
    for name in ("stripe", "hubspot"):
        db.run_now(partial(connections.ensure, name=name, provider=name))
    mark: dict[str, Any] = {"reason": "t", "trace": "", "now": 5.0}
    db.run_now(lambda tx: work.mark(tx, "stripe", ["a", "b", "c"], **mark))
    db.run_now(lambda tx: work.postpone(tx, "stripe", {"a": 50.0}))
    db.run_now(lambda tx: work.park(tx, "stripe", {"b": "shown"}, "guard"))
    db.run_now(lambda tx: work.mark(tx, "stripe", ["c"], **mark, parked="run"))

    def due(now: float) -> list[str]:
        return [row.subject for row in db.read_now(lambda tx: work.due(tx, "stripe", now, 10))]

    assert due(5.0) == ["c"]
    assert due(50.0) == ["c", "a"]
    assert db.read_now(lambda tx: work.count_parked(tx, "stripe", "guard")) == 1
    db.run_now(lambda tx: work.release(tx, "stripe", "guard"))
    assert sorted(due(50.0)) == ["a", "b", "c"]
    assert [one.next_due for one in db.read_now(looks.everywhere)] == [None, 0.0]
    assert db.read_now(lambda tx: looks.at(tx, "stripe")).next_due == 0.0


def test_what_waits_for_its_customer_is_parked_until_that_one_is_placed(db: Database) -> None:
    """One that was marked again while it was read is looked at all the same: its customer may be another by then."""
    mark: dict[str, Any] = {"reason": "changed", "trace": "t", "now": 1.0, "kind": "invoice"}
    db.run_now(lambda tx: work.mark(tx, "stripe", ["d:invoice:a", "d:invoice:b", "d:invoice:c"], **mark))
    read = {row.subject[-1]: row for row in db.read_now(lambda tx: work.due_documents(tx, "stripe", 5, 10))}
    db.run_now(lambda tx: work.mark(tx, "stripe", ["d:invoice:b"], **mark))
    db.run_now(lambda tx: ownerless.park(tx, "stripe", {row: f"for {name}" for name, row in read.items()}))

    def due() -> list[str]:
        return [row.subject[-1] for row in db.read_now(lambda tx: work.due_documents(tx, "stripe", 5, 10))]

    assert due() == ["b"]
    assert db.read_now(lambda tx: ownerless.reasons(tx, "stripe")) == ["for a", "for c"]
    assert db.read_now(lambda tx: ownerless.reasons(tx, "hubspot")) == []
    assert not db.run_now(lambda tx: ownerless.release(tx, "stripe", ["for b"], 2.0))
    assert db.run_now(lambda tx: ownerless.release(tx, "stripe", ["for a", "for nobody"], 2.0))
    assert sorted(due()) == ["a", "b"]
    db.run_now(lambda tx: work.mark(tx, "stripe", ["d:invoice:c"], **mark))
    assert sorted(due()) == ["a", "b", "c"], "something said that it changed"


def test_what_waits_of_some_kinds_is_told_for_every_reason_or_for_one(db: Database) -> None:
    """Of a kind that is only copied, what nobody remembers is told, and not each copy that is to be looked at."""
    for kind, reason in (("invoice", "forgotten"), ("invoice", "changed"), ("payment", "forgotten")):
        db.run_now(partial(_mark_one, subject=f"d:{kind}:{reason}", reason=reason, kind=kind))

    def told(kinds: list[str], reason: str | None = None, connection: str = "stripe") -> list[str]:
        return [row.subject for row in db.read_now(lambda tx: work.of_kinds(tx, connection, kinds, reason))]

    assert told(["invoice"]) == ["d:invoice:changed", "d:invoice:forgotten"]
    assert told(["invoice"], "forgotten") == ["d:invoice:forgotten"]
    assert told(["invoice", "payment"], "forgotten") == ["d:invoice:forgotten", "d:payment:forgotten"]
    assert told(["invoice"], "forgotten", "hubspot") == told([], "forgotten") == told([]) == []


def _mark_one(tx: Tx, subject: str, **columns: Any) -> None:
    work.mark(tx, "stripe", [subject], trace="t", now=1.0, **columns)


def test_a_look_at_a_connection_tells_all_that_waits_there_and_nothing_of_others(db: Database) -> None:
    """A lane sleeps until something waits for it: what a look does not show is not done before the next sweep."""
    for name in ("hubspot", "quickbooks", "stripe"):
        db.run_now(partial(connections.ensure, name=name, provider=name))
    one = Letter(connection="stripe", dedupe_key="k", body=b"{}", received_at=1.0)
    db.run_now(lambda tx: inbox.add(tx, [one]))
    for name, one_id in (("hubspot", "new"), ("quickbooks", "begun")):
        asked = one_offs.OneOff(id=one_id, connection=name, request={})
        db.run_now(partial(one_offs.ask, one=asked, now=1.0))
    db.run_now(lambda tx: one_offs.running(tx, "begun"))
    mark: dict[str, Any] = {"reason": "t", "trace": "", "now": 5.0}
    db.run_now(lambda tx: work.mark(tx, "hubspot", ["a", "b"], **mark, not_before={"a": 9.0, "b": 7.0}))
    db.run_now(lambda tx: work.mark(tx, "quickbooks", ["a"], **mark, parked="run"))
    seen = db.read_now(looks.everywhere)
    told = {one.row.name: (one.has_letters, one.has_one_off, one.has_running, one.next_due) for one in seen}
    assert told == {
        "hubspot": (False, True, False, 7.0),
        "quickbooks": (False, False, True, None),
        "stripe": (True, False, False, None),
    }
    assert [db.read_now(partial(looks.at, name=one.row.name)) for one in seen] == seen
    db.run_now(lambda tx: inbox.done(tx, [inbox.new(tx, "stripe", 1)[0].id]))
    db.run_now(lambda tx: one_offs.finish(tx, "begun", 2.0))
    assert not any(one.has_letters or one.has_running for one in db.read_now(looks.everywhere))


def test_cursors_are_told_apart_by_kind_and_mode(db: Database) -> None:
    """The walk over documents must not go on where the one over customers stopped."""
    stored = [
        Cursor(connection="stripe", kind=kind, mode=mode, cursor=f"{kind} {mode}")
        for kind, mode in (("customer", "full"), ("customer", "offer"), ("invoice", "full"))
    ]
    for one in stored:
        db.run_now(partial(connections.put_cursor, cursor=one))
    found = db.read_now(lambda tx: connections.cursors(tx, "stripe"))
    assert [found[one.kind, one.mode] for one in stored] == stored
    assert [
        db.read_now(partial(connections.cursor, connection="stripe", kind=one.kind, mode=one.mode)) for one in stored
    ] == stored
    fresh = Cursor(connection="hubspot", kind="invoice", mode="full")
    assert db.read_now(lambda tx: connections.cursors(tx, "hubspot"))["invoice", "full"] == fresh
    assert db.read_now(lambda tx: connections.every_cursor(tx, ["hubspot", "stripe"]))["stripe"] == found


def test_a_delivery_is_stored_once(db: Database) -> None:
    """A replay makes no second row, before or after it was worked off."""
    letter = Letter(connection="stripe", dedupe_key="k", body=b"\x00\xff", received_at=1.0, trace="t")
    for _ in range(3):
        db.run_now(lambda tx: inbox.add(tx, [letter, letter]))
    (one,) = db.read_now(lambda tx: inbox.new(tx, "stripe", 10))
    assert one.body == b"\x00\xff"
    db.run_now(lambda tx: inbox.done(tx, [one.id]))
    db.run_now(lambda tx: inbox.add(tx, [letter]))
    assert db.read_now(lambda tx: inbox.new(tx, "stripe", 10)) == []


def test_a_redelivery_of_what_was_not_understood_is_looked_at_again(db: Database) -> None:
    """With the bytes that came last; what waits or was worked off is left alone."""
    first = Letter(connection="stripe", dedupe_key="k", body=b"1", received_at=1.0, trace="t1")
    again = Letter(connection="stripe", dedupe_key="k", body=b"2", received_at=2.0, trace="t2")
    db.run_now(lambda tx: inbox.add(tx, [first]))
    db.run_now(lambda tx: inbox.add(tx, [again]))
    (one,) = db.read_now(lambda tx: inbox.new(tx, "stripe", 10))
    assert (one.body, one.trace) == (b"1", "t1")
    db.run_now(lambda tx: inbox.poison(tx, {one.id: "no JSON"}))
    db.run_now(lambda tx: inbox.add(tx, [again, again]))
    (back,) = db.read_now(lambda tx: inbox.new(tx, "stripe", 10))
    assert (back.id, back.body, back.received_at, back.trace) == (one.id, b"2", 2.0, "t2")
    assert db.read_now(lambda tx: inbox.poisoned(tx, 10)) == []
    db.run_now(lambda tx: inbox.done(tx, [one.id]))
    assert db.read_now(inbox.counts) == {("stripe", "done"): 1}


def draft(digest: str = "d1", field: str = "phone") -> HoldDraft:
    """A hold as decide asks for it."""
    return HoldDraft(reason="conflict", field=field, detail={"registry": "a"}, digest=digest)


def settle(db: Database, *drafts: HoldDraft, keeps_others: bool = False) -> int:
    """Settle one subject."""
    one = holds.Held(subject="m:1", record_id="c1", drafts=drafts, keeps_others=keeps_others)
    return db.run_now(lambda tx: holds.settle(tx, IDS, "stripe", [one], holds.of_subjects(tx, "stripe", ["m:1"]), 1.0))


def test_a_subject_has_one_open_hold_per_field(db: Database) -> None:
    """It is refreshed when the values move, and closes itself when moot."""
    assert settle(db, draft(), draft(field="name")) == 2
    assert settle(db, draft("d2"), draft(field="name")) == 0
    found = {one.field: one.digest for one in db.read_now(holds.listing)}
    assert found == {"phone": "d2", "name": "d1"}
    assert settle(db, draft("d2"), keeps_others=True) == 0
    assert len(db.read_now(holds.listing)) == 2
    settle(db, draft("d2"))
    assert [one.field for one in db.read_now(holds.listing)] == ["phone"]
    settle(db)
    assert db.read_now(holds.listing) == []


def test_all_that_is_asked_is_listed_where_nobody_says_how_many(db: Database) -> None:
    """Beyond the thousandth, a question whose cause was gone was not looked at again."""
    many = [holds.Held(subject=f"m:{number}", record_id=None, drafts=[draft()]) for number in range(1001)]
    db.run_now(lambda tx: holds.settle(tx, IDS, "stripe", many, {}, 1.0))
    assert len(db.read_now(holds.listing)) == 1001
    assert len(db.read_now(lambda tx: holds.listing(tx, limit=7))) == 7


def test_an_answer_counts_until_the_same_is_asked_again(db: Database) -> None:
    """One that did not help must not be given again by itself."""
    settle(db, draft())
    (one,) = db.read_now(holds.listing)
    assert db.run_now(lambda tx: holds.answer(tx, one.id, one.digest, "registry", "ann", 2.0))
    assert not db.run_now(lambda tx: holds.answer(tx, one.id, one.digest, "remote", "bob", 3.0))
    known = db.read_now(lambda tx: holds.of_subjects(tx, "stripe", ["m:1"]))["m:1"]
    assert holds.answers(known)["phone"].choice == "registry"
    settle(db, draft())
    known = db.read_now(lambda tx: holds.of_subjects(tx, "stripe", ["m:1"]))["m:1"]
    assert holds.answers(known) == {}
    assert holds.standing(known) == {"phone": ("conflict", "d1")}


def test_a_failure_that_stands_counts_its_attempts(db: Database) -> None:
    """And is gone once its subject succeeded."""
    one = failures.Failure(
        connection="stripe", subject="r:1", field="name", code="bad_record", message="odd", raw="\\x00",
        state="retrying", first_at=1.0, last_at=1.0,
    )  # fmt: skip
    db.run_now(lambda tx: failures.record(tx, [one]))
    db.run_now(lambda tx: failures.record(tx, [msgspec.structs.replace(one, first_at=2.0, last_at=2.0)]))
    (found,) = db.read_now(failures.listing)
    assert (found.attempts, found.first_at, found.last_at) == (2, 1.0, 2.0)
    db.run_now(lambda tx: failures.resolve(tx, "stripe", ["r:1"]))
    assert db.read_now(failures.listing) == []


def test_the_journal_keeps_its_order(db: Database) -> None:
    """Append only; the newest first."""
    for number in range(3):
        entry = journal.Entry(
            at=1.0, record_id="c1", action="edit", actor="ann", changes={"phone": (None, str(number), "")}
        )
        db.run_now(partial(journal.write, entries=[entry]))
    found = db.read_now(lambda tx: journal.of_record(tx, "c1"))
    assert [one.changes["phone"][1] for one in found] == ["2", "1", "0"]
    assert db.read_now(journal.last_id) == found[0].id


def test_copies_that_were_not_last_seen_equal_are_counted(db: Database) -> None:
    """In the database, by the text of the base: it must say what reading each of them would say."""
    papers = [invoice_of(name, digest) for name, digest in (("d1", "aa"), ("d2", "bb"), ("d3", "cc"), ("d4", "dd"))]
    bases = {"d1": ("aa", "aa"), "d2": ("bb", "aa"), "d3": ("", ""), "d4": ("dd", "dd")}
    rows = [
        msgspec.structs.replace(
            mapping(f"m{one.id}", one.id, f"r{one.id}", "gone" if one.id == "d4" else "live"),
            kind="invoice", connection="books", base={"others": ("", ""), "document": bases[one.id]},
        )
        for one in papers
    ]  # fmt: skip
    db.run_now(lambda tx: documents.put(tx, papers))
    db.run_now(lambda tx: mappings.insert(tx, rows))
    assert db.read_now(lambda tx: documents.count_unequal(tx, "books", "document")) == 3, "another, never, gone"
    assert db.read_now(lambda tx: documents.count_unequal(tx, "stripe", "document")) == 0


@pytest.mark.parametrize(
    ("period", "names"),
    [("2026-10", ["first", "last", "nobody knows"]), ("2026", ["another", "first", "last", "nobody knows"])],
)
def test_documents_of_a_period_are_those_of_its_days_and_those_without_a_day(
    db: Database, period: str, names: list[str]
) -> None:
    """A close counts what it cannot tell the day of, and nothing of the month before or after."""
    days = {
        "first": date(2026, 10, 1), "last": date(2026, 10, 31), "another": date(2026, 11, 1),
        "before": date(2025, 10, 5), "nobody knows": None, "deleted": date(2026, 10, 5),
    }  # fmt: skip
    papers = []
    for name, day in days.items():
        one = invoice_of(name, "d")
        dated = msgspec.structs.replace(one.document, issued_on=day)
        papers.append(msgspec.structs.replace(one, document=dated, deleted_at=2.0 if name == "deleted" else None))
    db.run_now(lambda tx: documents.put(tx, papers))

    found = db.read_now(lambda tx: list(documents.of_period(tx, "invoice", period)))

    assert [one.id for one in found] == names
    assert db.read_now(lambda tx: list(documents.of_period(tx, "payment", period))) == []


def test_invoices_that_moved_are_those_that_changed_and_those_that_something_settles_which_did(db: Database) -> None:
    """Each once, and none of another origin."""
    since = 10.0
    old, new = ({"updated_at": at} for at in (5.0, 15.0))
    bills = [
        msgspec.structs.replace(invoice_of("moved", "d"), **new),
        msgspec.structs.replace(invoice_of("paid", "d"), **old),
        msgspec.structs.replace(invoice_of("at rest", "d"), **old),
        msgspec.structs.replace(invoice_of("elsewhere", "d"), origin="books", **new),
    ]
    applied = tuple(Application(invoice=name, amount=Decimal(1)) for name in ("paid", "moved", "elsewhere"))
    payment = Payment(
        id="p", customer="c1", currency="USD", status="succeeded", amount=Decimal(3), applications=applied
    )
    paid = msgspec.structs.replace(invoice_of("p", "d"), document=payment, **new)
    db.run_now(lambda tx: documents.put(tx, [*bills, paid]))

    assert db.read_now(lambda tx: documents.touched(tx, "stripe", since)) == ["moved", "paid"]


def invoice_of(name: str, digest: str) -> Paper:
    """An invoice of Stripe's."""
    document = Invoice(
        id=name, customer="c1", currency="USD", status="open", lines=(), subtotal=ZERO, total=ZERO, due=ZERO
    )
    return Paper(
        id=name, origin="stripe", remote_id=f"in_{name}", customer_id="c1", document=document, digest=digest,
        created_at=1, updated_at=1,
    )  # fmt: skip


@pytest.mark.anyio
async def test_three_systems_agree_on_either_database(database_url: str) -> None:
    """The whole engine, once, on each."""
    world = World(url=database_url)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    assert [one["name"] for name in world.lookalikes for one in world.neutral(name).values()] == ["Ada"] * 3
    seen = world.db.read_now(lambda tx: observations.count(tx, "hubspot", "customer"))
    assert seen == 1
    world.db.close()
