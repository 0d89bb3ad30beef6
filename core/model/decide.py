"""What one mapping needs: a pure function of what was read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from core.model import holds
from core.model.family import ALONE, PARENT, Kin
from core.model.holds import Answer, HoldDraft
from core.model.merge import Base, FieldMerge, Outcome, digest_of
from core.model.policy import REGISTRY, Policy
from core.model.projection import Projection
from core.model.remote import Refusal, Remote
from core.model.values import Fields, Value, blank, is_figure, is_metadata, takes_away

NO_REMOTE: Final = Remote(id="", fields={}, metadata_complete=True)
"""The remote side of a create: everything projected is blank."""
REMOVED: Final = Refusal(
    field="",
    problem="its place is not there",
    limit="places that are there",
    cure="`accord sync --kind metadata` makes it, or says why not; or switch the field off there",
)
FIXED: Final = Refusal(
    field="",
    problem="its object has another value, which never changes",
    limit="set once, when an object is made",
    cure="take its value, accept that the two differ, or unlink the object and have another one made",
)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `decide` may look at. `remote` None: the object is to be created.

    `standing` are the open holds by field, with the digest of the values they were opened on; `answers` a
    person's choices by field. `flapping` are fields whose value keeps flipping.
    """

    registry: Fields
    sources: Mapping[str, str]
    remote: Remote | None
    base: Mapping[str, Base]
    standing: Mapping[str, tuple[str, str]] = {}
    answers: Mapping[str, Answer] = {}
    flapping: frozenset[str] = frozenset()
    kin: Kin = ALONE


class Lost(msgspec.Struct, frozen=True):
    """A value that a conflict replaced; kept in the journal, so that it can be put back."""

    field: str
    value: Value
    side: str
    rule: str


class Verdict(msgspec.Struct, kw_only=True):
    """What to do with one mapping: registry writes, one sparse remote write, new base pairs, holds."""

    pull: dict[str, Value] = {}
    push: dict[str, Value] = {}
    base: dict[str, Base] = {}
    lost: list[Lost] = []
    holds: list[HoldDraft] = []
    rules: dict[str, str] = {}
    vouched: list[str] = []
    """Fields whose equal value counts as this connection's from now on."""
    replaced: dict[str, tuple[Value, Value]] = {}
    """What is overwritten or cleared on either side, and who is made inactive: field -> (old, new)."""
    awaits: str = ""
    """Why the registry's parent cannot be written yet; it is outside of this verdict."""

    @property
    def is_quiet(self) -> bool:
        """Nothing to write on either side."""
        return not (self.pull or self.push)

    @property
    def digest(self) -> str:
        """Names exactly this change: a person who approved it has approved no other."""
        return digest_of(self.pull, self.push, self.replaced)


def decide(seen: Snapshot, policy: Policy, connection: str, projection: Projection) -> Verdict:
    """Merge every projected field. Never raises; what cannot be decided is a hold, and the rest flows."""
    remote = seen.remote or NO_REMOTE
    merge = FieldMerge(policy, connection, projection.canonical)
    verdict = Verdict()
    for field in _in_question(seen, remote, projection):
        registry = seen.registry.get(field)
        if field in remote.unreadable:
            if policy.rule(connection, field).flow == "out":
                _put_back(verdict, seen, field, registry, projection)
            else:
                _unreadable(verdict, seen, field, registry, remote.unreadable[field], policy, connection)
            continue
        value = _there(seen, remote, field)
        outcome = merge.merge(field, registry, value, seen.base.get(field), seen.sources.get(field, REGISTRY))
        if outcome.kind != "none":
            _apply(verdict, seen, field, registry, value, outcome, projection)
    if projection.max_keys is not None:
        _crowded_out(verdict, seen, remote, projection.max_keys)
    if PARENT in verdict.pull or PARENT in verdict.push:
        _related(verdict, seen, remote)
    return verdict


def _there(seen: Snapshot, remote: Remote, field: str) -> Value:
    """The remote value. Who takes the place of a field off a whole account has cleared it of nobody."""
    return seen.base[field][1] if _is_removed(seen, field) else remote.fields.get(field)


def _is_removed(seen: Snapshot, field: str) -> bool:
    return seen.remote is not None and field in seen.remote.unmade and field in seen.base


def _in_question(seen: Snapshot, remote: Remote, projection: Projection) -> Iterator[str]:
    """Projected fields that were read. An absent key is outside the comparison, blank metadata excepted."""
    for field in projection.fields:
        if seen.remote is None or field in remote.fields or field in remote.unreadable:
            yield field
    if not projection.has_metadata:
        return
    known = {name for name in (*seen.registry, *seen.base, *remote.fields) if is_metadata(name)}
    for field in sorted(known):
        if projection.covers(field) and (remote.metadata_complete or field in remote.fields):
            yield field


def _put_back(verdict: Verdict, seen: Snapshot, field: str, registry: Value, projection: Projection) -> None:
    """Values only flow out here: whatever stands there instead is drift, unless it was agreed to leave it."""
    if not blank(registry) and seen.base.get(field) != (registry, None):
        _apply(verdict, seen, field, registry, None, Outcome("push", "drift is put back"), projection)


def _unreadable(
    verdict: Verdict, seen: Snapshot, field: str, registry: Value, problem: str, policy: Policy, connection: str
) -> None:
    """Hold a value that is there but cannot be taken, unless policy takes nothing in or a person answered."""
    if policy.rule(connection, field).flow == "off":
        return
    digest = digest_of(holds.UNREADABLE, field, registry, problem)
    answer = seen.answers.get(field)
    if answer and answer.digest == digest and answer.choice != "registry":
        return
    if answer and answer.digest == digest and not blank(registry):
        verdict.push[field] = registry
        verdict.rules[field] = "a person chose the registry's value"
        return
    # nothing is cleared by a value that nobody gave: what nobody can read may be the only one there is
    detail: dict[str, object] = {"problem": problem, "registry": registry}
    verdict.holds.append(HoldDraft(reason=holds.UNREADABLE, field=field, detail=detail, digest=digest))


def _apply(
    verdict: Verdict,
    seen: Snapshot,
    field: str,
    registry: Value,
    value: Value,
    outcome: Outcome,
    projection: Projection,
) -> None:
    """Turn one field's outcome into writes, unless a hold stands, a person answered, or the value cannot go."""
    if outcome.kind == "agree":
        verdict.base[field] = (registry, value)
        if outcome.is_vouched:
            verdict.vouched.append(field)
        return
    reason, detail = _reason_to_hold(seen, field, registry, value, outcome, projection)
    if reason:
        _hold(verdict, seen, field, registry, value, reason, {"rule": outcome.rule} | detail)
    else:
        _write(verdict, field, registry, value, outcome)


def _crowded_out(verdict: Verdict, seen: Snapshot, remote: Remote, max_keys: int) -> None:
    """Hold the new metadata keys that the remote object has no room for, last in the alphabet first.

    The provider would refuse the whole write for one key too many. Every key there takes room, whoever wrote it.
    """
    there = {field for field, value in remote.fields.items() if not blank(value)} | set(remote.unreadable)
    taken = {field for field in there if is_metadata(field)}
    pushed = sorted(field for field in verdict.push if is_metadata(field))
    cleared = sum(blank(verdict.push[field]) for field in pushed)
    room = max(0, max_keys - len(taken) - len(remote.foreign_marks) + cleared)
    added = [field for field in pushed if field not in taken]
    for field in added[room:]:
        registry = verdict.push.pop(field)
        detail: dict[str, object] = {
            "rule": verdict.rules.pop(field),
            "problem": "the object has no room for another metadata key",
            "limit": f"{max_keys} metadata keys",
            "cure": "remove a metadata key that is not needed there",
        }
        _hold(verdict, seen, field, registry, remote.fields.get(field), holds.UNREPRESENTABLE, detail)


def _related(verdict: Verdict, seen: Snapshot, remote: Remote) -> None:
    """A parent flows only where it closes no circle, and where the other side can name and hold it."""
    kin, registry, value = seen.kin, seen.registry.get(PARENT), remote.fields.get(PARENT)
    circle: dict[str, object] = {"problem": f"parents would form a circle: {' -> '.join(kin.circle)}"}
    if PARENT in verdict.pull and kin.circle:
        _take_back(verdict)
        _hold(verdict, seen, PARENT, registry, value, holds.CIRCLE, circle)
    if PARENT in verdict.push and kin.awaits:
        _take_back(verdict)
        verdict.awaits = kin.awaits
    elif PARENT in verdict.push and kin.refusal:
        _take_back(verdict)
        _hold(verdict, seen, PARENT, registry, value, holds.UNREPRESENTABLE, _told(kin.refusal))
        if PARENT in verdict.pull and kin.circle:
            # a person chose the connection's parent, which cannot be taken as long as the circle is there
            _take_back(verdict)
            digest = digest_of(holds.CIRCLE, PARENT, registry, value)
            verdict.holds.append(HoldDraft(reason=holds.CIRCLE, field=PARENT, detail=circle, digest=digest))


def _take_back(verdict: Verdict) -> None:
    for some in (verdict.pull, verdict.push, verdict.base, verdict.rules, verdict.replaced):
        some.pop(PARENT, None)
    verdict.lost = [one for one in verdict.lost if one.field != PARENT]


def _hold(
    verdict: Verdict,
    seen: Snapshot,
    field: str,
    registry: Value,
    value: Value,
    reason: str,
    detail: Mapping[str, object],
) -> None:
    """Ask a person; what they answered on exactly these values is done instead."""
    digest = digest_of(reason, field, registry, value)
    answer = seen.answers.get(field)
    if answer and answer.digest == digest:
        _write(verdict, field, registry, value, _answered(answer, registry, value))
        return
    shown = {"registry": registry, "remote": value, **detail}
    verdict.holds.append(HoldDraft(reason=reason, field=field, detail=shown, digest=digest))


def _reason_to_hold(
    seen: Snapshot, field: str, registry: Value, value: Value, outcome: Outcome, projection: Projection
) -> tuple[str, dict[str, object]]:
    changed, answer = digest_of(holds.PROVIDER_CHANGED, field, registry, value), seen.answers.get(field)
    # nothing in the values shows this reason, so an answer to it must be recognised by its digest
    if seen.standing.get(field) == (holds.PROVIDER_CHANGED, changed) or (answer and answer.digest == changed):
        return holds.PROVIDER_CHANGED, {}
    if outcome.kind == "hold":
        return outcome.reason, {}
    if field in seen.flapping and not _is_reckoned_anew(seen, field, registry):
        return holds.OSCILLATION, {}
    refusal = _refusal(seen, field, registry, value, projection) if outcome.kind == "push" else None
    if refusal:
        return holds.UNREPRESENTABLE, _told(refusal)
    return "", {}


def _told(refusal: Refusal) -> dict[str, object]:
    return {"problem": refusal.problem, "limit": refusal.limit, "cure": refusal.cure}


def _refusal(seen: Snapshot, field: str, registry: Value, value: Value, projection: Projection) -> Refusal | None:
    """Why the registry's value cannot be written. Found out by the write itself, it would keep all else from it."""
    if _is_removed(seen, field) or _has_found_no_place(seen, field):
        return REMOVED
    if field in projection.fixed and not blank(value):
        return FIXED
    return projection.refusal(field, registry)


def _has_found_no_place(seen: Snapshot, field: str) -> bool:
    """Whether it was left out of a write because its place is not there: another try would find nothing else."""
    asked = seen.standing.get(field)
    is_unmade = seen.remote is not None and field in seen.remote.unmade
    return is_unmade and asked is not None and asked[0] == holds.UNREPRESENTABLE


def _is_reckoned_anew(seen: Snapshot, field: str, registry: Value) -> bool:
    """What customers owe may well go up and down; what is put back again and again is a fight all the same."""
    return is_figure(field) and seen.base.get(field, (registry, None))[0] != registry


def _answered(answer: Answer, registry: Value, value: Value) -> Outcome:
    if answer.choice == "registry":
        return Outcome("push", "a person chose the registry's value", lost=value, is_conflict=True)
    if answer.choice == "remote":
        return Outcome("pull", "a person chose the connection's value", lost=registry, is_conflict=True)
    return Outcome("agree", "a person accepted that the two differ")


def _write(verdict: Verdict, field: str, registry: Value, value: Value, outcome: Outcome) -> None:
    verdict.rules[field] = outcome.rule
    if outcome.kind == "agree" or (outcome.kind == "pull" and is_figure(field)):
        verdict.base[field] = (registry, value)
        return
    if outcome.kind == "pull":
        verdict.pull[field] = value
        verdict.base[field] = (value, value)
        old, new, side = registry, value, "registry"
    else:
        verdict.push[field] = registry
        old, new, side = value, registry, "remote"
    if outcome.is_conflict and not blank(outcome.lost):
        verdict.lost.append(Lost(field, outcome.lost, side, outcome.rule))
    # reckoned values replace one another every day, and can be reckoned again
    if not is_figure(field) and (not blank(old) or takes_away(field, new)):
        verdict.replaced[field] = (old, new)


def after_write(wanted: Fields, remote: Remote, projection: Projection) -> tuple[dict[str, Base], list[HoldDraft]]:
    """Base pairs from a write's own response: the frozen value sent, the value it came back as.

    A value that came back as something else than its canonical form is held: writing it again would only
    be changed again. So is one whose place is not there, until it is.
    """
    pairs: dict[str, Base] = {}
    drafts: list[HoldDraft] = []
    for field, sent in wanted.items():
        stored = remote.fields.get(field)
        if field not in remote.unreadable and projection.canonical(field, sent) == projection.canonical(field, stored):
            pairs[field] = (sent, stored)
            continue
        is_unmade = field in remote.unmade
        reason = holds.UNREPRESENTABLE if is_unmade else holds.PROVIDER_CHANGED
        why = _told(REMOVED) if is_unmade else {"problem": remote.unreadable.get(field, "")}
        shown: dict[str, object] = {"registry": sent, "remote": stored, **why}
        digest = digest_of(reason, field, sent, stored)
        drafts.append(HoldDraft(reason=reason, field=field, detail=shown, digest=digest))
    return pairs, drafts
