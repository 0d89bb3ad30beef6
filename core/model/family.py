"""Parents: what may be known, taken and written of a customer's place in a family at one connection (pure).

A parent is one field. The registry names it by external id, a provider by the id of its own object: what stands
between the two is the parent's mapping, and without one nothing is compared, taken or written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from core.model.remote import Refusal, Remote
from core.model.values import Fields, Value

PARENT: Final = "parent"
LONGEST_CHAIN: Final = 100
"""Most parents above one customer."""


class Kin(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's family at one connection, as far as a decision must know it.

    `remote` names its parent by external id where the object of that parent is mapped; None: to be created.
    `parent_id` is the object of the registry's parent. `awaits` says why that parent cannot be written yet,
    `refusal` why never. `circle` is the chain that would be closed if the remote's parent were taken. `whole_id` is the
    customer's own object, if it is there and has parts. `figures` is its billing overview, where that is shown.
    """

    remote: Remote | None
    parent_id: str | None = None
    awaits: str = ""
    refusal: Refusal | None = None
    circle: tuple[str, ...] = ()
    whole_id: str | None = None
    figures: Fields = {}

    @property
    def is_turned(self) -> bool:
        """The parent is there, and hangs below the customer's own object as yet: it may be moved away unseen."""
        return self.parent_id is not None and bool(self.awaits)

    @property
    def is_unknown(self) -> bool:
        """The object has a parent, and nobody knows which customer that is."""
        return self.remote is not None and self.remote.parent_id is not None and PARENT not in self.remote.fields


ALONE: Final = Kin(remote=None)
"""Nothing is known of a family."""


def named(remote: Remote, external_id: str | None) -> Remote:
    """The remote object with its parent as the registry would name it; an unknown one stays outside the comparison."""
    if external_id is None:
        return remote
    return msgspec.structs.replace(remote, fields={**remote.fields, PARENT: external_id})


def without(remote: Remote) -> Remote:
    """The remote object with its parent outside the comparison."""
    fields = {name: value for name, value in remote.fields.items() if name != PARENT}
    return msgspec.structs.replace(remote, fields=fields)


def chain_above(start: str, parent: Value, parent_of: Callable[[str], Value]) -> list[str]:
    """The parents above `start`, nearest first, up to the first that comes twice (then it is last) or is too far."""
    above: list[str] = []
    while isinstance(parent, str):
        is_repeated = parent == start or parent in above
        above.append(parent)
        if is_repeated or len(above) > LONGEST_CHAIN:
            break
        parent = parent_of(parent)
    return above


def circle(start: str, parent: Value, parent_of: Callable[[str], Value]) -> tuple[str, ...]:
    """The chain from `start` back to itself that `parent` would close, or one without end; empty when there is none."""
    above = chain_above(start, parent, parent_of)
    is_closed = bool(above) and (above[-1] == start or above[-1] in above[:-1] or len(above) > LONGEST_CHAIN)
    return (start, *above) if is_closed else ()
