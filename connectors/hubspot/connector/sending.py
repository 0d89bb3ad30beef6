"""Batches of writes and of ties: one refused input never stops the others, and what is unclear is never called done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from connectors.hubspot.client import HubSpotClient
from connectors.hubspot.connector import batches
from connectors.hubspot.errors import item_error
from connectors.hubspot.wire import AssociationErrors, ObjectType, Problem, Saved, decoded
from core.errors import AccordError, AmbiguousError, GoneError, RejectedError, ReplyError
from core.ports import Write

Tie = Callable[[Sequence[Mapping[str, Any]]], Awaitable[bytes]]


async def send(
    client: HubSpotClient,
    object_type: ObjectType,
    writes: Sequence[Write],
    ties: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Saved | AccordError]:
    """One batch. What is refused as a whole was not executed: it is halved, until the culprit is alone.

    `ties`: to what each new object is tied from its start; an upsert could not say so.
    """
    if not writes:
        return {}
    if ties is not None:
        inputs, sent = [batches.tied_input(write, ties[write.key]) for write in writes], client.batch_create
    else:
        inputs = [batches.input_of(write) for write in writes]
        sent = client.batch_upsert if writes[0].action == "create" else client.batch_update
    try:
        body = await sent(object_type, inputs)
    except RejectedError as error:
        if len(writes) == 1:
            return {writes[0].key: error}
        middle = len(writes) // 2
        first = await send(client, object_type, writes[:middle], ties)
        return first | await send(client, object_type, writes[middle:], ties)
    except AccordError as error:
        return {write.key: error for write in writes}
    return batches.outcomes(object_type, writes, body)


async def tie(
    sent: Tie, inputs: Mapping[str, Sequence[Mapping[str, Any]]], object_type: ObjectType
) -> dict[str, AccordError]:
    """Send the inputs of some writes; one that is refused is found by halves. Repeating a tie does nothing."""
    keys = [key for key, some in inputs.items() if some]
    if not keys:
        return {}
    try:
        answer = await sent([one for key in keys for one in inputs[key]])
        told = decoded(answer, AssociationErrors).errors if answer else None
        if told:
            raise _of_tie(told[0], object_type)
    except (RejectedError, GoneError) as error:
        if len(keys) == 1:
            return {keys[0]: error}
        middle = len(keys) // 2
        first = await tie(sent, {key: inputs[key] for key in keys[:middle]}, object_type)
        return first | await tie(sent, {key: inputs[key] for key in keys[middle:]}, object_type)
    except ReplyError as error:
        return {key: AmbiguousError(str(error)) for key in keys}
    except AccordError as error:
        return dict.fromkeys(keys, error)
    return {}


def _of_tie(problem: Problem, object_type: ObjectType) -> AccordError:
    """One failure in a batch: the others may have been done, so that only a refusal is certain."""
    error = item_error(problem, object_type, is_write=True)
    return error if isinstance(error, RejectedError | GoneError) else AmbiguousError(str(error))
