"""Says, under a contract test that failed, what it promises and what to look at: `@pytest.mark.cure("...")`."""

from __future__ import annotations

from collections.abc import Generator
from inspect import getdoc

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A section of the report: the test's docstring, and its cure."""
    report = yield
    cure = item.get_closest_marker("cure")
    if report.failed and cure and isinstance(item, pytest.Function):
        report.sections.append(("What to do", f"{getdoc(item.function)}\n{cure.args[0]}"))
    return report
