"""A node of three phases: prep and post touch the state, exec does not, and a failed visit leaves nothing."""

from __future__ import annotations

import pytest

from agentflow_kernel import END, Flow, Node
from agentflow_kernel.errors import UsageError

pytestmark = pytest.mark.anyio

SHOW_STATE = {"input": {"$ref": "state"}, "blocking": "inline"}


class Three(Node):
    """Notes what each phase is given."""

    def __init__(self, log: list[tuple[object, ...]]) -> None:
        self.log = log

    async def prep(self, shared, value):
        self.log.append(("prep", value, shared.get("known")))
        shared.set("prepared", True)
        return [value]

    async def exec(self, prepared):
        self.log.append(("exec", prepared))
        return {"result": prepared}

    async def post(self, shared, prepared, result):
        self.log.append(("post", prepared, result, shared.get("prepared")))
        shared.set("known", result)
        return "next"


async def test_each_phase_gets_what_the_one_before_gave() -> None:
    """First prep, then exec, then post; the state is seen by prep and post, in one view."""
    log: list[tuple[object, ...]] = []
    flow = Flow("f").step(Three(log), routes={"next": END})
    assert await flow.run("in") == {"result": ["in"]}
    assert log == [("prep", "in", None), ("exec", ["in"]), ("post", ["in"], {"result": ["in"]}, True)]


async def test_post_chooses_the_action() -> None:
    """``None`` is the default action."""

    class Choose(Node):
        async def post(self, shared, prepared, result):
            return "big" if result > 5 else None

    flow = Flow("f").step(Choose, routes={"big": "shrink", "default": END})
    flow.step(lambda value: value // 2, name="shrink", routes={"default": "Choose"}, blocking="inline")
    assert await flow.run(40) == 5


async def test_a_node_may_be_given_as_a_class_or_an_object() -> None:
    """The defaults of all phases hand the value on."""
    assert await Flow("f").step(Node).step(Node(), name="again").run(7) == 7


async def test_writes_are_seen_by_later_nodes() -> None:
    """Through their views and through references."""
    log: list[tuple[object, ...]] = []
    flow = Flow("f").step(Three(log), name="one", routes={"next": "two"})
    flow.step(Three(log), name="two", routes={"next": END}).returns({"$ref": "state"})
    assert await flow.run("in") == {"prepared": True, "known": {"result": [{"result": ["in"]}]}}
    assert log[3] == ("prep", {"result": ["in"]}, {"result": ["in"]})


@pytest.mark.parametrize("phase", ["prep", "exec", "post"])
async def test_a_failed_visit_leaves_no_partial_write(phase: str) -> None:
    """Whichever phase fails, what the visit wrote is gone."""

    class Fails(Node):
        async def prep(self, shared, value):
            shared.set("from-prep", 1)
            if phase == "prep":
                raise UsageError("prep")
            return value

        async def exec(self, prepared):
            if phase == "exec":
                raise UsageError("exec")
            return prepared

        async def post(self, shared, prepared, result):
            shared.set("from-post", 1)
            if phase == "post":
                raise UsageError("post")

    flow = Flow("f").step(Fails, each={"$ref": "input"}, on_item_error="skip")
    flow.step(lambda value: value, name="show", **SHOW_STATE)
    assert await flow.run([1]) == {}


async def test_policies_stand_round_exec_only() -> None:
    """A retried exec is not prepared again, and its state is written once."""
    calls: list[str] = []

    class Flaky(Node):
        async def prep(self, shared, value):
            calls.append("prep")
            return value

        async def exec(self, prepared):
            calls.append("exec")
            if calls.count("exec") < 3:
                raise UsageError("not yet")
            return prepared

        async def post(self, shared, prepared, result):
            calls.append("post")
            shared.change("count", lambda value: value + 1, 0)

    class Retry:
        def wrap(self, call):
            async def retried(request):
                while True:
                    try:
                        return await call(request)
                    except UsageError:
                        request.attempt += 1

            return retried

    flow = Flow("f").step(Flaky, policies=[Retry()]).returns({"$ref": "state"})
    assert await flow.run(1) == {"count": 1}
    assert calls == ["prep", "exec", "exec", "exec", "post"]


async def test_one_node_object_serves_many_visits() -> None:
    """The engine keeps nothing of a visit on it."""
    node = Node()
    before = dict(vars(node))
    flow = Flow("f").step(node, each={"$ref": "input"}, concurrency=3)
    assert await flow.run([1, 2, 3]) == [1, 2, 3]
    assert vars(node) == before


async def test_deletions_take_effect_with_the_visit() -> None:
    """A key that was removed is gone for later nodes."""

    class Put(Node):
        async def post(self, shared, prepared, result):
            shared.update(keep=1, drop=2)

    class Drop(Node):
        async def post(self, shared, prepared, result):
            shared.delete("drop")

    assert await Flow("f").step(Put).step(Drop).returns({"$ref": "state"}).run() == {"keep": 1}


@pytest.mark.parametrize("phase", ["prep", "exec", "exec_fallback", "post"])
def test_a_phase_that_is_no_coroutine_function_is_refused_before_the_run(phase: str) -> None:
    """By name: one that comes from where phases are plain methods is told at once."""
    plain = type("Plain", (Node,), {phase: lambda self, *given: None})
    with pytest.raises(UsageError, match=rf"Node 'a': Plain\.{phase} must be an `async def` method"):
        Flow("f").step(plain, name="a").run_sync(1)
