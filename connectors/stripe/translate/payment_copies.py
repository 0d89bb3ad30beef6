"""Copies of payments that came in elsewhere: reported to Stripe, and attached to the copies of their invoices. Pure.

Stripe decides itself how much of a report goes to an invoice, so each application is a report of its own, of exactly
its amount. The first one stands for the copy and names the invoices of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from connectors.stripe.manifest import ACCORD_REF
from connectors.stripe.translate.days import Days
from connectors.stripe.translate.invoice_copies import text_out
from connectors.stripe.translate.money import amount_in, minor_out, said
from connectors.stripe.wire.documents import ALSO_KEY, DAY_KEY, PART_KEY, InvoicePaymentWire, RecordWire
from core.errors import ByHandError, RejectedError
from core.model.documents import Application, Payment
from core.model.money import ZERO, total_of
from core.model.paper import Step, WantedDocument

_MAX_VALUE: Final = 500
_MAX_TEXT: Final = 5000
_METHOD: Final = "Recorded elsewhere"


def payment_step(
    wanted: WantedDocument, payment: Payment, current: InvoicePaymentWire | None, days: Days
) -> Step | None:
    """The next report; None when all of the payment is there, and all that was refunded of it."""
    if payment.status != "succeeded":
        # before anything else of it is judged: QuickBooks takes a void one off its invoices
        raise RejectedError(
            f"the payment is {payment.status}",
            field="status",
            limit="Stripe is only told of payments that came in, and keeps what settled an invoice",
            cure="settle it in Stripe" if current else None,
        )
    _check(payment)
    if current is None:
        return Step(action="create", body=_part(wanted, payment, 0, days), adds=True)
    there = _parts(wanted, current)
    payment = _as_reported(payment, there)
    for place, application in enumerate(payment.applications):
        if place not in there:
            body = _part(wanted, payment, place, days) | _named(application.invoice, current)
            return Step(action="apply", body=body, adds=True)
        _same(payment, application, there[place])
    if len(there) > len(payment.applications):
        raise _changed("applications", "it settles more invoices at Stripe than it does")
    step = _refund(wanted, payment, [there[place] for place in range(len(there))], days)
    if step is None:
        _refuse_charged_back(wanted, payment, current)
    return step


def _refuse_charged_back(wanted: WantedDocument, payment: Payment, current: InvoicePaymentWire) -> None:
    left = wanted.left_by_hand("charged_back")
    if left:
        says = "of it was charged back" if left > 0 else "that was charged back is there again"
        problem = f"{abs(left)} {payment.currency} {says}"
        covers = payment.charged_back
        raise _by_hand(payment, current=current, field="charged_back", problem=problem, amount=left, covers=covers)


def _check(payment: Payment) -> None:
    if not payment.applications:
        raise RejectedError(
            "it settles no invoice", field="applications", limit="Stripe takes payments of invoices",
            cure="apply it to an invoice",
        )  # fmt: skip
    applied = total_of([one.amount for one in payment.applications])
    if applied != payment.amount:
        raise RejectedError(
            f"{payment.amount - applied} of {payment.amount} settle no invoice",
            field="applications",
            limit="Stripe has no place for what is left over",
            cure="apply the rest, or record it apart",
        )
    if len({one.invoice for one in payment.applications}) != len(payment.applications):
        raise RejectedError("it settles one invoice twice", field="applications", cure="make one application of both")
    if payment.received_on is None:
        raise RejectedError("nobody knows when it came in", field="received_on", limit="Stripe asks for the day")


def _part(wanted: WantedDocument, payment: Payment, place: int, days: Days) -> dict[str, Any]:
    application = payment.applications[place]
    amount = minor_out(application.amount, payment.currency, f"applications.{place}.amount")
    if amount <= 0:
        raise RejectedError(f"is not positive: {application.amount}", field=f"applications.{place}.amount")
    at = days.seconds_of(payment.received_on) if payment.received_on else ""
    metadata = {ACCORD_REF: wanted.mark, PART_KEY: str(place), DAY_KEY: str(payment.received_on)}
    others = [one.invoice for one in payment.applications[1:]]
    if others and not place:
        metadata[ALSO_KEY] = text_out(" ".join(others), "applications", _MAX_VALUE)
    report: dict[str, Any] = {
        "amount_requested": {"currency": payment.currency.lower(), "value": str(amount)},
        "customer_details": {"customer": payment.customer},
        "guaranteed": {"guaranteed_at": at},
        "initiated_at": at,
        "metadata": metadata,
        "outcome": "guaranteed",
        "payment_method_details": {
            "type": "custom",
            "custom": {"display_name": text_out(payment.method or _METHOD, "method", _MAX_TEXT), "type": "custom"},
        },
    }
    if payment.reference:
        reference = text_out(payment.reference, "reference", _MAX_TEXT)
        report["processor_details"] = {"type": "custom", "custom": {"payment_reference": reference}}
    return {"invoice": application.invoice, "report": report}


def _named(invoice: str, current: InvoicePaymentWire) -> dict[str, Any]:
    """What the first report is to say before another one is made of an invoice that the payment did not settle then.

    Reports of a payment are looked for where the first one says.
    """
    record = current.payment.payment_record
    assert isinstance(record, RecordWire)  # noqa: S101 - it carries the copy's mark
    named = (record.metadata or {}).get(ALSO_KEY, "").split()
    if invoice in named:
        return {}
    text = text_out(" ".join([*named, invoice]), "applications", _MAX_VALUE)
    return {"first": {"record": record.id, "metadata": {ALSO_KEY: text}}}


def _parts(wanted: WantedDocument, current: InvoicePaymentWire) -> dict[int, tuple[InvoicePaymentWire, RecordWire]]:
    found: dict[int, tuple[InvoicePaymentWire, RecordWire]] = {}
    for one in (current, *(current.others or ())):
        record = one.payment.payment_record
        held = (record.metadata or {}) if isinstance(record, RecordWire) else {}
        part = held.get(PART_KEY, "")
        if not isinstance(record, RecordWire) or held.get(ACCORD_REF) != wanted.mark or not part.isdecimal():
            raise _changed("id", f"{one.id} does not carry this copy's mark")
        if int(part) in found:
            raise _changed("applications", f"{one.id} was reported twice")
        found[int(part)] = (one, record)
    return found


def _as_reported(payment: Payment, there: Mapping[int, tuple[InvoicePaymentWire, RecordWire]]) -> Payment:
    """The same payment, what was reported of it in the places of then: its origin may tell it in another order."""
    untold = {one.invoice: one for one in payment.applications}
    places = range(len(untold))
    told = {place: untold.pop(there[place][0].invoice.id, None) for place in places if place in there}
    rest = iter(untold.values())
    return msgspec.structs.replace(payment, applications=tuple(told.get(place) or next(rest) for place in places))


def _same(payment: Payment, application: Application, there: tuple[InvoicePaymentWire, RecordWire]) -> None:
    one, record = there
    amount = minor_out(application.amount, payment.currency, "applications")
    if one.invoice.id != application.invoice:
        raise _changed("applications", f"{one.id} settles {one.invoice.id} and not {application.invoice}")
    if one.currency.upper() != payment.currency:
        raise _changed("currency", f"{one.id} is in {one.currency.upper()}")
    if (told := (record.metadata or {}).get(DAY_KEY, str(payment.received_on))) != str(payment.received_on):
        raise _changed("received_on", f"{one.id} was reported as of {told}, not {payment.received_on}")
    if (one.status, one.amount_paid, record.amount.value) != ("paid", amount, amount):
        there_is = said(one.amount_paid or 0, payment.currency)
        raise _changed("applications", f"{one.id} is {one.status} with {there_is}, not {application.amount}")


def _refund(
    wanted: WantedDocument, payment: Payment, there: list[tuple[InvoicePaymentWire, RecordWire]], days: Days
) -> Step | None:
    back = minor_out(payment.refunded, payment.currency, "refunded")
    known = [record.amount_refunded.value if record.amount_refunded else 0 for _, record in there]
    told = sum(known) + minor_out(wanted.by_hand.get("refunded", ZERO), payment.currency, "refunded")
    if told == back:
        return None
    # a refund that failed cannot be taken out of a report
    is_more_told = back <= sum(known)
    if is_more_told or (len(there) > 1 and payment.refunded != payment.amount):
        went_back, currency = f"{payment.refunded} {payment.currency}", payment.currency
        raise _by_hand(
            payment,
            current=there[0][0],
            field="refunded",
            problem=f"{went_back} of it went back, and {said(told, currency)} are told of there"
            if is_more_told
            else f"{went_back} of a payment of several invoices went back",
            amount=amount_in(back - told, currency),
            covers=amount_in(back - sum(known), currency),
        )
    # of several, all of each goes back; as more is to go back than did, something is left of one of them
    left = [
        (record.amount.value if len(there) > 1 else back) - was for (_, record), was in zip(there, known, strict=True)
    ]
    place = next(place for place, amount in enumerate(left) if amount > 0)
    came_in = days.seconds_of(payment.received_on) if payment.received_on else "0"
    # on which day it went back nobody tells: by this one, and not on that of the payment, whose month may be closed
    at = str(max(int(wanted.known_at), int(came_in)))
    # the reference is unique at Stripe: the same refund is never reported twice, whatever became of its key
    reference = f"{wanted.mark}.{there[place][1].id}.{known[place]}"
    body = _refunded(payment, there[place][1], left[place], reference, at)
    return Step(action="refund", body=body, adds=True)


def _refunded(payment: Payment, record: RecordWire, amount: int, reference: str, at: str) -> dict[str, Any]:
    return {
        "record": record.id,
        "report": {
            "amount": {"currency": payment.currency.lower(), "value": str(amount)},
            "outcome": "refunded",
            "processor_details": {"type": "custom", "custom": {"refund_reference": reference}},
            "refunded": {"refunded_at": at},
            "initiated_at": at,
        },
    }


def _by_hand(
    payment: Payment, *, current: InvoicePaymentWire, field: str, problem: str, amount: Decimal, covers: Decimal
) -> ByHandError:
    """What a report of a payment has no place for."""
    return ByHandError(
        problem,
        field=field,
        amount=amount,
        covers=covers,
        currency=payment.currency,
        account=f"Stripe {current.id}",
        cure="keep a note there, then answer `booked`; or report it in Stripe, if it can be, and answer `retry`",
    )


def _changed(field: str, what: str) -> RejectedError:
    return RejectedError(
        f"the copy at Stripe is not this payment: {what}",
        field=field,
        cure="settle it in Stripe, or let go of the copy",
    )
