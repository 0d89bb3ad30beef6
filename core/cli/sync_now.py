"""The work of `accord sync`: ask the daemon's lanes and follow them, or run the lanes here; then say what stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from core.cli.asking import actor, on_a_loop
from core.cli.desk import CHANGES, FAILED, HELD, OK, Desk
from core.cli.dry_run import dry_run
from core.cli.follow import ENDED, followed, one_off_state
from core.cli.outcome import Outcome, outcome
from core.cli.quiet import Bell, Waiting, due_at, run_until_quiet
from core.errors import AccordError, InvalidInputError, StorageError
from core.store import connections
from core.sync import registry
from core.sync.accounts import check_account
from core.sync.batch import Report
from core.sync.documents.asking import concerned_with
from core.sync.failing import told_of
from core.sync.hub import Hub
from core.sync.lanes import Lanes
from core.sync.metadata import refresh_metadata
from core.sync.oneoffs import ask
from core.sync.restoring import own

if TYPE_CHECKING:
    from core.cli.screen import Screen


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    names: Sequence[str]
    is_metadata: bool = False
    customers: tuple[str, ...] = ()
    is_full: bool = False
    kinds: tuple[str, ...] = ()
    """Kinds of documents; none: customers."""
    patience: float = 300.0
    outage_patience: float = 60.0

    def one_off(self) -> dict[str, object]:
        """The request as a lane understands it."""
        if self.kinds:
            return {"what": "documents", "kinds": list(self.kinds), "external_ids": list(self.customers)}
        if self.customers:
            return {"what": "customers", "external_ids": list(self.customers)}
        return {"what": "full" if self.is_full else "changes"}


class Asked(NamedTuple):
    """What was asked of lanes: its ids, and what there was no asking for, both by connection."""

    ids: Mapping[str, str]
    troubled: Mapping[str, str]


def sync_now(desk: Desk, request: Request, *, is_dry: bool) -> int:
    """Do it, show what came of it, return the exit code."""
    bell = Bell()
    with desk.root.open_hub(wake=bell.ring) as hub:
        names = desk.known(hub, list(request.names))
        request = replace(request, names=_concerned(hub, names, request) if request.kinds else names)
        hub.db.read_now(lambda tx: registry.require(tx, request.customers, "customer"))
        if is_dry:
            return dry_run(desk, hub, request)
        if desk.root.is_daemon_running():
            asked = on_a_loop(hub, lambda: _by_daemon(desk, hub, request))
        else:
            with own(hub):
                asked = on_a_loop(hub, lambda: _here(desk, hub, request, bell))
        found = hub.db.read_now(lambda tx: outcome(tx, hub, request.names, request.customers, asked.ids))
    found = msgspec.structs.replace(found, troubled={**found.troubled, **asked.troubled})
    desk.show(found, lambda screen: _draw(screen, found))
    return _exit_code(found)


def _concerned(hub: Hub, names: Sequence[str], request: Request) -> Sequence[str]:
    """Of all connections those that have the kinds; one that was named must have them. InvalidInputError."""
    concerned = []
    for name in names:
        try:
            concerned_with(hub.connection(name), request.kinds)
        except InvalidInputError:
            if request.names:
                raise
        else:
            concerned.append(name)
    if not concerned:
        cure = "name it in originates or mirrors of [connections.NAME.documents] in accord.toml"
        problem = f"no {' or '.join(request.kinds)} comes from any connection, or is copied to one"
        raise InvalidInputError(problem, field="kind", limit=f"connections: {', '.join(names) or 'none'}", cure=cure)
    return concerned


async def _refresh(hub: Hub, names: Sequence[str]) -> dict[str, str]:
    """What kept it from being done where; elsewhere it is done all the same.

    Definitions are made with the credentials of this process: first it is asked whose account these open.
    """
    troubled = {}
    for name in names:
        connection = hub.connection(name)
        row = hub.db.read_now(lambda tx, one=name: connections.get(tx, one))  # type: ignore[misc]
        try:
            if row.state == "active":
                await check_account(hub, connection, row)
            await refresh_metadata(hub, connection)
        except StorageError:
            raise
        except AccordError as error:
            troubled[name] = told_of(error, name)
    return troubled


async def _by_daemon(desk: Desk, hub: Hub, request: Request) -> Asked:
    """Ask, and follow."""
    troubled = await _refresh(hub, request.names) if request.is_metadata else {}
    asked = {name: await ask(hub, name, request.one_off(), actor=actor()) for name in request.names}
    desk.if_ended = "the daemon goes on with it; `accord status` shows how far it is"
    started = hub.clock.now()
    waiting = Waiting(hub, request.patience, request.outage_patience, desk.note)
    with desk.counting() as count:

        def is_done() -> bool:
            states = hub.db.read_now(lambda tx: {name: one_off_state(tx, name, one) for name, one in asked.items()})
            for name, state in states.items():
                count(name, 0, state)
            open_still = [name for name, state in states.items() if state not in ENDED]
            if open_still:
                until = started + waiting.limit(open_still)
                waiting.tell(until)
                return hub.clock.now() >= until
            # what one lane took in, another one has still to write
            dues = hub.db.read_now(lambda tx: [due_at(tx, hub, name, started) for name in asked])
            return all(due is None or due > started + request.patience for due in dues)

        await followed(desk, hub, is_done, patience=request.patience)
    return Asked(asked, troubled)


async def _here(desk: Desk, hub: Hub, request: Request, bell: Bell) -> Asked:
    """Ask, and run the lanes."""
    desk.if_ended = "`accord sync` goes on where it ended"
    lanes = Lanes(hub)
    with desk.counting() as count:

        def progress(name: str, report: Report) -> None:
            count(name, report.looked, f"{report.looked} looked at, {report.written} written, {report.pulled} taken in")

        troubled = await _refresh(hub, request.names) if request.is_metadata else {}
        asked = {name: await ask(hub, name, request.one_off(), actor=actor()) for name in request.names}
        await run_until_quiet(
            hub, lanes, request.names, patience=request.patience, progress=progress, bell=bell,
            outage_patience=request.outage_patience, tell=desk.note,
        )  # fmt: skip
    return Asked(asked, troubled)


def _draw(screen: Screen, found: Outcome) -> None:
    for name, problem in sorted(found.troubled.items()):
        screen.line(f"{name}: {problem}", "red")
    rows = (
        ("failed: `accord failures`", found.failed),
        ("held: `accord holds`", found.held),
        ("waiting: `accord status`", found.waiting),
    )
    for words, number in rows:
        if number:
            screen.line(f"{number} {words}", "yellow")
    for name in found.observing:
        screen.line(
            f"{name} observes: it was read, and nothing is written or taken in. `accord plan {name}` shows what would "
            f"be, `accord activate {name}` lets it",
            "yellow",
        )
    for name, number in sorted(found.elsewhere.items()):
        screen.line(f"{number} changes wait for {name}: `accord sync {name}`")
    if _exit_code(found) == OK:
        screen.line("what was asked about agrees" if found.elsewhere else "all agree", "green")


def _exit_code(found: Outcome) -> int:
    if found.failed or found.waiting or found.troubled:
        return FAILED
    if found.held:
        return HELD
    return CHANGES if found.observing else OK
