"""An agent asks its model, uses its tools and answers, each call an action with a path, a key and policies."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from planner_kit import Loop, make_agent

from agentflow_kernel import Agent, Flow, Kernel
from agentflow_kernel.agent import ModelSettings, ToolStep
from agentflow_kernel.contracts.planner import Action, Decision, End
from agentflow_kernel.errors import (
    AskModelAgain,
    PathRefused,
    PeerUnavailable,
    PlanFailed,
    RunFailed,
    ToolFailed,
    UnknownName,
    UsageError,
)
from agentflow_kernel.testing import FunctionToolset, InProcessJournal, ScriptedProvider

pytestmark = pytest.mark.anyio


async def echo(arguments: Any) -> Any:
    return arguments


def toolset_of(**functions: Any) -> FunctionToolset:
    """A toolset of pure tools."""
    toolset = FunctionToolset()
    for name, function in functions.items():
        toolset.add(name, function)
    return toolset


async def run(agent: Agent, value: object = "question") -> Any:
    """The output of an agent run by itself in a kernel."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(agent, value)


async def test_an_agent_answers_without_tools() -> None:
    """One model call; the planner's output is the agent's."""
    agent = make_agent(["forty-two"])
    assert await run(agent) == "forty-two"
    (request,) = agent.provider.requests
    assert [(message.role, message.text) for message in request.messages] == [("user", "question")]


async def test_tool_calls_go_to_the_toolset_by_their_local_names() -> None:
    """The prefix is the agent's; the answer goes back to the model."""
    toolset = toolset_of(read=echo)
    agent = make_agent([[("kit.read", {"path": "a"})], "done"], toolset)
    assert await run(agent) == "done"
    ((name, arguments, context),) = toolset.calls
    assert (name, arguments, context.attempt) == ("read", {"path": "a"}, 1)
    assert context.path == "helper/tool1-0"
    assert [message.role for message in agent.provider.requests[1].messages] == ["user", "assistant", "tool"]


async def test_every_call_has_a_key_made_of_run_and_path() -> None:
    """Model, tools and policies get it, so that a receiver can tell a repetition."""
    requests: list[Any] = []

    class Keeping:
        def wrap(self, call: Any) -> Any:
            async def kept(request: Any) -> Any:
                requests.append(request)
                return await call(request)

            return kept

    toolset = toolset_of(read=echo)
    agent = make_agent([[("kit.read", {})], "done"], toolset, policies=[Keeping()])
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent, "question")
        await handle.result()

    def key(path: str) -> str:
        return sha256(f"{handle.run_id}\n{path}".encode()).hexdigest()[:32]

    assert [request.key for request in agent.provider.requests] == [key("helper/model1"), key("helper/model2")]
    assert (toolset.calls[0][2].key, toolset.calls[0][2].run_id) == (key("helper/tool1-0"), handle.run_id)
    assert all((request.key, request.run_id) == (key(request.path), handle.run_id) for request in requests)
    assert len(requests) == 3


async def test_the_model_is_asked_as_the_settings_and_the_planner_say() -> None:
    """Model name and limits come from the agent; tools and schema from the planner's action."""

    class Asks(Loop):
        def _ask(self, state: Any) -> Decision:
            schema = {"type": "string"}
            arguments = {"messages": list(state["messages"]), "tools": ["kit.read"], "output_schema": schema}
            return Decision([Action("model1", "model", arguments=arguments)])

    settings = ModelSettings("large-1", max_tokens=100, temperature=0.5)
    agent = make_agent(["done"], toolset_of(read=echo), planner=Asks(), model=settings)
    await run(agent)
    (request,) = agent.provider.requests
    assert (request.model, request.max_tokens, request.temperature) == ("large-1", 100, 0.5)
    assert [tool.name for tool in request.tools] == ["kit.read"]
    assert request.output_schema == {"type": "string"}


async def test_the_planner_is_told_its_task_once() -> None:
    """Instructions, tools by full name and output schema; ``started`` brings the input."""
    tasks: list[Any] = []

    class Looks(Loop):
        def begin(self, task: Any) -> Any:
            tasks.append(task)
            return super().begin(task)

    agent = make_agent(
        ["done"], toolset_of(read=echo), planner=Looks(), instructions="Be brief.", output_schema={"type": "string"}
    )
    await run(agent)
    (task,) = tasks
    assert (task.name, task.instructions, list(task.tools)) == ("helper", "Be brief.", ["kit.read"])
    assert task.output_schema == {"type": "string"}


class Foreign(Exception):
    """An error of some library, with a code of its own kind."""

    code = 404


@pytest.mark.parametrize(
    ("error", "value"),
    [
        (ToolFailed("no such thing"), {"code": "AF-TOOL-FAILED", "message": "no such thing", "executed": "maybe"}),
        (AskModelAgain("path, please"), {"code": "AF-TOOL-ASK-AGAIN", "message": "path, please", "executed": "maybe"}),
        (PeerUnavailable("down"), {"code": "AF-PEER-UNAVAILABLE", "message": "down", "executed": "maybe"}),
        (
            PathRefused("..", "it leaves the root"),
            {"code": "AF-PATH-REFUSED", "message": "Path '..' is refused: it leaves the root", "executed": "no"},
        ),
        (Foreign("gone \udcff"), {"code": "AF-TOOL-FAILED", "message": "Foreign: gone \\udcff", "executed": "maybe"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_an_error_of_a_tool_is_an_observation(error: Exception, value: object) -> None:
    """The planner decides what becomes of it: code, message, and whether it took effect."""

    async def fail(arguments: Any) -> Any:
        raise error

    agent = make_agent([[("kit.read", {})], "done"], toolset_of(read=fail))
    assert await run(agent) == "done"
    answer = agent.provider.requests[1].messages[-1]
    assert (answer.text, answer.is_error) == (str(value), True)


async def test_a_tool_that_does_not_exist_is_an_observation_too() -> None:
    """The model may have misspelt it; the text says what there is."""
    agent = make_agent([[("kit.raed", {})], "done"], toolset_of(read=echo))
    assert await run(agent) == "done"
    answer = agent.provider.requests[1].messages[-1]
    assert "Unknown tool 'kit.raed'. Known: 'kit.read'. Did you mean 'kit.read'?" in answer.text


async def test_a_planner_that_offers_an_unknown_tool_to_the_model_is_told() -> None:
    """A typed error that names the nearest tool, not a KeyError."""

    class Offers(Loop):
        def _ask(self, state: Any) -> Decision:
            return Decision([Action("model1", "model", arguments={"messages": [], "tools": ["kit.raed"]})])

    with pytest.raises(RunFailed, match=r"Unknown tool of agent 'helper' 'kit.raed'.*Did you mean 'kit.read'"):
        await run(make_agent(["done"], toolset_of(read=echo), planner=Offers()))


async def test_a_planner_that_ends_with_an_error_fails_the_agent_with_its_code() -> None:
    """``PlanFailed`` carries the planner's own code and reason."""

    class GivesUp(Loop):
        def _ask(self, state: Any) -> Decision:
            return Decision(end=End(error="too hard", code="AF-TEST-GAVE-UP"))

    agent = make_agent([], planner=GivesUp())
    with pytest.raises(PlanFailed, match="'helper' did not reach its goal: too hard") as caught:
        await Flow("f").step(agent).run("question")
    assert caught.value.code == "AF-TEST-GAVE-UP"
    with pytest.raises(RunFailed, match="too hard") as failed:
        await run(agent)
    assert (failed.value.code, failed.value.path) == ("AF-TEST-GAVE-UP", "helper")


async def test_a_planner_that_neither_acts_nor_ends_is_stopped() -> None:
    """It would wait for ever."""

    class Idle(Loop):
        def _ask(self, state: Any) -> Decision:
            return Decision()

    with pytest.raises(RunFailed, match="waits for nothing and starts nothing") as caught:
        await run(make_agent([], planner=Idle()))
    assert caught.value.code == "AF-PLAN-STALLED"


async def test_a_planner_may_end_before_it_does_anything() -> None:
    """The end of the first decision is the output."""

    class Knows(Loop):
        def _ask(self, state: Any) -> Decision:
            return Decision(end=End({"known": True}))

    assert await run(make_agent([], planner=Knows())) == {"known": True}


async def test_a_defect_of_the_provider_fails_the_run() -> None:
    """No planner can mend it."""

    class Broken(ScriptedProvider):
        async def complete(self, request: Any) -> Any:
            raise KeyError("choices")

    agent = Agent("helper", Broken([]), Loop())
    with pytest.raises(RunFailed, match="KeyError: 'choices'") as caught:
        await run(agent)
    assert caught.value.code == "AF-NODE-FAILED"


@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "alone"])
async def test_a_tool_result_that_is_no_json_is_an_error_of_the_tool(kernel: bool) -> None:
    """It could not be given back after a crash; the planner is told, and that the tool was called."""

    async def bad(arguments: Any) -> Any:
        return {"found": [{1, 2}]}

    agent = make_agent([[("kit.read", {})], "done"], toolset_of(read=bad))
    assert await (run(agent) if kernel else Flow("f").step(agent).run("question")) == "done"
    answer = agent.provider.requests[1].messages[-1]
    told = "Tool 'kit.read' was called and gave a result that is no JSON: .found[0] is a set."
    assert answer.is_error
    assert answer.text == str({"code": "AF-NOT-SERIALISABLE", "message": told, "executed": "yes"})


class Noting:
    """A policy that notes each call on its way in and out."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name = name
        self.log = log
        self.wrapped = 0

    def wrap(self, call: Any) -> Any:
        self.wrapped += 1

        async def noted(request: Any) -> Any:
            self.log.append((self.name, request.kind, request.name, request.path, request.idempotent))
            return await call(request)

        return noted


async def test_policies_stand_round_each_model_and_tool_call_the_first_outermost() -> None:
    """Composed once for each of the two, whatever the number of runs."""
    log: list[Any] = []
    toolset = FunctionToolset()
    toolset.add("read", echo)
    toolset.add("pay", echo, effect="effect")
    outer, inner = Noting("outer", log), Noting("inner", log)
    agent = make_agent([[("kit.read", {})], [("kit.pay", {})], "done"], toolset, policies=[outer, inner])
    await run(agent)
    assert log == [
        (name, *call)
        for call in [
            ("model", "helper", "helper/model1", True),
            ("tool", "kit.read", "helper/tool1-0", True),
            ("model", "helper", "helper/model2", True),
            ("tool", "kit.pay", "helper/tool2-0", False),
            ("model", "helper", "helper/model3", True),
        ]
        for name in ("outer", "inner")
    ]
    await run(agent)
    assert (outer.wrapped, inner.wrapped) == (2, 2)


async def test_policies_of_the_step_stand_round_the_agent_as_a_whole() -> None:
    """One call for all of its turns."""
    log: list[Any] = []
    flow = Flow("f").step(make_agent([[("kit.read", {})], "done"], toolset_of(read=echo)), policies=[Noting("p", log)])
    assert await flow.run("question") == "done"
    assert log == [("p", "agent", "helper", "helper", True)]


async def test_a_retried_tool_call_sees_its_attempt() -> None:
    """The key stays the same."""
    attempts: list[tuple[int, str]] = []

    class Retry:
        def wrap(self, call: Any) -> Any:
            async def retried(request: Any) -> Any:
                try:
                    return await call(request)
                except PeerUnavailable:
                    request.attempt += 1
                    return await call(request)

            return retried

    toolset = FunctionToolset()

    async def flaky(arguments: Any) -> Any:
        context = toolset.calls[-1][2]
        attempts.append((context.attempt, context.key))
        if context.attempt == 1:
            raise PeerUnavailable("down")
        return "up"

    toolset.add("read", flaky)
    await run(make_agent([[("kit.read", {})], "done"], toolset, policies=[Retry()]))
    assert [attempt for attempt, _ in attempts] == [1, 2]
    assert len({key for _, key in attempts}) == 1


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (None, ["a.one", "a.two", "b.one"]),
        (["a"], ["a.one", "a.two"]),
        (["a.two", "b"], ["a.two", "b.one"]),
        ([], []),
    ],
)
async def test_only_the_named_tools_are_offered(only: list[str] | None, names: list[str]) -> None:
    """A whole set by its prefix, a single tool by its full name."""
    tasks: list[Any] = []

    class Looks(Loop):
        def begin(self, task: Any) -> Any:
            tasks.append(task)
            return super().begin(task)

    tools = {"a": toolset_of(one=echo, two=echo), "b": toolset_of(one=echo)}
    await run(Agent("helper", ScriptedProvider(["done"]), Looks(), tools=tools, only=only))
    assert list(tasks[0].tools) == names


async def test_a_tool_that_is_named_but_not_offered_is_an_error_of_the_agent() -> None:
    """With the nearest one."""
    agent = Agent("helper", ScriptedProvider([]), Loop(), tools={"a": toolset_of(one=echo)}, only=["a.oen"])
    with pytest.raises(UnknownName, match=r"Unknown tool of agent 'helper' 'a.oen'. .*Did you mean 'a.one'\?"):
        await Flow("f").step(agent).run()


async def test_a_tool_whose_parameters_are_no_sound_schema_is_refused_where_it_is_taken_up() -> None:
    """By a flow when it is built, by an agent before its first call; one that is not offered is not looked at."""
    toolset = toolset_of(good=echo)
    toolset.add("slip", echo, parameters={"type": "object", "propertis": {}})
    told = r"Tool 'kit.slip': the schema of its parameters is no sound JSON Schema: /propertis: .*did you mean"
    with pytest.raises(UsageError, match=told):
        ToolStep("kit.slip", toolset, "slip")
    with pytest.raises(UsageError, match=told):
        await Flow("f").step(make_agent(["done"], toolset)).run()
    agent = Agent("helper", ScriptedProvider(["done"]), Loop(), tools={"kit": toolset}, only=["kit.good"])
    assert await Flow("f").step(agent).run() == "done"


async def test_one_agent_serves_runs_at_the_same_time() -> None:
    """State belongs to the run: each conversation is its own."""
    import anyio

    agent = make_agent([[("kit.read", {})], "done"], toolset_of(read=echo))
    flow = Flow("f").step(agent, each={"$ref": "input"}, concurrency=4)
    async with Kernel(journal=InProcessJournal()) as kernel:
        outputs: list[Any] = []

        async def one(value: str) -> None:
            outputs.append(await kernel.run(flow, [value, value]))

        async with anyio.create_task_group() as group:
            for value in "abc":
                group.start_soon(one, value)
    assert outputs == [["done", "done"]] * 3
    firsts = sorted(request.messages[0].text for request in agent.provider.requests if len(request.messages) == 1)
    assert firsts == ["a", "a", "b", "b", "c", "c"]


async def test_events_of_the_planner_are_told_with_the_path_of_the_agent() -> None:
    """Progress, where somebody listens."""

    class Tells(Loop):
        def step(self, state: Any, observation: Any) -> Decision:
            decision = super().step(state, observation)
            return Decision(decision.start, end=decision.end, events=[("turn.taken", {"kind": observation.kind})])

    seen: list[Any] = []
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(lambda event: seen.append(event) if event.name == "turn.taken" else None)
        await kernel.run(make_agent(["done"], planner=Tells()), "question")
    assert [(event.path, event.fields) for event in seen] == [
        ("helper", {"node": "helper", "kind": "started"}),
        ("helper", {"node": "helper", "kind": "result"}),
    ]


async def test_an_agent_works_without_a_kernel() -> None:
    """As a step of a flow that is run by itself."""
    toolset = toolset_of(read=echo)
    flow = Flow("f").step(make_agent([[("kit.read", {"n": 1}), ("kit.read", {"n": 2})], "done"], toolset))
    assert await flow.run("question") == "done"
    assert len(toolset.calls) == 2
