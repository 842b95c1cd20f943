"""Questions and approvals: bound to their exact content, answered once, by whom they may, and kept over a crash."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, Effects, ProcessDied, check_history, completed, own
from planner_kit import make_agent

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import (
    ApprovalMismatch,
    ApprovalRefused,
    Elapsed,
    FlowInvalid,
    InputInvalid,
    NotAllowed,
    RunError,
    RunFailed,
    RunSuspended,
    UnknownName,
    Unsupported,
    UsageError,
)
from agentflow_kernel.flow import Branch, Node
from agentflow_kernel.flow.asking import Ask
from agentflow_kernel.run.questions import content_hash, open_questions
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, settle

if TYPE_CHECKING:
    from agentflow_kernel import RunHandle

pytestmark = pytest.mark.anyio


async def the_question(handle: RunHandle) -> dict[str, Any]:
    """The only thing that is asked."""
    await settle()
    (question,) = handle.questions
    return question


async def say(handle: RunHandle, approved: bool, **options: Any) -> bool:
    question = await the_question(handle)
    verdict = {"approved": approved, "reason": options.pop("reason", "")}
    return await handle.answer(question["wait"], verdict, content_hash=question["hash"], **options)


async def test_a_node_asks_a_person_and_goes_on_with_the_answer() -> None:
    async def node(value: int, context: Context) -> Any:
        return await context.ask("How many?", about={"have": value}, schema={"type": "integer"}, by=["ops"])

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(node), 3)
        question = await the_question(handle)
        assert (question["wait"], question["ask"]) == ("node!ask", {"question": "How many?", "about": {"have": 3}})
        (head,) = await kernel.runs()
        assert head.status == "waiting"
        with pytest.raises(InputInvalid, match="'node!ask'"):
            await handle.answer("node!ask", "many", by="ops")
        with pytest.raises(NotAllowed, match=r"'eve' may not answer 'node!ask'; these may: 'ops'"):
            await handle.answer("node!ask", 4, by="eve")
        with pytest.raises(ApprovalMismatch):
            await handle.answer("node!ask", 4, by="ops", content_hash="0" * 64)
        assert await handle.answer("node!ask", 4, by="ops")
        assert await handle.result() == 4
        records = await kernel.history(handle.run_id)
    check_history(records)
    (resolved,) = [record for record in records if record.type == "wait.resolved"]
    payload: Any = resolved.payload
    assert (payload["by"], payload["hash"]) == ("ops", question["hash"])
    assert open_questions(records) == []


async def test_nothing_is_asked_under_another_name_and_no_question_is_answered_twice() -> None:
    async def node(value: int, context: Context) -> Any:
        answer = await context.ask("Go?", choices=["yes", "no"])
        await context.wait("end")
        return answer

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        await settle()
        with pytest.raises(UnknownName, match="Unknown question 'nod!ask'"):
            await handle.answer("nod!ask", "yes")
        with pytest.raises(UsageError, match="answered, not signalled"):
            await handle.signal("node!ask", "yes")  # a signal is no answer: nobody stands behind it
        assert await handle.answer("node!ask", "yes", answer_id="mail")
        assert not await handle.answer("node!ask", "yes", answer_id="mail")
        await settle()
        with pytest.raises(UnknownName, match="Known: none"):
            await handle.answer("node!ask", "no")
        await handle.signal("end")
        assert await handle.result() == "yes"


async def test_the_hash_is_sha_256_over_canonical_json() -> None:
    content = {"action": "tool x.y", "arguments": {"b": 1, "a": "é"}}
    text = '{"action":"tool x.y","arguments":{"a":"é","b":1}}'
    assert content_hash(content) == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text) == content


def charging(effects: Effects, **options: Any) -> Flow:
    async def charge(value: Any, context: Context) -> Any:
        effects.note(context.path)
        return {"charged": value}

    return Flow("f").step(charge, effect="effect", **options)


async def test_a_step_waits_for_approval_of_exactly_its_input() -> None:
    effects = Effects()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(charging(effects, approve=True), {"euros": 15})
        question = await the_question(handle)
        assert question["ask"] == {"action": "node charge", "arguments": {"euros": 15}}
        with pytest.raises(ApprovalMismatch, match="is for content with the hash none"):
            await handle.answer(question["wait"], {"approved": True}, by="ops")
        other = content_hash({"action": "node charge", "arguments": {"euros": 16}})
        with pytest.raises(ApprovalMismatch):
            await handle.answer(question["wait"], {"approved": True}, by="ops", content_hash=other)
        assert effects.paths == []
        assert await say(handle, True, by="ops")
        assert await handle.result() == {"charged": {"euros": 15}}
        types = [record.type for record in own(await kernel.history(handle.run_id))]
    assert types == [
        "run.started", "wait.opened", "signal.received", "wait.resolved", "step.intent", "step.completed", "run.ended",
    ]  # fmt: skip


async def test_a_refusal_is_a_typed_error() -> None:
    effects = Effects()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(charging(effects, approve={"by": ["ops"]}), 1)
        await say(handle, False, by="ops", reason="too dear")
        with pytest.raises(RunFailed, match="ops refused node charge: too dear") as failed:
            await handle.result()
    assert isinstance(failed.value.__cause__, ApprovalRefused)
    assert failed.value.code == "AF-APPROVAL-REFUSED"
    assert effects.paths == []


@pytest.mark.parametrize("expires", [False, True])
async def test_a_refusal_takes_the_route_refused_where_there_is_one(expires: bool) -> None:
    clock, effects = FakeClock(), Effects()
    flow = charging(effects, approve={"timeout_s": 60}, routes={"default": "end", "refused": "instead"})
    flow.aside(lambda value: value, name="instead")
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow, 1)
        if expires:
            await settle()
            await clock.advance(60)
        else:
            await say(handle, False, by="ops", reason="no")
        expected = {"by": "", "reason": "", "expired": True} if expires else {
            "by": "ops", "reason": "no", "expired": False,
        }  # fmt: skip
        assert await handle.result() == expected
    assert effects.paths == []


async def test_each_item_of_a_batch_is_approved_by_itself() -> None:
    """There is no approval of all: one that is refused is an error of that item."""
    effects = Effects()
    flow = charging(effects, approve=True, each=[1, 2], on_item_error="collect")
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow)
        await settle()
        first, second = handle.questions
        assert [question["wait"] for question in (first, second)] == ["charge[0]!approve", "charge[1]!approve"]
        with pytest.raises(ApprovalMismatch):
            await handle.answer(second["wait"], {"approved": True}, content_hash=first["hash"])
        await handle.answer(first["wait"], {"approved": True}, content_hash=first["hash"])
        await handle.answer(second["wait"], {"approved": False}, content_hash=second["hash"])
        one, two = await handle.result()  # type: ignore[misc]  # a list
    assert one == {"charged": 1}
    assert two["error"]["code"] == "AF-APPROVAL-REFUSED"
    assert effects.paths == ["charge[0]"]


async def test_a_node_asks_for_approval_in_its_midst() -> None:
    async def node(value: int, context: Context) -> Any:
        try:
            await context.approve("pay", {"euros": value}, by=["ops"])
        except ApprovalRefused as error:
            return [error.by, error.reason]
        return "paid"

    async with Kernel(journal=InProcessJournal()) as kernel:
        for approved, output in ((True, "paid"), (False, ["ops", "no"])):
            handle = await kernel.start(Flow("f").step(node), 5)
            await say(handle, approved, by="ops", reason="no")
            assert await handle.result() == output


def paying(effects: Effects, *, effect: Any = "effect", **options: Any) -> Flow:
    """An agent that charges, looks at the balance beside it, and then says what became of it."""

    async def charge(arguments: Any) -> Any:
        effects.note(f"charge {arguments['euros']}")
        return "charged"

    async def balance(arguments: Any) -> Any:
        return 100

    tools = FunctionToolset()
    tools.add("charge", charge, effect=effect)
    tools.add("balance", balance)
    turns = [[("kit.charge", {"euros": 15}), ("kit.balance", {})], "done"]
    return Flow("f").step(make_agent(turns, tools, **options), name="agent")


async def test_a_tool_call_of_a_model_waits_for_a_person_who_sees_its_exact_arguments() -> None:
    """The tools without effect do not wait."""
    effects = Effects()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(paying(effects, approve=True), "pay")
        question = await the_question(handle)
        assert question["wait"] == "agent/tool1-0!approve"
        assert question["ask"] == {"action": "tool kit.charge", "arguments": {"euros": 15}}
        (head,) = await kernel.runs()
        assert head.status == "waiting"
        assert effects.paths == []
        await say(handle, True, by="ops")
        assert await handle.result() == "done"
    assert effects.paths == ["charge 15"]


async def test_the_planner_is_told_of_a_refusal() -> None:
    effects = Effects()
    flow = paying(effects, approve={"by": ["ops"], "tools": ["kit"]})
    agent: Any = flow.steps["agent"].target
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, "pay")
        await settle()
        balance, charge = sorted(
            handle.questions, key=lambda each: each["ask"]["action"]
        )  # named as a whole, so that the balance needs approval too
        await handle.answer(balance["wait"], {"approved": True}, by="ops", content_hash=balance["hash"])
        await say(handle, False, by="ops", reason="not today")
        assert await handle.result() == "done"
    told = [message.text for message in agent.provider.requests[-1].messages if message.role == "tool"]
    assert "ops refused tool kit.charge: not today." in told[0]
    assert "AF-APPROVAL-REFUSED" in told[0]
    assert told[1] == "100"
    assert effects.paths == []
    assert charge["by"] == ["ops"]


async def test_an_agent_names_only_tools_that_it_has() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(paying(Effects(), approve={"tools": ["kit.chrage"]}), "pay")
        with pytest.raises(RunFailed, match=r"Did you mean 'kit\.charge'"):
            await handle.result()


async def test_an_ask_is_a_node_whose_answer_is_the_action() -> None:
    flow = Flow("f").ask("Send?", choices=["yes", "no"], routes={"yes": "send", "no": "drop"})
    flow.aside(lambda value: f"sent {value}", name="send").aside(lambda: "dropped", name="drop")
    async with Kernel(journal=InProcessJournal()) as kernel:
        for answer, output in (("yes", "sent yes"), ("no", "dropped")):
            handle = await kernel.start(flow, "draft")
            question = await the_question(handle)
            assert question["ask"] == {"question": "Send?", "about": "draft"}
            await handle.answer(question["wait"], answer, content_hash=question["hash"])
            assert await handle.result() == output


async def test_an_ask_that_nobody_answers_elapses() -> None:
    clock = FakeClock()
    plain = Flow("plain").ask("Send?", timeout_s=30)
    routed = Flow("routed").ask("Send?", timeout_s=30, routes={"default": "end", "elapsed": "late"})
    routed.aside(lambda: "too late", name="late")
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        first, second = await kernel.start(plain), await kernel.start(routed)
        await settle()
        await clock.advance(30)
        with pytest.raises(RunFailed) as failed:
            await first.result()
        assert isinstance(failed.value.__cause__, Elapsed)
        assert await second.result() == "too late"


async def test_findings_about_asks_and_approvals() -> None:
    flow = Flow("f").ask(" ", choices=[], timeout_s=0).step(lambda: 1, name="b", approve={"timeout_s": -1})
    with pytest.raises(FlowInvalid) as invalid:
        flow.check()
    text = "\n".join(invalid.value.findings)
    for part in ("question must be a text", "at least one", "'ask': timeout_s must", "'b': timeout_s must"):
        assert part in text
    with pytest.raises(FlowInvalid, match=r"route for action 'maybe', which it can never choose"):
        Flow("f").ask("Send?", choices=["yes"], routes={"maybe": "end", "default": "end"}).check()
    with pytest.raises(FlowInvalid, match="dead end"):
        Flow("f").ask("Send?", choices=["yes", "no"], routes={"yes": "end"}).check()
    with pytest.raises(UsageError, match="approve must be true or a mapping"):
        Flow("f").step(lambda: 1, name="a", approve="yes")


async def test_without_a_kernel_nobody_can_answer() -> None:
    with pytest.raises(Unsupported, match="nobody can answer"):
        await Flow("f").ask("Send?").run()
    with pytest.raises(ApprovalRefused, match="Nobody approved node work in time"):
        await Flow("f").step(lambda: 1, name="work", approve={"timeout_s": 0.01}).run()


def everything(effects: Effects) -> tuple[Flow, Any]:
    """An ask, an approved step, an approved branch beside another, and an agent with a tool that needs approval."""

    async def work(value: Any, context: Context) -> Any:
        effects.note(context.path)
        return value

    async def inside(value: Any, context: Context) -> Any:
        await context.approve("inner", value)
        effects.note(context.path)
        return await context.ask("And?", about=value)

    flow = Flow("f").ask("First?").step(work, name="pay", approve=True)
    flow.parallel({"a": Branch(work, approve=True), "b": inside}, name="fork")
    (agent,) = paying(effects, effect="idempotent", approve={"tools": ["kit.charge"]}).steps.values()
    return flow.step(agent.target, name="agent").returns([{"$ref": "fork.result"}, {"$ref": "agent.result"}]), 1


class Person:
    """Answers whatever is asked, by the records alone, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: dict[str, set[str]] = {}

    async def answer_all(self, handle: RunHandle) -> None:
        """Until the run has stopped."""
        while handle.status == "running":
            await anyio.lowlevel.checkpoint()
            for question in handle.questions:
                self.shown.setdefault(question["wait"], set()).add(question["hash"])
                value: Any = {"approved": True} if "action" in question["ask"] else 7
                try:
                    await handle.answer(question["wait"], value, by="ops", content_hash=question["hash"])
                except UsageError:  # answered already, and not taken yet
                    continue
                except ProcessDied:
                    return


async def live(journal: DurableJournal, effects: Effects, person: Person) -> Any:
    effects.journal = journal
    flow, value = everything(effects)
    async with Kernel(journal=journal) as kernel:
        try:
            handle = await kernel.start(flow, value, key="one")
        except ProcessDied:
            return None
        async with anyio.create_task_group() as group:
            group.start_soon(person.answer_all, handle)
            await handle.ended()
            group.cancel_scope.cancel()
        try:
            return await handle.result()
        except RunError:
            assert journal.dead
            return None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
async def test_questions_and_approvals_survive_a_death_at_each_durable_operation(applied: bool) -> None:
    """Nothing that was approved is asked again once the approval is on record, and no effect comes twice."""
    reference, once = DurableJournal(), Effects()
    expected = await live(reference, once, Person())
    assert expected == [{"a": 7, "b": 7}, "done"]
    assert reference.operations > 15
    for moment in range(1, reference.operations + 1):
        first = DurableJournal(dies_at=moment, applied=applied)
        before = Effects()
        person = Person()
        output = await live(first, before, person)
        if not first.dead:  # the order of branches decides whether a wait is announced once more
            assert output == expected
            assert moment > reference.operations - 4
            continue
        assert output is None
        heads = await first.survivor.runs()
        records = list(await first.survivor.read(heads[0].run_id)) if heads else []
        done = set(completed(records))
        resolved = {record.path for record in records if record.type == "wait.resolved"}
        second, after, again = DurableJournal(first.survivor), Effects(), Person()
        assert await live(second, after, again) == expected, f"died at operation {moment}"
        assert not done & set(after.paths)
        assert not resolved & set(again.shown)
        (head,) = await first.survivor.runs()
        records = list(await first.survivor.read(head.run_id))
        check_history(records)
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        assert open_questions(records) == []


async def test_an_approval_on_record_counts_for_no_other_arguments() -> None:
    """The code was changed between crash and resume: the run is parked."""
    survivor = InProcessJournal()

    def flow(euros: int) -> Flow:
        async def node(value: int, context: Context) -> Any:
            await context.approve("pay", {"euros": euros})
            await context.wait("never")

        return Flow("f").step(node)

    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        handle = await kernel.start(flow(1), key="k")
        await say(handle, True)
        await settle()
    async with Kernel(journal=DurableJournal(survivor)) as kernel:
        handle = await kernel.start(flow(2), key="k")
        with pytest.raises(RunSuspended, match="other content"):
            await handle.result()
        assert handle.status == "stuck"


async def test_an_approval_that_comes_too_late_does_not_count() -> None:
    """Its owner was away while the answer lay in the inbox of the run."""
    survivor, effects, clock = InProcessJournal(), Effects(), FakeClock()
    flow = charging(effects, approve={"timeout_s": 60})
    async with Kernel(journal=DurableJournal(survivor), clock=clock) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await settle()
    clock.jump(61)
    async with Kernel(journal=DurableJournal(survivor), clock=clock) as kernel:
        kernel.add(flow)
        handle = await kernel.resume(handle.run_id)
        ((path, told),) = handle.run.standing.asked.items()
        with pytest.raises(UsageError, match="has expired"):
            await handle.answer(path, {"approved": True}, content_hash=str(told["hash"]))
        with pytest.raises(RunFailed, match="Nobody approved node charge in time"):
            await handle.result()
    assert effects.paths == []


async def test_the_waiting_ask_is_shown_in_the_record_with_its_exact_arguments() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(charging(Effects(), approve={"by": ["ops"]}), {"euros": 15})
        question = await the_question(handle)
        (found,) = open_questions(await kernel.history(handle.run_id))
        document = found.as_document()
    assert document["action"] == "node charge"
    assert document["arguments"] == {"euros": 15}
    assert (document["kind"], document["by"], document["hash"]) == ("approval", ["ops"], question["hash"])


async def test_a_phased_node_may_need_approval_too() -> None:
    class Pay(Node):
        async def exec(self, prepared: Any) -> Any:
            return prepared * 2

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(Pay, name="pay", approve=True).step(Ask("Well?"), name="well"), 2)
        await say(handle, True)
        question = await the_question(handle)
        assert question["ask"]["about"] == 4
        await handle.answer(question["wait"], "good")
        assert await handle.result() == "good"


@pytest.mark.parametrize("option", [{"by": "ada"}, {"by": [""]}, {"choices": "yes"}, {"choices": [1]}])
def test_a_text_where_a_list_of_texts_is_expected_is_a_finding(option: dict[str, Any]) -> None:
    """Else its letters would be the people that may answer."""
    with pytest.raises(FlowInvalid, match="must be a list of"):
        Flow("f").ask("sure?", **option).run_sync()
    if "by" in option:
        with pytest.raises(FlowInvalid, match="by must be a list of subjects"):
            Flow("f").step(str, approve=option).run_sync()
