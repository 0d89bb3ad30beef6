"""Whether a database is the one that ran here last, or an older one, or another: decided from two notes of its life.

One note is in the database, the other in a file beside it. Both count on together, so a database that was put back
counts less than its file says.
"""

from __future__ import annotations

import msgspec


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One note. `home` is where the database stands, as far as it can tell: a dump that was loaded is elsewhere."""

    instance: str
    counter: int
    home: str = ""


def strange(here: Life | None, beside: Life | None, *, home: str, needs_file: bool) -> str | None:
    """Why the database is not the one that ran last, in words; None where nothing says so.

    `needs_file`: the file is kept wherever the database is, so that its absence tells something.
    """
    if here is None:
        # it never ran: nothing of it can be old, but what ran here before may be missing
        return "it is empty, and another one ran here last: nothing of that one is known any more" if beside else None
    if here.home != home:
        return "it was loaded from a dump, or moved to another server"
    if beside is None:
        return "the note of its life is not beside it: it is a copy, or a backup" if needs_file else None
    if beside.instance != here.instance:
        return "another database ran here last"
    if beside.counter > here.counter:
        return "it is older than the one that ran here last: a backup was put back"
    return None
