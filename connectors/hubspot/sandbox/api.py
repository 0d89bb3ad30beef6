"""HubSpot's API over an account: routes, checks in HubSpot's order, bodies as HubSpot writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from connectors.hubspot.sandbox.account import ACCORD, AccountState
from connectors.hubspot.sandbox.answers import (
    BATCH,
    Refused,
    answer,
    bad_request,
    inputs_in,
    iso,
    no_such_path,
    not_found,
    rate_limited,
)
from connectors.hubspot.sandbox.call import Call
from connectors.hubspot.sandbox.limits import Limits
from connectors.hubspot.sandbox.links import ties_inline
from connectors.hubspot.sandbox.rules import check_rules
from connectors.hubspot.sandbox.search import hit, search
from connectors.hubspot.sandbox.store import Record, Table
from connectors.hubspot.sandbox.ties import MOST, are_known, labels_answer, ties_answer
from connectors.hubspot.sandbox.types import DEFAULTS, MODIFIED, NAMES
from core.ports import HttpRequest, HttpResponse

HISTORY_BATCH: Final = 50  # PROVIDERS §1
TRACE: Final = "objectWriteTraceId"
_CRM: Final = re.compile(r"/crm/(?:(objects|properties)/2026-0[39]|v3/(objects|properties))/([^/]+)(/.*)?")
_TIES: Final = re.compile(r"/crm/(?:associations/2026-0[39]|v4/associations)/([^/]+)/([^/]+)/(labels|batch/.+)")
_ACCOUNT: Final = re.compile(r"/account-info/(?:2026-0[39]|v3)/details")
_BATCH_NAMES: Final = {"/batch/create": "create", "/batch/update": "update", "/batch/upsert": "upsert"}


class BatchWrite(Protocol):
    """One input of a batch; a trial only checks."""

    def __call__(self, table: Table, given: Mapping[str, Any], *, is_trial: bool) -> dict[str, Any]:
        """What the input's result shows; of a trial, the properties that would be written."""
        ...


class Api:
    """Answers requests; `reads` counts those that only look."""

    def __init__(self, state: AccountState) -> None:
        """Rate limits start fresh."""
        self.reads = 0
        self._state = state
        self.limits = Limits(lambda: state.settings)
        self._busy_until: dict[str, float] = {}

    def respond(self, request: HttpRequest) -> HttpResponse:
        """One request as HubSpot would answer it."""
        url = urlsplit(request.url)
        call = Call(request.method, "", parse_qs(url.query), request.body)
        if request.headers.get("authorization") != f"Bearer {self._state.settings.access_token}":
            words = "Authentication credentials not found or invalid."
            return Refused(401, "INVALID_AUTHENTICATION", words).response  # PROVIDERS §6
        is_search = url.path.endswith("/search")
        refusal = self.limits.refusal(self._state.clock.now(), is_search=is_search)
        return refusal or self.limits.told(self._answered(url.path, call), is_search=is_search)

    def _answered(self, path: str, call: Call) -> HttpResponse:
        try:
            return self._routed(path, call)
        except Refused as refused:
            return refused.response

    def too_many(self, request: HttpRequest) -> HttpResponse:
        """The 429 that `request` would get; nothing is counted."""
        return rate_limited("SECONDLY" if urlsplit(request.url).path.endswith("/search") else "TEN_SECONDLY_ROLLING")

    def keep_busy(self, object_type: str, seconds: float) -> None:
        """Bulk writes to one type of object are locked for so long (PROVIDERS §1)."""
        self._busy_until[object_type] = self._state.clock.now() + seconds

    # ---- routes ----------------------------------------------------------------------------------------

    def _routed(self, path: str, call: Call) -> HttpResponse:
        if _ACCOUNT.fullmatch(path) and call.method == "GET":
            self.reads += 1
            settings = self._state.settings
            told = {
                "portalId": settings.portal_id,
                "accountType": settings.account_type,
                "timeZone": settings.time_zone,
            }
            return answer(200, told)
        ties = _TIES.fullmatch(path)
        if ties:
            return self._associations([self._table(ties.group(1)), self._table(ties.group(2))], ties.group(3), call)
        found = _CRM.fullmatch(path)
        table = self._table(found.group(3)) if found else None
        if found is None or table is None:
            return no_such_path()
        area = found.group(1) or found.group(2)
        call = Call(call.method, found.group(4) or "", call.query, call.body)
        is_reading = call.method == "GET" or call.tail in ("/search", "/batch/read")
        self._check_scope("objects" if area == "objects" else "schemas", table, is_reading=is_reading)
        self.reads += is_reading
        return self._objects(table, call) if area == "objects" else self._properties(table, call)

    def _table(self, name: str) -> Table | None:
        return next((self._state.tables[kind] for kind, names in NAMES.items() if name in names), None)

    def _check_scope(self, area: str, table: Table, *, is_reading: bool) -> None:
        """403 names the scope that the token lacks (PROVIDERS §6)."""
        scope = f"crm.{area}.{NAMES[table.type][1]}.{'read' if is_reading else 'write'}"
        if scope not in self._state.settings.scopes:
            words = "This app hasn't been granted all required scopes to make this call."
            errors = [{"message": words, "context": {"requiredGranularScopes": [scope]}}]
            raise Refused(403, "MISSING_SCOPES", words, errors=errors)

    def _objects(self, table: Table, call: Call) -> HttpResponse:
        posts: dict[str, Callable[[Table, Call], HttpResponse]] = {
            "": self._create_one,
            "/batch/read": self._batch_read,
            "/batch/archive": self._batch_archive,
            "/merge": self._merge,
            "/search": self._search,
        }
        if call.one("archived") == "true" and (call.method, call.tail) != ("GET", ""):
            raise bad_request("this look-alike shows the recycle bin in listings only")
        if call.method == "POST" and call.tail in posts:
            return posts[call.tail](table, call)
        if call.method == "POST" and call.tail in _BATCH_NAMES:
            return self._batch_write(table, call, _BATCH_NAMES[call.tail])
        if call.method == "GET" and not call.tail:
            return self._list(table, call)
        if not re.fullmatch(r"/[^/]+", call.tail):
            return no_such_path()
        return self._one(table, call)

    def _associations(self, ends: Sequence[Table | None], what: str, call: Call) -> HttpResponse:
        start, end = ends
        if start is None or end is None or not are_known(start.type, end.type, what):
            return no_such_path()
        batch = what.removeprefix("batch/")
        if (what, call.method) != ("labels", "GET") and (batch not in MOST or call.method != "POST"):
            return no_such_path()
        is_reading = what in ("labels", "batch/read")
        self._check_scope("objects", start, is_reading=is_reading)
        if end.type != start.type:
            # what an invoice is tied to is only looked at; a contact and a company are both changed
            self._check_scope("objects", end, is_reading=is_reading or start.type == "invoice")
        self.reads += is_reading
        if what == "labels":
            return labels_answer(self._state, start.type)
        return ties_answer(self._state, (start.type, end.type), batch, inputs_in(call.json(), MOST[batch]))

    def _properties(self, table: Table, call: Call) -> HttpResponse:
        if call.tail == "/groups" and call.method == "POST":
            return self._create_group(table, call)
        if not call.tail and call.method == "GET":
            return answer(200, {"results": list(table.definitions.values())})
        if not call.tail and call.method == "POST":
            return answer(201, table.define(call.json()))
        if call.tail == "/batch/create" and call.method == "POST":
            return self._define_all(table, inputs_in(call.json()))
        name = call.tail.removeprefix("/")
        if call.method != "GET" or "/" in name:
            return no_such_path()
        if name not in table.definitions:  # PROVIDERS §2: archived ones too
            raise Refused(404, "OBJECT_NOT_FOUND", f"Property {name} does not exist")
        return answer(200, table.definitions[name])

    def _define_all(self, table: Table, inputs: Sequence[dict[str, Any]]) -> HttpResponse:
        """One that is there already refuses all of them."""
        known = [str(one.get("name")) for one in inputs if one.get("name") in table.definitions]
        if known:
            raise Refused(409, "OBJECT_ALREADY_EXISTS", f"Property {known[0]} already exists")  # PROVIDERS §2
        return answer(201, {"status": "COMPLETE", "results": [table.define(one) for one in inputs]})

    def _create_group(self, table: Table, call: Call) -> HttpResponse:
        body = call.json()
        name = body.get("name")
        if not isinstance(name, str) or not isinstance(body.get("label"), str):
            raise bad_request("Invalid input JSON: name and label must be set")  # PROVIDERS §5
        if name in table.groups:
            raise Refused(409, "OBJECT_ALREADY_EXISTS", f"Property group {name} already exists")  # stricter reading
        table.groups[name] = {"name": name, "label": body["label"]}
        return answer(201, table.groups[name])

    # ---- reading ---------------------------------------------------------------------------------------

    def _list(self, table: Table, call: Call) -> HttpResponse:
        limit, after = call.one("limit", "10"), call.one("after", "0")
        history = call.listed("propertiesWithHistory")
        most = HISTORY_BATCH if history else BATCH
        if not limit.isdecimal() or not 0 < int(limit) <= most:
            raise bad_request(f"limit must be between 1 and {most}")  # PROVIDERS §1: 100, or 50 with history
        if not after.isdecimal():
            raise bad_request("after is no cursor of this listing")  # PROVIDERS §3: an id, no offset
        is_archived = call.one("archived") == "true"
        table.empty_bin(self._state.now_ms())
        records, has_more = table.page(int(after), int(limit), is_archived=is_archived)
        asked = call.listed("properties")
        body: dict[str, Any] = {"results": [_shown(table, record, asked, history) for record in records]}
        if has_more:
            body["paging"] = {"next": {"after": records[-1].id, "link": "?after=" + records[-1].id}}
        return answer(200, body)

    def _one(self, table: Table, call: Call) -> HttpResponse:
        given = call.tail.removeprefix("/")
        id_property = call.one("idProperty")
        record = table.by_unique(id_property, given) if id_property else table.live(given)
        if call.method == "DELETE":
            # deleting what is not there is fine with HubSpot
            if record:
                self._state.archive(table, record, ACCORD)
            return HttpResponse(204, {}, b"")
        if call.method not in ("GET", "PATCH"):
            return no_such_path()
        if record is None:
            raise not_found(table.label, [given])  # PROVIDERS §3: archived ones too
        if call.method == "GET":
            shown = _shown(table, record, call.listed("properties"), call.listed("propertiesWithHistory"))
            return answer(200, shown)
        properties = self._checked(table, record, call.json())
        self._state.update(table, record, properties, ACCORD)
        return answer(200, _written(table, record, properties))

    def _batch_read(self, table: Table, call: Call) -> HttpResponse:
        body = call.json()
        ids = [str(one.get("id")) for one in inputs_in(body)]
        if body.get("propertiesWithHistory") and len(ids) > HISTORY_BATCH:
            raise bad_request(f"The maximum batch size with history is {HISTORY_BATCH}")  # PROVIDERS §1
        name = body.get("idProperty")
        found: dict[str, Record] = {}
        missing = []
        for given in ids:
            record = table.by_unique(name, given) if name else table.live(given)
            if record is None:
                missing.append(given)
            else:
                found[record.id] = record
        asked, history = body.get("properties") or [], body.get("propertiesWithHistory") or []
        told: dict[str, Any] = {"status": "COMPLETE"}
        told["results"] = [_shown(table, record, asked, history) for record in found.values()]
        if missing:
            told |= {"numErrors": 1, "errors": [table.missing(missing).body]}
        return answer(207 if missing else 200, told)

    def _search(self, table: Table, call: Call) -> HttpResponse:
        table.catch_up(self._state.clock.now())
        body = call.json()
        total, hits, following = search(table, body, len(call.body))
        asked = body.get("properties") or list(DEFAULTS[table.type])
        told: dict[str, Any] = {"total": total, "results": [hit(table, one, asked) for one in hits]}
        if following:
            told["paging"] = {"next": {"after": str(following)}}
        return answer(200, told)

    # ---- writing ---------------------------------------------------------------------------------------

    def _create_one(self, table: Table, call: Call) -> HttpResponse:
        properties = self._checked_new(table, call.json())
        return answer(201, self._created(table, properties, call.json()))

    def _checked_new(self, table: Table, given: Mapping[str, Any]) -> dict[str, str]:
        if not isinstance(given.get("associations"), list):
            raise bad_request("Invalid input JSON: associations must be set")  # PROVIDERS §5: the spec wants both
        if given["associations"] and table.type != "invoice":
            raise bad_request("this look-alike ties new objects from the invoice's end only")
        properties = self._checked(table, None, given)
        for object_type, other in ties_inline(given) if table.type == "invoice" else ():
            self._state.links.check_other("", properties, object_type, other)
        return properties

    def _created(self, table: Table, properties: dict[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
        """An object that was made with its ties; the answer tells nothing of them."""
        record = self._state.create(table, properties, ACCORD, given.get(TRACE))
        for object_type, other in ties_inline(given) if table.type == "invoice" else ():
            self._state.link(record.id, object_type, other, ACCORD, is_tied=True)
        return _written(table, record, properties)

    def _checked(self, table: Table, record: Record | None, given: Mapping[str, Any], **more: str) -> dict[str, str]:
        """The properties of a write, once nothing speaks against it; `record` None: of a create."""
        properties = table.checked(given.get("properties")) | more
        if record is None:
            table.check_identified(properties)
        self._state.invoices.check(table, record, properties)
        check_rules(self._state.settings.rules, table.type, record.properties if record else {}, properties)
        table.check_unique(record, properties)
        return properties

    def _batch_write(self, table: Table, call: Call, action: str) -> HttpResponse:
        if self._busy_until.get(table.type, 0.0) > self._state.clock.now():
            raise Refused(423, "LOCKED", "The resource is locked: another bulk write is under way")  # PROVIDERS §1
        inputs = inputs_in(call.json())
        is_traced = all(isinstance(one.get(TRACE), str) and one[TRACE] for one in inputs)
        ids = [str(one.get("id")) for one in inputs if action != "create"]
        if len(set(ids)) != len(ids):
            raise bad_request("Duplicate IDs found in batch input")  # stricter reading
        write = {"create": self._batch_create, "update": self._batch_update, "upsert": self._batch_upsert}[action]
        if is_traced:
            return self._written_each(table, inputs, write)
        # without trace ids one refused input fails all, and nothing is executed (PROVIDERS §2)
        claimed: set[tuple[str, str]] = set()
        for one in inputs:
            claims = table.claims(write(table, one, is_trial=True))
            if claims & claimed:
                raise bad_request("Two inputs of the batch have the same value of a unique property")  # PROVIDERS §2
            claimed |= claims
        results = [write(table, one, is_trial=False) for one in inputs]
        return answer(200, {"status": "COMPLETE", "results": results})

    def _written_each(self, table: Table, inputs: Sequence[dict[str, Any]], write: BatchWrite) -> HttpResponse:
        """With trace ids every input has its own outcome (PROVIDERS §2)."""
        results, errors = [], []
        for one in inputs:
            try:
                results.append(write(table, one, is_trial=False) | {TRACE: one[TRACE]})
            except Refused as refused:
                errors.append(refused.item(one[TRACE]))
        told: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if errors:
            told |= {"numErrors": len(errors), "errors": errors}
        return answer(207 if errors else 200, told)

    def _batch_create(self, table: Table, given: Mapping[str, Any], *, is_trial: bool) -> dict[str, Any]:
        properties = self._checked_new(table, given)
        return properties if is_trial else self._created(table, properties, given)

    def _batch_update(self, table: Table, given: Mapping[str, Any], *, is_trial: bool) -> dict[str, Any]:
        name, wanted = given.get("idProperty"), str(given.get("id"))
        record = table.by_unique(name, wanted) if name else table.live(wanted)
        if record is None:
            raise table.missing([wanted])  # PROVIDERS §2
        properties = self._checked(table, record, given)
        if is_trial:
            return properties
        self._state.update(table, record, properties, ACCORD, given.get(TRACE))
        return _written(table, record, properties)

    def _batch_upsert(self, table: Table, given: Mapping[str, Any], *, is_trial: bool) -> dict[str, Any]:
        name, wanted = given.get("idProperty"), given.get("id")
        if not isinstance(name, str) or not isinstance(wanted, str) or not wanted:
            raise bad_request("Invalid input JSON: id and idProperty must be set")  # PROVIDERS §2
        if name == "email":
            raise bad_request("Partial upserts are not supported when using email as idProperty")  # PROVIDERS §2
        record = table.by_unique(name, wanted)
        properties = self._checked(table, record, given, **{name: wanted})
        if is_trial:
            return properties
        key = given.get(TRACE)
        if record is None:
            record = self._state.create(table, properties, ACCORD, key)
            return _written(table, record, properties) | {"new": True}
        self._state.update(table, record, properties, ACCORD, key)
        return _written(table, record, properties) | {"new": False}

    def _batch_archive(self, table: Table, call: Call) -> HttpResponse:
        for one in inputs_in(call.json()):
            record = table.live(str(one.get("id")))
            if record:
                self._state.archive(table, record, ACCORD)
        return HttpResponse(204, {}, b"")

    def _merge(self, table: Table, call: Call) -> HttpResponse:
        body = call.json()
        primary, absorbed = (table.live(str(body.get(name))) for name in ("primaryObjectId", "objectIdToMerge"))
        if primary is None or absorbed is None or primary is absorbed:
            raise bad_request("two different objects are needed for a merge")  # PROVIDERS §3
        return answer(200, _shown(table, self._state.merge(table, primary, absorbed, ACCORD), []))


def _shown(table: Table, record: Record, asked: Sequence[str], history: Sequence[str] = ()) -> dict[str, Any]:
    """An object as reads return it: what was asked for and exists, and what HubSpot always adds."""
    always = ("createdate", "hs_object_id", MODIFIED[table.type])
    names = [name for name in (asked or DEFAULTS[table.type]) if name in table.definitions]
    shown: dict[str, Any] = {
        "id": record.id,
        "properties": {name: table.value(record, name) for name in sorted({*names, *always})},
        "createdAt": record.created,
        "updatedAt": record.modified_iso,
        "archived": record.is_archived,
    }
    if record.archived_at is not None:
        shown["archivedAt"] = iso(record.archived_at)
    if history:
        shown["propertiesWithHistory"] = {name: record.versions(name) for name in history}
    return shown


def _written(table: Table, record: Record, properties: Mapping[str, str]) -> dict[str, Any]:
    """A write's answer: the properties written and a few of HubSpot's own, not the whole object."""
    return _shown(table, record, list(properties) or ["hs_object_id"])
