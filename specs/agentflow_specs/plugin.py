"""The pytest plugin: it finds the harness of the plugin under test, chooses its suite and judges by what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from agentflow_kernel.errors import Unsupported
from agentflow_specs._target import TargetError, resolve_harness
from agentflow_specs.requirement import MARK, capabilities_of, kinds, requirement_of, requirements_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentflow_kernel.testing import Harness

HARNESS: pytest.StashKey[Harness] = pytest.StashKey()
"""Where the resolved harness lies in `config.stash` once `--harness` was given."""
EXPECTED: pytest.StashKey[str] = pytest.StashKey()
"""In a test that has to fail: ``unsupported`` (a capability is denied) or ``deviates`` (the harness knows it)."""
EVENT_LOOPS = ("asyncio", "trio")
SUITES = Path(__file__).parent / "suites"

pytest.register_assert_rewrite("agentflow_specs.suites")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--harness`, which names the plugin under test."""
    group = parser.getgroup("agentflow", "AgentFlow conformance kit")
    group.addoption(
        "--harness",
        metavar="MODULE:NAME",
        help="the harness of the plugin under test, for example agentflow_sqlite.testing:SqliteJournalHarness",
    )
    group.addoption(
        "--distribution", metavar="NAME", help="the installed distribution under test, with all its plugins"
    )
    group.addoption("--require", metavar="ID", help="run the tests of one requirement only, for example JOURNAL-12")


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the harness before anything is collected, so that a wrong one ends the run at once.

    Raises:
        pytest.UsageError: if `--harness` names nothing that can be used as a harness, what it says of itself is not
            complete, or `--distribution` names none that is installed.
    """
    config.addinivalue_line("markers", f"{MARK}(asked): what the conformance kit asks for")
    target: str | None = config.getoption("--harness")
    name: str | None = config.getoption("--distribution")
    if target is None and name is None:
        return
    if target is not None and name is not None:
        raise pytest.UsageError("--harness and --distribution: name one of them, a plugin or a distribution.")
    try:
        found = _harness_of(name) if target is None else resolve_harness(target)
    except (TargetError, LookupError) as exc:
        raise pytest.UsageError(str(exc)) from exc
    problem = _find_problem(found)
    if problem:
        raise pytest.UsageError(f"--harness {target!r}: {problem}")
    only: str | None = config.getoption("--require")
    if only is not None and all(asked.id != only for asked in requirements_of(found.kind)):
        raise pytest.UsageError(f"--require {only!r}: the suite of a {found.kind} has no such requirement.")
    config.stash[HARNESS] = found


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the plugin under test at the top of the report."""
    harness = config.stash.get(HARNESS, None)
    if harness is None:
        return None
    return f"agentflow harness: {config.getoption('--harness') or config.getoption('--distribution')} ({harness.kind})"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect the suite of the harness's kind only, and none without a harness."""
    if not collection_path.is_relative_to(SUITES) or collection_path == SUITES:
        return None
    harness = config.stash.get(HARNESS, None)
    kind = collection_path.relative_to(SUITES).parts[0]
    return (harness is None or kind != harness.kind) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect `Unsupported` where a capability is denied, and a failure where a deviation is known; both strictly."""
    harness = config.stash.get(HARNESS, None)
    if harness is None:
        return
    only: str | None = config.getoption("--require")
    if only is not None:
        items[:] = [item for item in items if (asked := requirement_of(item)) is not None and asked.id == only]
    foreign = [item for item in items if _loop_of(item) not in {"", *_event_loops(harness)}]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]
    for item in items:
        asked = requirement_of(item)
        if asked is None:
            continue
        if asked.needs and not harness.declared[asked.needs]:
            reason = f"{asked.id}: the harness declares that there is no {asked.needs!r}"
            item.add_marker(pytest.mark.xfail(raises=Unsupported, strict=True, reason=reason))
            item.stash[EXPECTED] = "unsupported"
        elif asked.id in harness.known_deviations:
            reason = f"{asked.id}: {harness.known_deviations[asked.id]}"
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
            item.stash[EXPECTED] = "deviates"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say beside a failure which requirement it is, why it is asked for, and where to look; let nothing be skipped."""
    report = yield
    asked = requirement_of(item)
    if asked is not None:
        if call.excinfo is not None and isinstance(call.excinfo.value, _EVASIONS):
            _refuse_evasion(report, call.excinfo.value)
        report.user_properties.append((MARK, asked.id))
        if EXPECTED in item.stash and report.skipped:
            report.user_properties.append(("expected", item.stash[EXPECTED]))
        if report.failed:
            text = f"{asked.statement}\nWhy: {asked.reason}\nWhere to look: {asked.advice}"
            report.sections.append((f"{asked.id} ({asked.level})", text))
    return report


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


def _harness_of(name: str | None) -> Harness:
    """The harness of an installed distribution."""
    from agentflow_specs.distribution import DistributionHarness  # lazy: of use to one suite

    return cast("Harness", DistributionHarness(str(name)))


_EVASIONS = (pytest.skip.Exception, pytest.xfail.Exception)


def _refuse_evasion(report: pytest.TestReport, evasion: BaseException) -> None:
    """Count a test as failed that the plugin under test has skipped or excused."""
    report.outcome = "failed"
    report.longrepr = f"E   A requirement cannot be skipped or excused by the plugin under test: {evasion}"
    if hasattr(report, "wasxfail"):
        del report.wasxfail


def _event_loops(harness: Harness) -> tuple[str, ...]:
    """Those that the harness names in ``event_loops``, by default all."""
    return tuple(getattr(harness, "event_loops", EVENT_LOOPS))


def _loop_of(item: pytest.Item) -> str:
    """The event loop that a test runs on; empty for a test without one."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return str(params.get("anyio_backend", ""))


def _find_problem(harness: Harness) -> str:
    """What is wrong with what a harness says of itself, or `""`; nothing is asked of a kind without a suite."""
    if harness.kind not in kinds():
        return ""
    loops = _event_loops(harness)
    if not loops or not set(loops) <= set(EVENT_LOOPS):
        return f"its event_loops are {list(loops)}; name one or both of {', '.join(EVENT_LOOPS)}."
    known = capabilities_of(harness.kind)
    missing = [name for name in known if name not in harness.declared]
    if missing:
        return f"it does not declare {', '.join(missing)}. Answer True or False for every capability."
    unknown = [name for name in harness.declared if name not in known]
    if unknown:
        return f"it declares {', '.join(unknown)}; a {harness.kind} has only {', '.join(known)}."
    ids = {asked.id for asked in requirements_of(harness.kind)} if harness.known_deviations else set()
    strange = [name for name in harness.known_deviations if name not in ids]
    if strange:
        return f"it knows a deviation from {', '.join(strange)}, which the kit does not ask for."
    return ""
