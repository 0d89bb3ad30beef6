"""Laws of merge and decide, over worlds that nobody thought of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import holds
from core.model.decide import Snapshot, decide
from core.model.holds import Answer
from core.model.merge import FieldMerge, digest_of
from core.model.policy import Rule
from core.model.remote import Remote
from core.model.values import Value, blank
from tests.support.deciding import CONNECTIONS, canonical
from tests.support.planner import FIELDS, PROJECTION, SIDES, VALUES, campaign, policy_with

WORLDS_IN_CI = 1_500
value = st.sampled_from((*VALUES, None))
rules = st.builds(
    Rule,
    flow=st.sampled_from(["both", "in", "out", "off"]),
    ranks=st.lists(st.sampled_from(SIDES), unique=True).map(tuple),
    clear=st.sampled_from(["propagate", "restore", "hold"]),
)
connection = st.sampled_from(CONNECTIONS)
source = st.sampled_from(SIDES)


def merged(rule: Rule, where: str, registry: Value, remote: Value, base: Any, from_: str) -> Any:
    """One field's outcome."""
    return FieldMerge(policy_with({"phone": rule}), where, canonical).merge("phone", registry, remote, base, from_)


@given(rules, connection, value, value, source)
def test_unchanged_sides_mean_nothing(rule: Rule, where: str, mine: Value, theirs: Value, from_: str) -> None:
    """Whatever the policy, and whatever the agreed pair is."""
    assert merged(rule, where, mine, theirs, (mine, theirs), from_).kind == "none"


@given(rules, connection, value, value, value, source)
def test_equal_sides_are_never_written(rule: Rule, where: str, same: Value, a: Value, b: Value, from_: str) -> None:
    """Two people who typed the same have no conflict."""
    for base in (None, (a, b)):
        assert merged(rule, where, same, same, base, from_).kind in ("agree", "none")


@given(rules, connection, value, value, value, source)
def test_one_sides_change_flows_as_policy_says(
    rule: Rule, where: str, old: Value, new: Value, other: Value, from_: str
) -> None:
    """In, out, both or not at all; a clearing may be asked about or put back, never anything else."""
    if canonical("phone", new) == canonical("phone", other):
        return
    remote_edit = merged(rule, where, other, new, (other, old), from_).kind if new != old else "none"
    protected = blank(new) and rule.clear != "propagate"
    allowed = {
        "both": {"pull"} if not protected else {"hold", "push"},
        "in": {"pull"} if not protected else {"hold", "none"},
        "out": {"push"},
        "off": {"none"},
    }
    assert remote_edit in allowed[rule.flow] | ({"none"} if new == old else set())
    registry_edit = merged(rule, where, new, other, (old, other), from_).kind if new != old else "none"
    allowed = {
        "both": {"push"} if not protected else {"hold", "pull"},
        "out": {"push"} if not protected else {"hold", "none"},
        "in": {"none"} if not protected else {"none", "pull"},
        "off": {"none"},
    }
    assert registry_edit in allowed[rule.flow] | ({"none"} if new == old else set())


@given(rules, connection, value, value, value, value, source)
def test_a_conflict_is_never_silent(
    rule: Rule, where: str, mine: Value, theirs: Value, a: Value, b: Value, from_: str
) -> None:
    """Where both changed, a replaced value is kept as the loser, or a person is asked."""
    same = canonical("phone", mine) == canonical("phone", theirs)
    if same or a == mine or b == theirs or rule.flow == "off":
        return
    outcome = merged(rule, where, mine, theirs, (a, b), from_)
    if outcome.kind in ("push", "pull"):
        replaced = theirs if outcome.kind == "push" else mine
        assert blank(replaced) or (outcome.is_conflict and outcome.lost == replaced)
    else:
        assert outcome.kind == "hold" or blank(mine) or blank(theirs)


@settings(max_examples=200)
@given(
    rules, connection, st.dictionaries(st.sampled_from(FIELDS), value), st.dictionaries(st.sampled_from(FIELDS), value),
    st.dictionaries(st.sampled_from(FIELDS), st.tuples(value, value)),
    st.sampled_from(["registry", "remote", "accept"]),
)  # fmt: skip
def test_an_answered_hold_is_never_asked_again_on_the_same_values(
    rule: Rule, where: str, registry: dict[str, Value], remote: dict[str, Value], base: dict[str, Any], choice: str
) -> None:
    """And never counts on other values."""
    policy = policy_with(dict.fromkeys(FIELDS, rule))
    seen = Snapshot(registry=registry, sources={}, remote=Remote(id="r", fields=remote), base=base)
    first = decide(seen, policy, where, PROJECTION)
    answers = {one.field: Answer(choice, one.digest) for one in first.holds}
    answered = Snapshot(registry=registry, sources={}, remote=seen.remote, base=base, answers=answers)
    second = decide(answered, policy, where, PROJECTION)
    assert not second.holds
    assert {name: v for name, v in second.pull.items() if name not in answers} == first.pull
    assert {name: v for name, v in second.push.items() if name not in answers} == first.push
    stale = {one.field: Answer(choice, digest_of("other", one.digest)) for one in first.holds}
    ignored = Snapshot(registry=registry, sources={}, remote=seen.remote, base=base, answers=stale)
    assert decide(ignored, policy, where, PROJECTION) == first


@given(rules, connection, value, value, value, value)
def test_a_standing_provider_change_stops_the_rewriting(
    rule: Rule, where: str, mine: Value, theirs: Value, a: Value, b: Value
) -> None:
    """As long as both values are those that the hold was opened on."""
    digest = digest_of(holds.PROVIDER_CHANGED, "phone", mine, theirs)
    seen = Snapshot(
        registry={"phone": mine}, sources={}, remote=Remote(id="r", fields={"phone": theirs}), base={"phone": (a, b)},
        standing={"phone": (holds.PROVIDER_CHANGED, digest)},
    )  # fmt: skip
    assert decide(seen, policy_with({"phone": rule}), where, PROJECTION).is_quiet


@pytest.mark.parametrize("seed", [1, 2])
def test_a_campaign_of_planned_worlds_breaks_no_law(seed: int) -> None:
    """Rest within bounds, the best ranked edit everywhere in any order of lanes, losers kept, policy obeyed."""
    reached = campaign(range(WORLDS_IN_CI // 2), seed)
    for what in ("conflict", "only the remote changed", "only the registry changed", "fills a blank", holds.CONFLICT,
                 holds.CLEARED, "drift is put back", "a cleared value is restored"):  # fmt: skip
        assert reached[what] > 0, f"{what} was never reached"
