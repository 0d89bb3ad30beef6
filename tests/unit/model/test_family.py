"""Parents, as pure decisions: chains, circles, and what a verdict makes of them."""

from __future__ import annotations

import msgspec
import pytest

from core.model import holds
from core.model.decide import Snapshot, Verdict, decide
from core.model.family import LONGEST_CHAIN, PARENT, Kin, chain_above, circle, named, without
from core.model.holds import Answer
from core.model.merge import Base, digest_of
from core.model.policy import Rule
from core.model.remote import Refusal, Remote
from core.model.values import Value
from tests.support.deciding import policy_of, projection

TREE = {"c": "b", "b": "a"}
ROUND = {"b": "c", "c": "b"}
DEEP = Refusal(field=PARENT, problem="too deep", limit="4 levels", cure="go up")


def object_(parent: Value = None) -> Remote:
    """An object that can have a parent."""
    return Remote(id="r1", fields={PARENT: parent})


def verdict_of(
    registry: str | None,
    kin: Kin,
    base: Base | None = None,
    answer: Answer | None = None,
    ranks: tuple[str, ...] = ("registry", "stripe"),
) -> Verdict:
    """Decide about a parent at a connection that has them."""
    known = {PARENT: registry} if registry else {}
    seen = Snapshot(
        registry=known,
        sources={},
        remote=kin.remote,
        base={PARENT: base} if base else {},
        answers={PARENT: answer} if answer else {},
        kin=kin,
    )
    plain = projection()
    with_parent = type(plain)(
        fields=(PARENT,), has_metadata=False, metadata_keys=None, canonical=plain.canonical, refusal=plain.refusal,
        since={PARENT: 1}, translation=2,
    )  # fmt: skip
    return decide(seen, policy_of({PARENT: Rule(ranks=ranks)}), "stripe", with_parent)


def test_a_chain_goes_up_to_the_top() -> None:
    """Nearest first."""
    assert chain_above("d", "c", TREE.get) == ["c", "b", "a"]
    assert chain_above("d", None, TREE.get) == []
    assert circle("d", "c", TREE.get) == ()
    assert circle("d", None, TREE.get) == ()


def test_a_circle_is_told_from_the_customer_back_to_itself() -> None:
    """Its own parent is the shortest one; a circle further up is one as well, and so is a chain without end."""
    assert circle("a", "c", TREE.get) == ("a", "c", "b", "a")
    assert circle("a", "a", TREE.get) == ("a", "a")
    assert circle("x", "b", ROUND.get) == ("x", "b", "c", "b")
    endless = circle("0", "1", lambda name: str(int(name) + 1))
    assert len(endless) == LONGEST_CHAIN + 2


def test_an_unknown_parent_stays_outside_of_the_comparison() -> None:
    """Absent is not blank: nothing is written over a parent that nobody can name."""
    stranger = Remote(id="r1", fields={}, parent_id="r9")
    assert named(stranger, None) is stranger
    assert Kin(remote=stranger).is_unknown
    assert not Kin(remote=named(stranger, "boss")).is_unknown
    assert not Kin(remote=object_()).is_unknown
    assert not Kin(remote=None).is_unknown
    assert named(stranger, "boss").fields == {PARENT: "boss"}
    assert PARENT not in without(object_("boss")).fields
    verdict = verdict_of("boss", Kin(remote=stranger, parent_id="r8"))
    assert verdict == Verdict()


def test_parents_flow_like_any_other_field() -> None:
    """Both ways, and a blank is filled."""
    assert verdict_of("boss", Kin(remote=object_(), parent_id="r8")).push == {PARENT: "boss"}
    assert verdict_of(None, Kin(remote=object_("boss"))).pull == {PARENT: "boss"}


def test_what_cannot_be_named_there_yet_waits() -> None:
    """Neither written nor agreed nor asked about; why, is said."""
    verdict = verdict_of("new", Kin(remote=object_("old"), awaits="not there"), base=("old", "old"))
    assert verdict == Verdict(awaits="not there")


def test_a_circle_is_held_and_the_registrys_word_may_undo_it_there() -> None:
    """Taking it is no choice as long as the circle stands."""
    kin = Kin(remote=object_("child"), circle=("me", "child", "me"))
    (hold,) = verdict_of(None, kin).holds
    assert (hold.reason, hold.field, hold.detail["remote"]) == (holds.CIRCLE, PARENT, "child")
    assert hold.detail["problem"] == "parents would form a circle: me -> child -> me"
    (other,) = verdict_of("boss", kin, base=("boss", "boss")).holds
    assert (other.detail["registry"], other.digest) == ("boss", digest_of(holds.CIRCLE, PARENT, "boss", "child"))
    assert holds.CHOICES[holds.CIRCLE] == ("registry", "accept")
    answered = verdict_of(None, kin, answer=Answer("registry", hold.digest))
    assert (answered.push, answered.holds) == ({PARENT: None}, [])
    accepted = verdict_of(None, kin, answer=Answer("accept", hold.digest))
    assert (accepted.base, accepted.is_quiet) == ({PARENT: (None, "child")}, True)


def test_a_circle_that_was_chosen_in_a_conflict_is_held_all_the_same() -> None:
    """The answer to another question is no leave for it."""
    kin = Kin(remote=object_("child"), circle=("me", "child", "me"), parent_id="r8")
    digest = digest_of(holds.CONFLICT, PARENT, "boss", "child")
    verdict = verdict_of("boss", kin, base=("a", "b"), answer=Answer("remote", digest), ranks=())
    assert [one.reason for one in verdict.holds] == [holds.CIRCLE]
    assert (verdict.pull, verdict.base, verdict.lost) == ({}, {}, [])


def test_what_is_too_deep_is_held_with_its_limit() -> None:
    """The connection's own parent may be taken instead, unless that closes a circle."""
    kin = Kin(remote=object_("other"), refusal=DEEP, parent_id="r8")
    (hold,) = verdict_of("boss", kin, base=("other", "other")).holds
    assert hold.reason == holds.UNREPRESENTABLE
    assert hold.detail == {
        "registry": "boss", "remote": "other", "problem": "too deep", "limit": "4 levels", "cure": "go up",
    }  # fmt: skip
    assert hold.digest == digest_of(holds.UNREPRESENTABLE, PARENT, "boss", "other")
    chosen = Answer("remote", hold.digest)
    taken = verdict_of("boss", kin, base=("other", "other"), answer=chosen)
    assert (taken.pull, taken.holds) == ({PARENT: "other"}, [])
    round_ = msgspec.structs.replace(kin, circle=("me", "other", "me"))
    stopped = verdict_of("boss", round_, base=("other", "other"), answer=chosen)
    assert not stopped.pull
    (asked,) = stopped.holds
    assert (asked.reason, asked.field) == (holds.CIRCLE, PARENT)
    assert asked.detail == {"problem": "parents would form a circle: me -> other -> me"}
    assert asked.digest == digest_of(holds.CIRCLE, PARENT, "boss", "other")


@pytest.mark.parametrize("awaits", ["", "not there"])
def test_the_answer_to_a_circle_is_not_written_where_it_cannot_stand(awaits: str) -> None:
    """The registry's parent is not there, or too deep: one after the other."""
    kin = Kin(remote=object_("child"), circle=("me", "child", "me"), awaits=awaits, refusal=DEEP)
    (hold,) = verdict_of("boss", kin, base=("boss", "boss")).holds
    answered = verdict_of("boss", kin, base=("boss", "boss"), answer=Answer("registry", hold.digest))
    assert not answered.push
    assert answered.awaits == awaits
    assert [one.reason for one in answered.holds] == ([] if awaits else [holds.UNREPRESENTABLE])


def test_a_parent_that_hangs_below_its_child_is_told_from_one_that_is_not_there() -> None:
    """Of the one, somebody tells when it comes; the other may be moved away unseen."""
    assert Kin(remote=None, parent_id="p", awaits="its parent still hangs below it").is_turned
    assert not Kin(remote=None, awaits="its parent is not there").is_turned
    assert not Kin(remote=None, parent_id="p").is_turned
