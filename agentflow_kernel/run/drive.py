"""The drive: asks a planner what to do, does it, and tells the planner, until the planner ends."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.planner import Action, Observation
from agentflow_kernel.errors import (
    AgentFlowError,
    AskModelAgain,
    ControlFlow,
    NonDeterminism,
    NotSerialisable,
    PlanFailed,
    ProtocolViolation,
)
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.run.fault import ENDS_RUN, is_broken, printable, stray_cancellation, text_of
from agentflow_kernel.run.settle import Settled, publish_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.planner import Decision, End, Planner, Task
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Context

    Perform = Callable[..., Awaitable[object]]
    """Do one action (context, action, path) and call what follows, if there is one, with each piece of its text."""
    Hear = Callable[[str, int], None]
    """Takes a piece of text and its offset."""

_CLOCK = SystemClock()
_METERED = ("agent", "flow", "plan")
"""Kinds of actions below which models may be asked."""
_LARGEST_END = 262_144
"""Characters of a planner's state that are put on record only for a picture of how it ended."""


class Drive:
    """One planner at work in one run. Completions and the decisions they lead to are on record in one batch."""

    __slots__ = (
        "context", "planner", "state", "perform", "clock", "open", "cancelling", "timer", "signals", "lines", "end",
    )  # fmt: skip

    def __init__(self, context: Context, planner: Planner, perform: Perform) -> None:
        self.context = context
        self.planner = planner
        self.perform = perform
        self.state: object = None
        self.clock: Clock = context.run.services.clock or _CLOCK
        self.open: dict[str, Action] = {}
        self.cancelling: list[str] = []
        """Ids of open actions that the planner wants stopped; nothing begins before they are."""
        self.timer: float | None = None
        """Wall time at which the planner wants to be woken; a later timer takes the place of an earlier one."""
        self.signals: tuple[str, ...] = ()
        """Names of the signals that the planner wants to observe, ``*`` for all."""
        self.lines: Sequence[Line] = ()
        self.end: End | None = None

    async def run(self, task: Task, value: JSON) -> object:
        """Drive to the end; returns the output, with the lines to be recorded together with the step it completes.

        Raises :class:`PlanFailed` when the planner ends with an error.
        """
        if self._begin(task, value) and self.end is None and (self.timer is not None or self.signals):
            await self._record(())  # so that a resumed run waits only for what is left
        while self.end is None:
            action = self._only_action()
            if action is not None:
                observation, lines = await self.act(action)
                if self.context.run.history is None and not lines:
                    self.observe(observation)
                else:
                    await self.conclude(observation, lines)
            elif self.open or self.timer is not None or self.signals:
                from agentflow_kernel.run.parallel import Parallel  # only planners that do several things pay

                await Parallel(self).run()
            else:
                raise PlanFailed(task.name, "AF-PLAN-STALLED", "The planner waits for nothing and starts nothing.")
        end, (state, size) = self.end, self._last_state()
        if end.error is not None:
            raise PlanFailed(task.name, end.code, end.error, state)
        if state is not None:
            last: dict[str, JSON] = {"state": state, "open": [], "timer": None}
            self.lines = (*self.lines, ("decision", self.context.path, last, "", size))
        return Settled(end.output, self.lines) if self.lines else end.output

    def _only_action(self) -> Action | None:
        """The only action, where nothing can happen before it has ended."""
        if len(self.open) != 1 or self.timer is not None or self.cancelling or self.signals:
            return None
        (action,) = self.open.values()
        return None if is_streamed(action) else action

    def _last_state(self) -> tuple[JSON, int]:
        """The planner's state at its end, for a picture of the run, and its size as text.

        The state is ``None`` where nobody draws one, or it is large.
        """
        if self.context.run.history is None or not hasattr(self.planner, "graph"):
            return None, 0
        try:
            state, text = to_json(self.planner.dump(self.state), self.context.path)
        except NotSerialisable:
            return None, 0
        return (state, len(text)) if len(text) <= _LARGEST_END else (None, 0)

    def _begin(self, task: Task, value: JSON) -> bool:
        """Begin, or go on where the record ends; whether it is a beginning."""
        history = self.context.run.history
        saved = history.decisions.get(self.context.path) if history is not None else None
        if saved is None:
            self.state = self.planner.begin(task)
            self.observe(Observation("started", value=value))
            if history is not None and history.intents:
                self._recognise(history.intents)
            return True
        self.state = self._load(task, saved["state"])
        actions = [Action.from_json(item) for item in cast("list[Mapping[str, JSON]]", saved["open"])]
        self.open = {action.id: action for action in actions}
        self.cancelling = list(cast("Sequence[str]", saved.get("cancel", ())))
        self.timer = cast("float | None", saved["timer"])
        self.signals = tuple(cast("Sequence[str]", saved.get("signals", ())))
        return False

    def _recognise(self, intents: Collection[str]) -> None:
        """Park a run that was begun before and begins otherwise now: the effect of what it began may be there.

        No completion is on record, so that all that was begun follows from the first decision.
        """
        above = f"{self.context.path}/"
        for path in sorted(intents):
            begun = path.removeprefix(above).partition("/")[0].partition("!")[0]
            if path.startswith(above) and begun not in self.open:
                problem = (
                    "it was begun, nobody knows whether it took effect, and the planner now begins otherwise. "
                    "Give it the plan of before, or start a new run."
                )
                raise NonDeterminism(self.context.run_id, path, problem)

    def _load(self, task: Task, document: JSON) -> object:
        """The planner's state as on record; where it no longer fits, the run is parked until a person decides."""
        try:
            return self.planner.load(task, document)
        except NonDeterminism:
            raise
        except ProtocolViolation as error:
            problem = f"its planner cannot go on from what is on record: {error}"
            raise NonDeterminism(self.context.run_id, self.context.path, problem) from error

    def observe(self, observation: Observation) -> Decision:
        """Give the planner one observation; returns its decision, with open actions and timer brought up to date."""
        observation.at = self.clock.now()
        traced = observation.traced = self.context.run.listener is not None
        if observation.kind == "timer":
            self.timer = None
        meters = self.context.run.meters
        if meters is not None:
            observation.used = meters.end(f"{self.context.path}/{observation.action_id}")
        decision = self.planner.step(self.state, observation)
        if traced:
            for name, fields in decision.events:
                self.context.tell(name, fields)
        for wait in decision.waits:
            if wait.get("type") == "timer":
                after_s = cast("float | None", wait["after_s"])
                self.timer = None if after_s is None else observation.at + after_s
            elif wait["name"] not in self.signals:
                self.signals = (*self.signals, cast("str", wait["name"]))
        if observation.kind != "piece":
            self.open.pop(observation.action_id, None)
        for action in decision.start if decision.end is None else ():
            self.open[action.id] = action
        if decision.cancel or self.cancelling:
            self.cancelling = [each for each in (*self.cancelling, *decision.cancel) if each in self.open]
        if decision.end is not None:
            self.end = decision.end
        return decision

    async def act(self, action: Action, hear: Hear | None = None) -> tuple[Observation, Sequence[Line]]:
        """Do one action, or recall it; errors become observations, cancellation and lost ownership do not.

        ``hear`` is called with each piece of a model's text.
        """
        path = self.path_of(action)
        history = self.context.run.history
        if action.kind in _METERED:
            from agentflow_kernel.run.metering import begin_meter  # only planners with parts pay

            begin_meter(self.context.run, path)
        input_hash = ""
        if history is not None:
            input_hash = hash_text(to_json(action.to_json(), path)[1])
            record = history.recall(path, input_hash)
            if record is not None:
                return _observation_of(record, action), ()
        lines: Sequence[Line] = ()
        try:
            if hear is None:
                result: object = await self.perform(self.context, action, path)
            else:
                result = await self.perform(self.context, action, path, hear)
        except ENDS_RUN:
            raise
        except BaseException as raised:
            error = stray_cancellation(raised, action.name or action.kind) or raised
            if not isinstance(error, Exception) or is_broken(history, error):
                raise
            if action.kind == "model" and not isinstance(error, AgentFlowError | ControlFlow):
                raise error from None  # a defect of the provider, which no planner can mend
            if history is not None and action.kind != "tool" and getattr(error, "resumable", False):
                raise  # the run is suspended here and asks the model again when it is resumed
            observation = Observation("error", action.id, error_value(error))
        else:
            if result.__class__ is Settled:
                lines, result = result.lines, result.value
            observation = Observation("result", action.id, result)  # type: ignore[arg-type]  # JSON is checked below
        unpriced = False
        if action.kind == "model":
            unpriced = self._note_use(observation, path)
        if history is None and action.kind != "tool":
            return observation, lines
        try:
            value, text = to_json(observation.value, path)
        except NotSerialisable as error:
            if action.kind != "tool":
                raise
            observation = Observation("error", action.id, no_json(action, error))
            value, text = to_json(observation.value, path)
        if history is None:
            return observation, lines
        observation.value = value
        payload = {"result": value} if observation.kind == "result" else {"error": value}
        if unpriced:
            payload["unpriced"] = True
        return observation, (*lines, ("step.completed", path, payload, input_hash, len(text)))

    def _note_use(self, observation: Observation, path: str) -> bool:
        """Tell the meters above what a call of a model has used; whether it failed and may have cost something."""
        value = cast("Mapping[str, JSON]", observation.value)
        unpriced = observation.kind == "error" and value["executed"] != "no"
        meters = self.context.run.meters
        if meters is not None and (unpriced or observation.kind == "result"):
            meters.note(path, cast("Mapping[str, JSON]", value.get("usage") or {}))
        return unpriced

    async def conclude(self, observation: Observation, lines: Sequence[Line]) -> Decision:
        """Take one observation to the planner, and put completion and decision on record together.

        The batch that belongs to the planner's end is kept back: it goes with the step that the planner completes.
        A piece of text that leads to nothing is not put on record: whoever resumes the run hears it again.
        """
        decision = self.observe(observation)
        if observation.kind == "piece" and not (decision.start or decision.cancel or decision.waits):
            return decision
        self.lines = (*self.lines, *lines)
        if self.end is None:
            lines, self.lines = self.lines, ()
            await self._record(lines)
        return decision

    async def _record(self, lines: Sequence[Line]) -> None:
        """Put lines and the state after them on record, then let events out."""
        run = self.context.run
        if run.history is None:
            await publish_lines(run, -1, lines)
            return
        saved: dict[str, JSON] = {
            "state": self.planner.dump(self.state),
            "open": [action.to_json() for action in self.open.values()],
            "timer": self.timer,
        }
        if self.cancelling:
            saved["cancel"] = list(self.cancelling)
        if self.signals:
            saved["signals"] = list(self.signals)
        payload, text = to_json(saved, self.context.path)
        made: list[Line] = [*lines, ("decision", self.context.path, payload, "", len(text))]
        if not self.open and (self.signals or self.timer is not None):
            from agentflow_kernel.run.listening import begin_rest  # only planners that wait pay

            made += begin_rest(self)
        await publish_lines(run, await run.history.commit(made), made)
        if run.history.due and run.alone is not None and run.alone[0] == self.context.path:
            from agentflow_kernel.run.snapshot import take_within  # only long runs pay

            await take_within(run, *run.alone, self.open)

    def path_of(self, action: Action) -> str:
        """The identity of an action: the planner's path, then the id that the planner gave it."""
        return f"{self.context.path}/{action.id}"


def is_streamed(action: Action) -> bool:
    """Whether the planner wants to hear the text of a model as it is written."""
    return action.kind == "model" and bool(action.arguments.get("stream"))


def _observation_of(record: Record, action: Action) -> Observation:
    payload = cast("Mapping[str, JSON]", record.payload)
    if "error" in payload:
        return Observation("error", action.id, payload["error"])
    return Observation("result", action.id, payload["result"])


def no_json(action: Action, error: NotSerialisable) -> dict[str, JSON]:
    """What a planner is told of a tool whose result is no JSON: it was called, and has failed as a tool."""
    what = f"Tool {action.name!r} was called and gave a result that is no JSON: {error.path or 'it'} is {error.found}."
    return {"code": error.code, "message": printable(what), "executed": "yes"}


def error_value(error: Exception) -> dict[str, JSON]:
    """What a planner is told of an error."""
    if isinstance(error, AgentFlowError):
        return {"code": error.code, "message": printable(str(error)), "executed": error.executed}
    code = "AF-TOOL-ASK-AGAIN" if isinstance(error, AskModelAgain) else "AF-TOOL-FAILED"
    message = printable(str(error)) if isinstance(error, ControlFlow) else text_of(error)
    return {"code": code, "message": message, "executed": getattr(error, "executed", "maybe")}
