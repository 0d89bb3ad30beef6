"""What a world is and what happens in it, as plain data drawn from a seed: it can be kept, cut and played again."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from core.sandbox.faults import FaultPlan

SYSTEMS: Final = ("stripe", "hubspot", "quickbooks")
REGISTRY: Final = "registry"
BILLERS: Final = ("stripe", "quickbooks")
BRANCH: Final = "quickbooks-eu"
"""The second company at QuickBooks, in worlds that have one: the books of those abroad."""


def is_books(system: str) -> bool:
    """Whether it is a company at QuickBooks."""
    return system in ("quickbooks", BRANCH)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens `after` seconds after the one before. `pick` chooses among what is there then."""

    after: float
    what: str
    system: str = ""
    pick: int = 0
    changes: dict[str, Any] = {}


class Billing(msgspec.Struct, frozen=True, kw_only=True):
    """How documents flow in a world: a route of `routes.MIRRORS`."""

    route: str
    mirrors_open: bool = True
    """Whether Stripe may have copies of invoices that are open."""
    credits: bool = False
    """Whether invoices may have lines below 0."""
    entities: str = ""
    """Which copies are in whose books: a shape of `routes.SHAPES`; "": books are of nobody in particular."""
    since: str = "2000-01-01"
    """From which day on there are copies; "": from that of the first activation on."""
    has_branch: bool = False
    """Whether there are two companies at QuickBooks, each with the books of some of the entities."""
    parts_customers: bool = False
    """Whether each of them gets customers of its entities only."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How a world is set up: which kinds of trouble it has (a random subset), which policy, how it starts."""

    policy: str
    flows: dict[str, dict[str, str]]
    match_email: bool
    plan: FaultPlan
    webhooks: bool
    crash: float
    hot_crash: float
    crashes_most: int
    latency: float
    is_calm_start: bool
    changes_every: float
    silent_sweeps: int = 3
    """How often everything is read again at rest, to see that nothing is written."""
    rows_at_once: int = 100
    """Few: several batches of a lane are under way at once, and at QuickBooks several creates share a request."""
    archives: tuple[str, ...] = ()
    """Where objects of customers who are archived in the registry are archived, too."""
    billing: Billing | None = None
    """Whether people bill each other, too."""

    @property
    def has_branch(self) -> bool:
        """Whether there are two companies at QuickBooks."""
        return self.billing is not None and self.billing.has_branch

    @property
    def systems(self) -> tuple[str, ...]:
        """All that is connected."""
        return (*SYSTEMS, BRANCH) if self.has_branch else SYSTEMS

    @property
    def billers(self) -> tuple[str, ...]:
        """Where people can bill."""
        return (*BILLERS, BRANCH) if self.has_branch else BILLERS


class Tape(msgspec.Struct, frozen=True, kw_only=True):
    """One world."""

    seed: int
    profile: Profile
    people: list[Event]
    events: list[Event]
