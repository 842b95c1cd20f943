"""Crash points: every durable operation of a run, with the process ended before and after it and everything audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import UsageError
from agentflow_kernel.testing.faults import CrashAt
from agentflow_kernel.testing.simulation import differences, simulate
from agentflow_kernel.testing.simulation_errors import AuditFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.testing.faults import Faults
    from agentflow_kernel.testing.simulation import Simulation, Target

    Run = Callable[[Faults], Simulation]
    """One simulation with these faults; the same every time but for them."""


class CrashPoints(Value):
    """What came of all crash points of one run: how many were tried, and what is wrong, one line each."""

    __slots__ = ("undisturbed", "tried", "doubled", "violations")

    def __init__(self, undisturbed: Simulation, tried: int, doubled: int, violations: tuple[str, ...]) -> None:
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


def try_crash_points(target: Target, value: object = None, *, seed: int = 0) -> CrashPoints:
    """End the process before and after each durable operation of a run and let the next one finish it.

    Each time the result, the kind of end and the set of effects must be those of the undisturbed run.
    Raises :class:`UsageError` where that one has no good end itself.
    """
    return try_crash_points_of(lambda faults: simulate(target, value, seed=seed, faults=faults))


def try_crash_points_of(run: Run) -> CrashPoints:
    """As :func:`try_crash_points`, for simulations of any kind: ``run`` makes one with the faults it is given."""
    undisturbed = run(CrashAt(0, "before"))
    if undisturbed.violations or undisturbed.status in {"stuck", "suspended"}:
        found = "; ".join(undisturbed.violations) or undisturbed.error
        raise UsageError(f"Without a crash the run is {undisturbed.status}: {found}")
    tried = doubled = 0
    violations: list[str] = []
    for operation in range(1, undisturbed.operations + 1):
        for when in ("before", "after"):
            simulation = run(CrashAt(operation, when))
            tried += 1
            doubled += simulation.audit.doubled
            place = f"crash {simulation.strikes[0].place if simulation.strikes else 'did not happen'} ({operation})"
            problems = differences(undisturbed, simulation)
            if not simulation.crashes:
                problems.append("no process was ended")
            violations.extend(f"{place}: {problem}" for problem in problems)
    return CrashPoints(undisturbed, tried, doubled, tuple(violations))
