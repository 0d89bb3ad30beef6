"""What a connector says about one remote document, and what it needs to make a copy of one elsewhere (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from core.model.documents import Document
from core.model.money import ZERO, total_of


class DocumentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can do with one kind of document.

    `originates`: documents that were made there can be read. `mirrors`: copies of others' can be made there.
    `settles` (of invoices): `apart`, where what was paid is told by payments and credit notes of their own, or
    `itself`, where it is written on the copy of the invoice. `lists`: all of them can be read page by page.
    `feeds`: the change feed or webhooks name those that somebody changed or deleted; without, the walk over all copies
    looks at those, too, that were just written. `tells_settled` (of invoices): they name an invoice, too, when
    something settles it or no longer does; without, what settles invoices there is looked at, whoever made it.
    `tells_credited` (of invoices): they say how much of one credits settled; without, all that settled it is read as
    `paid`, and the registry tells it apart. `number_length`: the longest number that fits. `id_length`: how long ids
    are, about. `needs`: settings of a
    connection without which no copy can be made; `asks`: others that a person is asked for. `settled_by` (of invoices):
    kinds that must be copied, too, since a copy could be paid until they are, `unless` this setting lets it.
    `numbered_with`: kinds of which no two documents there may have the same number, this one among them.
    `unfound`: steps that may leave something behind which no look finds: unanswered, they are not repeated unasked.
    """

    originates: bool = False
    mirrors: bool = False
    settles: Literal["apart", "itself"] = "apart"
    lists: bool = True
    feeds: bool = True
    tells_settled: bool = True
    tells_credited: bool = True
    number_length: int | None = None
    id_length: int | None = None
    needs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    settled_by: tuple[str, ...] = ()
    unless: str = ""
    numbered_with: tuple[str, ...] = ()
    unfound: tuple[str, ...] = ()


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """Money that moved, and of which the provider does not tell which of several documents it concerns.

    `field`: the amount of a document that it would be. `amount`: all of it, in the document's currency. `of`: what
    these documents have in common, as each bears it as its reference or number. `called`: the provider's own id of that
    money: a reference may be any other's, too.
    """

    field: str
    amount: Decimal
    of: str
    called: str
    problem: str


class RemoteDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One remote document as a connector's translation reads it, every id in the connection's own terms.

    `mark` is our marker where it is a copy of ours. `version` is the provider's optimistic lock. `collects`: the
    provider itself tries to get it paid. `settled_by` (of an invoice): ids of the payments that settle it there, as
    far as it names them. `came_in` (of an invoice): how much the provider took in, which nobody booked by hand.
    What cannot be told exactly is no RemoteDocument: reading raises ReplyError; but for `untold`, which a person
    books, and for `unclear`: what such a document gives back is not told at all, so that it is never taken; it says
    what a person does about it.
    """

    document: Document
    mark: str | None = None
    version: str | None = None
    collects: bool = False
    settled_by: tuple[str, ...] = ()
    came_in: Decimal = ZERO
    untold: Untold | None = None
    unclear: str = ""


class WantedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy shall be, every id in the connection's own terms (`document.id` is "" before it is made).

    `by_hand`: how much of which of its amounts a person has booked there, of `refunded` say; in its currency.
    `origin`: the connection that it comes from. `closed_through`: the last day of these books that is closed.
    `known_at`: when the registry learned what the document says by now, in seconds since 1970.
    `customer_currency`: that of its customer there, of a copy that is to be made; "" where nobody has seen one.
    `parts`: the objects there that its customer is made of besides its own; None where what is there stays as it is.
    """

    document: Document
    mark: str
    origin: str = ""
    by_hand: Mapping[str, Decimal] = {}
    closed_through: date | None = None
    known_at: float = 0.0
    customer_currency: str = ""
    parts: tuple[str, ...] | None = None

    def left_by_hand(self, field: str) -> Decimal:
        """How much of an amount a person has yet to book; negative where more is booked than happened."""
        return total_of([getattr(self.document, field), -self.by_hand.get(field, ZERO)])


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One write that brings a copy nearer to what it shall be; several may be needed, each decided on a fresh look.

    `action` is the connector's own word (`create` where it makes the object, `void` where it voids it: the mass-change
    stop counts these). `body` is JSON-able and is frozen.
    `adds`: done twice, it would be there twice, so that it goes out under a key of its own that a repeat has again.
    `onto`: what it adds to, where the same may rightly be added once more: that is another step, with another key.
    """

    action: str
    body: dict[str, Any]
    adds: bool = False
    onto: str = ""
