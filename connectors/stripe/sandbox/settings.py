"""How strict and how slow a Stripe look-alike is, and what a refusal of it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.stripe.manifest import API_VERSION


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """One account's settings. Times are Stripe's own; `lag_scale` shrinks them all."""

    lag_scale: float = 1.0
    """Scales the search lag, the redelivery schedule and the life of idempotency keys."""
    enforce_limits: bool = False
    """Answer 429 beyond the published limits."""
    is_live: bool = True
    """Live mode has four times the calls of test mode (PROVIDERS §1)."""
    api_version: str = API_VERSION
    """Of the account, not of the requests: its events are rendered in it."""
    api_key: str = "rk_live_lookalike"
    other_keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of other programs on the same account: key -> the caller's name in `mutations`."""
    denied_permissions: frozenset[str] = frozenset()
    """Permissions the keys lack, by Stripe's names (`rak_customer_write`)."""
    webhook_url: str | None = None
    webhook_secrets: tuple[str, ...] = ("whsec_lookalike",)
    """Several while a secret is being rolled: every delivery carries a signature of each (PROVIDERS §4)."""
    keeps_refusals: bool = False
    """Whether a refusal is given again under its key for a day, or judged anew: not verified (PROVIDERS §2)."""
    search_lag_seconds: float = 30.0
    external_id_key: str = "external_customer_id"
    """The metadata key that `edit(..., {"external_id": ...})` sets."""


class RefusedError(Exception):
    """The look-alike's own refusal: it becomes an error answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Every part of Stripe's error object."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.error = {"type": kind, "message": message}
        if code:
            self.error["code"] = code
        if param:
            self.error["param"] = param
