"""A policy: a layer round calls, such as retry or timeout, composed once when a flow or agent is bound."""

from __future__ import annotations

from agentflow_kernel.contracts.values import Protocol, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Literal

    ActionKind = Literal["call", "tool", "model", "agent", "flow", "plan", "emit", "wait", "ask"]


class Request(Value):
    """One call on its way through the policies.

    ``name`` is what is called (node, ``files.read``, model), ``path`` its identity in the run, ``key`` its
    idempotency key. ``idempotent`` says whether it may run again although it may have been executed. ``payload`` is
    what the innermost call takes. ``attempt`` starts at 1; a policy that repeats the call raises it in
    place, the only field that changes.
    """

    __slots__ = ("kind", "name", "payload", "run_id", "path", "key", "idempotent", "attempt")

    def __init__(
        self,
        kind: ActionKind,
        name: str,
        payload: object,
        *,
        run_id: str = "",
        path: str = "",
        key: str = "",
        idempotent: bool = True,
    ) -> None:
        self.kind = kind
        self.name = name
        self.payload = payload
        self.run_id = run_id
        self.path = path
        self.key = key
        self.idempotent = idempotent
        self.attempt = 1


if TYPE_CHECKING:
    Call = Callable[[Request], Awaitable[object]]


class Policy(Protocol):
    """A layer, as in tower: given the inner call, it makes the outer one.

    ``wrap`` is called once per binding and must not do I/O. The call it returns is used concurrently; state that
    belongs to one call lives in that call, state that is shared (a breaker's count) in the policy.
    Cancellation is never retried, never swallowed, never turned into another error.

    The engine gives each attempt of a node or tool what the first one was given, whatever that has done to it in
    place, and copies it therefore before each call. A policy that never makes a call more than once may say so with
    an attribute ``repeats = False``: where all do, nothing is copied.
    """

    def wrap(self, call: Call) -> Call:
        """The call with this policy round it."""
