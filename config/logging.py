"""Logging: one event on a line, JSON or for a terminal, with secrets and personal data masked on the way out."""

from __future__ import annotations

import logging
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.settings import Settings

MASK: Final = "***"
LONGEST: Final = 20_000
BEYOND: Final = 5000
"""So much more is looked at: what is cut through is no longer known for a secret."""
SHORTEST: Final = 6
KEPT: Final = 1000
"""Secrets learned, and warnings, that are remembered: tokens change by the hour, and a daemon runs for months."""
QUIET_SECONDS: Final = 10.0
"""A library's warning is told once in this time: strangers can cause some, and a flood of them would fill the disk."""
DEEPEST: Final = 6
"""Nesting beyond this is replaced: a cycle in a value must not hang the daemon in its own log."""

_SECRET_KEY: Final = re.compile(
    r"token|secret|authorization|api[_-]?key|passw(or)?d|signature|cookie|credential|(^|[_-])body$", re.IGNORECASE
)
_URL_PASSWORD: Final = re.compile(r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)")
_SECRET_TEXT: Final = re.compile(
    r"\b(?:sk|rk)_(?:live|test)_\w+|\bwhsec_[\w+/=-]+|\bpat-[a-z]{2,3}\d-[\w-]+|\baccord_[\w-]{40,}|\beyJ[\w-]+\.[\w.-]+"
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]+",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"([^\s@<>()\[\]{},;:\"'=*/])[^\s@<>()\[\]{},;:\"'=/]{0,63}((?:@|%40)[\w%-]+(?:\.[\w%-]+)+)")
_PHONE: Final = re.compile(
    r"((?:\+|%2B)\d{1,2})(?:(?:[ \t\xa0\u2010-\u2015().+/-]|%(?:20|28|29|2F)){0,3}\d){5,13}(?!\d)", re.IGNORECASE
)
"""Both as people write them, and as an address of the web does: its paths and queries are logged."""
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)}
"""Escape sequences in a customer's name must not drive the terminal of whoever reads the log."""


class Redaction:
    """A structlog processor that masks by key, by shape and by the very values this process was given as secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know these from the start, and never forget them."""
        self._given = frozenset(value for value in secrets if len(value) >= SHORTEST)
        self._learned: dict[str, None] = {}
        self._known: tuple[str, ...] | None = None

    def learn(self, secret: str) -> None:
        """One more to mask. Short ones are left out: masking every "1" would make the log unreadable."""
        if len(secret) < SHORTEST or secret in self._given:
            return
        if secret in self._learned:
            # what is told again is in use: newer ones must not push it out
            del self._learned[secret]
        self._learned[secret] = None
        if len(self._learned) > KEPT:
            del self._learned[next(iter(self._learned))]
        self._known = None  # last: a line that another thread logs meanwhile must not keep the list without it

    def _secrets(self) -> tuple[str, ...]:
        """All of them, the longest first: a pattern of a thousand tokens would take seconds to make, each hour anew."""
        known = self._known
        if known is None:
            known = self._known = tuple(sorted((*self._given, *self._learned), key=len, reverse=True))
        return known

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        """Mask one event."""
        del logger, name
        return {key: self._entry(key, value, 0) for key, value in event.items()}

    def masked(self, value: object, depth: int = 0) -> object:
        """`value` with everything secret or personal in it replaced, at any depth."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if depth >= DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._entry(str(key), inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.masked(inner, depth + 1) for inner in value]
        return self.text(value if isinstance(value, str) else repr(value))

    def _entry(self, key: str, value: object, depth: int) -> object:
        # counts and flags about secrets (`tokens_left=3`, `has_signature=False`) give nothing away
        is_plain = value is None or isinstance(value, bool | int | float)
        return MASK if _SECRET_KEY.search(key) and not is_plain else self.masked(value, depth)

    def text(self, text: str) -> str:
        """One string, masked, cut to a length that a log can bear, and printable in any encoding."""
        if len(text) > LONGEST:
            beyond = min(BEYOND, len(text) - LONGEST)
            return f"{self._masked(text[: LONGEST + beyond])[:-beyond]}... ({len(text)} characters)"
        return self._masked(text)

    def _masked(self, text: str) -> str:
        secrets = self._secrets()
        # from the longest that fits in: tokens are longer than most of what is logged
        for secret in secrets[bisect_left(secrets, -len(text), key=_fits) :]:
            if secret in text:
                text = text.replace(secret, MASK)
        text = _URL_PASSWORD.sub(f"{MASK}:{MASK}", text)
        text = _SECRET_TEXT.sub(MASK, text)
        text = _EMAIL.sub(rf"\1{MASK}\2", text)
        return _PHONE.sub(rf"\1{MASK}", text).translate(_CONTROL).encode("utf-8", "backslashreplace").decode("utf-8")


def _fits(secret: str) -> int:
    return -len(secret)


class _Lossy:
    """A stream that loses a line where it cannot be written, on a full disk, say: whoever told it has work to do."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Seldom(logging.Filter):
    """Lets a library's warning pass unless the same words just did; errors always."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        words, now = f"{record.name} {record.msg} {record.args}", record.created
        if 0 <= now - self._told.get(words, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        if len(self._told) >= KEPT:
            self._told.clear()
        self._told[words] = now
        return True


def configure_logging(settings: Settings, stream: TextIO) -> Redaction:
    """Send our events and the libraries' warnings to `stream`; returns what masks them, to teach it more secrets."""
    redaction = Redaction(settings.secret_values)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # tracebacks become text before the redaction, so that what an exception quotes is masked too
    after: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redaction,
        _renderer(settings, stream),
    ]
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(stream))),
        cache_logger_on_first_use=False,
    )
    _route_libraries(before, after, stream)
    return redaction


def _renderer(settings: Settings, stream: TextIO) -> Processor:
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    if is_console:
        return structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)


def _route_libraries(before: list[Processor], after: list[Processor], stream: TextIO) -> None:
    """Uvicorn, apscheduler, sqlalchemy, stripe, urllib3, httpx, ...: from warnings on, in the same form."""
    output = logging.StreamHandler(stream)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
        )
    )
    output.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.WARNING)
    for known in [logging.getLogger(name) for name in root.manager.loggerDict]:
        # a library that has set up itself would write past the redaction, or below warnings
        known.handlers.clear()
        known.propagate = True
        known.setLevel(logging.NOTSET)
    logging.captureWarnings(capture=True)
