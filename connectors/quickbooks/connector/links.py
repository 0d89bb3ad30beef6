"""Which documents settle which: QuickBooks says so in payments only, some of which are nothing but such a link."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors.quickbooks.connector.pages import spelled, timestamp
from connectors.quickbooks.translate.forms import VOIDED, form_in, is_booked, is_explained, is_void, mark_in, settled
from connectors.quickbooks.wire import APPLIED, Below, Form
from core.errors import ReplyError


class Applied(msgspec.Struct, frozen=True):
    """Whose payments tell what applied credit memos settle, and since when."""

    customers: list[str]
    since: str


def is_link(record: bytes) -> bool:
    """True for a payment of nothing that is not a voided one: it applies credits."""
    form = _form(record)
    return form is not None and form.total == 0 and not form.note.startswith(VOIDED)


def is_settled(record: bytes) -> bool:
    """True for a refund receipt that nobody is to be asked about."""
    form = _form(record)
    return form is not None and form.gives_back and (is_booked(form) or is_void(form))


def is_marked(record: bytes, mark: str) -> bool:
    """Whether a document's private note carries our marker; of one that cannot be understood, whether it may."""
    form = _form(record)
    return mark.encode() in record if form is None else mark_in(form.note) == mark


def applied_in(records: Sequence[bytes]) -> Applied | None:
    """Where to look for the links of these credit memos; None while nothing of any is applied."""
    found = [form for form in map(_form, records) if form is not None and _is_applied(form)]
    if not found:
        return None
    return Applied(sorted({one.customer.value for one in found}), spelled(min(map(_made_at, found))))


def joined(records: Sequence[bytes], payments: Sequence[bytes]) -> list[bytes]:
    """The credit memos, each with what it settles."""
    told: dict[str, dict[str, dict[str, object]]] = {}
    for payment in filter(None, map(_form, payments)):
        try:
            used = settled(payment.lines).credits
        except ReplyError:  # of a memo in it, less will be told than is applied: that one is held
            continue
        for memo, parts in used.items():
            # by payment, because pages of payments overlap
            told.setdefault(memo, {})[payment.id] = dict(parts)
    return [_with(record, told) for record in records]


def unexplained(records: Sequence[bytes]) -> list[str]:
    """Customers of credit memos of which payments tell another sum than is applied."""
    found = [form for form in map(_form, records) if form is not None and _is_applied(form)]
    return sorted({form.customer.value for form in found if not is_explained(form)})


def parents_in(customers: Sequence[bytes]) -> list[str]:
    """Who is right above these customers."""
    return sorted({found for one in customers if (found := _parent(one))})


def _with(record: bytes, told: dict[str, dict[str, dict[str, object]]]) -> bytes:
    form = _form(record)
    if form is None or not _is_applied(form):
        return record
    parts = [
        {"invoice": invoice, "amount": str(amount)}
        for _, some in sorted(told.get(form.id, {}).items())
        for invoice, amount in some.items()
    ]
    return b'%b,"%b":%b}' % (record.rstrip()[:-1], APPLIED.encode(), msgspec.json.encode(parts))


def _is_applied(form: Form) -> bool:
    return form.remaining is not None and form.remaining != form.total


def _made_at(form: Form) -> float:
    """Not by its text: the hour that comes twice has two offsets. Of one that tells no time nothing is left out."""
    try:
        return timestamp(form.meta.created_at)
    except ValueError:
        return 0.0


def _parent(customer: bytes) -> str:
    try:
        return msgspec.json.decode(customer, type=Below).parent.value
    except (ValueError, RecursionError):  # an odd customer is its own matter; of the memo less is told than is applied
        return ""


def _form(record: bytes) -> Form | None:
    try:
        return form_in(record)
    except ReplyError:
        return None
