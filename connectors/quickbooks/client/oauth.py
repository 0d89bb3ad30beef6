"""OAuth tokens of one company: refreshed once for all who wait, stored before they are used (PROVIDERS §6)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import Final

import msgspec
from oauthlib.oauth2 import WebApplicationClient

from connectors.quickbooks.manifest import CONSENT_URL, SCOPE, TOKEN_URL
from connectors.quickbooks.wire import TokenRefusal, TokenReply
from core.errors import AmbiguousError, ReauthorizeError, RetryError
from core.http.client import HttpClient
from core.ports import Clock, ConnectionConfig, HttpResponse, Vault

TRUSTED_SHARE: Final = 0.95
"""Share of an access token's life in which it is used: one that dies on its way costs a call."""
_RECONNECT: Final = "run `accord connect {name}` and let a person of the company consent again"
_OTHER_APP: Final = "its client_id or client_secret is wrong: `accord connect {name} --anew` asks for them"
_NOT_THE_APP: Final = "invalid_client"
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)
_SUCCESS: Final = 200
_THROTTLED: Final = 429
_SERVER_FAULT: Final = 500


class Tokens:
    """The access token in force. Several calls that find it dead share one refresh."""

    def __init__(self, config: ConnectionConfig, vault: Vault, http: HttpClient, clock: Clock) -> None:
        """Hold no token: the vault does, for this process and the others."""
        self._config = config
        self._vault = vault
        self._http = http
        self._clock = clock
        self._flight: asyncio.Task[str] | None = None
        self._unsaved: Mapping[str, str] = {}

    async def current(self) -> str:
        """Return an access token that should live long enough for one call."""
        token = self._living()
        return token if token is not None else await self.renewed(None)

    async def renewed(self, refused: str | None) -> str:
        """Return a token other than `refused`, which the API would not take."""
        living = self._living()
        if living is not None and living != refused:
            return living  # somebody renewed it meanwhile
        if self._flight is None or self._flight.done():
            self._flight = asyncio.ensure_future(self._renew(refused))
        # shielded: a caller that gives up must not lose a rotated token between its answer and the vault
        return await asyncio.shield(self._flight)

    def _living(self) -> str | None:
        token, until = self._vault.get("access_token"), self._vault.get("access_expires_at")
        try:
            is_living = bool(token) and self._clock.now() < float(until or 0)
        except ValueError:
            return None
        return token if is_living else None

    async def _renew(self, refused: str | None) -> str:
        if self._unsaved:
            # the database was away: Intuit has forgotten the token that is stored, so asking again would be refused
            return await self._keep(self._unsaved)
        # where nothing can be stored (the disk is full), none is asked for: a new one would be lost with this process
        await self._vault.save({"access_expires_at": "0"})
        used = self._vault.get("refresh_token")
        try:
            return await self._grant(_refresh_body(used))
        except ReauthorizeError:
            # another process may have rotated the token between our look and our call
            living, stored = self._living(), self._vault.get("refresh_token")
            if living is not None and living != refused:
                return living
            if stored == used:
                raise
            return await self._grant(_refresh_body(stored))

    async def exchange(self, code: str, redirect_uri: str) -> None:
        """Trade the consent page's code for the first tokens."""
        client = WebApplicationClient(self._vault.get("client_id"))
        await self._grant(client.prepare_request_body(code, redirect_uri, include_client_id=False))

    async def _grant(self, body: str) -> str:
        answer = await self._ask(body)
        if answer.status != _SUCCESS:
            raise self._refusal(answer)
        try:
            granted = msgspec.json.decode(answer.body, type=TokenReply)
        except _UNREADABLE as error:
            # not a bad reply: the call that needed the token was not sent, and may be sent later
            msg = "the token endpoint's answer has no tokens"
            raise RetryError(msg) from error
        return await self._keep(
            {
                "access_token": granted.access_token,
                "refresh_token": granted.refresh_token,
                "access_expires_at": repr(self._clock.now() + granted.expires_in * TRUSTED_SHARE),
            }
        )

    async def _keep(self, granted: Mapping[str, str]) -> str:
        self._unsaved = granted
        await self._vault.save(granted)
        self._unsaved = {}
        return granted["access_token"]

    async def _ask(self, body: str) -> HttpResponse:
        url = self._config.settings.get("token_url", TOKEN_URL)
        try:
            return await self._http.send("POST", url, self._headers(), body.encode())
        except AmbiguousError as error:
            # the old refresh token stays good for a while after a rotation, so asking again is right
            msg = f"the token endpoint gave {error}"
            raise RetryError(msg) from error

    def _headers(self) -> Mapping[str, str]:
        pair = f"{self._secret('client_id')}:{self._secret('client_secret')}"
        return {
            "authorization": "Basic " + b64encode(pair.encode()).decode(),
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
        }

    def _secret(self, name: str) -> str:
        value = self._vault.get(name)
        if not value:
            msg = f"no {name} is stored; {_RECONNECT.format(name=self._config.name)}"
            raise ReauthorizeError(msg)
        return value

    def _refusal(self, answer: HttpResponse) -> ReauthorizeError | RetryError:
        if answer.status == _THROTTLED or answer.status >= _SERVER_FAULT:
            return RetryError(f"the token endpoint answered HTTP {answer.status}")
        try:
            refusal = msgspec.json.decode(answer.body, type=TokenRefusal).error
        except _UNREADABLE:
            return RetryError(f"the token endpoint answered HTTP {answer.status} without a reason")
        cure = _OTHER_APP if refusal == _NOT_THE_APP else _RECONNECT
        return ReauthorizeError(
            f"Intuit refused the stored credentials ({refusal}); {cure.format(name=self._config.name)}"
        )


def authorize_url(client_id: str, redirect_uri: str, state: str) -> str:
    """Where a person of the company consents; the answer comes to `redirect_uri` with code, state and realmId."""
    url: str = WebApplicationClient(client_id).prepare_request_uri(
        CONSENT_URL, redirect_uri=redirect_uri, scope=[SCOPE], state=state
    )
    return url


def _refresh_body(refresh_token: str | None) -> str:
    if not refresh_token:
        msg = "no refresh_token is stored; run `accord connect` for this connection"
        raise ReauthorizeError(msg)
    body: str = WebApplicationClient("").prepare_refresh_body(refresh_token=refresh_token)
    return body
