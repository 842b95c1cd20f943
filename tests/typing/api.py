"""How the public names are used, for the type checker: checked by `nox -s types`, never run.

A line that must be refused carries `type: ignore` with its code; an ignore that is not needed is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from agentflow_kernel import END, Agent, Context, Event, Flow, Kernel, Node, Route, RunHandle, StateKey, node
from agentflow_kernel.contracts.bus import Ack
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.testing import FakeClock, FunctionToolset, ScriptedProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal, RunInfo
    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.flow import StateView


def split(text: str) -> list[str]:
    """A plain step."""
    return text.split()


async def count(words: list[str], context: Context) -> Route:
    """A step with context that chooses the next one."""
    context.progress(len(words), unit="words")
    return Route("many" if len(words) > 3 else "few", len(words))


class Store(Node):
    """A step with three phases."""


def build(planner: Planner) -> Flow:
    """A flow with every kind of step."""
    provider: Provider = ScriptedProvider(["done"])
    toolset: Toolset = FunctionToolset()
    agent = Agent("helper", provider, planner, tools={"own": toolset})
    flow = Flow("words").step(split).step(count, routes={"many": "Store", "few": END}).step(Store, name="Store")
    assert_type(flow, Flow)
    return flow.step(agent, name="helper")


async def run(flow: Flow) -> None:
    """A kernel, a run and what can be asked of it."""
    clock: Clock = FakeClock(auto=True)
    journal: Journal = InProcessJournal()
    async with Kernel(journal=journal, clock=clock) as kernel:

        @kernel.on("order.*")
        async def heard(event: Event) -> Ack:
            return Ack()

        handle = await kernel.start(flow, {"text": "a b c"})
        assert_type(handle, RunHandle)
        assert_type(await handle.result(), object)
        infos: Sequence[RunInfo] = await kernel.runs()
        await kernel.publish(Event("order.created", {"id": infos[0].run_id}))
        await kernel.publish("order.created")  # type: ignore[arg-type]
        await kernel.resume(7)  # type: ignore[arg-type]


COUNT = StateKey("count", int, default=0)
NAMES = StateKey("names", list[str], reducer="append")


class Counts(Node):
    """A step that uses typed keys."""

    async def post(self, shared: StateView, prepared: object, result: object) -> None:
        """What is read and written has the key's type."""
        assert_type(shared.get(COUNT), int)
        assert_type(shared.get(NAMES, []), list[str])
        assert_type(shared.get("count"), object)
        shared.set(COUNT, 2)
        assert_type(shared.change(COUNT, lambda count: count + 1), int)
        shared.put(NAMES, "x")
        shared.update(count=1)
        shared.set(COUNT, "x")  # type: ignore[misc]
        shared.overwrite(NAMES, [1])  # type: ignore[misc]
        shared.change(COUNT, lambda count: f"{count}")  # type: ignore[arg-type, return-value]


def alone(flow: Flow) -> object:
    """Without a kernel."""
    flow.run_sync("a b", listener=print)
    return flow.run_sync("a b", "c")  # type: ignore[call-arg, arg-type]


decorated = Flow("decorated")


@decorated.node
def lengths(words: list[str]) -> list[int]:
    """A decorated function keeps its type."""
    return [len(word) for word in words]


@decorated.node(each={"$ref": "input"}, concurrency=2, on_item_error="skip")
@node(effect="pure", timeout_s=3.0)
async def double(number: int, context: Context) -> int:
    """With options."""
    return number * 2


@decorated.node(name="kept", aside=True)
class Kept(Node):
    """A class is decorated in the same way."""


assert_type(lengths(["a"]), list[int])
assert_type(Kept(), Kept)
decorated.node(concurrency="two")  # type: ignore[call-overload]
decorated.node(retires=3)  # type: ignore[call-overload]
node(effect="none")  # type: ignore[call-overload]
