"""What may go wrong between a client and a provider, as data, and the seeded choice of when it does.

The same plan works over real HTTP (server.py) and in one process (`FaultyExchange`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from core.ports import Clock, HttpRequest, HttpResponse
from core.sandbox.lookalike import LookAlike, Outgoing

FaultKind = Literal[
    "lost_request",  # the connection breaks; nothing was executed
    "lost_answer",  # executed, then the connection breaks (after `seconds`, when given)
    "error_before",  # a 5xx; nothing was executed
    "error_after",  # executed, then a 5xx
    "slow",  # executed and answered only after `seconds`, whether or not the client still waits
    "truncated",  # executed; half of the answer's body
    "html",  # executed; a proxy's HTML page instead of the answer
    "too_many",  # 429 in the provider's own words; nothing was executed
]
WebhookFaultKind = Literal["duplicate", "reorder", "drop", "delay"]

_HTML: Final = b"<!DOCTYPE html><html><head><title>Service</title></head><body><h1>Please wait</h1></body></html>"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to fail, and the requests it strikes: those that match, every `nth` of them, by `probability`."""

    kind: FaultKind
    method: str = ""
    """Regular expression for the whole method; empty matches each."""
    path: str = ""
    """Regular expression looked for in path and query; empty matches each."""
    nth: int = 1
    probability: float = 1.0
    count: int | None = None
    """Strikes at most; None: no end."""
    seconds: float = 0.0
    status: int = 503
    on_repeat: bool = False
    """Strikes only what was sent before: the same method, target and body, as after an answer that was lost."""


class WebhookFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way for a delivery to go wrong. `drop` loses it for good, as a provider's outage does."""

    kind: WebhookFaultKind
    nth: int = 1
    probability: float = 1.0
    count: int | None = None
    seconds: float = 1.0
    """How late a `delay` makes it."""


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that shall go wrong. Of several faults that fit a request, the first one strikes."""

    requests: tuple[Fault, ...] = ()
    webhooks: tuple[WebhookFault, ...] = ()


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that happened; `call` counts all requests (or deliveries) from 1."""

    call: int
    kind: str
    target: str
    was_executed: bool


class Result(msgspec.Struct, frozen=True):
    """What one request shall come to: an answer, or a broken connection (None)."""

    response: HttpResponse | None
    was_executed: bool = True
    after_seconds: float = 0.0


class Sending(msgspec.Struct, frozen=True):
    """One delivery to make `after_seconds` from now. Only the first of doubles reports its answer."""

    outgoing: Outgoing
    after_seconds: float = 0.0
    is_double: bool = False


class Sendings(msgspec.Struct, frozen=True):
    """What becomes of a batch of due webhooks. The provider believes that `dropped` ones arrived."""

    send: Sequence[Sending]
    dropped: Sequence[Outgoing] = ()


@runtime_checkable
class HasTooMany(Protocol):
    """A look-alike that knows its provider's own 429."""

    def too_many(self, request: HttpRequest) -> HttpResponse:
        """Answer `request` as over the limit."""
        ...


class _Dice:
    """Counts what one fault matched and struck, and rolls for the next."""

    def __init__(self, nth: int, probability: float, count: int | None, rng: Random) -> None:
        self._nth, self._probability, self._count, self._rng = nth, probability, count, rng
        self._matched = self._struck = 0

    def roll(self) -> bool:
        self._matched += 1
        if self._matched % max(self._nth, 1) or (self._count is not None and self._struck >= self._count):
            return False
        if self._probability < 1.0 and self._rng.random() >= self._probability:
            return False
        self._struck += 1
        return True


class Faults:
    """A plan under way at one look-alike."""

    def __init__(self, plan: FaultPlan, rng: Random) -> None:
        """Raises ValueError for a pattern that is no regular expression."""
        self.plan = plan
        self.trace: list[Strike] = []
        self._calls = 0
        self._sent = 0
        self._seen: set[bytes] = set()
        self._requests = [
            (fault, _pattern(fault.method), _pattern(fault.path), _dice(fault, rng)) for fault in plan.requests
        ]
        self._webhooks = [(fault, _dice(fault, rng)) for fault in plan.webhooks]

    def choose(self, request: HttpRequest) -> Fault | None:
        """The fault that strikes this request, if any; counts the request."""
        self._calls += 1
        is_repeat = self._is_repeat(request)
        for fault, method, path, dice in self._requests:
            fits = method.fullmatch(request.method) if fault.method else True
            fits = fits and (is_repeat or not fault.on_repeat)
            if fits and path.search(_target(request)) and dice.roll():
                executed = fault.kind not in ("lost_request", "error_before", "too_many")
                target = f"{request.method} {_target(request)}"
                self.trace.append(Strike(call=self._calls, kind=fault.kind, target=target, was_executed=executed))
                return fault
        return None

    def _is_repeat(self, request: HttpRequest) -> bool:
        if not any(fault.on_repeat for fault in self.plan.requests):
            return False
        digest = blake2b(f"{request.method} {request.url} ".encode() + request.body, digest_size=16).digest()
        is_known = digest in self._seen
        self._seen.add(digest)
        return is_known

    def deliveries(self, due: Sequence[Outgoing]) -> Sendings:
        """What becomes of these webhooks. Reordered ones go out after all others of the batch."""
        if not self._webhooks:
            return Sendings([Sending(outgoing) for outgoing in due])
        first: list[Sending] = []
        last: list[Sending] = []
        dropped: list[Outgoing] = []
        for outgoing in due:
            fault = self._choose_webhook(outgoing)
            kind = fault.kind if fault else None
            if kind == "drop":
                dropped.append(outgoing)
            elif kind == "reorder":
                last.insert(0, Sending(outgoing))
            else:
                first.append(Sending(outgoing, fault.seconds if fault and kind == "delay" else 0.0))
            if kind == "duplicate":
                first.append(Sending(outgoing, is_double=True))
        return Sendings(first + last, dropped)

    def _choose_webhook(self, outgoing: Outgoing) -> WebhookFault | None:
        self._sent += 1
        for fault, dice in self._webhooks:
            if dice.roll():
                self.trace.append(Strike(call=self._sent, kind=fault.kind, target=outgoing.id, was_executed=True))
                return fault
        return None


def answer(lookalike: LookAlike, fault: Fault | None, request: HttpRequest) -> Result:
    """Let the look-alike answer, with `fault` around it. The caller does the waiting and the hanging up."""
    if fault is None:
        return Result(lookalike.respond(request))
    return _ANSWERS[fault.kind](lookalike, fault, request)


def _lost_request(_lookalike: LookAlike, _fault: Fault, _request: HttpRequest) -> Result:
    return Result(None, was_executed=False)


def _lost_answer(lookalike: LookAlike, fault: Fault, request: HttpRequest) -> Result:
    lookalike.respond(request)
    return Result(None, after_seconds=fault.seconds)


def _error_before(_lookalike: LookAlike, fault: Fault, _request: HttpRequest) -> Result:
    return Result(_server_error(fault.status), was_executed=False)


def _error_after(lookalike: LookAlike, fault: Fault, request: HttpRequest) -> Result:
    lookalike.respond(request)
    return Result(_server_error(fault.status))


def _unchanged(lookalike: LookAlike, _fault: Fault, request: HttpRequest) -> Result:
    return Result(lookalike.respond(request))


def _truncated(lookalike: LookAlike, _fault: Fault, request: HttpRequest) -> Result:
    whole = lookalike.respond(request)
    headers = {name: value for name, value in whole.headers.items() if name != "content-length"}
    return Result(HttpResponse(whole.status, headers, whole.body[: len(whole.body) // 2]))


def _html(lookalike: LookAlike, _fault: Fault, request: HttpRequest) -> Result:
    lookalike.respond(request)
    return Result(HttpResponse(200, {"content-type": "text/html; charset=utf-8"}, _HTML))


def _too_many(lookalike: LookAlike, _fault: Fault, request: HttpRequest) -> Result:
    if isinstance(lookalike, HasTooMany):
        return Result(lookalike.too_many(request), was_executed=False)
    headers = {"content-type": "text/plain", "retry-after": "1"}
    return Result(HttpResponse(429, headers, b"Too Many Requests"), was_executed=False)


_ANSWERS: Final[Mapping[FaultKind, Callable[[LookAlike, Fault, HttpRequest], Result]]] = {
    "lost_request": _lost_request,
    "lost_answer": _lost_answer,
    "error_before": _error_before,
    "error_after": _error_after,
    "slow": _unchanged,  # the caller waits first: the request is executed late
    "truncated": _truncated,
    "html": _html,
    "too_many": _too_many,
}


def _server_error(status: int) -> HttpResponse:
    return HttpResponse(status, {"content-type": "text/plain"}, b"The server could not complete the request.\n")


def _target(request: HttpRequest) -> str:
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _dice(fault: Fault | WebhookFault, rng: Random) -> _Dice:
    return _Dice(fault.nth, fault.probability, fault.count, rng)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        msg = f"{text!r} is no regular expression: {error}"
        raise ValueError(msg) from error


class FaultyExchange:
    """A core.ports.Exchange with faults: broken connections are ConnectionError and TimeoutError.

    A slow request whose client gives up first is executed when its time has come, as a provider would:
    at the next request, or at `run_late`.
    """

    def __init__(
        self, lookalike: LookAlike, plan: FaultPlan, *, rng: Random, clock: Clock, timeout_seconds: float = 15.0
    ) -> None:
        """`timeout_seconds` is how long the client waits."""
        self.faults = Faults(plan, rng)
        self._lookalike = lookalike
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._late: list[tuple[float, HttpRequest]] = []

    @property
    def trace(self) -> Sequence[Strike]:
        """What struck so far, oldest first."""
        return self.faults.trace

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer `request`, or break the connection."""
        self.run_late()
        fault = self.faults.choose(request)
        if fault is not None and fault.kind == "slow" and fault.seconds > self._timeout_seconds:
            self._late.append((self._clock.now() + fault.seconds, request))
            msg = "no answer in time; the request is still under way"
            raise TimeoutError(msg)
        result = answer(self._lookalike, fault, request)
        if result.response is not None:
            return result.response
        if result.was_executed:
            msg = "no answer: it was lost on the way back"
            raise TimeoutError(msg)
        msg = "the connection broke before the request arrived"
        raise ConnectionError(msg)

    def run_late(self) -> int:
        """Execute the slow requests whose time has come; returns how many are still under way."""
        now = self._clock.now()
        due = [request for at, request in self._late if at <= now]
        self._late = [(at, request) for at, request in self._late if at > now]
        for request in due:
            self._lookalike.respond(request)
        return len(self._late)
