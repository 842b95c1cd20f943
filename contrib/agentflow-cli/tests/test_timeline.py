from __future__ import annotations

import pytest

from agentflow_cli.timeline import as_table, moments, size
from agentflow_kernel.contracts.journal import Record

BEGAN = 1_700_000_000.0


def history(*lines: tuple[float, str, str, object]) -> list[Record]:
    """Records at these seconds after the start, of these types, paths and payloads."""
    return [
        Record("run", seq, kind, path, payload, 1, ts=BEGAN + at) for seq, (at, kind, path, payload) in enumerate(lines)
    ]


def took(*lines: tuple[float, str, str, object]) -> dict[str, float | None]:
    """How long each completed step took, by path."""
    found = moments(history(*lines))
    return {
        moment.record.path: None if moment.took_s is None else round(moment.took_s, 6)
        for moment in found
        if moment.record.type.startswith("step.")
    }


def test_steps_one_after_another_took_the_time_between_their_records() -> None:
    """The first step begins with the run, each other one with the record of the one before it."""
    steps = took(
        (0.0, "run.started", "", {"name": "flow/x"}),
        (1.0, "step.completed", "a", {"result": 1}),
        (1.1, "event.emitted", "b", {"type": "x", "data": 1}),
        (3.0, "step.completed", "b", {"result": 1}),
    )
    assert steps == {"a": 1.0, "b": 2.0}


def test_items_of_a_batch_have_no_time_but_the_batch_has() -> None:
    """Items ran side by side: when one began is not on record. The batch began when the step before it ended."""
    steps = took(
        (0.0, "run.started", "", {}),
        (1.0, "step.completed", "a", {}),
        (2.0, "step.completed", "b[1]", {}),
        (3.0, "step.completed", "b[0]", {}),
        (3.5, "step.completed", "b", {}),
        (4.0, "step.completed", "c", {}),
    )
    assert steps == {"a": 1.0, "b[1]": None, "b[0]": None, "b": 2.5, "c": 0.5}


def test_steps_of_a_nested_flow_begin_where_its_node_begins() -> None:
    """The first step of a nested flow begins when the step before its node ended; those in an item do not tell."""
    steps = took(
        (0.0, "run.started", "", {}),
        (1.0, "step.completed", "a", {}),
        (1.5, "step.completed", "sub/x", {}),
        (2.5, "step.completed", "sub/y", {}),
        (2.6, "step.completed", "sub", {}),
        (3.0, "step.completed", "b[0]/x", {}),
        (3.2, "step.completed", "b[0]/y", {}),
    )
    assert steps == {"a": 1.0, "sub/x": 0.5, "sub/y": 1.0, "sub": 1.6, "b[0]/x": None, "b[0]/y": pytest.approx(0.2)}


def test_time_in_which_nobody_worked_does_not_count() -> None:
    """A step that a later owner did took the time since that owner began."""
    steps = took(
        (0.0, "run.started", "", {}),
        (1.0, "step.completed", "a", {}),
        (1000.0, "lease", "", {"owner": "7-x"}),
        (1002.0, "step.completed", "b", {}),
    )
    assert steps["b"] == 2.0


def test_actions_that_a_planner_started_together_have_no_time() -> None:
    """Two tools at a time: the second record says when it ended, not when it began."""
    steps = took(
        (0.0, "run.started", "", {}),
        (2.0, "step.completed", "agent/m1", {}),
        (2.0, "decision", "agent", {"open": [{"id": "t1"}, {"id": "t2"}]}),
        (3.0, "step.completed", "agent/t1", {}),
        (3.0, "decision", "agent", {"open": [{"id": "t2"}]}),
        (5.0, "step.completed", "agent/t2", {}),
    )
    assert steps["agent/m1"] == 2.0
    assert steps["agent/t1"] is None


def test_a_clock_that_was_put_back_gives_no_negative_time() -> None:
    """Wall time may jump."""
    assert took((0.0, "run.started", "", {}), (-5.0, "step.completed", "a", {})) == {"a": 0.0}


@pytest.mark.parametrize(
    ("kind", "payload", "note"),
    [
        ("run.started", {"name": "flow/x"}, "flow/x"),
        ("run.ended", {"status": "failed", "code": "AF-X", "error": "no luck"}, "failed: AF-X: no luck"),
        ("run.suspended", {"status": "suspended", "cause": "asked"}, "suspended: asked"),
        ("event.emitted", {"type": "incident.detected", "data": {}}, "incident.detected"),
        ("step.intent", {"tool": "files.write"}, "files.write"),
        ("lease", {"owner": "7-x"}, "owner 7-x"),
        ("step.completed", {"result": 1, "action": "retry"}, "→ retry"),
        ("step.completed", {"skipped": True}, "skipped"),
        ("step.completed", {"error": {"code": "AF-X"}}, 'error {"code":"AF-X"}'),
        ("step.completed", {"result": 1}, ""),
        ("run.ended", {"status": "x" * 500}, "x" * 119 + "…"),
    ],
)
def test_the_note_says_what_the_figures_do_not(kind: str, payload: object, note: str) -> None:
    """Each type of record has its own short remark."""
    (moment,) = moments(history((0.0, kind, "", payload)))
    assert moment.note == note


def test_a_payload_that_is_stored_apart_has_no_size() -> None:
    """A large payload is a reference; its size is not on record."""
    record = Record("run", 0, "step.completed", "a", None, 1, ref="ab" * 32)
    (moment,) = moments([record])
    assert moment.as_document()["size_bytes"] is None
    assert as_table([moment]).rows[0][6] == "apart"


def test_the_table_shows_time_attempt_and_size() -> None:
    """A row has the step's place, its time, its attempt and its size."""
    records = history((0.0, "run.started", "", {"name": "flow/x"}), (1.5, "step.completed", "a", {"result": "é"}))
    rows = as_table(moments(records)).rows
    assert rows[1] == ("1", "+1.50 s", "step.completed", "a", "1.50 s", "1", "15 B", "")


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (2048, "2.0 KiB"), (5 * 1024 * 1024, "5.0 MiB")])
def test_sizes_have_units(count: int, text: str) -> None:
    """Bytes are shown in the unit that fits."""
    assert size(count) == text
