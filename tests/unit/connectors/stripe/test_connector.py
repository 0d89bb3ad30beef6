# ruff: noqa: D103 -- `world` is made in conftest, which tests cannot import
"""The connector over the look-alike, with the production client code and no sockets."""

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from connectors.stripe.connector import PROVIDER
from connectors.stripe.manifest import API_VERSION, MANIFEST
from connectors.stripe.sandbox import StripeSettings
from core.errors import (
    AccordError,
    AmbiguousError,
    BugError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
)
from core.model.remote import Wanted
from core.ports import ConnectionConfig, HttpRequest, HttpResponse, Missing, Probe, Sighting, Write, Written


def seed(world: Any, count: int, *, seconds: float = 1.0) -> list[str]:
    """Customers, oldest first."""
    ids = []
    for number in range(count):
        ids.append(world.stripe.edit("customer", None, {"name": f"C{number}", "email": f"c{number}@example.com"}))
        world.clock.time += seconds
    return ids


def create(world: Any, *, mark: Any = "i.m.1", **fields: Any) -> Write:
    body = world.translator.patch(Wanted(fields=fields or {"name": "A"}, mark=mark, external_id="c-1"), None).body
    return Write(key="k1", action="create", kind="customer", remote_id=None, body=body)


def update(world: Any, remote_id: str, key: str = "k2", **fields: Any) -> Write:
    (current,) = world.run(world.connector.read("customer", [remote_id])).values()
    body = world.translator.patch(Wanted(fields=fields), current.raw).body
    return Write(key=key, action="update", kind="customer", remote_id=remote_id, body=body)


def written(world: Any, *writes: Write) -> Any:
    return world.run(world.connector.write(list(writes)))


# ---- shape and manners -----------------------------------------------------------------------------


def test_importing_the_connector_imports_no_sdk() -> None:
    """`accord --help` must stay under a quarter of a second."""
    code = "import sys, connectors.stripe.connector; print(sorted({'stripe', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_requests_are_the_sdks_with_a_pinned_version(world: Any) -> None:
    """Another API version has other attributes; telemetry and random keys would make runs differ."""
    world.sweep()
    (request,) = world.requests
    assert request.headers["stripe-version"] == API_VERSION
    assert request.headers["authorization"] == "Bearer rk_live_lookalike"
    assert "PythonBindings" in request.headers["user-agent"]
    world.run(world.connector.identify())
    assert not any("x-stripe-client-telemetry" in request.headers for request in world.requests)


def test_a_base_url_of_ones_own(make_world: Callable[..., Any]) -> None:
    """The sandbox listens on a loopback port."""
    world = make_world()
    config = ConnectionConfig("s", "stripe", settings={"base_url": "http://127.0.0.1:1234/"})
    other = PROVIDER.build(config, world.vault, world.shell)
    world.run(other.sweep("customer", "full", None))
    assert world.requests[-1].url.startswith("http://127.0.0.1:1234/v1/customers?")


def test_the_account_is_named_with_its_mode(make_world: Callable[..., Any]) -> None:
    """Test-mode keys of the same account must never write to live customers' mappings."""
    live, test = make_world(), make_world(StripeSettings(is_live=False))
    account = live.run(live.connector.identify())
    assert account.id == f"{live.stripe.account_id}:live"
    assert account.title == "stripe (live mode)"
    assert test.run(test.connector.identify()).id.endswith(":test")
    assert live.run(live.connector.prepare()) == ()


def test_a_test_key_has_a_quarter_of_the_calls(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §1: 25 a second in all."""
    world = make_world()
    assert world.connector.manifest.limits[0].calls == 100
    world.vault.values["api_key"] = "rk_test_x"
    assert PROVIDER.build(world.config, world.vault, world.shell).manifest.limits[0].calls == 25


def test_a_rotated_key_is_used_at_once(world: Any) -> None:
    """`accord secrets rotate` must not need a restart."""
    world.change(api_key="rk_live_new")
    with pytest.raises(ReauthorizeError):
        world.sweep()
    world.vault.values["api_key"] = "rk_live_new"
    world.sweep()
    world.vault.values.clear()
    with pytest.raises(ReauthorizeError, match="accord connect"):
        world.sweep()


def test_a_key_with_a_letter_that_no_key_has_is_a_persons_to_correct(world: Any) -> None:
    """Copied as a page shows it, with dots in place of letters; nothing was sent, so that a write is not in doubt."""
    write = update(world, *seed(world, 1), name="B")
    world.vault.values["api_key"] = "rk_live_\u2022\u2022"
    with pytest.raises(ReauthorizeError, match="a secret holds a character that no key has"):
        world.sweep()
    assert type(written(world, write)[0]) is ReauthorizeError


def test_calls_of_a_batch_begin_one_after_the_other(world: Any) -> None:
    """Twenty that begin in one turn of the loop would keep a webhook waiting for all of them."""
    ids = seed(world, 6)
    turns, begun = [0], []

    def note(_request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
        begun.append(turns[0])
        return answer()

    async def others() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def read() -> None:
        beside = asyncio.create_task(others())
        await world.connector.read("customer", ids)
        beside.cancel()

    world.tamper = note
    world.run(read())
    assert len(set(begun)) == len(ids)


def test_an_unknown_kind_is_a_bug(world: Any) -> None:
    """And is told so for each write."""
    with pytest.raises(BugError):
        world.run(world.connector.read("subscription", ["sub_1"]))
    (receipt,) = written(world, Write(key="k", action="create", kind="subscription", remote_id=None, body={}))
    assert isinstance(receipt, BugError)
    (receipt,) = written(world, Write(key="k", action="update", kind="customer", remote_id=None, body={}))
    assert isinstance(receipt, BugError)
    world.run(world.connector.aclose())


@pytest.mark.parametrize("body", [b"<html>", b'{"id":5}', b"\xff"])
def test_an_account_that_cannot_be_read_is_no_account(world: Any, body: bytes) -> None:
    """A wrong pin would lock out the right account."""
    world.tamper = lambda *_: HttpResponse(200, {}, body)
    with pytest.raises(ReplyError):
        world.run(world.connector.identify())


def test_a_bug_is_no_receipt(world: Any) -> None:
    """What is no error of ours must not be stored as if Stripe had refused the record."""

    def crash(*_: object) -> HttpResponse:
        message = "power cut"
        raise RuntimeError(message)

    world.tamper = crash
    with pytest.raises(RuntimeError, match="power cut"):
        written(world, create(world))


# ---- full sweeps -----------------------------------------------------------------------------------


def test_a_full_sweep_sees_every_customer_once(world: Any) -> None:
    """250 customers are three pages."""
    ids = seed(world, 250)
    pages = world.sweep()
    assert [len(page.sightings) for page in pages] == [100, 100, 50]
    assert [sighting.id for page in pages for sighting in page.sightings] == ids[::-1]
    assert pages[-1].cursor is None
    assert len(world.requests) == 3


def test_an_empty_account_is_one_last_page(world: Any) -> None:
    """No customers is an answer, too."""
    (page,) = world.sweep()
    assert (page.sightings, page.is_last) == ([], True)


def test_listing_and_reading_one_customer_give_the_same_digest(world: Any) -> None:
    """Stripe indents a list deeper than a single object: 10,000 false changes on each idle sweep."""
    (remote_id,) = seed(world, 1)
    (page,) = world.sweep()
    read = world.run(world.connector.read("customer", [remote_id]))[remote_id]
    assert page.sightings[0] == read
    (receipt,) = written(world, update(world, remote_id, name="New"))
    assert receipt.sighting.digest != read.digest
    assert world.run(world.connector.read("customer", [remote_id]))[remote_id] == receipt.sighting


def test_writes_during_a_sweep_skip_nothing(world: Any) -> None:
    """Created, changed and deleted between two pages, also the very customer that the next page starts after."""
    ids = seed(world, 250, seconds=0.2)
    seen: list[str] = []
    page = world.run(world.connector.sweep("customer", "full", None))
    while not page.is_last:
        seen += [sighting.id for sighting in page.sightings]
        world.stripe.delete("customer", seen[-1])
        seed(world, 3)
        page = world.run(world.connector.sweep("customer", "full", page.cursor))
    seen += [sighting.id for sighting in page.sightings]
    assert set(seen) == set(ids)


def test_one_bad_record_does_not_lose_the_page(world: Any) -> None:
    """Of 100 customers one has a lone surrogate in its name, one U+0000, one no id, one is no customer."""
    ids = seed(world, 100)

    def spoil(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        page = json.loads(answer.body)
        page["data"][3]["name"] = "SURROGATE"
        page["data"][5]["metadata"]["plan"] = "a\x00b"
        page["data"][7]["id"] = None
        page["data"][8] = "odd"
        page["data"][9]["object"] = "invoice"
        page["data"][10]["description"] = "harmless\x00"
        page["data"][99]["phone"] = 5
        body = json.dumps(page, indent=2).replace("SURROGATE", "\\ud83d").encode()
        return HttpResponse(200, answer.headers, body)

    world.tamper = spoil
    (page,) = world.sweep()
    newest = ids[::-1]
    assert [(bad.id, bad.field) for bad in page.bad] == [
        (newest[3], "name"),
        (newest[5], "metadata.plan"),
        ("", "id"),
        ("", "id"),
        (newest[9], None),
    ]
    assert all(bad.raw.isascii() and "\x00" not in bad.raw and bad.problem for bad in page.bad)
    assert {sighting.id for sighting in page.sightings} == set(ids) - {newest[n] for n in (3, 5, 7, 8, 9)}
    world.tamper = None
    (clean,) = world.sweep()
    digests = {sighting.id: sighting.digest for sighting in clean.sightings}
    same = [sighting for sighting in page.sightings if digests[sighting.id] == sighting.digest]
    assert len(same) == 93  # all but the two that were spoiled and are no bad records


def test_a_nul_spoils_one_record_only(world: Any) -> None:
    """PostgreSQL refuses U+0000 in text: one such name must not fail the transaction that stores the page."""
    ids = seed(world, 3)
    world.stripe.edit("customer", ids[1], {"name": "a\x00b"})
    world.stripe.edit("customer", ids[2], {"name": "the text \\u0000 is harmless"})
    (page,) = world.sweep()
    assert [(bad.id, bad.field) for bad in page.bad] == [(ids[1], "name")]
    assert [sighting.id for sighting in page.sightings] == [ids[2], ids[0]]


def test_bytes_that_are_no_utf8_spoil_one_record(world: Any) -> None:
    """A cut multi-byte character in one name."""
    ids = seed(world, 3)

    def spoil(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        return HttpResponse(200, answer.headers, answer.body.replace(b'"C1"', b'"\xc3"'))

    world.tamper = spoil
    (page,) = world.sweep()
    assert [bad.id for bad in page.bad] == [ids[1]]
    assert len(page.sightings) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data":[]}',
        b'{"has_more":false}',
        b'{"data":{},"has_more":false}',
        b'{"data":[],"has_more":"no"}',
        b'{"data":[],"has_more":true}',
        b'{"data":[{"id":""}],"has_more":true}',
        b'{"data":[{"id":"cus_1"',
    ],
)
def test_a_page_that_is_none_is_a_reply_error(world: Any, body: bytes) -> None:
    """An empty page by mistake would look like 10,000 deletions."""
    world.tamper = lambda *_: HttpResponse(200, {}, body)
    with pytest.raises(ReplyError):
        world.sweep()


def test_a_cursor_of_something_else_is_a_bug(world: Any) -> None:
    """It came from our own database."""
    with pytest.raises(BugError):
        world.sweep("full", "page-2")


# ---- changes ---------------------------------------------------------------------------------------


def looked_at(pages: list[Any]) -> set[str]:
    return {one.id for page in pages for one in page.sightings} | {one for page in pages for one in page.changed}


def test_changes_from_now_on(world: Any) -> None:
    """Without a cursor: a cursor and nothing else; then what changed since, and what is gone."""
    ids = seed(world, 5)
    world.clock.time += 400
    (start,) = world.sweep("changes")
    assert (looked_at([start]), start.is_last) == (set(), True)
    world.clock.time += 10
    world.stripe.edit("customer", ids[1], {"name": "new"})
    world.stripe.delete("customer", ids[2])
    (new,) = seed(world, 1)
    pages = world.sweep("changes", start.cursor)
    assert looked_at(pages) == {ids[1], new}
    assert [gone for page in pages for gone in page.gone] == [ids[2]]


def test_an_idle_feed_costs_one_call_and_names_nobody(world: Any) -> None:
    """After the overlap has passed, the last change is not read again and again."""
    seed(world, 5)
    (start,) = world.sweep("changes")
    cursor = start.cursor
    named = []
    for _ in range(3):
        world.clock.time += 301
        before = len(world.requests)
        pages = world.sweep("changes", cursor)
        cursor = pages[-1].cursor
        named.append(len(looked_at(pages)))
        assert len(world.requests) == before + 1
    assert named == [5, 0, 0]


def test_a_late_event_is_caught_by_the_overlap(world: Any) -> None:
    """PROVIDERS §3: the order by (created, id) is not strict; an event may appear behind the cursor."""
    ids = seed(world, 3)
    late: list[str] = [ids[1]]

    def hide(request: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        if "/v1/events" not in request.url:
            return answer
        page = json.loads(answer.body)
        page["data"] = [event for event in page["data"] if event["data"]["object"]["id"] not in late]
        return HttpResponse(200, answer.headers, json.dumps(page).encode())

    world.tamper = hide
    first = world.sweep("changes", '{"since":0}')
    assert looked_at(first) == {ids[0], ids[2]}
    late.clear()
    world.clock.time += 60
    assert ids[1] in looked_at(world.sweep("changes", first[-1].cursor))


def test_many_changes_come_in_pages_while_others_happen(world: Any) -> None:
    """250 events; more arrive between pages and are left for the next sweep, which finds them."""
    (start,) = world.sweep("changes")
    ids = seed(world, 250, seconds=0.1)
    pages = [world.run(world.connector.sweep("customer", "changes", start.cursor))]
    extra = seed(world, 30)
    while not pages[-1].is_last:
        pages.append(world.run(world.connector.sweep("customer", "changes", pages[-1].cursor)))
    assert len(pages) == 3
    assert looked_at(pages) == set(ids)
    world.clock.time += 1000
    assert looked_at(world.sweep("changes", pages[-1].cursor)) >= set(extra)


def test_a_snapshot_is_used_only_where_the_order_is_certain(world: Any) -> None:
    """Two events in one second may come in either order: the older snapshot would hide an edit."""
    one, two = seed(world, 2)
    world.stripe.edit("customer", two, {"name": "new"})
    (page,) = world.sweep("changes", '{"since":0}')
    assert [sighting.id for sighting in page.sightings] == [one]
    assert list(page.changed) == [two]
    assert page.sightings[0] == world.run(world.connector.read("customer", [one]))[one]


def test_a_snapshot_of_another_api_version_only_names_its_customer(world: Any) -> None:
    """Its attributes may be others than the ones we translate."""
    (remote_id,) = seed(world, 1)

    def older(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        return HttpResponse(200, answer.headers, answer.body.replace(API_VERSION.encode(), b"2020-08-27"))

    world.tamper = older
    (page,) = world.sweep("changes", '{"since":0}')
    assert (page.sightings, list(page.changed)) == ([], [remote_id])


def test_the_feed_tells_what_our_own_writes_overwrote(world: Any) -> None:
    """Without webhooks a value that a person wrote between our read and our write would be lost unseen."""
    one, two = seed(world, 2)
    write = update(world, one, name="ours")
    world.stripe.edit("customer", one, {"name": "theirs"})
    written(world, write)
    world.stripe.edit("customer", two, {"name": "a person's, over a person's"})
    (page,) = world.sweep("changes", '{"since":0}')
    (notice,) = page.notices
    assert (notice.remote_id, notice.our_key, notice.overwritten) == (one, write.key, {"name": "theirs"})


@pytest.mark.parametrize(
    ("request_", "previous"),
    [("req_1", {"name": "A"}), (None, {"name": "A"}), ({"idempotency_key": "k"}, "name"), ({"idempotency_key": 5}, {})],
)
def test_an_event_of_odd_shape_tells_of_no_race_and_still_names_its_customer(
    world: Any, request_: object, previous: object
) -> None:
    """Old API versions write the request as a bare id."""
    (remote_id,) = seed(world, 1)

    def spoil(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        page = json.loads(answer.body)
        page["data"][0] |= {"type": "customer.updated", "request": request_}
        page["data"][0]["data"]["previous_attributes"] = previous
        return HttpResponse(200, answer.headers, json.dumps(page).encode())

    world.tamper = spoil
    (page,) = world.sweep("changes", '{"since":0}')
    assert not page.notices
    assert [sighting.id for sighting in page.sightings] == [remote_id]


def test_an_odd_event_does_not_stop_the_feed(world: Any) -> None:
    """One that still names a customer is looked at; one that names nobody is shown."""
    ids = seed(world, 6)

    def spoil(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        page = json.loads(answer.body)
        page["data"][0]["created"] = "today"
        page["data"][1]["data"] = None
        page["data"][2]["data"]["object"]["name"] = "LONE"
        page["data"][3]["data"]["object"]["id"] = "a\x00"
        page["data"][4] = 7
        return HttpResponse(200, answer.headers, json.dumps(page).replace("LONE", "\\ud800").encode())

    world.tamper = spoil
    (page,) = world.sweep("changes", '{"since":0}')
    assert set(page.changed) == {ids[5], ids[3]}
    assert [sighting.id for sighting in page.sightings] == [ids[0]]
    assert len(page.bad) == 3
    assert all(bad.raw.isascii() for bad in page.bad)


def test_the_provider_s_clock_is_the_cursor_s(world: Any) -> None:
    """Our clock an hour fast would skip an hour of events; without a Date header the newest event stands in."""
    ids = seed(world, 3)

    def dateless(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        return HttpResponse(200, {"content-type": "application/json"}, answer.body)

    world.tamper = dateless
    (start,) = world.sweep("changes")
    newest = world.stripe.objects("customer")[ids[-1]]["created"]
    assert json.loads(start.cursor) == {"since": newest}
    (page,) = world.sweep("changes", start.cursor)
    assert json.loads(page.cursor) == {"since": newest}


def test_a_feed_position_older_than_the_feed_starts_its_window_again(world: Any) -> None:
    """A daemon that was off for a month between two pages."""
    seed(world, 150)
    first = world.run(world.connector.sweep("customer", "changes", '{"since":0}'))
    assert not first.is_last
    world.clock.time += 40 * 86400
    fresh = seed(world, 2)
    assert looked_at(world.sweep("changes", first.cursor)) == set(fresh)


@pytest.mark.parametrize("body", [b'{"data":[],"has_more":true}', b"<html>", b'{"data":[7],"has_more":true}'])
def test_a_feed_that_is_none_is_a_reply_error(world: Any, body: bytes) -> None:
    """The cursor must not move over what was not understood."""
    world.tamper = lambda *_: HttpResponse(200, {}, body)
    with pytest.raises(ReplyError):
        world.sweep("changes", '{"since":0}')


# ---- reads -----------------------------------------------------------------------------------------


def test_a_read_answers_every_id(world: Any) -> None:
    """Deleted and never known are Missing; both are told by a successful answer only."""
    here, gone = seed(world, 2)
    world.stripe.delete("customer", gone)
    found = world.run(world.connector.read("customer", [here, gone, "cus_never", here]))
    assert found[here].id == here
    assert found[gone] == Missing(gone)
    assert found["cus_never"] == Missing("cus_never")
    assert len(world.requests) == 3


def test_ids_are_quoted(world: Any) -> None:
    """An id from a webhook must not become another path."""
    assert world.run(world.connector.read("customer", ["../account"])) == {"../account": Missing("../account")}
    assert world.requests[-1].url.endswith("/v1/customers/..%2Faccount")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HttpResponse(404, {}, b"<html>not here</html>"), ReplyError),
        (HttpResponse(404, {}, b'{"error":{"message":"Unrecognized request URL"}}'), ReplyError),
        (HttpResponse(200, {}, b"<html>maintenance</html>"), ReplyError),
        (HttpResponse(500, {}, b""), RetryError),
        (HttpResponse(403, {}, b'{"error":{"message":"rak_customer_read"}}'), ReauthorizeError),
    ],
)
def test_could_not_read_is_not_missing(world: Any, answer: HttpResponse, error: type[AccordError]) -> None:
    """A proxy's 404 page would otherwise unlink ten thousand customers."""
    (remote_id,) = seed(world, 1)
    world.tamper = lambda *_: answer
    with pytest.raises(error):
        world.run(world.connector.read("customer", [remote_id]))


def test_an_answer_that_shows_another_customer_is_none(world: Any) -> None:
    """Its values would be written to whom was asked for."""
    one, other = seed(world, 2)
    world.tamper = lambda request, _: world.stripe.respond(
        dataclasses.replace(request, url=request.url.replace(one, other))
    )
    with pytest.raises(ReplyError, match="another customer"):
        world.run(world.connector.read("customer", [one]))


def test_one_unreadable_object_does_not_block_its_batch(world: Any) -> None:
    """Its bytes are handed on; only the translator judges them."""
    one, two = seed(world, 2)

    def spoil(request: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        return HttpResponse(200, {}, b'{"id":7}') if one in request.url else respond()

    world.tamper = spoil
    found = world.run(world.connector.read("customer", [one, two]))
    assert isinstance(found[one], Sighting)
    with pytest.raises(ReplyError):
        world.translator.read(found[one].raw)
    assert world.translator.read(found[two].raw).fields["name"] == "C1"


def test_a_read_with_a_lone_surrogate_holds_that_field(world: Any) -> None:
    """The e-mail of the same customer still flows."""
    (remote_id,) = seed(world, 1)

    def spoil(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        return HttpResponse(200, answer.headers, answer.body.replace(b'"C0"', b'"\\ud800"'))

    world.tamper = spoil
    remote = world.translator.read(world.run(world.connector.read("customer", [remote_id]))[remote_id].raw)
    assert list(remote.unreadable) == ["name"]
    assert remote.fields["email"] == "c0@example.com"


def test_reads_try_again_what_was_not_answered(world: Any) -> None:
    """A read changes nothing, so a lost answer is asked for again."""
    (remote_id,) = seed(world, 1)
    failures: list[Exception] = [TimeoutError("lost"), ConnectionError("refused")]

    def flaky(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        if failures:
            raise failures.pop()
        return respond()

    world.tamper = flaky
    assert world.run(world.connector.read("customer", [remote_id]))[remote_id].id == remote_id
    failures.extend([TimeoutError("lost")] * 9)
    with pytest.raises(RetryError):
        world.run(world.connector.read("customer", [remote_id]))


# ---- look-ups --------------------------------------------------------------------------------------


def found_ids(world: Any, **probe: Any) -> list[str]:
    return [sighting.id for sighting in world.run(world.connector.find("customer", Probe(**probe)))]


def test_a_marker_is_found_right_after_the_create(world: Any) -> None:
    """Search lags; a look-up that trusts it finds nothing and creates a second customer."""
    asked_at = world.clock.time
    (receipt,) = written(world, create(world))
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == [receipt.sighting.id]
    assert found_ids(world, mark="i.m.2", created_after=asked_at) == []
    assert found_ids(world, mark="i.m.1") == []
    world.clock.time += MANIFEST.lookup_lag_seconds
    assert found_ids(world, mark="i.m.1") == [receipt.sighting.id]


def test_a_deleted_customer_is_found_by_the_event_that_shows_its_marker(world: Any) -> None:
    """The list leaves it out; on whichever page of the events, and not when somebody made it before."""
    asked_at = world.clock.time
    (receipt,) = written(world, create(world))
    world.stripe.delete("customer", receipt.sighting.id)
    for other in seed(world, 101):
        world.stripe.delete("customer", other)

    def found(**probe: Any) -> Any:
        return world.run(world.connector.find("customer", Probe(**probe)))

    probe = {"mark": "i.m.1", "created_after": asked_at}
    assert found(**probe, with_deleted=True) == [Missing(receipt.sighting.id)]
    assert found(**probe) == []
    assert found(mark="i.m.2", created_after=asked_at, with_deleted=True) == []
    assert found(mark="i.m.1", created_after=asked_at + 3600, with_deleted=True) == []


@pytest.mark.parametrize("changed", [(b'"type": "customer.deleted"', b'"type": 7'), (b'"cus_', b'7, "x": "cus_')])
def test_an_event_of_a_deletion_that_cannot_be_understood_is_not_overlooked(
    world: Any, changed: tuple[bytes, bytes]
) -> None:
    """Overlooked, the customer would be made again."""
    (receipt,) = written(world, create(world))
    world.stripe.delete("customer", receipt.sighting.id)

    def tamper(request: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        return HttpResponse(200, answer.headers, answer.body.replace(*changed)) if "/events" in request.url else answer

    world.tamper = tamper
    with pytest.raises(ReplyError):
        found_ids(world, mark="i.m.1", created_after=1.0, with_deleted=True)


def test_a_marker_is_found_though_our_clock_is_ahead_of_stripe_s(world: Any) -> None:
    """By Stripe's clock it was made before it was sent: an hour fast, it was not found, and made a second time."""
    asked_at = world.clock.time + 3600
    (receipt,) = written(world, create(world))
    world.clock.time += 3600

    def slow_clock(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        date = format_datetime(datetime.fromtimestamp(world.clock.time - 3600, UTC), usegmt=True)
        return HttpResponse(answer.status, {**answer.headers, "date": date}, answer.body)

    world.tamper = slow_clock
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == [receipt.sighting.id]
    world.stripe.delete("customer", receipt.sighting.id)
    assert found_ids(world, mark="i.m.1", created_after=asked_at, with_deleted=True) == [receipt.sighting.id]
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == []


def test_a_look_up_reads_every_page_since(world: Any) -> None:
    """Two hundred others were created in the meantime."""
    asked_at = world.clock.time
    (receipt,) = written(world, create(world))
    seed(world, 205)
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == [receipt.sighting.id]
    assert found_ids(world, external_id="c-1", created_after=asked_at) == [receipt.sighting.id]


def test_search_hits_are_checked(world: Any) -> None:
    """Search ignores case and returns customers as they are now, which may no longer carry the mark."""
    (receipt,) = written(world, create(world, mark="i.M.1"))
    world.clock.time += 60
    assert found_ids(world, mark="i.m.1") == []
    world.stripe.edit("customer", receipt.sighting.id, {"external_id": "c-2"})
    assert found_ids(world, external_id="c-1") == []


def test_search_values_are_quoted(world: Any) -> None:
    """An external id with a quote in it is data, not query."""
    name = 'a"b\\c'
    remote_id = world.stripe.edit("customer", None, {"external_id": name})
    world.clock.time += 60
    assert found_ids(world, external_id=name) == [remote_id]


def test_search_pages_are_read_to_the_end(world: Any) -> None:
    """A hundred and one customers with one external id are a hold, not one match."""
    for _ in range(101):
        world.stripe.edit("customer", None, {"external_id": "same"})
    world.clock.time += 60
    assert len(found_ids(world, external_id="same")) == 101


def test_the_surest_rung_answers(world: Any) -> None:
    """Marker, then external id, then e-mail."""
    (receipt,) = written(world, create(world, email="a@example.com"))
    (other,) = seed(world, 1)
    since = world.clock.time - 10
    by_all: dict[str, Any] = {
        "mark": "i.m.1",
        "external_id": "c-1",
        "unique": {"email": "c0@example.com"},
        "created_after": since,
    }
    assert found_ids(world, **by_all) == [receipt.sighting.id]
    assert found_ids(world, **{**by_all, "mark": "i.m.9"}) == [receipt.sighting.id]
    assert found_ids(world, **(by_all | {"mark": None, "external_id": "c-9"})) == [other]
    assert found_ids(world, unique={"email": "nobody@example.com"}) == []
    assert found_ids(world) == []
    with pytest.raises(BugError, match="name"):
        found_ids(world, unique={"name": "A"})


def test_a_broken_stranger_does_not_block_a_look_up(world: Any) -> None:
    """But one that carries the mark must not be overlooked."""
    asked_at = world.clock.time
    (receipt,) = written(world, create(world))
    seed(world, 1)

    def spoil(old: bytes, new: bytes) -> None:
        def tamper(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
            answer = respond()
            return HttpResponse(200, answer.headers, answer.body.replace(old, new))

        world.tamper = tamper

    newest = list(world.stripe.objects("customer"))[-1].encode()
    spoil(b'"id": "' + newest + b'",\n      "object": "customer"', b'"id": "' + newest + b'",\n      "object": "x"')
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == [receipt.sighting.id]
    spoil(b'"object": "customer"', b'"object": "x"')
    with pytest.raises(ReplyError):
        found_ids(world, mark="i.m.1", created_after=asked_at)
    spoil(b'"name": "A"', b'"name": "\\ud800"')
    assert found_ids(world, mark="i.m.1", created_after=asked_at) == [receipt.sighting.id]


def test_a_failed_look_up_is_not_an_empty_one(world: Any) -> None:
    """The bug that makes duplicates everywhere: a failed look-up taken for "not found"."""
    for answer in (HttpResponse(500, {}, b""), HttpResponse(200, {}, b"{}"), HttpResponse(429, {}, b"")):
        world.tamper = lambda *_, answer=answer: answer
        for probe in ({"mark": "i.m.1"}, {"mark": "i.m.1", "created_after": 0.0}, {"unique": {"email": "a@b.c"}}):
            with pytest.raises(AccordError):
                found_ids(world, **probe)


def test_a_list_that_shrinks_under_a_look_up_is_read_again_later(world: Any) -> None:
    """The cursor's customer was deleted between two pages."""
    seed(world, 150)

    def shrink(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        if "starting_after" not in world.requests[-1].url:
            world.stripe.delete("customer", json.loads(answer.body)["data"][-1]["id"])
        return answer

    world.tamper = shrink
    with pytest.raises(RetryError, match="deleted"):
        found_ids(world, mark="i.m.1", created_after=0.0)
    world.tamper = lambda *_: HttpResponse(200, {}, b'{"data":[{"id":5}],"has_more":true}')
    with pytest.raises(ReplyError):
        found_ids(world, mark="i.m.1", created_after=0.0)


# ---- writes ----------------------------------------------------------------------------------------


def test_a_create_and_an_update_return_what_stripe_now_holds(world: Any) -> None:
    """The response of a write is its read-back."""
    fields = {
        "name": "Zoë & Söhne [GmbH]",
        "email": "a@example.com",
        "billing_address": {"line1": "Straße 1", "country": "DE"},
        "shipping_address": {"city": "Ulm"},
        "locale": "de",
        "metadata.plan": "a=b&c",
    }
    (made,) = written(world, create(world, **fields))
    remote_id = made.sighting.id
    assert not made.is_replay
    assert world.stripe.neutral("customer")[remote_id] == {**fields, "phone": None}
    remote = world.translator.read(made.sighting.raw)
    assert (remote.accord_ref, remote.external_id) == ("i.m.1", "c-1")
    (changed,) = written(world, update(world, remote_id, name="B", locale=None, billing_address=None))
    assert world.translator.read(changed.sighting.raw).fields["name"] == "B"
    assert world.stripe.neutral("customer")[remote_id]["locale"] is None
    assert world.stripe.objects("customer")[remote_id]["address"] is None
    assert [(m.caller, m.request_key) for m in world.stripe.mutations] == [("accord", "k1"), ("accord", "k2")]


def test_a_lost_answer_does_not_create_twice(world: Any) -> None:
    """The request arrived, the answer did not: the same key gives the same customer, and says it is a replay."""
    intent = create(world)

    def lose(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        respond()
        message = "lost"
        raise TimeoutError(message)

    world.tamper = lose
    (receipt,) = written(world, intent)
    assert isinstance(receipt, AmbiguousError)
    assert len(world.requests) == 1
    world.tamper = None
    (again,) = written(world, intent)
    assert isinstance(again, Written)
    assert again.is_replay
    assert list(world.stripe.objects("customer")) == [again.sighting.id]


def test_a_request_that_never_left_is_no_ambiguity(world: Any) -> None:
    """A refused connection may simply be tried again."""

    def refuse(*_: object) -> HttpResponse:
        message = "refused"
        raise ConnectionRefusedError(message)

    world.tamper = refuse
    (receipt,) = written(world, create(world))
    assert isinstance(receipt, RetryError)


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(200, {}, b""),
        HttpResponse(200, {}, b'{"id":"cus_1","object":"cust'),
        HttpResponse(200, {}, b"<html>ok</html>"),
        HttpResponse(200, {}, b"{}"),
        HttpResponse(200, {}, b'{"id":"cus_other","object":"customer"}'),
        HttpResponse(502, {}, b"<html>bad gateway</html>"),
        HttpResponse(500, {}, b'{"error":{"type":"api_error"}}'),
        HttpResponse(302, {"location": "https://evil.example/"}, b""),
    ],
)
def test_a_garbled_answer_to_a_write_is_ambiguous(world: Any, answer: HttpResponse) -> None:
    """The write may have happened; only a look can tell."""
    (remote_id,) = seed(world, 1)
    intent = update(world, remote_id, name="B")
    world.tamper = lambda *_: answer
    (receipt,) = written(world, intent)
    assert isinstance(receipt, AmbiguousError)


def test_a_stored_500_stays_ambiguous(world: Any) -> None:
    """Stripe replays its 500: repeating the key for ever resolves nothing, the look-up does."""
    asked_at = world.clock.time
    world.stripe.break_writes(1, executed=True)
    for _ in range(2):
        (receipt,) = written(world, create(world))
        assert isinstance(receipt, AmbiguousError)
    assert len(found_ids(world, mark="i.m.1", created_after=asked_at)) == 1


def test_a_batch_fails_record_by_record(world: Any) -> None:
    """One refused e-mail does not lose the other writes."""
    here, gone = seed(world, 2)
    good = update(world, here, name="B")
    ghost = update(world, gone, key="k3", name="B")
    world.stripe.delete("customer", gone)
    bad = Write(key="k4", action="create", kind="customer", remote_id=None, body={"email": "nobody"})
    unknown = Write(key="k5", action="create", kind="customer", remote_id=None, body={"legal_name": "x"})
    receipts = written(world, good, ghost, bad, unknown)
    assert isinstance(receipts[0], Written)
    assert type(receipts[1]) is GoneError
    assert type(receipts[2]) is RejectedError
    assert receipts[2].field == "email"
    assert type(receipts[3]) is RejectedError
    assert world.stripe.neutral("customer")[here]["name"] == "B"


def test_one_key_with_two_bodies_is_refused(world: Any) -> None:
    """A body that changed after the intent was frozen must not be sent under its key: what that made is looked for."""
    written(world, create(world))
    (receipt,) = written(world, create(world, name="Other"))
    assert type(receipt) is AmbiguousError
    assert len(world.stripe.objects("customer")) == 1


def test_a_lacking_permission_is_a_receipt(world: Any) -> None:
    """The engine stops the lane; no write is lost or guessed."""
    world.change(denied_permissions=frozenset({"rak_customer_write"}))
    (receipt,) = written(world, create(world))
    assert isinstance(receipt, ReauthorizeError)
    assert "rak_customer_write" in str(receipt)


# ---- limits ----------------------------------------------------------------------------------------


def test_a_backfill_within_the_limits_causes_no_429(make_world: Callable[..., Any]) -> None:
    """300 customers read one by one take a little over eleven seconds, and not one refusal."""
    world = make_world(StripeSettings(enforce_limits=True))
    ids = seed(world, 300, seconds=0.0)
    answers: list[int] = []

    def watch(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        answers.append(answer.status)
        return answer

    world.tamper = watch
    started = world.clock.time
    assert len(world.run(world.connector.read("customer", ids))) == 300
    assert answers == [200] * 300
    assert 11 <= world.clock.time - started <= 13


def test_a_429_silences_the_connection_and_is_tried_again(world: Any) -> None:
    """Another program used up the account's second."""
    (remote_id,) = seed(world, 1)
    refusals = [HttpResponse(429, {"stripe-rate-limited-reason": "global-rate"}, b'{"error":{"code":"rate_limit"}}')]
    times: list[float] = []

    def limited(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        times.append(world.clock.time)
        return refusals.pop() if refusals else respond()

    world.tamper = limited
    assert world.run(world.connector.read("customer", [remote_id]))[remote_id].id == remote_id
    assert times[1] - times[0] >= 1.0


def test_a_429_on_a_write_was_not_executed(world: Any) -> None:
    """The engine sends it again, later; nothing else of this connection is sent before."""
    limited = HttpResponse(429, {"stripe-rate-limited-reason": "endpoint-rate"}, b'{"error":{"code":"rate_limit"}}')
    lock = HttpResponse(429, {}, b'{"error":{"code":"lock_timeout"}}')
    for answer, pause in ((limited, 1.0), (lock, 0.0)):
        world.tamper = lambda *_, answer=answer: answer
        (receipt,) = written(world, create(world))
        assert isinstance(receipt, RetryError)
        world.tamper = None
        before = world.clock.time
        world.sweep()
        assert world.clock.time - before >= pause
        assert pause or world.clock.time == before
    assert world.stripe.mutations == []


def test_a_create_whose_first_request_is_still_at_work_is_sent_again_later(world: Any) -> None:
    """409: it was not executed, and the same key makes one customer."""
    intent = create(world)
    world.stripe.keep_busy(intent.key, 2.0)
    (receipt,) = written(world, intent)
    assert isinstance(receipt, RetryError)
    world.clock.time += 2
    (again,) = written(world, intent)
    assert isinstance(again, Written)
    assert list(world.stripe.objects("customer")) == [again.sighting.id]


def test_nothing_of_a_customer_reaches_the_sdk_s_log(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    """stripe-python writes whole answers to its debug log."""
    seed(world, 1)
    with caplog.at_level("DEBUG"):
        world.sweep()
    assert "c0@example.com" not in caplog.text
    assert "rk_live" not in caplog.text
