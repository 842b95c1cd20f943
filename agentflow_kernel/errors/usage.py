"""Errors of the caller: the call, the manifest or the code is wrong."""

from __future__ import annotations

from agentflow_kernel.errors.base import AgentFlowError
from agentflow_kernel.errors.hints import nearest, pip_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow_kernel.errors.base import Executed


class UsageError(AgentFlowError):
    """The call is wrong; the same call will fail again."""

    code = "AF-USAGE"
    executed: Executed = "no"


class ManifestError(UsageError):
    """One thing wrong in a manifest, with the place where it stands."""

    code = "AF-MANIFEST"

    def __init__(
        self, problem: str, *, file: str = "", line: int = 0, column: int = 0, path: str = "", hint: str = ""
    ) -> None:
        where = f"{file}:{line}:{column}: " if line else (f"{file}: " if file else "")
        at = f"{path}: " if path else ""
        super().__init__(f"{where}{at}{problem}" + (f" {hint}" if hint else ""))
        self.problem, self.file, self.line, self.column, self.path, self.hint = problem, file, line, column, path, hint


class ManifestErrors(UsageError):
    """All findings of one reading; ``findings`` are in document order and never empty."""

    code = "AF-MANIFEST-INVALID"

    def __init__(self, findings: Sequence[ManifestError]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class UnknownName(UsageError):
    """A name that nothing defines."""

    code = "AF-UNKNOWN-NAME"

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        close = None if name in names else nearest(name, names)
        text = f"Unknown {what} {name!r}. Known: {', '.join(map(repr, names)) or 'none'}."
        super().__init__(text + (f" Did you mean {close!r}?" if close else ""))
        self.what, self.name, self.known, self.suggestion = what, name, tuple(names), close


class UnknownModel(UnknownName):
    """A model that its provider does not have; carries the nearest alias and lists those that there are."""

    code = "AF-MODEL-UNKNOWN"
    executed: Executed = "no"
    resumable = True
    spares_nothing = True


class UnknownPlugin(UsageError):
    """A plugin that is not installed in this environment."""

    code = "AF-PLUGIN-UNKNOWN"

    def __init__(self, kind: str, name: str, installed: Iterable[str]) -> None:
        names = sorted(set(installed))
        close = nearest(name, names)
        self.pip_line = pip_line(kind, name)
        text = f"No {kind} plugin {name!r} is installed. Installed: {', '.join(map(repr, names)) or 'none'}."
        text += f" Did you mean {close!r}?" if close else ""
        super().__init__(f"{text} To add it: {self.pip_line}")
        self.kind, self.name, self.installed, self.suggestion = kind, name, tuple(names), close


class UntrustedCode(UsageError):
    """A manifest names Python code that has not been allowed to run."""

    code = "AF-CODE-UNTRUSTED"

    def __init__(self, file: str) -> None:
        super().__init__(
            f"The manifest runs code from {file!r}, which is not allowed. "
            "List it under [code] allow in agentflow.toml, or give --trust-code for this call."
        )
        self.file = file


class FlowInvalid(UsageError):
    """The graph of a flow is wrong; ``findings`` holds one sentence for each fault."""

    code = "AF-FLOW-INVALID"

    def __init__(self, flow: str, findings: Sequence[str]) -> None:
        super().__init__(f"Flow {flow!r} is not valid: " + "; ".join(findings))
        self.flow, self.findings = flow, tuple(findings)


class PlanInvalid(UsageError):
    """A plan's document is wrong; ``findings`` holds one sentence for each fault."""

    code = "AF-PLAN-INVALID"

    def __init__(self, plan: str, findings: Sequence[str]) -> None:
        super().__init__(f"Plan {plan!r} is not valid: " + "; ".join(findings))
        self.plan, self.findings = plan, tuple(findings)


class InputInvalid(UsageError):
    """A value breaks the schema that was declared for it; ``path`` is a JSON pointer into the value."""

    code = "AF-INPUT-INVALID"

    def __init__(self, what: str, problem: str, *, path: str = "") -> None:
        super().__init__(f"{what}{' at ' + path if path else ''}: {problem}")
        self.what, self.problem, self.path = what, problem, path


class NotSerialisable(UsageError):
    """A value that has to be journalled is not JSON."""

    code = "AF-NOT-SERIALISABLE"

    def __init__(self, node: str, path: str, found: str) -> None:
        super().__init__(
            f"Node {node!r} gave a value that cannot be journalled: {path or 'it'} is {found}. "
            "Expected JSON: objects with string keys, arrays, strings, finite numbers, booleans, null."
        )
        self.node, self.path, self.found = node, path, found


class StateConflict(UsageError):
    """Two nodes wrote one key of the shared state and no reducer says how to merge them."""

    code = "AF-STATE-CONFLICT"

    def __init__(self, key: str, nodes: Sequence[str], *, advice: str = "Give it a reducer.") -> None:
        super().__init__(f"State key {key!r} was written by {' and '.join(map(repr, nodes))}. {advice}")
        self.key, self.nodes = key, tuple(nodes)


class StateInvalid(UsageError):
    """A visit wrote to the shared state what its flow does not allow; nothing of the visit's writes was kept.

    ``path`` is a JSON pointer into the value of ``key``; ``key`` is empty where the state as a whole does not fit.
    """

    code = "AF-STATE-INVALID"

    def __init__(self, key: str, node: str, problem: str, *, path: str = "") -> None:
        what = f"State key {key!r}" if key else "The state"
        super().__init__(f"{what}, written by node {node!r}{', at ' + path if path else ''}: {problem}.")
        self.key, self.node, self.problem, self.path = key, node, problem, path


class PromptTooLong(UsageError):
    """A request holds more tokens than the model's context window; it was not executed."""

    code = "AF-PROMPT-TOO-LONG"
    executed: Executed = "no"
    resumable = True

    def __init__(self, model: str, found: str) -> None:
        super().__init__(
            f"The request does not fit into the context window of model {model!r}: {found}. "
            "Give the agent a model with a larger window, or tools that return less."
        )
        self.model, self.found = model, found


class Unsupported(UsageError):
    """The capability is not there; the message says why and what would provide it."""

    code = "AF-UNSUPPORTED"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is not supported here: {reason}")
        self.what, self.reason = what, reason


class HistoryCompacted(UsageError):
    """A run cannot be copied from this step: what it has on record before record ``seq`` was deleted."""

    code = "AF-HISTORY-COMPACTED"

    def __init__(self, run_id: str, step: str, seq: int, later: Sequence[str]) -> None:
        names = ", ".join(map(repr, later)) or "none"
        super().__init__(
            f"Run {run_id} cannot go on from {step!r}: what it has on record before its snapshot, record {seq}, was "
            f"deleted (compacted), and the step is not behind it. Steps that can be named: {names}. "
            "Without a step the copy takes all over; with another input and no step it begins anew."
        )
        self.run_id, self.step, self.seq = run_id, step, seq


class RunEnded(UsageError):
    """The run takes no signal or request any more: it has ended, or its owner has left it; ``status`` says which."""

    code = "AF-RUN-ENDED"

    def __init__(self, run_id: str, status: str) -> None:
        if status in ("completed", "failed", "cancelled"):
            tail = f"has ended ({status}). What is sent to it has no effect."
        else:
            tail = f"is {status} and takes nothing here. Resume it first, or leave the signal in its inbox."
        super().__init__(f"Run {run_id} {tail}")
        self.run_id, self.status = run_id, status


class RunBusy(UsageError):
    """Another process works on the run: only its owner appends to it; ``owner`` names the process."""

    code = "AF-RUN-BUSY"

    def __init__(self, run_id: str, owner: str) -> None:
        super().__init__(f"Run {run_id} is being worked on by process {owner}.")
        self.run_id, self.owner = run_id, owner


class EnvironmentChanged(UsageError):
    """Environment variables that the run's manifest names (``names``) have other values than when it was started."""

    code = "AF-ENVIRONMENT-CHANGED"

    def __init__(self, run_id: str, names: Sequence[str]) -> None:
        super().__init__(
            f"Run {run_id} was started with another value of {', '.join(names)}. Set it as it was then, or accept the "
            "present environment (resume --accept-environment)."
        )
        self.run_id, self.names = run_id, tuple(names)


class ExpressionInvalid(UsageError):
    """A text that is no expression or script; ``position`` counts characters from 0, ``line`` and ``column`` from 1."""

    code = "AF-EXPRESSION-INVALID"

    def __init__(self, text: str, position: int, found: str, expected: str) -> None:
        self.text, self.position, self.found, self.expected = text, position, found, expected
        start = text.rfind("\n", 0, position) + 1
        self.line, self.column = text.count("\n", 0, position) + 1, position - start + 1
        first = max(start, position - 60)
        seen = text[first : position + 60].partition("\n")[0]
        seen = "".join(char if char.isprintable() else "·" for char in seen)
        super().__init__(
            f"Not a valid expression at line {self.line}, column {self.column}: "
            f"found {found}, expected {expected}.\n  {seen}\n  {' ' * (position - first)}^"
        )


class ExpressionFailed(UsageError):
    """An expression that has no value with the data it was given; ``part`` is the sub-expression that failed."""

    code = "AF-EXPRESSION-FAILED"

    def __init__(self, expression: str, part: str, problem: str) -> None:
        whole = expression if len(expression) <= 200 else expression[:199] + "…"
        place = part if len(part) <= 200 else part[:199] + "…"
        super().__init__(f"Expression {whole!r}: {problem}" + (f", at {place!r}." if place != whole else "."))
        self.expression, self.part, self.problem = expression, part, problem


class EventInvalid(UsageError):
    """Bytes, headers or attributes that do not form a CloudEvents 1.0 event."""

    code = "AF-EVENT-INVALID"

    def __init__(self, attribute: str, problem: str) -> None:
        super().__init__(f"Event attribute {attribute!r}: {problem}")
        self.attribute, self.problem = attribute, problem
