"""Policies stand round calls: composed once, outermost first, and absent they cost nothing."""

from __future__ import annotations

from hashlib import sha256

import pytest

from agentflow_kernel import Context, Flow, Kernel, Node
from agentflow_kernel.contracts.policy import Request
from agentflow_kernel.errors import UsageError
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


class Noting:
    """Notes when it is composed and when calls pass it."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log
        self.wrapped = 0

    def wrap(self, call):
        self.wrapped += 1

        async def noted(request):
            self.log.append(f"{self.name} in")
            result = await call(request)
            self.log.append(f"{self.name} out")
            return result

        return noted


class Keeping:
    """Keeps every request, as it looked on the way in."""

    def __init__(self, attempts: int = 1) -> None:
        self.attempts = attempts
        self.seen: list[Request] = []
        self.tries: list[int] = []

    def wrap(self, call):
        async def kept(request):
            self.seen.append(request)
            while True:
                self.tries.append(request.attempt)
                try:
                    return await call(request)
                except UsageError:
                    if request.attempt == self.attempts:
                        raise
                    request.attempt += 1

        return kept


async def note(value: object) -> object:
    return value


async def test_the_first_policy_is_the_outermost_and_those_of_the_flow_stand_outside() -> None:
    """The order is the reader's: flow before step, first before second."""
    log: list[str] = []
    a, b, c = (Noting(name, log) for name in "abc")

    async def work(value: object) -> None:
        log.append("work")

    await Flow("f", policies=[a]).step(work, policies=[b, c]).run()
    assert log == ["a in", "b in", "c in", "work", "c out", "b out", "a out"]


async def test_policies_are_composed_once_for_any_number_of_runs() -> None:
    """State that is shared lives in the policy, so it must not be made anew for each run."""
    policy = Noting("a", [])
    flow = Flow("f").step(note, policies=[policy]).step(note, name="plain")
    for _ in range(3):
        await flow.run()
    assert policy.wrapped == 1


async def test_a_request_says_what_is_called_and_where() -> None:
    """Kind, name, path, run and key; a node is idempotent unless it says otherwise."""
    policy = Keeping()
    flow = Flow("f", policies=[policy]).step(note, name="safe").step(note, name="risky", effect="effect")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, 1)
        await handle.result()
    safe, risky = policy.seen
    key = sha256(f"{handle.run_id}\nsafe".encode()).hexdigest()[:32]
    assert (safe.kind, safe.name, safe.path, safe.run_id, safe.key) == ("call", "safe", "safe", handle.run_id, key)
    assert (safe.idempotent, risky.idempotent, safe.attempt) == (True, False, 1)
    assert safe.key != risky.key


async def test_the_key_does_not_change_with_the_attempt() -> None:
    """A receiver that honours it sees one effect; the context counts the attempts."""
    keys: list[tuple[int, str]] = []

    async def flaky(value: object, context: Context) -> int:
        keys.append((context.attempt, context.key))
        if context.attempt < 3:
            raise UsageError("not yet")
        return context.attempt

    policy = Keeping(attempts=3)
    assert await Flow("f").step(flaky, policies=[policy]).run() == 3
    assert [attempt for attempt, _ in keys] == policy.tries == [1, 2, 3]
    assert len({key for _, key in keys}) == 1


async def test_sub_calls_are_numbered_anew_on_each_attempt() -> None:
    """The first write of the second attempt is the first write of the first one."""
    names: list[str] = []

    async def flaky(value: object, context: Context) -> None:
        names.extend(context.occurrence("put") for _ in range(2))
        if context.attempt == 1:
            raise UsageError("again")

    await Flow("f").step(flaky, policies=[Keeping(attempts=2)]).run()
    assert names == ["flaky!put", "flaky!put@2", "flaky!put", "flaky!put@2"]


async def test_each_item_of_a_batch_passes_the_policies_with_its_own_path() -> None:
    """Requests of a batch are apart."""
    policy = Keeping()
    await Flow("f").step(note, each={"$ref": "input"}, policies=[policy]).run([1, 2, 3])
    assert sorted(request.path for request in policy.seen) == ["note[0]", "note[1]", "note[2]"]


async def test_a_policy_may_answer_without_calling() -> None:
    """As a cache or a fallback does."""

    class Cached:
        def wrap(self, call):
            async def cached(request):
                return "cached"

            return cached

    async def never(value: object) -> None:
        raise AssertionError("called")

    assert await Flow("f").step(never, policies=[Cached()]).run() == "cached"


async def test_policies_stand_round_exec_of_a_node_and_see_its_prepared_value() -> None:
    """``prep`` and ``post`` are outside."""
    log: list[str] = []

    class Work(Node):
        async def prep(self, shared, value):
            log.append("prep")
            return value

        async def exec(self, prepared):
            log.append("exec")
            return prepared

        async def post(self, shared, prepared, result):
            log.append("post")

    await Flow("f").step(Work, policies=[Noting("a", log)]).run()
    assert log == ["prep", "a in", "exec", "a out", "post"]


async def test_without_policies_no_request_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent policies cost nothing: not one object, also in a journalled run that is listened to."""
    made: list[str] = []
    init = Request.__init__

    def counting(self, kind, name, *args, **kwargs):
        made.append(name)
        init(self, kind, name, *args, **kwargs)

    monkeypatch.setattr(Request, "__init__", counting)
    flow = Flow("f").step(note).step(note, name="b", each=[1, 2]).step(Node)
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(lambda progress: None)
        await kernel.run(flow, 1)
        assert made == []
        await kernel.run(Flow("g").step(note, policies=[Keeping()]), 1)
    assert made == ["note"]


@pytest.mark.parametrize("policies", [["retry"], "retry", [object()]])
def test_what_is_no_policy_is_refused_before_the_run(policies) -> None:
    """A name means one only in a manifest."""
    with pytest.raises(UsageError, match="is no policy: expected an object with wrap"):
        Flow("f").step(str, policies=policies).run_sync()
