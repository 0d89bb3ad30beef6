"""Copies of invoices at HubSpot: what there is of one, and the next write that brings it nearer (pure).

A copy is an invoice that HubSpot itself does not bill (`hs_invoice_billable` false: no document, no mail, no payment).
Its lines are made and compared before there is an invoice, which is made with its ties to them and to its customer,
and a company's billing contact, with totals and status. One of very many lines is a draft until all of them are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from connectors.hubspot.translate.definition import Definition
from connectors.hubspot.translate.lines import ASKED as LINE_ASKED
from connectors.hubspot.translate.lines import OURS as LINE_OURS
from connectors.hubspot.translate.lines import difference, item_of, line_in, position, ref_of
from connectors.hubspot.translate.spelling import (
    Spelling,
    amount_text,
    checked_text,
    date_in,
    date_text,
    is_same,
    number_in,
    text_in,
)
from connectors.hubspot.wire import (
    ACCORD_REF,
    MODIFIED,
    UNDECODABLE,
    FramedInvoice,
    HubSpotObject,
    ObjectType,
    join_id,
    split_id,
)
from core.errors import BugError, InvalidInputError, RejectedError, ReplyError
from core.model.documents import Invoice, InvoiceStatus, Line, breaches
from core.model.money import ZERO, exponent, total_of
from core.model.paper import RemoteDocument, Step, WantedDocument
from core.ports import ConnectionConfig

STATUS: Final = "hs_invoice_status"
BILLABLE: Final = "hs_invoice_billable"
CURRENCY: Final = "hs_currency"
CUSTOMER: Final = "accord_customer"
BILLING_CONTACT: Final = "accord_billing_contact"
"""The contact that we tied it to besides its company: only that one is ever taken off again."""
OUR_STATUS: Final = "accord_status"
NUMBER: Final = "accord_number"

FIXED: Final[Mapping[str, str]] = {
    "accord_subtotal": "subtotal",
    "accord_discount": "discount",
    "accord_tax": "tax",
    "accord_total": "total",
}
"""Amounts that never change once the copy is no draft any more."""
SETTLED: Final[Mapping[str, str]] = {
    "accord_paid": "paid",
    "accord_credited": "credited",
    "accord_written_off": "written_off",
    "accord_balance": "due",
}
"""Amounts that are kept current."""
_ALL: Final[Mapping[str, str]] = {**FIXED, **SETTLED}
DAYS: Final[Mapping[str, str]] = {"accord_issued_on": "issued_on", "accord_due_on": "due_on"}
NATIVE_DAYS: Final[Mapping[str, str]] = {"hs_invoice_date": "issued_on", "hs_due_date": "due_on"}
"""HubSpot fills these in where nothing is given, so that they tell nothing back."""

OURS: Final[Mapping[str, tuple[str, Spelling]]] = {
    NUMBER: ("Accord: number", "string"),
    CUSTOMER: ("Accord: customer", "string"),
    BILLING_CONTACT: ("Accord: billing contact", "string"),
    OUR_STATUS: ("Accord: status", "string"),
    **{name: (f"Accord: {field.replace('_', ' ')}", "number") for name, field in _ALL.items()},
    **{name: (f"Accord: {field.replace('_', ' ')}", "date") for name, field in DAYS.items()},
}
"""Properties of invoices that are ours: label, spelling."""

SPELLINGS: Final[Mapping[str, Spelling]] = {
    **{name: spelling for name, (_, spelling) in OURS.items()},
    **dict.fromkeys(NATIVE_DAYS, "date"),
}
ASKED: Final = (
    ACCORD_REF,
    STATUS,
    BILLABLE,
    CURRENCY,
    "hs_title",
    "hs_comments",
    *NATIVE_DAYS,
    *OURS,
    MODIFIED["invoice"],
)
NATIVE: Final[Mapping[InvoiceStatus, str]] = {
    "draft": "draft",
    "open": "open",
    "paid": "paid",
    "void": "voided",
    "uncollectible": "open",
}
"""HubSpot has no word for uncollectible: such an invoice is open there, and `accord_status` says what it is."""
_NEUTRAL: Final[Mapping[str, InvoiceStatus]] = {"draft": "draft", "open": "open", "paid": "paid", "voided": "void"}

LINES_AT_ONCE: Final = 100
_AGAIN: Final = "put it back in HubSpot, or delete the copy there and have it made again"


class HubSpotDocuments:
    """Copies of invoices for one connection."""

    def __init__(self, config: ConnectionConfig) -> None:
        """The setting `paid_status` says whether HubSpot is told `paid`, which it may not take (not verified)."""
        paid = "open" if config.settings.get("paid_status") == "open" else "paid"
        self._native = {**NATIVE, "paid": paid}

    def properties(self, object_type: ObjectType) -> tuple[str, ...]:
        """Every property a read asks for."""
        return ASKED if object_type == "invoice" else LINE_ASKED

    def definitions(self, object_type: ObjectType) -> tuple[Definition, ...]:
        """The properties that must be made before anything is written."""
        ours = OURS if object_type == "invoice" else LINE_OURS
        made = [Definition(name, label, type=spelling) for name, (label, spelling) in ours.items()]
        return (Definition(ACCORD_REF, "Accord reference", is_unique=True), *made)

    # ---- reading ---------------------------------------------------------------------------------------

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """An invoice of HubSpot's -> neutral. ReplyError for what is no copy, or does not add up."""
        copy = _framed(kind, raw)
        try:
            found = self._invoice(copy)
            broken = breaches(found)
        except InvalidInputError as error:
            raise ReplyError(f"HubSpot invoice {copy.object.id}: {error}") from error
        if broken:
            told = "; ".join(f"{one.field} {one.problem}" for one in broken)
            raise ReplyError(f"HubSpot invoice {copy.object.id} does not add up: {told}")
        properties = copy.object.properties
        return RemoteDocument(
            document=found,
            mark=text_in(properties, ACCORD_REF) or None,
            collects=text_in(properties, BILLABLE).lower() == "true",
        )

    def _invoice(self, copy: FramedInvoice) -> Invoice:
        there = copy.object.properties
        if not any(text_in(there, name) for name in (ACCORD_REF, *OURS)):
            # what HubSpot bills itself has taxes and fees of its own, which are not read here
            raise ReplyError(f"HubSpot invoice {copy.object.id} is no copy of Accord's")
        currency = text_in(there, CURRENCY)
        exponent(currency)
        lines = tuple(line_in(one, text_in(there, ACCORD_REF)) for one in sorted(copy.lines, key=position))
        status = self._status(there)
        amounts = _reckoned(lines) if status == "draft" else _told(there)
        return Invoice(
            id=join_id("invoice", copy.object.id),
            number=text_in(there, NUMBER),
            customer=_customer(text_in(there, CUSTOMER), text_in(there, BILLING_CONTACT), copy.customers),
            currency=currency,
            status=status,
            issued_on=date_in(there, "accord_issued_on"),
            due_on=date_in(there, "accord_due_on"),
            lines=lines,
            memo=text_in(there, "hs_comments"),
            **amounts,
        )

    def _status(self, there: Mapping[str, Any]) -> InvoiceStatus:
        """Ours where it agrees with HubSpot's; else somebody has changed HubSpot's, and that is what it is."""
        native, ours = text_in(there, STATUS).lower(), text_in(there, OUR_STATUS)
        if ours in self._native and self._native[ours] == native:
            return ours
        if native not in _NEUTRAL:
            raise ReplyError(f"HubSpot has the unknown status {native[:50]!r}")
        return _NEUTRAL[native]

    # ---- writing ---------------------------------------------------------------------------------------

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        """Make it, whole where its lines fit in one batch, else go on with what is missing; later keep it so."""
        if current is not None and _is_billed(_framed("invoice", current)):
            # somebody let HubSpot bill it; whatever else is to be said of it, an invoice has one collector
            return Step(action="unbill", body={"properties": {BILLABLE: "false"}})
        invoice = _sound(wanted)
        items = [item_of(line, index, invoice.currency) for index, line in enumerate(invoice.lines)]
        head, amounts = self._head(wanted, invoice), self._amounts(invoice)
        if current is None:
            lines = [{ACCORD_REF: ref_of(wanted.mark, line), **item} for line, item in _paired(invoice, items)]
            properties = head | (amounts if len(lines) <= LINES_AT_ONCE else {STATUS: NATIVE["draft"]})
            body = {"properties": properties, "customer": invoice.customer, "lines": lines[:LINES_AT_ONCE]}
            return Step(action="create", body=_with_contact(body, _contact(wanted)), adds=True)
        copy, is_told = _framed("invoice", current), invoice.status != "void" or bool(invoice.total)
        if not is_told:
            # amounts are no matter any more; QuickBooks, for one, puts those of a void to nothing
            amounts |= {name: text for name in FIXED if (text := text_in(copy.object.properties, name))}
        self._check_head(copy, head | amounts)
        missing = _missing(copy, wanted.mark, invoice, items) if is_told else []
        former = _former(copy, wanted)
        if former or invoice.customer not in copy.customers:
            # before its new customer is noted on it, which would forget the former one
            return Step(action="tie", body={"customer": invoice.customer, "off": former})
        if missing:
            return Step(action="add_lines", body={"lines": missing[:LINES_AT_ONCE]}, adds=True)
        changes = _differing(head | amounts | _noted(copy, wanted), copy.object.properties)
        if not changes:
            # last, so that a contact that cannot be tied keeps nothing else from being told
            return _contact_step(copy, wanted)
        if changes.get(OUR_STATUS) == "void":
            return Step(action="void", body={"properties": changes})
        return Step(action="update", body={"properties": changes})

    def _head(self, wanted: WantedDocument, invoice: Invoice) -> dict[str, str]:
        """What an invoice has from the start."""
        number = checked_text(invoice.number, "number")
        found = {
            ACCORD_REF: wanted.mark,
            BILLABLE: "false",
            CURRENCY: invoice.currency,
            CUSTOMER: invoice.customer,
            NUMBER: number,
            **{name: date_text(getattr(invoice, field)) for name, field in DAYS.items()},
        }
        # blank, these are HubSpot's, or somebody's, to fill in
        optional = {
            "hs_title": number,
            "hs_comments": checked_text(invoice.memo, "memo"),
            **{name: date_text(getattr(invoice, field)) for name, field in NATIVE_DAYS.items()},
        }
        return found | {name: text for name, text in optional.items() if text.strip()}

    def _amounts(self, invoice: Invoice) -> dict[str, str]:
        """What it gets when it is complete."""
        status = {STATUS: self._native[invoice.status], OUR_STATUS: invoice.status}
        return status | {
            name: amount_text(getattr(invoice, field), invoice.currency, field) for name, field in _ALL.items()
        }

    def _check_head(self, copy: FramedInvoice, wanted: Mapping[str, str]) -> None:
        """What somebody else has made of it, and no write of ours may undo."""
        there = copy.object.properties
        currency, native = text_in(there, CURRENCY), text_in(there, STATUS).lower()
        if currency != wanted[CURRENCY]:
            raise _changed("currency", f"is {currency or 'blank'} at HubSpot, not {wanted[CURRENCY]}")
        if native == "voided" and wanted[STATUS] != "voided":
            raise _changed("status", "the copy was voided at HubSpot, which is final there")
        for name, field in FIXED.items():
            # a blank one is put back: there is nothing of anybody's to overwrite
            if text_in(there, name) and not is_same("number", name, there, wanted):
                raise _changed(field, f"{name} is {text_in(there, name)} at HubSpot, not {wanted[name]}")


def _sound(wanted: WantedDocument) -> Invoice:
    invoice = wanted.document
    if not isinstance(invoice, Invoice):
        raise BugError("HubSpot has copies of invoices only")
    split_id(invoice.customer)
    for one in breaches(invoice):
        raise RejectedError(one.problem, field=one.field, limit="a document must add up", cure="correct its origin")
    return invoice


def _contact(wanted: WantedDocument) -> str:
    """The billing contact of a customer that is a company; "" where there is none."""
    return next(iter(wanted.parts or ()), "")


def _former(copy: FramedInvoice, wanted: WantedDocument) -> str:
    """Whose our own tie made it, and whose it is no more: "" for nobody. Who was tied to it by a person stays."""
    before = text_in(copy.object.properties, CUSTOMER)
    is_theirs = before in (wanted.document.customer, _contact(wanted))
    return before if before in copy.customers and not is_theirs else ""


def _with_contact(body: dict[str, Any], contact: str) -> dict[str, Any]:
    if not contact:
        return body
    return body | {"properties": {**body["properties"], BILLING_CONTACT: contact}, "contact": contact}


def _exchange(copy: FramedInvoice, wanted: WantedDocument) -> tuple[str, str]:
    """Whom to take off it, and whom to tie it to: "" for nobody. A person's own contacts stay."""
    if wanted.parts is None:
        return "", ""
    contact, before = _contact(wanted), text_in(copy.object.properties, BILLING_CONTACT)
    is_stale = before.startswith("contact:") and before not in (contact, wanted.document.customer)
    off = before if is_stale and before in copy.customers else ""
    return off, contact if contact not in copy.customers else ""


def _noted(copy: FramedInvoice, wanted: WantedDocument) -> dict[str, str]:
    """Which contact is ours, where that one is tied already: by a merge, or by a person."""
    contact = _contact(wanted)
    return {BILLING_CONTACT: contact} if contact and not any(_exchange(copy, wanted)) else {}


def _contact_step(copy: FramedInvoice, wanted: WantedDocument) -> Step | None:
    off, on = _exchange(copy, wanted)
    if not (off or on):
        return None
    body = {"off": off, "on": on, "properties": {BILLING_CONTACT: _contact(wanted)}}
    return Step(action="tie_contact", body=body)


def _is_billed(copy: FramedInvoice) -> bool:
    """Whether HubSpot may ask anybody to pay it: it asks nobody for what is void."""
    there = copy.object.properties
    return text_in(there, BILLABLE).lower() != "false" and text_in(there, STATUS).lower() != NATIVE["void"]


def _paired(invoice: Invoice, items: Sequence[dict[str, str]]) -> Iterable[tuple[Line, dict[str, str]]]:
    return zip(invoice.lines, items, strict=True)


def _missing(copy: FramedInvoice, mark: str, invoice: Invoice, items: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Line items to make. RejectedError for lines that somebody changed, added, or took off a finished copy."""
    properties = copy.object.properties
    is_finished = text_in(properties, STATUS).lower() not in ("", "draft") or bool(text_in(properties, OUR_STATUS))
    refs = [ref_of(mark, line) for line in invoice.lines]
    there: dict[str, HubSpotObject] = {}
    for one in copy.lines:
        ref = text_in(one.properties, ACCORD_REF)
        if ref not in refs or ref in there:
            raise _changed("lines", f"line item {one.id} at HubSpot is none of the document's")
        there[ref] = one
    missing = []
    for index, (line, ref, item) in enumerate(zip(invoice.lines, refs, items, strict=True)):
        if ref in there:
            told = difference(there[ref], item)
        else:
            told = "it is not there any more" if is_finished else None
            missing.append({ACCORD_REF: ref, **item})
        if told:
            raise _changed(f"lines.{index}", f"line {line.id} differs at HubSpot: {told}")
    return missing


def _changed(field: str, problem: str) -> RejectedError:
    return RejectedError(problem, field=field, limit="amounts of a copy are never overwritten", cure=_AGAIN)


def _differing(wanted: Mapping[str, str], there: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: text
        for name, text in sorted(wanted.items())
        if not is_same(SPELLINGS.get(name, "string"), name, there, wanted)
    }


def _reckoned(lines: Iterable[Line]) -> dict[str, Decimal]:
    """A draft's amounts: it may not have all its lines yet, and what is written on it is not trusted."""
    parts = list(lines)
    subtotal, discount, tax = (
        total_of([getattr(one, name) for one in parts]) for name in ("amount", "discount", "tax")
    )
    total = total_of([subtotal, -discount, tax])
    return {"subtotal": subtotal, "discount": discount, "tax": tax, "total": total, "due": total}


def _told(there: Mapping[str, Any]) -> dict[str, Decimal]:
    return {field: number_in(there, name) or ZERO for name, field in _ALL.items()}


def _customer(told: str, beside: str, tied: Sequence[str]) -> str:
    """Whose it is: only a tie that is there counts. "" where it is nobody's, or not only one's."""
    if told in tied:
        return told
    others = [one for one in tied if one != beside]
    return others[0] if len(others) == 1 else ""


def _framed(kind: str, raw: bytes) -> FramedInvoice:
    if kind != "invoice":
        raise InvalidInputError(f"HubSpot has no {kind!r} here", field="kind", limit="invoice", cure="name that")
    try:
        return msgspec.json.decode(raw, type=FramedInvoice)
    except UNDECODABLE:
        return _framed_leniently(raw)


def _framed_leniently(raw: bytes) -> FramedInvoice:
    """Half a surrogate pair in a text must not make an invoice unreadable: the standard library reads it."""
    try:
        return msgspec.convert(json.loads(raw), type=FramedInvoice)
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"this is no HubSpot invoice: {error}") from error
