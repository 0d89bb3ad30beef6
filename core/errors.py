"""Every error Accord raises, grouped by what to do next.

AccordError
├── RetryError            nothing was changed; the same call may work later (`retry_after` seconds, when told)
├── AmbiguousError        a write may or may not have happened; resolve its intent before any other write
├── ReauthorizeError      credentials are expired, revoked or lack a scope; a person must act
├── WrongAccountError     the credentials belong to another account than the one pinned on first contact
├── RejectedError         the provider refused this record for good; `field`, `problem`, `limit`, `cure`
│   ├── TakenError        a value that must be unique at the provider is in use by another object
│   ├── GoneError         the object written to does not exist (any more)
│   ├── PlaceError        the provider lets no place for a field be made; whatever else is written goes on
│   └── ByHandError       money moved that the provider is not told of; a person books `amount` there
├── AllRefusedError       the provider refuses whatever is read; the connection waits, no record is to blame
├── StaleError            a conditional write lost its race; read again and decide again
├── ReplyError            the provider's answer could not be understood (garbage, wrong shape)
│   └── PartlyReadError   so it is with some events of a delivery; `notices` are what the others name
├── SignatureError        a webhook delivery is not authentic
├── InvalidInputError     bad input from a person or program; names the field, the problem, the limit, the cure
│   ├── NotFoundError     the thing named does not exist
│   ├── VersionConflictError   the registry record moved on since it was read
│   └── BadRequestError        a request that no route could read: an unknown name, bytes that are no text
├── ForbiddenError        whoever asks may not do this; names the scope that is missing
├── ConfigError           accord.toml or the environment is wrong; names file and key
├── BusyError             another process holds what this one needs
├── SchemaError           the database's schema is newer or older than this program
├── StorageError          the database cannot be read or written now (disk full, locked, unreachable)
└── BugError              an invariant of ours is broken; never retried
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final


class AccordError(Exception):
    """Base of all of Accord's errors; `str(error)` is fit to be shown to a person."""

    code = "error"


LONG_SECONDS: Final = 60.0
"""Nobody sleeps through a longer wait: it is the connection's, and stands in the registry."""


class RetryError(AccordError):
    """Nothing was changed and the same call may work later; `retry_after` is in seconds."""

    code = "retry"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """Keep the provider's own wait, if it told one."""
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def is_long(self) -> bool:
        """Whether the provider told the connection as a whole to wait, and for long."""
        return self.retry_after is not None and self.retry_after > LONG_SECONDS


class AmbiguousError(AccordError):
    """A write may or may not have happened at the provider."""

    code = "ambiguous"


class ReauthorizeError(AccordError):
    """Credentials are expired, revoked or lack a scope."""

    code = "reauthorize"


class WrongAccountError(AccordError):
    """The credentials belong to another account than the pinned one."""

    code = "wrong_account"


class RejectedError(AccordError):
    """The provider (or our own check before sending) refused this record for good."""

    code = "rejected"

    def __init__(
        self,
        problem: str,
        *,
        field: str | None = None,
        limit: str | None = None,
        cure: str | None = None,
    ) -> None:
        """`problem` says what is wrong with the value, `limit` the rule, `cure` what to do."""
        super().__init__(sentence(problem, field=field, limit=limit, cure=cure))
        self.problem = problem
        self.field = field
        self.limit = limit
        self.cure = cure


class TakenError(RejectedError):
    """A value that must be unique at the provider is in use; `remote_id` names the holder when known."""

    code = "taken"

    def __init__(self, problem: str, *, field: str | None = None, remote_id: str | None = None) -> None:
        """Remember who holds the value, when the provider says so."""
        super().__init__(problem, field=field, limit="unique at the provider", cure="rename one of the two")
        self.remote_id = remote_id


class ByHandError(RejectedError):
    """Money moved that the provider is not told of: a person books it there, and says so."""

    code = "by_hand"

    def __init__(
        self, problem: str, *, field: str, amount: Decimal, covers: Decimal, currency: str, account: str, cure: str
    ) -> None:
        """`amount` is still to book (negative: to take back); with it, `covers` of the document's `field` is booked.

        Both in major units of `currency`; `account` is where, in the provider's words.
        """
        super().__init__(problem, field=field, cure=cure)
        self.amount = amount
        self.covers = covers
        self.currency = currency
        self.account = account


class PlaceError(RejectedError):
    """Places for some fields cannot be made; all others are there. `made` are those made since that was last told."""

    code = "no_place"

    def __init__(self, problem: str, *, limit: str | None, cure: str, made: Sequence[str]) -> None:
        """`made` as `Connector.prepare` returns it, in words."""
        super().__init__(problem, limit=limit, cure=cure)
        self.made = made


class GoneError(RejectedError):
    """The object written to does not exist any more."""

    code = "gone"


class AllRefusedError(AccordError):
    """The provider refuses whatever is read, also what it has answered before."""

    code = "all_refused"


class StaleError(AccordError):
    """A conditional write lost its race."""

    code = "stale"


class ReplyError(AccordError):
    """The provider's answer could not be understood."""

    code = "bad_reply"


class PartlyReadError(ReplyError):
    """Some events of a webhook delivery could not be understood."""

    def __init__(self, problems: Sequence[str], events: int, notices: Sequence[Any]) -> None:
        """`problems` are one of each such event, of all its `events`; `notices` are what the others name."""
        told = problems[0]
        if len(problems) < events:
            told = f"{told} ({len(problems)} of {events} events; the others were taken)"
        super().__init__(told)
        self.notices = notices


class SignatureError(AccordError):
    """A webhook delivery is not authentic."""

    code = "bad_signature"


class InvalidInputError(AccordError):
    """Bad input from a person or a program."""

    code = "invalid"
    errors: Sequence[InvalidInputError] = ()
    """Of one that stands for several mistakes (`together`): each of them."""

    def __init__(
        self,
        problem: str,
        *,
        field: str | None = None,
        limit: str | None = None,
        cure: str | None = None,
    ) -> None:
        """`problem` says what is wrong with the value, `limit` the rule, `cure` what to do."""
        super().__init__(sentence(problem, field=field, limit=limit, cure=cure))
        self.problem = problem
        self.field = field
        self.limit = limit
        self.cure = cure


def together(found: Sequence[InvalidInputError]) -> InvalidInputError:
    """What to raise for all of `found`, one at least: each is told on a line, and the first one's parts are its own."""
    first = found[0]
    if len(found) == 1:
        return first
    one = type(first)(first.problem, field=first.field, limit=first.limit, cure=first.cure)
    one.args = ("\n".join(str(each) for each in found),)
    one.errors = tuple(found)
    return one


class NotFoundError(InvalidInputError):
    """The thing named does not exist."""

    code = "not_found"


class VersionConflictError(InvalidInputError):
    """The registry record moved on since it was read."""

    code = "version_conflict"


class BadRequestError(InvalidInputError):
    """A request that no route could read."""

    code = "bad_request"


class ForbiddenError(AccordError):
    """Whoever asks may not do this."""

    code = "forbidden"

    def __init__(self, problem: str, *, scope: str) -> None:
        """`scope` is the one that is missing."""
        super().__init__(f"{problem}; use a token with the scope {scope!r}")
        self.problem = problem
        self.scope = scope


class ConfigError(AccordError):
    """accord.toml or the environment is wrong."""

    code = "config"

    def __init__(self, problem: str, *, file: str | None = None, key: str | None = None) -> None:
        """Name the file and the key, so that the cure is one edit."""
        where = " ".join(part for part in (file, f"[{key}]" if key else None) if part)
        super().__init__(f"{where}: {problem}" if where else problem)
        self.problem = problem
        self.file = file
        self.key = key


class BusyError(AccordError):
    """Another process holds what this one needs."""

    code = "busy"


class SchemaError(AccordError):
    """The database's schema does not fit this program."""

    code = "schema"


class StorageError(AccordError):
    """The database cannot be read or written now."""

    code = "storage"


class BugError(AccordError):
    """An invariant of ours is broken."""

    code = "bug"


def sentence(problem: str, *, field: str | None, limit: str | None, cure: str | None) -> str:
    """One line for a person: `field: problem (limit: ...); cure`."""
    head = f"{field}: {problem}" if field else problem
    if limit:
        head = f"{head} (limit: {limit})"
    return f"{head}; {cure}" if cure else head
