"""What the sandbox needs to run this look-alike and to connect to it."""

from __future__ import annotations

from random import Random
from typing import Final

from connectors.stripe.sandbox import StripeLookAlike
from connectors.stripe.sandbox.settings import StripeSettings
from core.ports import Clock
from core.sandbox.lookalike import LookAlike, Offer


def _build(clock: Clock, rng: Random, lag_scale: float, enforce_limits: bool) -> LookAlike:  # noqa: FBT001 - Offer.build
    settings = StripeSettings(lag_scale=lag_scale, enforce_limits=enforce_limits)
    return StripeLookAlike(clock=clock, rng=rng, settings=settings)


OFFER: Final = Offer(
    build=_build,
    # nobody meters the sandbox: its sweeps need not slow down
    settings=lambda base_url: {"base_url": base_url, "monthly_reads": "1000000000"},
    secrets={"api_key": StripeSettings().api_key, "webhook_secret": " ".join(StripeSettings().webhook_secrets)},
    unknown={"description": "kept as it is"},
)
