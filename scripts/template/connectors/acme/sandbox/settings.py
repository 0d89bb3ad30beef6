"""How strict and how slow the look-alike is, and what a refusal of it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """One account's settings; `lag_scale` shrinks the redelivery schedule and the life of keys."""

    lag_scale: float = 1.0
    enforce_limits: bool = False
    """Answer 429 beyond the published limits."""
    api_key: str = "acme-key-of-the-look-alike"
    webhook_secret: str = "acme-webhook-secret-of-the-look-alike"  # noqa: S105 - planted
    webhook_url: str | None = None


class RefusedError(Exception):
    """The look-alike's own refusal: it becomes an error answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Every part of the error object."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.error = {"code": code, "message": message, **({"field": field} if field else {})}
