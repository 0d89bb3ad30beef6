"""What moves an account's balance: charges with their fees, refunds, disputes, payouts.

https://docs.stripe.com/api/balance_transactions/object, https://docs.stripe.com/api/disputes/object,
https://docs.stripe.com/api/payouts/object. Every currency settles in itself.

PROVIDERS §5: what moves the balance (README, "What the look-alike rests on").
"""

from __future__ import annotations

from typing import Final

from connectors.stripe.sandbox.amounts import minor
from connectors.stripe.sandbox.events import Shelf
from connectors.stripe.sandbox.ledger import PERSON, Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError

_PER_THOUSAND: Final = 29
_EACH: Final = 30
_DISPUTE_FEE: Final = 1500
_WARNING: Final = "warning_"
_ENDS: Final = frozenset({"won", "lost", "warning_closed", "prevented"})
_STATES: Final = _ENDS | {"needs_response", "under_review", "warning_needs_response", "warning_under_review"}
_NAMES: Final = {"balance_transaction": "txn_1", "dispute": "du_1", "payout": "po_1"}


class Treasury:
    """The money of one account, and people's hands on it. What Stripe would refuse is a RefusedError."""

    def __init__(self, ledger: Ledger) -> None:
        """Nothing has moved yet."""
        self._ledger = ledger
        self.things: dict[str, dict[str, Thing]] = {name: {} for name in _NAMES}
        self.shelves = {name: Shelf() for name in _NAMES}
        self.paid_out: dict[str, str] = {}
        """Balance transaction -> the automatic payout that it is part of."""

    # ---- what moves it ---------------------------------------------------------------------------

    def came_in(self, charge: Thing) -> None:
        """A charge, less its fee."""
        fee = min(charge["amount"], charge["amount"] * _PER_THOUSAND // 1000 + _EACH)
        self._move(charge, charge["amount"], "charge", "charge", fee)

    def went_back(self, refund: Thing) -> None:
        """A refund; the fee of its charge is kept."""
        self._move(refund, -refund["amount"], "refund", "refund")

    def came_back(self, refund: Thing) -> None:
        """A refund that failed."""
        self._move(refund, refund["amount"], "refund_failure", "refund_failure")

    def _move(self, source: Thing, amount: int, kind: str, category: str, fee: int = 0) -> Thing:
        details = [{"amount": fee, "currency": source["currency"], "description": "Stripe fees", "type": "stripe_fee"}]
        return self._add(
            "balance_transaction",
            amount=amount,
            currency=source["currency"],
            exchange_rate=None,
            fee=fee,
            fee_details=details if fee else [],
            net=amount - fee,
            reporting_category=category,
            source=source["id"],
            status="available",
            type=kind,
        )

    def _add(self, name: str, **says: object) -> Thing:
        # counted, not drawn: who never looks at money shall not see other chances for it
        remote_id = f"{_NAMES[name]}{len(self.shelves[name]) + 1:020d}"
        thing: Thing = {"id": remote_id, "object": name, "created": self._ledger.now, **says}
        self.things[name][remote_id] = thing
        self.shelves[name].add(remote_id, thing["created"])
        return thing

    # ---- disputes --------------------------------------------------------------------------------

    def disputes_of(self, charge: str) -> list[Thing]:
        """Disputes of one charge, oldest first."""
        return [one for one in self.things["dispute"].values() if one["charge"] == charge]

    def must_be_refundable(self, charge: Thing) -> None:
        """What a bank has taken back is not paid back once more."""
        if any(not one["status"].startswith(_WARNING) for one in self.disputes_of(charge["id"])):
            message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
            raise RefusedError(message, code="charge_disputed")  # PROVIDERS §5

    def open_dispute(self, charge: Thing, amount: str, status: str = "needs_response") -> None:
        """A payer's bank asks for money back; a warning takes none yet."""
        about = minor(amount, charge["currency"])
        if not 0 < about <= charge["amount"] - charge["amount_refunded"] or status not in _STATES - _ENDS:
            raise ValueError(f"nobody disputes {amount} of {charge['id']} as {status}")
        dispute = self._add(
            "dispute",
            amount=about,
            balance_transactions=[],
            charge=charge["id"],
            currency=charge["currency"],
            is_charge_refundable=status.startswith(_WARNING),
            livemode=self._ledger.is_live,
            metadata={},
            payment_intent=charge["payment_intent"],
            reason="fraudulent",
            status=status,
        )
        self._ledger.charges[charge["id"]] = {**charge, "disputed": True}
        if not status.startswith(_WARNING):
            dispute = self._withdraw(dispute)
        self._ledger.tell("charge.dispute.created", dispute, PERSON)
        if dispute["balance_transactions"]:
            self._ledger.tell("charge.dispute.funds_withdrawn", dispute, PERSON)

    def move_dispute(self, charge: Thing, status: str) -> None:
        """It is answered, taken further, won or lost; what is won is given back, its fee is not."""
        still = [one for one in self.disputes_of(charge["id"]) if one["status"] not in _ENDS]
        if not still or status not in _STATES:
            raise ValueError(f"no dispute of {charge['id']} becomes {status}")
        dispute = self._put({**still[-1], "status": status})
        has_moved = bool(dispute["balance_transactions"])
        if not has_moved and not status.startswith(_WARNING) and status not in ("won", "prevented"):
            dispute = self._withdraw(dispute)
            self._ledger.tell("charge.dispute.funds_withdrawn", dispute, PERSON)
        if status == "won" and has_moved:
            back = self._move(dispute, dispute["amount"], "adjustment", "dispute_reversal")
            dispute = self._put({**dispute, "balance_transactions": [*dispute["balance_transactions"], back]})
            self._ledger.tell("charge.dispute.funds_reinstated", dispute, PERSON)
        self._ledger.tell(f"charge.dispute.{'closed' if status in _ENDS else 'updated'}", dispute, PERSON)

    def _withdraw(self, dispute: Thing) -> Thing:
        taken = self._move(dispute, -dispute["amount"], "adjustment", "dispute", _DISPUTE_FEE)
        return self._put({**dispute, "balance_transactions": [taken]})

    def _put(self, dispute: Thing) -> Thing:
        self.things["dispute"][dispute["id"]] = dispute
        return dispute

    # ---- payouts ---------------------------------------------------------------------------------

    def pay_out(self, currency: str, amount: str | None = None) -> str:
        """Everything that is there in a currency goes to the bank; with an amount, a person sends just that."""
        code = currency.lower()
        all_of_it = self.things["balance_transaction"].values()
        there = [one for one in all_of_it if one["currency"] == code and one["id"] not in self.paid_out]
        worth = sum(one["net"] for one in there) if amount is None else minor(amount, code)
        if worth <= 0:
            raise ValueError(f"there is no {currency} to pay out")
        payout = self._add(
            "payout",
            amount=worth,
            arrival_date=self._ledger.now,
            automatic=amount is None,
            balance_transaction=None,
            currency=code,
            livemode=self._ledger.is_live,
            method="standard",
            reconciliation_status="completed" if amount is None else "not_applicable",
            status="paid",
        )
        moved = self._move(payout, -worth, "payout", "payout")
        self.things["payout"][payout["id"]] = {**payout, "balance_transaction": moved["id"]}
        if amount is None:
            self.paid_out.update((one["id"], payout["id"]) for one in (*there, moved))
        return str(payout["id"])
