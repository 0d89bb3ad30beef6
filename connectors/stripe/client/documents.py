"""Stripe's endpoints for invoices, invoice payments and credit notes, one method each; no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from connectors.stripe.client import Reply, StripeApi
from core.ports import Clock

_EXPANDED: Final[Mapping[str, tuple[str, ...]]] = {
    # what came in past Stripe is told only where it is asked for
    "invoice": ("amount_paid_off_stripe",),
    # who paid, and what was refunded, stand in other objects
    "payment": ("invoice", "payment.charge", "payment.payment_intent.latest_charge", "payment.payment_record"),
    "credit_note": (),
}
_PATHS: Final = {"invoice": "/v1/invoices", "payment": "/v1/invoice_payments", "credit_note": "/v1/credit_notes"}
_NAMES: Final = {"invoice": "invoice", "payment": "invoice_payment", "credit_note": "credit_note"}


class DocumentApi:
    """The documents of one account, by neutral kind. Answers are bytes, errors are those of core.errors."""

    def __init__(self, api: StripeApi) -> None:
        """Share the connection's client, and with it its rate limits."""
        self._api = api

    @property
    def clock(self) -> Clock:
        """The connection's clock."""
        return self._api.clock

    async def listed(self, kind: str, params: Mapping[str, Any]) -> Reply:
        """One page, newest first."""
        expand = [f"data.{one}" for one in _EXPANDED[kind]]
        return await self._api.read(f"list_{_NAMES[kind]}s", _PATHS[kind], _with(params, expand))

    async def one(self, kind: str, remote_id: str) -> Reply:
        """Read one document as it is now."""
        return await self._api.read(_NAMES[kind], _path(kind, remote_id), _with({}, _EXPANDED[kind]))

    async def lines(self, kind: str, remote_id: str, params: Mapping[str, Any]) -> Reply:
        """One page of a document's lines, in their order."""
        return await self._api.read(f"{_NAMES[kind]}_lines", f"{_path(kind, remote_id)}/lines", params)

    async def search_invoices(self, params: Mapping[str, Any]) -> Reply:
        """One page of a search; not read-after-write."""
        expand = [f"data.{one}" for one in _EXPANDED["invoice"]]
        return await self._api.read("search_invoices", "/v1/invoices/search", _with(params, expand))

    async def disputes(self, params: Mapping[str, Any]) -> Reply:
        """One page of disputes, newest first, each with the money that it moved."""
        return await self._api.read("list_disputes", "/v1/disputes", params)

    # ---- writes ----------------------------------------------------------------------------------

    async def create(self, kind: str, body: Mapping[str, Any], key: str) -> Reply:
        """Make one; the key makes a repetition harmless for a day."""
        return await self._api.write(f"create_{_NAMES[kind]}", _PATHS[kind], _with(body, _EXPANDED[kind]), key)

    async def update(self, kind: str, remote_id: str, body: Mapping[str, Any], key: str) -> Reply:
        """Change what the body names and nothing else."""
        return await self._api.write(
            f"update_{_NAMES[kind]}", _path(kind, remote_id), _with(body, _EXPANDED[kind]), key
        )

    async def act(self, kind: str, remote_id: str, verb: str, body: Mapping[str, Any], key: str) -> Reply:
        """`add_lines`, `finalize`, `void`, `mark_uncollectible`, `attach_payment`: a path of its own each."""
        path = f"{_path(kind, remote_id)}/{verb}"
        return await self._api.write(f"{verb}_{_NAMES[kind]}", path, _with(body, _EXPANDED[kind]), key)

    async def report_payment(self, body: Mapping[str, Any], key: str) -> Reply:
        """Tell of money that came in elsewhere; answers with a payment record."""
        return await self._api.write("report_payment", "/v1/payment_records/report_payment", body, key)

    async def describe_record(self, record: str, metadata: Mapping[str, str], key: str) -> Reply:
        """Set metadata of a payment record; what is not named stays."""
        path = f"/v1/payment_records/{quote(record, safe='')}/report_payment_attempt_informational"
        return await self._api.write("describe_payment_record", path, {"metadata": dict(metadata)}, key)

    async def report_refund(self, record: str, body: Mapping[str, Any], key: str) -> Reply:
        """Tell that money of a payment record went back."""
        path = f"/v1/payment_records/{quote(record, safe='')}/report_refund"
        return await self._api.write("report_refund", path, body, key)


def _with(params: Mapping[str, Any], expand: list[str] | tuple[str, ...]) -> dict[str, Any]:
    return {**params, "expand": list(expand)} if expand else dict(params)


def _path(kind: str, remote_id: str) -> str:
    return f"{_PATHS[kind]}/{quote(remote_id, safe='')}"
