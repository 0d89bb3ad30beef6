"""What past writes replaced, from HubSpot's own history of the properties: it has no conditional write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from connectors.hubspot.connector import batches
from connectors.hubspot.connector.reading import Reader
from connectors.hubspot.translate import HubSpotTranslator
from connectors.hubspot.wire import ObjectType, join_id, split_id
from core.abilities import Past, Recalled
from core.errors import RejectedError, ReplyError
from core.model.values import Value
from core.ports import Sighting

HISTORY_BATCH: Final = 50
"""HubSpot returns the history of properties for at most fifty objects at a time (PROVIDERS §1)."""


class Recaller:
    """Looks back at one account."""

    def __init__(self, translator: HubSpotTranslator, reader: Reader) -> None:
        """The reader reads objects as they are now, in the same calls."""
        self._translator = translator
        self._reader = reader

    async def recall(self, writes: Sequence[Past]) -> Mapping[str, Recalled]:
        """The objects as they are now, by remote id, with what each one's write replaced."""
        by_type: dict[ObjectType, dict[str, Past]] = defaultdict(dict)
        for write in writes:
            object_type, hubspot_id = split_id(write.remote_id)
            by_type[object_type][hubspot_id] = write
        found: dict[str, Recalled] = {}
        for object_type, some in by_type.items():
            for ids in batches.slices(list(some), HISTORY_BATCH):
                found |= await self._batch(object_type, {hubspot_id: some[hubspot_id] for hubspot_id in ids})
        return found

    async def _batch(self, object_type: ObjectType, writes: Mapping[str, Past]) -> dict[str, Recalled]:
        names = sorted({name for write in writes.values() for name in write.body.get("properties", ())})
        try:
            seen, histories = await self._reader.with_history(object_type, list(writes), names)
        except RejectedError:
            # whatever HubSpot has against it, the objects must go on being read
            seen, histories = await self._reader.with_history(object_type, list(writes), ())
        found = {}
        for hubspot_id, write in writes.items():
            now = seen[join_id(object_type, hubspot_id)]
            history = histories.get(hubspot_id, {})
            found[write.remote_id] = Recalled(now, self._overwritten(now, write, history) if history else {})
        return found

    def _overwritten(
        self, now: object, write: Past, history: Mapping[str, Sequence[batches.Version]]
    ) -> Mapping[str, Value]:
        """The neutral values that were there before this write; nothing where its history cannot be understood."""
        if not isinstance(now, Sighting):
            return {}
        try:
            told = batches.around(now, write.body.get("properties", {}), write.stamp, history)
            if told is None:
                return {}
            old, new = (self._translator.read(one).fields for one in told)
        except ReplyError:
            return {}
        return {field: value for field, value in old.items() if field in new and new[field] != value}
