"""Several actions at once: all chosen ways run side by side and come together where the node says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from engine_kit import DurableJournal, Effects, check_history, completed
from test_crash import Life, records_of, undisturbed
from zoo import noted

from agentflow_kernel import Flow, Node, Route
from agentflow_kernel.errors import FlowInvalid, ManifestErrors, StopFlow, UsageError
from agentflow_kernel.flow.condition import cases_of
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Keep(Node):
    """Appends its input to the state."""

    async def exec(self, prepared: Any) -> Any:
        return prepared

    async def post(self, shared: Any, prepared: Any, result: Any) -> None:
        shared.set("kept", result)


def sorting(effects: Effects, actions: Any = ("urgent", "spam")) -> tuple[Flow, Any]:
    """A way of two nodes, one of one node that writes, one that leads to the join at once."""
    flow = Flow("f", reducers={"kept": "append"})
    routes = {"urgent": "page", "spam": "mark", "plain": "reply"}
    flow.add_step("sort", noted(effects, lambda value: Route(actions, value)), {"routes": routes, "join": "reply"})
    flow.add_step("page", noted(effects, lambda value: value + 1), {"routes": {"default": "call"}})
    flow.add_step("call", noted(effects, lambda value: value * 10), {"routes": {"default": "reply"}})
    flow.add_step("mark", Keep(), {"routes": {"default": "reply"}})
    flow.add_step("reply", noted(effects), {})
    return flow.returns([{"$ref": "reply.result"}, {"$ref": "state"}]), 1


async def test_all_chosen_ways_run_and_join() -> None:
    """The node at the join gets the last result of each, in the order in which they were chosen."""
    for actions, joined, state in (
        (["spam", "urgent"], {"spam": 1, "urgent": 20}, {"kept": [1]}),
        (["plain", "urgent"], {"plain": 1, "urgent": 20}, {}),
        (["urgent"], {"urgent": 20}, {}),
        ("urgent", 20, {}),
    ):
        flow, value = sorting(Effects(), actions)
        assert await flow.run(value) == [joined, state]


async def test_the_results_of_the_nodes_of_all_ways_are_known_behind_the_join() -> None:
    for actions, output in ((["urgent", "spam"], "both"), (["spam"], {"spam": 1})):
        flow, value = sorting(Effects(), actions)
        flow.output = None
        flow.steps["reply"].when = cases_of(
            "reply", [{"if": "has(call.result) and call.result == 20", "next": "known"}, {"next": None}]
        )
        flow.add_step("known", lambda value: "both", {})
        assert await flow.run(value) == output


async def test_post_may_choose_several() -> None:
    class Sort(Node):
        async def post(self, shared: Any, prepared: Any, result: Any) -> list[str]:
            return ["a", "b"]

    flow = Flow("f")
    flow.add_step("sort", Sort(), {"routes": {"a": "one", "b": "two"}, "join": "end_"})
    flow.add_step("one", lambda value: value + 1, {"routes": {"default": "end_"}})
    flow.add_step("two", lambda value: value + 2, {"routes": {"default": "end_"}})
    flow.add_step("end_", lambda value: value, {})
    assert await flow.run(1) == {"a": 2, "b": 3}


async def test_what_stops_the_flow_in_a_way_stops_all_of_it() -> None:
    def stop(value: Any) -> Any:
        raise StopFlow("enough")

    flow, value = sorting(Effects())
    flow.steps["call"].target = stop
    assert await flow.run(value) == "enough"


async def test_an_action_that_is_not_routed_and_a_choice_without_a_join_are_errors() -> None:
    flow, value = sorting(Effects(), ["urgent", "spm"])
    with pytest.raises(FlowInvalid, match="did you mean 'spam'"):
        await flow.run(value)
    plain = Flow("f").step(lambda value: Route(["a", "b"], value), name="s", routes={"a": "end", "b": "end"})
    with pytest.raises(UsageError, match="its 'join' must say where"):
        await plain.run(1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
async def test_a_choice_survives_a_death_at_each_durable_operation(applied: bool) -> None:
    expected, reference, once = await undisturbed(sorting)
    assert expected == [{"urgent": 20, "spam": 1}, {"kept": [1]}]
    for moment in range(1, reference.operations + 1):
        first = Life(DurableJournal(dies_at=moment, applied=applied), Effects())
        assert await first.live(sorting) is None
        survivor = first.journal.survivor
        done = set(completed(await records_of(survivor)))
        second = Life(DurableJournal(survivor), Effects())
        assert await second.live(sorting) == expected, f"died at operation {moment}"
        records = await records_of(survivor)
        check_history(records)
        assert not done & set(second.effects.paths)
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        assert set(first.effects.paths) | set(second.effects.paths) == set(once.paths)
    assert "sort/urgent/call" in once.paths


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"join": "rply"}, "did you mean 'reply'"),
        ({"routes": {"a": "mark", "b": "end"}}, "the way of 'b' may end without coming to 'reply'"),
        ({"routes": {"a": "mark", "b/c": "page"}}, "becomes a part of paths"),
        ({"routes": {"a": "mark", "back": "sort"}}, "leads back to it"),
        ({"fan_out": ("mark",)}, "goes with none of each, fan_out and when"),
    ],
)
def test_findings(change: dict[str, Any], finding: str) -> None:
    flow, _ = sorting(Effects())
    for option, value in change.items():
        setattr(flow.steps["sort"], option, value)
    with pytest.raises(FlowInvalid) as invalid:
        flow.check()
    assert finding in "\n".join(invalid.value.findings)


YAML = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: f}
spec:
  nodes:
    sort: {uses: "./n.py:sort", routes: {a: one, b: two}, join: JOIN}
    one: {emit: one, next: both}
    two: {emit: two, next: END}
    both: {emit: both}
"""


@pytest.mark.parametrize(
    ("join", "end", "finding"),
    [("both", "both", ""), ("bth", "both", "Did you mean 'both'?"), ("both", "three", "Unknown node 'three'")],
)
def test_a_manifest_says_where_the_ways_join(join: str, end: str, finding: str, tmp_path: Path) -> None:
    (tmp_path / "n.py").write_text("def sort(value):\n    return value\n")
    (tmp_path / "m.yaml").write_text(YAML.replace("JOIN", join).replace("END", end))
    if finding:
        with pytest.raises(ManifestErrors) as errors:
            read(str(tmp_path / "m.yaml"))
        assert finding in str(errors.value)
    else:
        read(str(tmp_path / "m.yaml"))
