"""HubSpot contacts and companies to neutral customers and back (pure).

Both directions stand beside each other: `_read_*` and `_write_*` of the same fields. A value is written in its
canonical spelling, so that a read after the write returns exactly that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from connectors.hubspot.manifest import BILLING_CONTACT, MANIFEST, NAME_LIMIT, TEXT_LIMIT
from connectors.hubspot.translate import overview
from connectors.hubspot.translate.definition import Definition
from connectors.hubspot.translate.overview import PLACES
from connectors.hubspot.translate.reading import ADDRESS, NAMES, TEXTS, Reading, framed_in
from connectors.hubspot.wire import (
    ACCORD_REF,
    MERGED,
    MODIFIED,
    ObjectType,
    is_storable,
    join_id,
)
from core.errors import BugError, RejectedError
from core.model.country import country_code, country_name
from core.model.family import PARENT
from core.model.remote import Patch, Refusal, Remote, Wanted
from core.model.values import ADDRESS_PARTS, PART_OF, Value, is_figure, is_metadata, metadata_key, tidy
from core.ports import ConnectionConfig

CUSTOMER_TYPES: Final[Mapping[ObjectType, str]] = {"contact": "individual", "company": "company"}
OBJECT_TYPES: Final[Mapping[str, ObjectType]] = {"individual": "contact", "company": "company"}

FOREIGN: Final = ("lago_customer_id", "flexprice_customer_id")
"""Other writers' markers. Asking for a property that an account does not have is harmless."""

DEFAULT_EXTERNAL_ID: Final = "external_customer_id"
METADATA_PREFIX: Final = "accord_m_"

_IDENTIFYING: Final[Mapping[ObjectType, frozenset[str]]] = {
    "contact": frozenset({"email", "firstname", "lastname"}),
    "company": frozenset({"name"}),
}
"""HubSpot creates nothing that has none of these (PROVIDERS §5)."""

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_ESCAPED: Final = re.compile(r"_(?=x)|[^a-z0-9_]")


def metadata_property(key: str) -> str:
    """`plan.Tier` -> `accord_m_plan_x2e__x54_ier`. Injective: every `_x` in the result is an escape."""
    return METADATA_PREFIX + _ESCAPED.sub(lambda found: f"_x{ord(found.group()):x}_", key)


class HubSpotTranslator:
    """Translates for one connection: its external id property, its metadata keys, its default type."""

    def __init__(self, config: ConnectionConfig) -> None:
        """Keys whose property name HubSpot could not hold are left out here and refused in `refusal`."""
        self.untyped: ObjectType = "company" if config.settings.get("untyped") == "company" else "contact"
        self.has_billing = config.settings.get(BILLING_CONTACT.setting) == "true"
        self.has_overview = config.overview
        self.external_property = config.external_id_field or DEFAULT_EXTERNAL_ID
        names = {key: metadata_property(key) for key in config.metadata_keys}
        self._metadata = {key: name for key, name in names.items() if len(name) <= NAME_LIMIT}
        # nothing of them can be there; left out, nobody would be told that their values are written nowhere
        self._nameless = dict.fromkeys(f"metadata.{key}" for key in names if key not in self._metadata)

    # ---- which properties ------------------------------------------------------------------------------

    def properties(self, object_type: ObjectType) -> tuple[str, ...]:
        """Every property a read asks for; HubSpot returns no others."""
        names = NAMES if object_type == "contact" else ()
        ours = (ACCORD_REF, self.external_property, MERGED, MODIFIED[object_type], *FOREIGN)
        figures = [one.name for one in PLACES.values()] if self.has_overview else ()
        asked = (*names, *TEXTS[object_type].values(), *ADDRESS.values(), *self._metadata.values(), *figures, *ours)
        return tuple(dict.fromkeys(asked))

    def definitions(self, object_type: ObjectType) -> tuple[Definition, ...]:
        """The properties that must be made before anything is written."""
        texts = {name: field for field, name in TEXTS[object_type].items() if name.startswith("accord_")}
        made = [Definition(name, f"Accord: {field}") for name, field in texts.items()]
        made.append(Definition(ADDRESS["line2"], "Accord: address line 2"))
        made.append(Definition(self.external_property, "External customer id"))
        made += [Definition(name, f"Accord: metadata {key}") for key, name in self._metadata.items()]
        made += overview.definitions() if self.has_overview else []
        return (Definition(ACCORD_REF, "Accord reference", is_unique=True), *made)

    # ---- reading ---------------------------------------------------------------------------------------

    def read(self, raw: bytes) -> Remote:
        """Bytes of one framed object -> neutral. Odd values are named in `unreadable`; the rest is read."""
        framed = framed_in(raw)
        properties = framed.object.properties
        found = Reading(properties)
        found.fields |= {"customer_type": CUSTOMER_TYPES[framed.type], **self._nameless}
        for field, name in TEXTS[framed.type].items():
            found.text(field, name)
        if framed.type == "contact":
            found.contact_name()
        found.address()
        for key, name in self._metadata.items():
            found.text(f"metadata.{key}", name)
        if self.has_overview:
            fields, unreadable = overview.read_figures(properties)
            found.fields |= fields
            found.unreadable |= unreadable
            found.unmade |= {field for field in fields if PLACES[field].name not in properties}
        above = None
        if framed.type == "company" and not isinstance(framed.parent, msgspec.UnsetType):
            above = found.parent(framed.parent)
        billed = None
        if framed.type == "contact" and not isinstance(framed.billed, msgspec.UnsetType):
            billed = tuple(join_id("company", one) for one in (framed.billed or "").split(";") if one)
        merged = (found.plain(MERGED) or "").split(";")
        marks = {name: found.plain(name) for name in FOREIGN}
        return Remote(
            id=join_id(framed.type, framed.object.id),
            fields=found.fields,
            unmade=frozenset(found.unmade),
            unreadable=found.unreadable,
            accord_ref=found.plain(ACCORD_REF),
            external_id=found.plain(self.external_property),
            is_archived=framed.object.archived,
            parent_id=above,
            part_of=billed,
            aliases=tuple(join_id(framed.type, one) for one in merged if one.isdecimal()),
            foreign_marks={name: mark for name, mark in marks.items() if mark},
        )

    # ---- spelling and limits ---------------------------------------------------------------------------

    def canonical(self, field: str, value: Value) -> Value:
        """The spelling that is written, and so read back."""
        if isinstance(value, dict):
            return tidy({part: _canonical_part(part, text) for part, text in value.items()})
        if not isinstance(value, str):
            return tidy(value)
        if is_figure(field):
            return overview.canonical_figure(field, value)
        if field == "name":
            return " ".join(value.split()) or None
        return (value.strip().lower() if field == "email" else value.strip()) or None

    def refusal(self, field: str, value: Value) -> Refusal | None:
        """Why HubSpot cannot hold `value`; whether the object's type fits is only known in `patch`."""
        outside = self._outside(field)
        if outside:
            return outside
        canonical = self.canonical(field, value)
        if field == PARENT:
            return None  # whether its object can have children is not in its external id
        if field == "customer_type":
            # blank as well: an object of HubSpot's is always one or the other
            fits = canonical in ("company", "individual")
            return None if fits else _refusal(field, "is no customer type", "company or individual")
        if canonical is None:
            return None
        if field == "billing_address":
            return _address_refusal(canonical)
        if not isinstance(canonical, str):
            return _refusal(field, "is not text", "one line of text")
        if field == "email" and not _EMAIL.fullmatch(canonical):
            return _refusal(field, "is no e-mail address", "name@host.tld, without spaces")
        return _text_refusal(field, canonical)

    def _outside(self, field: str) -> Refusal | None:
        if not is_metadata(field):
            known = field in MANIFEST.fields or (self.has_overview and field in PLACES)
            return None if known else _refusal(field, "has no place at HubSpot", "the connector's projected fields")
        key = metadata_key(field)
        if key in self._metadata:
            return None
        if len(metadata_property(key)) > NAME_LIMIT:
            limit = f"{NAME_LIMIT} characters, prefix and escapes included"
            return _refusal(field, "makes too long a property name", limit)
        return _refusal(field, "is not allow-listed", "metadata_keys of the connection")

    # ---- writing ---------------------------------------------------------------------------------------

    def patch(self, wanted: Wanted, current: bytes | None) -> Patch:
        """The properties to write, and the type they are for; an empty patch when nothing differs."""
        if PART_OF in wanted.fields and current is not None:
            return self._tied(wanted, current)
        for field, value in wanted.fields.items():
            refusal = self.refusal(field, value)
            if refusal:
                raise RejectedError(refusal.problem, field=field, limit=refusal.limit, cure=refusal.cure)
        if current is None:
            return self._create(wanted)
        if PARENT in wanted.fields:
            return self._moved(wanted, current)
        framed, known = framed_in(current), self.read(current)
        there = framed.object.properties
        changes = _differing(self._markers(wanted), there)
        for field, value in wanted.fields.items():
            new = self.canonical(field, value)
            is_there = field in known.fields and self.canonical(field, known.fields[field]) == new
            written = {} if is_there else self._written(framed.type, field, new, there)
            # all of a field or nothing: half of it beside somebody's other half is a value that nobody wrote
            changes |= written if _differing(written, there) else {}
        return Patch(body={"type": framed.type, "properties": dict(sorted(changes.items()))} if changes else {})

    def _moved(self, wanted: Wanted, current: bytes) -> Patch:
        """Another company above a company. Associations are written apart: such a wish names nothing else."""
        framed, known = framed_in(current), self.read(current)
        to = wanted.parent_id.partition(":")[2] if wanted.parent_id else None
        old = known.parent_id.partition(":")[2] if known.parent_id else None
        if len(wanted.fields) > 1 or framed.type != "company":
            raise BugError("HubSpot: a parent is written apart, and only to a company")
        if to == old and PARENT not in known.unreadable:
            return Patch(body={})
        there = (framed.parent or "") if isinstance(framed.parent, str) else ""
        return Patch(body={"type": "company", "parent": {"from": [one for one in there.split(";") if one], "to": to}})

    def _tied(self, wanted: Wanted, current: bytes) -> Patch:
        """A contact as the billing contact of a company: an association, written apart as well."""
        whole = wanted.fields[PART_OF]
        if len(wanted.fields) > 1 or not isinstance(whole, str) or not whole.startswith("company:"):
            raise BugError("HubSpot: a billing contact is tied by itself, and to a company")
        known = self.read(current)
        if whole in (known.part_of or ()):
            return Patch(body={})
        return Patch(body={"type": "contact", "billed": whole.partition(":")[2]})

    def _create(self, wanted: Wanted) -> Patch:
        object_type = OBJECT_TYPES.get(str(wanted.fields.get("customer_type")), self.untyped)
        if wanted.part:
            object_type = "contact"
        changes: dict[str, str] = {}
        for field, value in wanted.fields.items():
            if field not in ("customer_type", PARENT):
                changes |= self._written(object_type, field, self.canonical(field, value), {})
        properties = dict(sorted(_differing(changes | self._markers(wanted), {}).items()))
        if not _IDENTIFYING[object_type] & properties.keys():
            rule = "a contact needs a name or an e-mail, a company a name"
            raise RejectedError("is missing", field="name", limit=rule, cure="give the customer a name")
        return Patch(body={"type": object_type, "properties": properties})

    def _markers(self, wanted: Wanted) -> dict[str, str]:
        marks = {ACCORD_REF: wanted.mark, self.external_property: wanted.external_id}
        return {name: text for name, text in marks.items() if text is not None}

    def _written(self, object_type: ObjectType, field: str, value: Value, current: Mapping[str, Any]) -> dict[str, str]:
        """The properties that make `field` of an object hold the canonical `value`; "" clears."""
        if field == "customer_type":
            raise _unfitting(object_type, value)
        if field == "billing_address":
            return _write_address(value if isinstance(value, dict) else {}, current)
        text = value if isinstance(value, str) else ""
        if field == "name" and object_type == "contact":
            return _write_contact_name(text)
        if is_figure(field):
            return overview.written_figure(field, text)
        if is_metadata(field):
            return {self._metadata[metadata_key(field)]: text}
        return {TEXTS[object_type][field]: text}


def _canonical_part(part: str, text: str) -> str:
    text = text.strip()
    return (country_code(text) or text) if part == "country" else text


def _write_address(wanted: Mapping[str, str], current: Mapping[str, Any]) -> dict[str, str]:
    properties = {name: wanted.get(part, "") for part, name in ADDRESS.items()}
    country = wanted.get("country")
    if country:
        there = current.get("country")
        # `Deutschland` stays as somebody wrote it while it means what is wanted
        same = isinstance(there, str) and country_code(there) == country
        properties["country"] = str(there) if same else country_name(country)
    return properties


def _differing(written: Mapping[str, str], there: Mapping[str, Any]) -> dict[str, str]:
    return {name: text for name, text in written.items() if text != (there.get(name) or "")}


def _write_contact_name(text: str) -> dict[str, str]:
    first, _, last = text.rpartition(" ")
    return {"firstname": first or last, "lastname": last if first else ""}


def _unfitting(object_type: ObjectType, customer_type: Value) -> RejectedError:
    return RejectedError(
        f"a {object_type} cannot become {customer_type}",
        field="customer_type",
        limit="contacts are individuals, companies are companies",
        cure="unlink it, and let it be created again as the other type",
    )


def _refusal(field: str, problem: str, limit: str) -> Refusal:
    return Refusal(field=field, problem=problem, limit=limit, cure="change it, or switch the field off here")


def _text_refusal(field: str, text: str) -> Refusal | None:
    if is_figure(field):
        return overview.figure_refusal(field, text)
    if len(text) > TEXT_LIMIT:
        return _refusal(field, f"has {len(text)} characters", f"{TEXT_LIMIT} characters")
    return None if is_storable(text) else _refusal(field, "holds a character that cannot be stored", "no U+0000")


def _address_refusal(address: Value) -> Refusal | None:
    field = "billing_address"
    if not isinstance(address, dict) or not set(address) <= set(ADDRESS_PARTS):
        return _refusal(field, "is no address", ", ".join(ADDRESS_PARTS))
    country = address.get("country")
    if country and country_code(country) != country:
        return _refusal(field, f"has the unknown country {country[:100]!r}", "ISO 3166 countries")
    return next(filter(None, (_text_refusal(field, text) for text in address.values())), None)
