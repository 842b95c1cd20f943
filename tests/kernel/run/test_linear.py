"""A linear flow hands each result to the next step, whatever kind of function the steps are."""

from __future__ import annotations

import functools
import operator
import threading

import pytest

from agentflow_kernel import Context, Flow, Route
from agentflow_kernel.errors import BudgetExceeded, FlowInvalid, InputInvalid, StopFlow, UsageError

pytestmark = pytest.mark.anyio


def add_one(value: int) -> int:
    return value + 1


async def double(value: int) -> int:
    return value * 2


class Adder:
    """Callable objects and methods are steps like any other."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, value: int) -> int:
        return value + self.amount

    async def later(self, value: int) -> int:
        return value + self.amount

    @classmethod
    def ten(cls, value: int) -> int:
        return value + 10

    @staticmethod
    def hundred(value: int) -> int:
        return value + 100


class AsyncAdder(Adder):
    async def __call__(self, value: int) -> int:  # type: ignore[override]  # a coroutine in its place
        return value + self.amount


def wrapped(function):
    """A decorator as libraries write them."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def async_wrapped(function):
    """The same for coroutines."""

    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        return await function(*args, **kwargs)

    return wrapper


async def test_each_step_gets_the_result_of_the_one_before() -> None:
    """Steps run in the order in which they were added; the last result is the output."""
    assert await Flow("sum").step(add_one).step(double).step(add_one, name="again").run(1) == 5


async def test_a_step_may_take_nothing_the_value_or_value_and_context() -> None:
    """The engine looks at the signature once."""

    def nothing() -> int:
        return 7

    async def nothing_async() -> int:
        return 3

    async def both(value: int, context: Context) -> list[object]:
        return [value, context.path, context.node, context.attempt]

    assert await Flow("f").step(nothing).run("ignored") == 7
    assert await Flow("f").step(nothing_async).run("ignored") == 3
    assert await Flow("f").step(add_one).step(both).run(1) == [2, "both", "both", 1]


async def test_parameters_with_defaults_are_not_filled_beyond_the_value() -> None:
    """A default stays what the author wrote, except that the first parameter gets the value."""

    def optional(value: int = 0, factor: int = 3) -> int:
        return value * factor

    def keyword(value: int, *, factor: int = 3) -> int:
        return value * factor

    assert await Flow("f").step(optional).step(keyword).run(2) == 18


@pytest.mark.parametrize(
    ("step", "output"),
    [
        (Adder(2), 3),
        (AsyncAdder(2), 3),
        (Adder(2).later, 3),
        (Adder.ten, 11),
        (Adder.hundred, 101),
        (functools.partial(operator.add, 5), 6),
        (functools.partial(Adder(2).later), 3),
        (str, "1"),
        (abs, 1),
        (wrapped(add_one), 2),
        (async_wrapped(double), 2),
        (lambda value, *rest: [value, rest], [1, ()]),
        (lambda *values: list(values), [1]),
    ],
    ids=lambda case: type(case).__name__,
)
async def test_anything_that_can_be_called_with_the_value_is_a_step(step: object, output: object) -> None:
    """Objects, methods, partials, classes, builtins, decorated functions and ``*args``."""
    assert await Flow("f").step(step, name="step").run(1) == output


async def test_a_decorated_step_gets_what_the_function_behind_the_decorator_takes() -> None:
    """``functools.wraps`` says what that is."""

    def both(value: int, context: Context) -> list[object]:
        return [value, context.path]

    assert await Flow("f").step(wrapped(both)).run(1) == [1, "both"]


@pytest.mark.parametrize("step", [lambda a, b, c: 0, lambda a, *, b: 0], ids=["three", "keyword"])
async def test_a_step_with_parameters_nobody_fills_is_refused(step: object) -> None:
    """The error says what a step may take."""
    with pytest.raises(UsageError, match=r"Node 'step': '.*<lambda>' must take \(\), \(value\) or \(value, context\)"):
        await Flow("f").step(step, name="step").run(1)


async def test_a_step_that_is_nothing_to_run_is_refused() -> None:
    """The error names the step and what it may be."""
    with pytest.raises(UsageError, match="Node 'step': 7 is no function, Node, flow or agent"):
        await Flow("f").step(7, name="step").run(1)


async def test_a_flow_without_steps_is_refused() -> None:
    """It does not silently return nothing."""
    with pytest.raises(FlowInvalid, match="Flow 'empty' is not valid: it has no node"):
        await Flow("empty").run(1)


async def test_input_templates_take_the_place_of_the_result_before() -> None:
    """``input`` may draw on the flow's input and on any earlier node."""
    flow = (
        Flow("f")
        .step(add_one)
        .step(double)
        .step(lambda value: value, name="all", input={"in": {"$ref": "input"}, "a": {"$ref": "add_one.result"}, "k": 1})
    )
    assert await flow.run(1) == {"in": 1, "a": 2, "k": 1}


async def test_returns_says_what_the_output_is() -> None:
    """Without it the last result is the output."""
    flow = Flow("f").step(add_one).step(double).returns({"first": {"$ref": "add_one.result"}})
    assert await flow.run(1) == {"first": 2}


async def test_a_reference_to_a_node_that_has_not_run_fails_with_its_name() -> None:
    """A way round it is taken; the error says what there is."""
    flow = Flow("f").step(
        lambda value: Route("over", value), name="jump", routes={"over": "add_one", "default": "double"}
    )
    flow.aside(double, routes={"default": "add_one"}).aside(add_one, input={"$ref": "double.result"})
    with pytest.raises(InputInvalid, match=r"\$ref 'double.result': there is no 'double' in the roots"):
        await flow.run(1)


async def test_state_is_empty_before_anything_was_written() -> None:
    """A reference to the state as a whole is allowed at any time."""
    assert await Flow("f").step(lambda value: value, name="show", input={"$ref": "state"}).run() == {}


async def test_an_error_of_a_step_comes_out_as_it_was_raised() -> None:
    """A flow that is run by itself wraps nothing."""
    error = ValueError("broken")

    async def fail(value: object) -> None:
        raise error

    with pytest.raises(ValueError, match="broken") as caught:
        await Flow("f").step(fail).run()
    assert caught.value is error


async def test_stop_flow_ends_the_flow_with_an_output() -> None:
    """Later steps do not run."""
    ran: list[str] = []

    async def stop(value: int) -> None:
        raise StopFlow({"early": value})

    assert await Flow("f").step(stop).step(lambda value: ran.append("late"), name="late").run(1) == {"early": 1}
    assert ran == []


async def test_max_steps_bounds_the_visits_and_says_where() -> None:
    """A loop without an end is a typed error with flow and node."""
    flow = Flow("spin", max_steps=7).step(add_one, blocking="inline", routes={"default": "add_one"})
    with pytest.raises(BudgetExceeded, match="Budget 'max_steps' of 7 is used up: flow 'spin' at 'add_one'") as caught:
        await flow.run(0)
    assert (caught.value.budget, caught.value.limit) == ("max_steps", 7)


async def test_exactly_max_steps_visits_are_allowed() -> None:
    """The limit itself is no error."""
    flow = Flow("f", max_steps=2).step(add_one, blocking="inline").step(add_one, name="two", blocking="inline")
    assert await flow.run(0) == 2


async def test_a_flow_that_has_run_may_grow() -> None:
    """Adding a step changes the flow for the next run."""
    flow = Flow("f").step(add_one)
    assert await flow.run(1) == 2
    assert await flow.step(double).run(1) == 4


async def test_runs_of_one_flow_at_the_same_time_do_not_see_each_other() -> None:
    """A flow object holds nothing of a run."""
    import anyio

    both_in = anyio.Event()
    inside: list[int] = []

    async def meet(value: int) -> int:
        inside.append(value)
        if len(inside) == 2:
            both_in.set()
        await both_in.wait()
        return value

    both = [{"$ref": "input"}, {"$ref": "meet.result"}]
    flow = Flow("f").step(meet).step(lambda value: value, name="show", input=both)
    outputs: dict[int, object] = {}

    async def run(value: int) -> None:
        outputs[value] = await flow.run(value)

    async with anyio.create_task_group() as group:
        group.start_soon(run, 1)
        group.start_soon(run, 2)
    assert outputs == {1: [1, 1], 2: [2, 2]}


async def test_plain_functions_run_in_threads_unless_inline() -> None:
    """On an event loop a ``def`` step must not block it; ``blocking="inline"`` says that it does not."""
    main = threading.get_ident()
    flow = (
        Flow("f")
        .step(lambda value: threading.get_ident() != main, name="thread")
        .step(lambda value: [value, threading.get_ident() == main], name="inline", blocking="inline")
    )
    assert await flow.run() == [True, True]


async def test_the_name_of_a_step_is_the_functions_unless_given() -> None:
    """Functions, flows and objects name themselves."""
    flow = Flow("f").step(add_one).step(Flow("inner").step(double)).step(Adder(1))
    assert list(flow.steps) == ["add_one", "inner", "Adder"]


async def test_context_of_a_flow_by_itself_has_no_kernel() -> None:
    """Time is there; memory and folder say what they would need."""

    async def look(value: object, context: Context) -> str:
        assert context.now() > 1_600_000_000
        with pytest.raises(UsageError, match="Memory 'seen' is not there: this flow runs without a kernel"):
            context.memory("seen")
        with pytest.raises(UsageError, match="A folder for files is not supported here"):
            _ = context.folder
        context.progress(1, 2)
        context.tell("thing.seen", {})
        context.raise_if_cancelled()
        return context.run_id

    assert await Flow("f").step(look).run() == ""
