"""accord.toml -> which documents come from a connection, which go there, and as which items of its books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import msgspec

from config.section import Section, did_you_mean, dotted
from core.errors import InvalidInputError
from core.model.customer import FIELDS, NOT_TEXT
from core.model.documents import KINDS
from core.model.money import exponent
from core.model.policy import ENTITY_FIELD, DocumentPolicy
from core.model.remote import Manifest
from core.model.values import is_metadata, metadata_key

DEPOSIT_ACCOUNT: Final = "deposit_account"
DEFAULT_ITEM: Final = "default_item"


def document_policy(section: Section, manifest: Manifest | None) -> DocumentPolicy:
    """[connections.NAME.documents]: what originates there, and what it gets copies of."""
    policy = DocumentPolicy(
        originates=_kinds(section, "originates", "can be read from", manifest),
        mirrors=_kinds(section, "mirrors", "can be copied to", manifest),
        sources=section.texts("sources"),
        since=section.text("since") or "",
    )
    policy = msgspec.structs.replace(policy, overview=_overview(section, policy, manifest), **_entities(section))
    for key in ("sources", "since", "entities"):
        if key in section and not policy.mirrors:
            section.mistake(key, "has no effect without mirrors")
    for key in ("entity", "entity_field"):
        if key in section and not policy.originates:
            section.mistake(key, "has no effect without originates")
    if policy.since and not _is_day(policy.since):
        section.mistake("since", f'must be a day like "2026-01-31", not {policy.since!r}')
    return policy


def _entities(section: Section) -> dict[str, Any]:
    """Whose books these are, and whose the documents are that originate here: all one entity's, or the customer's."""
    entities, entity, field = section.texts("entities"), section.text("entity"), section.text("entity_field")
    if section.is_list("entities") and not entities:
        section.mistake("entities", "names no entity, so nothing would be copied here; leave it out to copy all")
    if "entity" in section and "entity_field" in section:
        section.mistake(
            "entity_field", "has no effect beside entity, which says whose all of them are; keep one of the two"
        )
    if field is not None and not _is_one_text(field):
        section.mistake("entity_field", f"{field!r} is no field of a customer that is one text, like {ENTITY_FIELD!r}")
    return {"entities": entities, "entity": entity or "", "entity_field": field or ENTITY_FIELD}


def _is_one_text(field: str) -> bool:
    return (field in FIELDS and field not in NOT_TEXT) or (is_metadata(field) and bool(metadata_key(field).strip()))


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


def check_needs(
    section: Section, policy: DocumentPolicy, settings: Mapping[str, str], routes: Mapping[str, str], manifest: Manifest
) -> None:
    """Copies that could never be made, each of which would be held instead."""
    for kind in policy.mirrors:
        spec = manifest.documents.get(kind)
        for key in spec.needs if spec else ():
            if key not in settings and not (key == DEPOSIT_ACCOUNT and _all_routed(policy, routes)):
                where, article = f"[{dotted(section.path[:-1])}]", "an" if kind[0] in "aeiou" else "a"
                section.mistake(
                    "mirrors", f"a copy of {article} {kind} needs {key} in {where}: {manifest.settings[key].words}"
                )


def _all_routed(policy: DocumentPolicy, routes: Mapping[str, str]) -> bool:
    return bool(policy.sources) and set(policy.sources) <= routes.keys()


def deposits(section: Section, manifest: Manifest | None) -> dict[str, str]:
    """[connections.NAME.deposits]: the connection a payment comes from, or that.CURRENCY -> account of these books."""
    found = {}
    for key in section:
        # stripe-eu.EUR without quotes is a table in TOML, and means the same
        table = section.section(key) if section.is_table(key) else section
        for name in table if table is not section else (key,):
            account = table.text(name)
            route = key if table is section else f"{key}.{name}"
            currency = route.partition(".")[2]
            if "." in route and not _is_currency(currency):
                table.mistake(name, f"{currency!r} is no currency; a route is CONNECTION or CONNECTION.CURRENCY")
            elif account is not None:
                _check_form(table, name, account, DEPOSIT_ACCOUNT, manifest)
                found[route] = account
    spec = manifest.documents.get("payment") if manifest else None
    if found and manifest and not (spec and DEPOSIT_ACCOUNT in spec.needs):
        section.mistake(next(iter(section)), f"has no effect: {manifest.title} deposits no payments")
    return found


def _is_currency(text: str) -> bool:
    try:
        exponent(text)
    except InvalidInputError:
        return False
    return True


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def items(section: Section, manifest: Manifest | None) -> dict[str, str]:
    """[connections.NAME.items]: product of a document's origin -> item of the books there."""
    found = {product: item for product in section if (item := section.text(product)) is not None}
    for product, item in found.items():
        _check_form(section, product, item, DEFAULT_ITEM, manifest)
    if found and manifest is not None and not any(one.mirrors for one in manifest.documents.values()):
        section.mistake(next(iter(found)), f"has no effect: {manifest.title} gets no copies of documents")
    return found


def _check_form(table: Section, key: str, value: str, setting: str, manifest: Manifest | None) -> None:
    """A value of a table looks like that of the setting which it stands in for."""
    spec = manifest.settings.get(setting) if manifest else None
    if spec and (problem := spec.form.problem(value)):
        table.mistake(key, problem)
