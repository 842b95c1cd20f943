"""A certification: the judgement over a distribution, from what the examinations of its harnesses have shown.

Every MUST of the kit has to have run and passed; a MUST that is a known deviation, or that did not run, is a failure. A
SHOULD is reported and no more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

from agentflow_kernel.errors import NotAllowed, UsageError
from agentflow_kernel.loading.certificate import Certificate, drop, tested_digest
from agentflow_kernel.settings import normalise
from agentflow_specs.examination import Testimony, examine
from agentflow_specs.requirement import kinds, requirements_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.loading import Catalogue, Entry
    from agentflow_specs.requirement import Requirement

Result = Literal["passed", "failed", "deviates", "unsupported", "not run"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How one requirement came out."""

    id: str
    level: str
    result: Result
    """``unsupported``: the capability is denied, and using it says so. ``deviates``: a known deviation."""
    tests: int
    """So many tests ran to their end."""
    detail: str
    """What failed, in one line, or what was asked for."""
    text: str
    """The end of pytest's report on the first failure, or empty."""

    @property
    def counts_against(self) -> bool:
        """Whether it keeps the plugin from being certified."""
        return self.level == "MUST" and self.result not in {"passed", "unsupported"}


@dataclass(frozen=True, kw_only=True)
class HarnessReport:
    """How one harness came out."""

    name: str
    """``<kind>.<plugin>``, the name of its entry point."""
    target: str
    problem: str
    """Why the suite could not run to its end, or empty."""
    requirements: Sequence[Judged]

    @property
    def certified(self) -> bool:
        """Whether the suite ran whole and no MUST is open."""
        return not self.problem and not any(judged.counts_against for judged in self.requirements)


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a distribution came out."""

    distribution: str
    version: str
    digest: str
    """The hash over its RECORD, or empty where ``unfixed`` says why there is none."""
    unfixed: str
    kit: str
    at: str
    harnesses: Sequence[HarnessReport]

    @property
    def certified(self) -> bool:
        """Whether every harness is."""
        return all(harness.certified for harness in self.harnesses)

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        found = {**asdict(self), "certified": self.certified}
        for harness, report in zip(found["harnesses"], self.harnesses, strict=True):
            harness["certified"] = report.certified
        return found

    def keep(self, state_folder: str) -> str:
        """Keep the certificate, or remove the one that no longer holds; the path of the file, or empty.

        Raises:
            OSError: the state folder cannot be written.
        """
        if not self.certified or not self.digest:
            drop(state_folder, self.distribution)
            return ""
        results = {report.name: {one.id: one.result for one in report.requirements} for report in self.harnesses}
        made = Certificate(self.distribution, self.version, self.digest, kit=self.kit, at=self.at, harnesses=results)
        return made.keep(state_folder)


def certify(catalogue: Catalogue, distribution: str, *, test_timeout_s: float) -> Report:
    """Run the kit against an installed distribution as a whole, then against each of its harnesses. Blocks.

    Raises:
        UsageError: it is not installed, or offers neither plugin nor harness.
        NotAllowed: ``agentflow.toml`` does not admit it, or its files are not those that were pinned.
    """
    entries = _offered(catalogue, distribution)
    for entry in entries:
        refused = entry.why_not or catalogue.changed(entry)
        if refused:
            place = f"{entry.distribution} {entry.version}"
            raise NotAllowed(f"The {entry.kind} {entry.name!r} of {place} is installed but not admitted: {refused}")
    digest, unfixed = tested_digest(entries[0])
    reports = [_examined_whole(entries[0].distribution, test_timeout_s)] if _has_plugin(entries) else []
    reports += [_examined(entry, test_timeout_s) for entry in entries if entry.kind == "harness"]
    if digest and tested_digest(entries[0])[0] != digest:
        digest, unfixed = "", "its files changed while they were tested"
    return Report(
        distribution=entries[0].distribution,
        version=entries[0].version,
        digest=digest,
        unfixed=unfixed,
        kit=metadata.version("agentflow-specs"),
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        harnesses=reports,
    )


def _offered(catalogue: Catalogue, distribution: str) -> list[Entry]:
    """The plugins and harnesses of a distribution."""
    wanted = normalise(distribution)
    offered = [entry for entry in catalogue.entries() if entry.kind != "command"]
    found = [entry for entry in offered if entry.distribution == wanted]
    if found:
        return found
    others = ", ".join(sorted({entry.distribution for entry in offered})) or "none"
    raise UsageError(f"No installed distribution {wanted!r} offers a plugin. Distributions that do: {others}.")


def _has_plugin(entries: Sequence[Entry]) -> bool:
    return any(entry.kind != "harness" for entry in entries)


def _examined_whole(distribution: str, test_timeout_s: float) -> HarnessReport:
    """The suite `plugin`, which is about a distribution and needs no harness."""
    testimony = examine(distribution, test_timeout_s=test_timeout_s, option="--distribution")
    judged = [_judge(asked, testimony) for asked in requirements_of("plugin")]
    name = f"plugin.{distribution}"
    return HarnessReport(name=name, target=distribution, problem=testimony.problem, requirements=judged)


def _examined(entry: Entry, test_timeout_s: float) -> HarnessReport:
    kind = entry.name.partition(".")[0]
    if kind not in kinds():
        problem = f"cannot be tested: the kit has no suite for the kind {kind!r}, only for {', '.join(kinds())}"
        return HarnessReport(name=entry.name, target=entry.value, problem=problem, requirements=())
    testimony = examine(entry.value, test_timeout_s=test_timeout_s)
    judged = [_judge(asked, testimony) for asked in requirements_of(kind)]
    return HarnessReport(name=entry.name, target=entry.value, problem=testimony.problem, requirements=judged)


_EXPECTED: Final[tuple[Result, ...]] = ("deviates", "unsupported")


def _judge(asked: Requirement, testimony: Testimony) -> Judged:
    """What the tests of a requirement say together: the worst counts, and one that is missing is not run."""
    tests = [test for test, id_ in testimony.collected.items() if id_ == asked.id]
    result: Result = "passed" if tests else "not run"
    text, ran = "", 0
    for test in tests:
        phases = testimony.outcomes.get(test, [])
        bad = [said for outcome, said in phases if outcome in {"failed", "skipped"}]
        ended = len(phases) >= 3 or bool(bad)  # set up, run, taken down
        ran += ended
        if bad:
            result, text = "failed", text or bad[0]
        elif not ended and result != "failed":
            result = "not run"
        elif result == "passed":
            result = next((outcome for outcome in _EXPECTED if outcome in dict(phases)), result)
    if tests and testimony.problem and testimony.collected.get(testimony.running) == asked.id:
        result, text = "failed", text or f"the plugin {testimony.problem}"
    detail = _last_line(text) if result == "failed" else asked.statement
    return Judged(id=asked.id, level=asked.level, result=result, tests=ran, detail=detail, text=text)


def _last_line(text: str) -> str:
    """The line that names the error: pytest marks it with an E."""
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return marked[0] if marked else " ".join(text.split())[-200:]
