"""The main job, shown and proved on the sandbox.

Three look-alikes are filled with a realistic mess; `expected.json` is derived from the seed alone. Accord plans,
is activated, and reconciles over real HTTP. Then some customers become those of a second legal entity, whose books are
a fourth look-alike, and everybody is billed. At last the look-alikes are read directly, without the engine, and
compared with what was expected; and once more, after a second pass that must not have written anything.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.cli.demo_bills import (
    audited,
    bill_everybody,
    billed,
    by_hand,
    choose_accounts,
    copied,
    divided,
    is_of_documents,
    look_at_bills,
    unequal,
)
from core.cli.quiet import Bell, left_over, paused, run_until_quiet
from core.cli.root import Root, SandboxAccess
from core.cli.screen import Screen
from core.errors import InvalidInputError
from core.sandbox.admin import Edit
from core.sandbox.background import serving
from core.sandbox.cast import SYSTEMS, System
from core.sandbox.client import SandboxClient
from core.sandbox.company import BRANCH, POLICIES, SETTINGS
from core.sandbox.lookalike import LookAlike
from core.sandbox.seed import Seed, demo_seed, plant
from core.sandbox.verify import Difference, differences
from core.store import customers, documents, holds, mappings
from core.store.database import Tx
from core.sync.activation import activate
from core.sync.hub import Hub
from core.sync.lanes import Lanes
from core.sync.oneoffs import ask
from core.sync.plan import plan

KINDS = ("customer", "invoice", "payment", "credit_note")
PATIENCE_SECONDS = 20.0
"""What waits for longer waits for what a person is asked, and is looked at again when that was answered."""
OUTAGE_SECONDS = 120.0
PATIENT_TIMES = 5
"""So many times that long, while a provider has asked for silence."""
LAG_SCALE = 0.02
"""The look-alikes' lags, shrunk: a second of the demo is most of a minute there."""
ROWS_SHOWN = 12
FOLDER = Path("var") / "demo"

HoldKey = tuple[str, str, str, str]
"""(connection, reason, field, person of the seed)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything the demo plays with."""

    hub: Hub
    lanes: Lanes
    bell: Bell
    clients: Mapping[str, SandboxClient]
    seed: Seed
    bills: int
    ids: Mapping[System, Sequence[str]]
    folder: Path
    screen: Screen


def demo(root: Root, *, customers: int, bills: int, seed: int, dump: Path | None, as_json: bool) -> int:
    """Run it; 0 when every system agrees as the seed says and the second pass wrote nothing, else 1."""
    screen = Screen(sys.stderr if as_json else sys.stdout)
    folder = dump or FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{folder} cannot be made: {error.strerror}"
        raise InvalidInputError(problem, field="--dump", cure="name another folder") from error
    story = demo_seed(random.Random(seed), customers)  # noqa: S311 - a seed, not a secret
    lookalikes = _lookalikes(root, seed)
    with ExitStack() as stack:
        server = stack.enter_context(serving(lookalikes, clock=root.clock(), rng=random.Random(seed)))  # noqa: S311
        clients = {name: SandboxClient(server.url(name)) for name in lookalikes}
        for name, client in clients.items():
            stack.callback(client.close)
            if "realm_id" in SETTINGS.get(name, {}):
                client.settings(realm_id=SETTINGS[name]["realm_id"])
        ids = plant(story, _typing(clients, divided(story, random.Random(seed))))  # noqa: S311 - a seed
        database = folder / "registry.sqlite3"
        for old in folder.glob("registry.sqlite3*"):
            old.unlink()
        bell = Bell()
        access = _access(root, {name: server.url(name) for name in lookalikes})
        hub = stack.enter_context(
            root.open_hub(sandbox=access, wake=bell.ring, is_direct=False, database_url=f"sqlite:///{database}")
        )
        stage = Stage(hub, Lanes(hub), bell, clients, story, bills, ids, folder, screen)
        stack.callback(hub.record_calls)
        return asyncio.run(_play(stage, random.Random(seed), as_json=as_json))  # noqa: S311 - a seed


def _lookalikes(root: Root, seed: int) -> dict[str, LookAlike]:
    """The three, and the books of the second entity."""
    built = root.lookalikes(lag_scale=LAG_SCALE, seed=seed, enforce_limits=True)
    branch = root.lookalikes(lag_scale=LAG_SCALE, seed=seed + 1, enforce_limits=True)
    return {**{name: built[name] for name in SYSTEMS}, BRANCH: branch[POLICIES[BRANCH].provider]}


def _typing(
    clients: Mapping[str, SandboxClient], besides: Sequence[Mapping[str, str]]
) -> Callable[[System, Sequence[Mapping[str, Any]]], list[str]]:
    """People type rows in; `besides` is what stands on those at Stripe, too."""

    def typed(name: System, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        told = besides if name == "stripe" else [{}] * len(rows)
        return clients[name].bulk([Edit(changes={**row, **more}) for row, more in zip(rows, told, strict=True)])

    return typed


def _access(root: Root, urls: Mapping[str, str]) -> SandboxAccess:
    providers = {name: POLICIES[name].provider for name in urls}
    usual = {name: root.sandbox_settings({providers[name]: url})[providers[name]] for name, url in urls.items()}
    secrets = root.sandbox_secrets()
    return SandboxAccess(
        urls=urls,
        secrets={name: secrets[provider] for name, provider in providers.items()},
        settings={name: {**told, **SETTINGS.get(name, {})} for name, told in usual.items()},
        policies=POLICIES,
    )


async def _play(stage: Stage, rng: random.Random, *, as_json: bool) -> int:
    _introduce(stage)
    _write(stage, "expected.json", _expected(stage))
    _dump(stage, "before")
    await _settle(stage)
    for name in SYSTEMS:
        await _agree(stage, name)
    await _agree(stage, BRANCH)
    accounts = choose_accounts(stage.hub, stage.clients, rng)
    approved = await bill_everybody(stage.hub, stage.clients, rng, accounts, stage.bills, lambda: _settle(stage))
    for one in approved:
        stage.screen.line(f"Too much at once, approved: {one}")
    unfinished = stage.hub.db.read_now(lambda tx: left_over(tx, stage.hub))
    found, wrong_bills = _verify(stage), audited(stage.hub, stage.clients)
    wrote = _writes(stage)
    reads, second_writes = await _second_pass(stage)
    found += _verify(stage)
    copies = stage.hub.db.read_now(copied)
    wrong_bills += audited(stage.hub, stage.clients) + unequal(copies)
    unfinished = stage.hub.db.read_now(lambda tx: left_over(tx, stage.hub)) or unfinished
    _dump(stage, "after")
    held = stage.hub.db.read_now(lambda tx: _held(tx, stage))
    wrong_holds = _wrong_holds(stage, held)
    is_good = not (found or wrong_holds or wrong_bills or second_writes) and reads > 0
    counts = stage.hub.db.read_now(lambda tx: _counts(tx, stage))
    result = {
        "agree": is_good,
        "customers": counts["customers"],
        "mappings": counts["mappings"],
        "invoices": counts["invoices"],
        "documents": copies,
        "approved": approved,
        "writes": wrote,
        "holds": [
            {"connection": one[0], "reason": one[1], "field": one[2], "person": one[3]}
            for one in sorted(held.elements())
        ],
        "by_hand": stage.hub.db.read_now(by_hand),
        "billed": billed(stage.clients),
        "second_pass_reads": reads,
        "second_pass_writes": second_writes,
        "unfinished": [] if is_good else unfinished,
    }
    wrong = [*wrong_holds, *wrong_bills]
    _write(stage, "result.json", result | {"differences": [msgspec.to_builtins(one) for one in found], "wrong": wrong})
    _conclude(stage, result, found, wrong, as_json=as_json)
    return 0 if is_good else 1


def _introduce(stage: Stage) -> None:
    screen = stage.screen
    screen.line("Three systems, each with its own idea of who the customers are:", style="bold")
    screen.table(["system", "objects"], [[name, len(stage.clients[name].objects())] for name in SYSTEMS])


async def _agree(stage: Stage, name: str) -> None:
    """Show a connection's plan, activate it, and let everything flow."""
    hub, screen = stage.hub, stage.screen
    connection = hub.connections[name]
    seen = await plan(hub, connection)
    counts = ", ".join(f"{kind} {times}" for kind, times in sorted(seen.counts.items())) or "nothing"
    screen.line(f"\nPlan for {name}: {counts}; {seen.calls} write calls (digest {seen.digest})", style="bold")
    rows = [
        [
            item.kind,
            item.external_id or item.remote_id,
            change.field,
            change.where,
            change.old,
            change.new,
            change.rule,
        ]
        for item in seen.items
        if item.kind in ("link", "update", "take")
        for change in item.changes
    ]
    screen.table(["what", "record", "field", "where", "old", "new", "rule"], rows[:ROWS_SHOWN])
    await activate(hub, connection, seen.digest, actor="demo")
    await _settle(stage)


async def _settle(stage: Stage) -> None:
    await settled(stage.hub, stage.lanes, stage.bell)


async def settled(hub: Hub, lanes: Lanes, bell: Bell) -> None:
    """Run all lanes until nothing is due, or it would take too long; a pause of a connection is waited out."""
    patience = PATIENCE_SECONDS
    for _ in range(1 + PATIENT_TIMES):
        await run_until_quiet(hub, lanes, hub.connections, patience=patience, bell=bell)
        if not hub.db.read_now(lambda tx: paused(tx, hub.clock.now())):
            return
        patience = OUTAGE_SECONDS


async def _second_pass(stage: Stage) -> tuple[int, int]:
    """List everything again; the look-alikes themselves say what was read and written."""
    before = {name: client.stats() for name, client in stage.clients.items()}
    mutations = _writes(stage)
    for name in stage.clients:
        await ask(stage.hub, name, {"what": "full"})
    await _settle(stage)
    await look_at_bills(stage.hub, lambda: _settle(stage))
    reads = sum(client.stats().reads - before[name].reads for name, client in stage.clients.items())
    return reads, sum(_writes(stage).values()) - sum(mutations.values())


def _writes(stage: Stage) -> dict[str, int]:
    """Changes of customers and documents that the look-alikes' own logs ascribe to Accord."""
    return {
        name: sum(one.caller == "accord" and one.kind in KINDS for one in client.mutations())
        for name, client in stage.clients.items()
    }


def _verify(stage: Stage) -> list[Difference]:
    shown = {name: stage.clients[name].neutral() for name in SYSTEMS}
    return differences(stage.seed, stage.ids, shown)


def _held(tx: Tx, stage: Stage) -> Counter[HoldKey]:
    """Open holds of customers, each with the person of the seed it is about."""
    persons = _persons_by_id(stage)
    found: Counter[HoldKey] = Counter()
    for hold in holds.listing(tx, limit=100_000):
        if is_of_documents(hold):
            continue
        person = persons.get((hold.connection, hold.subject[2:]), "")
        if hold.record_id:
            rows = mappings.of_records(tx, [hold.record_id]).get(hold.record_id, [])
            names = {persons.get((row.connection, row.remote_id or ""), "") for row in rows} - {""}
            person = min(names, default="nobody of the seed")
        found[hold.connection, hold.reason, hold.field, person] += 1
    return found


def _persons_by_id(stage: Stage) -> dict[tuple[str, str], str]:
    return {
        (system, stage.ids[system][number]): person.key
        for person in stage.seed.persons
        for system, number in person.rows.items()
    }


def _wrong_holds(stage: Stage, held: Counter[HoldKey]) -> list[str]:
    """Holds that are missing, and holds that nobody expects. All rivals but one must be held, nobody knows which."""
    wanted: Counter[HoldKey] = Counter(
        (hold.system, hold.reason, hold.field, person.key) for person in stage.seed.persons for hold in person.holds
    )
    wrong = []
    rest = Counter(held)
    for rivalry in stage.seed.rivalries:
        key = (rivalry.hold.system, rivalry.hold.reason, rivalry.hold.field)
        losers = [one for one in rivalry.persons if rest[(*key, one)]]
        for one in losers:
            del rest[(*key, one)]
        if len(losers) != len(rivalry.persons) - 1:
            wrong.append(f"{len(losers)} of {', '.join(rivalry.persons)} are held for {rivalry.hold.reason}")
    wrong += [f"expected, but not held: {one}" for one in sorted((wanted - rest).elements())]
    return wrong + [f"held, but not expected: {one}" for one in sorted((rest - wanted).elements())]


def _counts(tx: Tx, stage: Stage) -> dict[str, int]:
    live = sum(mappings.count(tx, name, "live") for name in stage.hub.connections)
    invoices = sum(times for (kind, _), times in documents.counts(tx).items() if kind == "invoice")
    return {"customers": customers.count(tx), "mappings": live, "invoices": invoices}


def _expected(stage: Stage) -> dict[str, Any]:
    """What must come of the seed, by person; derived from the seed and the published ranks only."""
    return {
        "rows": {
            name: dict(zip(stage.ids[name], msgspec.to_builtins(rows), strict=True))
            for name, rows in stage.seed.rows.items()
        },
        "persons": msgspec.to_builtins(stage.seed.persons),
        "rivalries": msgspec.to_builtins(stage.seed.rivalries),
    }


def _dump(stage: Stage, moment: str) -> None:
    """What each system holds, as it shows it itself and in neutral fields."""
    for name, client in stage.clients.items():
        _write(stage, f"{name}.{moment}.json", {"objects": client.objects(), "neutral": client.neutral()})
        if moment == "after":
            _write(stage, f"{name}.mutations.json", msgspec.to_builtins(client.mutations()))


def _write(stage: Stage, name: str, content: object) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
    (stage.folder / name).write_text(text, encoding="utf-8")


def verdict(result: Mapping[str, Any]) -> str:
    """What came of it, in words: `agree`, or what is `unfinished`, or neither of them."""
    if result["agree"]:
        return "every system agrees"
    if result["unfinished"]:
        return f"not finished: {'; '.join(result['unfinished'])}"
    return "NOT as the seed says"


def _conclude(
    stage: Stage, result: Mapping[str, Any], found: Sequence[Difference], wrong: Sequence[str], *, as_json: bool
) -> None:
    screen = stage.screen
    screen.line("")
    by_reason = Counter((one["connection"], one["reason"], one["field"]) for one in result["holds"])
    screen.table(
        ["held at", "reason", "field", "times"],
        [[*key, times] for key, times in sorted(by_reason.items())],
        title="Waiting for a person, exactly as the seed says" if not wrong else "Waiting for a person",
    )
    screen.table(
        ["system", "objects", "written by Accord"],
        [[name, len(client.objects()), result["writes"][name]] for name, client in stage.clients.items()],
        title=f"{result['customers']} customers, {result['mappings']} mappings",
    )
    # what is not done yet is not wrong yet
    told, style = ("NOT YET", "yellow") if result["unfinished"] else ("WRONG", "red")
    for one in [*wrong, *(f"{one.system} {one.person}: {one.problem}" for one in found)][:ROWS_SHOWN]:
        screen.line(f"{told}  {one}", style=style)
    second = f"{result['second_pass_reads']} reads, {result['second_pass_writes']} writes"
    screen.line(f"Second pass: {second}. Result: {verdict(result)}. Files: {stage.folder}", style="bold")
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
