"""The connector against the look-alike: pages, reads, writes, and every way an answer can go missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest

from connectors.quickbooks.connector import PROVIDER, QuickBooksConnector, item_id
from core.errors import (
    AmbiguousError,
    ConfigError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)
from core.ports import HttpRequest, HttpResponse, Missing, Page, Probe, Shell, Sighting, Write, Written
from tests.unit.connectors.quickbooks.conftest import MakeWorld, World, always

MANY = 13
pytestmark = pytest.mark.anyio


Mode = Literal["full", "changes"]


async def swept(connector: QuickBooksConnector, mode: Mode = "full", cursor: str | None = None) -> list[Page]:
    """All pages of a sweep."""
    pages = [await connector.sweep("customer", mode, cursor)]
    while not pages[-1].is_last:
        pages.append(await connector.sweep("customer", mode, pages[-1].cursor))
    return pages


def ids(pages: list[Page]) -> set[str]:
    """Every object seen."""
    return {sighting.id for page in pages for sighting in page.sightings}


def together(writes: Sequence[Write], batch: str = "batch") -> list[Write]:
    """The same writes, in one request."""
    return [msgspec.structs.replace(write, batch=batch) for write in writes]


def only(result: object) -> Sighting:
    """The sighting of a read or a write that must have succeeded."""
    found = result.sighting if isinstance(result, Written) else result
    assert isinstance(found, Sighting)
    return found


async def raw_of(connector: QuickBooksConnector, remote_id: str) -> bytes:
    """An object's bytes as they are now."""
    return only((await connector.read("customer", [remote_id]))[remote_id]).raw


# ---- who -------------------------------------------------------------------------------------------


async def test_the_account_is_the_realm_and_its_mode(world: World) -> None:
    """A company's name can change and two can share it; the realm id cannot."""
    world.extra["base_url"] = "https://sandbox-quickbooks.api.example"
    development = await world.connector().identify()
    world.extra.clear()
    live = await world.connector().identify()

    assert (live.id, live.title, live.notes) == ("9341453908059321:live", "Sandbox Books", ())
    assert development.id == "9341453908059321:test"


async def test_a_region_that_does_not_fit_the_company_is_told(make_world: MakeWorld) -> None:
    """A US company set up as "other" refuses every Polish name, one by one."""
    world = make_world()
    world.extra["region"] = "other"

    assert "region" in (await world.connector().identify()).notes[0]
    assert list(await world.connector().prepare()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("realm_id", ""), ("region", "mars"), ("batch_size", "0"), ("batch_size", "31"), ("batch_size", "x")],
)
async def test_a_wrong_setting_is_named(world: World, key: str, value: str) -> None:
    """The cure is one edit of one key."""
    world.extra[key] = value

    with pytest.raises(ConfigError) as caught:
        world.connector()
    assert caught.value.key == f"connections.books.{key}"


async def test_the_manifest_carries_the_connections_batch_size(world: World) -> None:
    """The engine sends at most as many writes as one batch holds."""
    world.extra["batch_size"] = "10"

    assert world.connector().manifest.write_batch == 10


# ---- sweeping --------------------------------------------------------------------------------------


async def test_a_full_sweep_sees_everyone_once_more_than_a_page(world: World) -> None:
    """Inactive ones too: left out of a listing they would look deleted."""
    for batch in range(25):
        world.clock.time += 1
        for number in range(100):
            world.company.edit("customer", None, {"name": f"C{batch}-{number}"})
    world.company.delete("customer", "5")
    connector = world.connector()

    pages = await swept(connector)

    assert ids(pages) == set(world.company.objects("customer"))
    assert len(pages) == 3
    assert pages[-1].cursor is None


async def test_a_sweep_under_writes_skips_nobody(world: World) -> None:
    """Paging by offset, an edit of an object already seen moved another one up, past the reader."""
    for batch in range(30):
        world.clock.time += 1
        for number in range(100):
            world.company.edit("customer", None, {"name": f"C{batch}-{number}"})
    connector, pages, number = world.connector(), [], 0
    cursor = None
    while True:
        pages.append(await connector.sweep("customer", "full", cursor))
        cursor = pages[-1].cursor
        if pages[-1].is_last:
            break
        for _ in range(40):
            number += 1
            world.clock.time += 1
            world.company.edit("customer", str(number), {"phone": "1"})

    assert ids(pages) == set(world.company.objects("customer"))


async def test_three_thousand_customers_of_one_second_are_all_seen(world: World) -> None:
    """An import gives thousands of customers one LastUpdatedTime: a keyset alone would stand still."""
    world.seed(3000)
    world.clock.time += 5
    connector, pages, cursor = world.connector(), [], None
    while True:
        pages.append(await connector.sweep("customer", "full", cursor))
        cursor = pages[-1].cursor
        if pages[-1].is_last:
            break
        for number in range(len(pages), len(pages) + 10):
            world.company.edit("customer", str(number), {"phone": "1"})  # leaves the crowded second

    assert ids(pages) == set(world.company.objects("customer"))
    assert len(pages) <= 5


async def test_a_full_page_without_times_still_moves_on(world: World) -> None:
    """A company that hides MetaData must not be read in a circle."""
    world.seed(1500)
    world.after = lambda _, answer: HttpResponse(
        answer.status, answer.headers, answer.body.replace(b'"LastUpdatedTime"', b'"Elsewhere"')
    )

    pages = await swept(world.connector())

    assert ids(pages) == set(world.company.objects("customer"))
    assert len(pages) == 2


async def test_odd_texts_are_found_however_deep(world: World) -> None:
    """No column takes U+0000, wherever in the object it is."""
    world.company.edit("customer", None, {"name": "A", "extra": {"CustomField": [1, {"StringValue": "a\u0000"}]}})

    page = await world.connector().sweep("customer", "full", None)

    assert [(bad.id, bad.field) for bad in page.bad] == [("1", "CustomField.StringValue")]


async def test_an_unchanged_object_keeps_its_digest_and_a_changed_one_does_not(world: World) -> None:
    """The digest is the idle fast path."""
    world.seed(3)
    connector = world.connector()
    before = {sighting.id: sighting.digest for page in await swept(connector) for sighting in page.sightings}
    world.company.edit("customer", "2", {"phone": "5"})
    after = {sighting.id: sighting.digest for page in await swept(connector) for sighting in page.sightings}
    reread = only((await connector.read("customer", ["1"]))["1"])

    assert [remote_id for remote_id in before if before[remote_id] != after[remote_id]] == ["2"]
    assert reread.digest == after["1"]


@pytest.mark.parametrize(
    ("name", "field"),
    [(rb"Customer\u00001", "DisplayName"), (rb"Customer \ud800", "DisplayName"), (b"Customer \xff", "DisplayName")],
)
async def test_one_bad_record_is_named_and_the_others_arrive(world: World, name: bytes, field: str) -> None:
    """A page of 3,000 with one bad record lost the rest."""
    world.seed(5)
    world.after = lambda _, answer: HttpResponse(
        answer.status, answer.headers, answer.body.replace(b'"DisplayName":"Customer 1"', b'"DisplayName":"%b"' % name)
    )

    page = await world.connector().sweep("customer", "full", None)

    assert ids([page]) == {"1", "3", "4", "5"}
    assert [(bad.id, bad.field) for bad in page.bad] == [("2", field)]
    assert page.bad[0].raw.isascii()
    assert "\x00" not in page.bad[0].raw
    assert page.is_last


async def test_a_record_without_an_id_is_bad_and_an_emoji_is_not(world: World) -> None:
    """A pair of surrogate escapes is an innocent character."""
    world.seed(3, phone="5")

    def spoiled(_: HttpRequest, answer: HttpResponse) -> HttpResponse:
        body = answer.body.replace(b'"Id":"1"', b'"Id":1').replace(b'"Customer 1"', rb'"\ud83d\ude00"')
        return HttpResponse(200, answer.headers, body)

    world.after = spoiled
    page = await world.connector().sweep("customer", "full", None)

    assert ids([page]) == {"2", "3"}
    assert [(bad.id, bad.field) for bad in page.bad] == [("?", "Id")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"Fault"',
        b'{"QueryResponse":[]}',
        b'{"QueryResponse":{"Customer":5}}',
        b"[" * 100_000,
        b"[]",
    ],
)
async def test_a_page_that_cannot_be_read_at_all_is_an_error_and_not_an_empty_page(world: World, body: bytes) -> None:
    """An empty page deletes nothing only as long as it is not mistaken for one."""
    connector = world.connector()
    await connector.identify()
    world.after = lambda _, answer: HttpResponse(200, answer.headers, body)

    with pytest.raises(ReplyError):
        await connector.sweep("customer", "full", None)


async def test_a_cursor_of_someone_else_is_refused(world: World) -> None:
    """A damaged cursor must not become a sweep from the start."""
    connector = world.connector()
    odd: tuple[tuple[Mode, str], ...] = (
        ("full", "garbage"), ("changes", "garbage"), ("changes", "{}"), ("changes", '{"since":"x"}'),
    )  # fmt: skip
    for mode, cursor in odd:
        with pytest.raises(ReplyError):
            await connector.sweep("customer", mode, cursor)


async def test_changes_begin_now_and_then_name_what_changed(world: World) -> None:
    """The position is Intuit's own clock: ours may be wrong."""
    world.seed(20)
    connector = world.connector()
    world.clock.time += 400
    first = await connector.sweep("customer", "changes", None)
    world.company.edit("customer", "3", {"phone": "5"})
    world.company.delete("customer", "4")
    world.clock.time += 400
    second = await connector.sweep("customer", "changes", first.cursor)
    world.clock.time += 400
    third = await connector.sweep("customer", "changes", second.cursor)

    assert (ids([first]), first.is_last) == (set(), True)
    assert ids([second]) == {"3", "4"}
    assert second.is_last
    assert ids([third]) == set()


async def test_changes_overlap_because_the_feed_may_lag(world: World) -> None:
    """What was committed just before the cursor may appear only after it."""
    world.seed(2)
    connector = world.connector()
    world.clock.time += 200
    first = await connector.sweep("customer", "changes", None)
    second = await connector.sweep("customer", "changes", first.cursor)

    assert ids([second]) == {"1", "2"}


async def test_more_changes_than_the_feed_holds_are_paged_through_the_query(world: World) -> None:
    """The feed stops at 1,000 objects and has no pages: what is beyond is silently not there."""
    connector = world.connector()
    world.clock.time += 400
    first = await connector.sweep("customer", "changes", None)
    for batch in range(26):
        world.clock.time += 1
        for number in range(100):
            world.company.edit("customer", None, {"name": f"C{batch}-{number}"})
    world.clock.time += 1

    pages = await swept(connector, "changes", first.cursor)
    world.clock.time += 1000
    overlapping = await swept(connector, "changes", pages[-1].cursor)
    idle = await swept(connector, "changes", overlapping[-1].cursor)

    assert ids(pages) == set(world.company.objects("customer"))
    assert len(pages) == 3 + 4  # a page of each kind of document, too: they share the feed's 1,000
    assert (ids(idle), len(idle)) == (set(), 1)


async def test_what_a_feed_calls_deleted_is_gone_and_to_be_confirmed(world: World) -> None:
    """CDC names deleted objects by their id alone."""
    connector = world.connector()
    first = await connector.sweep("customer", "changes", None)
    gone = b'[{"QueryResponse":[{"Customer":[{"Id":"9","status":"Deleted"}]}]}]'
    deleted = b'{"CDCResponse":%b,"time":"2026-11-20T00:00:00-08:00"}' % gone
    world.after = lambda _, answer: HttpResponse(200, answer.headers, deleted)

    assert list((await connector.sweep("customer", "changes", first.cursor)).gone) == ["9"]


async def test_a_bad_record_in_the_feed_is_named_too(world: World) -> None:
    """The feed is cut into records the same way."""
    world.seed(3)
    connector = world.connector()
    first = await connector.sweep("customer", "changes", None)
    world.after = lambda _, answer: HttpResponse(
        200, answer.headers, answer.body.replace(b'"DisplayName":"Customer 1"', b'"DisplayName":"\\udfff"')
    )
    page = await connector.sweep("customer", "changes", first.cursor)

    assert ids([page]) == {"1", "3"}
    assert page.bad[0].id == "2"


async def test_a_time_that_is_none_is_a_bad_reply(world: World) -> None:
    """A cursor made of nonsense would read from the beginning, or never again."""
    world.after = lambda _, answer: HttpResponse(200, answer.headers, b'{"CompanyInfo":{},"time":"soon"}')
    world.vault.values |= {"access_token": world.token(), "access_expires_at": "9e99"}

    with pytest.raises(ReplyError):
        await world.connector().sweep("customer", "changes", None)


# ---- reading ---------------------------------------------------------------------------------------


async def test_reads_are_batched_and_every_id_is_answered(world: World) -> None:
    """CorePlus is metered: 250 objects are three calls, not 250."""
    world.seed(250)
    world.company.delete("customer", "7")
    connector = world.connector()

    found = await connector.read("customer", [str(number) for number in range(1, 251)] + ["1"])

    assert len(found) == 250
    assert all(isinstance(seen, Sighting) for seen in found.values())
    assert len(world.paths("/query")) == 3


async def test_missing_is_only_what_a_look_of_its_own_did_not_find(world: World) -> None:
    """A query leaves out what it cannot see; 610 alone says that it is gone."""
    world.seed(3)
    world.company.merge("customer", "1", "2")
    connector = world.connector()

    found = await connector.read("customer", ["1", "2", "it's \\ odd"])

    assert isinstance(found["1"], Sighting)
    assert found["2"] == Missing("2")
    assert found["it's \\ odd"] == Missing("it's \\ odd")
    assert len(world.paths("/customer/")) == 2


async def test_a_query_that_forgot_someone_is_not_believed(world: World) -> None:
    """An index that lags must not unlink a customer."""
    world.seed(2)
    world.after = lambda request, answer: (
        HttpResponse(200, {}, b'{"QueryResponse":{},"time":"x"}') if "/query" in request.url else answer
    )

    found = await world.connector().read("customer", ["2"])

    assert only(found["2"]).id == "2"


async def test_an_absorbed_customer_that_answers_as_its_survivor_is_missing(world: World) -> None:
    """The object that came back is not the one asked for."""
    world.seed(2)
    empty = HttpResponse(200, {}, b'{"QueryResponse":{},"time":"x"}')
    world.before = lambda request: empty if "/query" in request.url else None
    world.after = lambda _, answer: HttpResponse(200, {}, answer.body.replace(b'"Id":"2"', b'"Id":"1"'))

    assert (await world.connector().read("customer", ["2"]))["2"] == Missing("2", survivor="1")


async def test_a_failed_read_raises_and_says_missing_of_nobody(world: World) -> None:
    """A failure to read is not an absence."""
    world.seed(1)
    connector = world.connector()
    await connector.identify()
    for status, body, error in [
        (500, b"", RetryError),
        (404, b"<html>", ReplyError),
        (200, b"<html>", ReplyError),
        (403, b"", ReauthorizeError),
    ]:
        world.before = always(HttpResponse(status, {}, body))
        with pytest.raises(error):
            await connector.read("customer", ["1"])


async def test_an_unreadable_object_is_returned_for_the_translator_to_refuse(world: World) -> None:
    """One bad record never blocks a batch of reads."""
    world.seed(2)
    world.after = lambda _, answer: HttpResponse(
        200, answer.headers, answer.body.replace(b'"DisplayName":"Customer 1"', b'"DisplayName":"\\ud800"')
    )

    found = await world.connector().read("customer", ["1", "2"])
    remote = PROVIDER.translator(world.config).read(only(found["2"]).raw)

    assert set(found) == {"1", "2"}
    assert set(remote.unreadable) == {"name"}


async def test_a_lost_read_is_tried_again(world: World) -> None:
    """A read changes nothing: nobody needs to hear of one time-out."""
    world.seed(1)
    losses = [TimeoutError("cut"), ConnectionRefusedError("no")]

    def lossy(request: HttpRequest) -> None:
        if "/query" in request.url and losses:
            raise losses.pop()

    world.before = lossy

    assert len(ids(await swept(world.connector()))) == 1
    assert losses == []


# ---- finding ---------------------------------------------------------------------------------------


async def test_a_name_is_found_with_its_quotes_and_when_inactive(world: World) -> None:
    """O'Neill's query ended at the apostrophe; the inactive one was created a second time."""
    world.company.edit("customer", None, {"name": "O'Neill \\ Sons"})
    world.company.edit("customer", None, {"name": "Sleepy"})
    world.company.delete("customer", "2")
    connector = world.connector()

    assert [only(s).id for s in await connector.find("customer", Probe(unique={"name": "O'Neill \\ Sons"}))] == ["1"]
    assert [only(s).id for s in await connector.find("customer", Probe(unique={"name": "Sleepy"}))] == ["2"]
    assert await connector.find("customer", Probe(unique={"name": "Nobody"})) == []


def between(world: World, *, ours: float = 0.0) -> Probe:
    """A probe for what was made in this minute, by a clock of ours that is fast by so much."""
    now = world.clock.time + ours
    return Probe(unique={"name": "Ada"}, created_after=now - 30, created_before=now + 30)


async def ids_found(connector: QuickBooksConnector, probe: Probe) -> list[str]:
    """Whom a look-up finds."""
    return sorted(only(one).id for one in await connector.find("customer", probe))


async def test_whoever_was_made_in_between_and_changed_since_may_have_had_the_name(world: World) -> None:
    """Active or not. One that nobody has changed has the name that it was made with."""
    connector = world.connector()
    world.company.edit("customer", None, {"name": "Before"})
    world.clock.time += 3600
    for name in ("Changed", "Off", "As made", "Ada"):
        world.company.edit("customer", None, {"name": name})
    probe = between(world)
    world.clock.time += 3600
    world.company.edit("customer", None, {"name": "After"})
    world.clock.time += 86_400
    for remote_id in ("1", "2", "6"):
        world.company.edit("customer", remote_id, {"phone": "+49301111111"})
    world.company.delete("customer", "3")

    assert await ids_found(connector, probe) == ["2", "3", "5"]
    world.requests.clear()
    assert await ids_found(connector, Probe(unique={"name": "Ada"})) == ["5"]
    assert len(world.requests) == 1


async def test_a_change_in_the_second_of_its_creation_is_a_change(world: World) -> None:
    """Times are whole seconds; the version tells."""
    world.company.edit("customer", None, {"name": "Ada"})
    world.company.edit("customer", "1", {"name": "Ada King"})

    assert await ids_found(world.connector(), between(world)) == ["1"]


async def test_a_change_that_does_not_count_the_version_up_is_a_change(world: World) -> None:
    """What QuickBooks does to an object by itself is not documented; the time of it tells, too."""
    world.company.edit("customer", None, {"name": "Ada King"})
    probe = between(world)
    world.clock.time += 60
    world.company.edit("customer", "1", {"phone": "+49301111111"})
    world.after = lambda _, answer: HttpResponse(
        answer.status, answer.headers, answer.body.replace(b'"SyncToken":"1"', b'"SyncToken":"0"')
    )

    assert await ids_found(world.connector(), probe) == ["1"]


@pytest.mark.parametrize("ours", [-7200.0, 7200.0])
async def test_when_something_was_made_is_said_in_intuit_s_time(world: World, ours: float) -> None:
    """A clock of ours that is two hours off must hide nothing, nor one that was right when the create was sent."""

    class Skewed:
        def now(self) -> float:
            return world.clock.time + ours

        async def sleep(self, seconds: float) -> None:
            await world.clock.sleep(seconds)

    shell = Shell(Skewed(), world.shell.hop, world.shell.exchange)
    connector = PROVIDER.build(world.config, world.vault, shell)
    assert isinstance(connector, QuickBooksConnector)
    world.company.edit("customer", None, {"name": "Ada"})
    world.clock.time += 1
    world.company.edit("customer", "1", {"name": "Ada King"})

    assert await ids_found(connector, between(world, ours=ours)) == ["1"]
    assert await ids_found(connector, between(world)) == ["1"]


@pytest.mark.parametrize("batch", ["", "b1"])
async def test_a_parent_that_is_inactive_is_no_customer_that_is_gone(world: World, batch: str) -> None:
    """QuickBooks says the same of both: it was tried again for ever, and nobody was asked."""
    head, one = world.seed(2)
    seen = (await world.connector().read("customer", [one]))[one]
    assert isinstance(seen, Sighting)
    raw = seen.raw
    world.company.edit("customer", head, {"status": "inactive"})
    above = {"ParentRef": {"value": head}, "Job": True}
    update = world.update("k1", one, raw, phone="+49301234567")
    create = world.create("k2", name="Branch")
    for write in (update, create):
        sent = msgspec.structs.replace(write, body={**write.body, **above}, batch=batch and batch + write.key)
        (refused,) = await world.connector().write([sent])
        assert isinstance(refused, RejectedError)
        assert not isinstance(refused, GoneError)
        assert (refused.field, refused.limit) == ("parent", "active and there")
        assert f"customer {head}" in refused.problem

    world.company.merge("customer", head, one)
    sent = msgspec.structs.replace(update, key="k3", body={**update.body, **above}, batch=batch and f"{batch}k3")
    (gone,) = await world.connector().write([sent])
    assert isinstance(gone, GoneError)


async def test_every_page_of_what_was_made_in_between_is_read(world: World) -> None:
    """An import in that very minute."""
    world.seed(1100)
    for number in (1, 550, 1100):
        world.company.edit("customer", str(number), {"phone": "+49301111111"})
    connector = world.connector()
    await connector.identify()
    world.requests.clear()

    assert await ids_found(connector, between(world)) == ["1", "1100", "550"]
    assert len(world.requests) == 3


async def test_a_record_that_cannot_be_understood_may_have_had_the_name(world: World) -> None:
    """Taken for one that was never changed, it would be made a second time."""
    world.company.edit("customer", None, {"name": "Odd"})
    world.after = lambda _, answer: HttpResponse(
        answer.status, answer.headers, answer.body.replace(b'"SyncToken":"0"', b'"SyncToken":null')
    )

    assert await ids_found(world.connector(), between(world)) == ["1"]


async def test_no_customer_can_carry_a_mark(world: World) -> None:
    """There is no place for one, so the truthful answer costs no call."""
    assert await world.connector().find("customer", Probe(mark="a.b.1", external_id="x")) == []
    assert world.requests == []


async def test_a_failed_look_is_not_an_empty_one(world: World) -> None:
    """An empty answer here means: create."""
    connector = world.connector()
    await connector.identify()
    world.before = lambda _: HttpResponse(500, {}, b"")

    with pytest.raises(RetryError):
        await connector.find("customer", Probe(unique={"name": "A"}))


# ---- writing ---------------------------------------------------------------------------------------


async def test_a_create_and_its_repeat_make_one_customer(world: World) -> None:
    """The same key and body give the first answer again."""
    connector, write = world.connector(), world.create("k1", name="Acme", email="a@b.example")

    first = only((await connector.write([write]))[0])
    again = only((await connector.write([write]))[0])

    assert (first.id, first.raw) == (again.id, again.raw)
    assert [row["DisplayName"] for row in world.company.objects("customer").values()] == ["Acme"]


async def test_a_lost_answer_is_ambiguous_and_the_same_key_resolves_it(world: World) -> None:
    """The create had happened; a retry under another key would have made a twin."""
    connector, write = world.connector(), world.create("k1", name="Acme")

    def lost(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if request.method == "POST" and "/customer" in request.url:
            raise TimeoutError
        return answer

    world.after = lost
    receipts = await connector.write([write])
    world.after = lambda _, answer: answer

    assert isinstance(receipts[0], AmbiguousError)
    assert only((await connector.write([write]))[0]).id == "1"
    assert len(world.company.objects("customer")) == 1


async def test_a_write_is_never_repeated_by_the_connector(world: World) -> None:
    """Only the intent's own resolution may send it again."""
    connector = world.connector()
    await connector.identify()
    world.before = lambda _: HttpResponse(503, {}, b"")

    receipts = await connector.write([world.create("k1", name="Acme")])

    assert isinstance(receipts[0], AmbiguousError)
    assert len(world.paths("/customer")) == 1


async def test_a_write_that_never_left_may_be_sent_again(world: World) -> None:
    """A refused connection executed nothing."""
    connector = world.connector()
    await connector.identify()

    def refused(_: HttpRequest) -> None:
        raise ConnectionRefusedError

    world.before = refused

    assert isinstance((await connector.write([world.create("k1", name="Acme")]))[0], RetryError)


async def test_each_batch_is_one_request_and_the_others_go_alone(world: World) -> None:
    """40 batches a minute carry 20 writes a second, single calls 7 more."""
    world.seed(40)
    connector = world.connector()
    objects = await connector.read("customer", [str(number) for number in range(1, 41)])
    writes = [world.update(f"u{key}", key, only(seen).raw, phone=f"+{key}") for key, seen in objects.items()]
    creates = [world.create(f"c{number}", name=f"New {number}") for number in range(30)]
    sent = [*together(writes[:20], "one"), *writes[20:], *together(creates, "two")]

    receipts = await connector.write(sent)

    assert [only(receipt).id for receipt in receipts[:40]] == [str(number) for number in range(1, 41)]
    assert [json.loads(only(receipt).raw)["DisplayName"] for receipt in receipts[40:]] == [
        f"New {number}" for number in range(30)
    ]
    assert all(world.company.neutral("customer")[str(n)]["phone"] == f"+{n}" for n in range(1, 41))
    assert (len(world.paths("/batch")), len(world.paths("/customer?"))) == (2, 20)


async def test_a_repeated_batch_of_creates_makes_none_twice(world: World) -> None:
    """Its answer was lost: under its request id it is given again, also when one of its creates is not asked about."""
    connector = world.connector()
    writes = together([world.create(f"c{number}", name=f"New {number}") for number in range(5)])
    world.after = lambda request, answer: HttpResponse(502, {}, b"") if "/batch" in request.url else answer
    assert [type(one) for one in await connector.write(writes)] == [AmbiguousError] * 5
    world.after = lambda _, answer: answer
    for remote_id in world.company.neutral("customer"):
        world.company.edit("customer", remote_id, {"name": f"Renamed {remote_id}"})

    receipts = await world.connector().write([msgspec.structs.replace(one, is_repeat=True) for one in writes[1:]])

    assert [json.loads(only(one).raw)["DisplayName"] for one in receipts] == [f"New {number}" for number in range(1, 5)]
    assert len(world.company.neutral("customer")) == 5


async def test_a_create_that_a_batchs_first_answer_leaves_out_is_ambiguous(world: World) -> None:
    """The batch was lost on its way, and a part of it was repeated first: nothing says what became of the others."""
    connector = world.connector()
    writes = together([world.create(f"c{number}", name=f"New {number}") for number in range(3)])
    world.before = lambda _: HttpResponse(502, {}, b"")
    await connector.write(writes)
    world.before = lambda _: None

    assert isinstance((await connector.write(writes[:1]))[0], Written)
    assert [type(one) for one in await connector.write(writes[1:])] == [AmbiguousError] * 2
    assert len(world.company.neutral("customer")) == 1


async def test_a_batch_of_creates_that_was_refused_is_repeated_by_each_ones_own_id(make_world: MakeWorld) -> None:
    """Too big for this company: they go alone, and what went unanswered then is no second customer either."""
    world = make_world(batch_most=3)
    connector = world.connector()
    writes = together([world.create(f"c{number}", name=f"New {number}") for number in range(4)])
    world.after = lambda request, answer: HttpResponse(502, {}, b"") if "/customer" in request.url else answer
    assert [type(one) for one in await connector.write(writes)] == [AmbiguousError] * 4
    world.after = lambda _, answer: answer
    for remote_id in world.company.neutral("customer"):
        world.company.edit("customer", remote_id, {"name": f"Renamed {remote_id}"})

    receipts = await connector.write(writes)

    assert [type(one) for one in receipts] == [Written] * 4
    assert len(world.company.neutral("customer")) == 4


async def test_one_failed_item_of_a_batch_fails_alone(world: World) -> None:
    """HTTP 200, and inside it one stale, one gone, one taken, one refused, one done."""
    world.seed(6)
    connector = world.connector()
    raws = {n: await raw_of(connector, n) for n in ("1", "2", "3", "4", "5")}
    writes = [world.update(f"u{n}", n, raw, name=f"Renamed {n}") for n, raw in raws.items()]
    world.company.edit("customer", "1", {"phone": "5"})
    world.company.merge("customer", "6", "2")
    for number, name in ((2, "Customer 5"), (3, "a:b")):
        writes[number] = msgspec.structs.replace(writes[number], body={**writes[number].body, "DisplayName": name})

    receipts = await connector.write(together(writes))

    assert [type(r) for r in receipts] == [StaleError, GoneError, TakenError, RejectedError, Written]
    assert world.company.neutral("customer")["5"]["name"] == "Renamed 5"


async def test_an_edit_between_read_and_write_is_not_overwritten(world: World) -> None:
    """The SyncToken is the lock: the person's edit stays."""
    world.seed(1)
    connector = world.connector()
    raw = await raw_of(connector, "1")
    world.company.edit("customer", "1", {"phone": "from a person"})

    receipts = await connector.write([world.update("u", "1", raw, phone="from us")])

    assert isinstance(receipts[0], StaleError)
    assert world.company.neutral("customer")["1"]["phone"] == "from a person"


async def test_a_taken_name_is_told_as_such(world: World) -> None:
    """A vendor may hold it as well, so nobody's id is named."""
    world.seed(1)

    receipts = await world.connector().write([world.create("k", name="customer 0")])

    assert isinstance(receipts[0], TakenError)
    assert receipts[0].field == "name"


async def test_a_throttled_item_was_not_executed_and_the_connection_pauses(world: World) -> None:
    """A 429 can sit inside a 200: the others are done, this one is to be sent again."""
    world.seed(MANY)
    connector = world.connector()
    writes = [world.update(f"u{n}", n, await raw_of(connector, n), phone="5") for n in map(str, range(1, MANY + 1))]
    world.company.fail_next("throttled_item")
    before = world.clock.now()

    receipts = await connector.write(together(writes))
    await connector.identify()

    (again,) = [write for write, one in zip(writes, receipts, strict=True) if isinstance(one, RetryError)]
    assert sum(isinstance(one, Written) for one in receipts) == MANY - 1
    assert world.clock.now() - before >= 60
    assert isinstance((await connector.write([again]))[0], Written)


async def test_a_lost_batch_is_ambiguous_for_every_item(world: World) -> None:
    """Each intent compares with its own frozen body."""
    world.seed(MANY)
    connector = world.connector()
    writes = [world.update(f"u{n}", n, await raw_of(connector, n), phone="5") for n in map(str, range(1, MANY + 1))]
    for answer in (HttpResponse(502, {}, b""), HttpResponse(200, {}, b"{}"), HttpResponse(200, {}, b"{")):
        world.before = always(answer)
        assert [type(r) for r in await connector.write(together(writes))] == [AmbiguousError] * MANY


async def test_an_item_that_the_answer_leaves_out_is_ambiguous(world: World) -> None:
    """No word about a write is not a word for or against it."""
    world.seed(3)
    connector = world.connector()
    writes = [world.update(f"u{n}", n, await raw_of(connector, n), phone="5") for n in ("1", "2", "3")]
    told = {"BatchItemResponse": [{"bId": item_id(writes[0])}, {"bId": item_id(writes[1]), "Customer": {"Id": ""}}]}
    world.before = lambda _: HttpResponse(200, {}, json.dumps(told).encode())

    assert [type(r) for r in await connector.write(together(writes))] == [AmbiguousError] * 3


async def test_a_batch_that_is_too_big_goes_singly_and_the_next_ones_are_half_as_big(make_world: MakeWorld) -> None:
    """Intuit's pages say 30 and 10: whichever is true, every update arrives."""
    world = make_world(batch_most=10)
    world.seed(30)
    connector = world.connector()
    objects = await connector.read("customer", [str(number) for number in range(1, 31)])
    writes = [world.update(f"u{key}", key, only(seen).raw, phone="5") for key, seen in objects.items()]

    receipts = await connector.write(together(writes))

    assert all(isinstance(receipt, Written) for receipt in receipts)
    assert connector.manifest.write_batch == 15
    assert all(row["phone"] == "5" for row in world.company.neutral("customer").values())


async def test_a_batch_refused_as_a_whole_is_sent_one_by_one(world: World) -> None:
    """One payload that the parser chokes on must not reject twenty-nine others."""
    world.seed(4)
    connector = world.connector()
    objects = await connector.read("customer", ["1", "2", "3", "4"])
    writes = [world.update(f"u{key}", key, only(seen).raw, phone=f"p{key}") for key, seen in objects.items()]
    fault = b'{"Fault":{"Error":[{"Message":"m","Detail":"d","code":"500"}],"type":"ValidationFault"}}'
    world.before = lambda request: HttpResponse(400, {}, fault) if b'"p3"' in request.body else None

    receipts = await connector.write(together(writes))

    assert [type(receipt) for receipt in receipts] == [Written, Written, RejectedError, Written]


async def test_garbage_after_a_write_is_ambiguous(world: World) -> None:
    """A cut answer says nothing about what was done."""
    connector = world.connector()
    await connector.identify()
    for body in (b"", b"{", b"<html>", b'{"Customer":{}}', b'{"time":"x"}'):
        world.before = always(HttpResponse(200, {}, body))
        assert isinstance((await connector.write([world.create("k", name="A")]))[0], AmbiguousError)


async def test_a_fault_inside_http_200_is_no_success(world: World) -> None:
    """An empty company was reported because status 200 was believed."""
    world.seed(1)
    connector = world.connector()
    await connector.identify()

    world.company.fail_next("fault_in_200", times=5)
    with pytest.raises(RetryError):
        await connector.sweep("customer", "full", None)
    receipts = await connector.write([world.create("k", name="A")])

    assert isinstance(receipts[0], AmbiguousError)
    assert len(world.company.objects("customer")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        '{"QueryResponse":{"Fault":%s},"time":"2026-11-20T00:00:00-08:00"}',
        '{"CDCResponse":[{"Fault":%s}],"time":"2026-11-20T00:00:00-08:00"}',
        '{"CDCResponse":[{"QueryResponse":[{},{"Fault":%s}]}],"time":"2026-11-20T00:00:00-08:00"}',
        '{"CDCResponse":[{"QueryResponse":[{},{"fault":%s}]}],"time":"2026-11-20T00:00:00-08:00"}',
        '{"QueryResponse":{},"fault":%s,"time":"2026-11-20T00:00:00-08:00"}',
    ],
)
async def test_a_fault_in_place_of_objects_is_no_empty_page(world: World, answer: str) -> None:
    """Intuit's answers may carry a fault where the objects would be: taken for none, changes are lost for good."""
    world.seed(1)
    connector = world.connector()
    cursor = (await swept(connector, "changes"))[-1].cursor
    fault = '{"Error":[{"Message":"ThrottleExceeded","Detail":"d","code":"003001"}],"type":"SERVICE"}'
    world.before = lambda _: HttpResponse(200, {}, (answer % fault).encode())

    mode: Mode = "changes" if "CDC" in answer else "full"
    with pytest.raises(RetryError) as caught:
        await connector.sweep("customer", mode, cursor if mode == "changes" else None)
    assert caught.value.retry_after == 60


async def test_the_word_fault_in_a_name_is_no_fault(world: World) -> None:
    """A customer may be called anything."""
    world.company.edit("customer", None, {"name": '"Fault"'})
    world.company.edit("customer", None, {"name": "x", "extra": {"Fault": "y"}})

    assert len(ids(await swept(world.connector()))) == 2


# ---- limits ----------------------------------------------------------------------------------------


async def test_a_backfill_under_enforced_limits_gets_no_429(make_world: MakeWorld) -> None:
    """The published windows are obeyed, not learned from refusals."""
    world = make_world(enforce_limits=True)
    statuses: list[int] = []

    def seen(_: HttpRequest, answer: HttpResponse) -> HttpResponse:
        statuses.append(answer.status)
        return answer

    world.after = seen
    connector = world.connector()
    started = world.clock.now()
    receipts = await connector.write([world.create(f"k{n}", name=f"New {n}") for n in range(600)])

    assert all(isinstance(receipt, Written) for receipt in receipts)
    assert 429 not in statuses
    assert world.clock.now() - started < 75


async def test_a_throttled_read_waits_as_long_as_documented(world: World) -> None:
    """The row waits, the lane does not spin."""
    connector = world.connector()
    await connector.identify()
    world.before = lambda request: HttpResponse(429, {}, b"") if "/query" in request.url else None

    with pytest.raises(RetryError) as caught:
        await connector.sweep("customer", "full", None)
    before = world.clock.now()
    await connector.identify()

    assert caught.value.retry_after == 60
    assert world.clock.now() - before >= 60
    assert len(world.paths("/query")) == 1


async def test_aclose_lets_go(world: World) -> None:
    """A connector that was closed calls nobody, and one that was never used can be closed, too."""
    used, unused = world.connector(), world.connector()
    await used.identify()
    called = len(world.requests)
    for one in (used, unused):
        await one.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await one.identify()
    assert len(world.requests) == called


# ---- archiving -------------------------------------------------------------------------------------


def farewell(connector: QuickBooksConnector, remote_id: str, raw: bytes) -> Write:
    """The write that makes a customer inactive."""
    return Write(
        key="k", action="archive", kind="customer", remote_id=remote_id, body=connector.farewell(raw) or {}, current=raw
    )


async def test_an_archived_customer_is_inactive_and_a_repeat_gives_the_first_answer(world: World) -> None:
    """Name, books and everything else of it stay."""
    (one,) = world.seed(1)
    connector = world.connector()
    write = farewell(connector, one, await raw_of(connector, one))

    shown = await connector.archive(write)
    again = await connector.archive(write)

    assert isinstance(shown, Sighting)
    assert again == shown
    assert world.company.objects("customer")[one]["Active"] is False
    assert connector.farewell(shown.raw) is None


async def test_a_customer_that_changed_since_it_was_read_is_not_archived(world: World) -> None:
    """The lock is the SyncToken."""
    (one,) = world.seed(1)
    connector = world.connector()
    write = farewell(connector, one, await raw_of(connector, one))
    world.company.edit("customer", one, {"phone": "+1 555"})

    with pytest.raises(StaleError):
        await connector.archive(write)
    assert world.company.objects("customer")[one]["Active"] is True


async def test_an_answer_to_an_archiving_that_shows_no_customer_leaves_it_in_doubt(world: World) -> None:
    """It may be inactive by now."""
    (one,) = world.seed(1)
    connector = world.connector()
    write = farewell(connector, one, await raw_of(connector, one))
    world.after = lambda _request, _answer: HttpResponse(200, {}, b'{"Customer":{}}')

    with pytest.raises(AmbiguousError):
        await connector.archive(write)


async def test_a_customers_balance_is_what_its_transactions_come_to(world: World) -> None:
    """Open invoices, less what was paid and settles nothing."""
    head, one = world.seed(2)
    world.company.edit("customer", one, {"parent": head})
    line = {"description": "Work", "quantity": "1", "amount": "10.00"}
    bill = {"customer": one, "currency": "USD", "lines": [line]}
    world.company.edit("invoice", None, bill)
    payment = {"customer": one, "currency": "USD", "amount": "4.00", "applications": []}
    world.company.edit("payment", None, payment)
    connector = world.connector()

    found = {name: json.loads(await raw_of(connector, name)) for name in (head, one)}

    assert {name: (row["Balance"], row["BalanceWithJobs"]) for name, row in found.items()} == {
        head: (0, 6),
        one: (6, 6),
    }
