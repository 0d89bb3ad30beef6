"""The log: one event on a line, and nothing secret or personal in any of them."""

from __future__ import annotations

import errno
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logging import KEPT, LONGEST, MASK, Redaction, configure_logging
from config.settings import load_settings


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """As asked by the renderer."""
        return True


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Logging is the process's: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(stream: io.StringIO, **variables: str) -> structlog.typing.FilteringBoundLogger:
    """A logger writing to `stream`."""
    configure_logging(load_settings({f"ACCORD_{name}": value for name, value in variables.items()}), stream)
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def events(stream: io.StringIO) -> list[dict[str, object]]:
    """Every line as what it says."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_the_trace_of_its_work() -> None:
    """Everything about one piece of work is found by one id."""
    stream = io.StringIO()
    log = configured(stream)

    with structlog.contextvars.bound_contextvars(trace="t-1"):
        log.info("sync.done", customers=3, name="Müller\nSöhne\u2028GmbH")
    log.info("sync.idle")

    first, second = events(stream)
    assert (first["event"], first["trace"], first["customers"], first["level"]) == ("sync.done", "t-1", 3, "info")
    assert str(first["timestamp"]).endswith("Z")
    assert first["name"] == "Müller\nSöhne\\x2028GmbH"
    assert "trace" not in second


def test_a_secret_learned_later_is_masked_from_then_on() -> None:
    """Tokens come out of the vault while the daemon runs; only the newest are remembered, or months would slow it."""
    redaction = Redaction()
    redaction.learn("a-secret-that-is-told-again")

    for number in range(KEPT):
        redaction.learn(f"token-{number:06}")
        redaction.learn("a-secret-that-is-told-again")
    redaction.learn("short")

    assert redaction.text(f"token-000001 token-{KEPT - 1:06} short") == f"{MASK} {MASK} short"
    assert redaction.text("token-000000") == "token-000000"
    assert redaction.text("a-secret-that-is-told-again") == MASK


def test_a_token_that_is_learned_after_weeks_holds_up_no_line() -> None:
    """After six weeks of hourly tokens, as long as Intuit's, the first line after each new one took seconds, in which
    the daemon did nothing else.
    """
    redaction, steps = Redaction(), 0
    for number in range(KEPT):
        redaction.learn(f"{number:04}" * 225)

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        masked = redaction.text("0001" * 225 + " is a token")
    finally:
        sys.setprofile(before)
    assert masked == f"{MASK} is a token"
    assert steps < 10 * KEPT


def test_what_is_told_of_two_secrets_shows_neither() -> None:
    """One begins as another one does, or is a part of it."""
    redaction = Redaction(["secret-one", "secret-one-and-two", "and-two"])
    assert redaction.text("secret-one-and-two, secret-one, and-two") == f"{MASK}, {MASK}, {MASK}"


def test_a_secret_of_the_settings_is_masked_for_ever() -> None:
    """An app's client secret was written in clear once a thousand tokens had been learned after it."""
    redaction = Redaction(["a-first-secret"])

    for number in range(KEPT + 1):
        redaction.learn(f"token-{number:06}")

    assert redaction.text("a-first-secret") == MASK


def test_the_level_of_the_settings_counts() -> None:
    """At warning, the routine stays quiet."""
    stream = io.StringIO()
    log = configured(stream, LOG_LEVEL="warning")

    log.info("quiet")
    log.warning("loud")

    assert [event["event"] for event in events(stream)] == ["loud"]


def test_libraries_are_heard_from_warnings_on_in_the_same_form() -> None:
    """A library that has set up its own output would write secrets past the redaction."""
    own = io.StringIO()
    library = logging.getLogger("urllib3.connectionpool")
    library.addHandler(logging.StreamHandler(own))
    library.setLevel(logging.DEBUG)
    library.propagate = False
    stream = io.StringIO()
    configured(stream, LOG_LEVEL="debug")

    library.info("GET /")
    library.warning("retrying %s", "https://user:hunter2@host/")
    logging.getLogger("apscheduler").error("job %s", "x", exc_info=ValueError("Bearer abc.def"))

    assert own.getvalue() == ""
    first, second = events(stream)
    assert (first["logger"], first["level"]) == ("urllib3.connectionpool", "warning")
    assert first["event"] == "retrying https://***:***@host/"
    assert "abc.def" not in str(second["exception"])
    assert "ValueError" in str(second["exception"])


def test_a_flood_of_one_warning_of_a_library_s_is_no_flood_of_log_lines() -> None:
    """Each request that is no HTTP, from whoever reaches the receiver, was a line of the log."""
    stream = io.StringIO()
    configured(stream)
    for _ in range(1000):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    logging.getLogger("uvicorn.error").warning("of another kind: %s", 1)
    told = [str(event["event"]) for event in events(stream)]
    assert [told.count(one) for one in sorted(set(told))] == [1000, 1, 1]


def test_a_python_warning_is_an_event_too() -> None:
    """A deprecation printed raw between JSON lines breaks whoever parses them."""
    stream = io.StringIO()
    configured(stream)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", UserWarning, stacklevel=1)

    assert [event["logger"] for event in events(stream)] == ["py.warnings"]


def test_a_terminal_gets_colours_and_a_file_gets_json() -> None:
    """`auto` looks at the stream; the settings can insist."""
    terminal, file, asked = Terminal(), io.StringIO(), io.StringIO()

    configured(terminal).info("hello")
    configured(file).info("hello")
    configured(asked, LOG_FORMAT="console").info("hello")

    assert "\x1b[" in terminal.getvalue()
    assert events(file)[0]["event"] == "hello"
    assert "hello" in asked.getvalue()
    assert "\x1b[" not in asked.getvalue()
    assert not asked.getvalue().startswith("{")


def test_a_customers_name_cannot_drive_the_terminal() -> None:
    """A name with an escape sequence could clear the screen of whoever reads the log, or hide lines."""
    terminal = Terminal()

    configured(terminal).info("seen", name="\x1b[2Jx\rz\x9b")

    assert "\x1b[2J" not in terminal.getvalue()
    assert "\r" not in terminal.getvalue()
    assert "\x9b" not in terminal.getvalue()


@pytest.mark.parametrize(
    "key",
    "token access_token secret client_secret authorization Authorization api_key apiKey api-key password passwd "
    "stripe-signature signature body raw_body cookie set-cookie credentials".split(),
)
def test_a_secret_is_masked_by_its_key(key: str) -> None:
    """At the top, and at any depth."""
    stream = io.StringIO()
    configured(stream).info("x", **{key: "canary"}, headers={key: "canary"}, rows=[{key: ["canary"]}])

    assert "canary" not in stream.getvalue()
    assert events(stream)[0][key] == MASK


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk_live_51Habc failed", "key *** failed"),
        ("rk_test_abc", MASK),
        ("whsec_ab+/c==", MASK),
        ("pat-na1-1234-abcd-ef", MASK),
        ("Authorization: bearer abc.def~x", "Authorization: ***"),
        ("Basic dXNlcjpwYXNz", MASK),
        ("eyJhbGciOi.J9eyJ.zdWI-_x", MASK),
        ("postgresql://accord:pw@db/accord", "postgresql://***:***@db/accord"),
        ("redis://:pw@db", "redis://***:***@db"),
        ("ann.lee+x@mail.example.com wrote", "a***@mail.example.com wrote"),
        ("email=ann@example.com,b@x.org", "email=a***@example.com,b***@x.org"),
        ("/v1/customers/ada%40example.test", "/v1/customers/a***%40example.test"),
        ("?email=ada%2Bx%40m%C3%BCller.example&limit=1", "?email=a***%40m%C3%BCller.example&limit=1"),
        ("call +4930123456789", "call +49***"),
        ("call +49 30 123456 today", "call +49*** today"),
        ("call +49 (0)30 / 12-34-56", "call +49***"),
        ("call (+1) 555.010.9999", "call (+1***"),
        ("call +49\N{NO-BREAK SPACE}30\N{EN DASH}123456", "call +49***"),
        ("/v1/customers/%2B49%2030%20123456/explain", "/v1/customers/%2B49***/explain"),
        ("?phone=%2b49+30+123456", "?phone=%2b49***"),
        ("+1 of 2, +12 345", "+1 of 2, +12 345"),
        ("2026-11-21T03:39:20+0000", "2026-11-21T03:39:20+0000"),
        ("cus_123 at https://api.stripe.com/v1", "cus_123 at https://api.stripe.com/v1"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_a_secret_or_a_person_is_masked_by_its_shape(text: str, masked: str) -> None:
    """Wherever it turns up, in messages of libraries too."""
    assert Redaction().text(text) == masked


def test_a_secret_that_the_process_was_given_is_masked_wherever_it_turns_up(tmp_path: Path) -> None:
    """QuickBooks secrets have no shape of their own; their value is known all the same."""
    (tmp_path / "key").write_text("canary.three")
    stream = io.StringIO()
    log = configured(
        stream, API_TOKEN="canary-one", QUICKBOOKS_CLIENT_SECRET="canary(two", HUBSPOT_X_FILE=str(tmp_path / "key")
    )

    log.info("x canary-one", deep=[{"a": ("canary(two",)}], seen=ValueError("canary.three"))
    try:
        raise ValueError("canary-one")
    except ValueError:
        log.exception("failed")

    assert "canary" not in stream.getvalue()


class Full(io.StringIO):
    """A file on a disk that fills up, or a pipe whose reader goes; both may end."""

    error: OSError | None = None

    def write(self, text: str, /) -> int:
        """As long as there is room."""
        if self.error:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        """What was buffered meets it, too."""
        if self.error:
            raise self.error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError()])
def test_a_log_that_cannot_be_written_loses_lines_and_stops_nobody(error: OSError) -> None:
    """The disk of the log was full: no lane went on, no webhook was taken, and a daemon that started then ended."""
    stream = Full()
    configure_logging(load_settings({}), stream)
    stream.error = error
    structlog.get_logger().warning("lane.failed", connection="stripe")
    logging.getLogger("httpx").warning("slow")

    stream.error = None
    structlog.get_logger().warning("lane.done", connection="stripe")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["lane.done"]


@pytest.mark.parametrize("more", [1, 2, 4999, 5000, 5001, 40_000])
def test_a_text_that_is_too_long_loses_no_more_than_it_must(more: int) -> None:
    """One of 20,001 characters was told by its first 15,001."""
    told = Redaction().text("x" * LONGEST + "y" * more)

    assert told == f"{'x' * LONGEST}... ({LONGEST + more} characters)"


@pytest.mark.parametrize("before", range(LONGEST - 24, LONGEST))
def test_what_a_long_text_is_cut_through_at_is_masked_too(before: int) -> None:
    """The first half of a token stood at the end of a text of a provider's that was too long."""
    redaction = Redaction(["t0ken-of-this-process"])
    told = redaction.text("x" * (before - 1) + " t0ken-of-this-process " + "y" * LONGEST)
    assert "t0k" not in told
    assert len(told) < LONGEST + 100


def test_a_secret_that_is_learned_between_two_lines_is_masked_in_the_second() -> None:
    """What was put together for the first one does not have it."""
    redaction = Redaction(["given-secret"])
    assert redaction.masked("given-secret learned-secret") == f"{MASK} learned-secret"
    redaction.learn("learned-secret")
    assert redaction.masked("given-secret learned-secret") == f"{MASK} {MASK}"


def test_a_short_secret_is_not_masked_by_value() -> None:
    """A token "1" would turn every number of the log into stars."""
    assert Redaction(["1"]).text("10 of 11") == "10 of 11"


def test_odd_values_are_logged_safely() -> None:
    """Bytes as their length, endless nesting and text cut, counts and flags about secrets kept."""
    endless: dict[str, object] = {}
    endless["again"] = endless
    masked = Redaction().masked

    assert masked(b"body") == "<4 bytes>"
    assert MASK in str(masked(endless))
    assert len(str(masked("x" * 1_000_000))) < 21_000
    assert masked({1}) == [1]
    assert masked({"tokens_left": 3, "has_signature": False, "token": None}) == {
        "tokens_left": 3,
        "has_signature": False,
        "token": None,
    }
    assert masked({"ann@example.com": 1}) == {"a***@example.com": 1}


@given(
    st.recursive(
        st.text() | st.binary() | st.floats() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_no_value_stops_the_log(value: object) -> None:
    """A log line that raises would hide the very event that mattered."""
    line = structlog.processors.JSONRenderer(ensure_ascii=False)(None, "info", Redaction()(None, "info", {"x": value}))

    assert isinstance(line, str)
    assert len(line.splitlines()) == 1
    line.encode("utf-8")
