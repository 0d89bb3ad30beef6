"""What a run of the crash matrix reached, told at its end: workers of pytest-xdist print nothing."""

from __future__ import annotations

import pytest


def reached_in(reports: list[object]) -> list[str]:
    """The counts that tests recorded, in order: `create at stripe, lost_answer: 31 deaths, {...}`."""
    found = [
        str(value)
        for one in reports
        if getattr(one, "when", "") == "call"
        for name, value in getattr(one, "user_properties", ())
        if name == "reached"
    ]
    return sorted(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each job, and how many died in all."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.stats.get(outcome, ())]
    lines = reached_in(reports)
    if lines:
        terminalreporter.section("deaths, by job, fault and point")
        for line in lines:
            terminalreporter.write_line(line)
