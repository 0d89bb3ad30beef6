"""The ladder of first contact: which customer an unmapped object is, and what may be created."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.model import holds
from core.model.holds import Answer
from core.model.match import (
    CUSTOMER_DELETED,
    FORGOTTEN,
    Candidate,
    Double,
    Hits,
    Marked,
    Match,
    in_scope,
    match,
    match_before_create,
    may_be_forgotten,
    may_create,
    passes,
)
from core.model.merge import digest_of
from core.model.policy import ConnectionPolicy, FieldFilter
from core.model.remote import Remote

ALL = ConnectionPolicy(name="stripe", provider="stripe", enters="all", creates="all", match_email=True)
MARK = "here.m1.2"
FREE = Candidate("c1", "ada", None)
TAKEN = Candidate("c2", "bob", "r9")


def matched(hits: Hits, policy: ConnectionPolicy = ALL, answer: Answer | None = None, **named: Any) -> Match:
    """Judge one object of instance `here`."""
    named.setdefault("fields", {"name": "Ada", "email": "ada@x.test"})
    return match(Remote(id="r1", **named), hits, policy, "here", answer)


def held(found: Match) -> tuple[str, str]:
    """Rung and problem of a hold."""
    assert found.kind == "hold"
    assert found.hold is not None
    assert found.hold.reason == holds.AMBIGUOUS_MATCH
    assert found.hold.detail["rung"] == found.rung
    return found.rung, str(found.hold.detail["problem"])


def candidates(found: Match) -> tuple[object, object]:
    """What a person may choose from, and of which kind."""
    assert found.hold is not None
    return found.hold.detail["candidates_are"], found.hold.detail["candidates"]


def test_an_object_that_nobody_knows_enters() -> None:
    """No candidate on any rung."""
    assert matched(Hits()) == Match("enter", "nothing matches: a new customer")
    assert matched(Hits(is_id_archived=True), external_id="ada").rung == "its external id is new"


def test_our_marker_is_the_best_rung() -> None:
    """Even where external id and e-mail say something else."""
    hits = Hits(marked=Marked("m1", FREE, 2, is_ended=False), by_external_id=TAKEN, by_email=[TAKEN])
    found = matched(hits, accord_ref=MARK, external_id="bob")
    assert (found.kind, found.customer_id, found.mapping_id, found.rung) == ("link", "c1", "m1", "our marker")


@pytest.mark.parametrize(
    "marked",
    [
        Marked("m1", FREE, 2, is_ended=True),
        Marked("m1", FREE, 3, is_ended=False),
        Marked("m1", TAKEN, 2, is_ended=False),
    ],
)
def test_a_marker_of_another_life_is_held(marked: Marked) -> None:
    """A deleted and re-created external id is a new generation and never joins the old objects."""
    rung, problem = held(matched(Hits(marked=marked), accord_ref=MARK))
    assert rung == "marker"
    assert problem == "it carries our marker of a mapping that has another object, or has ended"


def test_a_marker_whose_customer_is_mapped_to_this_very_object_links() -> None:
    """The mapping waited for its object."""
    same = Candidate("c1", "ada", "r1")
    assert matched(Hits(marked=Marked("m1", same, 2, is_ended=False)), accord_ref=MARK).kind == "link"


def test_a_marker_of_another_instance_says_nothing() -> None:
    """A second Accord writes on the same account."""
    hits = Hits(marked=Marked("m1", FREE, 2, is_ended=False))
    assert matched(hits, accord_ref="elsewhere.m1.2").kind == "enter"
    marked_only = msgspec.structs.replace(ALL, enters="marked")
    assert matched(hits, marked_only, accord_ref="elsewhere.m1.2").kind == "ignore"
    assert matched(hits, marked_only, accord_ref=MARK).kind == "link"


def test_a_marker_of_a_mapping_that_is_unknown_falls_to_the_next_rung() -> None:
    """The registry was restored from an older backup."""
    assert matched(Hits(by_external_id=FREE), accord_ref=MARK, external_id="ada").rung == "external id"


def test_an_external_id_links() -> None:
    """The key itself."""
    found = matched(Hits(by_external_id=FREE), external_id="ada")
    assert (found.kind, found.customer_id, found.rung) == ("link", "c1", "external id")


def test_an_external_id_on_two_objects_is_held() -> None:
    """Twins: neither is taken for the right one."""
    found = matched(Hits(by_external_id=FREE, twins_by_external_id=["r2"]), external_id="ada")
    assert held(found) == ("external id", "other objects carry it too")
    assert candidates(found) == ("objects", ["r2"])
    assert held(matched(Hits(twins_by_external_id=["r2"]), external_id="ada"))[0] == "external id"


def test_an_external_id_of_a_customer_mapped_here_is_held() -> None:
    """A second object for one customer."""
    rung, problem = held(matched(Hits(by_external_id=TAKEN), external_id="bob"))
    assert rung == "external id"
    assert "r9" in problem


def test_nobody_can_say_that_an_object_with_a_customers_external_id_is_another_customer() -> None:
    """Two customers cannot have one: it is asked about until the object has another id, is linked, or left."""
    hits = Hits(by_external_id=TAKEN)
    asked = matched(hits, external_id="bob")
    assert asked.hold is not None
    assert matched(hits, answer=Answer("create", asked.hold.digest), external_id="bob") == asked
    assert matched(hits, answer=Answer("leave", asked.hold.digest), external_id="bob").kind == "ignore"


def test_a_new_external_id_with_a_known_email_is_held() -> None:
    """The same person under two keys would become two customers."""
    found = matched(Hits(by_email=[FREE, TAKEN]), external_id="new")
    assert held(found) == (
        "e-mail", "its external id is new, but a customer with its e-mail is known under another",
    )  # fmt: skip
    assert candidates(found) == ("customers", ["ada"])
    assert matched(Hits(by_email=[TAKEN]), external_id="new").kind == "enter"


def test_one_unique_email_links_where_policy_allows() -> None:
    """And is held where it does not."""
    found = matched(Hits(by_email=[FREE]))
    assert (found.kind, found.customer_id, found.rung) == ("link", "c1", "one unique e-mail")
    off = msgspec.structs.replace(ALL, match_email=False)
    assert held(matched(Hits(by_email=[FREE]), off)) == ("e-mail", "policy does not match by e-mail")


def test_an_email_of_two_customers_is_held() -> None:
    """Never guessed."""
    other = Candidate("c3", "eve", None)
    found = matched(Hits(by_email=[FREE, other]))
    assert held(found) == ("e-mail", "more than one customer has it")
    assert candidates(found) == ("customers", ["ada", "eve"])
    assert found.hold is not None
    assert found.hold.detail["name"] == "Ada"
    assert found.hold.detail["email"] == "ada@x.test"


def test_an_email_of_a_mapped_customer_is_held() -> None:
    """A candidate that is already mapped is none."""
    rung, problem = held(matched(Hits(by_email=[TAKEN])))
    assert rung == "e-mail"
    assert problem == "that customer is r9 here"


def test_two_objects_with_one_email_are_held_where_emails_match() -> None:
    """Twins by e-mail; without matching by e-mail they are two customers."""
    found = matched(Hits(twins_by_email=["r2"]))
    assert held(found) == ("e-mail", "other objects have the same e-mail")
    assert candidates(found) == ("objects", ["r2"])
    off = msgspec.structs.replace(ALL, match_email=False)
    assert matched(Hits(twins_by_email=["r2"]), off).kind == "enter"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("create", Match("enter", "a person said it is a customer of its own")),
        ("link:ada", Match("link", "a person linked it", "ada")),
        ("leave", Match("ignore", "a person left it alone")),
    ],
)
def test_a_persons_answer_ends_a_hold(choice: str, expected: Match) -> None:
    """It counts for these candidates only."""
    hits = Hits(by_email=[TAKEN])
    digest = digest_of(holds.AMBIGUOUS_MATCH, "e-mail", ["bob"])
    assert matched(hits, answer=Answer(choice, digest)) == expected
    assert matched(hits, answer=Answer(choice, "other")).kind == "hold"
    assert matched(Hits(), answer=Answer(choice, digest)).kind == "enter"


@pytest.mark.parametrize(
    ("enters", "external_id", "is_archived", "is_marked", "expected"),
    [
        ("all", None, False, False, True),
        ("marked", None, False, False, False),
        ("marked", "ada", False, False, True),
        ("marked", None, False, True, True),
        ("none", "ada", False, False, False),
        ("none", None, False, True, True),
        ("filter", None, False, False, True),
        ("all", None, True, False, True),
        ("marked", None, True, False, False),
        ("marked", "ada", True, False, True),
        ("filter", None, True, False, False),
    ],
)
def test_scope(enters: Any, external_id: str | None, *, is_archived: bool, is_marked: bool, expected: bool) -> None:
    """Which objects may enter the registry."""
    policy = msgspec.structs.replace(ALL, enters=enters, enters_filter=FieldFilter("currency", ("EUR", "CHF")))
    remote = Remote(id="r1", fields={"currency": "EUR"}, external_id=external_id, is_archived=is_archived)
    assert in_scope(remote, policy, is_marked=is_marked) is expected


def test_out_of_scope_is_ignored() -> None:
    """Before any rung is climbed."""
    none = msgspec.structs.replace(ALL, enters="none")
    assert matched(Hits(by_external_id=FREE), none, external_id="ada") == Match("ignore", "out of scope")


def test_the_object_of_a_deleted_customer_stays_alone() -> None:
    """It must not rise again, whatever a rung says."""
    gone = Hits(by_external_id=FREE, ended=CUSTOMER_DELETED)
    assert matched(gone, external_id="ada").kind == "ignore"
    assert matched(msgspec.structs.replace(gone, ended=""), external_id="ada").kind == "link"


def test_a_filter_passes_its_values_only() -> None:
    """And without one nothing passes."""
    assert passes({"currency": "EUR"}, FieldFilter("currency", ("EUR",)))
    assert not passes({"currency": "USD"}, FieldFilter("currency", ("EUR",)))
    assert not passes({}, FieldFilter("currency", ("EUR",)))
    assert not passes({"currency": "EUR"}, None)


@pytest.mark.parametrize(("creates", "expected"), [("all", True), ("none", False), ("marked", False), ("filter", True)])
def test_what_may_be_created(creates: Any, *, expected: bool) -> None:
    """By default nothing."""
    policy = msgspec.structs.replace(ALL, creates=creates, creates_filter=FieldFilter("currency", ("EUR",)))
    assert may_create({"currency": "EUR"}, policy) is expected
    if creates == "filter":
        assert not may_create({"currency": "USD"}, policy)
    assert not may_create({}, ConnectionPolicy(name="a", provider="b"))


def test_nothing_alike_there_is_created() -> None:
    """`enter` means: create there."""
    assert match_before_create((), ALL, None) == Match("enter", "nothing matches: a new customer")


@pytest.mark.parametrize("rung", ["marker", "external id"])
def test_a_sure_double_is_linked_instead(rung: Any) -> None:
    """Even when an e-mail points elsewhere."""
    found = match_before_create([Double("r1", rung), Double("r2", "e-mail")], ALL, None)
    assert found == Match("link", "marker or external id", remote_id="r1")


def test_two_sure_doubles_are_held() -> None:
    """One by marker, another by external id."""
    found = match_before_create([Double("r1", "marker"), Double("r2", "external id")], ALL, None)
    assert (found.kind, found.rung) == ("hold", "create")
    assert candidates(found) == ("objects", ["r1", "r2"])
    assert found.hold is not None
    assert found.hold.reason == holds.AMBIGUOUS_MATCH
    assert found.hold.detail["problem"] == "unmapped objects there could be this customer"


def test_a_double_by_email_is_linked_where_policy_allows() -> None:
    """Else it is held; two of them always are."""
    linked = match_before_create([Double("r1", "e-mail")], ALL, None)
    assert linked == Match("link", "one unique e-mail", remote_id="r1")
    off = msgspec.structs.replace(ALL, match_email=False)
    assert match_before_create([Double("r1", "e-mail")], off, None).kind == "hold"
    assert match_before_create([Double("r1", "e-mail"), Double("r2", "e-mail")], ALL, None).kind == "hold"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("create", Match("enter", "a person said it is a customer of its own")),
        ("link:r2", Match("link", "a person linked it", remote_id="r2")),
        ("leave", Match("ignore", "a person left it alone")),
    ],
)
def test_an_answer_about_doubles_counts_for_those_seen(choice: str, expected: Match) -> None:
    """A third object that appears later asks again."""
    doubles = [Double("r2", "e-mail"), Double("r1", "e-mail")]
    answer = Answer(choice, digest_of(holds.AMBIGUOUS_MATCH, "create", ["r1", "r2"]))
    assert match_before_create(doubles, ALL, answer) == expected
    asked = match_before_create(doubles, ALL, None).hold
    assert asked is not None
    assert asked.digest == answer.digest
    more = [*doubles, Double("r3", "e-mail")]
    assert match_before_create(more, ALL, answer).kind == "hold"


def test_an_object_that_absorbed_a_customers_object_is_that_customers() -> None:
    """The provider's own word beats every other rung."""
    candidate = Candidate("c1", "ext-1", "contact:1")
    remote = Remote(id="contact:9", fields={}, aliases=("contact:1",), accord_ref="inst.m1.1")
    policy = ConnectionPolicy(name="hubspot", provider="hubspot", enters="all")
    assert match(remote, Hits(absorbed=[candidate]), policy, "inst") == Match("link", "merged into it", "c1")


def test_an_object_that_absorbed_objects_of_two_customers_is_held() -> None:
    """Nobody but a person can say whose it is."""
    both = [Candidate("c1", "ext-1", "contact:1"), Candidate("c2", "ext-2", "contact:2")]
    remote = Remote(id="contact:9", fields={}, aliases=("contact:1", "contact:2"))
    policy = ConnectionPolicy(name="hubspot", provider="hubspot", enters="all")
    found = match(remote, Hits(absorbed=both), policy, "inst")
    assert held(found) == ("merge", "objects of more than one customer were merged into it")
    assert candidates(found) == ("customers", ["ext-1", "ext-2"])


def test_an_object_with_our_marker_that_a_person_left_out_stays_out() -> None:
    """Unlinking is a person's word; the marker on the object must not undo it."""
    marked = Marked("m1", Candidate("c1", "ext-1", None), 1, is_ended=False, is_left_out=True)
    remote = Remote(id="cus_1", fields={}, accord_ref="inst.m1.1")
    policy = ConnectionPolicy(name="stripe", provider="stripe", enters="all")
    assert match(remote, Hits(marked=marked), policy, "inst") == Match("ignore", "a person left it out")


@pytest.mark.parametrize(
    ("note", "why"),
    [
        ("customer deleted", "its customer was deleted in the registry"),
        ("customer erased", "its customer was erased"),
        ("unlinked", "a person unlinked it"),
    ],
)
def test_what_has_ended_for_good_is_left_alone_whatever_a_rung_says(note: str, why: str) -> None:
    """Not even our marker ties it again. The notes are stored: spelt otherwise, what was erased would come back."""
    hits = Hits(ended=note, marked=Marked("m1", FREE, 2, is_ended=False), by_external_id=FREE)
    assert matched(hits, accord_ref=MARK, external_id="ada") == Match("ignore", why)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        (
            Hits(is_marker_unknown=True),
            "it carries our marker of a mapping that this database does not know: an older one was restored",
        ),
        (
            Hits(is_perhaps_forgotten=True),
            "an older database was restored: it may be a customer's that was mapped to it since",
        ),
    ],
)
def test_what_an_older_database_may_have_forgotten_is_held_unless_a_rung_knows_it(hits: Hits, expected: str) -> None:
    """It does not enter a second time; its external id or its e-mail still links it; a person may say what it is."""
    assert held(matched(hits, accord_ref=MARK)) == ("restore", expected)
    known = msgspec.structs.replace(hits, by_external_id=FREE)
    assert matched(known, accord_ref=MARK, external_id="ada").kind == "link"
    assert matched(hits, accord_ref=MARK, external_id="ada").rung == "its external id is new"
    ended = msgspec.structs.replace(hits, is_id_archived=True)
    asked = matched(ended, accord_ref=MARK, external_id="ada")
    assert held(asked) == ("restore", f"{expected}; a customer with its external id was archived")
    assert asked.hold is not None
    assert matched(hits, answer=Answer("create", asked.hold.digest)).kind == "enter"


def test_what_may_be_forgotten_is_kept_in_mind_whatever_is_asked_about_it() -> None:
    """What is asked by its e-mail stands until nobody has that any more; then this is still to be asked."""
    by_email = Hits(by_email=[TAKEN], is_perhaps_forgotten=True)
    asked, before = matched(by_email).hold, matched(msgspec.structs.replace(by_email, is_perhaps_forgotten=False)).hold
    assert asked is not None
    assert before is not None
    assert may_be_forgotten(asked.detail)
    assert asked.detail.pop(FORGOTTEN) is True
    assert (asked, may_be_forgotten(before.detail)) == (before, False)
    alone = matched(Hits(is_perhaps_forgotten=True)).hold
    assert alone is not None
    assert may_be_forgotten({"rung": alone.detail["rung"]})
    assert matched(Hits(by_email=[FREE], is_perhaps_forgotten=True)).hold is None


def test_a_forgotten_object_of_the_same_name_stops_a_create_and_never_links() -> None:
    """A name alone is a reason to ask, and none to link."""
    found = match_before_create([Double("r1", "name")], ALL, None)
    assert (found.kind, found.rung) == ("hold", "create")
    both = match_before_create([Double("r1", "name"), Double("r1", "e-mail")], ALL, None)
    assert (both.kind, both.remote_id) == ("link", "r1")


def test_what_may_be_a_part_of_a_customer_is_left_to_it() -> None:
    """It looks for it itself: linked as its own object, or asked about twice, it would be nobody's part."""
    waiting = Hits(by_email=[TAKEN], awaited="m7")
    assert matched(waiting) == Match("ignore", "left to the customer with its e-mail, as a part", mapping_id="m7")
    assert matched(Hits(by_email=[FREE], awaited="")).kind == "ignore"
    assert held(matched(Hits(by_email=[TAKEN])))[0] == "e-mail"
    # what it says itself comes first
    assert matched(Hits(by_external_id=FREE, awaited="m7"), external_id="ada").kind == "link"
    assert matched(Hits(marked=Marked("m1", FREE, 2, is_ended=False), awaited="m7"), accord_ref=MARK).kind == "link"
