"""What people look at and decide: status, explain, holds, undo, customers, inbox."""

from __future__ import annotations

import asyncio
import io

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.cli import customers as customers_commands
from core.cli import holds as holds_commands
from core.cli.desk import Desk
from core.cli.screen import moment
from core.store import calls, connections, customers, failures, holds, inbox, journal
from core.store.tables import HOLDS, JOURNAL
from core.sync import registry
from core.sync.linking import unlink
from tests.integration.cli.conftest import Accord, customer_id, edit, only
from tests.support.acting import with_policy
from tests.support.root import WorldRoot
from tests.support.world import World


def test_status_counts_what_is_there(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """The first question of whoever is on call."""
    assert agreed.db.read_now(customers.count) == 1
    found = accord("--json", "status").json
    assert (found["customers"], found["is_daemon_running"]) == (1, False)
    assert [(one["connection"], one["state"], one["mappings"]) for one in found["connections"]] == [
        ("hubspot", "active", 1), ("quickbooks", "active", 1), ("stripe", "active", 1),
    ]  # fmt: skip
    assert "no daemon is running" in accord("status").out
    root.play_daemon()
    assert "the daemon is running" in accord("status").out


def test_status_says_which_sweeps_wait_why_and_until_when(agreed: World, accord: Accord) -> None:
    """It stood in the log only, and whoever waited for an edit did not know that nobody looked."""
    until = agreed.clock.now() + 3600.0
    agreed.db.run_now(lambda tx: connections.change(tx, "hubspot", rests="full", rests_until=until))
    reads = {("reads per 30 days", "sweep"): 1_000_000_000}
    agreed.db.run_now(lambda tx: calls.add(tx, "stripe", reads, agreed.clock.now()))
    told = " ".join(accord("status").out.split())
    assert f"hubspot: complete sweeps and listings wait until {moment(until)} UTC: less than 10% is left" in told
    assert "`accord sync hubspot` reads now" in told
    assert "stripe: all reads per 30 days are used up" in told
    agreed.db.run_now(lambda tx: connections.change(tx, "hubspot", rests="changes"))
    assert f"hubspot: all sweeps wait until {moment(until)} UTC" in " ".join(accord("status").out.split())
    agreed.clock.time = until
    assert "wait until" not in accord("status").out


def test_the_trouble_of_a_connection_that_was_taken_out_is_not_told_any_more(agreed: World, accord: Accord) -> None:
    """Its cure was a command for a connection that there is not."""
    agreed.db.run_now(lambda tx: connections.ensure(tx, "old", "stripe"))
    trouble = {"state": "reauthorize", "error": "run `accord connect old`"}
    agreed.db.run_now(lambda tx: connections.change(tx, "old", **trouble))
    told = accord("status").out
    assert "old is not configured any more; its records stay" in told
    assert "accord connect old" not in told


def test_explain_shows_every_system_and_the_numbers_for_undo(agreed: World, accord: Accord) -> None:
    """Why it is so, and how one gets back."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930123456")
    accord("sync")
    found = accord("explain", name, "--json").json
    assert {one["connection"] for one in found["mappings"]} == {"stripe", "hubspot", "quickbooks"}
    change = next(one for one in found["journal"] if one["action"] == "edit")
    shown = accord("explain", name).out
    assert ["change", "when", "(UTC)", "what", "where", "by", "values"] in [one.split() for one in shown.splitlines()]
    assert "+4930123456" in shown
    assert change["actor"].startswith("cli:")
    undone = accord("undo", str(change["change"]), "--json")
    assert (undone.code, undone.json["fields"]) == (0, {"phone": None})
    assert accord("sync").code == 0
    assert [next(iter(agreed.neutral(one).values()))["phone"] for one in ("stripe", "hubspot")] == [None, None]


def test_a_blank_value_is_told_as_one(agreed: World, accord: Accord) -> None:
    """An empty place does not say whether there is no value or nothing was looked up."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930123456")
    change = str(agreed.db.read_now(journal.last_id))
    assert "(blank)" in accord("plan", "stripe").out
    undone = [line.strip("│ ").split() for line in accord("undo", change).out.splitlines()[1:-1]]
    assert undone == [["customer", name], ["phone", "(blank)"]]


def test_undo_refuses_what_has_changed_since_and_names_what_is_newer(agreed: World, accord: Accord) -> None:
    """A correction of last week must not take away that of today."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930111", "--set", "url=https://ada.test")
    change = str(agreed.db.read_now(journal.last_id))
    accord("customers", "update", name, "--set", "phone=+4930222")
    for arguments in ((), ("--dry-run",), ("--field", "phone")):
        refused = accord("undo", change, *arguments, "--json")
        assert (refused.code, refused.error["code"]) == (1, "version_conflict"), arguments
        assert "phone is +4930222 since 20" in refused.error["problem"]
        assert "by cli:" in refused.error["problem"]
        assert "url" not in refused.error["problem"]
        assert "--anyway" in refused.error["cure"]
    shown = accord("customers", "show", name, "--json").json["fields"]
    assert (shown["phone"], shown["url"]) == ("+4930222", "https://ada.test")
    assert accord("undo", change, "--field", "url").code == 0
    assert accord("undo", change, "--anyway").code == 0
    assert "phone" not in accord("customers", "show", name, "--json").json["fields"]
    assert accord("undo", "a" * 26, "--anyway").code == 1


def test_undo_takes_a_value_that_came_back_for_unchanged(agreed: World, accord: Accord) -> None:
    """What matters is what would be overwritten."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930111")
    change = str(agreed.db.read_now(journal.last_id))
    for phone in ("+4930222", "+4930111"):
        accord("customers", "update", name, "--set", f"phone={phone}")
    assert accord("undo", change).code == 0
    assert "phone" not in accord("customers", "show", name, "--json").json["fields"]
    assert accord("undo", change, "--dry-run").code == 2  # it is as it would be: nothing newer is overwritten


def test_undo_of_one_field_leaves_the_others(agreed: World, accord: Accord) -> None:
    """A change of two fields may be wrong in one of them."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930123456", "--set", "url=https://ada.test")
    change = str(agreed.db.read_now(journal.last_id))
    assert accord("undo", change, "--field", "legal_name").code == 1
    assert accord("undo", change, "--field", "url").code == 0
    fields = accord("customers", "show", name, "--json").json["fields"]
    assert fields["phone"] == "+4930123456"
    assert "url" not in fields


def test_what_somebody_did_to_a_connection_is_no_documents_change(agreed: World, accord: Accord) -> None:
    """Its undo was refused as that of a document, which is undone by a void."""
    entries = agreed.db.read_now(lambda tx: tx.execute(sa.select(JOURNAL.c.id, JOURNAL.c.kind, JOURNAL.c.action)).all())
    activation = next(one.id for one in entries if (one.kind, one.action) == ("connection", "activate"))
    refused = accord("undo", str(activation), "--json")
    problem = f"change {activation} (activate) replaced no values of a customer"
    assert (refused.code, refused.error["problem"]) == (1, problem)
    assert "accord explain" in refused.error["cure"]


def test_a_hold_is_listed_with_its_choices_and_answered(agreed: World, accord: Accord) -> None:
    """A person decides; the next sync carries it out."""
    edit(agreed, "hubspot", name="Ada: the second")
    assert accord("sync").code == 3
    (hold,) = accord("holds", "--json").json
    assert (hold["connection"], hold["field"], hold["reason"]) == ("quickbooks", "name", "unrepresentable")
    assert hold["external_customer_id"] == customer_id(agreed)
    assert hold["id"][:12] in accord("holds", "--connection", "quickbooks", "--reason", "unrepresentable").out
    assert accord("holds", "--connection", "stripe").out.strip() == "nothing is held"
    wrong = accord("holds", "answer", hold["id"], "maybe", "--json")
    assert (wrong.code, wrong.error["limit"]) == (1, ", ".join(hold["choices"]))
    stale = accord("holds", "answer", hold["id"], "remote", "--digest", "other", "--json")
    assert (stale.code, stale.error["field"]) == (1, "digest")
    kept = agreed.db.read_now(lambda tx: holds.get(tx, hold["id"]))
    assert kept is not None
    assert kept.state == "open"
    assert accord("holds", "answer", hold["id"], "remote", "--digest", hold["digest"]).code == 0
    assert accord("holds", "answer", hold["id"], "remote").code == 1
    assert accord("sync").code == 0
    names = {name: next(iter(agreed.neutral(name).values()))["name"] for name in ("stripe", "quickbooks")}
    assert names == {"stripe": "Ada Lovelace", "quickbooks": "Ada Lovelace"}


def test_a_hold_is_answered_by_how_its_id_begins(agreed: World, accord: Accord) -> None:
    """An id of 32 characters does not fit a terminal beside the rest; a beginning that two share answers neither."""
    edit(agreed, "hubspot", name="Ada: the second")
    accord("sync")
    (hold,) = accord("holds", "--json").json
    other = "h" if hold["id"][14] == "g" else "g"
    twin = f"{hold['id'][:14]}{other * 18}"
    names = [column.name for column in HOLDS.columns if column.name not in ("id", "field")]
    copied = sa.select(sa.literal(twin), sa.literal("phone"), *(HOLDS.c[one] for one in names))
    agreed.db.run_now(lambda tx: tx.execute(sa.insert(HOLDS).from_select(["id", "field", *names], copied)))
    both = accord("holds", "answer", hold["id"][:14], "remote", "--json")
    assert (both.code, both.error["field"]) == (1, "hold")
    assert hold["id"][:15] in both.error["cure"]
    assert f"{hold['id'][:15]} " in accord("holds").out
    assert "4" in accord("holds", "answer", hold["id"][:3], "remote", "--json").error["limit"]
    assert accord("holds", "answer", hold["id"][:15], "remote", "--json").json["id"] == hold["id"]


def test_a_customer_entered_by_hand_reaches_every_system(agreed: World, accord: Accord) -> None:
    """The registry is a system, too."""
    made = accord(
        "customers", "create", "C-1", "--set", "name=Bob Company", "--set", "email=bob@example.test",
        "--set", "billing_address.city=Berlin", "--set", "billing_address.country=Germany", "--json",
    )  # fmt: skip
    assert (made.code, made.json["fields"]["billing_address"]) == (0, {"city": "Berlin", "country": "DE"})
    assert accord("sync").code == 0
    for name in ("stripe", "hubspot", "quickbooks"):
        assert "Bob Company" in {one["name"] for one in agreed.neutral(name).values()}
    taken = accord("customers", "create", "C-1", "--json")
    assert (taken.code, taken.error["limit"]) == (1, "unique")


def test_nobody_is_entered_by_an_id_alone(agreed: World, accord: Accord) -> None:
    """A slip of the hand made an empty customer; `update` without a field is refused, too."""
    for empty in ([], ["--set", "name="]):
        refused = accord("customers", "create", "C-1", *empty, "--json")
        assert (refused.code, refused.error["field"]) == (1, "fields")
    assert agreed.db.read_now(customers.count) == 1


def test_customers_are_listed_page_by_page_and_searched(agreed: World, accord: Accord) -> None:
    """Many customers, few at once."""
    for number in range(4):
        accord("customers", "create", f"C-{number}", "--set", f"name=Person {number}")
    first = accord("customers", "list", "--limit", "2", "--json").json
    assert (first["total"], [one["external_customer_id"] for one in first["customers"]]) == (5, ["C-0", "C-1"])
    rest = accord("customers", "list", "--after", "C-1", "--limit", "2", "--json").json["customers"]
    assert [one["external_customer_id"] for one in rest] == ["C-2", "C-3"]
    found = accord("customers", "list", "--search", "lovelace", "--json").json["customers"]
    assert [one["external_customer_id"] for one in found] == [customer_id_of(agreed, "Ada Lovelace")]
    assert "go on with --after C-1" in accord("customers", "list", "--limit", "2").out
    odd = accord("customers", "list", "--after", "C-11", "--json")
    assert (odd.code, odd.error["field"], odd.error["limit"]) == (1, "after", "one that was listed")


def test_the_last_page_of_customers_says_nothing_of_a_next_one(accord: Accord) -> None:
    """Whoever followed it found an empty page, and looked for what was missing."""
    for number in range(4):
        accord("customers", "create", f"C-{number}", "--set", f"name=Person {number}")
    for arguments in (("--after", "C-1"), ("--after", "C-1", "--limit", "2"), ("--limit", "4")):
        assert "go on" not in accord("customers", "list", *arguments).out, arguments
    assert "1 of 4; go on with --after C-2" in accord("customers", "list", "--after", "C-1", "--limit", "1").out


def test_an_archived_customer_is_found_by_somebody_who_does_not_know_its_id(agreed: World, accord: Accord) -> None:
    """`restore` wants an id, and no list showed it: it stood in the journal, if one knew when to look."""
    name = customer_id(agreed)
    for number in range(2):
        accord("customers", "create", f"C-{number}", "--set", f"name=Person {number}")
        accord("customers", "archive", f"C-{number}", "--yes")
    assert accord("customers", "list", "--archived", "--search", "lovelace", "--json").json["total"] == 0
    accord("customers", "archive", name, "--yes")
    (found,) = accord("customers", "list", "--archived", "--search", "lovelace", "--json").json["customers"]
    assert (found["external_customer_id"], found["archived_at"] > 0) == (name, True)
    shown = accord("customers", "list", "--archived", "--limit", "2").out
    assert "archived (UTC)" in " ".join(shown.split())
    assert "2 of 3; go on with --after C-1" in shown
    assert "accord customers restore" in shown
    assert accord("customers", "restore", name).code == 0
    assert "--archived" in accord("customers", "restore", "nobody", "--json").error["cure"]
    assert accord("customers", "list", "--archived", "--json").json["total"] == 2
    (live,) = accord("customers", "list", "--json").json["customers"]
    assert (live["external_customer_id"], live["archived_at"]) == (name, None)
    refused = accord("customers", "update", "C-0", "--set", "phone=+4930123456", "--json")
    assert refused.error["problem"] == "there is no customer 'C-0'; one was archived"
    assert "accord customers restore" in refused.error["cure"]


def customer_id_of(world: World, name: str) -> str:
    """The external id of a customer by name."""
    return next(one.external_id for one in world.db.read_now(customers.listing) if one.fields["name"] == name)


def test_an_update_of_another_version_is_refused(agreed: World, accord: Accord) -> None:
    """Two people edit one customer."""
    name = customer_id(agreed)
    version = accord("customers", "show", name, "--json").json["version"]
    assert accord("customers", "update", name, "--set", "phone=+4930123456", "--version", str(version)).code == 0
    late = accord("customers", "update", name, "--set", "phone=+4930999999", "--version", str(version), "--json")
    assert (late.code, late.error["code"]) == (1, "version_conflict")
    assert accord("customers", "update", name, "--json").error["field"] == "set"
    invalid = accord("customers", "update", name, "--set", "email=nonsense", "--json")
    assert (invalid.code, invalid.error["field"]) == (1, "email")


def test_archiving_tells_what_is_archived_where(agreed: World, accord: Accord) -> None:
    """Who says yes knows what goes; until the daemon has done it, the status counts it."""
    name, book = customer_id(agreed), only(agreed, "quickbooks")
    agreed.config = with_policy(agreed.config, "quickbooks", when_archived="archive")
    agreed.start()
    asked = accord("customers", "archive", name)
    assert (asked.code, "--yes" in asked.err) == (1, True)
    done = accord("customers", "archive", name, "--yes", "--json")
    assert done.json["to_archive"] == [f"quickbooks {book}"]
    shown = {one["connection"]: one["to_archive"] for one in accord("status", "--json").json["connections"]}
    assert shown == {"hubspot": 0, "quickbooks": 1, "stripe": 0}
    assert "quickbooks: 1 objects of archived customers wait to be archived" in accord("status").out
    planned = accord("plan", "quickbooks", "--json")
    (item,) = planned.json["plans"][0]["items"]
    assert (planned.code, item["kind"], item["external_id"], item["remote_id"]) == (2, "archive", name, book)
    asyncio.run(agreed.settle())
    assert [one["status"] for one in agreed.neutral("quickbooks").values()] == ["inactive"]
    assert "wait to be archived" not in accord("status").out
    assert accord("plan", "quickbooks", "--json").json["plans"][0]["counts"] == {}


def objects(accord: Accord, name: str) -> dict[str, str]:
    """What becomes of each object of an archived customer, by connection."""
    return {one["connection"]: one["object"] for one in accord("explain", name, "--json").json["mappings"]}


def test_an_archived_customer_is_explained_with_what_becomes_of_its_objects(agreed: World, accord: Accord) -> None:
    """At three in the morning: it is archived, since when, by whom, and what happens to it where."""
    name = customer_id(agreed)
    agreed.config = with_policy(agreed.config, "quickbooks", when_archived="archive")
    agreed.config = with_policy(agreed.config, "hubspot", when_archived="archive")
    agreed.start()
    agreed.lookalikes["hubspot"].edit("customer", only(agreed, "hubspot"), {"phone": "+4930777"})
    accord("customers", "archive", name, "--yes")
    assert objects(accord, name) == {"hubspot": "waiting", "quickbooks": "waiting", "stripe": "left"}
    shown = accord("explain", name).out
    assert "archived" in shown
    assert "UTC by cli:" in shown
    assert "waits to be archived there" in shown
    asyncio.run(agreed.settle())
    assert objects(accord, name) == {"hubspot": "held", "quickbooks": "archived", "stripe": "left"}
    told = accord("explain", name).out
    assert "it was archived there" in told
    assert "it is not archived: it was changed there since" in told
    assert [one["kind"] for one in accord("plan", "hubspot", "--json").json["plans"][0]["items"]] == ["hold"]
    assert accord("holds", "answer", "--where", "reason=not_archived", "leave", "--yes").code == 0
    asyncio.run(agreed.settle())
    assert objects(accord, name)["hubspot"] == "left"
    assert " said so" in accord("explain", name).out
    one = accord("customers", "show", name, "--json")
    assert (one.code, one.json["archived"]["by"].startswith("cli:"), one.json["fields"]["name"]) == (
        0, True, "Ada Lovelace",
    )  # fmt: skip
    assert "accord explain" in accord("customers", "show", name).out


def test_a_customer_that_was_archived_by_mistake_is_brought_back(agreed: World, accord: Accord) -> None:
    """Whoever does it sees what it is tied to, and what somebody has to bring back elsewhere."""
    name, book = customer_id(agreed), only(agreed, "quickbooks")
    agreed.config = with_policy(agreed.config, "quickbooks", when_archived="archive")
    agreed.start()
    assert accord("customers", "restore", name).code == 1
    accord("customers", "archive", name, "--yes")
    asyncio.run(agreed.settle())
    shown = accord("customers", "restore", name)
    assert (shown.code, f"archived there: bring back by hand: quickbooks {book}" in shown.out) == (0, True)
    assert customer_id(agreed) == name
    asyncio.run(agreed.settle())
    accord("customers", "archive", name, "--yes")
    back = accord("customers", "restore", name, "--json").json
    assert (len(back["tied"]), back["apart"]) == (3, [])
    change = accord("explain", name, "--json").json["journal"][0]
    assert change["action"] == "restore"
    assert "was restored" in accord("undo", change["trace"], "--dry-run", "--json").out


def test_an_id_that_is_used_again_is_the_living_customers(agreed: World, accord: Accord) -> None:
    """And one that never was is nobody's."""
    name = customer_id(agreed)
    accord("customers", "archive", name, "--yes")
    accord("customers", "create", name, "--set", "name=Heir")
    assert accord("customers", "show", name, "--json").json["fields"] == {"name": "Heir"}
    assert accord("explain", name, "--json").json["archived"] is None
    assert accord("explain", "nobody").code == 1
    assert accord("explain", "(erased)").code == 1


def test_a_customer_that_an_answer_archived_says_which(agreed: World, accord: Accord) -> None:
    """Nobody typed `archive` into a command: the question is the reason."""
    name = customer_id(agreed)
    agreed.lookalikes["stripe"].delete("customer", only(agreed, "stripe"))
    asyncio.run(agreed.next_sweep())
    assert accord("holds", "answer", "--where", "reason=remote_gone", "archive", "--yes").code == 0
    assert "answering remote_gone at stripe with archive" in accord("explain", name).out
    assert objects(accord, name) == {"hubspot": "left", "quickbooks": "left", "stripe": "gone"}


def test_archiving_needs_a_yes_where_nobody_can_be_asked(agreed: World, accord: Accord) -> None:
    """A script that archives by accident cannot be talked to."""
    name = customer_id(agreed)
    assert accord("customers", "archive", name, "--json").error["cure"] == "say --yes"
    assert agreed.db.read_now(customers.count) == 1
    assert accord("customers", "archive", name, "--yes").code == 0
    assert agreed.db.read_now(customers.count) == 0
    assert len(agreed.neutral("stripe")) == 1
    assert accord("customers", "archive", name, "--yes").code == 1


class _Narrow(io.StringIO):
    """A terminal of eighty columns."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_what_is_to_be_typed_into_the_next_command_is_not_folded_on_a_terminal(
    agreed: World, root: WorldRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pieces of a subject in three lines are nothing that `accord retry` takes."""
    monkeypatch.setenv("COLUMNS", "80")
    subject, name = f"m:{'0123456789abcdef' * 2}", "somebody-whose-id-is-long"
    one = failures.Failure(
        connection="stripe", subject=subject, code="bug", message="it fails again " * 9, state="dead",
        first_at=1.0, last_at=1.0,
    )  # fmt: skip
    agreed.db.run_now(lambda tx: failures.record(tx, [one]))
    values = {"name": "Somebody " * 9, "email": "somebody.with.a.long.address@example.test"}
    agreed.db.run_now(lambda tx: registry.create(tx, agreed.hub, name, values, actor="ann", trace="t"))
    screen = _Narrow()
    desk = Desk(root, (screen, screen, screen))
    holds_commands.failures(desk)
    customers_commands.listing(desk)
    shown = screen.getvalue()
    assert subject in shown
    assert "dead ones wait for `accord retry CONNECTION SUBJECT`" in shown
    assert name in shown


def test_the_inbox_shows_what_was_not_understood(agreed: World, accord: Accord) -> None:
    """Authentic but unreadable deliveries are kept, and seen."""
    letter = inbox.Letter(connection="stripe", dedupe_key="k", body=b"{", received_at=1_795_000_000.0)
    agreed.db.run_now(lambda tx: inbox.add(tx, [letter]))
    agreed.db.run_now(lambda tx: inbox.poison(tx, {1: "no JSON \x1b[31m"}))
    found = accord("inbox", "--json").json
    assert [(one["id"], one["connection"]) for one in found["poison"]] == [(1, "stripe")]
    assert {one["connection"]: one["poison"] for one in found["connections"]} == {
        "hubspot": 0, "quickbooks": 0, "stripe": 1,
    }  # fmt: skip
    shown = " ".join(accord("inbox").out.split())
    assert "\x1b" not in shown
    assert f"stripe 0 0 1 {moment(letter.received_at)}" in shown
    assert "quickbooks 0 0 0 none came" in shown
    assert "`webhook.refused` in the daemon's log" in shown, "a secret that was rotated at the provider only"


def test_a_question_about_an_object_of_nobody_names_the_object(agreed: World, accord: Accord) -> None:
    """Its candidates were named, and it was not: whoever had to say which of them it is had nothing to look at."""
    twin = {"name": "Ada L.", "email": "ada@example.test"}
    one = agreed.lookalikes["stripe"].edit("customer", None, twin)
    assert accord("sync", "stripe", "--full").code == 3
    assert f"stripe object {one}" in " ".join(accord("holds").out.split())


def test_what_somebody_else_did_at_the_same_moment_is_told_as_that(agreed: World, accord: Accord) -> None:
    """The database lets one of two win: the other one saw its words, in a traceback."""
    ada = customer_id(agreed)
    agreed.db.run_now(lambda tx: unlink(tx, agreed.hub, ada, "stripe", actor="ann", trace="t"))
    insert_fails(agreed, "UNIQUE constraint failed: mappings.remote_id")
    result = accord("mappings", "link", ada, "stripe", only(agreed, "stripe"), "--json")
    assert (result.code, result.error["code"]) == (1, "version_conflict")
    assert result.error["cure"] == "look at what there is by now, and give the command again"


def test_a_row_that_breaks_another_rule_of_the_database_is_a_bug_and_nobody_elses_doing(
    agreed: World, accord: Accord
) -> None:
    """Who is told to give the command again would give it for ever."""
    ada = customer_id(agreed)
    agreed.db.run_now(lambda tx: unlink(tx, agreed.hub, ada, "stripe", actor="ann", trace="t"))
    insert_fails(agreed, "NOT NULL constraint failed: mappings.base")
    with pytest.raises(IntegrityError):
        accord("mappings", "link", ada, "stripe", only(agreed, "stripe"), "--json")


def insert_fails(world: World, words: str) -> None:
    """The database refuses the next mapping in these words."""
    trigger = f"CREATE TRIGGER first BEFORE INSERT ON mappings BEGIN SELECT RAISE(ABORT, '{words}'); END"
    world.db.run_now(lambda tx: tx.execute(sa.text(trigger)))
