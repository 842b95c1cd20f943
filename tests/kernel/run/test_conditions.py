"""Routes by condition: the first entry whose condition holds is taken, and the last one takes the rest."""

from __future__ import annotations

from typing import Any

import pytest
from engine_kit import DurableJournal, completed

from agentflow_kernel import Flow, Kernel, Node, Route
from agentflow_kernel.errors import ExpressionFailed, FlowInvalid, RunFailed, UsageError

pytestmark = pytest.mark.anyio

WHEN = [{"if": "result > 100", "next": "big"}, {"if": "result == input", "next": "same"}, {"next": None}]


async def keep(value: Any) -> Any:
    return value


def chosen(*entries: dict[str, Any], look: Any = keep) -> Flow:
    """A node ``look`` that chooses among ``big``, ``same`` and the end."""
    flow = Flow("f").step(look, name="look", when=entries or WHEN)
    for name in ("big", "same"):
        flow.aside(lambda value, name=name: [name, value], name=name, blocking="inline")
    return flow


@pytest.mark.parametrize(("value", "output"), [(200, ["big", 200]), (100, ["same", 100])])
async def test_the_first_condition_that_holds_decides(value: int, output: object) -> None:
    """With and without a loop, a listener or a journal."""
    assert await chosen().run(value) == output
    assert await chosen().run(value, listener=lambda event: None) == output
    assert chosen(look=lambda value: value).run_sync(value) == output
    async with Kernel(journal=DurableJournal()) as kernel:
        assert await kernel.run(chosen(), value) == output


async def test_the_last_entry_takes_the_rest() -> None:
    """Here it ends the flow."""
    assert await chosen(look=lambda value: value - 1).run(50) == 49


async def test_a_condition_sees_state_and_earlier_results() -> None:
    """By the names of nodes; its own result also by its own name."""

    class Store(Node):
        async def post(self, shared: Any, prepared: Any, result: Any) -> None:
            shared.set("seen", [result])

    entries = [{"if": "state.seen[0] == first.result and look.result == result", "next": "big"}, {"next": "same"}]
    flow = Flow("f", start="first").step(keep, name="first").step(Store, name="look", when=entries)
    for name in ("big", "same"):
        flow.aside(lambda value, name=name: name, name=name, blocking="inline")
    assert await flow.run(1) == "big"


async def test_an_action_goes_before_the_conditions() -> None:
    """Routes are for actions, conditions for the default one."""

    async def look(value: int) -> Any:
        return Route("jump", value) if value == 0 else Route("default", value)

    flow = Flow("f").step(look, when=WHEN, routes={"jump": "same"})
    flow.aside(lambda value: ["big", value], name="big", blocking="inline")
    flow.aside(lambda value: ["same", value], name="same", blocking="inline")
    assert [await flow.run(0), await flow.run(300)] == [["same", 0], ["big", 300]]


async def test_data_that_does_not_fit_fails_at_the_node() -> None:
    """The run's error says where; the step itself is on record."""
    with pytest.raises(ExpressionFailed):
        await chosen().run("text")
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        with pytest.raises(RunFailed) as caught:
            await kernel.run(chosen(), "text")
    assert (caught.value.path, caught.value.code) == ("look", "AF-EXPRESSION-FAILED")
    (head,) = await journal.runs()
    assert completed(await journal.read(head.run_id)) == ["look"]


@pytest.mark.parametrize(
    ("entries", "finding"),
    [
        ([{"if": "result >", "next": "big"}, {"next": "same"}], "[F015]"),
        ([{"if": 3, "next": "big"}, {"next": "same"}], "condition 3: expected a text, found int [F015]"),
        ([{"if": "result > 1", "next": "big"}], "must have no 'if', so that every result has a way [F015]"),
        ([{"next": "big"}, {"next": "same"}], "entry 1 of 'when' has no 'if', so those after it never hold [F015]"),
        (
            [{"if": "lok.result", "next": "big"}, {"next": "same"}],
            "asks for unknown 'lok'; known: input, state, result",
        ),
        ([{"if": "big.output", "next": "big"}, {"next": "same"}], "a node's data is big.result [F006]"),
        ([{"if": "big.result", "next": "big"}, {"next": "same"}], "'big', which cannot have run before it [F012]"),
        ([{"if": "result", "next": "bgi"}, {"next": "same"}], "unknown node 'bgi' (did you mean 'big'?) [F003]"),
    ],
)
def test_conditions_are_checked_before_anything_runs(entries: list[dict[str, Any]], finding: str) -> None:
    """Form, names and order."""
    with pytest.raises(FlowInvalid) as caught:
        chosen(*entries).check()
    assert any(finding in found for found in caught.value.findings), caught.value.findings


def test_an_entry_of_another_form_is_refused() -> None:
    """At once: it is an error of the call."""
    with pytest.raises(UsageError, match="an entry of 'when' has 'next' and, but for the last, 'if'"):
        chosen({"iff": "x", "next": "big"})
