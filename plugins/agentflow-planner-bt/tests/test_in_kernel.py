"""The planner `bt` in a real kernel: tools at work, halted and resumed, as Plan and by manifest."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow_kernel import Flow, Kernel, Parts, Plan
from agentflow_kernel.errors import PlanInvalid, RunFailed
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal
from agentflow_planner_bt.btcpp import read_xml
from agentflow_planner_bt.planner import TreePlanner

pytestmark = pytest.mark.anyio


class Calls:
    """A toolset that notes each call, and may be made to wait for ever."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.stopped: list[Any] = []
        self.kit = FunctionToolset()
        for name, function in (("double", self._double), ("fail", self._fail), ("hang", self._hang)):
            self.kit.add(name, function)

    async def _double(self, arguments: Any) -> Any:
        self.made.append(arguments["value"])
        return arguments["value"] * 2

    async def _fail(self, arguments: Any) -> Any:
        self.made.append("fail")
        raise ValueError("as it always does")

    async def _hang(self, arguments: Any) -> Any:
        self.made.append("hang")
        try:
            await anyio.sleep_forever()
        finally:
            self.stopped.append("hang")


def subject(document: Any, calls: Calls, **options: Any) -> Plan:
    return Plan("p", TreePlanner(), document, tools={"kit": calls.kit}, **options)


async def run(plan: Plan, value: Any = None) -> Any:
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(plan, value)


def tripled(value: int) -> int:
    return value * 3


async def test_tools_and_flows_work_for_a_tree() -> None:
    calls = Calls()
    document = {
        "trees": {
            "main": {
                "ports": {"n": {"in": "integer"}, "m": {"out": "number"}, "k": {"out": "number"}},
                "root": {
                    "sequence": [
                        {
                            "parallel": [
                                {"tool": "kit.double", "args": {"value": "{n}"}, "out": "{m}"},
                                {"flow": "triple", "input": "{n}", "out": "{k}"},
                            ]
                        },
                        {"check": "m + k == 25"},
                    ]
                },
            }
        }
    }
    parts = Parts(flows={"triple": Flow("triple").step(tripled)})
    assert await run(subject(document, calls, parts=parts), {"n": 5}) == {
        "status": "SUCCESS",
        "output": {"m": 10, "k": 15},
    }


async def test_an_error_is_the_failure_of_the_run_or_of_the_node() -> None:
    calls = Calls()
    with pytest.raises(RunFailed, match=r"main/tool: .*as it always does"):
        await run(subject({"tool": "kit.fail"}, calls))
    document = {"retry": {"tool": "kit.fail", "errors": "failure"}, "times": 3}
    assert await run(subject(document, calls)) == {"status": "FAILURE", "output": {}}
    assert calls.made == ["fail"] * 4


async def test_a_tree_with_findings_does_not_begin() -> None:
    calls = Calls()
    with pytest.raises(PlanInvalid, match=r"Did you mean 'kit\.double'"):
        await run(subject({"tool": "kit.duble"}, calls))
    assert calls.made == []


async def test_a_timeout_stops_a_tool_at_work_by_the_clock_of_the_engine() -> None:
    calls, clock = Calls(), FakeClock()
    document = {
        "fallback": [{"timeout": {"tool": "kit.hang"}, "seconds": 60}, {"tool": "kit.double", "args": {"value": 1}}]
    }
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(subject(document, calls))
        await anyio.wait_all_tasks_blocked()
        assert [calls.made, calls.stopped] == [["hang"], []]
        await clock.advance(60)
        assert await handle.result() == {"status": "SUCCESS", "output": {}}
    assert [calls.made, calls.stopped] == [["hang", 1], ["hang"]]


async def test_a_run_goes_on_where_another_kernel_left_it() -> None:
    calls, journal = Calls(), InProcessJournal()
    document = {
        "trees": {
            "main": {
                "ports": {"x": {"out": "any"}},
                "root": {
                    "sequence": [
                        {"tool": "kit.double", "args": {"value": 1}},
                        {"wait": {"signal": "go"}, "out": "{x}"},
                        {"tool": "kit.double", "args": {"value": "{x}"}, "out": "{x}"},
                    ]
                },
            }
        }
    }
    async with Kernel(journal=journal) as first:
        first.add(subject(document, calls))
        handle = await first.start("plan/p")
        await anyio.wait_all_tasks_blocked()
    assert calls.made == [1]
    async with Kernel(journal=journal) as second:
        second.add(subject(document, calls))
        resumed = await second.resume(handle.run_id)
        await resumed.signal("go", 5)
        assert await resumed.result() == {"status": "SUCCESS", "output": {"x": 10}}
    assert calls.made == [1, 5]


@pytest.mark.blocking("a kernel reads the files of its manifest when a plan is first named")
async def test_the_manifest_names_a_file_of_xml(tmp_path) -> None:
    nodes = '<Sequence><Script code="x := 1"/><ScriptCondition code="x == 1"/></Sequence>'
    xml = f'<root BTCPP_format="4"><BehaviorTree ID="M">{nodes}</BehaviorTree></root>'
    assert list(read_xml(xml)["trees"]) == ["M"]
    (tmp_path / "tree.xml").write_text(xml, encoding="utf-8")
    manifest = tmp_path / "plan.yaml"
    manifest.write_text(
        "apiVersion: agentflow.dev/v1\nkind: Plan\nmetadata: {name: mission}\nspec: {planner: bt, file: ./tree.xml}\n",
        encoding="utf-8",
    )
    kernel = await anyio.to_thread.run_sync(lambda: Kernel.from_manifest(str(manifest), journal=InProcessJournal()))
    async with kernel:
        assert await kernel.run("plan/mission") == {"status": "SUCCESS", "output": {}}
