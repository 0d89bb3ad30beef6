"""`accord sync --dry-run`: read, show the plan, write nothing to any system or registry record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from core.cli.asking import on_a_loop
from core.cli.desk import FAILED, Desk
from core.cli.follow import ENDED, followed, one_off_state
from core.cli.plans import planned, show_plans, verdict_of
from core.cli.quiet import run_until_quiet
from core.errors import AccordError
from core.model.documents import KINDS
from core.model.values import is_metadata
from core.store import connections, customers, mappings
from core.store.database import Tx
from core.sync.documents.planning import Scope
from core.sync.documents.tally import DocumentPlan, Tally
from core.sync.documents.untaken import count_untaken
from core.sync.hub import Hub
from core.sync.lanes import Lanes
from core.sync.look import Looked, look, look_at
from core.sync.oneoffs import ask
from core.sync.plan import Plan
from core.sync.plan_items import Item
from core.sync.restoring import own

if TYPE_CHECKING:
    from core.cli.sync_now import Request

SHOWN = 50


def dry_run(desk: Desk, hub: Hub, request: Request) -> int:
    """Look, plan, show; returns the exit code."""
    plans, problems = on_a_loop(hub, lambda: _looked_and_planned(desk, hub, request))
    plans = [_narrowed(one, request) for one in plans]
    show_plans(desk, plans, problems, SHOWN)
    return FAILED if problems else verdict_of(plans)


async def _looked_and_planned(desk: Desk, hub: Hub, request: Request) -> tuple[list[Plan], list[AccordError]]:
    rows = {one.name: one for one in hub.db.read_now(connections.every)}
    observing = [name for name in request.names if rows[name].state == "observing"]
    others = [name for name in request.names if name not in observing]
    problems = await _observed(desk, hub, request, observing)
    if not request.kinds:
        problems += await _looked(desk, hub, request, others)
    scope = hub.db.read_now(lambda tx: _scope(tx, request))
    plans, unplanned = await planned(hub, request.names, scope)
    if request.kinds:
        plans = [await _with_untaken(desk, hub, one, scope, problems) for one in plans]
    return plans, [*problems, *unplanned]


async def _with_untaken(desk: Desk, hub: Hub, plan: Plan, scope: Scope, problems: list[AccordError]) -> Plan:
    """The plan, with what would be taken in where documents originate."""
    tally = Tally()
    try:
        for bad in await count_untaken(hub, hub.connection(plan.connection), scope, tally):
            desk.note(f"{plan.connection}: {bad.id} cannot be understood: {bad.problem}")
    except AccordError as error:
        problems.append(error)
    told = plan.documents or DocumentPlan(since="", sums=[], examples=[])
    told = msgspec.structs.replace(told, sums=tally.sums() + told.sums, examples=tally.examples + told.examples)
    return msgspec.structs.replace(plan, documents=told)


def _scope(tx: Tx, request: Request) -> Scope:
    """The documents that a real run would look at; with a kind it looks at every copy again."""
    owners = customers.by_external_ids(tx, request.customers).values()
    ids = frozenset(one.id for one in owners) if request.customers else None
    kinds = tuple(kind for kind in KINDS if kind in request.kinds) or KINDS
    return Scope(kinds=kinds, customer_ids=ids, is_whole=bool(request.kinds))


async def _observed(desk: Desk, hub: Hub, request: Request, names: Sequence[str]) -> list[AccordError]:
    """An observing connection's lane reads and writes nothing by itself."""
    if not names:
        return []

    if desk.root.is_daemon_running():
        asked = {name: await ask(hub, name, {"what": "full"}) for name in names}

        def is_done() -> bool:
            states = hub.db.read_now(lambda tx: [one_off_state(tx, name, one) for name, one in asked.items()])
            return all(state in ENDED for state in states)

        await followed(desk, hub, is_done, patience=request.patience)
    else:
        with own(hub), desk.counting() as count:
            for name in names:
                await ask(hub, name, {"what": "full"})
            await run_until_quiet(
                hub, Lanes(hub), names, patience=request.patience, outage_patience=request.outage_patience,
                tell=desk.note,
                progress=lambda name, report: count(name, report.looked, f"{report.looked} read"),
            )  # fmt: skip
    rows = {one.name: one for one in hub.db.read_now(connections.every)}
    return [AccordError(f"{name}: {rows[name].error}") for name in names if rows[name].error]


async def _looked(desk: Desk, hub: Hub, request: Request, names: Sequence[str]) -> list[AccordError]:
    """Connections that are written to are read without waking anything. One that cannot be read stops no other."""
    problems: list[AccordError] = []
    with desk.counting() as count:
        for name in names:
            connection = hub.connection(name)

            def progress(looked: Looked, name: str = name) -> None:
                count(name, looked.listed, f"{looked.listed} read")

            try:
                if request.customers:
                    remote_ids = hub.db.read_now(lambda tx, n=name: _remote_ids(tx, n, request.customers))  # type: ignore[misc]
                    found = await look_at(hub, connection, remote_ids)
                else:
                    found = await look(hub, connection, progress)
            except AccordError as error:
                problems.append(error)
                continue
            _tell(desk, name, found)
    return problems


def _tell(desk: Desk, name: str, found: Looked) -> None:
    if found.missing:
        desk.note(f"{name}: {found.missing} known objects are not listed any more; a sync would confirm each and ask")
    for bad in found.bad:
        desk.note(f"{name}: {bad.id} cannot be understood: {bad.problem}")


def _remote_ids(tx: Tx, name: str, external_ids: Sequence[str]) -> list[str]:
    ids = [one.id for one in customers.by_external_ids(tx, external_ids).values()]
    rows = [row for some in mappings.of_records(tx, ids).values() for row in some]
    return [row.remote_id for row in rows if row.connection == name and row.remote_id]


def _narrowed(plan: Plan, request: Request) -> Plan:
    """Only what was asked about; a part of a plan has no digest, since it cannot be applied."""
    if request.kinds:
        return msgspec.structs.replace(plan, digest="", items=[], counts={}, calls=0, seconds=0.0, foreign_marks={})
    if not request.customers and not request.is_metadata:
        return plan
    items = [item for one in plan.items for item in _wanted(one, request)]
    counts: dict[str, int] = {}
    for item in items:
        counts[item.kind] = counts.get(item.kind, 0) + 1
    copied = None if request.is_metadata else plan.documents
    return msgspec.structs.replace(plan, digest="", items=items, counts=counts, documents=copied)


def _wanted(item: Item, request: Request) -> list[Item]:
    if request.customers and item.external_id not in request.customers:
        return []
    if not request.is_metadata:
        return [item]
    changes = [one for one in item.changes if is_metadata(one.field)]
    return [msgspec.structs.replace(item, changes=changes)] if changes else []
