"""One file per scheduled job: file name = function name = log event prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from core.sync.hub import Timing
    from core.sync.rounds import Job

MINUTE: Final = 60.0
HOURLY: Final = 3600.0


def schedule(timing: Timing) -> Sequence[Job]:
    """All of them, and how often each is run."""
    # only a daemon pays for the scheduler's imports
    from core.sync.rounds import Job  # noqa: PLC0415
    from jobs.prune_inbox import prune_inbox  # noqa: PLC0415
    from jobs.reconcile_customers import reconcile_customers  # noqa: PLC0415
    from jobs.reconcile_invoices import reconcile_invoices  # noqa: PLC0415
    from jobs.reconcile_metadata import reconcile_metadata  # noqa: PLC0415
    from jobs.remember_life import remember_life  # noqa: PLC0415
    from jobs.tick_lanes import tick_lanes  # noqa: PLC0415

    return (
        Job(tick_lanes, 1.0, at_start=True),
        Job(reconcile_customers, timing.changes_every),
        Job(reconcile_invoices, HOURLY),
        Job(reconcile_metadata, HOURLY),
        Job(prune_inbox, HOURLY),
        Job(remember_life, MINUTE),
    )
