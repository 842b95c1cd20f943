"""What a run leaves in its journal: one durable batch a step, chained, typed, and JSON throughout."""

from __future__ import annotations

import pytest
from engine_kit import DurableJournal, check_history, completed, own, payload_of

from agentflow_kernel import Context, Flow, Kernel, Node, Route
from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES, encode_record
from agentflow_kernel.errors import NotSerialisable, PeerUnavailable, RunFailed
from agentflow_kernel.run.canonical import hash_text, to_json
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

pytestmark = pytest.mark.anyio


async def same(value: object) -> object:
    return value


async def records_of(flow: Flow, value: object = None, journal: DurableJournal | None = None):
    """The history of one run that completes."""
    journal = journal or DurableJournal()
    async with Kernel(journal=journal, clock=FakeClock()) as kernel:
        handle = await kernel.start(flow, value)
        await handle.result()
        records = await kernel.history(handle.run_id)
    for record in records:
        encode_record(record)  # as it is stored: it keeps the bytes
        if record.type == "step.completed" and not record.ref:
            assert record.payload.pop("took_s") == 0
    return records


@pytest.mark.keeps_memory("a step begun again is timed anew")
async def test_a_step_has_its_duration_and_attempts_on_record() -> None:
    """By the kernel's clock, also where steps run side by side; no further record is needed for it."""
    clock = FakeClock()

    async def nap(value: float, context: Context) -> float:
        await clock.sleep(value)
        if context.attempt < 3 and value == 4:
            raise PeerUnavailable("down")
        return value

    again = Twice()
    flow = Flow("f").step(nap, each={"$ref": "input"}, concurrency=2).step(nap, name="last", policies=[again], input=4)
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(flow, [1, 3])
        for _ in range(20):
            await settle()
            await clock.advance(1)
        await handle.result()
        records = await kernel.history(handle.run_id)
    steps = [record for record in records if record.type == "step.completed"]
    told = [(record.path, record.payload["took_s"], record.attempt) for record in steps]
    assert told == [("nap[0]", 1, 1), ("nap[1]", 3, 1), ("nap", 3, 1), ("last", 12, 3)]


class Twice:
    """A policy that tries up to three times."""

    def wrap(self, call):
        async def tries(request):
            while True:
                try:
                    return await call(request)
                except PeerUnavailable:
                    request.attempt += 1

        return tries


async def test_a_linear_run_is_started_one_batch_a_step_and_an_end() -> None:
    """Types, paths and payloads of the simplest history."""
    journal = DurableJournal()
    whole = await records_of(Flow("f").step(same, name="a").step(same, name="b"), {"x": 1}, journal)
    check_history(whole)
    records = own(whole)
    assert [(record.type, record.path) for record in records] == [
        ("run.started", ""),
        ("step.completed", "a"),
        ("step.completed", "b"),
        ("run.ended", ""),
    ]
    assert records[0].payload == {"name": "flow/f", "input": {"x": 1}, "owner": "", "origin": {}, "fingerprint": ""}
    assert records[1].payload == {"result": {"x": 1}}
    assert records[3].payload == {"status": "completed", "output": {"x": 1}}


async def test_records_carry_epoch_time_tenant_and_the_hash_of_the_input() -> None:
    """The hash is of the canonical input, for completions only."""
    clock = FakeClock()
    journal = DurableJournal()
    async with Kernel(journal=journal, clock=clock) as kernel:
        handle = await kernel.start(Flow("f").step(same), {"b": 1, "a": [2]})
        await handle.result()
        records = own(await kernel.history(handle.run_id))
    assert {(record.attempt, record.ts, record.tenant) for record in records} == {(1, clock.now(), "default")}
    assert {record.epoch for record in records[:2]} == {1}
    expected = hash_text(to_json({"b": 1, "a": [2]}, "same")[1])
    assert [record.input_hash for record in records] == ["", expected, ""]


async def test_actions_and_state_are_part_of_the_completion() -> None:
    """Completion, route and change of state are one record, so none can be durable without the others."""

    class Store(Node):
        async def post(self, shared, prepared, result):
            shared.set("seen", result)
            shared.delete("gone")
            return "next"

    flow = Flow("f").step(Store, routes={"next": "route"}).step(same, name="x")
    flow.add_step("route", lambda value: Route("on", value), {"routes": {"on": "x"}, "blocking": "inline"})
    records = own(await records_of(flow, 7))
    assert records[1].payload == {"result": 7, "action": "next", "state": {"seen": [7], "gone": []}}
    assert records[2].payload == {"result": 7, "action": "on"}
    assert completed(records) == ["Store", "route", "x"]


async def test_a_batch_has_a_record_for_each_item_and_one_for_the_whole() -> None:
    """The whole holds no result of its own: that would be stored twice."""
    records = await records_of(Flow("f").step(same, each={"$ref": "input"}, concurrency=1), [1, 2])
    steps = [(record.path, record.payload) for record in records if record.type == "step.completed"]
    assert steps == [("same[0]", {"result": 1}), ("same[1]", {"result": 2}), ("same", {})]


async def test_skipped_and_collected_items_are_completions_too() -> None:
    """They are not tried again on resume."""

    async def fail(item: object) -> None:
        raise ValueError("no")

    async def payloads(choice: str) -> list[object]:
        flow = Flow("f").step(fail, each=[1], on_item_error=choice)
        return [record.payload for record in await records_of(flow) if record.path == "fail[0]"]

    assert await payloads("skip") == [{"skipped": True}]
    assert await payloads("collect") == [{"result": {"error": {"code": "AF-NODE-FAILED", "message": "ValueError: no"}}}]


async def test_nested_paths_begin_with_the_node_of_the_outer_flow() -> None:
    """Steps of the inner flow are durable one by one, then the node itself."""
    flow = Flow("outer").step(Flow("inner").step(same, name="a").step(same, name="b"))
    assert completed(await records_of(flow)) == ["inner/a", "inner/b", "inner"]


async def test_later_visits_are_numbered() -> None:
    """The second visit of a node is another step."""

    async def twice(value: int) -> object:
        return Route("again", value + 1) if value < 2 else value

    records = await records_of(Flow("f").step(twice, routes={"again": "twice", "default": "end"}), 0)
    assert completed(records) == ["twice", "twice@2", "twice@3"]


@pytest.mark.keeps_memory("lists every record")
async def test_events_are_in_the_batch_of_their_step_and_marked_in_the_next_one() -> None:
    """``event.emitted`` is durable before the event goes out; that it went out is noted with what comes next."""
    journal = DurableJournal()
    flow = Flow("f").step(None, name="tell", emits="thing.happened").step(same)
    records = await records_of(flow, {"x": 1}, journal)
    assert journal.appended == [
        ("run.started",),
        ("event.emitted", "step.completed"),
        ("event.published", "step.completed"),
        ("run.ended",),
    ]
    assert records[1].payload == {"type": "thing.happened", "data": {"x": 1}}
    assert records[3].payload == {"ids": [f"{records[1].run_id}/1"]}


async def test_payloads_above_the_limit_are_stored_by_reference_and_given_whole() -> None:
    """Results, inputs, outputs, state and events; the heads of runs stay readable without the blob."""
    large = "x" * (INLINE_LIMIT_BYTES + 1)

    class Store(Node):
        async def post(self, shared, prepared, result):
            shared.set("large", prepared)

        async def exec(self, prepared):
            return "small"

    journal = DurableJournal()
    flow = (
        Flow("f")
        .step(same)
        .step(None, name="tell", emits="large.happened")
        .step(Store)
        .returns({"large": {"$ref": "same.result"}})
    )
    records = await records_of(flow, large, journal)
    check_history(records)
    stored = [(record.type, record.path) for record in records if record.ref]
    assert stored == [
        ("run.started", ""),
        ("step.completed", "same"),
        ("event.emitted", "tell"),
        ("step.completed", "tell"),
        ("step.completed", "Store"),
        ("run.ended", ""),
    ]
    assert (await payload_of(journal, records[0]))["input"] == large
    assert (await payload_of(journal, records[-1]))["output"] == {"large": large}
    assert all(len(str(record.payload)) < 1000 for record in records)
    head = await journal.head(records[0].run_id)
    assert (head.name, head.status) == ("flow/f", "completed")


@pytest.mark.parametrize("extra", [0, 1])
async def test_the_limit_counts_bytes_not_characters(extra: int) -> None:
    """A payload of exactly the limit is inline."""
    overhead = len('{"result":"","took_s":0.0}')
    text = "é" * ((INLINE_LIMIT_BYTES - overhead) // 2) + "x" * ((INLINE_LIMIT_BYTES - overhead) % 2 + extra)
    records = await records_of(Flow("f").step(lambda: text, name="make", blocking="inline"))
    assert bool(records[1].ref) is bool(extra)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ((1,), "it is a tuple"),
        ({"a": {1: 2}}, r"\.a is an object with the key 1"),
        ([float("nan")], r"\[0\] is the number"),
    ],
)
async def test_a_result_that_is_no_json_fails_the_run_by_name_and_place(value: object, found: str) -> None:
    """Also what JSON would only change, such as a tuple: a resumed run would see something else."""
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(Flow("f").step(lambda: value, name="make", blocking="inline"))
        with pytest.raises(RunFailed, match=rf"at make: Node 'make' gave .* cannot be journalled: {found}") as error:
            await handle.result()
        records = await kernel.history(handle.run_id)
    assert (error.value.code, error.value.path) == ("AF-NOT-SERIALISABLE", "make")
    assert [record.type for record in records] == ["run.started", "run.ended"]


async def test_an_input_that_is_no_json_starts_nothing() -> None:
    """The caller is told at once."""
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        with pytest.raises(NotSerialisable, match="Node 'input' gave a value"):
            await kernel.start(Flow("f").step(same), {1: 2})
        assert await kernel.runs() == []


async def test_state_that_is_no_json_fails_the_visit_and_is_not_seen() -> None:
    """The change of state is part of the record."""

    class Store(Node):
        async def post(self, shared, prepared, result):
            shared.set("bad", {1, 2})

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match=r"\.bad\[0\] is a set"):
            await kernel.run(Flow("f").step(Store))


async def test_nodes_of_a_journalled_run_get_what_the_journal_would_give_back() -> None:
    """A node that changes its input in place changes nothing of what is known elsewhere, crash or no crash."""

    async def spoil(value: list[int]) -> str:
        value.append(99)
        return "done"

    flow = Flow("f").step(lambda: [1], name="make", blocking="inline").step(spoil).returns({"$ref": "make.result"})
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(flow) == [1]


async def test_a_failed_run_says_code_text_and_path() -> None:
    """In its last record, in the head, in the error and to whoever asks again with the same key."""

    async def fail(item: int) -> None:
        raise ValueError("broken \udcff")

    flow = Flow("f").step(Flow("inner").step(fail, each=[1, 2], concurrency=1))
    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(flow, key="k")
        with pytest.raises(RunFailed, match=r"failed at inner/fail\[0\]: ValueError: broken") as caught:
            await handle.result()
        assert isinstance(caught.value.__cause__, ValueError)
        records = await kernel.history(handle.run_id)
        assert records[-1].payload == {
            "status": "failed",
            "code": "AF-NODE-FAILED",
            "error": "ValueError: broken \\udcff",
            "path": "inner/fail[0]",
        }
        (head,) = await kernel.runs(status="failed")
        assert (head.code, head.cause) == ("AF-NODE-FAILED", "ValueError: broken \\udcff")
        with pytest.raises(RunFailed, match="broken") as again:
            await (await kernel.start(flow, key="k")).result()
        assert (again.value.run_id, again.value.code, again.value.path) == (
            handle.run_id,
            "AF-NODE-FAILED",
            "inner/fail[0]",
        )


async def test_an_attribute_called_code_is_no_code_of_ours() -> None:
    """HTTP libraries keep numbers there."""

    class Foreign(Exception):
        code = 404

    async def fail() -> None:
        raise Foreign("not found")

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="Foreign: not found") as caught:
            await kernel.run(Flow("f").step(fail))
    assert caught.value.code == "AF-NODE-FAILED"


@pytest.mark.parametrize("display", [{"$ref": "skipped.result"}, {"$ref": "same.result.nothing"}])
async def test_a_display_that_cannot_be_made_fails_the_run_once(display: object) -> None:
    """Exactly one record ends a run, whatever goes wrong on the way there."""

    async def skip(value: object) -> Route:
        return Route("over", value)

    flow = Flow("f").step(same).step(skip, routes={"over": "end", "default": "skipped"}).step(same, name="skipped")
    flow.shows(display)
    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(flow, {"a": 1})
        with pytest.raises(RunFailed, match=r"\$ref"):
            await handle.result()
        records = await kernel.history(handle.run_id)
    check_history(records)
    assert records[-1].payload["status"] == "failed"


async def test_the_display_is_text_on_the_handle() -> None:
    """It is made when the run is completed."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(same).shows({"$ref": "same.result.n"}), {"n": 3})
        assert handle.display is None
        await handle.result()
        assert handle.display == "3"
        assert handle.steps == 1
