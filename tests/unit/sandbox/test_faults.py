"""What goes wrong, when, and what the store looks like afterwards - in one process."""

import json
from random import Random
from typing import Any

import msgspec
import pytest

from core.ports import Delivery, HttpRequest
from core.sandbox.faults import Fault, FaultKind, FaultPlan, Faults, FaultyExchange, WebhookFault
from core.sandbox.lookalike import Outgoing

Toy = Any
Make = Any
BASE = "http://toy.test"


class Clock:
    """Virtual time."""

    def __init__(self) -> None:
        """Start empty."""
        self.time = 1000.0

    def now(self) -> float:
        """Tell the virtual time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move it."""
        self.time += seconds


def create(thing_id: str) -> HttpRequest:
    """Ask for a new thing."""
    return HttpRequest("POST", f"{BASE}/things", {}, json.dumps({"id": thing_id}).encode())


def faulty(toy: Toy, *faults: Fault, seed: int = 1, clock: Clock | None = None) -> FaultyExchange:
    """Wrap the toy."""
    return FaultyExchange(toy, FaultPlan(requests=faults), rng=Random(seed), clock=clock or Clock())


def test_without_faults_the_look_alike_answers(toy: Toy) -> None:
    """The wrapper can stay in place."""
    assert faulty(toy)(create("a")).status == 200


def test_a_lost_request_is_a_connection_error_and_nothing_happened(toy: Toy) -> None:
    """The transport tells it as never sent, so it may be sent again."""
    with pytest.raises(ConnectionError):
        faulty(toy, Fault(kind="lost_request"))(create("a"))
    assert not toy.things


def test_a_lost_answer_is_a_time_out_and_it_happened(toy: Toy) -> None:
    """The transport tells it as ambiguous."""
    with pytest.raises(TimeoutError):
        faulty(toy, Fault(kind="lost_answer"))(create("a"))
    assert "a" in toy.things


@pytest.mark.parametrize(("kind", "made"), [("error_before", []), ("error_after", ["a"])])
def test_a_5xx_does_not_say_whether_it_happened(toy: Toy, kind: FaultKind, made: list[str]) -> None:
    """Both answers are the same bytes: only the store knows."""
    answer = faulty(toy, Fault(kind=kind, status=502))(create("a"))
    assert answer.status == 502
    assert list(toy.things) == made


def test_html_is_a_200_of_a_proxy(toy: Toy) -> None:
    """A login page of a captive network, a maintenance page of a load balancer."""
    answer = faulty(toy, Fault(kind="html"))(create("a"))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_every_third_call_is_over_the_limit_in_the_providers_words(toy: Toy) -> None:
    """Every tenth answer a 429 ends a run as "success, 0 synced" elsewhere."""
    exchange = faulty(toy, Fault(kind="too_many", nth=3))
    answers = [exchange(create(str(number))) for number in range(9)]
    assert [answer.status for answer in answers] == [200, 200, 429] * 3
    assert json.loads(answers[2].body) == {"toy": "slow down"}
    assert len(toy.things) == 6


def test_a_look_alike_without_words_of_its_own_gets_a_plain_429(make_toy: Make) -> None:
    """With Retry-After, as most APIs do."""

    class Plain(make_toy):  # type: ignore[misc]  # a fixture, and a class
        too_many = None

    answer = faulty(Plain(), Fault(kind="too_many"))(create("a"))
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_a_slow_request_lands_after_its_client_gave_up(toy: Toy) -> None:
    """A look-up right after the time-out must not be taken for the truth."""
    clock = Clock()
    exchange = faulty(toy, Fault(kind="slow", method="POST", seconds=30.0), clock=clock)
    with pytest.raises(TimeoutError):
        exchange(create("a"))
    assert not toy.things
    clock.time += 29
    assert exchange.run_late() == 1
    assert not toy.things
    clock.time += 1
    exchange(HttpRequest("GET", f"{BASE}/things", {}))
    assert "a" in toy.things


def test_a_slow_answer_within_the_time_out_arrives(toy: Toy) -> None:
    """Slowness alone is no failure."""
    assert faulty(toy, Fault(kind="slow", seconds=3.0))(create("a")).status == 200


def test_a_fault_strikes_only_what_it_matches_and_so_often(toy: Toy) -> None:
    """By method, by path with query, at most `count` times."""
    plan = Fault(kind="error_before", method="GET|HEAD", path=r"^/things\?q=", count=2)
    exchange = faulty(toy, plan)
    wanted = HttpRequest("GET", f"{BASE}/things?q=1", {})
    assert exchange(create("a")).status == 200
    assert exchange(HttpRequest("GET", f"{BASE}/things", {})).status == 200
    assert [exchange(wanted).status for _ in range(4)] == [503, 503, 200, 200]
    assert [strike.call for strike in exchange.trace] == [3, 4]


def test_the_trace_tells_what_was_executed(toy: Toy) -> None:
    """A failing simulation prints it."""
    exchange = faulty(toy, Fault(kind="error_after", count=1), Fault(kind="error_before"))
    exchange(create("a"))
    exchange(create("b"))
    assert [(s.call, s.kind, s.target, s.was_executed) for s in exchange.trace] == [
        (1, "error_after", "POST /things", True),
        (2, "error_before", "POST /things", False),
    ]


def test_the_same_seed_makes_the_same_faults(make_toy: Make) -> None:
    """A failing run is repeated by its seed."""

    def strikes(seed: int) -> list[int]:
        exchange = faulty(make_toy(), Fault(kind="error_before", probability=0.3), seed=seed)
        for number in range(200):
            exchange(create(str(number)))
        return [strike.call for strike in exchange.trace]

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert 30 < len(strikes(1)) < 90


def test_a_plan_survives_json() -> None:
    """It is sent over the admin interface and kept beside a failing seed."""
    plan = FaultPlan(requests=(Fault(kind="slow", seconds=1.5),), webhooks=(WebhookFault(kind="drop", count=1),))
    assert msgspec.json.decode(msgspec.json.encode(plan), type=FaultPlan) == plan
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"requests":[{"kind":"earthquake"}]}', type=FaultPlan)


def outgoing(count: int) -> list[Outgoing]:
    """Some due webhooks."""
    delivery = Delivery("POST", "http://hook.test/", {}, b"{}")
    return [Outgoing(f"w{number}", delivery, 1) for number in range(count)]


def webhooks(*faults: WebhookFault) -> Faults:
    """Faults of webhooks only."""
    return Faults(FaultPlan(webhooks=faults), Random(1))


def test_webhooks_without_faults_go_out_in_order() -> None:
    """The default."""
    assert [one.outgoing.id for one in webhooks().deliveries(outgoing(3)).send] == ["w0", "w1", "w2"]


def test_webhooks_are_doubled_dropped_delayed_and_reordered() -> None:
    """Providers promise at least once, mostly, in no order."""
    doubled = webhooks(WebhookFault(kind="duplicate", nth=2)).deliveries(outgoing(2)).send
    assert [(one.outgoing.id, one.is_double) for one in doubled] == [("w0", False), ("w1", False), ("w1", True)]
    dropped = webhooks(WebhookFault(kind="drop", count=1)).deliveries(outgoing(2))
    assert [one.id for one in dropped.dropped] == ["w0"]
    assert [one.outgoing.id for one in dropped.send] == ["w1"]
    delayed = webhooks(WebhookFault(kind="delay", seconds=7, count=1)).deliveries(outgoing(2)).send
    assert [one.after_seconds for one in delayed] == [7, 0]
    turned = webhooks(WebhookFault(kind="reorder")).deliveries(outgoing(3)).send
    assert [one.outgoing.id for one in turned] == ["w2", "w1", "w0"]
