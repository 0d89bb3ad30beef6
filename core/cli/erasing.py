"""`accord customers erase`: privacy erasure, and what is left to be done at the providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.desk import Desk, printable

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.sync.erasure import Erased, Remains


def erase(
    desk: Desk,
    customer: Annotated[
        str, typer.Argument(metavar="ID", help="external_customer_id, of a live or an archived customer")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Erase all that Accord holds of a customer, for good.

    Its objects in other systems stay. They are listed this one time.
    """
    from core.cli.asking import actor
    from core.sync.erasure import erase as take_out
    from core.sync.erasure import preview

    with desk.root.open_hub() as hub:
        before = hub.db.read_now(lambda tx: preview(tx, hub, customer))
        if not yes:
            earlier = f" and {before.customers - 1} earlier of the same id" if before.customers > 1 else ""
            question = f"Erase {printable(customer)}{earlier} for good, journal included? This cannot be undone."
            desk.confirm(question, otherwise="--yes")
        found = hub.db.run_now(lambda tx: take_out(tx, hub, customer, actor=actor(), trace=hub.ids.new()))
    told = {
        "external_customer_id": found.external_id,
        "customers": found.customers,
        "remains": found.remains,
        "likely": found.likely,
        "children": found.children,
    }
    try:
        desk.show(told, lambda screen: _draw(screen, found))
    except OSError:
        # this once it can be told: whoever reads neither of the two has to look for them
        for one in (*found.remains, *found.likely):
            desk.note(f"erase it there, or look at it: {one.connection} {one.remote_id}")
        raise


def _draw(screen: Screen, found: Erased) -> None:
    screen.line(f"{printable(found.external_id)} is erased; backups made before still hold it")
    _draw_objects(screen, found.remains, "erase these at their providers; nothing here knows them any more")
    _draw_objects(screen, found.likely, "nobody's objects with the same e-mail address: look at them")
    if found.children:
        screen.line(f"still named as parent by {', '.join(map(printable, found.children))}", "yellow")


def _draw_objects(screen: Screen, objects: Sequence[Remains], title: str) -> None:
    if objects:
        screen.table(("connection", "object"), [[one.connection, one.remote_id] for one in objects], title=title)
