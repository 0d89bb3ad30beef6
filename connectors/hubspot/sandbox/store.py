"""Objects of one type with HubSpot's rules: properties, uniqueness, merges, archive, and an index that lags."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.hubspot.sandbox.answers import Refused, bad_request, invalid, iso, not_found
from connectors.hubspot.sandbox.definitions import MAX_CUSTOM, MAX_UNIQUE, checked_definition, definition_of
from connectors.hubspot.sandbox.settings import HubSpotSettings
from connectors.hubspot.sandbox.types import (
    BUILT_IN,
    COMPUTED,
    IDENTIFYING,
    MODIFIED,
    chosen,
    definitions,
    read_only,
    spelled,
)

TEXT_LIMIT: Final = 65_536  # PROVIDERS §5
EMAIL: Final = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")
BIN_MILLISECONDS: Final = 90 * 86_400_000  # PROVIDERS §3


@dataclass(slots=True)
class Record:
    """One object. `history` has every write: when, by whom, which properties became another value."""

    id: str
    properties: dict[str, str]
    created: str
    modified: int
    modified_iso: str
    archived_at: int | None = None
    merged: list[str] = field(default_factory=list)
    history: list[tuple[int, str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def is_archived(self) -> bool:
        """Whether it is in the recycle bin."""
        return self.archived_at is not None

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Every value a property had, newest first (PROVIDERS §3)."""
        found = [(at, source, changes[name]) for at, source, changes in self.history if name in changes]
        return [{"value": value, "timestamp": iso(at), "sourceType": source} for at, source, value in reversed(found)]


@dataclass(frozen=True, slots=True)
class Indexed:
    """What search knows of a record."""

    id: str
    properties: Mapping[str, str]
    modified: int


class Table:
    """All objects of one type in one account."""

    def __init__(self, object_type: str, first_id: int, settings: Callable[[], HubSpotSettings]) -> None:
        """Start with HubSpot's own properties."""
        self.type = object_type
        self.label = object_type.upper()
        self.records: dict[str, Record] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.index: dict[str, Indexed] = {}
        self.survivors: dict[str, str] = {}
        self._settings = settings
        self._order: list[int] = []
        self._bin: deque[tuple[int, str]] = deque()
        self._next_id = first_id
        self._unique: dict[str, dict[str, str]] = {}
        self._lagging: deque[tuple[float, str, Indexed | None]] = deque()
        self.computed: Callable[[Record, str], str | None] = lambda _record, _name: None
        self._read_only = read_only(object_type)
        self.definitions |= definitions(object_type)
        self._built_in = len(self.definitions)
        self._archived_definitions: dict[str, dict[str, Any]] = {}
        if object_type == "contact":
            # contacts, and only they, are deduplicated on e-mail (PROVIDERS §2)
            self._unique["email"] = {}

    # ---- properties ------------------------------------------------------------------------------------

    def define(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a property (PROVIDERS §2: uniqueness only at creation, at most ten unique ones)."""
        wanted = checked_definition(body, self.groups)
        name = wanted["name"]
        if name in self.definitions:  # PROVIDERS §2
            code = "Properties.PROPERTY_WITH_NAME_EXISTS"
            raise Refused(409, "OBJECT_ALREADY_EXISTS", f"Property {name} already exists", subCategory=code)
        if name in self._archived_definitions:
            # it comes back as it was: what it is, and that its values are unique, is not up to the body
            self.definitions[name] = self._archived_definitions.pop(name)
            return self.definitions[name]
        if len(self.definitions) - self._built_in >= MAX_CUSTOM:  # PROVIDERS §5: 1,000
            raise bad_request(f"at most {MAX_CUSTOM} custom properties are allowed for one type of object")
        if wanted["hasUniqueValue"]:
            if sum(bool(one["hasUniqueValue"]) for one in self.definitions.values()) >= MAX_UNIQUE:
                raise bad_request(f"at most {MAX_UNIQUE} unique properties are allowed")  # PROVIDERS §2: ten
            self._unique[name] = {}
        self.definitions[name] = wanted
        return wanted

    def archive_property(self, name: str) -> None:
        """A person archives it: unknown to every request from now on, while the values stay."""
        self._archived_definitions[name] = self.definitions.pop(name)

    def define_by_hand(self, names: Sequence[str]) -> None:
        """A person who fills in a property that is not there has made it first."""
        for name in names:
            if name not in self.definitions:
                self.definitions[name] = definition_of(name)

    # ---- looking ---------------------------------------------------------------------------------------

    def live(self, hubspot_id: str) -> Record | None:
        """The object of an id; a merged-away id leads to its survivor, where the account follows merges."""
        while self._settings().follows_merges and hubspot_id in self.survivors:
            hubspot_id = self.survivors[hubspot_id]
        record = self.records.get(hubspot_id)
        return record if record and not record.is_archived else None

    def by_unique(self, name: str, value: str) -> Record | None:
        """The object that holds a unique value."""
        if name not in self._unique or name not in self.definitions:  # PROVIDERS §2: unique ones only
            raise bad_request(f"Unable to perform read by non-unique {self.label} property {name}")
        holder = self._unique[name].get(_normal(name, value))
        return self.records[holder] if holder else None

    def page(self, after: int, limit: int, *, is_archived: bool) -> tuple[list[Record], bool]:
        """Records with an id greater than `after`, by ascending id; and whether there are more."""
        found: list[Record] = []
        for number in self._order[bisect_right(self._order, after) :]:
            record = self.records.get(str(number))
            if record is None or record.is_archived != is_archived:
                continue
            if len(found) == limit:
                return found, True
            found.append(record)
        return found, False

    def all_live(self) -> Iterator[Record]:
        """Every live object, by ascending id."""
        return (record for record in self.records.values() if not record.is_archived)

    def value(self, record: Record, name: str) -> str | None:
        """A property as a read returns it."""
        if name == "hs_object_id":
            return record.id
        if name == "createdate":
            return record.created
        if name == MODIFIED[self.type]:
            return record.modified_iso
        if name == "hs_merged_object_ids":
            return ";".join(record.merged) or None
        if name in COMPUTED[self.type]:
            return self.computed(record, name)
        return record.properties.get(name) or None

    # ---- checking --------------------------------------------------------------------------------------

    def checked(self, properties: object) -> dict[str, str]:
        """Properties of a write, normalised; Refused when HubSpot would."""
        if not isinstance(properties, dict):
            raise bad_request("Invalid input JSON: properties must be an object")  # PROVIDERS §5
        for name, value in properties.items():
            if name not in self.definitions:
                raise invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')  # PROVIDERS §5
            if name in self._read_only:  # PROVIDERS §5: HubSpot's own to reckon
                raise invalid(name, "READ_ONLY_VALUE", f'"{name}" is a read only property')
            if not isinstance(value, str):  # PROVIDERS §5: all values are texts
                raise bad_request(f"Invalid input JSON: the value of {name} must be a string")
            if len(value) > TEXT_LIMIT:  # PROVIDERS §5: 65,536
                raise invalid(name, "INVALID_LENGTH", f"{name} has more than {TEXT_LIMIT} characters")
        email = _normal("email", properties.get("email", "")) if self.type == "contact" else ""
        if email and not EMAIL.fullmatch(email):
            raise invalid("email", "INVALID_EMAIL", f"Email address {email} is invalid")  # PROVIDERS §5
        return {name: self.normal(name, value) for name, value in properties.items()}

    def normal(self, name: str, value: str) -> str:
        """HubSpot's own spelling: a contact's e-mail is trimmed and lower-cased, numbers and dates have one form."""
        if self.type == "contact":
            value = _normal(name, value)
        if name in BUILT_IN[self.type]:
            return spelled(name, BUILT_IN[self.type][name], value)
        return spelled(name, self.definitions[name]["type"], chosen(self.definitions[name], value))

    def clash(self, record: Record | None, properties: Mapping[str, str]) -> tuple[str, str] | None:
        """The unique property and the other live object that holds the value wanted for it."""
        for name, held in self._unique.items():
            value = properties.get(name)
            holder = held.get(value) if value else None
            if holder and not (record and holder == record.id):
                return name, holder
        return None

    def claims(self, properties: Mapping[str, str]) -> set[tuple[str, str]]:
        """The unique values among these."""
        return {(name, properties[name]) for name in self._unique if properties.get(name)}

    def check_unique(self, record: Record | None, properties: Mapping[str, str]) -> None:
        """Refused when another live object holds one of the values (PROVIDERS §2)."""
        clash = self.clash(record, properties)
        if clash is None:
            return
        name, holder = clash
        if name == "email":
            raise Refused(409, "CONFLICT", f"Contact already exists. Existing ID: {holder}")
        what = f"Cannot set PropertyValueCoordinates{{propertyName={name}, value={properties[name]}}}"
        told = f"{what} on {record.id if record else 'new object'}. {holder} already has that value."
        raise invalid(name, "CONFLICTING_UNIQUE_VALUE", told)

    def check_identified(self, properties: Mapping[str, str]) -> None:
        """HubSpot creates nothing without a name of some kind (PROVIDERS §5)."""
        if not any(properties.get(name) for name in IDENTIFYING[self.type]):
            raise bad_request(f"One of {', '.join(IDENTIFYING[self.type])} is required to create a {self.type}")

    # ---- changing --------------------------------------------------------------------------------------

    def create(self, properties: Mapping[str, str], now: int, source: str) -> Record:
        """A new object with the next id."""
        stamp = iso(now)
        record = Record(str(self._next_id), {}, stamp, now, stamp)
        self._order.append(self._next_id)
        self._next_id += 1
        self.records[record.id] = record
        self.update(record, properties, now, source)
        return record

    def update(self, record: Record, properties: Mapping[str, str], now: int, source: str) -> None:
        """PROVIDERS §3: every write moves the modification time, also one that changes nothing; which is no version."""
        changed = {name: text for name, text in properties.items() if text != record.properties.get(name, "")}
        for name, held in self._unique.items():
            if name in properties:
                self._release(record, name)
                if properties[name]:
                    held[properties[name]] = record.id
        record.properties.update(properties)
        record.history.append((now, source, changed))
        record.modified, record.modified_iso = now, iso(now)

    def archive(self, record: Record, now: int) -> None:
        """Into the recycle bin (PROVIDERS §3); that unique values are free again is the stricter reading."""
        record.archived_at = now
        self._bin.append((now, record.id))
        self._release_all(record)

    def erase(self, record: Record, now: int) -> None:
        """Past the recycle bin."""
        self.archive(record, now)
        del self.records[record.id]

    def restore(self, record: Record, now: int) -> None:
        """Out of the recycle bin."""
        record.archived_at = None
        self.update(record, dict(record.properties), now, "CRM_UI")

    def empty_bin(self, now: int) -> None:
        """Forget for good what has been in the recycle bin for ninety days (PROVIDERS §3)."""
        while self._bin and self._bin[0][0] <= now - BIN_MILLISECONDS:
            since, hubspot_id = self._bin.popleft()
            record = self.records.get(hubspot_id)
            # restored meanwhile, and maybe archived again since
            if record and record.archived_at == since:
                del self.records[hubspot_id]

    def merge(self, primary: Record, absorbed: Record, now: int) -> Record:
        """A new object with a new id takes the place of both, or the primary does; its values stand (PROVIDERS §3)."""
        values = absorbed.properties | {name: value for name, value in primary.properties.items() if value}
        if not self._settings().merge_makes_id:
            self._release_all(absorbed)
            del self.records[absorbed.id]
            self.update(primary, values, now, "CRM_UI")
            primary.merged += [*absorbed.merged, absorbed.id]
            self.survivors[absorbed.id] = primary.id
            return primary
        for old in (primary, absorbed):
            self._release_all(old)
            del self.records[old.id]
        new = self.create(values, now, "CRM_UI")
        new.merged = [*primary.merged, *absorbed.merged, primary.id, absorbed.id]
        self.survivors |= {primary.id: new.id, absorbed.id: new.id}
        return new

    def _release_all(self, record: Record) -> None:
        for name in self._unique:
            self._release(record, name)

    def _release(self, record: Record, name: str) -> None:
        """Let go of a unique value, unless another object has taken it since."""
        held, value = self._unique[name], record.properties.get(name, "")
        if held.get(value) == record.id:
            del held[value]

    # ---- the search index ------------------------------------------------------------------------------

    def reindex(self, record: Record, visible_at: float) -> None:
        """Search will know at `visible_at` what is so now, and nothing archived (PROVIDERS §3)."""
        is_gone = record.is_archived or record.id not in self.records
        known = None if is_gone else Indexed(record.id, dict(record.properties), record.modified)
        self._lagging.append((visible_at, record.id, known))

    def catch_up(self, now: float) -> None:
        """Let the index learn what is due."""
        while self._lagging and self._lagging[0][0] <= now:
            _, hubspot_id, known = self._lagging.popleft()
            if known is None:
                self.index.pop(hubspot_id, None)
            else:
                self.index[hubspot_id] = known

    def missing(self, ids: Sequence[str]) -> Refused:
        """What a batch says about these."""
        return not_found(self.label, ids)


def _normal(name: str, value: str) -> str:
    return value.strip().lower() if name == "email" and isinstance(value, str) else value
