"""A step: one node of a graph with everything that is declared about it."""

from __future__ import annotations

from agentflow_kernel.flow.condition import cases_of
from agentflow_kernel.flow.marking import options_of
from agentflow_kernel.flow.node import END
from agentflow_kernel.flow.reference import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal, TypedDict

    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.tool import Effect
    from agentflow_kernel.flow.asking import Approval

    OnItemError = Literal["fail", "skip", "collect"]
    BatchMode = Literal["sliding", "waves"]
    Blocking = Literal["thread", "inline"]
    OnUnknown = Literal["stuck", "retry", "fail"]

    class StepOptions(TypedDict, total=False):
        """The options of a step as type checkers see them."""

        input: object
        routes: Mapping[str, str | None]
        when: Sequence[Mapping[str, str | None]]
        each: object
        batch_size: int
        concurrency: int
        on_item_error: OnItemError
        policies: Sequence[Policy]
        effect: Effect
        blocking: Blocking
        emits: str
        fan_out: Sequence[str]
        max_visits: int | None
        on_unknown: OnUnknown
        approve: bool | Mapping[str, object] | Approval | None
        compensate: object
        timeout_s: float | None
        batch_mode: BatchMode
        join: str | None


class Step:
    """One node of a graph: what it does, where its input comes from and where its result goes.

    ``target`` is a function, a :class:`Node`, another flow, a :class:`Parallel`, an :class:`Ask`, a :class:`Wait`, or
    an object with ``perform(context, value)``. ``routes`` maps actions to node names, ``END`` or ``None``; ``when``
    chooses by conditions instead of the default action. With ``each`` the node runs once per chunk of ``batch_size``
    items, at most ``concurrency`` at a time, its result being the list of results in the order of the items.
    ``fan_out`` names the nodes that its :class:`Goto` items may lead to. ``max_visits`` bounds its visits in one run of
    the flow.
    ``effect`` is ``idempotent`` unless the step or its tool says otherwise. ``on_unknown`` says what becomes of an
    ``effect`` that a crash has left without a word: the run is ``stuck``, or it is a failure, or it is done again.
    With ``approve`` (``True``, or options as :class:`Approval` has them) each visit and each item waits until a person
    has approved it with exactly its input; a refusal is the action ``refused`` where that is routed, else
    :class:`ApprovalRefused`. ``compensate`` (a function, anything that a step may be, or a :class:`Compensation`)
    undoes the step when the run fails or is cancelled after it; it gets ``{"input", "result"}`` of the step.
    ``join`` names the node at which the ways come together when the step returns ``Route(["a", "b"], value)``; that
    node gets an object, action → last result of its way. ``timeout_s`` bounds each visit and each item, with all its
    policies and without the wait for its approval (:class:`FlowElapsed`). ``batch_mode`` ``waves`` begins the next
    ``concurrency`` chunks when all before are done.
    """

    __slots__ = (
        "name", "target", "input", "routes", "when", "each", "batch_size", "concurrency", "on_item_error", "policies",
        "effect", "blocking", "emits", "fan_out", "max_visits", "on_unknown",
        "approve", "compensate", "timeout_s", "batch_mode", "join",
    )  # fmt: skip

    def __init__(self, name: str, target: object, **options: object) -> None:
        self.name = name
        self.target = target
        self.input: Template | None = _template(options.pop("input", None))
        routes: dict[str, str | None] = dict(options.pop("routes", None) or {})  # type: ignore[call-overload]
        self.routes: dict[str, str] = {action: END if there is None else there for action, there in routes.items()}
        self.when = cases_of(name, options.pop("when", ()))  # type: ignore[arg-type]  # checked there
        self.each: Template | None = _template(options.pop("each", None))
        self.batch_size: int = options.pop("batch_size", 1)  # type: ignore[assignment]
        self.concurrency: int = options.pop("concurrency", 4)  # type: ignore[assignment]
        self.on_item_error: OnItemError = options.pop("on_item_error", "fail")  # type: ignore[assignment]
        self.policies: Sequence[Policy] = options.pop("policies", ())  # type: ignore[assignment]
        self.effect: Effect | None = options.pop("effect", None)  # type: ignore[assignment]
        self.blocking: Blocking = options.pop("blocking", "thread")  # type: ignore[assignment]
        self.emits: str = options.pop("emits", "")  # type: ignore[assignment]
        self.fan_out: Sequence[str] = tuple(options.pop("fan_out", ()))  # type: ignore[arg-type]
        self.max_visits: int | None = options.pop("max_visits", None)  # type: ignore[assignment]
        self.on_unknown: OnUnknown = options.pop("on_unknown", "stuck")  # type: ignore[assignment]
        self.compensate = _compensation(name, options.pop("compensate", None))
        self.timeout_s: float | None = options.pop("timeout_s", None)  # type: ignore[assignment]
        self.batch_mode: BatchMode = options.pop("batch_mode", "sliding")  # type: ignore[assignment]
        self.join: str | None = options.pop("join", None)  # type: ignore[assignment]
        self.approve = _approval(options.pop("approve", None))
        if options:
            raise TypeError(f"Step {name!r} has no option {', '.join(map(repr, options))}.")


class Compensation:
    """What undoes a step, where it is more than a function: ``Compensation(refund, policies=[retry])``.

    Options are ``input``, ``policies``, ``effect``, ``blocking``, ``on_unknown`` and ``approve`` of :class:`Step`. In
    the template ``input`` ``item`` is what a compensation gets.
    """

    OPTIONS = ("input", "policies", "effect", "blocking", "on_unknown", "approve")

    __slots__ = ("target", "options")

    def __init__(self, target: object, **options: object) -> None:
        for option in options:
            if option not in self.OPTIONS:
                raise TypeError(f"A compensation has no option {option!r}; it has {', '.join(self.OPTIONS)}.")
        self.target = target
        self.options = options


def _compensation(name: str, target: object) -> Step | None:
    if target is None:
        return None
    undo = target if isinstance(target, Compensation) else Compensation(target)
    marked = {option: value for option, value in options_of(undo.target).items() if option in Compensation.OPTIONS}
    return Step(name, undo.target, **{**marked, **undo.options})


def _approval(option: object) -> Approval | None:
    if option is None or option is False:
        return None
    from agentflow_kernel.flow.asking import Approval  # lazy: only steps that need approval pay

    return Approval.of(option)


def _template(source: object) -> Template | None:
    return source if source is None or isinstance(source, Template) else Template(source)
