"""/v1/customers: the registry's customers, their mappings, their story."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import msgspec
from fastapi import Header, Query, Response

from core.api import shapes
from core.api.context import Actor, ExternalId, HubIn, Trace, at, at_or_none, needs, new_router
from core.errors import InvalidInputError, VersionConflictError
from core.model.scopes import READ, WRITE
from core.model.values import METADATA_PREFIX, is_metadata, metadata_key
from core.store import answers, customers, failures, journal, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.failures import Failure
from core.store.mappings import MappingRow
from core.sync import registry
from core.sync.archived import explain_any
from core.sync.explain import entry_shown

router = new_router("customers", prefix="/v1/customers")

IfMatch = Annotated[str | None, Header(description='The version that was read, like "3".')]
IdempotencyKey = Annotated[
    str | None, Header(max_length=255, description="A repetition with the same key and body gets the first answer.")
]


class _Filters(TypedDict):
    search: str
    parent: str | None
    is_archived: bool


@router.get("", **needs(READ, 404))
async def list_customers(
    hub: HubIn,
    page: Annotated[int | None, Query(ge=1, le=1_000_000, description="1 if left out; not beside `cursor`.")] = None,
    page_size: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=255, description="`meta.next_cursor` of the page before, for deep reads.")
    ] = None,
    search: Annotated[str, Query(max_length=255, description="In id, name or e-mail.")] = "",
    parent: Annotated[str | None, Query(description="Only children of this customer.")] = None,
    *,
    archived: Annotated[bool, Query(description="Archived ones instead: the last of each id that is free.")] = False,
) -> shapes.CustomerPage:
    """Live customers by external_customer_id, or archived ones."""
    if page is not None and cursor is not None:
        raise InvalidInputError("means nothing beside cursor", field="page", cure="send one of the two")
    number, filters = page or 1, _Filters(search=search, parent=parent, is_archived=archived)

    def work_(tx: Tx) -> shapes.CustomerPage:
        registry.check_place(tx, cursor or "", "cursor")
        if parent is not None:
            registry.require_ever(tx, parent, "parent")
        after, offset = (cursor, 0) if cursor is not None else ("", (number - 1) * page_size)
        found = customers.listing(tx, **filters, after=after, offset=offset, limit=page_size + 1)
        total = None if cursor is not None else customers.count(tx, **filters)
        meta = shapes.Meta(
            page=None if cursor is not None else number,
            page_size=page_size,
            total=total,
            total_pages=None if total is None else -(-total // page_size),
            next_cursor=found[page_size - 1].external_id if len(found) > page_size else None,
        )
        return shapes.CustomerPage(data=[shown(one) for one in found[:page_size]], meta=meta)

    return await hub.db.read(work_)


@router.post("", status_code=201, **needs(WRITE, 409))
async def create_customer(
    hub: HubIn,
    trace: Trace,
    actor: Actor,
    wanted: shapes.NewCustomer,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> shapes.CustomerShown:
    """Enter a customer; it reaches every connection whose policy creates."""
    fields = entered(wanted)
    external_id = str(fields.pop("external_customer_id"))
    request = hashlib.sha256(json.dumps([external_id, fields], sort_keys=True).encode()).hexdigest()

    def work_(tx: Tx) -> tuple[shapes.CustomerShown, bool]:
        known = answers.find(tx, idempotency_key) if idempotency_key else None
        if known is not None:
            return _first_answer(known, request), True
        made = shown(registry.create(tx, hub, external_id, fields, actor=actor, trace=trace))
        if idempotency_key:
            answers.keep(tx, idempotency_key, answers.Kept(hub.clock.now(), request, made.model_dump_json()))
        return made, False

    made, is_repeated = await hub.db.run(work_)
    response.headers["etag"] = f'"{made.version}"'
    if is_repeated:
        response.headers["idempotent-replayed"] = "true"
    return made


def _first_answer(known: answers.Kept, request: str) -> shapes.CustomerShown:
    if known.request != request:
        cure = "use a new key for a new request"
        raise InvalidInputError("was used with another body", field="Idempotency-Key", cure=cure)
    return shapes.CustomerShown.model_validate_json(known.answer)


@router.get("/{external_customer_id}", **needs(READ, 404))
async def get_customer(hub: HubIn, external_customer_id: ExternalId, response: Response) -> shapes.CustomerShown:
    """One live customer."""
    found = shown(await hub.db.read(lambda tx: registry.get(tx, external_customer_id)))
    response.headers["etag"] = f'"{found.version}"'
    return found


@router.patch("/{external_customer_id}", **needs(WRITE, 404, 409, 412))
async def change_customer(
    hub: HubIn,
    trace: Trace,
    actor: Actor,
    external_customer_id: ExternalId,
    changes: shapes.CustomerChanges,
    response: Response,
    if_match: IfMatch = None,
) -> shapes.CustomerShown:
    """Set fields; they flow to every connection. With If-Match only if nobody changed the customer meanwhile."""
    fields, version = entered(changes), version_in(if_match)
    found = await hub.db.run(
        lambda tx: registry.update(tx, hub, external_customer_id, fields, actor=actor, trace=trace, version=version)
    )
    response.headers["etag"] = f'"{found.version}"'
    return shown(found)


@router.delete("/{external_customer_id}", **needs(WRITE, 404, 409, 412))
async def delete_customer(
    hub: HubIn, trace: Trace, actor: Actor, external_customer_id: ExternalId, if_match: IfMatch = None
) -> shapes.CustomerShown:
    """Archive a customer: its mappings end, its id is free again. Policy says whether remote objects follow."""
    version = version_in(if_match)

    def work_(tx: Tx) -> Customer:
        current = registry.get(tx, external_customer_id)
        if version is not None and version != current.version:
            problem = f"the customer is at version {current.version}, not {version}"
            raise VersionConflictError(problem, field="version", cure="read it again and repeat the request")
        return registry.archive(tx, hub, external_customer_id, actor=actor, trace=trace)

    return shown(await hub.db.run(work_))


@router.get("/{external_customer_id}/mappings", **needs(READ, 404))
async def customer_mappings(hub: HubIn, external_customer_id: ExternalId) -> shapes.Mappings:
    """Which remote objects the customer is, and what was last agreed with each."""

    def work_(tx: Tx) -> shapes.Mappings:
        customer = registry.get(tx, external_customer_id)
        rows = mappings.of_records(tx, [customer.id]).get(customer.id, [])
        rows.sort(key=lambda one: (one.connection, one.part))
        return shapes.Mappings(data=[mapping_shown(tx, customer, row) for row in rows])

    return await hub.db.read(work_)


def mapping_shown(tx: Tx, customer: Customer, row: MappingRow) -> shapes.MappingShown:
    """A mapping as the API gives it."""
    subject = work.mapping_subject(row.id)
    failure = failures.known(tx, row.connection, [subject]).get(subject)
    return shapes.MappingShown(
        id=row.id,
        connection=row.connection,
        part=row.part,
        remote_id=row.remote_id,
        state=row.state,
        generation=row.generation,
        base=dict(row.base),
        note=row.note,
        failure=failure_shown(failure, customer.external_id) if failure else None,
        created_at=at(row.created_at),
        updated_at=at(row.updated_at),
    )


@router.get("/{external_customer_id}/timeline", **needs(READ, 404))
async def customer_timeline(
    hub: HubIn, external_customer_id: ExternalId, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> shapes.Timeline:
    """Every change of the customer, newest first, with what it replaced and who or what did it."""

    def work_(tx: Tx) -> shapes.Timeline:
        customer = registry.get(tx, external_customer_id)
        entries = journal.of_record(tx, customer.id, limit)
        return shapes.Timeline(data=[shapes.EntryShown.model_validate(entry_shown(one)) for one in entries])

    return await hub.db.read(work_)


@router.get("/{external_customer_id}/explain", **needs(READ, 404))
async def explain_customer(hub: HubIn, external_customer_id: ExternalId) -> shapes.Explained:
    """Every system's value of every field, who owns it, what rule fired last, what is pending and why.

    Of an archived customer: since when, by whom, and what becomes of each of its objects.
    """
    return await hub.db.read(lambda tx: shapes.Explained.model_validate(explain_any(tx, hub, external_customer_id)))


# ---- shapes ----------------------------------------------------------------------------------------


def entered(given: shapes.CustomerChanges) -> dict[str, object]:
    """What a request sets, by neutral field: null is a blank, absent is nothing."""
    fields: dict[str, object] = given.model_dump(exclude_unset=True)
    metadata: Mapping[str, object] = fields.pop("metadata", {})  # type: ignore[assignment]
    return fields | {f"{METADATA_PREFIX}{key}": value for key, value in metadata.items()}


def shown(one: Customer) -> shapes.CustomerShown:
    """A customer as the API gives it."""
    fields: dict[str, Any] = {name: value for name, value in one.fields.items() if not is_metadata(name)}
    metadata = {metadata_key(name): value for name, value in one.fields.items() if is_metadata(name)}
    known: dict[str, Any] = {
        "external_customer_id": one.external_id,
        "version": one.version,
        "metadata": metadata,
        "sources": dict(one.sources),
        "created_at": at(one.created_at),
        "updated_at": at(one.updated_at),
        "deleted_at": at_or_none(one.deleted_at),
    }
    return shapes.CustomerShown(**(fields | known))


def failure_shown(one: Failure, external_id: str | None) -> shapes.FailureShown:
    """A failure as the API gives it."""
    values = msgspec.structs.asdict(one) | {
        "external_customer_id": external_id,
        "first_at": at(one.first_at),
        "last_at": at(one.last_at),
        "next_at": at_or_none(one.next_at),
    }
    return shapes.FailureShown.model_validate(values)


def version_in(if_match: str | None) -> int | None:
    """`"3"` -> 3; None where any version will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInputError("is no version", field="If-Match", limit='a number like "3"', cure="send the ETag back")
    return int(text)
