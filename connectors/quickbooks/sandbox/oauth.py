"""The token endpoint: Basic auth, one-hour access tokens, refresh tokens that rotate (PROVIDERS §6)."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

import msgspec

from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.ports import HttpRequest, HttpResponse

DAY_SECONDS = 86_400.0
_REFRESH_SECONDS = 100 * DAY_SECONDS  # PROVIDERS §6
_CONSENT_SECONDS = 5 * 365 * DAY_SECONDS  # PROVIDERS §6
"""However often its tokens rotate, a consent ends after five years."""


class TokenDesk:
    """Which tokens are good, and until when."""

    def __init__(self, rng: random.Random, settings: Callable[[], QuickBooksSettings], now: float) -> None:
        """Know one refresh token: the one in the settings, as if a person had consented just now."""
        self._rng = rng
        self._settings = settings
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {settings().refresh_token: now + _REFRESH_SECONDS}
        self._consent_until = now + _CONSENT_SECONDS
        self._codes: dict[str, str] = {}
        self.grants = 0

    def knows(self, authorization: str, now: float) -> bool:
        """Whether a Bearer header is good now."""
        kind, _, token = authorization.partition(" ")
        return kind == "Bearer" and self._access.get(token, 0.0) > now

    def consent(self, redirect_uri: str) -> str:
        """A person of the company consents: the code that the redirect carries."""
        code = f"AB{self._rng.getrandbits(128):032x}"
        self._codes[code] = redirect_uri
        return code

    def revoke(self) -> None:
        """A person disconnects the app: no token is good any more."""
        self._access.clear()
        self._refresh.clear()

    def expire_access(self) -> None:
        """Every access token dies early, as it does when Intuit decides so."""
        self._access.clear()

    def respond(self, request: HttpRequest, now: float) -> HttpResponse:
        """Answer one token request."""
        told = self._settings()
        pair = b64encode(f"{told.client_id}:{told.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return _answer(401, {"error": "invalid_client"})
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(form.get("refresh_token", ""), now)
        if form.get("grant_type") == "authorization_code":
            if self._codes.pop(form.get("code", ""), None) != form.get("redirect_uri"):
                return _answer(400, {"error": "invalid_grant"})
            self._consent_until = now + _CONSENT_SECONDS
            return self._granted(now)
        return _answer(400, {"error": "unsupported_grant_type"})

    def _refreshed(self, token: str, now: float) -> HttpResponse:
        if (
            min(self._refresh.get(token, 0.0), self._consent_until) <= now
        ):  # PROVIDERS §6: unused, rotated away, or ended
            description = "Incorrect or invalid refresh token"
            return _answer(400, {"error": "invalid_grant", "error_description": description})
        told = self._settings()
        self._refresh[token] = min(self._refresh[token], now + told.refresh_grace_seconds * told.lag_scale)
        return self._granted(now)

    def _granted(self, now: float) -> HttpResponse:
        self.grants += 1
        access, refresh = f"ey{self._rng.getrandbits(160):040x}", f"RT1-{self._rng.getrandbits(128):032x}"
        told = self._settings()
        # no lag: without lags it would be refreshed before every call, and what is tried there be something else
        lifetime = told.access_seconds
        self._access[access] = now + lifetime
        lasts = min(_REFRESH_SECONDS, self._consent_until - now)
        self._refresh[refresh] = now + lasts
        return _answer(
            200,
            {
                "token_type": "bearer",
                "access_token": access,
                "refresh_token": refresh,
                "expires_in": lifetime,
                "x_refresh_token_expires_in": lasts,
            },
        )


def _answer(status: int, body: Mapping[str, object]) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, msgspec.json.encode(body))
