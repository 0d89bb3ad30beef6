"""Writes of documents: each under a request id that a repeat has again, and what an answer to a batch leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from connectors.quickbooks.connector import pages
from connectors.quickbooks.connector.pages import quoted
from connectors.quickbooks.connector.reading import Reading
from connectors.quickbooks.manifest import CLOSED, CUSTOMER, ENTITIES, OPEN_THE_BOOKS
from connectors.quickbooks.translate.documents import in_another_currency
from core.errors import AccordError, AmbiguousError, GoneError, RejectedError, ReplyError, RetryError, TakenError
from core.ports import Missing, Receipt, Sighting, Write, Written

if TYPE_CHECKING:
    from connectors.quickbooks.client import QuickBooksClient

ITEM: Final = "Item"
_AMOUNTS: Final = frozenset({"Amount", "Qty", "UnitPrice", "TotalTax", "TotalAmt"})
_SELLABLE: Final = frozenset({"Service", "NonInventory", "Inventory"})
_NAMES_MOST: Final = 4000
"""Characters of the names in one query, as they are spelled in an address; servers take 8,192 of a whole one."""
_VOID: Final[Mapping[str, Mapping[str, str]]] = {
    "Invoice": {"operation": "void"},
    "Payment": {"operation": "update", "include": "void"},
}
"""QuickBooks has a way of its own for each; for credit memos it has none."""


class DocumentWriting:
    """Sends what the translation decided, and nothing else."""

    def __init__(self, client: QuickBooksClient, reading: Reading, accounts: Mapping[str, str]) -> None:
        """Write through `client`; `accounts`: the settings that name one."""
        self._client = client
        self._accounts = accounts
        self._reading = reading

    async def write(self, write: Write) -> Receipt:
        """One step of one document."""
        try:
            body = await self._with_items(write)
        except (AmbiguousError, ReplyError) as error:  # about an item: nothing of the document was sent
            return RetryError(str(error))
        except AccordError as error:
            return error
        try:
            return await self._sent(write, numbered(body))
        except ReplyError as error:  # the write behind a garbled answer may well have happened
            return AmbiguousError(str(error))
        except RejectedError as error:
            return await self._explained(write, error)
        except AccordError as error:
            return error

    async def completed(self, writes: Sequence[Write], receipts: Sequence[Receipt]) -> list[Receipt]:
        """The same receipts of one batch: refusals explained, and credit memos with what they settle."""
        if ENTITIES[writes[0].kind] == "CreditMemo":
            receipts = await self._settling(receipts)
        return [await self.explained(write, one) for write, one in zip(writes, receipts, strict=True)]

    async def explained(self, write: Write, receipt: Receipt) -> Receipt:
        """The same receipt; of a refusal, what it is about. Of customers only what is gone has to be found out."""
        if not isinstance(receipt, RejectedError) or (write.kind == CUSTOMER and not isinstance(receipt, GoneError)):
            return receipt
        return await self._explained(write, receipt)

    async def _settling(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Receipts of credit memos: what one settles is in no answer to a write."""
        made = [one.sighting.id for one in receipts if isinstance(one, Written)]
        unseen: AccordError = AmbiguousError("what was written is not there any more")
        seen: Mapping[str, Sighting] = {}
        try:
            seen = await self._reading.chunk("credit_note", made) if made else {}
        except AccordError as error:
            unseen = AmbiguousError(str(error))
        return [
            (Written(seen[one.sighting.id]) if one.sighting.id in seen else unseen) if isinstance(one, Written) else one
            for one in receipts
        ]

    async def _sent(self, write: Write, body: Mapping[str, Any]) -> Receipt:
        entity = ENTITIES[write.kind]
        key = request_id(write)
        if write.action == "void":
            sparse = {"sparse": True} if entity == "Payment" else {}
            return written(await self._client.save(entity, {**body, **sparse}, key, _VOID[entity]), entity)
        is_link = write.action == "apply" and entity == "CreditMemo"
        answer = await self._client.save("Payment" if is_link else entity, body, key)
        if entity != "CreditMemo":
            return written(answer, entity)
        return await self._credited(write.remote_id or _id_in(pages.single(answer, entity)))

    async def _credited(self, remote_id: str) -> Receipt:
        """What a credit memo settles is in no answer to a write: it is read."""
        try:
            seen = await self._reading.alone("credit_note", remote_id)
        except AccordError as error:  # written it is; a repeat gets the same answer, and looks again
            return AmbiguousError(str(error))
        return Written(seen) if isinstance(seen, Sighting) else AmbiguousError("what was written is not there any more")

    async def _explained(self, write: Write, error: RejectedError) -> RejectedError:
        is_new = "Id" not in write.body
        try:
            if isinstance(error, GoneError):
                is_itself = not is_new and await self._is_gone(write)
                missing = {} if is_itself else await self._gone_of(write.body)
                # without one, a 404 to a customer may be a wrong address: it says nothing of an earlier try
                is_own = is_itself or (write.kind == CUSTOMER and not missing)
                return error if is_own else _unusable(error, missing)
            if error.field == "currency" and is_new:
                return await self._in_another_currency(write.body, error)
            if error.cure == OPEN_THE_BOOKS:
                return await self._closed(error)
            if error.field == "deposit_account":
                return self._misdirected(write.body, error)
        except (AccordError, ValueError, RecursionError):  # the refusal itself is what matters
            is_paper = is_new and write.kind != CUSTOMER
            return _unusable(error, {}) if isinstance(error, GoneError) and is_paper else error
        return error

    async def _is_gone(self, write: Write) -> bool:
        """Whether what was written to is not there: QuickBooks says the same of a customer that is inactive."""
        return isinstance(await self._reading.alone(write.kind, str(write.body["Id"])), Missing)

    async def _gone_of(self, body: Mapping[str, Any]) -> dict[str, list[str]]:
        """What an object names of customers and items that is not there, or not active: by field, in words."""
        items = {one["value"] for one in map(_item, _lines(body)) if "value" in one}
        found: dict[str, list[str]] = {}
        for field, kind, ids in (
            ("customer", CUSTOMER, {_referred(body, "CustomerRef")} - {""}),
            ("parent", CUSTOMER, {_referred(body, "ParentRef")} - {""}),
            ("lines", ITEM, items),
        ):
            rows = (
                [pages.shown(one) for one in await self._reading.select(kind, [f"Id in ({quoted(sorted(ids))})"])]
                if ids
                else []
            )
            usable = {row["Id"] for row in rows if row.get("Active")}
            if missing := sorted(ids - usable):
                found[field] = [f"{ENTITIES.get(kind, kind).lower()} {one}" for one in missing]
        return found

    async def _in_another_currency(self, body: Mapping[str, Any], error: RejectedError) -> RejectedError:
        customer = _referred(body, "CustomerRef")
        (raw,) = await self._reading.select(CUSTOMER, [f"Id = {quoted([customer])}"])
        told = pages.shown(raw).get("CurrencyRef")
        theirs = told.get("value") if isinstance(told, dict) else None
        ours = _referred(body, "CurrencyRef")
        if not theirs or theirs == ours:
            return error
        return in_another_currency(ours, theirs, customer)

    async def _closed(self, error: RejectedError) -> RejectedError:
        through = await self._reading.closed_through()
        problem = f"books closed through {through}" if through else error.problem
        return RejectedError(problem, field=CLOSED, limit="books are open", cure=OPEN_THE_BOOKS)

    def _misdirected(self, body: Mapping[str, Any], error: RejectedError) -> RejectedError:
        account = _referred(body, "DepositToAccountRef")
        settings = [name for name, one in self._accounts.items() if one == account and name != "income_account"]
        return RejectedError(
            error.problem,
            field=", ".join(settings) or error.field,
            limit="a bank or clearing account that is there, active, and of the payment's currency",
            cure=f"name another account than {account} there, or correct it in QuickBooks, then retry",
        )

    # ---- items ---------------------------------------------------------------------------------

    async def _with_items(self, write: Write) -> Mapping[str, Any]:
        """The body, where items that policy lets us make are named by their ids; those not there are made."""
        wanted = {item["name"]: item["account"] for item in map(_item, _lines(write.body)) if "account" in item}
        if not wanted:
            return write.body
        ids = await self._items(list(wanted))
        for name, account in wanted.items():
            if name not in ids:
                ids[name] = await self._new_item(write, name, account)
        return {**write.body, "Line": [_itemised(line, ids) for line in write.body["Line"]]}

    async def _items(self, names: Sequence[str]) -> dict[str, str]:
        found = {}
        records = []
        for some in _in_addresses(names):
            records += await self._reading.select(ITEM, [f"Name in ({quoted(some)})"])
        for record in records:
            told = pages.shown(record)
            name, of_type = str(told.get("Name")), str(told.get("Type"))
            if of_type not in _SELLABLE:
                raise RejectedError(
                    f"the item {name!r} is a {of_type}",
                    field="lines",
                    limit="a service or a product",
                    cure="map the product to another item in policy",
                )
            found[name] = told["Id"]
        return found

    async def _new_item(self, write: Write, name: str, account: str) -> str:
        body = {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": account}}
        key = blake2b(msgspec.json.encode([write.key, ITEM, name]), digest_size=16).hexdigest()
        try:
            raw = pages.single(await self._client.save(ITEM, body, key), ITEM)
        except TakenError as error:  # another document made it meanwhile
            ids = await self._items([name])
            if name in ids:
                return ids[name]
            raise RejectedError(
                f"no item {name!r} can be made: {error.problem}",
                field="lines",
                limit="an item's name is no other one's, in whatever letters, nor an inactive one's",
                cure="map the product to an item in policy",
            ) from error
        return _id_in(raw)


def _in_addresses(names: Sequence[str]) -> Iterator[list[str]]:
    """The same names, as many at once as the address of a query has room for."""
    some: list[str] = []
    for name in names:
        if some and len(quote(quoted([*some, name]))) > _NAMES_MOST:
            yield some
            some = []
        some.append(name)
    yield some


def makes_items(body: Mapping[str, Any]) -> bool:
    """Whether a document names an item that may have to be made first."""
    return any("account" in _item(line) for line in _lines(body))


def numbered(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The same JSON, with amounts as numbers, digit by digit: no float in between."""
    if isinstance(value, Mapping):
        return {
            name: msgspec.Raw(one.encode()) if name in _AMOUNTS and isinstance(one, str) else numbered(one)
            for name, one in value.items()
        }
    return [numbered(one) for one in value] if isinstance(value, list | tuple) else value


def request_id(write: Write) -> str:
    """Name a write to QuickBooks, in its 50 characters; key and frozen body, because a repeat returns the old answer.

    The same key never goes with another body; were it ever to, an old answer would pass for a success.
    """
    return blake2b(msgspec.json.encode([write.key, write.body], order="sorted"), digest_size=16).hexdigest()


def written(body: bytes, entity: str) -> Receipt:
    """The receipt for an answer about one object; ReplyError when it is about none."""
    return receipt_for(pages.single(body, entity))


def receipt_for(raw: bytes) -> Receipt:
    """The receipt for a write whose answer shows this object."""
    row = pages.row_of(raw)
    if row is None:
        return AmbiguousError("the answer to the write shows no object with an id")
    return Written(pages.sighting(row.id, raw))


def _unusable(error: GoneError, gone: Mapping[str, Sequence[str]]) -> RejectedError:
    """What an object refers to is inactive or gone, not the object itself."""
    named = ", ".join(one for some in gone.values() for one in some)
    return RejectedError(
        f"{error.problem} ({named})" if named else error.problem,
        field=", ".join(gone) or "customer, lines, account",
        limit="active and there",
        cure=f"make active there {named or 'what it refers to'}, or map it anew",
    )


def _referred(body: Mapping[str, Any], attribute: str) -> str:
    found: str = body.get(attribute, {}).get("value", "")
    return found


def _id_in(raw: bytes) -> str:
    row = pages.row_of(raw)
    if row is None:
        raise ReplyError("the answer to the write shows no object")
    return row.id


def _lines(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = body.get("Line", ())
    return found


def _item(line: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = line.get("SalesItemLineDetail", {}).get("ItemRef", {})
    return found


def _itemised(line: Mapping[str, Any], ids: Mapping[str, str]) -> Mapping[str, Any]:
    item = _item(line)
    if "account" not in item:
        return line
    return {**line, "SalesItemLineDetail": {**line["SalesItemLineDetail"], "ItemRef": {"value": ids[item["name"]]}}}
