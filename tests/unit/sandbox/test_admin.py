"""What tests, demo and benchmarks see and do at a look-alike from outside."""

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from core.errors import InvalidInputError
from core.sandbox import admin
from core.sandbox.admin import Edit
from core.sandbox.client import SandboxClient
from core.sandbox.faults import Fault, FaultPlan
from core.sandbox.server import SandboxServer

Toy = Any


def get(server: SandboxServer, path: str) -> int:
    """Status of a GET at the toy."""
    with closing(HTTPConnection("127.0.0.1", server.ports["toy"], timeout=5.0)) as link:
        link.request("GET", path)
        return link.getresponse().status


def test_a_person_creates_edits_and_deletes(client: SandboxClient) -> None:
    """Edits at the provider's own UI, without going through its API."""
    made = client.edit({"name": "A", "email": "a@example.com"})
    assert client.edit({"name": "B"}, made) == made
    assert client.objects() == {made: {"id": made, "name": "B", "email": "a@example.com"}}
    assert client.neutral() == {made: {"name": "B"}}
    client.delete(made)
    assert client.objects() == {}


def test_many_edits_go_in_one_call_and_ids_come_in_order(client: SandboxClient) -> None:
    """Ten thousand customers are seeded before a benchmark."""
    ids = client.bulk(Edit(changes={"name": f"N{number}"}) for number in range(2500))
    assert len(ids) == 2500
    assert client.objects()[ids[1700]]["name"] == "N1700"


def test_mutations_come_in_pages_and_from_a_position_on(client: SandboxClient) -> None:
    """A test asks only for what happened since it looked last."""
    client.bulk(Edit(changes={"name": str(number)}) for number in range(admin.MUTATIONS_PAGE + 7))
    assert len(client.mutations()) == admin.MUTATIONS_PAGE + 7
    since = client.mutations(admin.MUTATIONS_PAGE + 5)
    assert [mutation.changed["name"] for mutation in since] == ["1005", "1006"]
    assert client.mutations(5000) == []


def test_stats_count_requests_reads_and_writes_by_caller(server: SandboxServer, client: SandboxClient) -> None:
    """A benchmark asserts on calls, not on time; the admin's own calls do not count."""
    client.edit({"name": "A"})
    assert get(server, "/things") == 200
    stats = client.stats()
    assert (stats.requests, stats.reads, stats.mutations) == (1, 1, 1)
    assert stats.writes == {"person": 1}
    assert stats.failures == []


def test_faults_do_not_strike_the_admin_interface(server: SandboxServer, client: SandboxClient) -> None:
    """Nothing could end them otherwise."""
    client.faults(FaultPlan(requests=(Fault(kind="error_before"),)))
    assert get(server, "/things") == 503
    assert client.stats().strikes == {"error_before": 1}
    client.faults(FaultPlan())
    assert get(server, "/things") == 200


def test_settings_of_the_look_alike_change_while_it_runs(client: SandboxClient, toy: Toy) -> None:
    """The receiver's port is known only after the sandbox has started."""
    client.settings(webhook_url="http://127.0.0.1:1/hook", lag_scale=2)
    assert toy.settings.webhook_url == "http://127.0.0.1:1/hook"
    assert toy.settings.lag_scale == 2.0


@pytest.mark.parametrize(
    "changes",
    [{"no_such": 1}, {"lag_scale": "fast"}, {"webhooks_enabled": "yes"}],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(
    client: SandboxClient, toy: Toy, changes: dict[str, object]
) -> None:
    """A typo must not make a test pass by doing nothing."""
    before = toy.settings
    with pytest.raises(InvalidInputError):
        client.settings(**changes)
    assert toy.settings == before


def test_what_is_not_there_is_refused_with_words(server: SandboxServer, client: SandboxClient) -> None:
    """Unknown kinds, ids, paths and fields of a plan."""
    with pytest.raises(InvalidInputError, match="KeyError"):
        client.objects("invoice")
    with pytest.raises(InvalidInputError, match="KeyError"):
        client.delete("t99")
    with pytest.raises(InvalidInputError, match="regular expression"):
        client.faults(FaultPlan(requests=(Fault(kind="slow", path="("),)))
    assert get(server, "/__sandbox__/nothing") == 404
    assert get(server, "/__sandbox__/edit") == 404
    assert get(server, "/__sandbox__/mutations?since=x") == 400
