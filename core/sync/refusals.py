"""Writes that were refused for good: asked about once, and not sent again before something has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.errors import RejectedError
from core.model import holds
from core.model.family import PARENT
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.store import customers, mappings, observations, work
from core.store.database import Tx
from core.store.holds import Hold
from core.store.intents import Intent
from core.sync.batch import Case
from core.sync.family import MOVED, PLACED
from core.sync.hub import KIND, Connection
from core.sync.taken import keys_of

ASKED_FOR: Final = frozenset({"retry", "asked for", work.APPROVED})
"""Reasons of subjects that an operator wants to be tried, whatever was refused before."""


A_CREATE: Final[Mapping[str, object]] = {}
"""Stands for the body of any create: the marker in it is another one every time."""


def refused(
    error: RejectedError, wanted: Mapping[str, object], body: Mapping[str, object] | None = None, seen: str = ""
) -> HoldDraft:
    """A hold for a write that the provider, or the translation, will never take as it is.

    `body` is what was sent, if anything was, and `seen` the digest of the object that an update was computed from.
    """
    detail: dict[str, object] = {
        "problem": error.problem,
        "field": error.field or "",
        "limit": error.limit or "",
        "cure": error.cure or "",
        "values": dict(wanted),
    }
    return HoldDraft(reason=holds.REJECTED, detail=detail, digest=_digest(detail, wanted, body, seen))


def namesakes(tx: Tx, connection: Connection, intent: Intent, field: str | None) -> list[str]:
    """Objects of other customers that were last seen with that name, where the provider does not say who has it."""
    name = intent.wanted.get("name")
    if field != "name" or not isinstance(name, str):
        return []
    rows = mappings.of_records(tx, [one.id for one in customers.named(tx, name)])
    here = [row for some in rows.values() for row in some if row.connection == connection.name and row.kind == KIND]
    ids = [row.remote_id for row in here if row.remote_id and row.id != intent.mapping_id]
    taken = keys_of(connection, {"name": name})
    seen = observations.by_ids(tx, connection.name, KIND, ids).values()
    named = [one for one in seen if one.state == "live" and taken & keys_of(connection, one.remote.fields)]
    # an inactive one may have kept its name, but not where an active one has it
    active = [one for one in named if one.remote.fields.get("status") != "inactive"]
    return sorted(one.remote_id for one in active or named)


def refusal_in(held: Sequence[Hold]) -> HoldDraft | None:
    """The refusal that stands open among a mapping's holds."""
    for one in held:
        if one.state == "open" and one.field == "" and one.reason in (holds.REJECTED, holds.NAME_TAKEN):
            return HoldDraft(reason=one.reason, detail=one.detail, digest=one.digest)
    return None


def stands(case: Case, wanted: Mapping[str, object], body: Mapping[str, object]) -> bool:
    """True when this very write was refused, its object is as it was then, and nobody has asked for another try."""
    if case.refusal is None or case.row.reason in ASKED_FOR or _may_hang_there(case.refusal, case.row.reason):
        return False
    if case.found is None:
        return case.refusal.digest == _digest(case.refusal.detail, wanted, A_CREATE, "")
    return case.refusal.digest == _digest(case.refusal.detail, wanted, body, case.found.observation.digest)


def _may_hang_there(refusal: HoldDraft, reason: str) -> bool:
    """Nothing of the object itself changes where a parent that could not be above it is put elsewhere."""
    return refusal.detail.get("field") == PARENT and reason in (PLACED, MOVED)


def _digest(
    detail: Mapping[str, object], wanted: Mapping[str, object], body: Mapping[str, object] | None, seen: str
) -> str:
    told = [detail.get(name) for name in ("problem", "field", "limit", "cure")]
    return digest_of(holds.REJECTED, told, dict(wanted), body, seen)
