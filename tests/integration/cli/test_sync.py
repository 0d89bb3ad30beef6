"""accord sync: agree now, or say what keeps it from agreeing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from config.file import AccordConfig
from core.errors import ReauthorizeError, RetryError
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.store import connections, customers, failures, instance, observations, one_offs, work
from tests.integration.cli.conftest import Accord, customer_id, edit, only
from tests.support.root import WorldRoot
from tests.support.world import NAMES, World


def _phones(world: World) -> list[object]:
    return [next(iter(world.neutral(name).values()))["phone"] for name in NAMES]


def _down(request: HttpRequest) -> HttpResponse:
    raise RetryError(f"{request.url} does not answer")


def test_an_edit_anywhere_is_everywhere_after_a_sync(agreed: World, accord: Accord) -> None:
    """Without a daemon the command does the work itself."""
    edit(agreed, "hubspot", phone="+4930123456")
    result = accord("sync", "--json")
    assert (result.code, result.json["failed"], result.json["held"], result.json["waiting"]) == (0, 0, 0, 0)
    assert _phones(agreed) == ["+4930123456"] * 3
    assert accord("sync").out.strip() == "all agree"


def test_a_named_connection_is_synced_alone_and_says_what_waits_elsewhere(agreed: World, accord: Accord) -> None:
    """Whoever names one connection does not want the others touched."""
    edit(agreed, "hubspot", phone="+4930123456")
    before = agreed.writes("stripe")
    result = accord("sync", "hubspot", "--json")
    assert (result.code, result.json["elsewhere"]) == (0, {"quickbooks": 1, "stripe": 1})
    assert agreed.writes("stripe") == before


def test_a_dry_run_writes_to_no_system_and_no_record(agreed: World, accord: Accord) -> None:
    """It reads, and shows the plan."""
    edit(agreed, "hubspot", phone="+4930123456")
    agreed.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    before = [agreed.writes(name) for name in NAMES], agreed.db.read_now(lambda tx: customers.listing(tx))
    result = accord("sync", "--dry-run", "--json")
    assert result.code == 2
    counts = {one["connection"]: one["counts"] for one in result.json["plans"]}
    assert counts == {"hubspot": {"take": 1}, "quickbooks": {}, "stripe": {"enter": 1}}
    assert ([agreed.writes(name) for name in NAMES], agreed.db.read_now(lambda tx: customers.listing(tx))) == before
    assert agreed.db.read_now(work.counts) == {}


def test_a_dry_run_hides_no_change_from_the_sync_after_it(agreed: World, accord: Accord) -> None:
    """What the look stored made the next sweep take the change for known, and it was lost."""
    edit(agreed, "hubspot", phone="+4930123456")
    agreed.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    for _ in range(2):
        assert accord("sync", "--dry-run").code == 2
    assert accord("sync", "--full").code == 0
    assert sorted(str(one["phone"]) for one in agreed.neutral("stripe").values()) == ["+4930123456", "None"]
    assert [len(agreed.neutral(name)) for name in NAMES] == [2, 2, 2]
    assert accord("sync", "--dry-run").code == 0


def test_a_dry_run_of_one_customer_reads_and_shows_that_one(agreed: World, accord: Accord) -> None:
    """Everything else stays unread."""
    edit(agreed, "hubspot", phone="+4930123456")
    agreed.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    result = accord("sync", "--dry-run", "--customer", customer_id(agreed), "--json")
    items = [(one["connection"], item["kind"]) for one in result.json["plans"] for item in one["items"]]
    assert (result.code, items) == (2, [("hubspot", "take")])
    assert agreed.db.read_now(lambda tx: observations.count(tx, "stripe", "customer")) == 1


@pytest.mark.parametrize(
    "command", [("sync", "--full"), ("sync", "--dry-run"), ("sync", "--dry-run", "--full"), ("sync", "quickbooks")]
)
def test_what_a_command_reads_counts_into_the_month(agreed: World, accord: Accord, command: tuple[str, ...]) -> None:
    """The provider counts it, whoever asked; only a daemon's reads were shown, and two weeks of commands as none."""
    called: list[str] = []
    answer = agreed.exchanges["quickbooks"]

    def watched(request: HttpRequest) -> HttpResponse:
        called.extend(["read"] * (request.method == "GET"))
        return answer(request)

    agreed.exchanges["quickbooks"] = watched
    before = _reads_of_the_month(accord)
    edit(agreed, "hubspot", phone="+4930123456")
    accord(*command)
    assert called
    assert _reads_of_the_month(accord) == before + len(called)


def _reads_of_the_month(accord: Accord) -> int:
    (books,) = (one for one in accord("status", "--json").json["connections"] if one["connection"] == "quickbooks")
    return int(books["allowances"][0]["used"])


def test_a_hold_exits_3_and_a_failure_1(agreed: World, accord: Accord) -> None:
    """Scripts must see the difference between broken and undecided."""
    edit(agreed, "hubspot", name="Ada: the second")
    assert accord("sync").code == 3
    agreed.exchanges["stripe"] = _down
    result = accord("sync", "--full", "--patience", "5", "--json")
    assert result.code == 1
    assert "does not answer" in result.json["troubled"]["stripe"]


def test_credentials_that_are_refused_end_the_sync_at_once(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """Waiting helps nobody where a person must act; with a daemon neither."""

    def refused(request: HttpRequest) -> HttpResponse:
        raise ReauthorizeError(f"{request.url}: the key was revoked")

    agreed.exchanges["stripe"] = refused
    result = accord("sync", "stripe", "--json")
    assert (result.code, result.json["troubled"]) == (1, {"stripe": result.json["troubled"]["stripe"]})
    root.play_daemon()
    before = agreed.clock.time
    assert accord("sync", "stripe").code == 1
    assert agreed.clock.time - before < 5


@pytest.mark.parametrize("has_daemon", [False, True])
def test_an_outage_is_told_and_waited_for_a_minute(
    agreed: World, root: WorldRoot, accord: Accord, *, has_daemon: bool
) -> None:
    """Five silent minutes look like a command that hangs."""
    agreed.exchanges["stripe"] = _down
    if has_daemon:
        root.play_daemon()
    before = agreed.clock.time
    result = accord("sync", "stripe")
    assert result.code == 1
    assert agreed.clock.time - before <= 61
    assert result.err.count("waiting for it until") == 1


def test_one_customer_is_looked_at_in_every_system(agreed: World, accord: Accord) -> None:
    """Support asks about one customer, not about all."""
    edit(agreed, "hubspot", phone="+4930123456")
    assert accord("sync", "--customer", customer_id(agreed)).code == 0
    assert _phones(agreed) == ["+4930123456"] * 3
    unknown = accord("sync", "--customer", "nobody", "--json")
    assert (unknown.code, unknown.error["code"]) == (1, "not_found")


def test_metadata_is_refreshed_when_asked_for(agreed: World, accord: Accord) -> None:
    """A key that was allow-listed later gets to its customers this way."""
    name = customer_id(agreed)
    assert accord("customers", "update", name, "--set", "metadata.plan=gold").code == 0
    assert accord("sync", "--kind", "metadata").code == 0
    assert next(iter(agreed.neutral("hubspot").values()))["metadata.plan"] == "gold"


@pytest.mark.parametrize("has_daemon", [False, True])
def test_no_definition_is_made_in_an_account_that_is_another_one(
    agreed: World, root: WorldRoot, accord: Accord, *, has_daemon: bool
) -> None:
    """A command has the credentials of its own environment, and its lanes would have looked whose they are."""
    one = agreed.config.connections["hubspot"]
    there = {**agreed.config.connections, "hubspot": replace(one, metadata_keys=(*one.metadata_keys, "brand_new"))}
    agreed.config = replace(agreed.config, connections=there)
    agreed.db.run_now(lambda tx: connections.change(tx, "hubspot", account_id="another"))
    made: list[str] = []
    answer = agreed.exchanges["hubspot"]

    def watched(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "/properties/" in request.url:
            made.append(request.url)
        return answer(request)

    agreed.exchanges["hubspot"] = watched
    root.daemon = (lambda: True) if has_daemon else None
    result = accord("sync", "hubspot", "--kind", "metadata", "--patience", "0", "--json")
    assert (result.code, made) == (1, [])


def test_metadata_goes_on_elsewhere_while_one_provider_is_down(agreed: World, accord: Accord) -> None:
    """The first one that was down ended it for those after it, with nothing said of them."""
    edit(agreed, "quickbooks", phone="+4930123456")
    agreed.exchanges["hubspot"] = _down
    result = accord("sync", "--kind", "metadata", "--patience", "0", "--json")
    assert (result.code, list(result.json["troubled"])) == (1, ["hubspot"])
    assert "does not answer" in result.json["troubled"]["hubspot"]
    assert next(iter(agreed.neutral("stripe").values()))["phone"] == "+4930123456"
    told = accord("sync", "--kind", "metadata", "--patience", "0")
    assert told.code == 1
    assert "hubspot: " in told.out


def test_kinds_are_checked_before_anything_is_done(agreed: World, accord: Accord) -> None:
    """Doing customers instead of what was asked for would look like success."""
    assert agreed.db.read_now(customers.count) == 1
    assert accord("sync", "--kind", "nonsense").code == 64
    assert accord("sync", "--full", "--customer", "x").code == 1


@pytest.mark.parametrize("has_daemon", [False, True])
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("stripe",)])
def test_a_kind_that_a_connection_has_not_is_refused(
    agreed: World, root: WorldRoot, accord: Accord, more: tuple[str, ...], *, has_daemon: bool
) -> None:
    """It looked at nothing, said that all agree, and exited 0."""
    if has_daemon:
        root.play_daemon()
    result = accord("sync", "hubspot", "--kind", "payments", *more, "--json")
    assert (result.code, result.error["field"]) == (1, "kind")
    assert result.error["problem"] == "no payment comes from hubspot, or is copied there"
    assert result.error["limit"] == "hubspot has invoice"
    assert "HubSpot has no place for it" in result.error["cure"]
    assert agreed.db.read_now(lambda tx: one_offs.oldest_in(tx, "stripe", "new")) is None, "nothing is begun"


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("stripe",)])
def test_a_kind_that_no_connection_has_is_refused(agreed: World, accord: Accord, more: tuple[str, ...]) -> None:
    """Where no documents are configured, none were looked at, and all of them agreed."""
    agreed.config = config_without_documents(agreed)
    result = accord("sync", "--kind", "invoices", *more, "--json")
    assert (result.code, result.error["field"]) == (1, "kind")
    assert result.error["limit"] == (
        "stripe has no documents" if "stripe" in more else "connections: " + ", ".join(sorted(NAMES))
    )
    assert "originates" in result.error["cure"]


def config_without_documents(world: World) -> AccordConfig:
    """The same connections, and no documents anywhere."""
    policies = world.config.policy.connections.items()
    bare = {name: msgspec.structs.replace(one, documents=DocumentPolicy()) for name, one in policies}
    return replace(world.config, policy=msgspec.structs.replace(world.config.policy, connections=bare))


def test_what_the_daemon_refuses_is_told(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """It may run with an older accord.toml: its lane looked at nothing, and the command said that all agree."""
    configured, agreed.config = agreed.config, config_without_documents(agreed)
    agreed.start()
    agreed.config = configured
    root.play_daemon()
    result = accord("sync", "stripe", "--kind", "invoices", "--json")
    assert result.code == 1
    assert "no invoice or credit_note comes from stripe" in result.json["troubled"]["stripe"]


def test_a_running_daemon_is_asked_and_followed(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """A command and a daemon never work one lane at once."""
    edit(agreed, "hubspot", phone="+4930123456")
    root.play_daemon()
    assert accord("sync").code == 0
    assert root.daemon_runs > 0
    assert _phones(agreed) == ["+4930123456"] * 3


def test_a_daemon_that_dies_meanwhile_is_told(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """What was asked for waits in the database; the command must not wait with it."""
    looks = iter([True, True, False])
    root.play_daemon()
    root.daemon = lambda: next(looks)
    assert isinstance(agreed.hub.connections, dict)
    agreed.hub.connections.clear()
    result = accord("sync", "--json")
    assert (result.code, result.error["code"]) == (1, "busy")


def test_no_daemon_can_start_while_the_command_works(agreed: World, accord: Accord) -> None:
    """The lock is the daemon's own; and a lock that is held is respected."""
    with instance.hold(agreed.db, agreed.clock):
        result = accord("db", "upgrade", "--json")
    assert (result.code, result.error["code"]) == (1, "busy")
    assert not instance.is_held(agreed.db)


def test_an_observing_connection_is_read_and_never_written_to(world: World, accord: Accord) -> None:
    """A sync is no leave to write, and what was only looked at does not "agree"."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    result = accord("sync")
    assert result.code == 2
    assert "stripe observes" in result.out
    assert "accord plan stripe" in result.out
    assert "agree" not in result.out
    assert accord("sync", "--json").json["observing"] == ["hubspot", "quickbooks", "stripe"]
    assert [world.writes(name) for name in NAMES] == [0, 0, 0]
    assert world.db.read_now(customers.count) == 0
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe")).swept_at is not None


def test_a_dry_run_beside_a_daemon_lets_it_read(world: World, root: WorldRoot, accord: Accord) -> None:
    """An observing connection is listed by the one who owns its lane."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    root.play_daemon()
    assert accord("sync", "--dry-run").code == 2
    assert root.daemon_runs > 0


def test_a_dry_run_names_what_it_could_not_read(agreed: World, accord: Accord) -> None:
    """One connection that is down hides no other's plan, and is no agreement."""
    agreed.exchanges["stripe"] = _down
    edit(agreed, "hubspot", phone="+4930123456")
    result = accord("sync", "--dry-run", "--json")
    assert result.code == 1
    assert "does not answer" in result.err
    assert {one["connection"]: one["counts"] for one in result.json["plans"]}["hubspot"] == {"take": 1}


def test_a_dry_run_tells_of_objects_that_are_not_listed_any_more(agreed: World, accord: Accord) -> None:
    """Nothing is taken for gone from a listing alone, but nothing is hidden either."""
    agreed.lookalikes["hubspot"].delete("customer", only(agreed, "hubspot"))
    assert "1 known objects are not listed" in accord("sync", "hubspot", "--dry-run").err


def test_failures_are_shown_and_retried(agreed: World, accord: Accord) -> None:
    """A dead record waits for a person, who can let it be looked at again."""
    asyncio.run(agreed.settle())
    row = failures.Failure(
        connection="stripe", subject="r:cus_odd", code="bad_record", message="no JSON", state="dead",
        first_at=1, last_at=1,
    )  # fmt: skip
    agreed.db.run_now(lambda tx: failures.record(tx, [row]))
    assert [one["subject"] for one in accord("failures", "--json").json] == ["r:cus_odd"]
    assert "no JSON" in accord("failures", "--connection", "stripe").out
    assert accord("failures", "--connection", "hubspot").out.strip() == "nothing fails"
    assert accord("sync", "--json").code == 1
    assert accord("retry", "stripe", "cus_other").code == 1
    assert accord("retry", "stripe", "cus_odd", "--json").json == {"retried": 1, "connections": {"stripe": 1}}
    assert agreed.db.read_now(work.counts) == {"stripe": 1}
    assert accord("retry", "--json").json["retried"] == 1
