"""Which writes go in one request, where that must be said before the first of them is sent.

A create that went unanswered is repeated under the name of its request. Where several share one, the name is
committed with their intents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from core.ports import Ids
from core.store.intents import Intent
from core.store.work import DirtyRow
from core.sync.hub import Connection

T = TypeVar("T")
Outgoing = tuple[DirtyRow, Intent]


def in_rounds(connection: Connection, ids: Ids, outgoing: Sequence[tuple[T, Intent]]) -> list[list[tuple[T, Intent]]]:
    """Writes in the order in which they go: each round is sent at once, and its answers are committed together."""
    size, beside = connection.connector.manifest.write_batch, connection.manifest.singles_per_batch
    if not beside:
        return [list(outgoing[start : start + size]) for start in range(0, len(outgoing), size)]
    creates = [one for one in outgoing if one[1].action == "create"]
    updates = [one for one in outgoing if one[1].action != "create"]
    return [one for some in (creates, updates) for one in _rounds(some, size, beside, ids)]


def steps_in_rounds(
    connection: Connection, ids: Ids, outgoing: Sequence[tuple[T, Intent]]
) -> list[list[tuple[T, Intent]]]:
    """The same of documents: each round is of one kind and one action, and only creates share requests."""
    groups: dict[tuple[str, str], list[tuple[T, Intent]]] = {}
    for one in outgoing:
        groups.setdefault((one[1].kind, one[1].action), []).append(one)
    size = connection.connector.manifest.write_batch
    found = []
    for (_, action), some in groups.items():
        if action == "create":
            found += in_rounds(connection, ids, some)
        else:
            found += [some[start : start + size] for start in range(0, len(some), size)]
    return found


def joined(connection: Connection, rounds: Sequence[list[tuple[T, Intent]]]) -> list[list[tuple[T, Intent]]]:
    """Rounds of documents that were decided in several transactions, as they go: parts of more fill shared requests."""
    most = connection.manifest.document_batches
    if most == 1:
        return list(rounds)
    groups: dict[tuple[str, str], list[tuple[T, Intent]]] = {}
    for some in rounds:
        groups.setdefault((some[0][1].kind, some[0][1].action), []).extend(some)
    size = connection.connector.manifest.write_batch * most
    return [some[start : start + size] for some in groups.values() for start in range(0, len(some), size)]


def at_once(connection: Connection, most: int) -> int:
    """How many writes fill whole rounds, at most `most` of them: a half-filled batch is as dear as a full one."""
    manifest = connection.manifest
    each = manifest.write_batch + manifest.singles_per_batch if manifest.singles_per_batch else 1
    return most // each * each or most


def _rounds(outgoing: Sequence[tuple[T, Intent]], size: int, beside: int, ids: Ids) -> Iterator[list[tuple[T, Intent]]]:
    """A few go singly: a batch would be dearer. Else as many beside each batch as its limit leaves unused."""
    while outgoing:
        number = size if len(outgoing) > beside else 0
        batch = ids.new() if number else ""
        together, singly = outgoing[:number], outgoing[number : number + beside]
        yield [*((of, msgspec.structs.replace(one, batch=batch)) for of, one in together), *singly]
        outgoing = outgoing[number + beside :]
