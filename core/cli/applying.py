"""The work of `accord apply`: today's plans must be the ones that were seen; then their subjects and no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.cli.asking import actor, on_a_loop
from core.cli.desk import FAILED, HELD, OK, Desk
from core.cli.follow import followed
from core.cli.plans import FORMAT, planned
from core.errors import InvalidInputError, NotFoundError
from core.store import connections
from core.sync.activation import require_same
from core.sync.carry_out import Standing, begin, carry_out, paused, standing, still_waiting
from core.sync.hub import Hub
from core.sync.plan import Plan
from core.sync.restoring import own

if TYPE_CHECKING:
    from core.cli.screen import Screen


class _Named(msgspec.Struct, frozen=True):
    """One plan as its file names it."""

    connection: str
    digest: str


class _File(msgspec.Struct, frozen=True):
    accord_plan: int
    plans: list[_Named]


def apply_plans(desk: Desk, wanted: Sequence[str], patience: float) -> int:
    """Check every plan before the first one is begun."""
    with desk.root.open_hub() as hub:
        results = on_a_loop(hub, lambda: _apply(desk, hub, wanted, patience))
    desk.show({"applied": results}, lambda screen: _draw(screen, results))
    if any(one.failed or one.waiting or one.stale for one in results.values()):
        return FAILED
    return HELD if any(one.held for one in results.values()) else OK


async def _apply(desk: Desk, hub: Hub, wanted: Sequence[str], patience: float) -> dict[str, Standing]:
    today = await _fresh(hub, wanted)
    for plan in today:
        _require_active(hub, plan)
    if desk.root.is_daemon_running():
        return {plan.connection: await _by_daemon(desk, hub, plan, patience) for plan in today}
    with own(hub):
        for plan in today:
            _require_awake(hub, plan, patience)
        return {plan.connection: await _here(desk, hub, plan, patience) for plan in today}


async def _fresh(hub: Hub, wanted: Sequence[str]) -> list[Plan]:
    """Today's plans for what was named, each once. Raises InvalidInputError when one is stale."""
    today = {one.connection: one for one in (await planned(hub, sorted(hub.connections)))[0]}
    found: dict[str, Plan] = {}
    for text in wanted:
        for connection, digest in _named(text, today):
            if connection not in today:
                hub.connection(connection)
                problem = f"the plan is stale: {connection} has none any more"
                raise InvalidInputError(problem, field="plan", cure="look at `accord plan` again")
            require_same(today[connection], digest)
            found[connection] = today[connection]
    return list(found.values())


def _named(text: str, today: dict[str, Plan]) -> list[tuple[str, str]]:
    """What one argument names: a digest of today, or a file's plans."""
    by_digest = [(name, plan.digest) for name, plan in today.items() if plan.digest == text]
    if by_digest:
        return by_digest
    try:
        content = Path(text).read_bytes()
    except (OSError, ValueError) as error:
        problem = f"{text!r} is neither a plan file nor the digest of a plan of today"
        raise NotFoundError(problem, field="plan", cure="it may be stale: look at `accord plan` again") from error
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = "it nests too deep" if isinstance(error, RecursionError) else error
        raise InvalidInputError(f"{text} is no plan: {why}", field="plan", cure="`accord plan --out FILE`") from error
    if file.accord_plan != FORMAT:
        limit, cure = f"accord_plan {FORMAT}", "make it anew: `accord plan --out FILE`"
        raise InvalidInputError(f"{text} has another format", field="plan", limit=limit, cure=cure)
    return [(one.connection, one.digest) for one in file.plans]


def _require_active(hub: Hub, plan: Plan) -> None:
    state = hub.db.read_now(lambda tx: connections.get(tx, plan.connection)).state
    if state != "active":
        problem = f"{plan.connection} is {state}: nothing is written there"
        activate = f"`accord activate {plan.connection} --plan {plan.digest}`"
        cure = activate if state == "observing" else "`accord doctor`"
        raise InvalidInputError(problem, field="plan", cure=cure)


def _require_awake(hub: Hub, plan: Plan, patience: float) -> None:
    """Refuse, before anything is marked, what a pause of the connection would outlast."""
    row = hub.db.read_now(lambda tx: connections.get(tx, plan.connection))
    if (row.paused_until or 0.0) > hub.clock.now() + patience:
        raise paused(row)


async def _here(desk: Desk, hub: Hub, plan: Plan, patience: float) -> Standing:
    connection = hub.connection(plan.connection)
    subjects = hub.db.run_now(lambda tx: begin(tx, hub, connection, plan, actor=actor()))
    with desk.counting() as count:
        await carry_out(
            hub, connection, subjects, patience=patience,
            progress=lambda report: count(plan.connection, report.looked, f"of {len(subjects)}"),
        )  # fmt: skip
    return hub.db.read_now(lambda tx: standing(tx, connection, subjects))


async def _by_daemon(desk: Desk, hub: Hub, plan: Plan, patience: float) -> Standing:
    connection = hub.connection(plan.connection)
    subjects = hub.db.run_now(lambda tx: begin(tx, hub, connection, plan, actor=actor()))

    def is_done() -> bool:
        return not hub.db.read_now(lambda tx: still_waiting(tx, connection, subjects))

    await followed(desk, hub, is_done, patience=patience)
    return hub.db.read_now(lambda tx: standing(tx, connection, subjects))


def _draw(screen: Screen, results: dict[str, Standing]) -> None:
    columns = ("connection", "done", "held", "failed", "waiting", "stale")
    rows = [(name, one.done, one.held, one.failed, one.waiting, one.stale) for name, one in results.items()]
    screen.table(columns, rows)
