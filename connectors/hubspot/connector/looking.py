"""What every read of objects is made of; what could not be read is never called missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector.feed import Hits
from connectors.hubspot.errors import item_error
from connectors.hubspot.manifest import MANIFEST
from connectors.hubspot.wire import AssociationResults, ObjectType, Results, decoded, results_in
from core.errors import GoneError, RejectedError


async def read_batch(
    client: HubSpotClient,
    object_type: ObjectType,
    ids: Sequence[str],
    asked: Sequence[str],
    id_property: str | None = None,
    history: Sequence[str] = (),
) -> Results:
    """One batch read. Failures of single inputs other than "not there" fail it."""
    try:
        body = await client.batch_read(object_type, ids, asked, id_property, history)
    except GoneError:
        return Results([])
    answer = results_in(body)
    for error in answer.errors or ():
        if error.category != "OBJECT_NOT_FOUND":
            raise item_error(error, object_type, is_write=False)
    return answer


async def associations(
    client: HubSpotClient, origin: ObjectType, target: ObjectType, asked: Sequence[Mapping[str, str]]
) -> AssociationResults:
    """What some objects are tied to. A 404 may be about one of them: then they are asked by halves."""
    try:
        return decoded(await client.associations(origin, target, asked), AssociationResults)
    except GoneError:
        if len(asked) == 1:
            return AssociationResults([])
    middle = len(asked) // 2
    first, second = [await associations(client, origin, target, some) for some in (asked[:middle], asked[middle:])]
    return AssociationResults([*first.results, *second.results], [*(first.errors or ()), *(second.errors or ())])


async def by_unique(
    client: HubSpotClient, object_type: ObjectType, asked: Sequence[str], name: str, value: str
) -> Results:
    """The object with a unique value; none where the account does not have the property."""
    try:
        return await read_batch(client, object_type, [value], asked, name)
    except RejectedError:
        if await has_property(client, object_type, name):
            raise
        return Results([])


async def by_search(client: HubSpotClient, object_type: ObjectType, name: str, value: str) -> Sequence[str]:
    """Ids of objects with a value, from the index that lags."""
    filters = [{"propertyName": name, "operator": "EQ", "value": value}]
    query: Mapping[str, Any] = {
        "filterGroups": [{"filters": filters}],
        "properties": [name],
        "limit": MANIFEST.read_batch,
    }
    try:
        hits = decoded(await client.search(object_type, query), Hits).results
    except RejectedError:
        if await has_property(client, object_type, name):
            raise
        return []
    return [hit.id for hit in hits]


async def has_property(client: HubSpotClient, object_type: ObjectType, name: str) -> bool:
    """No object carries a property that the account does not have."""
    try:
        await client.property(object_type, name)
    except GoneError:
        return False
    return True
