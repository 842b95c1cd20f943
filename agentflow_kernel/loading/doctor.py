"""The doctor: finds the plugins that do not work, each tried in a process of its own so that none can do harm."""

from __future__ import annotations

import sys

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from agentflow_kernel.loading._catalogue import Catalogue, Entry
    from agentflow_kernel.loading._trial import Trial

    Level = Literal["error", "warning", "note"]

MODULE_LIMIT = 15
"""How many modules a plugin may load when it is registered."""

NEWEST_PYTHON = (3, 13)
"""The newest Python that the kernel is tested on."""


class Finding(Value):
    """One thing the doctor found. ``error``: it does not work; ``warning``: it should change; ``note``: good to know.

    ``plugin`` is kind and name (``"tool files"``), ``""`` where the finding is about no single plugin.
    """

    __slots__ = ("level", "problem", "plugin", "distribution", "version")

    def __init__(self, level: Level, problem: str, plugin: str = "", distribution: str = "", version: str = "") -> None:
        self.level = level
        self.problem = problem
        self.plugin = plugin
        self.distribution = distribution
        self.version = version

    def __str__(self) -> str:
        source = f"{self.distribution} {self.version}".strip()
        subject = f"{self.plugin} ({source})" if self.plugin and source else self.plugin or source
        return f"{self.level}: {subject}: {self.problem}" if subject else f"{self.level}: {self.problem}"


def diagnose(catalogue: Catalogue, timeout_s: float = 10) -> list[Finding]:
    """Everything that can be said about an installation: Python, trust, metadata, rivals, then :func:`examine`."""
    findings = [*_python(), *_trust(catalogue), *_metadata(catalogue)]
    sound = []
    for entry in catalogue.entries():
        changed = catalogue.changed(entry) if entry.admitted else ""
        if changed:
            findings.append(_about(entry, "error", changed))
        else:
            sound.append(entry)
    return findings + examine(sound, timeout_s)


def examine(entries: Iterable[Entry], timeout_s: float = 10) -> list[Finding]:
    """What is wrong with each entry: admitted ones are imported in child processes, four at a time.

    A child that gives no answer within ``timeout_s`` is stopped with all that it started. Entries that are not
    admitted give a note, harnesses nothing. No finding means that all is well.
    """
    from agentflow_kernel.loading._trial import Trial, run

    findings = []
    trials: dict[tuple[str, str], Trial] = {}
    for entry in entries:
        if not entry.admitted:
            findings.append(_about(entry, "note", f"not admitted: {entry.why_not}"))
        elif entry.kind != "harness":
            trials.setdefault((entry.value, entry.location), Trial()).entries.append(entry)
    run(trials.values(), timeout_s)
    for trial in trials.values():
        findings += _outcome(trial, timeout_s)
    return findings


def _outcome(trial: Trial, timeout_s: float) -> list[Finding]:
    """What the answers of a child, or their absence, say about its entries."""
    findings, stage, done = [], "at start", False
    entries = {(entry.kind, entry.name): entry for entry in trial.entries}
    for answer in trial.answers():
        stage, done = str(answer.get("stage", stage)), done or "done" in answer
        entry = entries.get((str(answer.get("kind")), str(answer.get("name"))))
        if entry is not None:
            findings.append(_about(entry, "error", str(answer.get("failed"))))
        modules, libraries = answer.get("modules"), answer.get("libraries")
        if isinstance(modules, int) and modules > MODULE_LIMIT:
            problem = f"loads {modules} modules at registration; the limit is {MODULE_LIMIT}"
            findings.append(_about(trial.entries[0], "warning", problem))
        if isinstance(libraries, list) and libraries:
            problem = f"loads {', '.join(map(str, libraries))} at registration; only its factory may, on first use"
            findings.append(_about(trial.entries[0], "warning", problem))
    if not done:
        findings += [_about(entry, "error", trial.end(stage, timeout_s)) for entry in trial.entries]
    return findings


def _about(entry: Entry, level: Level, problem: str) -> Finding:
    return Finding(level, problem, f"{entry.kind} {entry.name}", entry.distribution, entry.version)


def _python() -> list[Finding]:
    found, newest = sys.version_info[:2], NEWEST_PYTHON
    if found <= newest:
        return []
    return [
        Finding("warning", f"Python {found[0]}.{found[1]} is newer than the newest tested, {newest[0]}.{newest[1]}")
    ]


def _trust(catalogue: Catalogue) -> list[Finding]:
    settings = catalogue.settings
    installed = {entry.distribution for entry in catalogue.entries()}
    if settings.trust == "listed":
        absent = sorted(set(settings.plugins) - installed)
        return [Finding("note", f"{settings.file} allows {name}, which offers nothing here") for name in absent]
    why = "no agentflow.toml was found" if settings.file is None else f"see {settings.file}"
    problem = f"trust is installed ({why}): every installed plugin may be imported"
    findings = [Finding("note", f"{problem}. A table [plugins.allow] in agentflow.toml admits only what it lists")]
    if settings.plugins:
        findings.append(Finding("warning", f"[plugins.allow] in {settings.file} has no effect: trust is installed"))
    return findings


def _metadata(catalogue: Catalogue) -> list[Finding]:
    """Broken metadata, and names that several distributions offer."""
    findings = [Finding("error", bad.problem, "", bad.distribution, bad.version) for bad in catalogue.broken()]
    rivals: dict[tuple[str, str], list[str]] = {}
    for entry in catalogue.entries():
        if entry.admitted:
            rivals.setdefault((entry.kind, entry.name), []).append(f"{entry.distribution} {entry.version}")
    for (kind, name), sources in rivals.items():
        if len(sources) > 1:
            problem = f"is offered by {' and by '.join(sources)}; naming it is an error until one of them is left"
            findings.append(Finding("error", problem, f"{kind} {name}"))
    return findings
