"""What the sandbox needs to run this look-alike and to connect to it."""

from __future__ import annotations

from random import Random
from typing import Final

from connectors.acme.sandbox import AcmeLookAlike
from connectors.acme.sandbox.settings import AcmeSettings
from core.ports import Clock
from core.sandbox.lookalike import LookAlike, Offer


def _build(clock: Clock, rng: Random, lag_scale: float, enforce_limits: bool) -> LookAlike:  # noqa: FBT001 - Offer.build
    settings = AcmeSettings(lag_scale=lag_scale, enforce_limits=enforce_limits)
    return AcmeLookAlike(clock=clock, rng=rng, settings=settings)


OFFER: Final = Offer(
    build=_build,
    settings=lambda base_url: {"base_url": base_url},
    secrets={"api_key": AcmeSettings().api_key, "webhook_secret": AcmeSettings().webhook_secret},
    unknown={"notes": "kept as it is"},
)
