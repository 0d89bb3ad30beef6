"""accord.toml -> core.model.policy: who may enter, who owns what, when to stop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

import msgspec

from config.documents import document_policy
from config.section import Section, did_you_mean
from core.model.customer import FIELDS, NOT_TEXT
from core.model.policy import (
    DEFAULT_RULES,
    HOLD,
    METADATA_RULE,
    Clear,
    ConnectionPolicy,
    FieldFilter,
    Flow,
    Guard,
    Rule,
    Scope,
    WhenArchived,
)
from core.model.remote import Manifest
from core.model.values import METADATA_PREFIX, is_metadata, metadata_key

METADATA: Final = "metadata"
"""Stands for every metadata key."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
LONGEST_SECONDS: Final = 366 * 86_400.0
"""A time longer than a year is a slip of the hand: nobody waits for it."""
MOST_RECORDS: Final = 1_000_000_000
FLOWS: Final[tuple[Flow, ...]] = get_args(Flow)
CLEARS: Final[tuple[Clear, ...]] = get_args(Clear)
ARCHIVINGS: Final[tuple[WhenArchived, ...]] = get_args(WhenArchived)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A connection as the policy sees it: which neutral fields it can carry."""

    name: str
    manifest: Manifest
    metadata_keys: tuple[str, ...]

    def carries(self, field: str) -> bool:
        """Whether values of `field` can go to and come from this connection; `metadata` means any key."""
        metadata = self.manifest.metadata
        if field == METADATA:
            return metadata is not None and (metadata.is_open or bool(self.metadata_keys))
        if is_metadata(field):
            return metadata is not None and (metadata.is_open or metadata_key(field) in self.metadata_keys)
        return field in self.manifest.fields

    def why_not(self, field: str) -> str:
        """Words for a field that it does not carry, with the cure where there is one."""
        metadata = self.manifest.metadata
        if (is_metadata(field) or field == METADATA) and metadata is not None:
            return f"{self.name} carries only the metadata keys in its metadata_keys; add it there"
        return f"{self.manifest.title} has no place for {field}"


def connection_policy(section: Section, name: str, provider: str, carrier: Carrier | None) -> ConnectionPolicy:
    """The policy keys of one [connections.NAME]. `carrier` is None when its provider is not known."""
    default = ConnectionPolicy(name=name, provider=provider)
    enters = section.choice("enters", SCOPES, default.enters)
    creates = section.choice("creates", SCOPES, default.creates)
    return ConnectionPolicy(
        name=name,
        provider=provider,
        enters=enters,
        creates=creates,
        enters_filter=_filter(section, "enters", enters, carrier),
        creates_filter=_filter(section, "creates", creates, None),
        match_email=section.flag("match_email", default=default.match_email),
        external_id_field=_external_id_field(section, carrier),
        accept_foreign_marks=section.flag("accept_foreign_marks", default=default.accept_foreign_marks),
        when_archived=_when_archived(section, carrier, default.when_archived),
        flows=_flows(section.section("flows"), carrier),
        documents=document_policy(section.section("documents"), carrier.manifest if carrier else None),
    )


def _when_archived(section: Section, carrier: Carrier | None, default: WhenArchived) -> WhenArchived:
    wanted = section.choice("when_archived", ARCHIVINGS, default)
    if wanted == "archive" and carrier and not carrier.manifest.archives:
        section.mistake(
            "when_archived",
            f"{carrier.manifest.title} can only delete a customer, for good: Accord never does; leave it out",
        )
    return wanted


def _filter(section: Section, key: str, scope: Scope, carrier: Carrier | None) -> FieldFilter | None:
    name = f"{key}_filter"
    table = section.section(name)
    if name not in section:
        if scope == "filter":
            section.mistake(key, f'is "filter", which needs {name} = {{ field = "...", values = ["..."] }}')
        return None
    if scope != "filter":
        section.mistake(name, f'has no effect unless {key} = "filter"')
    for missing in ("field", "values"):
        if missing not in table:
            section.mistake(name, f"lacks {missing}")
    field, values = table.text("field"), table.texts("values")
    if "values" in table and not values:
        table.mistake("values", "names no value, so nothing would pass")
    if field is not None and _is_field(table, "field", field):
        _comparable(table, field, carrier)
    return FieldFilter(field or "", values)


def _comparable(table: Section, field: str, carrier: Carrier | None) -> None:
    if field in NOT_TEXT or field == METADATA:
        table.mistake("field", f"{field} is not one text, so it never equals one of the values")
    elif carrier and not carrier.carries(field):
        table.mistake("field", carrier.why_not(field))


def _external_id_field(section: Section, carrier: Carrier | None) -> str | None:
    place = section.text("external_id_field")
    if place is None or carrier is None:
        return place
    metadata, title = carrier.manifest.metadata, carrier.manifest.title
    if metadata is None and not carrier.manifest.has_marker:
        section.mistake("external_id_field", f"{title} has no place for an external id")
    elif metadata is not None and metadata.is_open and not (is_metadata(place) and metadata_key(place).strip()):
        section.mistake("external_id_field", f'{title} keeps it in metadata: write "metadata.<key>"')
    elif metadata is not None and not metadata.is_open and is_metadata(place):
        section.mistake("external_id_field", f"{title} keeps it in a property: write that property's name alone")
    elif place != place.strip():
        section.mistake("external_id_field", "begins or ends with a blank")
    return place


def _flows(section: Section, carrier: Carrier | None) -> dict[str, Flow]:
    flows: dict[str, Flow] = {}
    for field, table, key in fields_in(section):
        if table.is_table(key) and field == METADATA:
            continue  # flows.metadata.plan: its keys follow
        flow = table.choice(key, FLOWS, "both")
        if not _is_field(table, key, field):
            continue
        if carrier and not carrier.carries(field):
            table.mistake(key, carrier.why_not(field))
        flows[field] = flow
    return flows


# ---- fields ----------------------------------------------------------------------------------------


def field_rules(section: Section, sources: Collection[str]) -> dict[str, Rule]:
    """[fields.NAME]: each key replaces that part of the default rule. `sources` may be named in on_conflict."""
    rules: dict[str, Rule] = {}
    # `metadata` first: its keys inherit from it, wherever in the file they stand
    for field, outer, key in sorted(fields_in(section), key=lambda found: found[0] != METADATA):
        table = outer.section(key)
        if not _is_field(outer, key, field):
            table.allow_rest()
            continue
        if field in rules:
            outer.mistake(key, f"{field} has rules elsewhere in this file too; keep one of the two")
        default = _default_rule(field, rules)
        rules[field] = Rule(
            flow=table.choice("flow", FLOWS, default.flow),
            ranks=_ranks(table, default.ranks, sources),
            clear=table.choice("clear", CLEARS, default.clear),
        )
    return rules


def _default_rule(field: str, rules: Mapping[str, Rule]) -> Rule:
    if field == METADATA or is_metadata(field):
        return rules.get(METADATA, METADATA_RULE)
    return DEFAULT_RULES.get(field, Rule())


def _ranks(table: Section, default: tuple[str, ...], sources: Collection[str]) -> tuple[str, ...]:
    if "on_conflict" not in table:
        return default
    if not table.is_list("on_conflict"):
        if table.scalar("on_conflict") not in (None, "hold"):
            table.mistake("on_conflict", 'must be a list of sources, best first, or "hold"')
        return HOLD
    ranks = table.texts("on_conflict")
    if not ranks:
        table.mistake("on_conflict", 'names nobody; to ask a person, write "hold"')
    for source in ranks:
        if source not in sources:
            table.mistake("on_conflict", f"{source!r} is no connection{did_you_mean(source, sources)}")
    return ranks


def fields_in(section: Section) -> Iterator[tuple[str, Section, str]]:
    """(field, the table it stands in, its key there); metadata keys as `"metadata.plan"` or inside `metadata`."""
    for key in section:
        yield key, section, key
        if key == METADATA and section.is_table(key):
            inner = section.section(key)
            yield from ((METADATA_PREFIX + name, inner, name) for name in _metadata_names(section, inner))


def _metadata_names(section: Section, inner: Section) -> list[str]:
    # [fields.metadata] has options beside its keys, which are tables; in flows every entry is a key
    is_rules = section.path == ("fields",)
    return [name for name in inner if inner.is_table(name) or not is_rules]


def _is_field(section: Section, key: str, field: str) -> bool:
    if field in FIELDS or field == METADATA or (is_metadata(field) and metadata_key(field).strip()):
        return True
    section.mistake(key, f"{field!r} is no field of a customer{did_you_mean(field, (*FIELDS, METADATA))}")
    return False


# ---- guard -----------------------------------------------------------------------------------------


def guard(section: Section) -> Guard:
    """[guard]: the thresholds of the mass-change stop."""
    default = Guard()
    given: dict[str, float | int] = {}
    for name in Guard.__struct_fields__:
        value = getattr(default, name)
        if isinstance(value, int):
            given[name] = section.count(name, value, most=MOST_RECORDS)
        else:
            given[name] = section.number(name, value, most=LONGEST_SECONDS if name == "window_seconds" else 1.0)
    return msgspec.structs.replace(default, **given)
