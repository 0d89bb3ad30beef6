"""Draws what clerks do in a world: bills, payments, and what happens around their copies."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

import msgspec

from tests.simulation.tape import BILLERS, SYSTEMS, Billing, Event, Tape

CURRENCIES: Final = ("USD", "EUR", "JPY", "KWD")

_MIRRORS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "stripe": (("stripe",), ("quickbooks", "hubspot")),
    "books": (("quickbooks",), ("stripe", "hubspot")),
    "both": (BILLERS, ("quickbooks", "hubspot")),
    "cross": (BILLERS, SYSTEMS),
}
"""By route: where documents are made, and where there are copies."""

_ONLY: Final = {
    "clerk finalise": "stripe",
    "clerk redraft": "stripe",
    "clerk drop": "stripe",
    "clerk write off": "stripe",
    "clerk refund": "stripe",
    "clerk mark paid": "stripe",
    "clerk note": "stripe",
    "clerk unpay": "quickbooks",
    "clerk amend": "quickbooks",
    "clerk delete": "quickbooks",
    "clerk overpay": "quickbooks",
}
"""What can be done at one system only."""

_AT_BOOKS: Final = ("clerk pay there", "clerk pay twice", "clerk bill twice")
"""Where copies are, and payments of their own can be."""

_AT_COPIES: Final = ("clerk spoil", "clerk restate", "clerk lose", "clerk meddle", *_AT_BOOKS)

_BY_THE_BOOKS: Final = ("clerk close books", "clerk open books")

_CLERKS: Final = {
    "bill": 22,
    "finalise": 8,
    "redraft": 3,
    "drop": 2,
    "pay": 24,
    "pay many": 7,
    "credit": 11,
    "void": 6,
    "write off": 2,
    "refund": 2,
    "unpay": 2,
    "amend": 1,
    "delete": 1,
    "spoil": 5,
    "restate": 5,
    "lose": 3,
    "replay": 4,
}

_AROUND_COPIES: Final = {
    "pay there": 10,
    "pay twice": 4,
    "overpay": 5,
    "bill twice": 4,
    "close books": 3,
    "open books": 2,
    "meddle": 4,
    "pay many": 3,
    "void": 3,
    "redraft": 2,
}

_UNHEARD: Final = ("delete", "delete", "drop", "finalise", "pay", "void", "spoil", "spoil", "restate", "lose", "lose")


def with_documents(tape: Tape, rng: Random) -> Tape:
    """In every other world there are clerks; the others are what they would be if there never were any."""
    if rng.random() < 0.5:
        return tape
    route = rng.choice(list(_MIRRORS))
    billing = Billing(route=route, mirrors_open=rng.random() < 0.7)
    people = [*tape.people, *_accounts(rng)]
    if rng.random() < 0.3:
        people += [drawn_clerk(rng, route, "clerk bill", 0.0) for _ in range(rng.randint(1, 3))]
    events = list(tape.events)
    for what in ["clerk bill"] * rng.randint(2, 4):
        events.insert(rng.randint(0, len(events) // 2), drawn_clerk(rng, route, what, rng.uniform(0, 20)))
    for _ in range(rng.randint(5, 12)):
        what = f"clerk {rng.choices(list(_CLERKS), weights=list(_CLERKS.values()))[0]}"
        after = rng.choice([0.0, rng.uniform(0, 5), rng.uniform(5, 60)])
        events.insert(rng.randint(0, len(events)), drawn_clerk(rng, route, what, after))
    _add_moves(events, route, Random(f"moves {tape.seed}"))
    billing = msgspec.structs.replace(billing, credits=Random(f"lines below 0 {tape.seed}").random() < 0.25)
    profile = msgspec.structs.replace(tape.profile, billing=billing)
    return msgspec.structs.replace(tape, profile=profile, people=people, events=events)


def _add_moves(events: list[Event], route: str, rng: Random) -> None:
    """What people do where copies are, and to the books; dice of their own."""
    for _ in range(rng.randint(1, 5)):
        what = f"clerk {rng.choices(list(_AROUND_COPIES), weights=list(_AROUND_COPIES.values()))[0]}"
        after = rng.choice([0.0, rng.uniform(0, 5), rng.uniform(5, 60)])
        # who waits for a draft of a copy has to be there before it is made
        least, most = (0, len(events) // 2) if what == "clerk meddle" else (len(events) // 4, len(events))
        events.insert(rng.randint(least, most), drawn_clerk(rng, route, what, after))


def with_quiet_days(tape: Tape, rng: Random) -> Tape:
    """In one of eight worlds with documents days pass, and nothing told of what was done just before them."""
    billing = tape.profile.billing
    if billing is None or rng.random() >= 0.125:
        return tape
    acts = [
        drawn_clerk(rng, billing.route, f"clerk {what}", 0.0) for what in rng.choices(_UNHEARD, k=rng.randint(2, 4))
    ]
    # a copy that was written within the day before a walk is left to the next one
    days = rng.choice([2.5, 3.0] if any(one.what in _AT_COPIES for one in acts) else [1.5, 2.5])
    changes = {"days": days, "acts": [[one.what, one.system, one.pick] for one in acts]}
    events = list(tape.events)
    at = len(events) if rng.random() < 0.5 else rng.randint(len(events) // 2, len(events))
    events.insert(at, Event(after=0.0, what="quiet", changes=changes))
    return msgspec.structs.replace(tape, events=events)


def with_marks(tape: Tape, rng: Random) -> Tape:
    """In some worlds with documents somebody marks invoices as paid, without a payment, and hours pass."""
    billing = tape.profile.billing
    if billing is None or rng.random() >= 0.2:
        return tape
    events = list(tape.events)
    if "stripe" in _MIRRORS[billing.route][0]:
        for _ in range(rng.randint(1, 3)):
            marks = drawn_clerk(rng, billing.route, "clerk mark paid", rng.uniform(0, 30))
            events.insert(rng.randint(len(events) // 3, len(events)), marks)
        if rng.random() < 0.4:
            events.insert(rng.randint(len(events) * 2 // 3, len(events)), _hours(rng))
    events.append(_hours(rng))
    events += [drawn_clerk(rng, billing.route, "clerk note", rng.uniform(0, 30)) for _ in range(rng.randint(0, 3))]
    return msgspec.structs.replace(tape, events=events)


def _hours(rng: Random) -> Event:
    """Longer than it takes until a question is asked; sometimes so long that nothing has changed for days."""
    hours = rng.choice([[2.5, 2.5], [2.5, 2.5], [2.5, 2.5, 2.5], [80.0, 2.5]])
    return Event(after=0.0, what="hours", changes={"hours": hours})


def _accounts(rng: Random) -> list[Event]:
    """Who is billed: customers whose books are in some currency, a few of whom are at Stripe, too."""
    found = []
    for number, currency in enumerate(rng.sample(CURRENCIES, rng.randint(1, 3))):
        one = {"name": f"Account {number}", "email": f"account{number}@example.test"}
        found.append(Event(after=0.0, what="create", system="quickbooks", changes={**one, "currency": currency}))
        if rng.random() < 0.5:
            found.append(Event(after=0.0, what="create", system="stripe", changes=one))
    return found


def drawn_clerk(rng: Random, route: str, what: str, after: float) -> Event:
    """What a clerk does, at a system of the route where that can be done."""
    makes, copied = _MIRRORS[route]
    if what in _AT_BOOKS:
        copied = tuple(one for one in copied if one != "hubspot")
    if what == "clerk meddle":
        copied = tuple(one for one in copied if one != "quickbooks")
    system = rng.choice(copied if what in _AT_COPIES else SYSTEMS if what == "clerk replay" else makes)
    if what in _BY_THE_BOOKS:
        system, what = ("quickbooks", what) if "quickbooks" in copied else (system, "clerk pay")
    if what == "clerk bill twice" and len(makes) > 1:
        what = "clerk pay there"
    if _ONLY.get(what, system) != system:
        system, what = (_ONLY[what], what) if _ONLY[what] in makes else (system, "clerk pay")
    return Event(after=after, what=what, system=system, pick=rng.randrange(10**9))
