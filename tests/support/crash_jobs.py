"""The jobs of the crash matrix: what happens, what goes wrong on the wire, and what must be true in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from core.errors import InvalidInputError
from core.sandbox.faults import Fault, FaultKind
from core.store import customers, failures, holds, intents, mappings, work
from core.store.database import Tx
from core.sync import registry
from core.sync.revival import restore
from tests.support.acting import REVIVALS, with_policy, with_settings
from tests.support.crashes import Crash, FragileWorld, Fuse, database_of
from tests.support.world import NAMES, config_of

WRITES: Mapping[str, str] = {
    "stripe": r"/v1/customers",
    "hubspot": r"/batch/(upsert|update|create)",
    "quickbooks": r"/(batch|customer)\?",
}
CONTACT = "contact"
CONTACT_WRITES = r"/contacts/(batch/upsert|companies/batch/create)"
ARCHIVE = "archive"
ARCHIVES: Mapping[str, str] = {"hubspot": "company", "quickbooks": "individual"}
"""Where what is archived in the registry can be archived, too, and as what the customer is there."""
ARCHIVE_WRITES: Mapping[str, str] = {"hubspot": r"/(contacts|companies)/\d+", "quickbooks": r"/customer\?"}
RESTORE = "restore"
REPRIEVE = "reprieve"
READS: Mapping[str, str] = {
    "stripe": r"/v1/(events|customers)",
    "hubspot": r"/(search|batch/read)",
    "quickbooks": r"/(cdc|query|customer/)",
}
FAULTS: tuple[FaultKind | None, ...] = (None, "lost_request", "lost_answer", "error_after", "truncated")
"""With the death itself the five that a write may meet; `truncated` is an answer that breaks off in its body."""
EMAIL = "grace@example.test"
HEAD = "head@example.test"
BEFORE = {"name": "Grace Hopper", "email": EMAIL, "phone": "+4930100"}
AFTER = {"name": "Grace Hopper", "email": EMAIL, "phone": "+4930200"}
LONGEST_WAIT = 7200.0


async def a_registry_create(world: FragileWorld, provider: str) -> None:
    """A person enters a customer by hand."""
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "grace", dict(AFTER), actor="test", trace="t"))
    await run_lane(world, provider)


async def a_registry_update(world: FragileWorld, provider: str) -> None:
    """A person changes the phone number in the registry."""
    change = {"phone": AFTER["phone"]}
    world.db.run_now(lambda tx: registry.update(tx, world.hub, "grace", change, actor="test", trace="t"))
    await run_lane(world, provider)


async def a_remote_edit(world: FragileWorld, provider: str) -> None:
    """A person changes the phone number at the provider."""
    (remote_id,) = world.neutral(provider)
    world.lookalikes[provider].edit("customer", remote_id, {"phone": AFTER["phone"]})
    world.clock.time += world.timing.changes_every + 1
    await run_lane(world, provider)


async def a_remote_birth(world: FragileWorld, provider: str) -> None:
    """A person makes a customer at the provider."""
    world.lookalikes[provider].edit("customer", None, AFTER)
    world.clock.time += world.timing.changes_every + 1
    await run_lane(world, provider)


async def a_family(world: FragileWorld, provider: str) -> None:
    """A person puts the customer below another company, that is not there yet."""
    head = {"name": "Head Office", "email": HEAD, "customer_type": "company"}

    def build(tx: Tx) -> None:
        registry.create(tx, world.hub, "head", head, actor="test", trace="t")
        child = {"parent": "head", "phone": AFTER["phone"]}
        registry.update(tx, world.hub, "grace", child, actor="test", trace="t")

    world.db.run_now(build)
    await run_lane(world, provider)


async def a_billing_contact(world: FragileWorld, provider: str) -> None:
    """A person enters a company by hand: at HubSpot that is two objects, of which one is tied to the other."""
    fields = {**AFTER, "customer_type": "company"}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "grace", fields, actor="test", trace="t"))
    await run_lane(world, provider)


async def a_farewell(world: FragileWorld, provider: str) -> None:
    """A person archives the customer, whose object follows it at one provider."""
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, "grace", actor="test", trace="t"))
    await run_lane(world, provider)


async def a_revival(world: FragileWorld, provider: str) -> None:
    """A person brings an archived customer back, and changes its phone number."""
    world.db.run_now(lambda tx: _bring_back(tx, world))
    await run_lane(world, provider)


def _bring_back(tx: Tx, world: FragileWorld) -> None:
    restore(tx, world.hub, "grace", actor="test", trace="t")
    registry.update(tx, world.hub, "grace", {"phone": AFTER["phone"]}, actor="test", trace="t")


Job = Callable[[FragileWorld, str], Awaitable[None]]
JOBS: Mapping[str, tuple[Job, str | None, bool]] = {
    # job, as what the customer exists before it, whether the fault strikes writes
    "create": (a_registry_create, None, True),
    "update": (a_registry_update, "individual", True),
    "pull": (a_remote_edit, "individual", False),
    "enter": (a_remote_birth, None, False),
    "family": (a_family, "company", True),
    CONTACT: (a_billing_contact, None, True),
    ARCHIVE: (a_farewell, "individual", True),
    RESTORE: (a_revival, "individual", True),
    REPRIEVE: (a_farewell, "individual", True),
}
"""`contact` runs where billing contacts are asked for, at HubSpot alone; `archive` where objects can follow.

`reprieve` is an archiving by mistake: the customer is brought back as soon as that can be.
"""
FAREWELLS = (ARCHIVE, REPRIEVE)


def runs_at(job: str, provider: str) -> bool:
    """Whether a job is one of a provider's."""
    return (job != CONTACT or provider == "hubspot") and (job not in FAREWELLS or provider in ARCHIVES)


async def run_lane(world: FragileWorld, provider: str) -> None:
    """One lane, until nothing is left that will be due soon; the others stand still."""
    for _ in range(40):
        await world.lanes.run(provider)
        due = world.db.read_now(lambda tx: world._next(tx, provider))
        if due is None or due > world.clock.time + LONGEST_WAIT:
            return
        world.clock.time = max(world.clock.time, due)


@dataclass
class Tally:
    """What one scenario reached."""

    points: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    struck: int = 0


class Matrix:
    """Worlds to start from, made once."""

    def __init__(self, *, is_whole: bool) -> None:
        """Nothing is made before it is asked for. Not whole: no deaths at database reads, a shorter look at the end."""
        self._worlds: dict[tuple[str | None, bool, str, bool], FragileWorld] = {}
        self._is_whole = is_whole

    async def world(
        self, customer_type: str | None, *, has_contacts: bool = False, archives: str = "", is_archived: bool = False
    ) -> FragileWorld:
        """Three active connections, with a customer of that type in agreement, or without any.

        `archives`: where objects of archived customers are archived. `is_archived`: the customer is, and left alone.
        """
        kind = (customer_type, has_contacts, archives, is_archived)
        if kind not in self._worlds:
            config = config_of(NAMES)
            if has_contacts:
                config = with_settings(config, "hubspot", billing_contact="true")
            if archives:
                config = with_policy(config, archives, when_archived="archive")
            world = FragileWorld(config=config, opens=database_of(is_whole=self._is_whole))
            await world.activate_all()
            if customer_type:
                fields = {**BEFORE, "customer_type": customer_type}
                world.db.run_now(lambda tx: registry.create(tx, world.hub, "grace", fields, actor="test", trace="t"))
                await world.settle()
            if is_archived:
                world.db.run_now(lambda tx: registry.archive(tx, world.hub, "grace", actor="test", trace="t"))
            self._worlds[kind] = world
        return self._worlds[kind]

    async def run(self, provider: str, job: str, kind: FaultKind | None, *, step: int = 1) -> Tally:
        """Die at every `step`-th point, one after the other, until the job survives."""
        tally = Tally()
        blows_at = 1
        while await self._die_at(blows_at, provider, job, kind, tally):
            blows_at += step
        return tally

    async def _before(self, job: str, provider: str) -> FragileWorld:
        """What a job begins with."""
        return await self.world(
            ARCHIVES[provider] if job == ARCHIVE else JOBS[job][1],
            has_contacts=job in (CONTACT, ARCHIVE),
            archives=provider if job in FAREWELLS else "",
            is_archived=job == RESTORE,
        )

    async def _die_at(self, blows_at: int, provider: str, job: str, kind: FaultKind | None, tally: Tally) -> bool:
        act, _, strikes_writes = JOBS[job]
        base = await self._before(job, provider)
        base.fused = (provider,)
        base.database_calls = ("run", "read") if self._is_whole else ("run",)
        fuse = Fuse(blows_at=blows_at, is_armed=True)
        world = base.copy(fuse)
        struck = None
        if kind is not None:
            path = _struck(job, provider, strikes_writes=strikes_writes)
            method = "POST" if strikes_writes and job not in FAREWELLS else ""
            struck = world.fail_once(provider, Fault(kind=kind, method=method, path=path, count=1))
        died = ""
        try:
            await act(world, provider)
        except Crash as crash:
            died = str(crash)
        fuse.is_armed = False
        place = f"{job} at {provider}, {kind or 'no fault'}, death {blows_at}: {died or 'none'}"
        if struck is not None:
            tally.struck += len(struck.trace)
        if died:
            tally.deaths += 1
            tally.points[died] += 1
            world.start()
        if job == REPRIEVE:
            await _reprieve(world, provider, *base.neutral(provider))
        await come_to_rest(world)
        _check_job(world, job, provider, base, place)
        await check_silence(world, place, is_whole=self._is_whole)
        world.db.engine.dispose()
        return bool(died)


async def come_to_rest(world: FragileWorld) -> None:
    """Faults are over; whatever waits is waited for."""
    await world.settle(patience=LONGEST_WAIT)
    await world.next_sweep()


async def _reprieve(world: FragileWorld, provider: str, remote_id: str) -> None:
    """The customer is back once it is known what became of its object; what was archived, a person brings back."""
    for _ in range(5):
        try:
            world.db.run_now(lambda tx: _bring_back(tx, world))
        except InvalidInputError:
            await run_lane(world, provider)
        else:
            break
    await come_to_rest(world)
    if [one for one in world.neutral(provider).values() if one.get("status") != "inactive"] == []:
        REVIVALS[provider](world, remote_id)


def _struck(job: str, provider: str, *, strikes_writes: bool) -> str:
    """The calls that a fault strikes."""
    if job == CONTACT:
        return CONTACT_WRITES
    if job in FAREWELLS:
        return ARCHIVE_WRITES[provider]
    return (WRITES if strikes_writes else READS)[provider]


def _check_job(world: FragileWorld, job: str, provider: str, base: FragileWorld, place: str) -> None:
    if job == ARCHIVE:
        check_archived(world, provider, base, place)
    elif job == CONTACT:
        check_contact(world, place)
    else:
        check(world, place, has_head=job == "family")


def check(world: FragileWorld, place: str, *, has_head: bool = False) -> None:
    """One object everywhere, the right values and parents everywhere, nothing in doubt, nobody doubled."""
    for name in NAMES:
        there = world.neutral(name)
        ours = [one for one in there.values() if one["email"] == EMAIL]
        heads = [remote_id for remote_id, one in there.items() if one["email"] == HEAD]
        assert len(there) - len(heads) == len(ours) == 1, f"{place}: {len(ours)} objects at {name}"
        assert len(heads) == has_head, f"{place}: {len(heads)} parents at {name}"
        found = {field: ours[0][field] for field in AFTER}
        assert found == AFTER, f"{place}: {name} has {found}"
        parent = heads[0] if has_head and name != "stripe" else None
        assert ours[0].get("parent") == parent, f"{place}: {name} has the parent {ours[0].get('parent')}"
    world.db.read_now(lambda tx: _check_registry(tx, place, has_head=has_head))


def check_contact(world: FragileWorld, place: str) -> None:
    """One company and one contact at HubSpot, tied once, with the fields of each; one object elsewhere."""
    there = world.lookalikes["hubspot"].objects("customer")
    contacts = [one for name, one in there.items() if name.startswith("contact:")]
    companies = [name for name in there if name.startswith("company:")]
    assert (len(contacts), len(companies)) == (1, 1), f"{place}: {sorted(there)} at hubspot"
    assert contacts[0]["billed"] == companies, f"{place}: the contact is billed for {contacts[0]['billed']}"
    person, firm = contacts[0]["properties"], there[companies[0]]["properties"]
    found = {"name": firm["name"], "email": person["email"], "phone": person["phone"]}
    assert found == AFTER, f"{place}: hubspot has {found}"
    ties = [one for one in world.lookalikes["hubspot"].mutations if one.action == "associate"]
    assert len(ties) == 1, f"{place}: tied {len(ties)} times"
    for name in ("stripe", "quickbooks"):
        assert [one["email"] for one in world.neutral(name).values()] == [EMAIL], f"{place}: {name}"
    world.db.read_now(lambda tx: _check_registry(tx, place, has_head=False, parts={"hubspot": ("email", "phone")}))


def check_archived(world: FragileWorld, provider: str, base: FragileWorld, place: str) -> None:
    """Each of the customer's objects was archived once where policy says so; nothing else was touched anywhere."""
    there = {name: one for name, one in world.neutral(provider).items() if one.get("status") != "inactive"}
    assert there == {}, f"{place}: {sorted(there)} at {provider}"
    for name in NAMES:
        before = base.writes(name)
        fresh = [one for one in world.lookalikes[name].mutations if one.caller == "accord"][before:]
        wanted = sorted(base.neutral(name)) if name == provider else []
        assert sorted(one.id for one in fresh) == wanted, f"{place}: {fresh} at {name}"
        if name != provider:
            assert world.neutral(name) == base.neutral(name), f"{place}: {name}"
    world.db.read_now(lambda tx: _check_ended(tx, place))


def _check_ended(tx: Tx, place: str) -> None:
    assert customers.count(tx) == 0, place
    assert intents.all_open(tx) == [], f"{place}: {intents.all_open(tx)}"
    assert holds.listing(tx) == [], f"{place}: {holds.listing(tx)}"
    assert failures.listing(tx) == [], f"{place}: {failures.listing(tx)}"
    assert sum(work.counts(tx).values()) == 0, place


def _check_registry(
    tx: Tx, place: str, *, has_head: bool, parts: Mapping[str, Collection[str]] = MappingProxyType({})
) -> None:
    assert customers.count(tx) == 1 + has_head, f"{place}: {customers.count(tx)} customers"
    one = next(
        one for one in customers.by_ids(tx, customers.live_ids(tx, "", 10)).values() if one.external_id != "head"
    )
    assert one.fields.get("parent") == ("head" if has_head else None), place
    assert {field: one.fields.get(field) for field in AFTER} == AFTER, f"{place}: the registry has {one.fields}"
    rows = mappings.of_records(tx, [one.id])[one.id]
    assert sorted(row.connection for row in rows if not row.part) == sorted(NAMES), place
    assert sorted(row.connection for row in rows if row.part) == sorted(parts), place
    assert all(row.state == "live" for row in rows), place
    assert all(("phone" in row.base) != ("phone" in parts.get(row.connection, ()) and not row.part) for row in rows), (
        place
    )
    assert intents.all_open(tx) == [], f"{place}: {intents.all_open(tx)}"
    assert holds.listing(tx) == [], f"{place}: {holds.listing(tx)}"
    assert failures.listing(tx) == [], f"{place}: {failures.listing(tx)}"


async def check_silence(world: FragileWorld, place: str, *, is_whole: bool) -> None:
    """An incremental and a full sweep write nothing anywhere."""
    before = _footprint(world)
    await world.next_sweep()
    if is_whole:
        world.clock.time += world.timing.full_every + 1
        await world.settle()
    assert _footprint(world) == before, f"{place}: an idle sweep wrote"


def _footprint(world: FragileWorld) -> tuple[Any, ...]:
    versions = world.db.read_now(
        lambda tx: [one.version for one in customers.by_ids(tx, customers.live_ids(tx, "", 10)).values()]
    )
    return [world.writes(name) for name in NAMES], versions
