"""What one mapping needs, decided from what was read and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.model import holds
from core.model.decide import Lost, Snapshot, Verdict, after_write, decide
from core.model.holds import Answer
from core.model.merge import digest_of
from core.model.policy import Policy, Rule
from core.model.projection import Projection
from core.model.remote import Remote
from core.model.values import Value, takes_away
from tests.support.deciding import policy_of
from tests.support.deciding import projection as small_projection

RANKED = Rule(ranks=("registry", "stripe", "hubspot"))


@pytest.fixture
def projection() -> Projection:
    """Name, e-mail, phone and metadata."""
    return small_projection()


def remote_of(fields: dict[str, Value], **named: Any) -> Remote:
    """A remote object that holds `fields`."""
    return Remote(id="r1", fields=fields, **named)


def verdict_of(
    projection: Projection,
    registry: Mapping[str, Value],
    remote: Remote | None,
    *,
    policy: Policy | None = None,
    **named: Any,
) -> Verdict:
    """Decide at stripe."""
    named.setdefault("sources", {})
    named.setdefault("base", {})
    snapshot = Snapshot(registry=registry, remote=remote, **named)
    rules = {"name": RANKED, "email": RANKED, "phone": RANKED}
    return decide(snapshot, policy or policy_of(rules), "stripe", projection)


def test_a_field_that_was_not_read_is_outside_the_comparison(projection: Projection) -> None:
    """Absent is not blank: a masked or unrequested field is neither cleared nor written."""
    verdict = verdict_of(projection, {"name": "Ada", "phone": "1"}, remote_of({"name": "Ada"}))
    assert verdict.base == {"name": ("Ada", "Ada")}
    assert verdict.is_quiet


def test_what_is_as_agreed_is_left_alone(projection: Projection) -> None:
    """No write, no new base, no word about it."""
    verdict = verdict_of(projection, {"phone": "1"}, remote_of({"phone": "1"}), base={"phone": ("1", "1")})
    assert verdict == Verdict()


def test_a_field_outside_the_projection_is_never_written(projection: Projection) -> None:
    """What a provider cannot store has no base there."""
    verdict = verdict_of(projection, {"timezone": "Europe/Berlin"}, remote_of({"timezone": None, "name": None}))
    assert not verdict.push
    assert "timezone" not in verdict.base


def test_a_create_pushes_every_projected_value(projection: Projection) -> None:
    """Nothing is there yet: all that is projected is blank."""
    verdict = verdict_of(projection, {"name": "Ada", "timezone": "UTC", "metadata.plan": "pro"}, None)
    assert verdict.push == {"name": "Ada", "metadata.plan": "pro"}
    assert verdict.base == {"email": (None, None), "phone": (None, None)}
    assert not verdict.replaced


def test_a_pull_agrees_on_the_pair_at_once(projection: Projection) -> None:
    """A pull stores the pair it committed."""
    verdict = verdict_of(projection, {"phone": "1"}, remote_of({"phone": "2"}), base={"phone": ("1", "1")})
    assert verdict.pull == {"phone": "2"}
    assert verdict.base == {"phone": ("2", "2")}
    assert verdict.replaced == {"phone": ("1", "2")}
    assert not verdict.lost
    assert not verdict.is_quiet
    assert verdict.rules["phone"] == "only the remote changed"


def test_a_push_agrees_on_nothing_before_it_is_answered(projection: Projection) -> None:
    """Base from what was sent made permanent ping-pong out of a provider's own spelling."""
    verdict = verdict_of(projection, {"phone": "2"}, remote_of({"phone": "1"}), base={"phone": ("1", "1")})
    assert verdict.push == {"phone": "2"}
    assert not verdict.base
    assert verdict.replaced == {"phone": ("1", "2")}
    assert not verdict.is_quiet


def test_filling_a_blank_replaces_nothing(projection: Projection) -> None:
    """The mass-change stop counts only what is destroyed."""
    assert not verdict_of(projection, {"phone": "2"}, remote_of({"phone": None})).replaced
    assert not verdict_of(projection, {}, remote_of({"phone": "2"})).replaced


def test_a_digest_names_one_change_and_no_other(projection: Projection) -> None:
    """What a person approves is this, not whatever the same record would change by the time it is read again."""
    remote = remote_of({"name": "Ada", "phone": "1"})
    base: dict[str, Any] = {"name": ("Ada", "Ada"), "phone": ("1", "1")}
    seen = verdict_of(projection, {"name": "Ada", "phone": "2"}, remote, base=base).digest
    again = verdict_of(projection, {"phone": "2", "name": "Ada"}, remote, base=base).digest
    other = verdict_of(projection, {"name": "Ada", "phone": "3"}, remote, base=base).digest
    pulled = verdict_of(projection, {"name": "Ada", "phone": "1"}, remote_of({"phone": "2"}), base=base).digest
    assert seen == again
    assert len({seen, other, pulled, Verdict().digest}) == 4


def test_who_is_made_inactive_is_taken_away_whatever_was_there_before(projection: Projection) -> None:
    """A customer without a status is an active one: a CRM that archives everybody fills a blank with each."""
    assert takes_away("status", "inactive")
    assert not takes_away("status", "active")
    assert not takes_away("status", None)
    assert not takes_away("name", "inactive")
    with_status = replace(projection, fields=("status",))
    remote = remote_of({"status": "inactive"})
    verdict = verdict_of(with_status, {"status": None}, remote, base={"status": (None, None)})
    assert verdict.replaced == {"status": (None, "inactive")}


def test_a_conflicts_loser_is_kept_with_its_side(projection: Projection) -> None:
    """No silent conflict: the value that lost can be put back."""
    base: Mapping[str, tuple[Value, Value]] = {"phone": ("0", "0")}
    seen = remote_of({"phone": "2"})
    rule = "conflict: registry outranks stripe"
    assert verdict_of(projection, {"phone": "1"}, seen, base=base).lost == [Lost("phone", "2", "remote", rule)]
    pulled = verdict_of(projection, {"phone": "1"}, seen, base=base, sources={"phone": "hubspot"})
    assert pulled.pull == {"phone": "2"}
    assert pulled.lost == [Lost("phone", "1", "registry", "conflict: stripe outranks hubspot")]


def test_a_blank_that_loses_is_no_loss(projection: Projection) -> None:
    """There is nothing to put back."""
    verdict = verdict_of(projection, {"phone": "1"}, remote_of({"phone": None}), base={"phone": ("0", "0")})
    assert verdict.push == {"phone": "1"}
    assert not verdict.lost


def test_a_held_field_does_not_stop_the_others(projection: Projection) -> None:
    """The rest flows."""
    policy = policy_of({"name": Rule(), "phone": RANKED})
    verdict = verdict_of(
        projection,
        {"name": "a", "phone": "1"},
        remote_of({"name": "b", "phone": "2"}),
        base={"phone": ("1", "1")},
        policy=policy,
    )
    assert verdict.pull == {"phone": "2"}
    (hold,) = verdict.holds
    assert (hold.field, hold.reason) == ("name", holds.CONFLICT)
    assert hold.detail == {"registry": "a", "remote": "b", "rule": "conflict: no ranked winner"}
    assert hold.digest == digest_of(holds.CONFLICT, "name", "a", "b")


@pytest.mark.parametrize(
    ("choice", "push", "pull", "base", "side", "rule"),
    [
        ("registry", {"name": "a"}, {}, {}, "remote", "a person chose the registry's value"),
        ("remote", {}, {"name": "b"}, {"name": ("b", "b")}, "registry", "a person chose the connection's value"),
        ("accept", {}, {}, {"name": ("a", "b")}, "", "a person accepted that the two differ"),
    ],
)
def test_a_persons_answer_counts_for_the_values_seen(
    projection: Projection,
    choice: str,
    push: dict[str, Value],
    pull: dict[str, Value],
    base: dict[str, Any],
    side: str,
    rule: str,
) -> None:
    """An answer is bound to the digest of both values."""
    policy = policy_of({"name": Rule()})
    answers = {"name": Answer(choice, digest_of(holds.CONFLICT, "name", "a", "b"))}
    verdict = verdict_of(projection, {"name": "a"}, remote_of({"name": "b"}), policy=policy, answers=answers)
    assert (verdict.push, verdict.pull, verdict.base, verdict.rules) == (push, pull, base, {"name": rule})
    assert verdict.lost == ([Lost("name", "b" if side == "remote" else "a", side, rule)] if side else [])
    assert not verdict.holds
    moved = verdict_of(projection, {"name": "a"}, remote_of({"name": "c"}), policy=policy, answers=answers)
    assert moved.is_quiet
    assert [one.field for one in moved.holds] == ["name"]


def test_a_flapping_field_is_held(projection: Projection) -> None:
    """Two automations made 1,333 writes in 1,000 sweeps."""
    verdict = verdict_of(
        projection,
        {"phone": "1"},
        remote_of({"phone": "2"}),
        base={"phone": ("1", "1")},
        flapping=frozenset({"phone"}),
    )
    assert verdict.is_quiet
    assert [one.reason for one in verdict.holds] == [holds.OSCILLATION]


def test_a_value_that_does_not_fit_is_held_and_not_cut(projection: Projection) -> None:
    """Nothing is cut short silently; the limit and the cure are told."""
    verdict = verdict_of(projection, {"name": "A name of many letters", "phone": "1"}, None)
    assert verdict.push == {"phone": "1"}
    (hold,) = verdict.holds
    assert hold.reason == holds.UNREPRESENTABLE
    assert hold.detail["limit"] == "10 characters"
    assert hold.detail["cure"] == "shorten it"
    assert hold.detail["problem"] == "too long"


def test_a_value_that_does_not_fit_may_still_come_in(projection: Projection) -> None:
    """Only a push can be refused."""
    long = "A name of many letters"
    verdict = verdict_of(projection, {"name": long}, remote_of({"name": "x"}), base={"name": (long, "y")})
    assert verdict.pull == {"name": "x"}


def test_a_value_the_provider_changed_is_not_written_again(projection: Projection) -> None:
    """Writing it again would only be changed again, for ever."""
    standing = {"phone": (holds.PROVIDER_CHANGED, digest_of(holds.PROVIDER_CHANGED, "phone", "1", "one"))}
    seen = remote_of({"phone": "one"})
    held = verdict_of(projection, {"phone": "1"}, seen, base={"phone": ("0", "0")}, standing=standing)
    assert held.is_quiet
    assert [one.reason for one in held.holds] == [holds.PROVIDER_CHANGED]
    moved = verdict_of(projection, {"phone": "2"}, seen, base={"phone": ("0", "0")}, standing=standing)
    assert moved.push == {"phone": "2"}
    other = {"phone": (holds.CONFLICT, digest_of(holds.PROVIDER_CHANGED, "phone", "1", "one"))}
    assert verdict_of(projection, {"phone": "1"}, seen, base={"phone": ("0", "0")}, standing=other).push


@pytest.mark.parametrize(
    ("choice", "push", "pull", "base"),
    [
        ("registry", {"phone": "1"}, {}, {}),
        ("remote", {}, {"phone": "one"}, {"phone": ("one", "one")}),
        ("accept", {}, {}, {"phone": ("1", "one")}),
    ],
)
def test_an_answer_about_a_changed_value_counts(
    projection: Projection, choice: str, push: dict[str, Value], pull: dict[str, Value], base: dict[str, Any]
) -> None:
    """Accepting it used to write the value once more, and to ask once more, for ever."""
    answers = {"phone": Answer(choice, digest_of(holds.PROVIDER_CHANGED, "phone", "1", "one"))}
    seen = remote_of({"phone": "one"})
    verdict = verdict_of(projection, {"phone": "1"}, seen, base={"phone": ("0", "0")}, answers=answers)
    assert (verdict.push, verdict.pull, verdict.base, verdict.holds) == (push, pull, base, [])


@pytest.mark.parametrize("flow", ["both", "in"])
def test_a_value_that_cannot_be_read_is_held(projection: Projection, flow: Any) -> None:
    """An unknown country holds that field; it is neither blank nor a change."""
    policy = policy_of({"phone": Rule(flow=flow)})
    seen = remote_of({"name": "Ada"}, unreadable={"phone": "no such country"})
    verdict = verdict_of(projection, {"name": "Ada", "phone": "1"}, seen, policy=policy)
    (hold,) = verdict.holds
    assert (hold.reason, hold.field) == (holds.UNREADABLE, "phone")
    assert hold.detail == {"problem": "no such country", "registry": "1"}
    assert hold.digest == digest_of(holds.UNREADABLE, "phone", "1", "no such country")
    assert verdict.is_quiet
    assert "phone" not in verdict.base


def test_a_value_that_nobody_compares_need_not_be_readable(projection: Projection) -> None:
    """Policy switches the field off here."""
    policy = policy_of({"phone": Rule(flow="off")})
    verdict = verdict_of(projection, {"phone": "1"}, remote_of({}, unreadable={"phone": "odd"}), policy=policy)
    assert not verdict.holds
    assert verdict.is_quiet


@pytest.mark.parametrize(
    ("value", "base", "push"), [("1", None, {"phone": "1"}), (None, None, {}), ("1", ("1", None), {})]
)
def test_an_unreadable_value_is_drift_where_values_only_flow_out(
    projection: Projection, value: Value, base: Any, push: dict[str, Value]
) -> None:
    """It is put back, unless there is nothing to put there or it was agreed to leave it."""
    policy = policy_of({"phone": Rule(flow="out")})
    seen = remote_of({}, unreadable={"phone": "odd"})
    verdict = verdict_of(projection, {"phone": value}, seen, base={"phone": base} if base else {}, policy=policy)
    assert (verdict.push, verdict.holds) == (push, [])
    assert verdict.rules == dict.fromkeys(push, "drift is put back")


def test_drift_is_not_put_back_by_a_value_that_does_not_fit(projection: Projection) -> None:
    """The provider would refuse it, and with it the whole write."""
    seen = remote_of({}, unreadable={"name": "odd"})
    verdict = verdict_of(
        projection, {"name": "A name of many letters"}, seen, policy=policy_of({"name": Rule(flow="out")})
    )
    assert (verdict.push, [one.reason for one in verdict.holds]) == ({}, [holds.UNREPRESENTABLE])


@pytest.mark.parametrize(
    ("choice", "value", "push"),
    [("registry", "1", {"phone": "1"}), ("accept", None, {}), ("accept", "1", {})],
)
def test_an_unreadable_value_can_be_answered(
    projection: Projection, choice: str, value: Value, push: dict[str, Value]
) -> None:
    """The registry's value replaces it, or it is left as it is."""
    seen = remote_of({}, unreadable={"phone": "odd"})
    answers = {"phone": Answer(choice, digest_of(holds.UNREADABLE, "phone", value, "odd"))}
    verdict = verdict_of(projection, {"phone": value}, seen, answers=answers)
    assert verdict.push == push
    assert not verdict.holds
    if push:
        assert verdict.rules == {"phone": "a person chose the registry's value"}


def test_an_unreadable_value_is_not_cleared_by_a_registry_that_has_none(projection: Projection) -> None:
    """The answer wrote nothing, and nobody was asked any more: the two differed for good."""
    seen = remote_of({}, unreadable={"phone": "odd"})
    answers = {"phone": Answer("registry", digest_of(holds.UNREADABLE, "phone", None, "odd"))}
    verdict = verdict_of(projection, {}, seen, answers=answers)
    assert (verdict.push, [one.reason for one in verdict.holds]) == ({}, [holds.UNREADABLE])
    late = verdict_of(projection, {"phone": "other"}, seen, answers=answers)
    assert late.holds


def test_a_metadata_key_missing_from_a_complete_read_is_an_edit(projection: Projection) -> None:
    """A deleted key came back from another system."""
    policy = policy_of({"metadata": Rule()})
    base: Mapping[str, tuple[Value, Value]] = {"metadata.plan": ("pro", "pro")}
    whole = remote_of({}, metadata_complete=True)
    partial = remote_of({})
    registry: Mapping[str, Value] = {"metadata.plan": "pro"}
    assert verdict_of(projection, registry, whole, base=base, policy=policy).pull == {"metadata.plan": None}
    assert verdict_of(projection, registry, partial, base=base, policy=policy).is_quiet
    deleted = verdict_of(projection, {}, remote_of({"metadata.plan": "pro"}), base=base, policy=policy)
    assert deleted.push == {"metadata.plan": None}


def test_a_place_that_was_taken_off_an_account_has_cleared_nothing(projection: Projection) -> None:
    """What was agreed stands, a newer value is held alone, and where nothing was agreed the place counts as blank."""
    seen = msgspec.structs.replace(remote_of({"phone": None, "name": "a"}), unmade=frozenset({"phone"}))
    agreed: Mapping[str, tuple[Value, Value]] = {"phone": ("1", "1"), "name": ("a", "a")}
    assert verdict_of(projection, {"phone": "1", "name": "a"}, seen, base=agreed) == Verdict()
    edited = verdict_of(projection, {"phone": "2", "name": "b"}, seen, base=agreed)
    assert edited.push == {"name": "b"}
    assert [(one.field, one.reason, one.detail["remote"]) for one in edited.holds] == [
        ("phone", holds.UNREPRESENTABLE, "1")
    ]
    assert verdict_of(projection, {"phone": "1"}, seen).push == {"phone": "1"}


def test_metadata_of_a_remote_object_is_taken_key_by_key(projection: Projection) -> None:
    """Metadata merges per key."""
    seen = remote_of({"metadata.a": "1", "metadata.b": "2"})
    verdict = verdict_of(projection, {"metadata.b": "2"}, seen)
    assert verdict.pull == {"metadata.a": "1"}
    assert verdict.base == {"metadata.a": ("1", "1"), "metadata.b": ("2", "2")}


def test_metadata_that_is_not_allow_listed_stays_out(projection: Projection) -> None:
    """Other keys are other people's."""
    listed = replace(projection, metadata_keys=frozenset({"plan"}))
    none = replace(projection, has_metadata=False)
    seen = remote_of({"metadata.plan": "pro", "metadata.other": "x"}, metadata_complete=True)
    assert verdict_of(listed, {"metadata.third": "y"}, seen).pull == {"metadata.plan": "pro"}
    assert verdict_of(none, {"metadata.third": "y"}, seen).is_quiet


def roomy(projection: Projection, max_keys: int) -> Projection:
    """The same, with room for so many metadata keys on one object."""
    return replace(projection, max_keys=max_keys)


def test_metadata_keys_beyond_the_limit_wait_and_nothing_else_does(projection: Projection) -> None:
    """The provider refused the whole write for one key too many: the e-mail waited for a metadata key."""
    registry: Mapping[str, Value] = {"email": "a@x.test", "metadata.c": "3", "metadata.a": "1", "metadata.b": "2"}
    verdict = verdict_of(roomy(projection, 2), registry, None)
    assert verdict.push == {"email": "a@x.test", "metadata.a": "1", "metadata.b": "2"}
    assert set(verdict.rules) == set(verdict.push)
    (hold,) = verdict.holds
    assert (hold.reason, hold.field) == (holds.UNREPRESENTABLE, "metadata.c")
    assert hold.detail == {
        "registry": "3",
        "remote": None,
        "rule": "fills a blank",
        "problem": "the object has no room for another metadata key",
        "limit": "2 metadata keys",
        "cure": "remove a metadata key that is not needed there",
    }
    assert hold.digest == digest_of(holds.UNREPRESENTABLE, "metadata.c", "3", None)
    assert verdict_of(roomy(projection, 3), registry, None).push == dict(registry)


def test_a_full_object_still_takes_new_values_of_its_keys(projection: Projection) -> None:
    """Only a key that is not there yet needs room; keys outside the projection and other systems' marks take it."""
    base: Mapping[str, tuple[Value, Value]] = {"metadata.z": ("1", "1")}
    seen = remote_of(
        {"metadata.z": "1", "metadata.other": "x", "metadata.gone": None, "name": None},
        unreadable={"metadata.odd": "is not text", "phone": "is not text"},
        foreign_marks={"lago_customer_id": "1"},
        metadata_complete=True,
    )
    listed = replace(projection, metadata_keys=frozenset({"a", "z"}))
    registry: Mapping[str, Value] = {"metadata.z": "2", "metadata.a": "1", "name": "Ada"}
    verdict = verdict_of(roomy(listed, 4), registry, seen, base=base)
    assert verdict.push == {"metadata.z": "2", "name": "Ada"}
    assert [one.field for one in verdict.holds if one.reason == holds.UNREPRESENTABLE] == ["metadata.a"]
    assert verdict_of(roomy(listed, 5), registry, seen, base=base).push == dict(registry)
    # a person wrote more than there is room for: there is less than none
    assert verdict_of(roomy(listed, 2), registry, seen, base=base).push == {"metadata.z": "2", "name": "Ada"}


def test_a_key_that_is_cleared_makes_room_in_the_same_write(projection: Projection) -> None:
    """The provider counts what is there afterwards."""
    base: Mapping[str, tuple[Value, Value]] = {"metadata.old": ("1", "1")}
    seen = remote_of({"metadata.old": "1"}, metadata_complete=True)
    verdict = verdict_of(roomy(projection, 1), {"metadata.new": "2"}, seen, base=base)
    assert verdict.push == {"metadata.old": None, "metadata.new": "2"}
    assert not verdict.holds


@pytest.mark.parametrize(
    ("choice", "base", "pull"),
    [
        ("accept", {"metadata.b": ("2", None)}, {}),
        ("remote", {"metadata.b": (None, None)}, {"metadata.b": None}),
    ],
)
def test_a_crowded_out_key_is_a_persons_to_decide(
    projection: Projection, choice: str, base: dict[str, Any], pull: dict[str, Value]
) -> None:
    """Leave it out there, or remove it everywhere."""
    answers = {"metadata.b": Answer(choice, digest_of(holds.UNREPRESENTABLE, "metadata.b", "2", None))}
    registry: Mapping[str, Value] = {"metadata.a": "1", "metadata.b": "2"}
    seen = remote_of({}, metadata_complete=True)
    verdict = verdict_of(roomy(projection, 1), registry, seen, answers=answers)
    assert verdict.push == {"metadata.a": "1"}
    assert (verdict.base, verdict.pull) == (base, pull)
    assert not verdict.holds


def test_a_crowded_out_key_is_asked_about_with_what_stands_there(projection: Projection) -> None:
    """A blank there may be an empty text; the answer is bound to exactly that."""
    seen = remote_of({"metadata.b": "", "metadata.a": "1"}, metadata_complete=True)
    (hold,) = verdict_of(roomy(projection, 1), {"metadata.a": "1", "metadata.b": "2"}, seen).holds
    assert hold.detail["remote"] == ""
    assert hold.digest == digest_of(holds.UNREPRESENTABLE, "metadata.b", "2", "")


def test_a_field_is_named_that_a_better_ranked_connection_vouches_for(projection: Projection) -> None:
    """Its rank counts from now on."""
    seen = remote_of({"phone": "1", "name": "Ada"})
    verdict = verdict_of(projection, {"phone": "1", "name": "Ada"}, seen, sources={"phone": "hubspot"})
    assert verdict.vouched == ["phone"]


def test_the_source_of_a_value_decides_its_rank(projection: Projection) -> None:
    """A field without a source was written by hand."""
    base: Mapping[str, tuple[Value, Value]] = {"phone": ("0", "0")}
    seen = remote_of({"phone": "2"})
    assert verdict_of(projection, {"phone": "1"}, seen, base=base).push
    assert verdict_of(projection, {"phone": "1"}, seen, base=base, sources={"phone": "hubspot"}).pull


def test_a_writes_own_answer_makes_the_base(projection: Projection) -> None:
    """The pair is (frozen value sent, value it came back as), where those are the same in the provider's spelling."""
    stored = remote_of({"email": "ann@x.test", "phone": "2", "name": "Ann"}, unreadable={"name": "odd"})
    sent = {"email": "Ann@X.test", "phone": "1", "name": "Ann"}
    pairs, drafts = after_write(sent, stored, projection)
    assert pairs == {"email": ("Ann@X.test", "ann@x.test")}
    loud = remote_of({"email": "ANN@X.TEST"})
    assert after_write({"email": "ann@x.test"}, loud, projection) == ({"email": ("ann@x.test", "ANN@X.TEST")}, [])
    found = {one.field: one for one in drafts}
    assert set(found) == {"phone", "name"}
    assert found["phone"].reason == holds.PROVIDER_CHANGED
    assert found["phone"].detail == {"registry": "1", "remote": "2", "problem": ""}
    assert found["phone"].digest == digest_of(holds.PROVIDER_CHANGED, "phone", "1", "2")
    assert found["name"].detail["problem"] == "odd"


def test_what_was_left_out_of_a_write_is_asked_about_until_there_is_a_place_for_it(projection: Projection) -> None:
    """Sent again and again it would be left out again; once the place is made, nobody has to be asked."""
    nowhere = remote_of({"phone": None, "name": "Ann"}, unmade=frozenset({"phone"}))
    pairs, (draft,) = after_write({"phone": "1", "name": "Ann"}, nowhere, projection)
    assert pairs == {"name": ("Ann", "Ann")}
    assert (draft.reason, draft.field, draft.detail["problem"]) == (
        holds.UNREPRESENTABLE,
        "phone",
        "its place is not there",
    )
    registry: dict[str, Value] = {"phone": "1", "name": "Ann"}
    standing = {"phone": (draft.reason, draft.digest)}
    asked = verdict_of(projection, registry, nowhere, base=pairs, standing=standing)
    assert (asked.push, [(one.field, one.digest) for one in asked.holds]) == ({}, [("phone", draft.digest)])
    for there, known in ((nowhere, {}), (remote_of({"phone": None, "name": "Ann"}), standing)):
        tried = verdict_of(projection, registry, there, base=pairs, standing=known)
        assert (tried.push, tried.holds) == ({"phone": "1"}, [])


def test_a_clear_that_came_back_blank_is_agreed(projection: Projection) -> None:
    """A field that the answer lacks reads as blank."""
    assert after_write({"phone": None}, remote_of({}), projection) == ({"phone": (None, None)}, [])


def test_a_value_that_an_object_gets_once_is_held_where_it_has_another_one(projection: Projection) -> None:
    """Blank, it can be set; and so it can on an object that is to be made."""
    once = replace(projection, fixed=frozenset({"phone"}))
    agreed: Mapping[str, tuple[Value, Value]] = {"phone": ("1", "1")}
    asked = verdict_of(once, {"phone": "2", "name": "Ada"}, remote_of({"phone": "1", "name": None}), base=agreed)
    assert [(one.field, one.reason) for one in asked.holds] == [("phone", holds.UNREPRESENTABLE)]
    assert asked.push == {"name": "Ada"}
    assert verdict_of(once, {"phone": "2"}, remote_of({"phone": None})).push == {"phone": "2"}
    assert verdict_of(once, {"phone": "2"}, None).push == {"phone": "2"}
