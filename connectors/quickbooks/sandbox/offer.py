"""What the sandbox needs to run this look-alike and to connect to it."""

from __future__ import annotations

from random import Random
from typing import Final

from connectors.quickbooks.sandbox import TOKEN_PATH, QuickBooksLookAlike
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.ports import Clock
from core.sandbox.lookalike import LookAlike, Offer

_COMPANY: Final = QuickBooksSettings()


def _build(clock: Clock, rng: Random, lag_scale: float, enforce_limits: bool) -> LookAlike:  # noqa: FBT001 - Offer.build
    settings = QuickBooksSettings(lag_scale=lag_scale, enforce_limits=enforce_limits)
    return QuickBooksLookAlike(clock=clock, rng=rng, settings=settings)


OFFER: Final = Offer(
    build=_build,
    settings=lambda base_url: {
        "base_url": base_url,
        "token_url": base_url + TOKEN_PATH,
        "realm_id": _COMPANY.realm_id,
        "region": "us",
        "deposit_account": "35",
        "default_item": "1",
    },
    secrets={
        "client_id": _COMPANY.client_id,
        "client_secret": _COMPANY.client_secret,
        "refresh_token": _COMPANY.refresh_token,
        "verifier_token": _COMPANY.verifier_token,
    },
    unknown={"Notes": "kept as it is"},
    is_time_signed=False,
)
