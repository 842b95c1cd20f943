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
    │   ├── PlanInvalid           the document of a plan is wrong; carries all findings
    │   ├── InputInvalid          a value breaks a declared schema
    │   ├── NotSerialisable       a value that must be journalled is not JSON
    │   ├── StateConflict         two writers of one key without a reducer
    │   ├── StateInvalid          a write to the state that its flow does not allow
    │   ├── PromptTooLong         more than the model's context window holds
    │   ├── Unsupported           the capability is absent here, with the reason
    │   ├── RunBusy               another process works on the run
    │   ├── EnvironmentChanged    variables of the run's manifest have other values than at its start
    │   ├── HistoryCompacted      a copy from a step whose records were deleted
    │   ├── RunEnded              a signal or request for a run that takes none any more
    │   ├── ExpressionInvalid     a text that is no expression or script, with the place
    │   ├── ExpressionFailed      an expression that has no value with these data
    │   └── EventInvalid          bytes or headers that are no CloudEvents 1.0 event
    ├── Unavailable               a peer or resource did not answer: a retry may help
    │   ├── RateLimited           turned away, not executed
    │   ├── Overloaded            turned away by our own limit, not executed
    │   ├── Elapsed               no answer within the time allowed
    │   │   └── FlowElapsed       a node or flow was not complete within its time
    │   ├── PeerUnavailable       connection refused, reset, 5xx
    │   └── StorageUnavailable    disk full, input/output error, locked database
    ├── Refused                   permission, policy, content filter: a retry does not help
    │   ├── CredentialRefused     a key is missing, wrong or may not do this
    │   ├── PathRefused           a path outside the root, or not a plain file
    │   ├── ApprovalRefused       a person refused the action, or nobody approved it in time
    │   ├── ApprovalMismatch      an answer for other content than what is asked
    │   └── NotAllowed            a plugin, tool or capability that was not granted
    ├── ProtocolViolation         a peer, a record or a plan broke the contract
    │   ├── OutputInvalid         a model's answer does not fit, also after it was asked to mend it
    │   ├── CorruptRecord         a journal record fails its check
    │   ├── NewerSchema           written by a newer version
    │   ├── PlanError             a plan did at work what no plan may; carries the path of the node
    │   │   └── PlanLoopError     it goes round without rest; names the cycle
    │   └── NonDeterminism        history and code disagree: the run is parked, never guessed
    ├── PluginError
    │   └── PluginLoadError       a plugin that failed to import, register or answer
    ├── JournalError
    │   ├── AppendConflict        another sequence number: reload and try again
    │   ├── Fenced                a newer owner has taken the run: stop without further effects
    │   └── UnknownRun            no such run in this journal
    ├── OutcomeUnknown            an effect was begun and nobody knows whether it happened
    ├── MemoryConflict            the entry has another version than expected
    ├── SeveralFailed             more than one branch or item failed; an exception group
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

from agentflow_kernel.errors.base import AgentFlowError
from agentflow_kernel.errors.broken import (
    AppendConflict,
    BudgetExceeded,
    CorruptRecord,
    Fenced,
    JournalError,
    MemoryConflict,
    NewerSchema,
    NonDeterminism,
    OutcomeUnknown,
    OutputInvalid,
    PlanError,
    PlanFailed,
    PlanLoopError,
    PluginError,
    PluginLoadError,
    ProtocolViolation,
    SeveralFailed,
    UnknownRun,
)
from agentflow_kernel.errors.ended import (
    AskModelAgain,
    ControlFlow,
    RunCancelled,
    RunError,
    RunFailed,
    RunSuspended,
    StopFlow,
    ToolFailed,
)
from agentflow_kernel.errors.hints import nearest, pip_line
from agentflow_kernel.errors.unavailable import (
    ApprovalMismatch,
    ApprovalRefused,
    CredentialRefused,
    Elapsed,
    FlowElapsed,
    NotAllowed,
    Overloaded,
    PathRefused,
    PeerUnavailable,
    RateLimited,
    Refused,
    StorageUnavailable,
    Unavailable,
)
from agentflow_kernel.errors.usage import (
    EnvironmentChanged,
    EventInvalid,
    ExpressionFailed,
    ExpressionInvalid,
    FlowInvalid,
    HistoryCompacted,
    InputInvalid,
    ManifestError,
    ManifestErrors,
    NotSerialisable,
    PlanInvalid,
    PromptTooLong,
    RunBusy,
    RunEnded,
    StateConflict,
    StateInvalid,
    UnknownModel,
    UnknownName,
    UnknownPlugin,
    Unsupported,
    UntrustedCode,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.errors.base import Executed as Executed

__all__ = (
    "AgentFlowError",
    "AppendConflict",
    "ApprovalMismatch",
    "ApprovalRefused",
    "AskModelAgain",
    "BudgetExceeded",
    "ControlFlow",
    "CorruptRecord",
    "CredentialRefused",
    "Elapsed",
    "EnvironmentChanged",
    "EventInvalid",
    "ExpressionFailed",
    "ExpressionInvalid",
    "Fenced",
    "FlowElapsed",
    "FlowInvalid",
    "HistoryCompacted",
    "InputInvalid",
    "JournalError",
    "ManifestError",
    "ManifestErrors",
    "MemoryConflict",
    "NewerSchema",
    "NonDeterminism",
    "NotAllowed",
    "NotSerialisable",
    "OutcomeUnknown",
    "OutputInvalid",
    "Overloaded",
    "PathRefused",
    "PeerUnavailable",
    "PlanError",
    "PlanFailed",
    "PlanInvalid",
    "PlanLoopError",
    "PluginError",
    "PluginLoadError",
    "PromptTooLong",
    "ProtocolViolation",
    "RateLimited",
    "Refused",
    "RunBusy",
    "RunCancelled",
    "RunEnded",
    "RunError",
    "RunFailed",
    "RunSuspended",
    "SeveralFailed",
    "StateConflict",
    "StateInvalid",
    "StopFlow",
    "StorageUnavailable",
    "ToolFailed",
    "Unavailable",
    "UnknownModel",
    "UnknownName",
    "UnknownPlugin",
    "UnknownRun",
    "Unsupported",
    "UntrustedCode",
    "UsageError",
    "nearest",
    "pip_line",
)
