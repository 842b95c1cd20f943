"""An agent: a provider, tools, a planner and policies bound together; the model loop itself is a planner."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.planner import PlanScope, Task
from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import InputInvalid, UnknownName, UsageError
from agentflow_kernel.flow.asking import schema_problems
from agentflow_kernel.flow.graph import check_choice
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.bind import may_repeat, wrap
from agentflow_kernel.run.drive import Drive
from agentflow_kernel.schema import find_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Mapping, Sequence

    from agentflow_kernel.contracts.planner import Action, Planner
    from agentflow_kernel.contracts.policy import Call, Policy
    from agentflow_kernel.contracts.provider import ModelReply, Prices, Provider, Usage
    from agentflow_kernel.contracts.tool import Tool, ToolOutcome, Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.flow.asking import Approval
    from agentflow_kernel.run.acting import Parts
    from agentflow_kernel.run.drive import Hear
    from agentflow_kernel.run.history import History, OnUnknown
    from agentflow_kernel.run.runtime import Context


class ModelSettings:
    """Which model of a provider to ask, and with which limits; ``None`` leaves a limit to the provider.

    With ``prices`` the cost of a call is reckoned from them, not from what the provider knows.
    """

    __slots__ = ("model", "max_tokens", "temperature", "prices")

    def __init__(
        self,
        model: str = "",
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.model = model
        self.prices = prices
        self.max_tokens = max_tokens
        self.temperature = temperature

    def cost_of(self, usage: Usage) -> float | None:
        """US dollars for one call, ``None`` where no price is known."""
        return usage.cost_usd if self.prices is None else self.prices.cost_of(usage)


_DEFAULT_MODEL = ModelSettings()


class Agent:
    """Give it to a flow as a step, or run it by name in a kernel; one agent serves any number of runs at once.

    ``tools`` maps a prefix to a toolset: the tool ``read`` of ``{"files": toolset}`` is ``files.read``. ``only``
    names the tools the agent may use (``files`` or ``files.read``), all of them when it is ``None``. The policies
    stand round each model call and each tool call, the first one outermost. With ``approve`` (``True``, or options as
    :class:`Approval` has them) a tool with the effect ``effect``, or one that the options name, waits until a person
    has approved it with exactly its arguments; the planner is told of a refusal as of an error of the tool.
    ``on_unknown`` says what becomes of a call with the effect ``effect`` that a crash has left without a word, where
    nobody can be asked: ``stuck`` parks the run for a person, ``retry`` calls again with the same key, ``fail`` tells
    the planner of an error. ``parts``
    are the agents, flows and plans that actions of the planner may name; most planners ask for tools only.
    """

    kind = "agent"

    __slots__ = (
        "name", "provider", "planner", "instructions", "tools", "only", "policies", "output_schema", "model",
        "approve", "on_unknown", "parts", "_bound",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        provider: Provider,
        planner: Planner,
        *,
        instructions: str = "",
        tools: Mapping[str, Toolset] | None = None,
        only: Sequence[str] | None = None,
        policies: Sequence[Policy] = (),
        output_schema: Mapping[str, JSON] | None = None,
        model: ModelSettings = _DEFAULT_MODEL,
        approve: object = None,
        on_unknown: OnUnknown = "stuck",
        parts: Parts | None = None,
    ) -> None:
        check_choice(f"Agent {name!r}", "on_unknown", on_unknown)
        for problem in schema_problems("output_schema", output_schema):
            raise UsageError(f"Agent {name!r}: {problem}.")
        self.name = name
        self.provider = provider
        self.planner = planner
        self.instructions = instructions
        self.tools = tools
        self.only = only
        self.policies = policies
        self.output_schema = output_schema
        self.model = model
        self.approve = _approval(approve)
        self.on_unknown: OnUnknown = on_unknown
        self.parts = parts
        self._bound: BoundAgent | None = None

    def read_plan(self) -> object:
        """What its planner made of its document, ``None`` without one."""
        return None

    def perform(self, context: Context, value: JSON) -> Awaitable[object]:
        """Run the agent as one action of a run; the engine calls this.

        Raises :class:`PlanFailed` when the planner ends with an error.
        """
        bound = self._bound
        if bound is None:
            bound = self._bound = BoundAgent(self)
        work, observer = Drive(context, self.planner, bound.act).run(bound.task, value), context.run.observer
        return work if observer is None else observer.agent(self, context.path, work)


class BoundAgent:
    """An agent made ready: its tools by full name, its calls with the policies round them."""

    __slots__ = ("agent", "task", "_tools", "_infos", "_model_call", "_tool_call", "_asks", "_afresh")

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._tools = dict(tools_of(agent))
        self._infos = {
            name: ToolInfo(name, tool.description, tool.parameters) for name, (_, tool) in self._tools.items()
        }
        tools = {name: tool for name, (_, tool) in self._tools.items()}
        self.task = Task(
            agent.name,
            instructions=agent.instructions,
            tools=tools,
            output_schema=agent.output_schema,
            plan=agent.read_plan(),
            scope=scope_of(tools, agent.parts),
        )
        self._asks = _asking_tools(agent, self._tools)
        policies = list(agent.policies)
        self._afresh = may_repeat(policies)
        self._model_call: Call = wrap(policies, self._ask)
        self._tool_call: Call = wrap(policies, self._use)

    def act(self, context: Context, action: Action, path: str, hear: Hear | None = None) -> Awaitable[object]:
        """Do one action of the planner; a run that waits is made of few coroutines, so this is none."""
        if action.kind == "model":
            return self._model(context, action, path, hear)
        if action.kind == "tool":
            return self._tool(context, action, path)
        from agentflow_kernel.run.acting import Parts, act  # only planners that do more pay

        return act(context, action, path, self.agent.parts or Parts())

    async def _model(self, context: Context, action: Action, path: str, hear: Hear | None) -> JSON:
        request, call, observer = self._request(context, action, path), self._model_call, context.run.observer
        if hear is not None and hasattr(self.agent.provider, "stream"):
            from agentflow_kernel.run.overhearing import overheard  # only planners that listen pay

            request.payload = overheard(cast("ModelRequest", request.payload), hear)
        told = call(request) if observer is None else observer.chat(self.agent, context.path, request, call)
        reply = cast("ModelReply", await told)
        _note_attempts(context, request)
        document, settings = reply.to_json(), self.agent.model
        if settings.prices is not None:
            usage = cast("dict[str, JSON]", document["usage"])
            usage["cost_usd"] = settings.cost_of(reply.usage)
        return document

    def _request(self, context: Context, action: Action, path: str) -> Request:
        """The call of the model on its way through the policies; its parts must not stay while the model thinks."""
        arguments, settings = action.arguments, self.agent.model
        names = cast("list[str]", arguments.get("tools") or [])
        key = context.run.key_of(path)
        asked = ModelRequest(
            [Message.from_json(message) for message in cast("list[Mapping[str, JSON]]", arguments["messages"])],
            model=settings.model,
            tools=[self._info(name) for name in names],
            output_schema=cast("Mapping[str, JSON] | None", arguments.get("output_schema")),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            key=key,
        )
        return Request("model", self.agent.name, asked, run_id=context.run_id, path=path, key=key)

    def _info(self, name: str) -> ToolInfo:
        found = self._infos.get(name)
        if found is None:
            raise UnknownName(f"tool of agent {self.agent.name!r}", name, self._infos)
        return found

    async def _tool(self, context: Context, action: Action, path: str) -> JSON:
        found = self._tools.get(action.name)
        if found is None:
            raise UnknownName("tool", action.name, self._tools)
        if action.name in self._asks:
            await self._approve(context, action, path)
        effect, key = found[1].effect, context.run.key_of(path)
        history = context.run.history
        if effect == "effect" and history is not None:
            outcome = await self._begin(history, action, ToolContext(context.run_id, path, key))
            if outcome is not None and outcome.executed == "yes":
                return outcome.result
        request = Request(
            "tool",
            action.name,
            action.arguments,
            run_id=context.run_id,
            path=path,
            key=key,
            idempotent=effect != "effect",
        )
        call, observer = self._tool_call, context.run.observer
        used = call(request) if observer is None else observer.use(found[1], context.path, request, call)
        result = cast("JSON", await used)
        _note_attempts(context, request)
        return result

    async def _begin(self, history: History, action: Action, call: ToolContext) -> ToolOutcome | None:
        """Put on record that a call begins; of one that had begun before, what its receiver says, if it knows."""
        if call.path in history.intents:
            from agentflow_kernel.run.outcome import ask_receiver  # only after a crash in the midst of a call

            outcome = await ask_receiver(history, self._tools[action.name], action.arguments, call)
            if outcome.executed != "maybe":
                return outcome
        await history.begin_effect(call.path, "tool", action.name, on_unknown=self.agent.on_unknown)
        return None

    async def _approve(self, context: Context, action: Action, path: str) -> None:
        """Return once a person has approved the call; raises :class:`ApprovalRefused`."""
        from agentflow_kernel.run.questions import approve_action  # only agents that need approval pay

        approval = cast("Approval", self.agent.approve)
        asked = (f"tool {action.name}", cast("JSON", dict(action.arguments)))
        await approve_action(context, f"{path}!approve", asked, approval)

    def _ask(self, request: Request) -> Awaitable[object]:
        ask = getattr(request.payload, "ask", None)
        if ask is not None:
            return cast("Awaitable[object]", ask(self.agent.provider))
        return self.agent.provider.complete(cast("ModelRequest", request.payload))

    def _use(self, request: Request) -> Awaitable[object]:
        toolset, tool = self._tools[request.name]
        context = ToolContext(request.run_id, request.path, request.key, request.attempt)
        arguments = copied(request.payload) if self._afresh else request.payload
        return toolset.call(tool.name, cast("Mapping[str, JSON]", arguments), context)


def scope_of(tools: Mapping[str, Tool], parts: Parts | None) -> PlanScope:
    """What a planner's actions may name."""
    if parts is None:
        return PlanScope(tools=tools, agents={}, flows={}, plans={})
    agents, flows, plans = (
        {name: parts.described.get(f"{kind}/{name}", "") for name in known}
        for kind, known in (("agent", parts.agents), ("flow", parts.flows), ("plan", parts.plans))
    )
    return PlanScope(tools=tools, agents=agents, flows=flows, plans=plans)


def _approval(option: object) -> Approval | None:
    if option is None or option is False:
        return None
    from agentflow_kernel.flow.asking import Approval  # lazy: only agents that need approval pay

    approval = Approval.of(option)
    for problem in approval.problems() if approval is not None else ():
        raise UsageError(f"approve: {problem}.")
    return approval


def _asking_tools(agent: Agent, tools: Mapping[str, tuple[Toolset, Tool]]) -> Collection[str]:
    """The tools that a person must approve; raises :class:`UnknownName` for one that is not there."""
    if agent.approve is None:
        return ()
    wanted = agent.approve.tools
    if wanted is None:
        return {name for name, (_, tool) in tools.items() if tool.effect == "effect"}
    for each in wanted:
        if each not in tools and each not in (agent.tools or {}):
            raise UnknownName(f"tool of agent {agent.name!r}", each, tools)
    return {name for name in tools if name in wanted or name.split(".")[0] in wanted}


def _note_attempts(context: Context, request: Request) -> None:
    """Have the record say how often the call was made."""
    if request.attempt > 1 and context.run.history is not None:
        context.run.history.attempts[request.path] = request.attempt


def tools_of(agent: Agent) -> list[tuple[str, tuple[Toolset, Tool]]]:
    """The agent's tools by full name.

    Raises :class:`UsageError` for a tool that is named twice, is not there, or has parameters that are no schema.
    """
    offered: dict[str, tuple[Toolset, Tool]] = {}
    for prefix, toolset in (agent.tools or {}).items():
        for tool in toolset.tools():
            name = f"{prefix}.{tool.name}"
            if name in offered:
                raise UsageError(f"Agent {agent.name!r}: two tools are called {name!r}.")
            offered[name] = (toolset, tool)
    if agent.only is not None:
        for wanted in agent.only:
            if wanted not in offered and wanted not in (agent.tools or {}):
                raise UnknownName(f"tool of agent {agent.name!r}", wanted, offered)
        offered = {name: offered[name] for name in offered if {name, name.split(".")[0]}.intersection(agent.only)}
    for name, (_, tool) in offered.items():
        check_parameters(name, tool)
    return list(offered.items())


def check_parameters(name: str, tool: Tool) -> None:
    """Raise :class:`UsageError` for a tool whose parameters are no sound JSON Schema: it would be called at random."""
    for problem in schema_problems("the schema of its parameters", tool.parameters):
        raise UsageError(f"Tool {name!r}: {problem}.")


class ToolStep:
    """One tool as a step of a flow: the step's input is the tool's arguments, its result the step's result."""

    kind = "tool"

    __slots__ = ("name", "toolset", "tool", "effect")

    def __init__(self, name: str, toolset: Toolset, tool: str) -> None:
        known = {offered.name: offered for offered in toolset.tools()}
        if tool not in known:
            raise UnknownName(f"tool of {name.partition('.')[0]!r}", tool, known)
        self.name = name
        self.toolset = toolset
        self.tool = known[tool]
        check_parameters(name, self.tool)
        self.effect = self.tool.effect

    async def perform(self, context: Context, value: JSON) -> JSON:
        """Call the tool; the engine calls this."""
        problems = find_problems(value, self.tool.parameters)
        if problems or not isinstance(value, dict):
            raise InputInvalid(f"The arguments of tool {self.name!r}", "; ".join(problems) or "must be an object")
        call = ToolContext(context.run_id, context.path, context.key, context.attempt)
        observer = context.run.observer
        if observer is None:
            return await self.toolset.call(self.tool.name, value, call)
        request = Request("tool", self.name, value, path=context.path)
        used = observer.use(self.tool, context.path, request, lambda _: self.toolset.call(self.tool.name, value, call))
        return cast("JSON", await used)
