"""Crash points: every durable operation of a run, with the process ended before and after it and everything audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import UsageError
from agentflow_kernel.testing.faults import CrashAt
from agentflow_kernel.testing.simulation import differences, simulate
from agentflow_kernel.testing.simulation_errors import AuditFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentflow_kernel.testing.auditor import Audit
    from agentflow_kernel.testing.faults import Strike
    from agentflow_kernel.testing.simulation import Simulation, Target

    Point = tuple[int, str]
    """The number of a durable operation, and ``before`` or ``after`` it."""


class Played(Protocol):
    """What came of a run and its processes: a :class:`Simulation`, or what plays one on real stores."""

    @property
    def status(self) -> str:
        """How it ended."""

    @property
    def error(self) -> str:
        """What was raised, if anything was."""

    @property
    def violations(self) -> Sequence[str]:
        """What is wrong by itself."""

    @property
    def operations(self) -> int:
        """Durable operations of all its processes."""

    @property
    def crashes(self) -> int:
        """Processes that were ended."""

    @property
    def strikes(self) -> Sequence[Strike]:
        """All faults in order."""

    @property
    def audit(self) -> Audit:
        """What the auditor has counted."""


P = TypeVar("P", bound=Played)


class CrashPoints(Value, Generic[P]):
    """What came of all crash points of one run: how many were tried, and what is wrong, one line each."""

    __slots__ = ("undisturbed", "tried", "doubled", "violations")

    def __init__(self, undisturbed: P, tried: int, doubled: int, violations: tuple[str, ...]) -> None:
        self.undisturbed = undisturbed
        """The run in which nothing crashed: the others must come to the same end."""
        self.tried = tried
        self.doubled = doubled
        """Effects that were repeated because their step was in flight at a crash."""
        self.violations = violations

    def check(self) -> None:
        """Raise :class:`AuditFailed` where something is wrong."""
        if self.violations:
            raise AuditFailed(self.violations, f" at {self.tried} crash points")


def try_crash_points(target: Target, value: object = None, *, seed: int = 0) -> CrashPoints[Simulation]:
    """End the process before and after each durable operation of a run and let the next one finish it.

    Each time the result, the kind of end and the set of effects must be those of the undisturbed run.
    Raises :class:`UsageError` where that one has no good end itself.
    """
    return try_crash_points_of(lambda faults: simulate(target, value, seed=seed, faults=faults))


def judge_crash(undisturbed: Any, crashed: Any) -> list[str]:
    """What is wrong with a simulation whose process was to be ended: all differences, or that it was not."""
    problems = differences(undisturbed, crashed)
    return problems if crashed.crashes else [*problems, "no process was ended"]


def try_crash_points_of(
    run: Callable[[CrashAt], P],
    *,
    judge: Callable[[P, P], Iterable[str]] = judge_crash,
    choose: Callable[[Sequence[Point]], Sequence[Point]] = lambda points: points,
) -> CrashPoints[P]:
    """As :func:`try_crash_points`, for runs of any kind: ``run`` makes one whose process ends as it is told.

    ``judge`` says what is wrong with one beside the undisturbed one, ``choose`` leaves only some of the points.
    """
    undisturbed = run(CrashAt(0, "before"))
    if undisturbed.violations or undisturbed.status in {"stuck", "suspended"}:
        found = "; ".join(undisturbed.violations) or undisturbed.error
        raise UsageError(f"Without a crash the run is {undisturbed.status}: {found}")
    every = [(operation, when) for operation in range(1, undisturbed.operations + 1) for when in ("before", "after")]
    doubled = 0
    violations: list[str] = []
    points = choose(every)
    for operation, when in points:
        crashed = run(CrashAt(operation, when))
        doubled += crashed.audit.doubled
        place = f"crash {crashed.strikes[0].place if crashed.strikes else 'did not happen'} ({operation})"
        violations.extend(f"{place}: {problem}" for problem in judge(undisturbed, crashed))
    return CrashPoints(undisturbed, len(points), doubled, tuple(violations))
