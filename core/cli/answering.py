"""`accord holds answer`: one hold, or all that a filter finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.cli.desk import CHANGES, FAILED, OK, Desk, known_row
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.database import Tx
    from core.store.holds import Hold

FILTERS: Final = ("reason", "connection", "field")
SHOWN: Final = 50
_EVERY: Final = 1_000_000


def answer(
    desk: Desk,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ID] CHOICE",
            help="A hold's id, or its beginning, then one of its choices. `link:<id>` takes the id of a candidate. "
            "With --where the choice alone.",
        ),
    ],
    digest: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Refuse if the values have changed since you saw this digest.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Answer all open holds with this reason, connection or field. Can be repeated."
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --where: list the holds, answer none.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --where: do not ask for confirmation.")] = False,
) -> int:
    """Answer a hold, or all holds that --where finds.

    An answer applies only to the values it was given for. With --where, the holds are counted first and answered once
    you confirm. A hold that another answer ends (`archive` ends all questions about a customer) needs no
    answer of its own.
    """
    if where:
        if len(words) != 1 or digest is not None:
            raise typer.BadParameter("--where takes a CHOICE, neither an ID nor --digest")
        return _all(desk, _filters(where), words[0], is_dry=dry_run, is_sure=yes)
    if len(words) != 2 or dry_run or yes:
        raise typer.BadParameter("give an ID and a CHOICE; --dry-run and --yes belong to --where")
    return _one(desk, words[0], words[1], digest)


def _one(desk: Desk, hold: str, choice: str, digest: str | None) -> int:
    from core.cli.asking import actor
    from core.cli.hold_ids import whole
    from core.sync.answers import answer as decide

    with desk.root.open_hub() as hub:
        done = hub.db.run_now(lambda tx: decide(tx, hub, whole(tx, hold), choice, actor=actor(), digest=digest))
    found = {"id": done.id, "connection": done.connection, "reason": done.reason, "answer": choice}
    desk.show(found, lambda screen: screen.line(f"answered {choice}; {next_step(desk, done.connection)}"))
    return OK


def next_step(desk: Desk, connection: str) -> str:
    """Who carries out what was decided."""
    command = f"accord sync {connection}".strip()
    return "the daemon goes on" if desk.root.is_daemon_running() else f"`{command}` carries it out"


def _filters(texts: Sequence[str]) -> dict[str, str]:
    from core.model.holds import TEXTS

    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FILTERS:
            limit = ", ".join(f"{one}=..." for one in FILTERS)
            raise InvalidInputError(
                f"{text!r} is no filter", field="where", limit=limit, cure="name one of these, with its value"
            )
        if name in found:
            raise InvalidInputError(f"{name} is named twice", field="where", cure="keep one of the two")
        if name == "reason" and value not in TEXTS:
            cure = "`accord holds` shows the reason of each"
            raise InvalidInputError(f"{value!r} is no reason", field="where", limit=", ".join(TEXTS), cure=cure)
        found[name] = value
    return found


def _all(desk: Desk, filters: dict[str, str], choice: str, *, is_dry: bool, is_sure: bool) -> int:
    from core.cli.asking import actor
    from core.store.holds import is_moot
    from core.sync.answers import answer as decide
    from core.sync.bulk import carry_out

    with desk.root.open_hub() as hub:
        found, owners = hub.db.read_now(lambda tx: _matching(tx, filters, choice))
        if found and not is_dry and not is_sure:
            desk.confirm(f"Answer {_counted(found)} with {choice}?", otherwise="--yes")
        who = actor()
        moot: set[str] = set()

        def decide_open(tx: Tx, one: Hold) -> None:
            # the answer before may have been the end of this one's customer, or of its cause
            if is_moot(tx, one.id):
                moot.add(one.id)
                return
            moot.discard(one.id)
            decide(tx, hub, one.id, choice, actor=who, digest=one.digest)

        desk.if_ended = "answers that were given stay; the same command again gives the rest"
        done, late = carry_out(hub.db, [] if is_dry else found, decide_open, goes_on=True)
    bad = [{"id": one.item.id, "problem": str(one.error)} for one in late]
    holds = [_shown(one, owners) for one in found]
    counts = {"matched": len(found), "answered": len(done) - len(moot), "moot": len(moot)}
    told = {"choice": choice, **counts, "bad": bad, "holds": holds}
    go_on = next_step(desk, filters.get("connection", ""))
    desk.show(told, lambda screen: _draw(screen, told, f"answered {choice}; {go_on}", is_dry=is_dry))
    return FAILED if bad else CHANGES if is_dry and found else OK


def _matching(tx: Tx, filters: dict[str, str], choice: str) -> tuple[list[Hold], dict[str, str]]:
    """Open holds, all of which know the choice, and whose they are."""
    from core.store import connections, customers
    from core.store import holds as rows
    from core.sync.answers import choices

    known_row([one.name for one in connections.every(tx)], filters.get("connection"))
    found = rows.listing(tx, limit=_EVERY, **filters)
    # one candidate for many holds would be a slip, so `link:<id>` is no choice here
    offered = choices(tx, found)
    odd = {one.reason: offered[one.id] for one in found if choice not in offered[one.id] or "<" in choice}
    if odd:
        limit = "; ".join(f"{one}: {', '.join(odd[one])}" for one in sorted(odd))
        cure = "narrow it down with --where reason=..., and answer links one by one"
        raise InvalidInputError(
            f"{choice!r} is no choice for all of {len(found)}", field="choice", limit=limit, cure=cure
        )
    return found, customers.external_ids(tx, [one.record_id for one in found])


def _counted(found: Sequence[Hold]) -> str:
    reasons = Counter(one.reason for one in found)
    words = ", ".join(f"{times} {reason}" for reason, times in sorted(reasons.items()))
    return f"{len(found)} holds ({words})"


def _shown(one: Hold, owners: dict[str, str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "connection": one.connection,
        "external_customer_id": owners.get(one.record_id or "", ""),
        "field": one.field,
        "reason": one.reason,
        "digest": one.digest,
    }


def _draw(screen: Screen, told: dict[str, Any], answered: str, *, is_dry: bool) -> None:
    if not told["matched"]:
        screen.line("no open hold is like that")
        return
    if is_dry:
        names = ("id", "connection", "external_customer_id", "field", "reason")
        screen.table(names, [[one[name] for name in names] for one in told["holds"][:SHOWN]], whole="id")
        screen.line(f"{told['matched']} holds would be answered {told['choice']}")
        return
    screen.table(("hold", "problem"), [(one["id"], one["problem"]) for one in told["bad"]], title="not answered")
    moot = f"; {told['moot']} ended with another one's answer" if told["moot"] else ""
    screen.line(f"{told['answered']} of {told['matched']} {answered}{moot}")
