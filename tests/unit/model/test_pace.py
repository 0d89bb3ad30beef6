"""How far sweeps slow down so that a month's calls last a month."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.model.pace import LEAST_SHARE, LOOKS_SHARE, SHARE, Pace, looks_every, paced
from core.model.remote import Allowance

MONTH = 30 * 86_400.0
READS = Allowance(name="reads", calls=10_000, seconds=MONTH, endpoints=("list",), setting="monthly_reads")
DEFAULT = Pace(60.0, 86_400.0)


def calls(pace: Pace, full_calls: int) -> float:
    """What sweeps cost in a month at this pace."""
    return MONTH / pace.changes_every + full_calls * MONTH / pace.full_every


def test_without_an_allowance_nothing_slows_down() -> None:
    """HubSpot counts calls per day, and batches never reach that."""
    assert paced(DEFAULT, [], {}, 10_000) == DEFAULT


def test_what_fits_stays_as_wanted() -> None:
    """A sweep every half hour of a small account."""
    wanted = Pace(1800.0, 86_400.0)
    assert paced(wanted, [READS], {}, 10) == wanted


def test_a_default_stripe_account_is_not_asked_every_minute() -> None:
    """43,200 looks a month where 10,000 are allowed; complete sweeps of 10,000 customers stay daily."""
    pace = paced(DEFAULT, [READS], {}, 101)
    assert pace.full_every == 86_400.0
    assert 420 < pace.changes_every < 450
    assert calls(pace, 101) <= READS.calls * SHARE + 1


def test_the_tightest_of_several_allowances_counts() -> None:
    """Two meters run at once."""
    tight = Allowance(name="tight", calls=1000, seconds=MONTH, endpoints=("list",), setting="x")
    assert (
        paced(DEFAULT, [READS, tight], {}, 1) == paced(DEFAULT, [tight, READS], {}, 1) == paced(DEFAULT, [tight], {}, 1)
    )


@given(st.integers(0, 20_000), st.integers(1, 50_000), st.floats(1, 1e6), st.floats(1, 1e7))
def test_sweeps_never_use_more_than_their_room(
    others: int, full_calls: int, changes_every: float, full_every: float
) -> None:
    """Whatever is read besides; and they never stop, nor run more often than wanted."""
    wanted = Pace(changes_every, full_every)
    pace = paced(wanted, [READS], {"reads": others}, full_calls)
    room = max(READS.calls * SHARE - others, READS.calls * LEAST_SHARE)
    assert calls(pace, full_calls) <= room * (1 + 1e-9)
    assert pace.changes_every >= wanted.changes_every
    assert pace.full_every >= wanted.full_every


def test_copies_are_looked_at_with_a_fifth_of_what_other_work_leaves() -> None:
    """1,800 of a default Stripe account's reads in a month; where nothing is metered, as fast as it goes."""
    assert looks_every([], {}) == 0.0
    assert round(MONTH / looks_every([READS], {})) == 1800
    assert round(MONTH / looks_every([READS], {"reads": 8000})) == 200
    tight = Allowance(name="tight", calls=1000, seconds=MONTH, endpoints=("list",), setting="x")
    assert looks_every([READS, tight], {}) == looks_every([tight], {})


@given(st.integers(0, 8000), st.integers(1, 5000))
def test_looks_and_sweeps_together_never_use_more_than_there_is(others: int, full_calls: int) -> None:
    """A month of both at the pace that each had before it was known what the other one used."""
    looks = MONTH / looks_every([READS], {"reads": others})
    pace = paced(DEFAULT, [READS], {"reads": others}, full_calls)
    assert looks <= max(READS.calls * SHARE - others, READS.calls * LEAST_SHARE) * LOOKS_SHARE * (1 + 1e-9)
    settled = paced(DEFAULT, [READS], {"reads": others + round(looks)}, full_calls)
    assert others + looks + calls(settled, full_calls) <= READS.calls * SHARE + READS.calls * LEAST_SHARE + 1
    assert calls(settled, full_calls) <= calls(pace, full_calls) * (1 + 1e-9)
