"""A flow: the graph as its user builds and runs it, alone or in a kernel."""

from __future__ import annotations

from agentflow_kernel.contracts.values import overload
from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow.fork import WORKERS, Parallel
from agentflow_kernel.flow.graph import MAX_STEPS, Graph, Step, compensates
from agentflow_kernel.flow.marking import name_of, options_of
from agentflow_kernel.flow.node import DEFAULT
from agentflow_kernel.flow.reference import Template
from agentflow_kernel.run.bind import BoundNode, bind, needs_loop
from agentflow_kernel.run.loopless import drive_to_end
from agentflow_kernel.run.runtime import Frame, Run, Services
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Any, Self, TypeVar, Unpack

    from agentflow_kernel.contracts.policy import Policy
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.graph import FlowScope, OnUnknownAction
    from agentflow_kernel.flow.key import StateKey
    from agentflow_kernel.flow.reducer import Reduce
    from agentflow_kernel.flow.step import StepOptions
    from agentflow_kernel.run.progress import Listener

    T = TypeVar("T")


class Flow(Graph):
    """A graph of steps, built in the order in which they run.

    ``Flow("greet").step(ask).step(answer)`` runs ``ask``, then ``answer`` with its result. A step is a function of
    no, one (value) or two (value, context) parameters, a :class:`Node`, an agent or another flow. Adding a step
    changes the flow; a flow that has run stays usable and may grow.
    """

    def __init__(
        self,
        name: str,
        *,
        start: str | None = None,
        max_steps: int = MAX_STEPS,
        policies: Sequence[Policy] = (),
        reducers: Mapping[str, str | Reduce] | None = None,
    ) -> None:
        super().__init__(name, start=start, max_steps=max_steps)
        self.policies = policies
        self.reducers = reducers or {}
        self._last: Step | None = None
        self._bound: dict[bool, BoundNode] = {}
        self._compensates: bool | None = None

    def step(self, target: object, *, name: str | None = None, **options: object) -> Self:
        """Add a step; it follows the one before it unless that one has ``routes`` or ``when``.

        Options are those of :class:`Step`: ``input``, ``routes``, ``when``, ``each``, ``batch_size``, ``concurrency``,
        ``on_item_error``, ``policies``, ``effect``, ``blocking``, ``emits``, ``fan_out``, ``max_visits``,
        ``on_unknown``, ``approve``, ``compensate``, ``timeout_s``, ``batch_mode``, ``join``. The name is
        the function's or the flow's. Options that stand at the function itself (:func:`node`) hold where none is given.
        """
        name = name or name_of(target)
        previous = self._last
        self._last = self.add_step(name, target, options)
        if previous is not None and not previous.routes and not previous.when:
            previous.routes[DEFAULT] = name
        return self

    def parallel(
        self,
        branches: Mapping[str, object],
        *,
        name: str = "parallel",
        join: str | int = "all",
        rest: str = "cancel",
        concurrency: int = WORKERS,
        **options: object,
    ) -> Self:
        """Add a step that forks into named branches and joins them, see :class:`Parallel`.

        A branch is whatever a step may be, or a :class:`Branch` where it has options. The result is an object, branch
        name → result. ``options`` are those of :meth:`step`.
        """
        fork = Parallel(branches, join=join, rest=rest, concurrency=concurrency)
        return self.step(fork, name=name, **options)

    def ask(self, question: str, *, name: str = "ask", **options: object) -> Self:
        """Add a step that asks a person, see :class:`Ask`: ``choices``, ``schema``, ``timeout_s`` and ``by`` are its.

        All other options are those of :meth:`step`.
        """
        from agentflow_kernel.flow.asking import Ask  # lazy: only flows that ask pay

        own: dict[str, Any] = {key: options.pop(key) for key in Ask.OPTIONS if key in options}
        return self.step(Ask(question, **own), name=name, **options)

    def wait(self, signal: str | None = None, *, name: str = "wait", **options: object) -> Self:
        """Add a step that waits, see :class:`Wait`: ``event``, ``seconds``, ``schema``, ``timeout_s``, ``only_if``.

        All other options are those of :meth:`step`.
        """
        from agentflow_kernel.flow.asking import Wait  # lazy: only flows that wait pay

        own: dict[str, Any] = {key: options.pop(key) for key in Wait.OPTIONS if key in options}
        return self.step(Wait(signal, **own), name=name, **options)

    def aside(self, target: object, *, name: str | None = None, **options: object) -> Self:
        """Add a step that stands beside the way: it is reached by the ``routes``, ``when`` or ``fan_out`` of others."""
        self.add_step(name or name_of(target), target, options)
        return self

    @overload
    def node(self, target: T, /) -> T: ...
    @overload
    def node(
        self, /, *, name: str | None = None, aside: bool = False, **options: Unpack[StepOptions]
    ) -> Callable[[T], T]: ...
    def node(self, target: Any = None, /, *, name: str | None = None, aside: bool = False, **options: Any) -> Any:
        """Add the function or :class:`Node` class under it as a step: ``@flow.node`` or ``@flow.node(routes=…)``.

        It is what :meth:`step` adds, with ``aside=True`` what :meth:`aside` adds; the function itself stays as it is.
        """

        def add(target: Any) -> Any:
            (self.aside if aside else self.step)(target, name=name, **options)
            return target

        return add if target is None else add(target)

    def add_step(self, name: str, target: object, options: Mapping[str, object]) -> Step:
        """Add a step that is linked by its own ``routes`` only."""
        step = Step(name, target, **{**options_of(target), **options})
        self.add(step)
        self._bound.clear()
        self._compensates = None
        return step

    def keeps(
        self,
        *keys: StateKey[Any],
        schema: Mapping[str, JSON] | None = None,
        model: type | None = None,
        scope: FlowScope | None = None,
    ) -> Self:
        """Declare keys of the state; once there is one, no others may be read or written.

        ``schema``, a JSON Schema, and ``model``, a pydantic model, are what the state as a whole must fit whenever a
        visit or a join has written to it; private keys do not belong to it. What does not fit is
        :class:`StateInvalid`. With ``scope="shared"`` the flow, where it is a node, has the whole state of the flow
        round it instead of its own, but for keys private to nodes; its writes take effect when it completes. Raises
        :class:`UsageError` for a key that is declared already.
        """
        for key in keys:
            if not hasattr(key, "fresh"):
                raise UsageError(f"{key!r} is no state key: expected StateKey(name, type, …).")
            if key.name in self.keys:
                raise UsageError(f"Flow {self.name!r} already declares the state key {key.name!r}.")
            self.keys[key.name] = key
        self.state_schema = schema if schema is not None else self.state_schema
        self.state_model = model if model is not None else self.state_model
        self.scope = scope or self.scope
        self._bound.clear()
        return self

    def limited(
        self,
        *,
        timeout_s: float | None = None,
        compensation_s: float | None = None,
        on_unknown_action: OnUnknownAction | None = None,
    ) -> Self:
        """Set what is given of the flow's ``timeout_s``, ``compensation_s`` and ``on_unknown_action``."""
        self.timeout_s = self.timeout_s if timeout_s is None else timeout_s
        self.compensation_s = self.compensation_s if compensation_s is None else compensation_s
        self.on_unknown_action = on_unknown_action or self.on_unknown_action
        self._bound.clear()
        return self

    def takes(self, schema: Mapping[str, JSON]) -> Self:
        """Set the JSON Schema that every input must fit; one that does not is :class:`InputInvalid`.

        :meth:`run` and :meth:`run_sync` do not look at it; kernels do, and flows that have this one as a node.
        """
        self.input_schema = schema
        self._bound.clear()
        return self

    def returns(self, output: object) -> Self:
        """Set what the flow gives back, a template such as ``{"$ref": "report.result.text"}``; else the last result."""
        self.output = Template(output)
        return self

    def shows(self, display: object) -> Self:
        """Set the text for people, a template; the command line prints it when the run is completed."""
        self.display = Template(display)
        return self

    def bound(self, *, loopless: bool) -> BoundNode:
        """The start node, bound once for runs with or without an event loop."""
        start = self._bound.get(loopless)
        if start is None:
            start = self._bound[loopless] = bind(self, loopless=loopless)
        return start

    def run(self, value: object = None, *, listener: Listener | None = None) -> Coroutine[Any, Any, object]:
        """Run on the current event loop without a kernel: nothing is journalled, events of ``emits`` go nowhere.

        Raises what a node raises. Cancelling the call cancels the flow and everything in it.
        """
        run, start = Run("", self.name, services=_ALONE, listener=listener), self.bound(loopless=False)
        if self._compensates is None:
            self._compensates = compensates(self)
        if self._compensates or self.timeout_s is not None:
            from agentflow_kernel.run.compensate import run_alone  # lazy: only flows that compensate pay

            return run_alone(Frame(run, self, value), start, value)
        return run_frame(Frame(run, self, value), start, value)

    def run_sync(self, value: object = None, *, listener: Listener | None = None) -> object:
        """Run to the end and return the output, without an event loop where the flow is made of plain functions.

        Plain functions run on the calling thread then. Flows with anything that may wait get an event loop of their
        own; calling this inside a running loop raises ``RuntimeError``.
        """
        if needs_loop(self):
            import anyio  # lazy: 25 ms, plain flows need no loop

            async def main() -> object:
                return await self.run(value, listener=listener)

            return anyio.run(main)
        run = Run("", self.name, services=_ALONE, listener=listener, loopless=True)
        start = self.bound(loopless=True)
        return drive_to_end(run_frame(Frame(run, self, value), start, value), f"Flow {self.name!r}")


_ALONE = Services()
"""What a flow without a kernel may use: nothing but its own code."""
