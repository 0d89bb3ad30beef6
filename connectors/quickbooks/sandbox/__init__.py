"""A look-alike of one QuickBooks Online company: as strict as Intuit documents it, in memory, without transport."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from email.utils import formatdate
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from connectors.quickbooks.sandbox import about, query
from connectors.quickbooks.sandbox.books import TRANSACTIONS, Books
from connectors.quickbooks.sandbox.desk import Desk
from connectors.quickbooks.sandbox.hooks import Hooks
from connectors.quickbooks.sandbox.limits import Limits, throttled
from connectors.quickbooks.sandbox.neutral import attributes_of, neutral_of
from connectors.quickbooks.sandbox.oauth import DAY_SECONDS, TokenDesk
from connectors.quickbooks.sandbox.paper import ENTITY_OF, People, neutral_document
from connectors.quickbooks.sandbox.rules import Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.store import Customers, stamp
from core.errors import TakenError
from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.lookalike import Mutation, Outgoing

TOKEN_PATH: Final = "/oauth2/v1/tokens/bearer"  # noqa: S105 - a path
_REQUEST_ID_MOST: Final = 50
_BATCH_REQUEST_ID_MOST: Final = 36  # PROVIDERS §2
_BATCH_ID_MOST: Final = 10  # PROVIDERS §2
_ITEM_CODE: Final = "003001"  # PROVIDERS §1: spelled otherwise than in a 429
_CDC_DAYS: Final = 30  # PROVIDERS §3
_ADDRESS_MOST: Final = 8192  # stricter reading
__all__ = ["QuickBooksLookAlike", "QuickBooksSettings"]
Fault = Literal["fault_in_200", "throttled_item"]


class QuickBooksLookAlike:
    """One company with its customers. Not thread-safe; time and chance come from outside."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        name: str = "quickbooks",
        settings: QuickBooksSettings | None = None,
    ) -> None:
        """Start with no customers and one good refresh token."""
        self.name = name
        self.settings = settings or QuickBooksSettings()
        self.reads = 0
        self._clock = clock
        self._rng = rng
        self._faults: dict[Fault, int] = {"fault_in_200": 0, "throttled_item": 0}
        self._answers: dict[str, tuple[float, HttpResponse]] = {}
        self._mutations: list[Mutation] = []
        self._customers = Customers(self._told)
        self.books = Books(self._told, self._customers)
        self._people = People(self.books, self._told, lambda *told: self._booked("person", *told))
        self._desk = Desk(self.books, self._customers, self._told, lambda *told: self._booked("accord", *told))
        self.books.touched = lambda entity, remote_id: self._booked("quickbooks", "update", entity, remote_id)
        self._hooks = Hooks(rng, self._told)
        self.tokens = TokenDesk(rng, self._told, clock.now())
        self.limits = Limits(self._told)

    def _told(self) -> QuickBooksSettings:
        return self.settings

    # ---- for those who connect to it -----------------------------------------------------------

    @property
    def secrets(self) -> dict[str, str]:
        """What a connection to this company keeps in its vault at first."""
        told = self.settings
        return {
            "client_id": told.client_id,
            "client_secret": told.client_secret,
            "refresh_token": told.refresh_token,
            "verifier_token": told.verifier_token,
        }

    def connection_settings(self, base_url: str) -> dict[str, str]:
        """Settings of a connection to this company, served at `base_url`."""
        return {
            "base_url": base_url,
            "token_url": base_url + TOKEN_PATH,
            "realm_id": self.settings.realm_id,
            "region": "us" if self.settings.country == "US" else "other",
        }

    # ---- the truth -----------------------------------------------------------------------------

    def objects(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Every object, inactive customers too: inactive is a status, only a merged one may be gone."""
        return self.books.rows[ENTITY_OF[kind]] if kind in ENTITY_OF else self._customers.rows

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The same, as neutral fields; a payment of nothing is no payment there."""
        if kind in ENTITY_OF:
            entity = ENTITY_OF[kind]
            told = {one: neutral_document(entity, row) for one, row in self.books.rows[entity].items()}
            return {one: row for one, row in told.items() if kind != "payment" or not _is_link(row)}
        return {remote_id: neutral_of(row) for remote_id, row in self._customers.rows.items()}

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every change since the start."""
        return self._mutations

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person's edit; TakenError where the UI would refuse the name."""
        if kind in ENTITY_OF:
            return self._people.edit(kind, remote_id, changes, self._clock.now())
        row = self._customers.rows[remote_id] if remote_id is not None else None
        attributes = attributes_of(changes, row)
        name = attributes.get("DisplayName")
        if name and (row is None or name.casefold() != row["DisplayName"].casefold()):
            try:
                self._customers.check_free(name)
            except Refused as refused:
                raise TakenError(str(refused), field="name") from refused
        try:
            self._customers.check_parent(row, attributes)
        except Refused as refused:
            raise ValueError(str(refused)) from refused
        now = self._clock.now()
        if remote_id is None:
            attributes.setdefault("CurrencyRef", {"value": self.settings.home_currency})
            remote_id = self._customers.add(attributes, now)
            self._record("person", "create", kind, remote_id, attributes)
        else:
            if attributes.get("Active") is False:
                self._people.write_off(remote_id, now)
            self._customers.change(remote_id, attributes, now)
            self._record("person", "update", kind, remote_id, attributes)
        return remote_id

    def delete(self, kind: str, remote_id: str) -> None:
        """A person makes the customer inactive: there is no other way to delete one. A document is deleted."""
        if kind in ENTITY_OF:
            self._people.delete(kind, remote_id, self._clock.now())
            return
        self._people.write_off(remote_id, self._clock.now())
        self._customers.change(remote_id, {"Active": False}, self._clock.now())
        self._record("person", "delete", kind, remote_id, {"Active": False})

    def merge(self, kind: str, survivor: str, absorbed: str) -> None:
        """A person merges two customers."""
        now = self._clock.now()
        self._customers.absorb(survivor, absorbed, now)
        self.books.follow(survivor, absorbed)
        self._record("person", "merge", kind, survivor, {"absorbed": absorbed})

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """Answer coming calls with HTTP 200 and a fault, or coming batch items with a throttle."""
        self._faults[fault] += times

    def too_many(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - one 429 for all calls
        """Intuit's own 429, as if other programs had used the company's calls up."""
        return self._refusal(throttled())

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:
        """Deliveries to make now."""
        return self._hooks.due(now)

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:
        """Take the receiver's answer."""
        self._hooks.answered(outgoing_id, status, now)

    def _record(
        self, caller: str, action: str, kind: str, remote_id: str, changed: Mapping[str, Any], key: str | None = None
    ) -> None:
        now = self._clock.now()
        self._mutations.append(Mutation(now, caller, action, kind, remote_id, dict(changed), key))
        is_deactivated = changed.get("Active") is False and action != "create"
        operation = {"create": "created", "merge": "merged"}.get(action, "deleted" if is_deactivated else "updated")
        self._hooks.emit(operation, remote_id, now, absorbed=str(changed.get("absorbed", "")))

    def _booked(self, caller: str, action: str, entity: str, remote_id: str, key: str | None = None) -> None:
        now, kind = self._clock.now(), next((one for one in ENTITY_OF if ENTITY_OF[one] == entity), "item")
        if caller != "quickbooks":
            changed = self.books.rows[entity].get(remote_id, {}) if kind in ENTITY_OF else {}
            self._mutations.append(Mutation(now, caller, action, kind, remote_id, dict(changed), key))
        if kind in ENTITY_OF:
            operation = {"create": "created", "void": "voided", "delete": "deleted"}.get(action, "updated")
            self._hooks.emit(operation, remote_id, now, entity=entity)

    # ---- the API -------------------------------------------------------------------------------

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        url = urlsplit(request.url)
        now = self._clock.now()
        if len(request.url) > _ADDRESS_MOST:
            return self._answer(414, b"<html>URI Too Long</html>")  # stricter reading
        if url.path == TOKEN_PATH and request.method == "POST":
            return self.tokens.respond(request, now)
        if not self.tokens.knows(request.headers.get("authorization", ""), now):
            return self._unauthorized()  # PROVIDERS §6: an hour
        parts = url.path.strip("/").split("/")
        if parts[:2] != ["v3", "company"] or len(parts) < 4:
            return self._answer(404, b'{"message":"no such resource"}')
        params = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        try:
            self._check_realm(parts[2])
            is_read = request.method == "GET" or parts[3] == "query"
            self.limits.admit(now, is_batch=parts[3] == "batch", is_read=is_read)
            self._check_faults()
            return self._routed(request, parts[3:], params)
        except Refused as refused:
            return self._refusal(refused)

    def _routed(self, request: HttpRequest, path: list[str], params: Mapping[str, str]) -> HttpResponse:
        if request.method == "GET":
            return self._shown(path, params)
        match request.method, path:
            case "POST", ["query"]:
                return self._read(self._queried(request.body.decode("utf-8", "replace")))
            case "POST", ["customer"]:
                return self._once(params, _REQUEST_ID_MOST, lambda key: self._saved(_json(request.body), params, key))
            case "POST", ["batch"]:
                return self._once(params, _BATCH_REQUEST_ID_MOST, lambda key: self._batched(_json(request.body), key))
            case "POST", [entity] if entity in self._desk.tables:
                return self._once(
                    params,
                    _REQUEST_ID_MOST,
                    lambda key: self._desk.saved(entity, _json(request.body), params, key, self._clock.now()),
                )
        return self._answer(404, b'{"message":"no such resource"}')

    def _shown(self, path: list[str], params: Mapping[str, str]) -> HttpResponse:
        match path:
            case ["companyinfo", realm] if realm == self.settings.realm_id:
                return self._read(about.company(self.settings))
            case ["preferences"]:
                return self._read(about.preferences(self.settings))
            case ["query"]:
                return self._read(self._queried(params.get("query", "")))
            case ["cdc"]:
                return self._read(self._changed(params))
            case [entity, remote_id] if entity in self._desk.tables:
                return self._read(self._desk.shown(entity, remote_id))
        return self._answer(404, b'{"message":"no such resource"}')

    def _queried(self, text: str) -> bytes:
        asked, ids = query.run(text, self._desk.tables)
        if asked.is_count:
            return b'"QueryResponse":{"totalCount":%d}' % len(ids)
        if not ids:
            return b'"QueryResponse":{}'
        return b'"QueryResponse":' + self._desk.listed(asked.entity, ids, asked.start)

    def _changed(self, params: Mapping[str, str]) -> bytes:
        entities = [one.lower() for one in params.get("entities", "").split(",")]
        if not all(one in self._desk.tables for one in entities):
            raise Refused("2020", "Required param missing", "entities")  # PROVIDERS §3: no feed of others
        try:
            since = datetime.fromisoformat(params.get("changedSince", "")).timestamp()
        except ValueError:
            raise Refused("2020", "Required param missing", "changedSince") from None  # PROVIDERS §3
        if since < self._clock.now() - _CDC_DAYS * DAY_SECONDS:  # PROVIDERS §3: thirty days
            raise Refused("4001", "Invalid query", "changedSince is more than 30 days ago")
        return b'"CDCResponse":[{"QueryResponse":[%b]}]' % b",".join(self._desk.changes(entities, since))

    def _saved(self, body: Mapping[str, Any], params: Mapping[str, str], key: str | None) -> bytes:
        if "operation" in params:  # PROVIDERS §3: never deleted
            raise Refused("500", "Unsupported Operation", f"Operation {params['operation']} is not supported.")
        return b'"Customer":' + self._customers.encoded(self._save(body, key))

    def _save(self, body: Mapping[str, Any], key: str | None) -> str:
        action = "update" if "Id" in body else "create"
        write = self._customers.update if action == "update" else self._customers.create
        remote_id = write(body, self._clock.now())
        self._record("accord", action, "customer", remote_id, body, key)
        return remote_id

    def _batched(self, body: Mapping[str, Any], key: str | None) -> bytes:
        items = _batch_items(body, self.settings.batch_most)
        if key is not None and any(len(item["bId"]) > _BATCH_ID_MOST for item in items):  # PROVIDERS §2
            raise Refused("2050", "bId is too long for a batch with a requestid", f"Max:{_BATCH_ID_MOST}")
        # the items of a batch do not see each other (PROVIDERS §1): a query finds nothing that was written beside it
        order = sorted(range(len(items)), key=lambda place: "Query" not in items[place])
        told = {place: self._batch_item(items[place], key) for place in order}
        return b'"BatchItemResponse":[%b]' % b",".join(told[place] for place in range(len(items)))

    def _batch_item(self, item: Mapping[str, Any], key: str | None) -> bytes:
        try:
            told = self._batch_answer(item, key)
        except Refused as refused:
            told = b'"Fault":' + msgspec.json.encode(refused.fault)
        return b'{"bId":%b,%b}' % (msgspec.json.encode(item["bId"]), told)

    def _batch_answer(self, item: Mapping[str, Any], key: str | None) -> bytes:
        if self._faults["throttled_item"]:
            self._faults["throttled_item"] -= 1
            raise throttled(_ITEM_CODE)  # PROVIDERS §1: a 429 inside of a 200
        if "Query" in item:
            self.limits.check_reads(self._clock.now(), _ITEM_CODE)
            found = self._queried(item["Query"])
            self.limits.read()
            return found
        entity = next((one for one in ("Customer", *TRANSACTIONS) if isinstance(item.get(one), dict)), None)
        if item.get("operation") not in {"create", "update"} or entity is None:
            raise Refused("500", "Unsupported Operation", "Operation is not supported.")  # PROVIDERS §1
        if entity == "Customer":
            return b'"Customer":' + self._customers.encoded(self._save(item[entity], key))
        return self._desk.saved(entity.lower(), item[entity], {}, key, self._clock.now())

    # ---- around every call ---------------------------------------------------------------------

    def _once(self, params: Mapping[str, str], most: int, execute: Any) -> HttpResponse:  # noqa: ANN401
        """The same requestid gives the first answer again, whatever the body (PROVIDERS §2)."""
        key = params.get("requestid")
        if key is not None and len(key) > most:  # PROVIDERS §2
            raise Refused("2050", "requestid is too long", f"Max:{most} supported. Supplied length:{len(key)}")
        now, told = self._clock.now(), self.settings
        kept = self._answers.get(key) if key is not None else None
        if kept is not None and now < kept[0] + told.request_id_seconds * told.lag_scale:
            return kept[1]
        try:
            answer = self._wrapped(execute(key))
        except Refused as refused:
            answer = self._refusal(refused)
            if not told.keeps_refusals:
                return answer
        if key is not None:
            self._answers[key] = now, answer
        return answer

    def _check_realm(self, realm: str) -> None:
        if realm != self.settings.realm_id:
            message = "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403"
            raise Refused("3100", message, status=403, kind="AUTHORIZATION")  # PROVIDERS §6: a token is one company's

    def _check_faults(self) -> None:
        if self._faults["fault_in_200"]:  # PROVIDERS §1: a 200 may carry a Fault
            self._faults["fault_in_200"] -= 1
            raise Refused("10000", "An application error has occurred", status=200, kind="SystemFault")

    def _read(self, told: bytes) -> HttpResponse:
        self.reads += 1
        self.limits.read()
        return self._wrapped(told)

    def _wrapped(self, told: bytes) -> HttpResponse:
        return self._answer(200, b'{%b,"time":"%b"}' % (told, self._time().encode()))

    def _refusal(self, refused: Refused) -> HttpResponse:
        return self._answer(refused.status, msgspec.json.encode({"Fault": refused.fault, "time": self._time()}))

    def _time(self) -> str:
        return stamp(self._clock.now(), self.settings.time_zone, grain="milliseconds")

    def _unauthorized(self) -> HttpResponse:
        error = {
            "message": "message=AuthenticationFailed; errorCode=003200; statusCode=401",
            "detail": "Token expired or invalid",
            "code": "3200",
            "element": None,
        }
        told = {"warnings": None, "fault": {"error": [error], "type": "AUTHENTICATION"}, "queryResponse": None}
        return self._answer(401, msgspec.json.encode(told))

    def _answer(self, status: int, body: bytes) -> HttpResponse:
        told = {"content-type": "application/json;charset=UTF-8", "intuit_tid": f"1-{self._rng.getrandbits(96):024x}"}
        return HttpResponse(status, told | {"date": formatdate(self._clock.now(), usegmt=True)}, body)


def _is_link(payment: Mapping[str, Any]) -> bool:
    return payment["status"] != "void" and not Decimal(payment["amount"])


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        msgspec.json.decode(body)
        # amounts are what was written, never what a float makes of it
        found = json.loads(body, parse_float=Decimal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused("500", "Unsupported Operation", "the request is no JSON in UTF-8") from None  # stricter reading
    if not isinstance(found, dict):
        raise Refused("2010", "Request has invalid or unsupported property", "not an object")  # stricter reading
    return found


def _batch_items(body: Mapping[str, Any], most: int) -> list[Mapping[str, Any]]:
    items = body.get("BatchItemRequest")
    if not isinstance(items, list) or not items:
        raise Refused("2020", "Required param missing", "BatchItemRequest")  # PROVIDERS §1
    if len(items) > most:  # PROVIDERS §1: 30, or 10
        raise Refused("1040", "Batch size exceeds allowed limit", f"The batch limit size is {most}")
    ids = [item.get("bId") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(one, str) and one for one in ids) or len(set(ids)) != len(ids):  # stricter reading
        raise Refused("2010", "Request has invalid or unsupported property", "bId: each item needs one of its own")
    return items
