"""Sub-steps of a node: a result on record is never computed again; an intent without an end is decided on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, check_history, completed

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import (
    NotSerialisable,
    OutcomeUnknown,
    RateLimited,
    RunFailed,
    RunSuspended,
    Unsupported,
    UsageError,
)
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from agentflow_kernel.contracts.policy import Call, Request

pytestmark = pytest.mark.anyio


class Again:
    """A policy that makes a second attempt of whatever fails."""

    def wrap(self, call: Call) -> Call:
        async def twice(request: Request) -> object:
            try:
                return await call(request)
            except (RateLimited, ConnectionError):
                request.attempt += 1
                return await call(request)

        return twice


class Once:
    """A function that counts its calls and dies with an error the first time, if it is told one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[Any] = []
        self.error = error

    async def __call__(self, value: Any) -> Any:
        self.calls.append(value)
        await anyio.lowlevel.checkpoint()
        error, self.error = self.error, None
        if error is not None:
            raise error
        return value + 1


async def run_twice(flow: Flow, value: object = 1) -> tuple[Any, InProcessJournal]:
    """Run until the process gives up, and resume in another one."""
    survivor = InProcessJournal()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        with pytest.raises(RunSuspended):
            await kernel.run(flow, value, key="k")
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        return await (await kernel.start(flow, value, key="k")).result(), survivor


async def records_of(journal: InProcessJournal) -> list[Any]:
    (head,) = await journal.runs()
    return list(await journal.read(head.run_id))


def limited() -> RateLimited:
    return RateLimited("The peer is busy.")


async def test_the_results_have_records_with_identities_below_the_node() -> None:
    """The second step of a name is ``@2``; plain functions run in a thread, a lambda may give a coroutine."""
    journal, add = InProcessJournal(), Once()

    async def node(value: int, context: Context) -> int:
        first = await context.step("add", add, value)
        second = await context.step("add", add, first)
        third = await context.step("double", lambda number: number * 2, second)
        return await context.step("lazy", lambda: add(third))

    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(Flow("f").step(node), 1) == 7
    records = await records_of(journal)
    assert completed(records) == ["node!add", "node!add@2", "node!double", "node!lazy", "node"]
    check_history(records)


async def test_a_resumed_node_finds_its_steps_and_makes_only_the_missing_ones() -> None:
    first, second = Once(), Once(limited())

    async def node(value: int, context: Context) -> int:
        return await context.step("second", second, await context.step("first", first, value))

    output, survivor = await run_twice(Flow("f").step(node))
    assert (output, first.calls, second.calls) == (3, [1], [2, 2])
    check_history(await records_of(survivor))


@pytest.mark.parametrize("journalled", [True, False])
async def test_a_second_attempt_in_the_same_process_finds_them_too(journalled: bool) -> None:
    first, second = Once(), Once(limited())

    async def node(value: int, context: Context) -> int:
        return await context.step("second", second, await context.step("first", first, value))

    flow = Flow("f").step(node, policies=[Again()])
    if journalled:
        async with Kernel(journal=InProcessJournal()) as kernel:
            assert await kernel.run(flow, 1) == 3
    else:
        assert await flow.run(1) == 3
    assert (first.calls, second.calls) == ([1], [2, 2])


async def test_the_items_of_a_batch_have_steps_of_their_own() -> None:
    add, last = Once(), Once(limited())

    async def node(value: int, context: Context) -> int:
        number = await context.step("add", add, value)
        return await context.step("last", last, number) if value == 3 else number

    output, survivor = await run_twice(Flow("f").step(node, each={"$ref": "input"}, concurrency=1), [1, 2, 3])
    assert (output, add.calls) == ([2, 3, 5], [1, 2, 3])
    assert {"node[0]!add", "node[2]!add", "node[2]!last"} <= set(completed(await records_of(survivor)))


async def test_steps_made_side_by_side_are_told_apart_by_their_names() -> None:
    add, last = Once(), Once(limited())

    async def node(value: int, context: Context) -> int:
        found = {}

        async def fetch(name: str) -> None:
            found[name] = await context.step(name, add, value)

        async with anyio.create_task_group() as group:
            for name in ("a", "b"):
                group.start_soon(fetch, name)
        return await context.step("last", last, found["a"] + found["b"])

    output, _ = await run_twice(Flow("f").step(node))
    assert (output, add.calls) == (5, [1, 1])


@pytest.mark.keeps_memory("the node takes its arguments from a list in memory")
async def test_a_step_on_record_with_other_arguments_parks_the_run() -> None:
    """Nothing is guessed: the code asks for something else than it did."""
    given = [1, 2]
    last = Once(limited())

    async def node(value: int, context: Context) -> int:
        return await context.step("last", last, await context.step("add", Once(), given.pop(0)))

    flow = Flow("f").step(node)
    with pytest.raises(RunSuspended, match=r"stuck.*'node!add'.*another input"):
        await run_twice(flow)


async def test_arguments_and_results_that_are_not_json_are_refused_where_there_is_a_journal() -> None:
    async def node(value: int, context: Context) -> object:
        return await context.step("odd", lambda: {1, 2})

    assert await Flow("f").step(node).run(1) == {1, 2}
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="node!odd") as caught:
            await kernel.run(Flow("f").step(node), 1)
    assert isinstance(caught.value.__cause__, NotSerialisable)
    assert caught.value.path == "node!odd"


@pytest.mark.keeps_memory("takes the records by their place")
async def test_an_effect_has_its_intent_on_record_before_it_happens() -> None:
    journal, seen = InProcessJournal(), []

    async def charge() -> str:
        seen.extend(record.type for record in await records_of(journal))
        return "ok"

    async def node(value: int, context: Context) -> Any:
        await context.step("look", charge, effect="pure")
        seen.clear()
        return await context.step("charge", charge, effect="effect")

    async with Kernel(journal=journal) as kernel:
        await kernel.run(Flow("f").step(node), 1)
    assert seen == ["run.started", "step.completed", "step.intent"]


@pytest.mark.parametrize("again", ["the same process", "the next process"])
@pytest.mark.parametrize("on_unknown", ["stuck", "retry", "fail"])
async def test_an_effect_that_may_have_happened_is_decided_by_on_unknown(on_unknown: Any, again: str) -> None:
    """Its process died in the middle, or its call failed without saying whether it was executed."""
    if again == "the same process":
        charge, policies = Once(ConnectionError("reset")), [Again()]
    else:
        charge, policies = Once(None), []
    survivor = InProcessJournal()
    dying = DurableJournal(survivor, dies_at=3 if policies == [] else 0)

    async def node(value: int, context: Context) -> Any:
        try:
            return await context.step("charge", charge, value, effect="effect", on_unknown=on_unknown)
        except OutcomeUnknown as error:
            return error.path

    flow = Flow("f").step(node, policies=policies)

    async def finish() -> object:
        if not policies:
            async with Kernel(journal=dying) as kernel:
                with pytest.raises(RunSuspended, match="ProcessDied"):
                    await kernel.run(flow, 1, key="k")
        async with Kernel(journal=DurableJournal(survivor)) as kernel:
            return await kernel.run(flow, 1, key="k")

    if on_unknown == "stuck":
        with pytest.raises(RunSuspended, match=r"stuck.*step 'charge' was begun"):
            await finish()
    else:
        assert await finish() == ("node!charge" if on_unknown == "fail" else 2)
    assert len(charge.calls) == (2 if on_unknown == "retry" else 1)
    check_history(await records_of(survivor))


@pytest.mark.parametrize("journalled", [True, False])
async def test_an_effect_that_surely_did_not_happen_is_begun_again(journalled: bool) -> None:
    """The peer turned it away."""
    charge = Once(limited())

    async def node(value: int, context: Context) -> Any:
        return await context.step("charge", charge, value, effect="effect")

    if journalled:
        output, survivor = await run_twice(Flow("f").step(node))
        types = [record.type for record in await records_of(survivor)]
        assert types.count("step.intent") == 2
        assert types.count("step.failed") == 1
    else:
        output = await Flow("f").step(node, policies=[Again()]).run(1)
    assert (output, charge.calls) == (2, [1, 1])


async def test_random_numbers_and_uuids_are_the_same_in_a_repeated_node() -> None:
    drawn: list[tuple[float, float, str]] = []
    last = Once(limited())

    async def node(value: int, context: Context) -> int:
        drawn.append((context.random(), context.random(), context.uuid()))
        return await context.step("last", last, value)

    await run_twice(Flow("f").step(node))
    assert drawn[0] == drawn[1]
    first, second, text = drawn[0]
    assert first != second
    assert 0 <= first < 1
    assert (len(text), text[14]) == (36, "8")
    assert text[19] in "89ab"


async def test_two_runs_without_a_kernel_draw_different_numbers() -> None:
    """They have no id that could tell them apart."""

    async def node(value: int, context: Context) -> tuple[float, str]:
        return context.random(), context.uuid()

    flow = Flow("f").step(node)
    assert await flow.run(1) != await flow.run(1)


async def test_a_patched_place_is_new_to_a_new_run_and_stays_so() -> None:
    """The marker goes on record with the next batch."""
    answers: list[bool] = []
    last = Once(limited())

    async def node(value: int, context: Context) -> int:
        answers.append(context.patched("p1"))
        return await context.step("last", last, value)

    _, survivor = await run_twice(Flow("f").step(node))
    assert len(answers) >= 2
    assert all(answers)
    assert [record.payload for record in await records_of(survivor) if record.type == "patch"] == [
        {"id": "p1", "taken": True}
    ]


@pytest.mark.keeps_memory("counts how often the node is begun")
async def test_a_run_that_passed_the_place_before_the_patch_stays_on_the_old_way() -> None:
    """Calls after the place are on record; a place that comes after all of them is new to the run."""
    answers: list[bool] = []
    last = Once(limited())
    version = [1]

    async def node(value: int, context: Context) -> int:
        if version == [2]:
            answers.append(context.patched("before"))
        await context.step("add", Once(), value)
        if version == [2]:
            answers.append(context.patched("after"))
        version[0] = 2
        return await context.step("last", last, value)

    await run_twice(Flow("f").step(node))
    assert answers == [False, True]


async def test_the_rest_of_a_batch_stays_on_the_way_of_its_first_items() -> None:
    answers: list[bool] = []
    last = Once(limited())
    version = [1]

    async def node(value: int, context: Context) -> int:
        if version == [2]:
            answers.append(context.patched("p"))
        if value == 2:
            version[0] = 2
            return await context.step("last", last, value)
        return value

    await run_twice(Flow("f").step(node, each={"$ref": "input"}, concurrency=1), [1, 2, 3])
    assert len(answers) >= 2
    assert not any(answers)


def test_calls_that_wait_say_why_a_plain_function_cannot_make_them() -> None:
    """Neither without an event loop nor in a thread beside one."""

    def node(value: str, context: Context) -> Any:
        calls = {
            "step": lambda: context.step("a", print),
            "sleep": lambda: context.sleep(1),
            "wait": lambda: context.wait("a"),
        }
        return calls[value]()

    for call in ("step", "sleep", "wait"):
        with pytest.raises(Unsupported, match="no event loop"):
            Flow("f").step(node).run_sync(call)


async def test_a_function_in_a_thread_cannot_wait_but_draws_numbers() -> None:
    def node(value: int, context: Context) -> Any:
        assert context.patched("p")
        assert 0 <= context.random() < 1
        return context.sleep(1)

    with pytest.raises(Unsupported, match="in a thread"):
        await Flow("f").step(node).run(1)


@pytest.mark.parametrize("name", ["", "a!b", "a@2", "a/b", "put:x", "a[0]"])
async def test_a_name_with_a_character_of_identities_is_refused(name: str) -> None:
    async def node(value: int, context: Context) -> Any:
        return await context.step(name, print)

    with pytest.raises(UsageError, match="is no name for a step"):
        await Flow("f").step(node).run(1)


@pytest.mark.parametrize("options", [{"effect": "effects"}, {"effect": None}, {"on_unknown": "ask"}])
async def test_a_step_refuses_an_option_that_it_does_not_know(options: dict[str, Any]) -> None:
    """A slip of the pen must not make a payment repeatable."""
    charge = Once()

    async def node(value: int, context: Context) -> object:
        return await context.step("charge", charge, value, **options)

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="must be one of"):
            await kernel.run(Flow("f").step(node), 1)
    assert charge.calls == []
