"""Reports of full size, and a browser if there is one."""

import shutil
from functools import partial

import headless
import pytest
import report_samples
import verdict_samples

from forecheck.reports.report import Report


@pytest.fixture(scope="session")
def audit():
    return report_samples.audit()


@pytest.fixture(scope="session")
def backtest():
    return report_samples.backtest()


@pytest.fixture(scope="session")
def large():
    return report_samples.large_audit()


@pytest.fixture(scope="session")
def judged(large):
    return verdict_samples.answered("undecided", large)


@pytest.fixture(scope="session")
def remedied():
    return report_samples.remedied_audit()


@pytest.fixture(scope="session", params=["audit", "large", "backtest"])
def report(request):
    return Report(request.getfixturevalue(request.param))


@pytest.fixture(scope="session")
def page(report):
    return report.to_html()


@pytest.fixture(scope="session")
def chromium():
    """The browser's path; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    return found or pytest.skip(f"no browser here: none of {', '.join(names)} is on the path")


@pytest.fixture
def dump(chromium, tmp_path):
    """Opens a page beside a report and gives its answer."""
    return partial(headless.dump, chromium, tmp_path)
