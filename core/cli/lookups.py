"""`accord status`, `explain`, `inbox`: looking, and nothing else. They read beside a running daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.command import add
from core.cli.desk import Desk

if TYPE_CHECKING:
    from core.cli.screen import Screen


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    add(app, "status", status)
    add(app, "explain", explain)
    add(app, "inbox", inbox)


def status(desk: Desk) -> None:
    """Show the state of every connection.

    What is mapped, what waits, what is held and what fails.
    """
    from core.cli.checks import of_life
    from core.sync.explain import status as counted

    with desk.root.open_hub() as hub:
        found = hub.db.read_now(lambda tx: counted(tx, hub))
        # a start takes a database that was exchanged for what it is: this is the last moment to put the right one back
        odd = [] if desk.root.is_daemon_running() else [one for one in of_life(hub) if one.state != "ok"]
    found["is_daemon_running"] = desk.root.is_daemon_running()
    found["database"] = "; ".join(words for one in odd for words in (one.says, one.cure) if words)
    desk.show(found, lambda screen: _draw_status(screen, found))


def _draw_status(screen: Screen, found: Mapping[str, Any]) -> None:
    daemon = "the daemon is running" if found["is_daemon_running"] else "no daemon is running: `accord run` starts it"
    screen.line(f"{found['customers']} customers, {found['holds']} held, {found['failures']} failing; {daemon}")
    columns = ("connection", "state", "account", "mapped", "objects", "waiting", "held", "failing", "dead", "inbox")
    rows = [[one[name] for name in (*columns[:3], "mappings", *columns[4:])] for one in found["connections"]]
    screen.table(columns, rows)
    if found["database"]:
        screen.line(f"the database: {found['database']}", "red")
    for one in found["connections"]:
        _draw_connection(screen, one)


def _draw_connection(screen: Screen, one: Mapping[str, Any]) -> None:
    from core.cli.screen import moment

    if not one["is_configured"]:
        screen.line(f"{one['connection']} is not configured any more; its records stay", "yellow")
    for words in _counts(one):
        screen.line(f"{one['connection']}{words}")
    if one["restored_at"]:
        says = f"the database was found restored on {moment(one['restored_at'])} UTC; see `accord doctor`"
        screen.line(f"{one['connection']}: {says}", "yellow")
    if waits := _waiting_sweeps(one):
        screen.line(f"{one['connection']}: {waits}", "yellow")
    if one["erased"]:
        screen.line(f"{one['connection']}: {one['erased']} objects of erased customers are still there", "yellow")
    if one["error"] and one["is_configured"]:
        until = f" (paused until {moment(one['paused_until'])} UTC)" if one["paused_until"] else ""
        screen.line(f"{one['connection']}: {one['error']}{until}", "red")


def _counts(one: Mapping[str, Any]) -> Iterator[str]:
    """What a connection counts besides customers: their parts, documents, and what its provider allows."""
    for part in one["parts"]:
        counts = f"{part['mappings']} mapped, {part['pending']} to be created, {part['gone']} gone"
        yield f" {part['part']} ({part['title']}): {counts}"
    if documents := one["documents"]:
        words = {"mappings": "there", "unequal": "not equal", "pending": "to be copied", "held": "held"}
        more = f", {documents['ownerless']} of unknown customers" if documents["ownerless"] else ""
        yield f" documents: {', '.join(f'{documents[key]} {said}' for key, said in words.items())}{more}"
    if one["to_archive"]:
        yield f": {one['to_archive']} objects of archived customers wait to be archived"
    for part in one["allowances"]:
        minutes = part["changes_every"] / 60
        told = f"{part['used']} of {part['calls']} {part['name']}; changes are looked for every {minutes:.1f} min"
        yield f": {told}"


def _waiting_sweeps(one: Mapping[str, Any]) -> str:
    """Which sweeps wait, or are rare, because no calls are left for them; "" for none."""
    from core.cli.screen import moment

    used_up = [part["name"] for part in one["allowances"] if part["used"] >= part["calls"]]
    if used_up:
        what = f"all {' and '.join(used_up)} are used up: sweeps stay rare until older calls count no more"
        return (
            f"{what}; what webhooks name is read, writes go on; `monthly_reads` in accord.toml says how many there are"
        )
    if not one["rest"]:
        return ""
    what = {"full": "complete sweeps and listings wait", "changes": "all sweeps wait"}[one["rest"]["sweeps"]]
    goes_on = f"what webhooks name is read, writes go on; `accord sync {one['connection']}` reads now"
    return f"{what} until {moment(one['rest']['until'])} UTC: {one['rest']['reason']}; {goes_on}"


def explain(
    desk: Desk,
    name: Annotated[str, typer.Argument(metavar="ID", help="external_customer_id of a customer, or a document")],
) -> None:
    """Show one customer, or one document, in every system.

    Shows every system's value of every field, who owns it, what happened last, what waits and why. A document that was
    not taken from its origin is found by its number or id there. For an archived customer it shows when and by whom it
    was archived, and what happens to each of its objects.
    """
    from core.cli.documents import draw, draw_waiting
    from core.cli.hold_ids import open_ids
    from core.errors import NotFoundError
    from core.sync.archived import explain_any
    from core.sync.documents.telling import told_of_any, waiting

    with desk.root.open_hub() as hub:
        try:
            found, short = hub.db.read_now(lambda tx: (explain_any(tx, hub, name), open_ids(tx)))
        except NotFoundError:
            document = hub.db.read_now(lambda tx: told_of_any(tx, hub, name))
            waits = hub.db.read_now(lambda tx: waiting(tx, hub, name))
            if document is not None:
                desk.show(document, lambda screen: draw(screen, document))
            elif waits:
                desk.show({"waits": waits}, lambda screen: draw_waiting(screen, waits))
            else:
                raise
            return
    desk.show(found, lambda screen: _draw_explained(screen, found, short))


def _draw_explained(screen: Screen, found: Mapping[str, Any], short: Mapping[str, str]) -> None:
    from core.cli.screen import spoken

    mappings = found["mappings"]
    archived = {"archived": ended(found["archived"])} if found["archived"] else {}
    screen.facts(
        {"version": found["version"], **archived, **{_place(one): _stands(one) for one in mappings}},
        title=found["external_customer_id"],
    )
    columns = ["field", "registry", "from", *map(_place, mappings)]
    names = sorted({*found["fields"], *(name for one in mappings for name in one.get("fields", {}))})
    rows = []
    for name in names:
        if name not in found["fields"] and not any(_says(one.get("fields", {}).get(name)) for one in mappings):
            continue  # blank everywhere
        here = found["fields"].get(name, {})
        there = [_side(one.get("fields", {}).get(name)) for one in mappings]
        rows.append([name, spoken(here.get("value")), here.get("source"), *there])
    screen.table(columns, rows)
    _draw_troubles(screen, found, short)
    _draw_journal(screen, found["journal"])


def _place(mapping: Mapping[str, Any]) -> str:
    """`hubspot`, or `hubspot contact` for a part of the customer there."""
    return f"{mapping['connection']} {mapping['part']}".rstrip()


def ended(archived: Mapping[str, Any]) -> str:
    """When a customer was archived, by whom, and by which answer if it was one."""
    from core.cli.screen import moment

    said = archived["answer"]
    answer = f", answering {said['reason']} at {said['connection']} with {said['choice']}" if said else ""
    return f"{moment(archived['at'])} UTC by {archived['by'] or 'nobody knows whom'}{answer}"


def _stands(mapping: Mapping[str, Any]) -> str:
    if "object" in mapping:
        return f"{mapping['remote_id'] or ''} {mapping['says']}".lstrip()
    return f"{mapping['state']} {mapping['remote_id'] or ''}{_waits(mapping)}"


def _says(field: Mapping[str, Any] | None) -> bool:
    return field is not None and bool(field["value"] or field["next"] or (field["agreed"] or [None, None])[1])


def _waits(mapping: Mapping[str, Any]) -> str:
    doubt = ", a write is in doubt" if "write_in_doubt" in mapping else ""
    rests = f", rests: {mapping['rests']}" if "rests" in mapping else ""
    return f", waits: {mapping['waits']['reason']}{doubt}{rests}" if "waits" in mapping else f"{doubt}{rests}"


def _side(field: Mapping[str, Any] | None) -> str:
    """One connection's value of one field: the value, what was agreed where that differs, what comes next."""
    from core.cli.screen import spoken

    if field is None:
        return "-"
    words = [spoken(field["value"])]
    agreed = field["agreed"]
    if agreed is None:
        words.append("never agreed")
    elif agreed[1] != field["value"]:
        words.append(f"agreed: {spoken(agreed[1])}")
    if field["flow"] != "both":
        words.append(f"flow {field['flow']}")
    return "\n".join([*words, *([field["next"]] if field["next"] else [])])


def _draw_troubles(screen: Screen, found: Mapping[str, Any], short: Mapping[str, str]) -> None:
    held = [(short[one["id"]], one["connection"], one["field"], one["reason"], one["detail"]) for one in found["holds"]]
    screen.table(("hold", "connection", "field", "reason", "detail"), held, title="held", whole="hold")
    failing = [(one["connection"], one["state"], one["attempts"], one["message"]) for one in found["failures"]]
    screen.table(("connection", "state", "attempts", "problem"), failing, title="failing")


def _draw_journal(screen: Screen, entries: list[dict[str, Any]]) -> None:
    from core.cli.screen import moment, spoken

    rows = []
    for one in entries:
        changed = [
            f"{name}: {spoken(change['old'])} -> {spoken(change['new'])}" for name, change in one["changes"].items()
        ]
        lost = [f"lost at the {two['side']}: {two['field']} {spoken(two['value'])}" for two in one["lost"]]
        where = one["connection"] or "registry"
        rows.append((one["change"], moment(one["at"]), one["action"], where, one["actor"], "\n".join(changed + lost)))
    screen.table(
        ("change", "when (UTC)", "what", "where", "by", "values"), rows, title="last changes (`accord undo CHANGE`)"
    )


def inbox(
    desk: Desk, limit: Annotated[int, typer.Option(min=0, max=1000, help="Show at most this many deliveries.")] = 20
) -> None:
    """Count webhook deliveries.

    Shows how many wait, how many were read, how many were authentic but not understood, and when the last one came.
    Refused deliveries (a wrong signature, say) are not kept: look in the daemon's log and metrics.
    """
    from core.store import inbox as letters

    with desk.root.open_hub() as hub:
        counts, last = hub.db.read_now(lambda tx: (letters.counts(tx), letters.last_came(tx)))
        poison = hub.db.read_now(lambda tx: letters.poisoned(tx, limit=limit))
        names = sorted({*hub.connections, *(name for name, _ in counts)})
    states = ("new", "done", "poison")
    found = {
        "connections": [
            {
                "connection": one,
                **{state: counts.get((one, state), 0) for state in states},
                "last_at": last.get(one),
            }
            for one in names
        ],
        "poison": [
            {"id": one.id, "connection": one.connection, "at": one.received_at, "problem": one.problem}
            for one in poison
        ],
    }
    desk.show(found, lambda screen: _draw_inbox(screen, found))


def _draw_inbox(screen: Screen, found: Mapping[str, Any]) -> None:
    from core.cli.screen import moment

    rows = [
        (one["connection"], one["new"], one["done"], one["poison"], moment(one["last_at"]) or "none came")
        for one in found["connections"]
    ]
    screen.table(("connection", "waiting", "read", "not understood", "last came (UTC)"), rows)
    odd = [(one["id"], one["connection"], moment(one["at"]), one["problem"]) for one in found["poison"]]
    screen.table(("delivery", "connection", "when (UTC)", "problem"), odd, title="not understood")
    screen.line("refused deliveries (a wrong signature, say) are not among them: `webhook.refused` in the daemon's log")
