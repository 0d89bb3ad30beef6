"""What every connector promises the engine: one suite, each connector folder's look-alike behind it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

import msgspec
import pytest

from core.abilities import Archiver
from core.errors import (
    AccordError,
    AmbiguousError,
    BugError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    SignatureError,
)
from core.model.remote import Mark, Part, Remote, Wanted
from core.model.values import Value
from core.ports import (
    Connector,
    Delivery,
    Exchange,
    HttpRequest,
    HttpResponse,
    Missing,
    Probe,
    Sighting,
    Write,
    Written,
)
from core.sandbox.lookalike import LookAlike
from tests.support.acting import with_settings
from tests.support.world import OFFERS, PROVIDERS, SECRETS, World, config_of

pytestmark = pytest.mark.anyio

VALUES: Mapping[str, Value] = {
    "name": "Grace Hopper",
    "legal_name": "Grace Hopper Ltd",
    "email": "grace@example.test",
    "phone": "+49 30 123456",
    "url": "https://grace.test",
    "customer_type": "individual",
    "billing_address": {"line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10115", "country": "DE"},
    "shipping_address": {"line1": "Rue de Rivoli 1", "city": "Paris", "postal_code": "75001", "country": "FR"},
    "metadata.plan": "pro",
}
MARK = str(Mark("instance", "mapping", 1))


@dataclass
class Bench:
    """One connector before its look-alike."""

    name: str
    world: World

    @property
    def connector(self) -> Connector:
        """The connector itself."""
        return self.world.hub.connection(self.name).connector

    @property
    def archiver(self) -> Archiver:
        """The same, as one that archives."""
        return self.world.hub.connection(self.name).connector

    @property
    def lookalike(self) -> LookAlike:
        """The provider."""
        return self.world.lookalikes[self.name]

    def read(self, sighting: Sighting) -> Remote:
        """One object, translated."""
        return self.world.hub.connection(self.name).translator.read(sighting.raw)

    def fields(self) -> dict[str, Value]:
        """Values that this provider can hold."""
        projection = self.world.hub.connection(self.name).projection
        return {name: value for name, value in VALUES.items() if projection.covers(name)}

    def create(self, key: str = "key-1", mark: str = MARK, **fields: Value) -> Write:
        """A create."""
        translator = self.world.hub.connection(self.name).translator
        wanted = Wanted(fields=fields or self.fields(), mark=mark, external_id="grace")
        body = translator.patch(wanted, None).body
        return Write(key=key, action="create", kind="customer", remote_id=None, body=body)

    def update(self, sighting: Sighting, key: str = "key-2", **fields: Value) -> Write:
        """A sparse update."""
        translator = self.world.hub.connection(self.name).translator
        patch = translator.patch(Wanted(fields=fields), sighting.raw)
        return Write(key=key, action="update", kind="customer", remote_id=sighting.id, body=patch.body)

    async def created(self) -> Sighting:
        """One object, made by us."""
        (receipt,) = await self.connector.write([self.create()])
        assert isinstance(receipt, Written), receipt
        return receipt.sighting

    async def understood(self, remote_id: str) -> Remote:
        """Read and translate one object: a connector may leave the judgement of its bytes to the translator."""
        found = (await self.connector.read("customer", [remote_id]))[remote_id]
        assert isinstance(found, Sighting)
        return self.read(found)

    def through(self, wrap: Callable[[Exchange], Exchange]) -> None:
        """Stand in the way of the provider's API; its token endpoint stays."""
        plain = self.lookalike.respond
        wrapped = wrap(plain)
        self.world.exchanges[self.name] = lambda request: (
            plain(request) if "oauth2" in request.url else wrapped(request)
        )


@pytest.fixture(params=sorted(OFFERS))
async def bench(request: pytest.FixtureRequest) -> Bench:
    """Each provider in turn, ready to be written to."""
    names = (request.param,)
    one = Bench(request.param, World(names=names, config=config_of(names)))
    await one.connector.prepare()
    return one


def answers(
    status: int, headers: Mapping[str, str] | None = None, body: bytes = b"{}"
) -> Callable[[Exchange], Exchange]:
    """A provider that answers everything alike."""
    told = {"content-type": "application/json", **(headers or {})}
    return lambda _plain: lambda _request: HttpResponse(status, told, body)


def breaks(error: Exception, *, executed: bool) -> Callable[[Exchange], Exchange]:
    """A connection that breaks, before or after the provider acted."""

    def wrap(plain: Exchange) -> Exchange:
        def exchange(request: HttpRequest) -> HttpResponse:
            if executed:
                plain(request)
            raise error

        return exchange

    return wrap


def only_writes(wrap: Callable[[Exchange], Exchange]) -> Callable[[Exchange], Exchange]:
    """Reads pass."""

    def chosen(plain: Exchange) -> Exchange:
        bad = wrap(plain)

        def exchange(request: HttpRequest) -> HttpResponse:
            return bad(request) if is_write(request) else plain(request)

        return exchange

    return chosen


def is_write(request: HttpRequest) -> bool:
    """A request that changes the provider's state."""
    path = request.url
    if request.method == "GET" or "batch/read" in path or "/search" in path:
        return False
    return b"BatchItemRequest" not in request.body or b'"operation"' in request.body


class TestConnector:
    """The promises, one by one."""

    async def test_an_account_tells_who_it_is(self, bench: Bench) -> None:
        """The same twice: it is pinned on first contact."""
        account = await bench.connector.identify()
        assert account.id
        assert account == await bench.connector.identify()

    async def test_preparing_twice_makes_nothing_twice(self, bench: Bench) -> None:
        """Every start prepares."""
        assert list(await bench.connector.prepare()) == []

    @pytest.mark.cure(
        "translate.py: `read` and `patch` are each other's inverse, marker included; connector.py: a write's "
        "answer has the digest of a read."
    )
    async def test_fields_round_trip(self, bench: Bench) -> None:
        """What was written reads back as its canonical form: in the answer, and in a later read."""
        wanted = bench.fields()
        (receipt,) = await bench.connector.write([bench.create()])
        assert isinstance(receipt, Written), receipt
        canonical = bench.world.hub.connection(bench.name).projection.canonical
        found = (await bench.connector.read("customer", [receipt.sighting.id]))[receipt.sighting.id]
        assert isinstance(found, Sighting)
        for sighting in (receipt.sighting, found):
            remote = bench.read(sighting)
            assert remote.id == receipt.sighting.id
            assert remote.accord_ref == (MARK if bench.connector.manifest.has_marker else None)
            for field, value in wanted.items():
                assert canonical(field, remote.fields.get(field)) == canonical(field, value), field
        assert found.digest == receipt.sighting.digest

    @pytest.mark.cure(
        "translate.py: `canonical` must give the value exactly as the provider gives it back (case, blanks, forms)."
    )
    async def test_a_spelling_of_the_providers_own_is_foreseen(self, bench: Bench) -> None:
        """What comes back spelled otherwise must not look like somebody's edit."""
        odd: dict[str, Any] = {
            "name": "Grace Hopper",
            "email": "Grace.Hopper@Example.TEST",
            "phone": "+49 30 123456 ",
        }
        wanted = {name: value for name, value in odd.items() if name in bench.fields()}
        (receipt,) = await bench.connector.write([bench.create(**wanted)])
        assert isinstance(receipt, Written), receipt
        canonical = bench.world.hub.connection(bench.name).projection.canonical
        came_back = bench.read(receipt.sighting).fields
        for name, value in wanted.items():
            assert canonical(name, came_back[name]) == canonical(name, value), name

    @pytest.mark.cure(
        "translate.py: `patch` must send what clears a value (null, an empty text), not leave the attribute out."
    )
    async def test_a_value_can_be_cleared(self, bench: Bench) -> None:
        """None clears, and reads back as blank."""
        made = await bench.created()
        (receipt,) = await bench.connector.write([bench.update(made, phone=None)])
        assert isinstance(receipt, Written), receipt
        assert bench.read(receipt.sighting).fields["phone"] is None

    async def test_a_parent_is_written_read_and_taken_off(self, bench: Bench) -> None:
        """By the ids of the provider; a provider without a hierarchy says what becomes of parents."""
        manifest, translator = bench.connector.manifest, bench.world.hub.connection(bench.name).translator
        if manifest.hierarchy is None:
            assert "parent" not in manifest.fields
            assert manifest.not_synced.get("parent")
            return
        of = {"customer_type": "company"} if "customer_type" in manifest.fields else {}
        made = [
            bench.create(key, f"{MARK}{key[-1]}", name=name, **of)
            for key, name in (("key-1", "Head Office"), ("key-3", "Branch Office"))
        ]
        head, child = [one.sighting for one in await bench.connector.write(made) if isinstance(one, Written)]
        assert bench.read(child).fields["parent"] is None
        for to in (head.id, None):
            wanted = Wanted(fields={"parent": "head" if to else None}, parent_id=to)
            body = translator.patch(wanted, child.raw).body
            move = Write(key=f"key-{to}", action="update", kind="customer", remote_id=child.id, body=body)
            (receipt,) = await bench.connector.write([move])
            assert isinstance(receipt, Written), receipt
            child = receipt.sighting
            assert bench.read(child).parent_id == bench.lookalike.neutral("customer")[child.id]["parent"] == to
            assert ("parent" in bench.read(child).fields) == (to is None)
            assert (await bench.connector.read("customer", [child.id]))[child.id] == child
            assert translator.patch(wanted, child.raw).is_empty

    @pytest.mark.cure(
        "translate.py: write only what differs. Where only whole objects can be written, start from `current`."
    )
    async def test_unknown_attributes_survive_an_update(self, bench: Bench) -> None:
        """A write of whole objects used to wipe what other programs keep there."""
        made = await bench.created()
        bench.lookalike.edit("customer", made.id, {"extra": OFFERS[bench.name].unknown, "name": "Grace M. Hopper"})
        fresh = (await bench.connector.read("customer", [made.id]))[made.id]
        assert isinstance(fresh, Sighting)
        (receipt,) = await bench.connector.write([bench.update(fresh, phone="+49 30 999")])
        assert isinstance(receipt, Written), receipt
        there = json.dumps(bench.lookalike.objects("customer")[made.id], default=str)
        assert all(json.dumps(value) in there for value in OFFERS[bench.name].unknown.values())
        assert bench.lookalike.neutral("customer")[made.id]["phone"].endswith("999")

    @pytest.mark.cure(
        "client.py: a create carries `Write.key`. Without such keys, connector.py answers TakenError by "
        "finding its object."
    )
    async def test_a_create_repeated_under_its_key_makes_one_object(self, bench: Bench) -> None:
        """After a crash the same key goes out with the same body."""
        for _ in range(3):
            (receipt,) = await bench.connector.write([bench.create()])
            assert isinstance(receipt, Written), receipt
        assert len(bench.lookalike.objects("customer")) == 1

    @pytest.mark.cure(
        "errors.py, connector.py: a write that may have happened is AmbiguousError (5xx, garbage, no "
        "answer), never RetryError."
    )
    @pytest.mark.parametrize("trouble", ["lost answer", "5xx after commit", "garbage after commit"])
    async def test_a_lost_answer_is_ambiguous_and_resolves_to_one_object(self, bench: Bench, trouble: str) -> None:
        """Never an error that says "not done", never a second object."""
        wraps = {
            "lost answer": breaks(TimeoutError("no answer"), executed=True),
            "5xx after commit": lambda plain: lambda request: plain(request) and HttpResponse(503, {}, b"busy"),
            "garbage after commit": lambda plain: lambda request: plain(request) and HttpResponse(200, {}, b"<html>"),
        }
        bench.through(only_writes(wraps[trouble]))
        (receipt,) = await bench.connector.write([bench.create()])
        assert isinstance(receipt, AmbiguousError), receipt
        bench.through(lambda plain: plain)
        (receipt,) = await bench.connector.write([bench.create()])
        assert isinstance(receipt, Written), receipt
        assert len(bench.lookalike.objects("customer")) == 1

    async def test_a_request_that_never_left_is_no_ambiguity(self, bench: Bench) -> None:
        """Decided again after a wait. HubSpot's transport cannot tell here, and doubts: safe, and slower."""
        bench.through(only_writes(breaks(ConnectionError("refused"), executed=False)))
        (receipt,) = await bench.connector.write([bench.create()])
        assert isinstance(receipt, AmbiguousError if bench.name == "hubspot" else RetryError), receipt
        assert len(bench.lookalike.objects("customer")) == 0
        bench.through(lambda plain: plain)
        await bench.created()
        assert len(bench.lookalike.objects("customer")) == 1

    @pytest.mark.cure("errors.py: credentials that are refused are ReauthorizeError, in reads and in writes.")
    async def test_dead_credentials_are_a_persons_matter(self, bench: Bench) -> None:
        """In reads and in writes: nothing is tried again and again."""
        made = await bench.created()
        vault, hook = bench.world.vaults[bench.name].values, bench.connector.manifest.webhook_secret
        opening = (SECRETS[bench.name].keys() | {"access_token"}) - {hook}
        vault.update(dict.fromkeys(opening & vault.keys(), "dead-credentials"))
        bench.world.start()
        with pytest.raises(ReauthorizeError):
            await bench.connector.read("customer", [made.id])
        (receipt,) = await bench.connector.write([bench.update(made, phone="+49 30 999")])
        assert isinstance(receipt, ReauthorizeError), receipt

    @pytest.mark.cure(
        "errors.py: see the tree in core/errors.py. A read that did not raise here took a refusal for "
        "`Missing`: only the provider's own word for 'no such object' is GoneError, not every 404."
    )
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (401, ReauthorizeError),
            (403, (ReauthorizeError, RejectedError, ReplyError)),
            # a wrong path or a proxy answers it, too: without the provider's word for "no such object" it says nothing
            (404, (RetryError, RejectedError, ReplyError)),
            (409, (RetryError, RejectedError, ReplyError)),
            (429, RetryError),
            (500, RetryError),
            (502, RetryError),
            (503, RetryError),
        ],
    )
    async def test_a_refused_read_lands_in_its_class(self, bench: Bench, status: int, expected: Any) -> None:
        """The class says what to do next; nothing that was not read is ever missing."""
        made = await bench.created()
        bench.through(answers(status, {"retry-after": "30"}))
        with pytest.raises(expected):
            await bench.connector.read("customer", [made.id])

    @pytest.mark.cure(
        "wire.py: decode into typed shapes; what does not fit is ReplyError, and nothing is missing for that."
    )
    @pytest.mark.parametrize(
        "body", [b"", b"<html>busy</html>", b"[]", b'{"id":', b"\xff\xfe", b"null", b"[" * 100_000]
    )
    async def test_garbage_is_never_taken_for_an_answer(self, bench: Bench, body: bytes) -> None:
        """A proxy's page with status 200; not one object is missing for that."""
        made = await bench.created()
        bench.through(answers(200, body=body))
        with pytest.raises((ReplyError, RetryError)):
            await bench.understood(made.id)
        with pytest.raises((ReplyError, RetryError)):
            await bench.connector.sweep("customer", "full", None)

    @pytest.mark.cure(
        "errors.py: see the tree in core/errors.py. connector.py: `write` returns errors of ours as "
        "receipts, and never raises them."
    )
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            # a proxy's page is not the provider's word: in doubt, a write may have happened
            (401, (ReauthorizeError, AmbiguousError)),
            (429, RetryError),
            (500, AmbiguousError),
            (502, AmbiguousError),
            (200, AmbiguousError),
        ],
    )
    async def test_a_refused_write_lands_in_its_class(
        self, bench: Bench, status: int, expected: type[AccordError] | tuple[type[AccordError], ...]
    ) -> None:
        """A receipt, never a raise, for one record."""
        bench.through(only_writes(answers(status, {"retry-after": "30"}, b"<html>")))
        (receipt,) = await bench.connector.write([bench.create()])
        assert isinstance(receipt, expected), repr(receipt)

    @pytest.mark.cure("errors.py: RetryError takes `retry_after` from the header, in seconds.")
    async def test_the_wait_that_a_provider_asks_for_is_passed_on(self, bench: Bench) -> None:
        """Hammering on made a rate limit into a ban."""
        made = await bench.created()
        bench.through(answers(429, {"retry-after": "30"}))
        with pytest.raises(RetryError) as told:
            await bench.connector.read("customer", [made.id])
        assert told.value.retry_after is not None
        assert told.value.retry_after > 0

    @pytest.mark.cure(
        "connector.py: `read` returns every id asked for, and `Missing` only where the provider said that it "
        "is not there."
    )
    async def test_missing_is_said_only_after_a_successful_read(self, bench: Bench) -> None:
        """Could not read is not "not there"."""
        made = await bench.created()
        stranger = f"{made.id}9999"
        found = await bench.connector.read("customer", [made.id, stranger])
        assert isinstance(found[made.id], Sighting)
        assert isinstance(found[stranger], Missing)
        bench.through(breaks(TimeoutError("no answer"), executed=False))
        with pytest.raises(RetryError):
            await bench.connector.read("customer", [stranger])

    @pytest.mark.cure(
        "connector.py: `find` raises when it cannot look. manifest.py: `lookup_lag_seconds` is how long the "
        "provider's index lags."
    )
    async def test_a_lookup_finds_ours_and_is_empty_only_after_a_successful_look(self, bench: Bench) -> None:
        """By marker where there is a place for one, else by the unique name."""
        made = await bench.created()
        bench.world.clock.time += bench.connector.manifest.lookup_lag_seconds
        has_marker = bench.connector.manifest.has_marker
        probe = Probe(mark=MARK) if has_marker else Probe(unique={"name": "Grace Hopper"})
        assert [one.id for one in await bench.connector.find("customer", probe)] == [made.id]
        nobody = Probe(mark="instance.other.1") if has_marker else Probe(unique={"name": "Nobody"})
        assert list(await bench.connector.find("customer", nobody)) == []
        bench.through(answers(503))
        with pytest.raises(RetryError):
            await bench.connector.find("customer", nobody)

    @pytest.mark.cure(
        "connector.py: each page gives the cursor of the next one, the last one `is_last`; nothing is kept "
        "between two calls."
    )
    async def test_pages_end_and_go_on_from_a_cursor(self, bench: Bench) -> None:
        """Everybody once, after a restart too."""
        made = {
            bench.lookalike.edit("customer", None, {"name": f"Person {one}", "email": f"p{one}@example.test"})
            for one in range(230)
        }
        seen: list[str] = []
        cursor, pages = None, 0
        while True:
            page = await bench.connector.sweep("customer", "full", cursor)
            seen += [one.id for one in page.sightings]
            cursor, pages = page.cursor, pages + 1
            if page.is_last:
                break
            assert pages < 50, "the sweep does not end"
            bench.world.start()  # nothing but the cursor is carried over
        assert set(seen) == made
        assert len(seen) == len(made)

    @pytest.mark.cure(
        "connector.py: a row that cannot be read goes to `Page.bad`; translate.py: a value that cannot, to "
        "`unreadable`."
    )
    async def test_one_bad_record_leaves_the_rest_of_its_page(self, bench: Bench) -> None:
        """A page of 3,000 with one bad record used to lose the rest."""
        made = {
            bench.lookalike.edit("customer", None, {"name": f"Person {one}", "email": f"p{one}@example.test"})
            for one in range(20)
        }
        bad = bench.lookalike.edit("customer", None, {"name": "Broken Person", "email": "broken@example.test"})
        bench.through(_broken)
        sightings: list[Sighting] = []
        told: list[str] = []
        cursor: str | None = None
        while True:
            page = await bench.connector.sweep("customer", "full", cursor)
            sightings += page.sightings
            told += [one.id for one in page.bad]
            cursor = page.cursor
            if page.is_last:
                break
        good = set()
        for one in sightings:
            try:
                remote = bench.read(one)
            except ReplyError:
                told.append(one.id)
                continue
            told += [one.id] if remote.unreadable else []
            good |= set() if remote.unreadable else {remote.id}
        assert good == made
        assert told == [bad]

    @pytest.mark.cure("connector.py: the first cursor is now; later ones reach back by `sweep_overlap_seconds`.")
    async def test_a_change_feed_names_what_changed(self, bench: Bench) -> None:
        """From the moment at which its cursor was taken."""
        made = await bench.created()
        page = await bench.connector.sweep("customer", "changes", None)
        assert not [*page.sightings, *page.changed, *page.gone]
        bench.world.clock.time += 400
        bench.lookalike.edit("customer", made.id, {"phone": "+49 30 777"})
        bench.world.clock.time += 60
        named: set[str] = set()
        cursor = page.cursor
        while True:
            page = await bench.connector.sweep("customer", "changes", cursor)
            named |= {one.id for one in page.sightings} | set(page.changed)
            cursor = page.cursor
            if page.is_last:
                break
        assert made.id in named

    @pytest.mark.cure(
        "connector.py: what the provider marks as deleted is `Missing`, or `gone` in a page; translate.py: "
        "or `is_archived`."
    )
    async def test_what_a_person_deletes_is_there_no_more(self, bench: Bench) -> None:
        """Read, it is missing or says that it is archived; no sweep shows it as it was."""
        made = await bench.created()
        start = await bench.connector.sweep("customer", "changes", None)
        bench.world.clock.time += 400
        bench.lookalike.delete("customer", made.id)
        bench.world.clock.time += 60
        read = await bench.connector.read("customer", [made.id])
        listed = await bench.connector.sweep("customer", "full", None)
        changes = await bench.connector.sweep("customer", "changes", start.cursor)
        for one in (read[made.id], *listed.sightings, *changes.sightings):
            if isinstance(one, Sighting):
                remote = bench.read(one)
                assert remote.is_archived or remote.fields.get("status") not in (None, "active")

    @pytest.mark.cure("manifest.py: `limits` are the provider's; client.py: every call waits for the limiter.")
    async def test_published_limits_are_kept(self, bench: Bench) -> None:
        """A provider that counts never has to say 429: the manifest's limits are no looser than its own."""
        bench.lookalike.settings = replace(bench.lookalike.settings, enforce_limits=True)
        statuses: list[int] = []

        def counted(plain: Exchange) -> Exchange:
            def exchange(request: HttpRequest) -> HttpResponse:
                answer = plain(request)
                statuses.append(answer.status)
                return answer

            return exchange

        bench.through(counted)
        made = await bench.created()
        for _ in range(300):
            await bench.connector.read("customer", [made.id])
        assert len(statuses) > 300
        assert statuses.count(429) == 0

    @pytest.mark.cure("errors.py, client.py: no request, header or key in the text of an error.")
    async def test_nothing_secret_is_in_any_error(self, bench: Bench) -> None:
        """Errors are shown to people, logged and stored."""
        errors: list[BaseException] = []
        made = await bench.created()
        for status in (400, 401, 403, 404, 409, 422, 429, 500, 200):
            bench.world.start()
            bench.through(answers(status, body=b"<html>"))
            for call in (
                lambda: bench.connector.read("customer", [made.id]),
                lambda: bench.connector.sweep("customer", "full", None),
                bench.connector.identify,
            ):
                try:
                    await call()
                except AccordError as error:
                    errors.append(error)
            errors += [one for one in await bench.connector.write([bench.create()]) if isinstance(one, AccordError)]
        bench.through(breaks(ConnectionError("refused"), executed=False))
        with pytest.raises(AccordError) as refused:
            await bench.connector.identify()
        errors.append(refused.value)
        assert len(errors) > 20
        texts = ["".join(traceback.format_exception(error)) + repr(error) for error in errors]
        for secret in (*SECRETS[bench.name].values(), *bench.world.vaults[bench.name].values.values()):
            if len(secret) > 12:
                assert not [text for text in texts if secret in text]


def _broken(plain: Exchange) -> Exchange:
    def exchange(request: HttpRequest) -> HttpResponse:
        answer = plain(request)
        body = answer.body.replace(b'"Broken Person"', b"12345").replace(b'"Broken"', b"12345")
        return HttpResponse(answer.status, answer.headers, body)

    return exchange


class TestWebhooks:
    """Deliveries: who sent them, and whom they concern."""

    def delivered(self, bench: Bench) -> Delivery:
        """A real delivery of this provider."""
        bench.lookalike.settings = replace(bench.lookalike.settings, webhook_url=f"https://accord.test/{bench.name}")
        bench.lookalike.edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
        bench.world.clock.time += 30
        return bench.lookalike.due_webhooks(bench.world.clock.time)[0].delivery

    def secrets(self, bench: Bench) -> tuple[str, ...]:
        """The live signing secrets."""
        return bench.world.hub.connection(bench.name).webhook_secrets()

    @pytest.mark.cure("webhook.py: `notices` names the object's id and kind.")
    async def test_an_authentic_delivery_names_its_object(self, bench: Bench) -> None:
        """An identity, never a value."""
        delivery = self.delivered(bench)
        webhooks = bench.world.hub.connection(bench.name).webhooks
        webhooks.verify(delivery, self.secrets(bench), bench.world.clock.time)
        assert {one.remote_id for one in webhooks.notices(delivery.body)} == set(bench.lookalike.objects("customer"))

    @pytest.mark.cure("webhook.py: sign the raw bytes, compare with hmac.compare_digest, refuse whatever else.")
    async def test_anything_but_the_signed_bytes_is_refused(self, bench: Bench) -> None:
        """Forged, unsigned, reserialised, of another secret, without any secret."""
        delivery = self.delivered(bench)
        webhooks = bench.world.hub.connection(bench.name).webhooks
        secrets, now = self.secrets(bench), bench.world.clock.time
        forged = [
            replace(delivery, body=delivery.body + b" "),
            replace(delivery, body=delivery.body[:-1]),
            replace(delivery, body=b""),
            replace(delivery, headers={}),
            replace(delivery, headers=dict.fromkeys(delivery.headers, "")),
            replace(delivery, headers={name: text[::-1] for name, text in delivery.headers.items()}),
        ]
        for one in forged:
            with pytest.raises(SignatureError):
                webhooks.verify(one, secrets, now)
        for wrong in ((), ("",), ("another-secret",)):
            with pytest.raises(SignatureError):
                webhooks.verify(delivery, wrong, now)

    @pytest.mark.cure("webhook.py: refuse before comparing when no secret is left.")
    async def test_without_a_secret_nothing_is_authentic(self, bench: Bench) -> None:
        """What is signed with an empty key, anybody can sign."""
        (secret,) = self.secrets(bench)
        settings = bench.lookalike.settings
        empty: Mapping[str, object] = {repr(secret): "", repr((secret,)): ("",)}
        unset: dict[str, Any] = {
            one.name: empty[value]
            for one in dataclass_fields(settings)
            if (value := repr(getattr(settings, one.name))) in empty
        }
        assert unset, "the look-alike's settings have no webhook secret"
        bench.lookalike.settings = replace(settings, **unset)
        delivery, webhooks = self.delivered(bench), bench.world.hub.connection(bench.name).webhooks
        for none in ((), ("",), (" ",)):
            with pytest.raises(SignatureError):
                webhooks.verify(delivery, none, bench.world.clock.time)

    async def test_either_of_two_live_secrets_will_do(self, bench: Bench) -> None:
        """A secret is rolled without losing a delivery."""
        delivery = self.delivered(bench)
        webhooks = bench.world.hub.connection(bench.name).webhooks
        webhooks.verify(delivery, ("new-secret", *self.secrets(bench)), bench.world.clock.time)

    @pytest.mark.cure(
        "webhook.py: refuse a signed time too far from `now`. sandbox/offer.py: `is_time_signed=False` if "
        "none is signed."
    )
    async def test_a_stale_delivery_is_refused_where_its_time_is_signed(self, bench: Bench) -> None:
        """And a replay is always recognised as one."""
        delivery = self.delivered(bench)
        webhooks = bench.world.hub.connection(bench.name).webhooks
        assert webhooks.dedupe_key(delivery) == webhooks.dedupe_key(replace(delivery))
        if OFFERS[bench.name].is_time_signed:
            for late in (3600.0, -3600.0):
                with pytest.raises(SignatureError):
                    webhooks.verify(delivery, self.secrets(bench), bench.world.clock.time + late)

    async def test_an_odd_body_has_a_key_and_no_notice(self, bench: Bench) -> None:
        """Authentic but unreadable: stored as poison, never a crash."""
        webhooks = bench.world.hub.connection(bench.name).webhooks
        for body in (b"", b"[", b"\xff", b'"text"', b"5"):
            odd = Delivery("POST", "https://accord.test", {}, body)
            assert webhooks.dedupe_key(odd)
            with pytest.raises(ReplyError):
                webhooks.notices(body)


async def test_what_a_connector_archives_is_gone_or_says_so_and_a_repeat_does_no_harm(bench: Bench) -> None:
    """Where the manifest says that it can; elsewhere nothing is ever sent."""
    first = await bench.created()
    before = len(bench.lookalike.mutations)
    if not bench.connector.manifest.archives:
        with pytest.raises(BugError, match="archives nothing"):
            bench.archiver.farewell(first.raw)
        return
    other = bench.lookalike.edit("customer", None, {"name": "Somebody Else", "email": "else@example.test"})
    body = bench.archiver.farewell(first.raw)
    assert body is not None
    write = Write(key="key-9", action="archive", kind="customer", remote_id=first.id, body=body)
    for _ in range(2):
        told = await bench.archiver.archive(write)
        assert told.id == first.id
        assert isinstance(told, Missing) or bench.archiver.farewell(told.raw) is None
    seen = await bench.connector.read("customer", [first.id, other])
    now = seen[first.id]
    assert isinstance(now, Missing) or bench.archiver.farewell(now.raw) is None
    assert isinstance(seen[other], Sighting)
    ours = [one for one in bench.lookalike.mutations[before:] if one.caller == "accord"]
    assert [one.id for one in ours] == [first.id]


@pytest.fixture(params=[(name, part.name) for name, one in PROVIDERS.items() for part in one.manifest.parts])
async def parted(request: pytest.FixtureRequest) -> tuple[Bench, Part]:
    """Each part that a provider's records can have, at a connection that asks for it."""
    name, part = request.param
    (found,) = [one for one in PROVIDERS[name].manifest.parts if one.name == part]
    config = with_settings(config_of((name,)), name, **{found.setting: "true"})
    one = Bench(name, World(names=(name,), config=config))
    await one.connector.prepare()
    return one, found


def as_part(bench: Bench, part: Part, current: Sighting | None = None, key: str = "key-5", **fields: Value) -> Write:
    """A write of a part."""
    wanted = Wanted(fields=fields, part=part.name, mark=None if current else str(Mark("instance", "part", 1)))
    translator = bench.world.hub.connection(bench.name).translator
    body = translator.patch(wanted, current.raw if current else None).body
    action: Any = "update" if current else "create"
    return Write(key=key, action=action, kind="customer", remote_id=current.id if current else None, body=body)


async def test_a_part_is_an_object_of_its_own_that_says_what_it_belongs_to(parted: tuple[Bench, Part]) -> None:
    """Made once whatever is repeated, found by our marker, no customer by itself; tied by a write of its own."""
    bench, part = parted
    field, value = part.when
    fields: dict[str, Any] = {name: VALUES[name] for name in part.fields}
    company: dict[str, Any] = {**bench.fields(), field: value, **dict.fromkeys(part.fields)}
    (first,) = await bench.connector.write([bench.create(**company)])
    assert isinstance(first, Written), first
    assert first.sighting.id.startswith(part.of)

    create = as_part(bench, part, **fields)
    (made,) = await bench.connector.write([create])
    (again,) = await bench.connector.write([msgspec.structs.replace(create, is_repeat=True)])
    assert isinstance(made, Written), made
    assert isinstance(again, Written), again
    assert made.sighting.id == again.sighting.id
    assert made.sighting.id.startswith(part.ids)
    seen = bench.read(made.sighting)
    assert (seen.part_of, seen.external_id) == ((), None)
    assert {name: seen.fields[name] for name in fields} == fields
    found = await bench.connector.find("customer", Probe(mark=str(Mark("instance", "part", 1))))
    assert [one.id for one in found] == [made.sighting.id]

    tie = as_part(bench, part, made.sighting, part_of=first.sighting.id)
    (once,) = await bench.connector.write([tie])
    (tied,) = await bench.connector.write([tie])  # an unanswered one is sent again
    assert isinstance(once, Written), once
    assert isinstance(tied, Written), tied
    assert bench.read(once.sighting).part_of == bench.read(tied.sighting).part_of == (first.sighting.id,)
    assert bench.read(tied.sighting) == await bench.understood(made.sighting.id)
    assert not as_part(bench, part, tied.sighting, part_of=first.sighting.id).body
    assert len(bench.lookalike.objects("customer")) == 2
    assert (await bench.understood(first.sighting.id)).fields["name"] == VALUES["name"]
