"""Parts: which object of a record holds which field, and what a part belongs to."""

from __future__ import annotations

import msgspec
import pytest

from core.model.decide import Snapshot, Verdict, decide
from core.model.parts import Parts, belonging, parts_of
from core.model.policy import ConnectionPolicy, Policy
from core.model.projection import Projection, projection_of
from core.model.remote import FieldSpec, Manifest, MetadataSpec, Part, Refusal, Remote
from core.model.values import PART_OF, Value

PERSON = Part(
    name="person", title="the person", fields=("email", "phone"), key="email", of="firm:", ids="human:",
    when=("customer_type", "company"), blank_setting="untyped", setting="with_person",
)  # fmt: skip
MANIFEST = Manifest(
    provider="crm", title="CRM", translation=2,
    fields={"name": FieldSpec(), "email": FieldSpec(), "phone": FieldSpec(since=2), "url": FieldSpec()},
    metadata=MetadataSpec(max_keys=9), parts=(PERSON,), page_size=1, read_batch=1, write_batch=1,
    create_key_seconds=None, lookup_lag_seconds=0, is_conditional=False, has_marker=True, changes_window_seconds=1,
    limits=(),
)  # fmt: skip
POLICY = Policy(connections={"crm": ConnectionPolicy(name="crm", provider="crm")})


def refused(field: str, value: Value) -> Refusal | None:
    """A provider that can hold nothing."""
    return Refusal(field=field, problem=f"no {value}", limit="", cure="")


def parts(**settings: str) -> Parts:
    """The parts of a connection with these settings."""
    full = projection_of(MANIFEST, (), lambda _field, value: value, refused)
    return parts_of(MANIFEST, settings, full)


ON = parts(with_person="true")


@pytest.mark.parametrize("settings", [{}, {"with_person": "false"}, {"untyped": "company"}])
def test_a_part_is_there_where_it_is_asked_for(settings: dict[str, str]) -> None:
    """Default: off, and every field is the whole's."""
    off = parts(**settings)
    assert (off.asked, off.named("person"), off.of_object("human:1")) == ((), None, None)
    whole = off.projection("", "firm:1", {"customer_type": "company"})
    assert whole is off.full
    assert off.projection("person", "human:1", {}) is None


def test_a_field_has_one_place() -> None:
    """What the part holds, the whole does not; wholes of another kind hold all."""
    assert ON.named("person") is PERSON
    assert ON.named("other") is None
    assert (ON.of_object("human:1"), ON.of_object("firm:1")) == (PERSON, None)
    whole, part = ON.projection("", "firm:1", {}), ON.projection("person", "human:1", {})
    assert whole is not None
    assert part is not None
    assert (whole.fields, set(whole.since)) == (("name", "url"), {"name", "url"})
    assert (part.fields, part.since) == (("email", "phone", PART_OF), {"email": 1, "phone": 2, PART_OF: 1})
    assert (whole.has_metadata, whole.max_keys, part.has_metadata, part.max_keys) == (True, 9, False, None)
    assert ON.projection("", "human:2", {"customer_type": "company"}) is ON.full
    assert [part.refusal(PART_OF, "firm:1"), part.refusal("email", "x")] == [None, refused("email", "x")]


@pytest.mark.parametrize(
    ("settings", "kind", "has"),
    [
        ({}, "company", True),
        ({}, "individual", False),
        ({}, None, False),
        ({"untyped": "company"}, None, True),
        ({"untyped": "company"}, "individual", False),
        ({"untyped": "contact"}, None, False),
    ],
)
def test_what_a_record_without_an_object_will_get(settings: dict[str, str], kind: str | None, has: bool) -> None:  # noqa: FBT001 - a parameter
    """By what it says it is, or what the connection makes of those that say nothing."""
    found = parts(with_person="true", **settings)
    assert bool(found.of_whole(None, {"customer_type": kind})) is has
    # once it is there, its id says it
    assert found.of_whole("firm:1", {"customer_type": kind}) == [PERSON]
    assert found.of_whole("human:1", {"customer_type": kind}) == []


def test_what_an_object_belongs_to_is_a_field_of_it_where_it_was_read() -> None:
    """Not read is outside the comparison; another record's whole is nothing to this one."""
    seen = Remote(id="human:1", fields={"email": "a@x.test"}, part_of=("firm:1", "firm:2"))
    assert belonging(seen, "firm:2").fields[PART_OF] == "firm:2"
    assert belonging(seen, "firm:3").fields[PART_OF] is None
    assert belonging(seen, None) is seen
    unread = msgspec.structs.replace(seen, part_of=None)
    assert belonging(unread, "firm:2") is unread


def tie(there: str | None, base: tuple[Value, Value] | None, whole: str = "firm:1") -> Verdict:
    """What is decided about a part that belongs there."""
    projection = ON.projection("person", "human:1", {})
    assert isinstance(projection, Projection)
    remote = Remote(id="human:1", fields={PART_OF: there})
    snapshot = Snapshot(registry={PART_OF: whole}, sources={}, remote=remote, base={PART_OF: base} if base else {})
    return decide(snapshot, POLICY, "crm", projection)


def test_a_part_is_tied_and_tied_again() -> None:
    """The registry says what belongs to what; nothing is taken in."""
    agreed = ("firm:1", "firm:1")
    assert POLICY.rule("crm", PART_OF).flow == "out"
    for verdict in (
        tie(None, None),
        tie(None, agreed),
        tie(None, agreed, "firm:2"),
        tie(None, ("firm:1", None), "firm:2"),
    ):
        assert (set(verdict.push), verdict.pull, verdict.holds, verdict.replaced) == ({PART_OF}, {}, [], {})
    assert tie("firm:1", None).base == {PART_OF: agreed}
    assert tie("firm:1", agreed) == Verdict()
