"""The merge table, row by row: what each of the three values means for one field."""

from __future__ import annotations

import pytest

from core.model import holds
from core.model.merge import (
    AGREE,
    NOT_TAKEN,
    NOT_WRITTEN,
    NOTHING,
    VOUCHED,
    Base,
    FieldMerge,
    Outcome,
    digest_of,
    winner,
)
from core.model.policy import Clear, Flow, Rule
from core.model.values import Value
from tests.support.deciding import canonical, policy_of

RANKED = ("registry", "stripe", "hubspot")


def merged(
    registry: Value,
    remote: Value,
    base: Base | None,
    *,
    rule: Rule | None = None,
    source: str = "registry",
    connection: str = "stripe",
    field: str = "phone",
) -> Outcome:
    """One field's outcome under one rule."""
    policy = policy_of({field: rule or Rule(ranks=RANKED)})
    return FieldMerge(policy, connection, canonical).merge(field, registry, remote, base, source)


def test_nothing_happens_while_both_sides_are_as_agreed() -> None:
    """An agreed pair may even be of two different values: a person accepted that."""
    assert merged("a", "b", ("a", "b")) is NOTHING
    assert merged(None, None, (None, None)) is NOTHING


@pytest.mark.parametrize("base", [None, ("old", "old"), ("same", "old")])
def test_equal_sides_agree_whatever_was_agreed_before(base: Base | None) -> None:
    """Two people who typed the same value have no conflict."""
    assert merged("same", "same", base) is AGREE


@pytest.mark.parametrize(
    ("value", "source", "flow", "is_vouched"),
    [
        ("same", "hubspot", "both", True),
        ("same", "hubspot", "in", True),
        ("same", "hubspot", "out", False),
        ("same", "registry", "both", False),
        ("same", "stripe", "both", False),
        (None, "hubspot", "both", False),
    ],
)
def test_a_better_ranked_system_vouches_for_an_equal_value(
    value: Value, source: str, flow: Flow, *, is_vouched: bool
) -> None:
    """Where its values may come in; neither for a blank, nor for what came from itself or from a better one."""
    outcome = merged(value, value, ("old", "old"), rule=Rule(flow=flow, ranks=RANKED), source=source)
    assert outcome is (VOUCHED if is_vouched else AGREE)


def test_a_providers_own_spelling_is_the_same_value() -> None:
    """An e-mail that comes back in lower case used to be written for ever."""
    assert merged("Ann@Example.com", "ann@example.com", None, field="email") is AGREE
    assert merged("Ann@Example.com", "ann@example.com", None).reason == ""
    assert merged("Ann", "ann", None, field="phone").kind == "push"


def test_another_spelling_of_the_agreed_value_is_no_edit() -> None:
    """Else the registry's edit met a conflict that nobody made; and a difference once accepted was undone."""
    assert merged("new", "OLD@x.test", ("old", "old@x.test"), field="email") == Outcome(
        "push", "only the registry changed", lost="OLD@x.test"
    )
    assert merged("mine", "OLD@x.test", ("mine", "old@x.test"), field="email") is AGREE


def test_both_sides_blank_agree() -> None:
    """A blank on both sides needs no write."""
    assert merged(None, None, ("a", "a")) is AGREE


@pytest.mark.parametrize(("flow", "expected"), [("both", "push"), ("out", "push"), ("in", "none"), ("off", "none")])
def test_a_registry_edit_goes_out_where_policy_lets_it(flow: Flow, expected: str) -> None:
    """Only the registry changed."""
    outcome = merged("new", "old", ("old", "old"), rule=Rule(flow=flow, ranks=RANKED))
    assert outcome.kind == expected
    assert not outcome.is_conflict
    if flow == "in":
        assert outcome is NOT_WRITTEN
    if expected == "push":
        assert outcome.lost == "old"


@pytest.mark.parametrize("flow", ["both", "in"])
def test_a_remote_edit_comes_in_where_policy_lets_it(flow: Flow) -> None:
    """Only the remote changed."""
    outcome = merged("old", "new", ("old", "old"), rule=Rule(flow=flow, ranks=RANKED))
    assert (outcome.kind, outcome.lost, outcome.is_conflict) == ("pull", "old", False)


def test_a_remote_edit_of_an_out_field_is_put_back_and_kept() -> None:
    """Drift is journalled: the person's value can be found again."""
    outcome = merged("old", "new", ("old", "old"), rule=Rule(flow="out"))
    assert (outcome.kind, outcome.lost, outcome.is_conflict) == ("push", "new", True)


def test_a_field_that_is_off_is_never_touched() -> None:
    """Whatever its values are."""
    for remote in (None, "new"):
        for base in (None, ("old", "old")):
            outcome = merged("old", remote, base, rule=Rule(flow="off"))
            assert outcome == Outcome("none", "policy switches the field off here")


@pytest.mark.parametrize(
    ("clear", "flow", "expected"),
    [
        ("propagate", "both", "pull"),
        ("restore", "both", "push"),
        ("hold", "both", "hold"),
        ("propagate", "in", "pull"),
        ("restore", "in", "none"),
        ("hold", "in", "hold"),
        ("propagate", "out", "push"),
        ("restore", "out", "push"),
        ("hold", "out", "push"),
    ],
)
def test_a_value_cleared_remotely_follows_the_clear_policy(clear: Clear, flow: Flow, expected: str) -> None:
    """A cleared e-mail must not empty the field everywhere without being asked."""
    outcome = merged("old", None, ("old", "old"), rule=Rule(flow=flow, ranks=RANKED, clear=clear))
    assert outcome.kind == expected
    assert outcome.reason == (holds.CLEARED if expected == "hold" else "")
    if expected == "none":
        assert outcome is NOT_WRITTEN


@pytest.mark.parametrize(
    ("clear", "flow", "expected"),
    [
        ("propagate", "both", "push"),
        ("restore", "both", "pull"),
        ("hold", "both", "hold"),
        ("propagate", "in", "none"),
        ("restore", "in", "pull"),
        ("hold", "in", "none"),
        ("propagate", "out", "push"),
        ("restore", "out", "none"),
        ("hold", "out", "hold"),
    ],
)
def test_a_value_cleared_in_the_registry_follows_the_clear_policy(clear: Clear, flow: Flow, expected: str) -> None:
    """The same, the other way round."""
    outcome = merged(None, "old", ("old", "old"), rule=Rule(flow=flow, ranks=RANKED, clear=clear))
    assert outcome.kind == expected
    assert outcome.reason == (holds.CLEARED if expected == "hold" else "")
    if (clear, flow) == ("restore", "out"):
        assert outcome is NOT_TAKEN


def test_a_changed_value_is_no_clearing() -> None:
    """The clear policy concerns blanks only."""
    for clear in ("restore", "hold"):
        assert merged("old", "new", ("old", "old"), rule=Rule(clear=clear)).kind == "pull"
        assert merged("new", "old", ("old", "old"), rule=Rule(clear=clear)).kind == "push"


@pytest.mark.parametrize(("flow", "expected"), [("both", "push"), ("out", "push"), ("in", "none"), ("off", "none")])
def test_first_contact_fills_a_blank_remote(flow: Flow, expected: str) -> None:
    """Never agreed is not blank: the side that has a value gives it."""
    assert merged("value", None, None, rule=Rule(flow=flow)).kind == expected


@pytest.mark.parametrize(("flow", "expected"), [("both", "pull"), ("in", "pull"), ("out", "none"), ("off", "none")])
def test_first_contact_fills_a_blank_registry(flow: Flow, expected: str) -> None:
    """And the other way round."""
    assert merged(None, "value", None, rule=Rule(flow=flow)).kind == expected


@pytest.mark.parametrize("base", [None, ("old", "older")])
@pytest.mark.parametrize(
    ("source", "connection", "expected"),
    [
        ("registry", "stripe", "push"),
        ("hubspot", "stripe", "pull"),
        ("stripe", "hubspot", "push"),
        ("stripe", "stripe", "pull"),
        ("quickbooks", "stripe", "pull"),
        ("stripe", "quickbooks", "push"),
        ("quickbooks", "quickbooks", "pull"),
    ],
)
def test_in_a_conflict_the_better_ranked_source_stands(
    base: Base | None, source: str, connection: str, expected: str
) -> None:
    """The registry's value keeps the rank of the system it came from; the loser is kept."""
    outcome = merged("mine", "theirs", base, source=source, connection=connection)
    assert outcome.kind == expected
    assert outcome.is_conflict
    assert outcome.lost == ("theirs" if expected == "push" else "mine")


@pytest.mark.parametrize("rule", [Rule(), Rule(ranks=("registry",))])
def test_a_conflict_without_a_ranked_winner_is_held(rule: Rule) -> None:
    """No ranks at all, or none of the two is ranked."""
    source = "hubspot" if rule.ranks else "registry"
    outcome = merged("mine", "theirs", ("a", "b"), rule=rule, source=source)
    assert (outcome.kind, outcome.reason) == ("hold", holds.CONFLICT)


@pytest.mark.parametrize(("flow", "expected"), [("in", "pull"), ("out", "push")])
def test_a_conflict_of_a_one_way_field_goes_its_way(flow: Flow, expected: str) -> None:
    """Ranks are not asked, and the loser is kept."""
    for base in (None, ("a", "b")):
        outcome = merged("mine", "theirs", base, rule=Rule(flow=flow))
        assert (outcome.kind, outcome.is_conflict) == (expected, True)
        assert outcome.lost == ("mine" if flow == "in" else "theirs")


@pytest.mark.parametrize(
    ("registry", "remote", "clear", "expected"),
    [
        (None, "edit", "propagate", "push"),
        (None, "edit", "hold", "hold"),
        (None, "edit", "restore", "pull"),
        ("edit", None, "propagate", "push"),
        ("edit", None, "hold", "push"),
        ("edit", None, "restore", "push"),
    ],
)
def test_a_conflict_cannot_clear_what_the_clear_policy_protects(
    registry: Value, remote: Value, clear: Clear, expected: str
) -> None:
    """An e-mail cleared here and edited there at once was emptied everywhere by rank, though policy said to ask."""
    outcome = merged(registry, remote, ("old", "old"), rule=Rule(ranks=RANKED, clear=clear))
    assert outcome.kind == expected
    assert outcome.reason == (holds.CLEARED if expected == "hold" else "")


@pytest.mark.parametrize(("clear", "expected"), [("propagate", "pull"), ("hold", "hold"), ("restore", "push")])
def test_a_better_ranked_clearing_is_no_leave_to_clear(clear: Clear, expected: str) -> None:
    """The same where the connection's blank wins over an edit in the registry."""
    outcome = merged("edit", None, ("old", "old"), rule=Rule(ranks=RANKED, clear=clear), source="hubspot")
    assert outcome.kind == expected


@pytest.mark.parametrize(
    ("registry", "remote", "base", "rule", "expected"),
    [
        ("same", "same", None, Rule(), "equal on both sides"),
        ("same", "same", None, Rule(ranks=("stripe",)), "equal on both sides, and this side's word weighs more"),
        ("mine", "theirs", ("mine", "theirs"), Rule(), "unchanged"),
        ("new", "old", ("old", "old"), Rule(flow="in"), "policy lets nothing out here"),
        (None, "value", None, Rule(flow="out"), "policy lets nothing in here"),
        ("value", None, None, Rule(), "fills a blank"),
        (None, "value", None, Rule(), "fills a blank"),
        ("old", "new", ("old", "old"), Rule(), "only the remote changed"),
        ("new", "old", ("old", "old"), Rule(), "only the registry changed"),
        ("old", "new", ("old", "old"), Rule(flow="out"), "drift is put back"),
        ("old", None, ("old", "old"), Rule(clear="restore"), "a cleared value is restored"),
        (None, "old", ("old", "old"), Rule(clear="restore"), "a cleared value is restored"),
        ("old", None, ("old", "old"), Rule(clear="hold"), "clearing needs a person"),
        (None, "old", ("old", "old"), Rule(clear="hold"), "clearing needs a person"),
        (None, "edit", ("old", "old"), Rule(ranks=RANKED, clear="hold"), "clearing needs a person"),
        (None, "edit", ("old", "old"), Rule(ranks=RANKED, clear="restore"), "a cleared value is restored"),
        ("edit", None, ("old", "old"), Rule(ranks=("stripe",), clear="restore"), "a cleared value is restored"),
        ("mine", "theirs", ("a", "b"), Rule(flow="in"), "conflict: values only flow in here"),
        ("mine", "theirs", ("a", "b"), Rule(flow="out"), "conflict: values only flow out here"),
        ("mine", "theirs", ("a", "b"), Rule(ranks=RANKED), "conflict: registry outranks stripe"),
        ("mine", "theirs", ("a", "b"), Rule(ranks=("stripe",)), "conflict: stripe outranks registry"),
        ("mine", "theirs", ("a", "b"), Rule(), "conflict: no ranked winner"),
    ],
)
def test_every_outcome_says_which_rule_it_was(
    registry: Value, remote: Value, base: Base | None, rule: Rule, expected: str
) -> None:
    """The journal keeps the rule of every change; `accord explain` and the API show it."""
    assert merged(registry, remote, base, rule=rule).rule == expected


@pytest.mark.parametrize(
    ("flow", "clear", "expected"),
    [
        ("in", "hold", "hold"),
        ("in", "restore", "none"),
        ("in", "propagate", "pull"),
        ("out", "hold", "hold"),
        ("out", "restore", "none"),
        ("out", "propagate", "push"),
    ],
)
def test_a_one_way_conflict_does_not_clear_either(flow: Flow, clear: Clear, expected: str) -> None:
    """One side cleared what the other edited, and values only flow the way of the cleared one."""
    registry, remote = ("edit", None) if flow == "in" else (None, "edit")
    assert merged(registry, remote, ("old", "old"), rule=Rule(flow=flow, clear=clear)).kind == expected


def test_a_conflict_of_values_is_no_clearing() -> None:
    """The clear policy has no say where both sides have a value, nor where nobody wins."""
    for clear in ("hold", "restore"):
        ranked = Rule(ranks=RANKED, clear=clear)
        assert merged("mine", "theirs", ("a", "b"), rule=ranked, source="hubspot").kind == "pull"
        assert merged("mine", "theirs", ("a", "b"), rule=ranked).kind == "push"
        assert merged("mine", None, ("a", "b"), rule=Rule(clear=clear)).reason == holds.CONFLICT
        assert merged(None, "theirs", ("a", "b"), rule=Rule(clear=clear)).reason == holds.CONFLICT


def test_the_winner_does_not_depend_on_who_asks() -> None:
    """Between two connections the same one wins in either lane."""
    policy = policy_of()
    rule = Rule(ranks=("hubspot", "stripe"))
    assert winner(policy, rule, "hubspot", "stripe") == "registry"
    assert winner(policy, rule, "stripe", "hubspot") == "remote"
    assert winner(policy, rule, "quickbooks", "hubspot") == "remote"
    assert winner(policy, rule, "hubspot", "quickbooks") == "registry"
    assert winner(policy, rule, "registry", "quickbooks") is None
    assert winner(policy, rule, "stripe", "stripe") == "remote"
    assert winner(policy, Rule(), "stripe", "stripe") is None


def test_a_digest_names_exactly_its_values() -> None:
    """An answer must not count for other values."""
    assert digest_of("a", "b") == digest_of("a", "b")
    assert digest_of("a", {"x": 1, "y": 2}) == digest_of("a", {"y": 2, "x": 1})
    assert len({digest_of("ab", ""), digest_of("a", "b"), digest_of("", "ab"), digest_of("ab"), digest_of(None)}) == 5


def test_a_digest_stays_what_it_was() -> None:
    """Answers are stored with theirs: with another spelling, every question would be asked again after an upgrade."""
    assert digest_of("conflict", "name", "a", None) == "8278c311ef07acd68bc002fa"
