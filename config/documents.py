"""accord.toml -> which documents come from a connection, which go there, and as which items of its books."""

from __future__ import annotations

from datetime import date

import msgspec

from config.section import Section, did_you_mean
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.model.remote import Manifest


def document_policy(section: Section, manifest: Manifest | None) -> DocumentPolicy:
    """[connections.NAME.documents]: what originates there, and what it gets copies of."""
    policy = DocumentPolicy(
        originates=_kinds(section, "originates", "can be read from", manifest),
        mirrors=_kinds(section, "mirrors", "can be copied to", manifest),
        sources=section.texts("sources"),
        since=section.text("since") or "",
    )
    policy = msgspec.structs.replace(policy, overview=_overview(section, policy, manifest))
    for key in ("sources", "since"):
        if key in section and not policy.mirrors:
            section.mistake(key, "has no effect without mirrors")
    if policy.since and not _is_day(policy.since):
        section.mistake("since", f'must be a day like "2026-01-31", not {policy.since!r}')
    return policy


def _kinds(section: Section, key: str, what: str, manifest: Manifest | None) -> tuple[str, ...]:
    kinds = section.texts(key)
    for kind in kinds:
        if kind not in KINDS:
            section.mistake(key, f"{kind!r} is no kind of document{did_you_mean(kind, KINDS)}")
        elif manifest and not getattr(manifest.documents.get(kind), key, False):
            section.mistake(key, f"no {kind} {what} {manifest.title}")
    return kinds


def _overview(section: Section, policy: DocumentPolicy, manifest: Manifest | None) -> bool:
    """Where invoices are copied to sellers, so is what they add up to, unless policy says no."""
    has_places = manifest is not None and manifest.overview
    told = section.text("overview")
    if told is None:
        return has_places and "invoice" in policy.mirrors
    if told not in ("yes", "no"):
        section.mistake("overview", f'must be "yes" or "no", not {told!r}')
    elif told == "yes" and manifest is not None and not has_places:
        section.mistake("overview", f"{manifest.title} has no place for a customer's billing overview")
    return told == "yes" and has_places


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def items(section: Section, manifest: Manifest | None) -> dict[str, str]:
    """[connections.NAME.items]: product of a document's origin -> item of the books there."""
    found = {product: item for product in section if (item := section.scalar(product)) is not None}
    if found and manifest is not None and not any(one.mirrors for one in manifest.documents.values()):
        section.mistake(next(iter(found)), f"has no effect: {manifest.title} gets no copies of documents")
    return found
