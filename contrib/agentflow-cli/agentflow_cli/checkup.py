"""A check-up: what there is to say about this installation, its settings, its plugins and its state folder."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Literal

import anyio

from agentflow_kernel import Kernel
from agentflow_kernel import __version__ as kernel_version
from agentflow_kernel.errors import AgentFlowError, CorruptRecord, UsageError
from agentflow_kernel.loading import Catalogue
from agentflow_kernel.loading.doctor import diagnose
from agentflow_kernel.settings import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.contracts.journal import RunInfo
    from agentflow_kernel.settings import Settings

    Result = Literal["ok", "note", "warning", "problem"]

RUNS_READ = 1000
"""So many of the newest runs are read in full."""


class Check:
    """One line of the check-up; the last three say which plugin it is about, if it is about one."""

    __slots__ = ("check", "detail", "distribution", "plugin", "result", "version")

    def __init__(
        self, check: str, result: Result, detail: str, *, plugin: str = "", distribution: str = "", version: str = ""
    ) -> None:
        self.check = check
        self.result = result
        self.detail = detail
        self.plugin = plugin
        self.distribution = distribution
        self.version = version


def examine(shared: Shared, timeout_s: float) -> list[Check]:
    """All checks; each plugin that may be imported is imported in a child process that has so many seconds."""
    checks = [_python()]
    try:
        settings = shared.settings()
        catalogue = Catalogue(settings)
        checks.append(_settings(settings))
        checks += _plugins(catalogue, timeout_s)
        checks += _unknown_names(catalogue)
    except UsageError as error:  # without settings nobody knows what may be imported
        return [*checks, Check("settings", "problem", str(error))]
    state = shared.state_folder(settings)
    checks.append(_state(state))
    broken = {(check.plugin, check.result) for check in checks}
    if ("journal sqlite", "problem") in broken:
        checks.append(Check("journal", "warning", "not looked at: the journal plugin 'sqlite' has a problem"))
    elif os.path.isdir(state):
        checks += _journal(settings, state)
    return checks


def _python() -> Check:
    python = f"Python {platform.python_version()} at {sys.executable}, {platform.platform()}"
    detail = f"{python}, agentflow-kernel {kernel_version}"
    if not sys.platform.startswith("linux"):
        return Check("python", "warning", f"{detail}: only Linux is supported")
    return Check("python", "ok", detail)


def _settings(settings: Settings) -> Check:
    return Check("settings", "ok", f"{settings.file or 'no agentflow.toml'}; trust is {settings.trust}")


def _plugins(catalogue: Catalogue, timeout_s: float) -> list[Check]:
    """One line for what works, one for each finding."""
    results: dict[str, Result] = {"error": "problem", "warning": "warning", "note": "note"}
    found = [
        Check(
            "plugins",
            results[finding.level],
            finding.problem,
            plugin=finding.plugin,
            distribution=finding.distribution,
            version=finding.version,
        )
        for finding in diagnose(catalogue, timeout_s)
    ]
    failed = {check.plugin for check in found if check.result == "problem" and check.plugin}
    admitted = {f"{entry.kind} {entry.name}" for entry in catalogue.entries() if entry.admitted}
    admitted -= {name for name in admitted if name.startswith("harness ")}
    sound = len(admitted - failed)
    return [Check("plugins", "ok", f"{sound} of {len(admitted)} admitted plugins work"), *found]


def _unknown_names(catalogue: Catalogue) -> list[Check]:
    """A line for each name in `AGENTFLOW_PLUGINS` that no installed plugin's distribution has."""
    installed = {normalise(entry.distribution) for entry in catalogue.entries()}
    installed |= {name.removeprefix("agentflow-") for name in installed}
    named = [name.strip() for name in os.environ.get("AGENTFLOW_PLUGINS", "").split(",")]
    detail = "AGENTFLOW_PLUGINS names {!r}, which no installed plugin's distribution is called"
    return [
        Check("plugins", "warning", detail.format(name))
        for name in dict.fromkeys(named)
        if name and normalise(name) not in installed
    ]


def _obstacle(state: str) -> str:
    """Why a folder that is not there cannot be made; empty where it can. Leaves nothing behind."""
    above = os.path.dirname(state)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    try:
        os.rmdir(tempfile.mkdtemp(dir=above))
    except OSError as error:
        return f"{above}: {error.strerror}"
    return ""


def _state(state: str) -> Check:
    if not os.path.exists(state):
        obstacle = _obstacle(state)
        if obstacle:
            return Check("state", "problem", f"{state} is not there and cannot be made: {obstacle}")
        return Check("state", "ok", f"{state} is not there yet; the first run makes it")
    if not os.path.isdir(state):
        return Check("state", "problem", f"{state} is no folder")
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return Check("state", "problem", f"{state} cannot be read and written by this user")
    return Check("state", "ok", state)


def _journal(settings: Settings, state: str) -> list[Check]:
    """How many runs there are of each status, and what is wrong with any of them."""

    async def ask() -> list[Check]:
        async with Kernel(settings=settings, state=state, journal=settings.journal) as kernel:
            infos = await kernel.runs(limit=RUNS_READ)
            return [_counts(infos), *[check for info in infos for check in await _run(kernel, info)]]

    try:
        return anyio.run(ask)
    except AgentFlowError as error:
        return [Check("journal", "problem", f"[{error.code}] {error}")]


def _counts(infos: Sequence[RunInfo]) -> Check:
    counts = Counter(info.status for info in infos)
    text = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    newest = f"the newest {RUNS_READ} runs: " if len(infos) == RUNS_READ else ""
    return Check("journal", "ok", f"{newest}{text}" if infos else "no runs")


async def _run(kernel: Kernel, info: RunInfo) -> list[Check]:
    """What is wrong with a run, or waits for somebody."""
    try:
        await kernel.history(info.run_id)
    except CorruptRecord as error:
        return [Check("journal", "problem", f"[{error.code}] {error}")]
    if info.status in {"stuck", "quarantined"}:
        why = f"{info.code} {info.cause}".strip()
        return [Check("journal", "problem", f"run {info.run_id} is {info.status}: {why}")]
    if info.status == "suspended":
        return [Check("journal", "note", f"run {info.run_id} can be resumed: agentflow resume {info.run_id}")]
    return []
