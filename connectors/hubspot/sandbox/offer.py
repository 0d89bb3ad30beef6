"""What the sandbox needs to run this look-alike and to connect to it."""

from __future__ import annotations

from random import Random
from typing import Final

from connectors.hubspot.sandbox import HubSpotLookAlike
from connectors.hubspot.sandbox.settings import HubSpotSettings
from core.ports import Clock
from core.sandbox.lookalike import LookAlike, Offer


def _build(clock: Clock, rng: Random, lag_scale: float, enforce_limits: bool) -> LookAlike:  # noqa: FBT001 - Offer.build
    settings = HubSpotSettings(lag_scale=lag_scale, enforce_limits=enforce_limits)
    return HubSpotLookAlike(clock=clock, rng=rng, settings=settings)


OFFER: Final = Offer(
    build=_build,
    settings=lambda base_url: {"base_url": base_url},
    secrets={"access_token": HubSpotSettings().access_token, "client_secret": HubSpotSettings().client_secret},
    unknown={"jobtitle": "kept as it is"},
)
