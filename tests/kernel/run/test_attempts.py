"""A failed attempt leaves no trace: what a policy repeats is given what the first attempt was given."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from planner_kit import make_agent

from agentflow_kernel import Branch, Context, Flow, Kernel, Node
from agentflow_kernel.agent import ToolStep
from agentflow_kernel.errors import PeerUnavailable
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

if TYPE_CHECKING:
    from agentflow_kernel.contracts.policy import Call, Request

pytestmark = pytest.mark.anyio

GIVEN = {"log": ["a"], "items": [{"n": [1]}, {"n": [2]}]}


class Thrice:
    """A policy that makes up to three attempts."""

    def wrap(self, call: Call) -> Call:
        async def tried(request: Request) -> object:
            while True:
                try:
                    return await call(request)
                except PeerUnavailable:
                    if request.attempt == 3:
                        raise
                    request.attempt += 1

        return tried


class Plain(Thrice):
    """One that says that it never repeats; this one only passes calls on."""

    repeats = False

    def wrap(self, call: Call) -> Call:
        return call


def spoil(value: Any) -> None:
    """Change whatever can be changed in place, as deep as it goes."""
    for part in list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else ():
        spoil(part)
    if isinstance(value, list):
        value.append("spoilt")
    elif isinstance(value, dict):
        value["spoilt"] = True


class Spoiler:
    """A function that spoils what it is given, fails twice for each input, and gives back what it saw then."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def spoil(self, value: Any) -> Any:
        """One attempt."""
        seen = copy.deepcopy(value)
        self.seen.append(seen)
        spoil(value)
        if len(self.seen) % 3:
            raise PeerUnavailable("down")
        return seen

    async def aspoil(self, value: Any, *_: object) -> Any:
        """The same in the event loop."""
        return self.spoil(value)


def function(spoiler: Spoiler) -> Flow:
    return Flow("f", policies=[Thrice()]).step(spoiler.aspoil, name="n")


def inline(spoiler: Spoiler) -> Flow:
    return Flow("f").step(spoiler.spoil, name="n", blocking="inline", policies=[Thrice()])


def thread(spoiler: Spoiler) -> Flow:
    return Flow("f").step(spoiler.spoil, name="n", policies=[Plain(), Thrice()])


def items(spoiler: Spoiler) -> Flow:
    flow = Flow("f").step(spoiler.aspoil, name="n", each={"$ref": "input.items"}, concurrency=1, policies=[Thrice()])
    return flow.step(spoiler.aspoil, name="all", each={"$ref": "input.items"}, batch_size=2, policies=[Thrice()])


def phases(spoiler: Spoiler) -> Flow:
    class Work(Node):
        async def exec(self, prepared: Any) -> Any:
            return await spoiler.aspoil(prepared)

    return Flow("f").step(Work, name="n", policies=[Thrice()])


def branch(spoiler: Spoiler) -> Flow:
    return Flow("f").parallel({"a": Branch(spoiler.aspoil, policies=[Thrice()])}, name="n")


def fork(spoiler: Spoiler) -> Flow:
    return Flow("f").parallel({"a": spoiler.aspoil}, name="n", policies=[Thrice()])


def nested(spoiler: Spoiler) -> Flow:
    return Flow("f").step(Flow("n").step(spoiler.aspoil, name="inner"), policies=[Thrice()])


def shared(spoiler: Spoiler) -> Flow:
    inner = Flow("n").step(spoiler.aspoil, name="inner").keeps(scope="shared")
    return Flow("f").step(inner, policies=[Thrice()])


def tool(spoiler: Spoiler) -> Flow:
    toolset = FunctionToolset()
    toolset.add("spoil", spoiler.aspoil)
    return Flow("f").step(ToolStep("kit.spoil", toolset, "spoil"), name="n", policies=[Thrice()])


@pytest.mark.parametrize("journalled", [False, True])
@pytest.mark.parametrize(
    "make",
    [function, inline, thread, items, phases, branch, fork, nested, shared, tool],
    ids=lambda make: make.__name__,
)
async def test_every_attempt_is_given_the_value_as_it_was(make: Any, journalled: bool) -> None:
    """Whatever a node is made of, with and without a journal; the caller's value stays whole as well."""
    spoiler, given = Spoiler(), copy.deepcopy(GIVEN)
    flow = make(spoiler)
    if journalled:
        async with Kernel(journal=InProcessJournal()) as kernel:
            await kernel.run(flow, given)
    else:
        await flow.run(given)
    assert len(spoiler.seen) in (3, 9)
    for first in range(0, len(spoiler.seen), 3):
        assert spoiler.seen[first] == spoiler.seen[first + 1] == spoiler.seen[first + 2]
    assert "spoilt" not in str(spoiler.seen)
    assert given == GIVEN


def test_a_flow_of_plain_functions_without_a_loop_does_so_too() -> None:
    """Policies there need no event loop either."""
    spoiler = Spoiler()
    assert Flow("f").step(spoiler.spoil, name="n", policies=[Thrice()]).run_sync([1]) == [1]
    assert spoiler.seen == [[1]] * 3


async def test_every_attempt_of_an_agents_tool_is_given_the_arguments_of_the_model() -> None:
    """And the model is shown what it asked for, not what became of it."""
    spoiler, toolset = Spoiler(), FunctionToolset()
    toolset.add("spoil", spoiler.aspoil)
    agent = make_agent([[("kit.spoil", {"paths": ["a"]})], "done"], toolset, policies=[Thrice()])
    assert await Flow("f").step(agent).run("go") == "done"
    assert spoiler.seen == [{"paths": ["a"]}] * 3
    (call,) = agent.provider.requests[1].messages[1].calls
    assert call.arguments == {"paths": ["a"]}


async def test_post_sees_what_the_attempt_that_succeeded_made_of_it_and_a_fallback_what_prep_gave() -> None:
    """As without a policy: only failed attempts leave no trace."""
    told = []

    class Work(Node):
        fails = 2

        async def prep(self, shared: Any, value: Any) -> Any:
            self.left = self.fails
            return []

        async def exec(self, prepared: Any) -> Any:
            prepared.append(self.left)
            self.left -= 1
            if self.left >= 0:
                raise PeerUnavailable("down")

        async def exec_fallback(self, prepared: Any, error: Exception) -> Any:
            told.append(("fallback", prepared))

        async def post(self, shared: Any, prepared: Any, result: Any) -> None:
            told.append(("post", prepared))

    class Failing(Work):
        fails = 3

    await Flow("f", policies=[Thrice()]).step(Work).step(Failing).run()
    assert told == [("post", [0]), ("fallback", []), ("post", [])]


@pytest.mark.parametrize("journalled", [False, True])
async def test_the_result_of_a_durable_step_and_a_signal_are_found_again_as_they_were(journalled: bool) -> None:
    """An attempt may change what a sub-step or a wait gave it; the next one is given that again."""
    seen = []

    async def work(value: Any, context: Context) -> None:
        found = [await context.step("load", lambda: ["a"])]
        if journalled:
            found.append(await context.wait("go"))
        seen.append(copy.deepcopy(found))
        spoil(found)
        if context.attempt < 3:
            raise PeerUnavailable("down")

    flow = Flow("f").step(work, policies=[Thrice()])
    if journalled:
        async with Kernel(journal=InProcessJournal()) as kernel:
            handle = await kernel.start(flow)
            await handle.signal("go", {"by": ["b"]})
            await handle.result()
    else:
        await flow.run()
    assert seen == [[["a"], {"by": ["b"]}] if journalled else [["a"]]] * 3


@pytest.mark.parametrize(("policies", "copies"), [([], 0), ([Plain()], 0), ([Plain(), Thrice()], 1)])
async def test_only_policies_that_may_repeat_cost_a_copy(policies: Any, copies: int) -> None:
    """A node without them is handed the object itself."""
    given, seen = [1], []

    async def look(value: Any) -> None:
        seen.append(value is given)

    await Flow("f").step(look, policies=policies).run(given)
    assert seen == [not copies]


@pytest.mark.parametrize(("policies", "copies"), [([], 0), ([Plain()], 0), ([Thrice()], 1)])
async def test_the_result_of_a_durable_step_is_copied_only_where_it_may_be_found_again(
    policies: Any, copies: int
) -> None:
    loaded, seen = [1], []

    async def look(value: Any, context: Context) -> None:
        seen.append(await context.step("load", lambda: loaded) is loaded)

    await Flow("f").step(look, policies=policies).run()
    assert seen == [not copies]
