"""A kernel from a manifest: its resources made once, when they are needed, and its triggers firing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel import Event, Kernel
from agentflow_kernel.errors import InputInvalid, ManifestErrors, RunFailed, UnknownName, UsageError
from agentflow_kernel.testing import Cassette, InProcessJournal

if TYPE_CHECKING:
    from pathlib import Path

# the objects of a manifest are made when they are first needed, and their code is imported then
pytestmark = [pytest.mark.anyio, pytest.mark.blocking]

CODE = """
from agentflow_kernel import Event
from agentflow_kernel.contracts.planner import Action, Decision, End
from agentflow_kernel.contracts.provider import Message, ModelReply, Usage
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid
from agentflow_kernel.testing import FunctionToolset, InProcessJournal, InProcessMemory

made = []
calls = []
closed = []


def add(value):
    return value + 1


async def remember(value, context):
    before = await context.memory("seen").put("key", value)
    return None if before is None else before.value


class Closing:
    def __init__(self, settings, context):
        made.append([type(self).__name__, context.name, settings])
        self.settings = settings

    async def aclose(self):
        closed.append(type(self).__name__)


class Noting(Closing):
    def wrap(self, call):
        async def noted(request):
            calls.append([self.settings["name"], request.kind, request.path])
            return await call(request)
        return noted


class Provider(Closing):
    async def complete(self, request):
        calls.append(["asked", request.model, [message.text for message in request.messages]])
        return ModelReply(Message("assistant", "answer"), usage=Usage(1_000, 500))


class Planner(Closing):
    def begin(self, task):
        return {"tools": sorted(task.tools), "instructions": task.instructions}

    def step(self, state, observation):
        if observation.kind == "started":
            messages = [{"role": "user", "text": str(observation.value)}]
            return Decision([Action("m", "model", arguments={"messages": messages})])
        return Decision(end=End([observation.value["message"]["text"], state]))

    def dump(self, state):
        return state

    def load(self, task, document):
        return document


class Source(Closing):
    def __init__(self, settings, context):
        super().__init__(settings, context)
        if settings.get("bad"):
            raise InputInvalid("The file", "it is bad", path="/bad")

    async def events(self, cursor=None):
        for number in range(self.settings.get("count", 2)):
            yield SourceItem(Event("line.read", {"n": number}, id=f"e{number}", source="log"), number)
        if self.settings.get("breaks"):
            raise InputInvalid("The log", "it cannot be read")


def toolset(settings, context):
    found = FunctionToolset()
    async def read(arguments):
        return arguments["path"]
    found.add("read", read, parameters={"type": "object", "required": ["path"]})
    return found


def memory(settings, context):
    return InProcessMemory(clock=context.clock)
"""
MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: sums}
spec:
  policies: [outer]
  input_schema: {type: object, required: [n]}
  nodes:
    one: {uses: "./code.py:add", input: {$ref: input.n}, next: two}
    two: {uses: "./code.py:add", policies: [inner], next: tool}
    tool: {tool: files.read, input: {path: {$ref: two.result}}, next: tell}
    tell: {emit: sum.made, input: {sum: {$ref: tool.result}}}
  output: {sum: {$ref: tool.result}}
  display: {$ref: two.result}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: remembering}
spec: {nodes: {put: {uses: "./code.py:remember"}}}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: asking}
spec: {nodes: {ask: {agent: helper, input: {$ref: input}}}}
---
apiVersion: agentflow.dev/v1
kind: Agent
metadata: {name: helper}
spec: {model: small, planner: {uses: "./code.py:Planner"}, tools: [files], instructions: Be brief., policies: [outer]}
---
apiVersion: agentflow.dev/v1
kind: Model
metadata: {name: small}
spec: {uses: "./code.py:Provider", model: small-1}
---
apiVersion: agentflow.dev/v1
kind: Model
metadata: {name: large}
spec:
  uses: "./code.py:Provider"
  model: large-1
  aliases: [quick]
  prices: {input: 2, output: 10, as_of: "2026-11-21", source: the price list}
---
apiVersion: agentflow.dev/v1
kind: Tool
metadata: {name: files}
spec: {uses: "./code.py:toolset"}
---
apiVersion: agentflow.dev/v1
kind: Memory
metadata: {name: seen}
spec: {uses: "./code.py:memory", ttl_s: 60}
---
apiVersion: agentflow.dev/v1
kind: Policy
metadata: {name: outer}
spec: {uses: "./code.py:Noting", with: {name: outer}}
---
apiVersion: agentflow.dev/v1
kind: Policy
metadata: {name: inner}
spec: {uses: "./code.py:Noting", with: {name: inner}}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: lines}
spec:
  uses: "./code.py:Source"
  with: {count: 3}
  start: flow/sums
  input: {n: {$ref: event.data.n}, id: {$ref: event.id}}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: orders}
spec: {on: "order.*", start: flow/sums, input: {$ref: event.data}, key: {$ref: event.subject}}
"""


class House:
    """A manifest on disk, kernels made from it, and its code as they see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "code.py").write_text(CODE)
        self.write(MANIFEST)

    def write(self, text: str) -> None:
        (self.folder / "manifest.yaml").write_text(text)

    def kernel(self, **options: Any) -> Kernel:
        """A kernel, and a look at its code under ``self.code``."""
        kernel = Kernel.from_manifest(str(self.folder / "manifest.yaml"), trust_code=True, **options)
        self._kernel = kernel
        return kernel

    def code(self, name: str) -> Any:
        loader = self._kernel._wiring.environment.code
        assert loader is not None
        return loader.load(f"./code.py:{name}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def kernel(house: House) -> Kernel:
    """A kernel over the manifest; made outside of the loop, for it reads files."""
    kernel = house.kernel(journal=InProcessJournal())
    house.code("add")
    return kernel


async def test_a_flow_of_a_manifest_runs_with_its_parts(house: House, kernel: Kernel) -> None:
    """Functions, tools, templates, policies in order, output, display and events."""
    seen: list[object] = []

    @kernel.on("sum.made")
    async def note(event: Event) -> None:
        seen.append(event.data)

    async with kernel:
        handle = await kernel.start("sums", {"n": 1})
        assert await handle.result() == {"sum": 3}
        await kernel.idle()
    assert (handle.display, seen) == ("3", [{"sum": 3}])
    assert house.code("calls") == [
        ["outer", "call", "one"],
        ["outer", "call", "two"],
        ["inner", "call", "two"],
        ["outer", "tool", "tool"],
    ]


async def test_each_resource_is_made_once_and_closed_with_the_kernel(house: House, kernel: Kernel) -> None:
    """Only what was needed; the latest is closed first."""
    async with kernel:
        await kernel.run("sums", {"n": 1})
        await kernel.run("sums", {"n": 1})
        await kernel.run("agent/helper", "x")
    made = [name for name, _, _ in house.code("made")]
    assert sorted(made) == ["Noting", "Noting", "Planner", "Provider"]
    assert house.code("closed") == list(reversed(made))


async def test_the_input_schema_of_a_flow_is_checked_before_a_run_begins(kernel: Kernel) -> None:
    """Nothing is on record."""
    async with kernel:
        with pytest.raises(InputInvalid, match="The input of flow 'sums'"):
            await kernel.start("sums", {"m": 1})
        assert await kernel.runs() == []


async def test_a_memory_of_the_manifest_brings_its_time_to_live(kernel: Kernel) -> None:
    """Unless a write says otherwise."""
    async with kernel:
        assert await kernel.run("remembering", 1) is None
        assert await kernel.run("remembering", 2) == 1
        memory, ttl_s = kernel._wiring.memory("seen")
        entry = await memory.get("seen", "key")
    assert ttl_s == 60
    assert entry is not None
    assert entry.expires_at == pytest.approx(entry.written_at + 60)


async def test_an_agent_gets_model_planner_tools_and_policies(house: House, kernel: Kernel) -> None:
    """By the names of the manifest, as a step or by itself."""
    async with kernel:
        output = await kernel.run("asking", "what?")
        assert output == ["answer", {"tools": ["files.read"], "instructions": "Be brief."}]
        assert await kernel.run("helper", "what?") == output
    assert house.code("calls")[:2] == [["outer", "model", "ask/m"], ["asked", "small-1", ["what?"]]]


def test_another_model_takes_the_place_of_all_agents_models(house: House) -> None:
    """By the name of a Model of the manifest."""
    kernel = house.kernel(journal=InProcessJournal(), model="large")
    kernel.run_sync("helper", "x")
    assert house.code("calls")[1][:2] == ["asked", "large-1"]


def test_a_model_may_be_asked_for_by_an_alias_and_its_prices_count(house: House) -> None:
    """What the provider reckons does not: the manifest knows what its owner pays."""
    journal = InProcessJournal()
    kernel = house.kernel(journal=journal, model="quick")
    kernel.run_sync("helper", "x")
    assert house.code("calls")[1][:2] == ["asked", "large-1"]

    async def records() -> list[Any]:
        (head,) = await journal.runs()
        return [record.payload for record in await journal.read(head.run_id)]

    (answer,) = [found["result"] for found in anyio.run(records) if "message" in (found.get("result") or {})]
    assert (answer["usage"]["input_tokens"], answer["usage"]["cost_usd"]) == (1_000, 0.007)


def test_a_model_that_is_unknown_is_named(house: House) -> None:
    """With what there is."""
    kernel = house.kernel(journal=InProcessJournal(), model="huge")
    with pytest.raises(UnknownName, match=r"Unknown model 'huge'.*'large'.*'quick'.*'small'"):
        kernel.run_sync("helper", "x")


async def test_a_trigger_starts_a_run_for_each_event_of_its_source(house: House, kernel: Kernel) -> None:
    """The handles come back when the source has ended; input is made from the event."""
    async with kernel:
        handles = await kernel.fire("trigger/lines")
        assert [await handle.result() for handle in handles] == [{"sum": n + 2} for n in range(3)]
        assert [(await kernel.history(handle.run_id))[0].payload["input"] for handle in handles] == [
            {"n": n, "id": f"e{n}"} for n in range(3)
        ]
    assert "Source" in house.code("closed")


async def test_an_event_delivered_again_finds_the_run_of_the_first_delivery(kernel: Kernel) -> None:
    """Its key is the event's source and id, unless the trigger names another."""
    async with kernel:
        first = await kernel.fire("lines")
        second = await kernel.fire("lines")
        assert [handle.run_id for handle in first] == [handle.run_id for handle in second]
        assert len(await kernel.runs()) == 3


async def test_settings_of_a_source_can_be_replaced_for_one_firing(kernel: Kernel) -> None:
    """The others stay as the manifest says."""
    async with kernel:
        assert len(await kernel.fire("lines", overrides={"count": 1})) == 1


async def test_an_error_of_the_source_comes_out_and_its_runs_go_on(kernel: Kernel) -> None:
    """What was started is not undone."""
    async with kernel:
        with pytest.raises(InputInvalid, match="The log: it cannot be read"):
            await kernel.fire("lines", overrides={"breaks": True})
        await kernel.idle()
        assert {head.status for head in await kernel.runs()} <= {"completed"}


async def test_an_error_of_the_start_comes_out_of_the_firing(kernel: Kernel) -> None:
    """Here the input does not fit the flow."""
    kernel._wiring.find("sums")[1].input_schema = {"type": "object", "required": ["never"]}
    async with kernel:
        with pytest.raises(InputInvalid, match="The input of flow 'sums'"):
            await kernel.fire("lines")


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("trigger/nope", UnknownName, "Unknown"),
        ("flow/sums", UnknownName, "Unknown trigger 'flow/sums'. Known: 'trigger/lines', 'trigger/orders'"),
        ("orders", UsageError, "Trigger 'orders' waits for events on the bus; it has no source to read"),
    ],
)
async def test_only_a_trigger_with_a_source_can_be_fired(kernel: Kernel, name: str, error: Any, match: str) -> None:
    """Anything else is refused by name."""
    async with kernel:
        with pytest.raises(error, match=match):
            await kernel.fire(name)


async def test_a_trigger_on_the_bus_starts_a_run_for_each_matching_event(kernel: Kernel) -> None:
    """Its key makes two events one run."""
    async with kernel:
        events = [("order.new", 1, "a"), ("order.new", 2, "b"), ("order.old", 3, "a"), ("x.y", 4, "c")]
        for kind, number, subject in events:
            await kernel.publish(Event(kind, {"n": number}, subject=subject))
        await kernel.idle()
        heads = await kernel.runs()
        inputs = [(await kernel.history(head.run_id))[0].payload["input"] for head in heads]
    assert sorted(value["n"] for value in inputs) == [1, 2]


def test_a_setting_that_a_factory_refuses_is_reported_where_it_is_raised(house: House) -> None:
    """Code of a manifest raises what it likes; it comes out as it is."""
    kernel = house.kernel(journal=InProcessJournal())

    async def main() -> None:
        async with kernel:
            with pytest.raises((InputInvalid, ManifestErrors), match="it is bad"):
                await kernel.fire("lines", overrides={"bad": True})

    anyio.run(main)


def test_a_name_that_the_code_does_not_define_is_reported_at_its_place(house: House) -> None:
    """File, line and path of the manifest."""
    house.write(MANIFEST.replace("./code.py:remember", "./code.py:rember"))
    kernel = house.kernel(journal=InProcessJournal())
    with pytest.raises(ManifestErrors, match=r"\.yaml:\d+:\d+: spec\.nodes\.put\.uses: Unknown name.*'remember'"):
        kernel.run_sync("remembering", 1)


async def test_a_run_knows_where_it_came_from(house: House, kernel: Kernel) -> None:
    """So that it can be resumed by a command that knows only its id."""
    async with kernel:
        handle = await kernel.start("sums", {"n": 1})
        await handle.result()
        origin = await kernel.origin(handle.run_id)
        (started, *_) = await kernel.history(handle.run_id)
    assert (origin["manifest"], origin["model"], origin["trust_code"]) == (
        str(house.folder / "manifest.yaml"),
        None,
        True,
    )
    assert kernel.manifest is not None
    assert started.payload["fingerprint"] == kernel.manifest.fingerprint


def test_a_run_goes_on_only_in_the_environment_it_was_started_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that the manifest names has changed: that is said, and can be accepted."""
    text = MANIFEST.replace("with: {count: 3}", 'with: {count: 3, path: "${TEST_LOG}", token: "${TEST_TOKEN}"}')
    house.write(text)
    journal = InProcessJournal()
    monkeypatch.setenv("TEST_LOG", "a.log")
    monkeypatch.setenv("TEST_TOKEN", "secret-1")

    async def suspend() -> str:
        async with kernel:
            handle = await kernel.start("sums", {"n": 1})
            await handle.suspend()
            return handle.run_id

    kernel = house.kernel(journal=journal)
    house.code("add")
    run_id = anyio.run(suspend)

    async def resume(*, accept: bool) -> object:
        async with kernel:
            return await (await kernel.resume(run_id, accept_environment=accept)).result()

    monkeypatch.setenv("TEST_TOKEN", "secret-2")
    monkeypatch.setenv("TEST_LOG", "b.log")
    kernel = house.kernel(journal=journal)
    house.code("add")
    with pytest.raises(UsageError, match="was started with another value of TEST_LOG"):
        anyio.run(lambda: resume(accept=False))
    assert anyio.run(lambda: resume(accept=True)) == {"sum": 3}


def test_a_manifest_with_two_journals_is_refused(house: House) -> None:
    """One place for the histories of all runs."""
    journal = (
        "---\napiVersion: agentflow.dev/v1\nkind: Journal\nmetadata: {{name: {0}}}\n"
        'spec: {{uses: "./code.py:InProcessJournal"}}\n'
    )
    house.write(MANIFEST + journal.format("one") + journal.format("two"))
    with pytest.raises((UsageError, ManifestErrors), match="Journal"):
        house.kernel().run_sync("sums", {"n": 1})


def test_one_kernel_of_a_manifest_may_be_used_without_a_loop_again_and_again(house: House) -> None:
    """What was closed with the first call is made anew for the second: nothing works with a closed object."""
    kernel = house.kernel(journal=InProcessJournal())
    outputs = [kernel.run_sync("asking", "what?") for _ in range(2)]
    assert outputs[0] == outputs[1]
    providers = [name for name, _, _ in house.code("made")].count("Provider")
    assert providers == house.code("closed").count("Provider") == 2


def test_a_run_that_a_trigger_starts_while_the_kernel_closes_is_suspended(house: House) -> None:
    """Its event was being handled already; the run is on record, and whoever comes next goes on with it."""
    inside, go = [], []

    class Slow(InProcessJournal):
        async def append(self, *args: Any) -> None:
            inside.append(1)
            while not go:
                await anyio.lowlevel.checkpoint()
            await super().append(*args)

    journal = Slow()
    kernel = house.kernel(journal=journal)
    house.code("add")

    async def main() -> None:
        async with anyio.create_task_group() as group, kernel:
            await kernel.publish(Event("order.new", {"n": 1}, subject="a"))
            while not inside:
                await anyio.lowlevel.checkpoint()

            async def let_it_go() -> None:
                with suppress(UsageError):  # raised once the kernel is closing
                    while True:
                        await kernel.runs()
                        await anyio.lowlevel.checkpoint()
                go.append(1)

            group.start_soon(let_it_go)
        (head,) = await journal.runs()
        assert head.status == "suspended"

    anyio.run(main)


async def test_a_failure_of_the_run_is_that_of_the_manifest(kernel: Kernel) -> None:
    """With the path of the node."""
    async with kernel:
        with pytest.raises(RunFailed, match="failed at one: TypeError"):
            await kernel.run("sums", {"n": "text"})


def test_a_cassette_stands_between_a_kernel_and_its_providers(house: House, tmp_path: Path) -> None:
    """The replay makes no provider and gives the same answer."""
    path, outputs = str(tmp_path / "helper.json"), []
    for mode in (Cassette.record, Cassette.replay):
        kernel = house.kernel(journal=InProcessJournal())
        house.code("made").clear()
        with mode(path) as cassette:
            cassette.attach(kernel)
            outputs.append(kernel.run_sync("helper", "x"))
        made = [what for what, *_ in house.code("made")]
        assert ("Provider" in made) is (mode == Cassette.record)
    assert outputs[0] == outputs[1]


def test_a_kernel_without_a_manifest_has_nothing_to_stand_between() -> None:
    """Its agents have been given their providers already."""
    with pytest.raises(UsageError, match="has no manifest"):
        Cassette.auto("x.json").attach(Kernel())
