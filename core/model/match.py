"""First contact: which customer an unmapped remote object is, decided without touching anything.

The ladder, best rung first: our marker; the external id; one unique e-mail, if policy allows; and only with
no candidate on any rung: enter the registry (or, the other way round, create at the connection). More than
one hit, or a candidate that is already mapped here: a hold. Never by name alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from core.model import holds
from core.model.holds import Answer, HoldDraft
from core.model.merge import digest_of
from core.model.policy import ConnectionPolicy, FieldFilter
from core.model.remote import Mark, Remote, parse_mark
from core.model.values import Fields

CUSTOMER_DELETED: Final = "customer deleted"
CUSTOMER_ERASED: Final = "customer erased"
UNLINKED: Final = "unlinked"
NEVER_AGAIN: Final[Mapping[str, str]] = {
    CUSTOMER_DELETED: "its customer was deleted in the registry",
    CUSTOMER_ERASED: "its customer was erased",
    UNLINKED: "a person unlinked it",
}
"""Notes on mappings that have ended: such an object is nobody's again by itself, and why."""
RESTORED: Final = "restore"
"""The rung of objects that an older database may have forgotten."""
FORGOTTEN: Final = "perhaps_forgotten"
"""In the detail of what is asked about such an object for another reason: once that is gone, this is to be asked."""
ANSWERED: Final = "answer"
"""The rung of objects that a create was answered with, though they are another customer's."""

EXTERNAL_ID: Final = "external id"
"""The rung of the id that the object carries, or would get on entering."""
CUSTOMERS: Final = "customers"
OBJECTS: Final = "objects"
"""What the candidates of a question are: external ids of the registry, or remote ids of the connection."""


class Candidate(msgspec.Struct, frozen=True):
    """A customer that a rung found. `mapped_to` is its live remote id at this connection, if it has one."""

    customer_id: str
    external_id: str
    mapped_to: str | None


class Marked(msgspec.Struct, frozen=True):
    """The mapping that an object's accord_ref names, as the registry knows it now."""

    mapping_id: str
    customer: Candidate
    generation: int
    is_ended: bool
    is_left_out: bool = False
    """A person said that it shall have no object here."""


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """What the look-ups found for one unmapped object.

    `twins` are other unmapped objects with the same e-mail or external id at the same connection.
    """

    absorbed: Sequence[Candidate] = ()
    """Customers whose objects here were merged into this one."""
    marked: Marked | None = None
    ended: str | None = None
    """Why this very object's last mapping ended ("" when nobody said), or None: it never had one."""
    by_external_id: Candidate | None = None
    by_email: Sequence[Candidate] = ()
    twins_by_external_id: Sequence[str] = ()
    twins_by_email: Sequence[str] = ()
    awaited: str | None = None
    """A customer with its e-mail is to get a part of that kind, and looks for it itself: one question, not two. This is
    the mapping that waits for it ("": there is none yet)."""
    is_marker_unknown: bool = False
    """It carries our marker of a mapping that this registry never had: an older database was restored."""
    is_id_archived: bool = False
    """A customer with the external id that it carries was archived."""
    is_perhaps_forgotten: bool = False
    """An older database was restored, and objects here have no place for a marker."""


class Match(msgspec.Struct, frozen=True):
    """What an unmapped object is: `link` to a customer, `enter` as a new one, `ignore` (out of scope) or `hold`."""

    kind: Literal["link", "enter", "ignore", "hold"]
    rung: str
    customer_id: str = ""
    mapping_id: str = ""
    remote_id: str = ""
    hold: HoldDraft | None = None


def match(remote: Remote, hits: Hits, policy: ConnectionPolicy, instance: str, answer: Answer | None = None) -> Match:
    """Climb the ladder for one object that has no mapping."""
    mark = parse_mark(remote.accord_ref)
    ours = mark if mark and mark.instance == instance else None
    if not in_scope(remote, policy, is_marked=ours is not None):
        return Match("ignore", "out of scope")
    if hits.ended is not None and hits.ended in NEVER_AGAIN:
        return Match("ignore", NEVER_AGAIN[hits.ended])  # it must not rise again
    found = (
        _by_merge(remote, hits)
        or _by_mark(remote, ours, hits)
        or _by_external_id(remote, hits)
        or _awaited(hits)
        or _by_email(remote, hits, policy)
        or _perhaps_forgotten(remote, hits)
    )
    found = _kept_in_mind(found or Match("enter", "nothing matches: a new customer"), hits)
    if found.hold is None or answer is None or answer.digest != found.hold.digest:
        return found
    if answer.choice == "create" and hits.by_external_id is not None:
        return found  # two customers cannot have one external id: it is asked about until it has another one
    return _answered(answer)


def in_scope(remote: Remote, policy: ConnectionPolicy, *, is_marked: bool) -> bool:
    """Whether policy lets this object into the registry. Archived objects start nothing."""
    if is_marked:
        return True
    if remote.is_archived and not remote.external_id:
        return policy.enters == "all"
    if policy.enters == "marked":
        return bool(remote.external_id)
    if policy.enters == "filter":
        return passes(remote.fields, policy.enters_filter)
    return policy.enters == "all"


def passes(fields: Fields, wanted: FieldFilter | None) -> bool:
    """True when the record's field has one of the filter's values."""
    return wanted is not None and fields.get(wanted.field) in wanted.values


def may_create(fields: Fields, policy: ConnectionPolicy) -> bool:
    """Whether policy lets this registry record be created at the connection."""
    if policy.creates == "filter":
        return passes(fields, policy.creates_filter)
    return policy.creates == "all"


def _by_merge(remote: Remote, hits: Hits) -> Match | None:
    """The provider's own word: an object that absorbed a customer's object is that customer's object now."""
    if not hits.absorbed:
        return None
    ids = [one.external_id for one in hits.absorbed]
    if len(ids) > 1:
        return _ambiguous(remote, "merge", "objects of more than one customer were merged into it", ids)
    return Match("link", "merged into it", hits.absorbed[0].customer_id)


def _by_mark(remote: Remote, ours: Mark | None, hits: Hits) -> Match | None:
    marked = hits.marked
    if ours is None or marked is None:
        return None
    if marked.is_left_out:
        return Match("ignore", "a person left it out")
    taken = marked.customer.mapped_to not in (None, remote.id)
    if marked.is_ended or taken or marked.generation != ours.generation:
        why = "it carries our marker of a mapping that has another object, or has ended"
        return _ambiguous(remote, "marker", why, [marked.customer.external_id])
    return Match("link", "our marker", marked.customer.customer_id, marked.mapping_id)


def _by_external_id(remote: Remote, hits: Hits) -> Match | None:
    """`hits.by_external_id` is by the id the object carries, or else by the one it would get on entering."""
    found = hits.by_external_id
    if hits.twins_by_external_id:
        return _ambiguous(remote, EXTERNAL_ID, "other objects carry it too", list(hits.twins_by_external_id), OBJECTS)
    if found is not None and found.mapped_to is not None:
        return _ambiguous(remote, EXTERNAL_ID, f"that customer is {found.mapped_to} here", [found.external_id])
    if found is not None:
        return Match("link", EXTERNAL_ID, found.customer_id)
    if not remote.external_id:
        return None
    # a customer that is mapped here already is told apart by its own external id
    free = [one.external_id for one in hits.by_email if one.mapped_to is None]
    if free:
        why = "its external id is new, but a customer with its e-mail is known under another"
        return _ambiguous(remote, "e-mail", why, free)
    # a customer that was forgotten whole comes back by its id, and one that was archived never by itself
    forgotten = _perhaps_forgotten(remote, hits) if hits.is_id_archived else None
    return forgotten or Match("enter", "its external id is new")


def _awaited(hits: Hits) -> Match | None:
    if hits.awaited is None:
        return None
    return Match("ignore", "left to the customer with its e-mail, as a part", mapping_id=hits.awaited)


def _by_email(remote: Remote, hits: Hits, policy: ConnectionPolicy) -> Match | None:
    if hits.twins_by_email and policy.match_email:
        return _ambiguous(remote, "e-mail", "other objects have the same e-mail", list(hits.twins_by_email), OBJECTS)
    if not hits.by_email:
        return None
    ids = [one.external_id for one in hits.by_email]
    if len(hits.by_email) > 1:
        return _ambiguous(remote, "e-mail", "more than one customer has it", ids)
    only = hits.by_email[0]
    if only.mapped_to is not None:
        return _ambiguous(remote, "e-mail", f"that customer is {only.mapped_to} here", ids)
    if not policy.match_email:
        return _ambiguous(remote, "e-mail", "policy does not match by e-mail", ids)
    return Match("link", "one unique e-mail", only.customer_id)


def _perhaps_forgotten(remote: Remote, hits: Hits) -> Match | None:
    """What an older database does not know may be a customer's all the same, and is never made a second one."""
    if hits.is_marker_unknown:
        why = "it carries our marker of a mapping that this database does not know: an older one was restored"
    elif hits.is_perhaps_forgotten:
        why = "an older database was restored: it may be a customer's that was mapped to it since"
    else:
        return None
    also = "; a customer with its external id was archived" if hits.is_id_archived else ""
    return _ambiguous(remote, RESTORED, why + also, [])


def _kept_in_mind(found: Match, hits: Hits) -> Match:
    if found.hold is None or not hits.is_perhaps_forgotten:
        return found
    hold = msgspec.structs.replace(found.hold, detail={**found.hold.detail, FORGOTTEN: True})
    return msgspec.structs.replace(found, hold=hold)


def may_be_forgotten(detail: Mapping[str, object]) -> bool:
    """Whether what is asked about an object was asked after an older database had been put back."""
    return detail.get("rung") == RESTORED or detail.get(FORGOTTEN) is True


def _ambiguous(remote: Remote, rung: str, why: str, candidates: list[str], are: str = CUSTOMERS) -> Match:
    detail: dict[str, object] = {
        "rung": rung,
        "problem": why,
        "candidates": candidates,
        "candidates_are": are,
        "name": remote.fields.get("name"),
        "email": remote.fields.get("email"),
    }
    digest = digest_of(holds.AMBIGUOUS_MATCH, rung, sorted(candidates))
    return Match("hold", rung, hold=HoldDraft(reason=holds.AMBIGUOUS_MATCH, detail=detail, digest=digest))


def _answered(answer: Answer) -> Match:
    if answer.choice == "create":
        return Match("enter", "a person said it is a customer of its own")
    if answer.choice.startswith("link:"):
        return Match("link", "a person linked it", answer.choice[len("link:") :])
    return Match("ignore", "a person left it alone")


class Double(msgspec.Struct, frozen=True):
    """An unmapped object at the connection that could be the customer about to be created there."""

    remote_id: str
    rung: Literal["marker", "external id", "e-mail", "name"]
    """`name`: only of objects that a restored database may have forgotten; never enough for a link."""


def match_before_create(doubles: Sequence[Double], policy: ConnectionPolicy, answer: Answer | None) -> Match:
    """Link, hold or create (`enter` means: create there). A likely double that may not be linked is held."""
    sure = {one.remote_id for one in doubles if one.rung in ("marker", "external id")}
    likely = {one.remote_id for one in doubles}
    mailed = {one.remote_id for one in doubles if one.rung == "e-mail"}
    if len(sure) == 1:
        return Match("link", "marker or external id", remote_id=next(iter(sure)))
    if len(likely) == 1 and mailed and policy.match_email:
        return Match("link", "one unique e-mail", remote_id=next(iter(likely)))
    if not likely:
        return Match("enter", "nothing matches: a new customer")
    why = "unmapped objects there could be this customer"
    digest = digest_of(holds.AMBIGUOUS_MATCH, "create", sorted(likely))
    if answer and answer.digest == digest:
        return _answered_create(answer)
    detail: dict[str, object] = {"problem": why, "candidates": sorted(likely), "candidates_are": OBJECTS}
    return Match("hold", "create", hold=HoldDraft(reason=holds.AMBIGUOUS_MATCH, detail=detail, digest=digest))


def _answered_create(answer: Answer) -> Match:
    if answer.choice.startswith("link:"):
        return Match("link", "a person linked it", remote_id=answer.choice[len("link:") :])
    if answer.choice == "create":
        return Match("enter", "a person said it is a customer of its own")
    return Match("ignore", "a person left it alone")
