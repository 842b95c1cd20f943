"""The ends of a simulated process that are no result: it was ended, it hangs, or the auditor found something wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ProcessEnded(GeneratorExit):
    """The simulated process is gone; nothing it does from here on counts. No code of a process can catch it for long.

    It is no ``Exception``, as an end of the process is none.
    """


class Deadlock(AssertionError):
    """Nothing of a simulated process can go on, and no timer would change that.

    ``tasks`` says of each task where it waits, ``steps`` names the steps that have begun and not ended.
    """

    def __init__(self, tasks: Sequence[str], problem: str = "No task can go on and no timer is set.") -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.steps: tuple[str, ...] = ()
        self.problem = problem

    def __str__(self) -> str:
        steps = ", ".join(map(repr, self.steps)) or "none"
        tasks = "".join(f"\n  {task}" for task in self.tasks)
        return f"{self.problem} Steps that wait: {steps}. Tasks:{tasks}"


class AuditFailed(AssertionError):
    """The auditor found what must not be; ``violations`` says what, one line each."""

    def __init__(self, violations: Sequence[str], about: str = "") -> None:
        lines = "".join(f"\n- {line}" for line in violations)
        super().__init__(f"{len(violations)} violations{about}:{lines}")
        self.violations = tuple(violations)
