"""Draws a world from a seed: how it is set up, who is in it, and what happens there."""

from __future__ import annotations

from random import Random
from typing import Any, Final, get_args

import msgspec

from core.sandbox.faults import Fault, FaultKind, FaultPlan, WebhookFault, WebhookFaultKind
from tests.simulation.drawn_branches import with_branch, with_people_of_branch
from tests.simulation.drawn_changes import with_policies_of_documents, with_revivals
from tests.simulation.drawn_clerks import with_documents, with_marks, with_quiet_days
from tests.simulation.drawn_ends import (
    with_erasures,
    with_farewells,
    with_policies,
    with_restores,
    with_restores_of_documents,
    with_undos,
)
from tests.simulation.drawn_entities import with_entities
from tests.simulation.tape import REGISTRY, SYSTEMS, Event, Profile, Tape

TREED: Final = ("registry", "hubspot", "quickbooks")
"""Where somebody can say who is below whom."""

STRIPE_FIELDS: Final = ("name", "email", "phone", "billing_address", "metadata.plan")

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "stripe": (*STRIPE_FIELDS, "shipping_address", "metadata.tier"),
    "hubspot": ("name", "email", "phone", "billing_address", "url", "legal_name", "metadata.plan"),
    "quickbooks": ("name", "email", "phone", "billing_address", "url", "legal_name", "shipping_address"),
    "registry": ("name", "email", "phone", "billing_address", "url", "legal_name", "metadata.plan", "metadata.tier"),
}

REQUEST_FAULTS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)

REPEAT_FAULTS: Final[tuple[FaultKind, ...]] = ("lost_request", "lost_answer", "error_before", "error_after", "too_many")

CREATES: Final = "/v1/customers$|/batch/upsert|/customer[?]|/batch[?]"

WEBHOOK_FAULTS: Final[tuple[WebhookFaultKind, ...]] = get_args(WebhookFaultKind)

BRANCH_NUMBER: Final = 7000
"""Where values of a second company's people begin: each is another one than all of the others."""

_EVENTS: Final = {
    "edit": 36,
    "both": 14,
    "cross": 12,
    "twice": 8,
    "create": 8,
    "parent": 8,
    "delete": 3,
    "unreadable": 2,
    "break_stripe": 2,
    "fail_quickbooks": 2,
    "archive": 1,
    "crash": 3,
    "outage": 0.4,
    "merge": 1,
    "rename_clash": 2,
    "unfit": 2,
}


def tape_of(seed: int) -> Tape:
    """Draw a world."""
    rng = Random(f"tape {seed}")
    drawn = _Drawing(rng)
    # dice of their own: what else happens in a world does not hang on them
    profile = _with_repeats(_profile(rng), Random(f"repeats {seed}"))
    sweeps = Random(f"sweeps {seed}").choice([1, 1, 1, 3])
    profile = msgspec.structs.replace(profile, silent_sweeps=sweeps)
    rows_at_once = Random(f"rows {seed}").choice([2, 4, 100])
    profile = msgspec.structs.replace(profile, rows_at_once=rows_at_once)
    tape = Tape(seed=seed, profile=profile, people=drawn.people(), events=drawn.events())
    tape = with_documents(tape, Random(f"documents {seed}"))
    tape = with_branch(tape, Random(f"abroad {seed}"))
    tape = with_entities(tape, Random(f"entities {seed}"))
    tape = with_quiet_days(tape, Random(f"quiet days {seed}"))
    tape = with_marks(tape, Random(f"marks {seed}"))
    tape = _with_answers(tape, Random(f"answers {seed}"))
    tape = with_policies(tape, Random(f"policies {seed}"), FIELDS)
    tape = with_undos(tape, Random(f"undos {seed}"))
    tape = with_restores(tape, Random(f"restores {seed}"))
    tape = with_farewells(tape, Random(f"farewells {seed}"))
    tape = with_erasures(tape, Random(f"erasures {seed}"))
    tape = with_restores_of_documents(tape, Random(f"papers restored {seed}"))
    tape = with_policies_of_documents(tape, Random(f"a while of wishes {seed}"), FIELDS)
    regret = "a regret" if tape.profile.billing is None else "a second chance"
    tape = with_revivals(tape, Random(f"{regret} {seed}"))
    there = Random(f"in the branch {seed}")
    return with_people_of_branch(tape, there, _Drawing(there, BRANCH_NUMBER).edit)


def _profile(rng: Random) -> Profile:
    has_faults, has_crashes = rng.random() < 0.7, rng.random() < 0.6
    flows: dict[str, dict[str, str]] = {}
    if rng.random() < 0.25:
        system = rng.choice(SYSTEMS)
        field = rng.choice(FIELDS[system])
        flows[system] = {field: rng.choice(["out", "in", "off"])}
    return Profile(
        policy=rng.choice(["ranked", "ranked", "ranked", "hold"]),
        flows=flows,
        match_email=rng.random() < 0.85,
        plan=_faults(rng) if has_faults else FaultPlan(webhooks=_webhook_faults(rng)),
        webhooks=rng.random() < 0.75,
        crash=rng.choice([0.0005, 0.002, 0.006]) if has_crashes else 0.0,
        hot_crash=rng.choice([0.02, 0.08, 0.25]) if has_crashes else 0.0,
        crashes_most=rng.randint(1, 5),
        latency=rng.choice([0.05, 0.3, 2.0]),
        is_calm_start=rng.random() < 0.6,
        changes_every=rng.choice([120.0, 300.0, 900.0]),
    )


def _faults(rng: Random) -> FaultPlan:
    kinds = rng.sample(REQUEST_FAULTS, rng.randint(1, 4))
    return FaultPlan(requests=tuple(_fault(rng, kind) for kind in kinds), webhooks=_webhook_faults(rng))


def _with_repeats(profile: Profile, rng: Random) -> Profile:
    """In some worlds the second try of a create meets trouble too: by chance alone it hardly ever does."""
    if not profile.plan.requests or rng.random() < 0.6:
        return profile
    kind: FaultKind = rng.choice(REPEAT_FAULTS)
    again = Fault(kind=kind, method="POST", path=CREATES, probability=0.7, count=rng.randint(1, 6), on_repeat=True)
    plan = FaultPlan(requests=(again, *profile.plan.requests), webhooks=profile.plan.webhooks)
    return msgspec.structs.replace(profile, plan=plan)


def _with_answers(tape: Tape, rng: Random) -> Tape:
    """In half of the worlds somebody answers what is asked about customers, at any time."""
    if rng.random() < 0.5:
        return tape
    events = list(tape.events)
    for _ in range(rng.randint(1, 5)):
        after = rng.choice([0.0, rng.uniform(0, 5), rng.uniform(5, 90)])
        at = rng.randint(len(events) // 3, len(events))
        events.insert(at, Event(after=after, what="answer", pick=rng.randrange(10**9)))
    return msgspec.structs.replace(tape, events=events)


def _fault(rng: Random, kind: FaultKind) -> Fault:
    method = rng.choice(["", "", "POST"])
    # never the token endpoint: a refresh token whose rotation got lost needs a person, and little else happens then
    path = rng.choice(["^/(v1|v3|crm|account)", "^/(v1|v3|crm|account)", "customer|batch|upsert|update"])
    seconds = rng.uniform(16.0, 40.0) if kind == "slow" else 0.0
    status = rng.choice([500, 502, 503])
    return Fault(
        kind=kind, method=method, path=path, probability=rng.choice([0.02, 0.06, 0.2]), seconds=seconds, status=status
    )


def _webhook_faults(rng: Random) -> tuple[WebhookFault, ...]:
    kinds = rng.sample(WEBHOOK_FAULTS, rng.randint(0, 3))
    return tuple(
        WebhookFault(
            kind=kind, probability=rng.choice([0.1, 0.4, 1.0 if kind == "drop" else 0.5]), seconds=rng.uniform(1, 90)
        )
        for kind in kinds
    )


class _Drawing:
    """Draws people and events; every value is another one, so that each can be told apart for ever."""

    def __init__(self, rng: Random, first: int = 0) -> None:
        self._rng = rng
        self._count = first

    def people(self) -> list[Event]:
        """Who is there before Accord: some in several systems, by the same e-mail or external id."""
        rng, found = self._rng, list[Event]()
        for person in range(rng.randint(1, 4)):
            systems = rng.sample(SYSTEMS, rng.choice([1, 1, 2, 3]))
            shared = {"email": f"Person{person}@Example.test"} if rng.random() < 0.85 else {}
            if rng.random() < 0.2:
                shared["external_id"] = f"ext-{person}"
            found += [
                Event(after=0.0, what="create", system=system, changes=self._person(system, shared))
                for system in systems
            ]
        return found

    def _person(self, system: str, shared: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {"name": self._value("name")}
        fields = [field for field in FIELDS[system] if field not in ("name", "email") and self._rng.random() < 0.4]
        changes |= {field: self._value(field) for field in fields}
        if system == "quickbooks":
            shared = {field: value for field, value in shared.items() if field != "external_id"}
        elif self._rng.random() < 0.4 and system == "hubspot":
            changes["customer_type"] = "company"
        return changes | shared

    def events(self) -> list[Event]:
        """What happens once Accord runs."""
        rng, found = self._rng, list[Event]()
        for _ in range(rng.randint(3, 12)):
            found += self._event()
        return found

    def _event(self) -> list[Event]:
        rng = self._rng
        after = rng.choice([0.0, rng.uniform(0, 2), rng.uniform(0, 5), rng.uniform(5, 90), rng.uniform(60, 300)])
        kind = rng.choices(list(_EVENTS), weights=list(_EVENTS.values()))[0]
        pick = rng.randrange(1000)
        if kind in ("both", "cross"):
            return self._both(after, pick, same_field=kind == "both")
        if kind == "twice":
            return self._twice(after, pick)
        if kind == "parent":
            changes = {"above": rng.choice([None, *(rng.randrange(1000) for _ in range(4))])}
            return [Event(after=after, what="parent", system=rng.choice(TREED), pick=pick, changes=changes)]
        system = rng.choice(SYSTEMS)
        if kind == "edit":
            system = rng.choice((*SYSTEMS, REGISTRY))
            return [Event(after=after, what="edit", system=system, pick=pick, changes=self.edit(system))]
        if kind == "create":
            system = rng.choice((*SYSTEMS, REGISTRY))
            shared = {"email": f"new{self._next()}@example.test"} if rng.random() < 0.8 else {}
            return [Event(after=after, what="create", system=system, changes=self._person(system, shared))]
        return [Event(after=after, what=kind, system=system, pick=pick)]

    def _both(self, after: float, pick: int, *, same_field: bool) -> list[Event]:
        """One customer in two places within moments: the same field (to equal or different values), or two fields."""
        rng = self._rng
        one, other = rng.sample((*SYSTEMS, REGISTRY), 2)
        field = rng.choice([name for name in FIELDS[one] if name in FIELDS[other]])
        second = field if same_field else rng.choice([name for name in FIELDS[other] if name != field])
        value = self._value(field)
        equal = same_field and rng.random() < 0.3
        gap = rng.choice([0.0, rng.uniform(0, 1), rng.uniform(0, 3), rng.uniform(0, 20)])
        first = Event(after=after, what="edit", system=one, pick=pick, changes={field: value})
        changes = {second: value if equal else self._value(second)}
        return [first, Event(after=gap, what="edit_same", system=other, pick=pick, changes=changes)]

    def _twice(self, after: float, pick: int) -> list[Event]:
        """Somebody corrects himself while the first value is on its way."""
        system = self._rng.choice((REGISTRY, REGISTRY, *SYSTEMS))
        field = self._rng.choice(FIELDS[system])
        first, second = ({field: self._value(field)} for _ in range(2))
        gap = self._rng.choice([self._rng.uniform(0, 1), self._rng.uniform(0, 4)])
        return [
            Event(after=after, what="edit", system=system, pick=pick, changes=first),
            Event(after=gap, what="edit_same", system=system, pick=pick, changes=second),
        ]

    def edit(self, system: str) -> dict[str, Any]:
        """One field, another value."""
        rng = self._rng
        field = rng.choice(FIELDS[system])
        if rng.random() < 0.1 and field != "name":
            return {field: None}
        return {field: self._value(field)}

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _value(self, field: str) -> Any:
        number, rng = self._next(), self._rng
        if field == "name":
            return f"{rng.choice(['Ada', 'Bo', 'Cy'])} Number{number}"
        if field == "email":
            return f"{rng.choice(['Mail', 'mail'])}{number}@example.test"
        if field == "phone":
            return f"+4930{1_000_000 + number}"
        if field.endswith("address"):
            return {
                "line1": f"{number} High Street",
                "city": rng.choice(["Bern", "Lyon"]),
                "country": rng.choice(["CH", "FR"]),
            }
        if field == "url":
            return f"https://site{number}.example.test"
        return f"{field.rpartition('.')[2]} {number}"
