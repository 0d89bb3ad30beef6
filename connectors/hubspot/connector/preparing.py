"""The properties that writing needs: ours, in a group of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.translate import GROUP, Definition, HubSpotDocuments, HubSpotTranslator
from connectors.hubspot.wire import ACCORD_REF, TYPES, ObjectType, PropertyDetails, PropertyList, decoded
from core.errors import PlaceError, ReauthorizeError, RejectedError, TakenError

PAPER: Sequence[ObjectType] = ("invoice", "line_item")


class Preparer:
    """Makes what is missing; what is there is checked, not changed."""

    def __init__(self, client: HubSpotClient, translator: HubSpotTranslator, documents: HubSpotDocuments) -> None:
        """The translators say which properties there must be."""
        self._client = client
        self._translator = translator
        self._documents = documents
        self._made: list[str] = []
        """What was made and nobody was told of yet: where a later call fails, the next `prepare` finds it there."""

    async def prepare(self) -> Sequence[str]:
        """Customers one by one, and documents in one call; returns what was made, in words.

        PlaceError, once all else is made, where HubSpot refuses a property of one field. The marker and the external id
        are every record's: without them nothing is written.

        An account without invoices, or an access token without their scopes, can do everything else: the first
        invoice that is to be copied is refused with what is missing.
        """
        refused: dict[str, RejectedError] = {}
        for object_type in TYPES:
            refused |= await self._customers(object_type)
        for paper in PAPER:
            with suppress(ReauthorizeError, RejectedError):
                await self._paper(paper)
        made, self._made = self._made, []
        if refused:
            raise _lacking(refused, made)
        return made

    async def _customers(self, object_type: ObjectType) -> dict[str, RejectedError]:
        there = await self._there(object_type)
        missing = [one for one in self._translator.definitions(object_type) if one.name not in there]
        refused: dict[str, RejectedError] = {}
        if missing:
            await self._make_group(object_type)
        for definition in missing:
            try:
                there[definition.name] = await self._make(object_type, definition)
            except RejectedError as error:
                if definition.name in (ACCORD_REF, self._translator.external_property):
                    raise
                refused[f"{object_type} property {definition.name}"] = error
            else:
                self._made.append(f"{object_type} property {definition.name}")
        batches.check_marker(object_type, there[ACCORD_REF])
        return refused

    async def _paper(self, object_type: ObjectType) -> None:
        there = await self._there(object_type)
        missing = [one for one in self._documents.definitions(object_type) if one.name not in there]
        if not missing:
            return
        await self._make_group(object_type)
        with suppress(TakenError):  # somebody else is making them
            await self._client.create_properties(object_type, [_body(one) for one in missing])
        there = await self._there(object_type)
        self._made += [f"{object_type} property {one.name}" for one in missing if one.name in there]

    async def _there(self, object_type: ObjectType) -> dict[str, PropertyDetails]:
        return {one.name: one for one in decoded(await self._client.properties(object_type), PropertyList).results}

    async def _make_group(self, object_type: ObjectType) -> None:
        try:
            await self._client.create_property_group(object_type, {"name": GROUP, "label": "Accord"})
        except TakenError:
            return

    async def _make(self, object_type: ObjectType, definition: Definition) -> PropertyDetails:
        try:
            answer = await self._client.create_property(object_type, _body(definition))
        except TakenError:
            answer = await self._client.property(object_type, definition.name)
        return decoded(answer, PropertyDetails)


_FIELDS: Mapping[str, str] = {"string": "text", "number": "number", "date": "date"}


def _lacking(refused: Mapping[str, RejectedError], made: Sequence[str]) -> PlaceError:
    first = next(iter(refused.values()))
    cure = (
        first.cure or "make room for them in HubSpot's settings, or let policy send their fields to other systems only"
    )
    return PlaceError(f"cannot make {', '.join(refused)}: {first.problem}", limit=first.limit, cure=cure, made=made)


def _body(definition: Definition) -> dict[str, object]:
    return {
        "name": definition.name,
        "label": definition.label,
        "type": definition.type,
        "fieldType": _FIELDS[definition.type],
        "groupName": GROUP,
        "hasUniqueValue": definition.is_unique,
    }
