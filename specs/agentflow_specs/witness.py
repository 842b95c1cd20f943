"""A witness: a pytest plugin that tells, line by line, what each test did, so that a crash leaves what came before.

Each line is a JSON object: ``collected`` (test → requirement), ``begins`` (a test), or ``test``, ``outcome`` and
``text`` of one phase of a test. ``done`` is the last.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from agentflow_specs.requirement import requirement_of

if TYPE_CHECKING:
    import pytest

OPTION = "--kit-witness"
TEXT_LIMIT = 4000
"""Characters of a failure that are kept: its end, where the error stands."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the descriptor to write to."""
    parser.getgroup("agentflow").addoption(OPTION, type=int, help="file descriptor for the lines of the witness")


class Witness:
    """Writes to one descriptor, at once and without a buffer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, **fields: object) -> None:
        """Write one line, whole."""
        line = json.dumps(fields).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell what will run."""
        asked = {item.nodeid: requirement_of(item) for item in session.items}
        self.tell(collected={name: found.id for name, found in asked.items() if found is not None})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell that a test begins."""
        self.tell(begins=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell how one phase of a test ended."""
        expected = dict(report.user_properties).get("expected")
        outcome = expected if expected and report.skipped else report.outcome
        text = report.longreprtext[-TEXT_LIMIT:] if report.failed else ""
        self.tell(test=report.nodeid, outcome=outcome, text=text)

    def pytest_sessionfinish(self) -> None:
        """Tell that nothing follows."""
        self.tell(done=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where a descriptor is given; children of the plugin under test do not inherit it."""
    descriptor: int | None = config.getoption(OPTION)
    if descriptor is not None:
        os.set_inheritable(descriptor, False)
        config.pluginmanager.register(Witness(descriptor), "agentflow-witness")
