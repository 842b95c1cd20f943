"""The pytest plugin: it finds the harness of the plugin under test and hands it to the suites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_specs._harness import HarnessError, resolve_harness

if TYPE_CHECKING:
    from agentflow_specs._harness import Harness

HARNESS: pytest.StashKey[Harness] = pytest.StashKey()
"""Where the resolved harness lies in `config.stash` once `--harness` was given."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--harness`, which names the plugin under test."""
    group = parser.getgroup("agentflow", "AgentFlow conformance kit")
    group.addoption(
        "--harness",
        metavar="MODULE:NAME",
        help="the harness of the plugin under test, for example agentflow_sqlite.testing:SqliteHarness",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the harness before anything is collected, so that a wrong name ends the run at once.

    Raises:
        pytest.UsageError: if `--harness` names nothing that can be used as a harness.
    """
    target: str | None = config.getoption("--harness")
    if target is None:
        return
    try:
        config.stash[HARNESS] = resolve_harness(target)
    except HarnessError as exc:
        raise pytest.UsageError(str(exc)) from exc


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the plugin under test at the top of the report."""
    harness = config.stash.get(HARNESS, None)
    if harness is None:
        return None
    return f"agentflow harness: {config.getoption('--harness')} ({harness.kind})"


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Harness:
    """The harness of the plugin under test.

    Raises:
        pytest.UsageError: if `--harness` was not given.
    """
    found = request.config.stash.get(HARNESS, None)
    if found is None:
        msg = "This suite tests a plugin through its harness. Name it: --harness package.testing:Name"
        raise pytest.UsageError(msg)
    return found
