"""The exception tree: every error of the framework, grouped by what the caller can do about it.

::

    AgentFlowError
    ├── UsageError                the call, the manifest or the code is wrong: fix it, do not retry
    │   ├── ManifestError         one finding in a manifest, with file, line and column
    │   ├── ManifestErrors        all findings of one reading
    │   ├── UnknownName           a name that is not defined; carries the nearest one
    │   │   └── UnknownModel      a model that its provider does not have
    │   ├── UnknownPlugin         a plugin that is not installed; carries the pip line
    │   ├── UntrustedCode         a manifest names code that ``agentflow.toml`` does not allow
    │   ├── FlowInvalid           the graph is wrong; carries all findings
    │   ├── InputInvalid          a value breaks a declared schema
    │   ├── NotSerialisable       a value that must be journalled is not JSON
    │   ├── StateConflict         two writers of one key without a reducer
    │   ├── PromptTooLong         more than the model's context window holds
    │   ├── Unsupported           the capability is absent here, with the reason
    │   ├── RunEnded              a signal or request for a run that takes none any more
    │   ├── ExpressionInvalid     a text that is no expression or script, with the place
    │   ├── ExpressionFailed      an expression that has no value with these data
    │   └── EventInvalid          bytes or headers that are no CloudEvents 1.0 event
    ├── Unavailable               a peer or resource did not answer: a retry may help
    │   ├── RateLimited           turned away, not executed
    │   ├── Overloaded            turned away by our own limit, not executed
    │   ├── Elapsed               no answer within the time allowed
    │   ├── PeerUnavailable       connection refused, reset, 5xx
    │   └── StorageUnavailable    disk full, input/output error, locked database
    ├── Refused                   permission, policy, content filter: a retry does not help
    │   ├── CredentialRefused     a key is missing, wrong or may not do this
    │   ├── PathRefused           a path outside the root, or not a plain file
    │   └── NotAllowed            a plugin, tool or capability that was not granted
    ├── ProtocolViolation         a peer, a record or a plan broke the contract
    │   ├── CorruptRecord         a journal record fails its check
    │   ├── NewerSchema           written by a newer version
    │   └── NonDeterminism        history and code disagree: the run is parked, never guessed
    ├── PluginError
    │   └── PluginLoadError       a plugin that failed to import, register or answer
    ├── JournalError
    │   ├── AppendConflict        another sequence number: reload and try again
    │   ├── Fenced                a newer owner has taken the run: stop without further effects
    │   └── UnknownRun            no such run in this journal
    ├── OutcomeUnknown            an effect was begun and nobody knows whether it happened
    ├── MemoryConflict            the entry has another version than expected
    ├── PlanFailed                a planner ended with an error; carries the code it gave
    ├── BudgetExceeded            a limit on steps, calls, tokens, cost or time was reached
    └── RunError                  how a run ended, seen from outside
        ├── RunFailed
        ├── RunCancelled
        └── RunSuspended

    ControlFlow                   not errors: how user code steers the engine
    ├── AskModelAgain             the tool call was wrong: tell the model and let it try again
    ├── ToolFailed                the tool ended for good: tell the model
    └── StopFlow                  end the flow here with this output

Every error has ``code`` (stable, documented in ``docs/reference/errors.md``), ``retry_after_s`` and
``executed``: whether the refused action took effect (``no``, ``maybe``, ``yes``). Only ``no``, or an
idempotent action, is tried again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    Executed = Literal["no", "maybe", "yes"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, or ``None`` when none is close (similarity below 0.6)."""
    import difflib  # lazy: 4 ms, only on the way to an error

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


_OWN = {
    "agentflow-anthropic": ("provider:anthropic",),
    "agentflow-openai": ("provider:openai",),
    "agentflow-planner-llm": ("planner:tools",),
    "agentflow-resilience": ("policy:retry", "policy:timeout"),
    "agentflow-sources": ("source:cron", "source:file", "source:folder", "source:stdin"),
    "agentflow-sqlite": ("journal:sqlite", "memory:sqlite"),
    "agentflow-tools": ("tool:files",),
}
"""Which distribution brings which of the project's own plugins, for the line that installs it."""


def pip_line(kind: str, name: str) -> str:
    """The command that installs a plugin: the project's own by their table, others by the convention of names."""
    distribution = next((dist for dist, offers in _OWN.items() if f"{kind}:{name}" in offers), f"agentflow-{name}")
    return f"pip install {distribution}"


class AgentFlowError(Exception):
    """Base of all errors raised by the kernel and its plugins."""

    code = "AF-ERROR"
    executed: Executed = "maybe"
    retry_after_s: float | None = None
    resumable = False
    """Whether a durable run that meets it is suspended: it will go on once its surroundings are put right."""
    spares_nothing = False
    """Whether every other item of a batch would meet it too: such an error is neither skipped nor collected."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, executed: Executed | None = None) -> None:
        super().__init__(message)
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s
        if executed is not None:
            self.executed = executed


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

    def __init__(self, key: str, nodes: Sequence[str]) -> None:
        super().__init__(f"State key {key!r} was written by {' and '.join(map(repr, nodes))}. Give it a reducer.")
        self.key, self.nodes = key, tuple(nodes)


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


class Unavailable(AgentFlowError):
    """A peer or resource did not answer; a later attempt may succeed."""

    code = "AF-UNAVAILABLE"
    resumable = True


class RateLimited(Unavailable):
    """The peer turned the call away because of its rate limit; it was not executed."""

    code = "AF-RATE-LIMITED"
    executed: Executed = "no"


class Overloaded(Unavailable):
    """Our own limit turned the call away; it was not executed."""

    code = "AF-OVERLOADED"
    executed: Executed = "no"


class Elapsed(Unavailable):
    """No answer within the time allowed; the peer may have executed the call."""

    code = "AF-ELAPSED"

    def __init__(self, what: str, timeout_s: float) -> None:
        super().__init__(f"{what} gave no answer within {timeout_s:g} s.")
        self.what, self.timeout_s = what, timeout_s


class PeerUnavailable(Unavailable):
    """The peer refused or broke the connection, or answered with a server error."""

    code = "AF-PEER-UNAVAILABLE"


class StorageUnavailable(Unavailable):
    """The disk is full, broken or locked; nothing that was acknowledged is lost."""

    code = "AF-STORAGE-UNAVAILABLE"


class Refused(AgentFlowError):
    """Permission, policy or content filter; the same call will be refused again."""

    code = "AF-REFUSED"
    executed: Executed = "no"


class CredentialRefused(Refused):
    """A key is missing, wrong, expired, or lacks the right; the message names the variable and the resource."""

    code = "AF-CREDENTIAL"
    resumable = True
    spares_nothing = True


class PathRefused(Refused):
    """A path that leaves its root, names something other than a plain file or folder, or may not be read."""

    code = "AF-PATH-REFUSED"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Path {path!r} is refused: {reason}")
        self.path, self.reason = path, reason


class NotAllowed(Refused):
    """A plugin, tool or capability that was not granted."""

    code = "AF-NOT-ALLOWED"


class ProtocolViolation(AgentFlowError):
    """A peer, a stored record or a plan broke its contract."""

    code = "AF-PROTOCOL"


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


class PlanFailed(AgentFlowError):
    """A planner ended with an error; ``code`` is the one it gave."""

    code = "AF-PLAN-FAILED"

    def __init__(self, name: str, code: str, reason: str) -> None:
        super().__init__(f"{name!r} did not reach its goal: {reason}")
        self.name, self.code, self.reason = name, code, reason


class BudgetExceeded(AgentFlowError):
    """A limit was reached before the action that it pays for; ``budget`` names it."""

    code = "AF-BUDGET"
    executed: Executed = "no"

    def __init__(self, budget: str, limit: float, trace: str = "") -> None:
        super().__init__(f"Budget {budget!r} of {limit:g} is used up{': ' + trace if trace else '.'}")
        self.budget, self.limit, self.trace = budget, limit, trace


class RunError(AgentFlowError):
    """How a run ended, seen by those who wait for its result."""

    code = "AF-RUN"

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunFailed(RunError):
    """The run ended with an error; ``code`` is that of the cause and ``path`` the action that failed."""

    code = "AF-RUN-FAILED"

    def __init__(self, run_id: str, code: str, message: str, path: str = "") -> None:
        super().__init__(run_id, f"Run {run_id} failed{' at ' + path if path else ''}: {message} [{code}]")
        self.code, self.reason, self.path = code, message, path


class RunCancelled(RunError):
    """The run was ended on request; ``abandoned`` names threads that did not stop in time."""

    code = "AF-RUN-CANCELLED"

    def __init__(self, run_id: str, abandoned: Sequence[str] = ()) -> None:
        tail = f" Threads left behind: {', '.join(abandoned)}." if abandoned else ""
        super().__init__(run_id, f"Run {run_id} was cancelled.{tail}")
        self.abandoned = tuple(abandoned)


class RunSuspended(RunError):
    """The run stopped without an end; it goes on with ``resume`` where it is durable."""

    code = "AF-RUN-SUSPENDED"

    def __init__(self, run_id: str, status: str, reason: str) -> None:
        super().__init__(run_id, f"Run {run_id} is {status}: {reason}")
        self.status, self.reason = status, reason


class ControlFlow(Exception):
    """Root of the exceptions that steer a run; never retried, never an observation by accident."""


class AskModelAgain(ControlFlow):
    """Raised by a tool: the call was wrong; the model sees the text and may call again."""


class ToolFailed(ControlFlow):
    """Raised by a tool: it ended for good; the model sees the text as an error result."""


class StopFlow(ControlFlow):
    """Raised by a node: end the flow here; ``output`` is the flow's output."""

    def __init__(self, output: object = None) -> None:
        super().__init__("stop")
        self.output = output
