"""`accord tokens`: who may use the API, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.command import add, new_group
from core.cli.desk import Desk

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.store.api_tokens import ApiToken

DAY_SECONDS = 86_400.0
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what uses the token. The journal shows this name.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = new_group("API tokens.")
    for name, function in (("create", create), ("list", listing), ("revoke", revoke)):
        add(group, name, function)
    app.add_typer(group, name="tokens")


def create(
    desk: Desk,
    name: Name,
    scope: Annotated[
        str, typer.Option(metavar="SCOPE", help="read, write, approve or admin. Each includes the ones before it.")
    ],
    expires: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, metavar="DAYS", help="Days until the token expires. Default: it never does."),
    ] = None,
) -> None:
    """Create a token and show it, this one time.

    From the first token on, every request to the API needs one.
    """
    from core.cli.asking import actor
    from core.store import api_tokens

    with desk.root.open_hub() as hub:
        now = hub.clock.now()
        until = now + expires * DAY_SECONDS if expires else None
        token = hub.db.run_now(lambda tx: api_tokens.make(tx, name, scope, now=now, expires_at=until, actor=actor()))
    desk.note("this is the only time it is shown:")
    found = {"name": name, "scope": scope, "expires_at": until, "token": token}
    desk.show(found, lambda screen: screen.line(token))


def listing(desk: Desk) -> None:
    """List all tokens ever created, without the tokens themselves."""
    from core.model.scopes import included
    from core.store import api_tokens

    with desk.root.open_hub() as hub:
        now, found = hub.clock.now(), hub.db.read_now(api_tokens.every)
    shown = [
        {
            "name": one.name, "scopes": included(one.scope), "state": one.state(now),
            "created_at": one.created_at, "created_by": one.created_by,
            "used_at": one.used_at, "expires_at": one.expires_at, "revoked_at": one.revoked_at,
        }
        for one in found
    ]  # fmt: skip
    desk.show(shown, lambda screen: _draw(screen, found, now))


def _draw(screen: Screen, found: list[ApiToken], now: float) -> None:
    from core.cli.screen import moment
    from core.model.scopes import included

    if not found:
        screen.line("no tokens: the API serves this machine without one, unless ACCORD_API_TOKEN is set")
    rows = [
        (one.name, included(one.scope), one.state(now), moment(one.created_at), one.created_by,
         moment(one.used_at), moment(one.expires_at))
        for one in found
    ]  # fmt: skip
    screen.table(("name", "scopes", "state", "created (UTC)", "by", "last used", "expires"), rows, whole="name")


def revoke(desk: Desk, name: Name) -> None:
    """Revoke a token at once."""
    from core.cli.asking import actor
    from core.sync.tokens import end_token

    with desk.root.open_hub() as hub:
        done = hub.db.run_now(lambda tx: end_token(tx, hub, name, actor=actor()))
    found = {"name": done.name, "revoked_at": done.revoked_at}
    desk.show(found, lambda screen: screen.line(f"{name} is revoked"))
