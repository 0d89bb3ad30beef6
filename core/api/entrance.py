"""Who asks, and what they may: tokens of the environment and of the database, and the scope that each route needs."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from fastapi import Request, Response
from fastapi.routing import APIRoute

from core.api.body import StrictRequest
from core.api.mistakes import MOST_TOLD
from core.errors import BadRequestError, ForbiddenError, StorageError, together
from core.model.scopes import ADMIN, includes
from core.ports import Clock
from core.store import api_tokens
from core.store.database import Database

OWNER: Final = "api"
"""The actor of ACCORD_API_TOKEN, and of whoever is on this machine while there is no token at all."""
SCHEME: Final = "token"
_SHOWN: Final = 100
_NUL: Final = "has U+0000 in it"
_LEAVE_OUT: Final = "leave it out"
USED_SECONDS: Final = 60.0
"""How exactly the last use of a token is known: a write per request would cost more than most requests."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request; `actor` stands in the journal."""

    actor: str
    scope: str

    def require(self, needed: str) -> None:
        """Raise ForbiddenError, which names the scope that is missing."""
        if not includes(self.scope, needed):
            raise ForbiddenError(f"{self.actor} has the scope {self.scope!r}, this needs {needed!r}", scope=needed)


HOW_TO_ENTER: Final = "send the header authorization: Bearer TOKEN; `accord tokens create` makes one"


class UnauthorizedError(Exception):
    """No token, or none that is good; `str(error)` and `cure` may be shown to whoever asked."""

    def __init__(self, problem: str, cure: str) -> None:
        """Both in plain words."""
        super().__init__(problem)
        self.cure = cure


class Entrance:
    """Looks at the token of every request, so that a revoked one is refused at once."""

    def __init__(self, db: Database, clock: Clock, token: str | None) -> None:
        """`token` is that of the environment, which may do everything."""
        self._db = db
        self._clock = clock
        self._token = token.encode("utf-8", "surrogateescape") if token else None
        self._is_guarded = self._token is not None

    async def is_guarded(self) -> bool:
        """Whether there is a token at all; once there was, there always is. A lost database lets nobody in either."""
        if not self._is_guarded:
            try:
                self._is_guarded = await self._db.read(api_tokens.is_any)
            except StorageError:
                return True
        return self._is_guarded

    async def caller(self, authorization: str) -> Caller | None:
        """Who asks; None: nobody needs a token, because there is none. Raises UnauthorizedError, StorageError."""
        kind, _, rest = authorization.partition(" ")
        given = rest.strip() if kind.lower() == "bearer" else ""
        # latin-1 is how headers arrive; compare_digest refuses other text but takes any bytes
        if self._token is not None and hmac.compare_digest(given.encode("latin-1"), self._token):
            return Caller(OWNER, ADMIN)
        found = await self._db.read(lambda tx: api_tokens.find(tx, given)) if given else None
        if found is not None:
            return await self._let_in(found)
        if self._token is None and not await self._db.read(api_tokens.is_any):
            return None
        raise UnauthorizedError("a valid bearer token is needed", HOW_TO_ENTER)

    async def _let_in(self, found: api_tokens.ApiToken) -> Caller:
        now = self._clock.now()
        state = found.state(now)
        if state != "live":
            raise UnauthorizedError(f"the token {found.name!r} is {state}", "ask for a new one")
        if found.used_at is None or now - found.used_at >= USED_SECONDS:
            # a full disk must not keep people from looking
            with suppress(StorageError):
                await self._db.run(lambda tx: api_tokens.used(tx, found.name, now))
        return Caller(f"{OWNER}:{found.name}", found.scope)


class ScopedRoute(APIRoute):
    """A route that lets in whoever has its scope, before it looks at anything else; without one declared, nobody."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """FastAPI's own, behind the check."""
        inner = super().get_route_handler()
        needed = declared(self.openapi_extra)
        known = [one.alias for one in self.dependant.query_params]

        async def admitted(request: Request) -> Response:
            if needed is None:
                raise ForbiddenError("this route says nothing about who may use it", scope="none")
            for scope in needed:
                request.state.caller.require(scope)
            check_path(request.path_params)
            if needed:
                check_query(request.query_params.multi_items(), known)
            return await inner(StrictRequest(request.scope, request.receive))

        return admitted


def check_path(names: Mapping[str, str]) -> None:
    """Raise BadRequestError for a name with U+0000: no database has it in a text, and PostgreSQL stops at it."""
    found = [
        BadRequestError(_NUL, field=name, cure=_LEAVE_OUT) for name, text in names.items() if "\0" in unquote(text)
    ]
    if found:
        raise together(found)


def check_query(items: Sequence[tuple[str, str]], known: Sequence[str]) -> None:
    """Raise BadRequestError for a name that nothing reads, for one that is there twice, of which only one would count,
    and for a value with U+0000, where SQLite ends a text and PostgreSQL stops. No more than `MOST_TOLD` are told.
    """
    names = [name for name, _ in items]
    found: list[BadRequestError] = []
    for place, (name, value) in enumerate(items):
        if len(found) == MOST_TOLD:
            break
        field = name[:_SHOWN]
        if "\0" in value:
            found.append(BadRequestError(_NUL, field=field, cure=_LEAVE_OUT))
        elif name not in known or name in names[:place]:
            problem = "is no name of this route's query" if name not in known else "is there twice"
            limit = f"known: {', '.join(known) or 'none'}"
            found.append(BadRequestError(problem, field=field, limit=limit, cure=_LEAVE_OUT))
    if found:
        raise together(found)


def declared(extra: Mapping[str, Any] | None) -> list[str] | None:
    """The scopes that an operation's OpenAPI names; [] for one that is open to everybody, None for silence."""
    security = (extra or {}).get("security")
    return None if security is None else [scope for one in security for scope in one[SCHEME]]
