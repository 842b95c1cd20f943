"""Errors of what is kept or agreed: a record, a plan, a plugin or a journal is not as it must be."""

from __future__ import annotations

from agentflow_kernel.errors.base import AgentFlowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from agentflow_kernel.errors.base import Executed


class ProtocolViolation(AgentFlowError):
    """A peer, a stored record or a plan broke its contract."""

    code = "AF-PROTOCOL"


class OutputInvalid(ProtocolViolation):
    """A model's answer does not fit what was asked for, also after it was asked to mend it."""

    code = "AF-OUTPUT-INVALID"
    executed: Executed = "yes"


class CorruptRecord(ProtocolViolation):
    """A journal record fails its check sum, its chain or its sequence; the run is quarantined."""

    code = "AF-JOURNAL-CORRUPT"

    def __init__(self, run_id: str, seq: int, problem: str) -> None:
        super().__init__(f"Run {run_id}, record {seq}: {problem}. The run is quarantined; others are not affected.")
        self.run_id, self.seq, self.problem = run_id, seq, problem


class NewerSchema(ProtocolViolation):
    """The store was written by a newer version than this one understands."""

    code = "AF-SCHEMA-NEWER"
    executed: Executed = "no"

    def __init__(self, what: str, found: int, supported: int) -> None:
        super().__init__(f"{what} has schema version {found}; this installation knows up to {supported}. Upgrade it.")
        self.what, self.found, self.supported = what, found, supported


class NonDeterminism(ProtocolViolation):
    """The history of a run and its code disagree; the run is parked until a person decides."""

    code = "AF-NON-DETERMINISM"

    def __init__(self, run_id: str, path: str, problem: str) -> None:
        super().__init__(f"Run {run_id} is stuck at {path!r}: {problem}")
        self.run_id, self.path, self.problem = run_id, path, problem


class PlanError(ProtocolViolation):
    """A plan did at work what no plan may; ``path`` names the state or node, ``outer/inner``."""

    code = "AF-PLAN-ERROR"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path, self.problem = path, problem


class PlanLoopError(PlanError):
    """A plan took more steps in a row than its limit without waiting for anything; ``cycle`` names them."""

    code = "AF-PLAN-LOOP"

    def __init__(self, path: str, limit: int, cycle: Sequence[str]) -> None:
        super().__init__(path, f"no rest after {limit} steps; it goes round {' -> '.join(cycle)}.")
        self.limit, self.cycle = limit, tuple(cycle)


class PluginError(AgentFlowError):
    """A plugin did something wrong; it disables itself only."""

    code = "AF-PLUGIN"
    executed: Executed = "no"


class PluginLoadError(PluginError):
    """A plugin failed to import, to register or to answer a hook."""

    code = "AF-PLUGIN-LOAD"

    def __init__(self, plugin: str, distribution: str, version: str, cause: str) -> None:
        super().__init__(f"Plugin {plugin!r} of {distribution} {version} cannot be used: {cause}")
        self.plugin, self.distribution, self.version, self.cause = plugin, distribution, version, cause


class JournalError(AgentFlowError):
    """The journal refused an operation."""

    code = "AF-JOURNAL"
    executed: Executed = "no"


class AppendConflict(JournalError):
    """Another record already has this sequence number: reload the head and try again."""

    code = "AF-JOURNAL-CONFLICT"

    def __init__(self, run_id: str, expected_seq: int, next_seq: int) -> None:
        super().__init__(f"Run {run_id}: append at {expected_seq} refused, the next sequence number is {next_seq}.")
        self.run_id, self.expected_seq, self.next_seq = run_id, expected_seq, next_seq


class Fenced(JournalError):
    """A newer owner has taken the run; this executor must stop without further effects."""

    code = "AF-JOURNAL-FENCED"

    def __init__(self, run_id: str, epoch: int, current: int) -> None:
        super().__init__(f"Run {run_id}: epoch {epoch} is over, the run now belongs to epoch {current}.")
        self.run_id, self.epoch, self.current = run_id, epoch, current


class UnknownRun(JournalError):
    """This journal holds no such run."""

    code = "AF-RUN-UNKNOWN"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"No run {run_id!r} in this journal. `agentflow get runs` lists them.")
        self.run_id = run_id


class OutcomeUnknown(AgentFlowError):
    """An effect was begun, left no word of how it ended, and is set to fail then; it may have happened."""

    code = "AF-OUTCOME-UNKNOWN"

    def __init__(self, run_id: str, path: str, what: str) -> None:
        super().__init__(
            f"Run {run_id} at {path!r}: {what} was begun before and may have taken effect. "
            "It is neither repeated nor taken for done; look at the receiver."
        )
        self.run_id, self.path, self.what = run_id, path, what


class MemoryConflict(AgentFlowError):
    """The entry has another version than the caller expected; nothing was written."""

    code = "AF-MEMORY-CONFLICT"
    executed: Executed = "no"

    def __init__(self, key: str, expected: int, found: int) -> None:
        super().__init__(f"Memory key {key!r} has version {found}, not {expected}. Read it again and decide anew.")
        self.key, self.expected, self.found = key, expected, found


class SeveralFailed(ExceptionGroup[Exception], AgentFlowError):
    """More than one branch or item failed before the others could be cancelled; ``exceptions`` holds all errors.

    Code and other fields are those of the first; ``paths`` are the paths at which they were raised.
    """

    code = "AF-SEVERAL-FAILED"
    paths: tuple[str, ...] = ()

    def __new__(cls, message: str, errors: Sequence[Exception]) -> Self:
        """A group of them; the first one's fields are the group's."""
        group = super().__new__(cls, message, errors)
        first = errors[0]
        group.code = getattr(first, "code", "AF-NODE-FAILED")
        group.executed = getattr(first, "executed", "maybe")
        group.resumable = all(getattr(error, "resumable", False) for error in errors)
        group.spares_nothing = any(getattr(error, "spares_nothing", False) for error in errors)
        return group

    def __init__(self, message: str, errors: Sequence[Exception]) -> None:
        super().__init__(message, errors)

    def __str__(self) -> str:
        return self.message  # without "(2 sub-exceptions)": it names them all

    def derive(self, excs: Sequence[Exception]) -> SeveralFailed:  # type: ignore[override]  # of errors, never of others
        """A part of the group."""
        return SeveralFailed(self.message, excs)


class PlanFailed(AgentFlowError):
    """A planner ended with an error; ``code`` is the one it gave, ``state`` where it stood, if that is to be drawn."""

    code = "AF-PLAN-FAILED"

    def __init__(self, name: str, code: str, reason: str, state: Any = None) -> None:
        super().__init__(f"{name!r} did not reach its goal: {reason}")
        self.name, self.code, self.reason, self.state = name, code, reason, state


class BudgetExceeded(AgentFlowError):
    """A limit was reached before the action that it pays for; ``budget`` names it."""

    code = "AF-BUDGET"
    executed: Executed = "no"

    def __init__(self, budget: str, limit: float, trace: str = "") -> None:
        super().__init__(f"Budget {budget!r} of {limit:g} is used up{': ' + trace if trace else '.'}")
        self.budget, self.limit, self.trace = budget, limit, trace
