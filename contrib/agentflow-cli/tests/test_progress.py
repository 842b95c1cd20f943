from __future__ import annotations

import io
import sys

import pytest

from agentflow_cli.bars import Bars
from agentflow_cli.node_state import NodeState
from agentflow_cli.progress import Lines, Silence, Watch
from agentflow_kernel import Progress

RUN = "0190a3c4-0000-7000-8000-00000000beef"
OTHER = "0190a3c4-0000-7000-8000-00000000cafe"


class Bench:
    """A watch whose clock the test moves."""

    def __init__(self, view: object) -> None:
        self.now = 0.0
        self.watch = Watch(view, clock=self.time)

    def time(self) -> float:
        return self.now

    def tell(self, event: str, path: str = "", run: str = RUN, /, **fields: object) -> None:
        self.watch(Progress(event, run, 0, path, 0.0, fields))


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    """A bench that shows lines, and the lines since the last look."""

    def shown() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return Bench(Lines()), shown


def test_lines_tell_of_a_run_and_its_nodes(lines) -> None:
    """Starts and ends of run and nodes are lines; ends say how long it took."""
    bench, shown = lines
    bench.tell("run.started", name="flow/triage", resumed=False)
    bench.tell("node.started", "parse", node="parse", items=None)
    bench.now = 1.5
    bench.tell("node.completed", "parse", node="parse")
    assert shown() == [f"run {RUN} started: flow/triage", "parse: started", "parse: completed in 1.50 s"]


def test_lines_of_a_busy_node_come_once_a_second(lines) -> None:
    """A thousand items in five seconds make five lines, each with count, rate and rest."""
    bench, shown = lines
    bench.tell("node.started", "assess", node="assess", items=1000)
    for done in range(1, 1001):
        bench.now = done / 200
        bench.tell("branch.completed", f"assess[{done - 1}]", node="assess", done=done, total=1000)
    bench.tell("node.completed", "assess", node="assess")
    found = shown()
    assert len(found) == 1 + 5 + 1
    assert found[0] == "assess: started, 1,000 items"
    assert found[1] == "assess: 200/1,000, 200.0/s, 4.00 s left"
    assert found[-1] == "assess: completed in 5.00 s, 1,000/1,000"


def test_lines_show_what_a_node_reports_itself(lines) -> None:
    """A node that reports its progress gives count, total and unit."""
    bench, shown = lines
    bench.tell("node.started", "read", node="read", items=None)
    bench.now = 2.0
    bench.tell("progress.reported", "read", node="read", done=120_000, total=200_000, unit="lines")
    assert shown()[-1] == "read: 120,000/200,000 lines, 60,000.0/s, 1.33 s left"


def test_lines_tell_of_a_wait_for_another_attempt(lines) -> None:
    """With what failed, why, and how long; a wait under a second is none to speak of."""
    bench, shown = lines
    failed = {
        "name": "claude",
        "attempt": 2,
        "error": "RateLimited",
        "code": "AF-RATE-LIMITED",
        "message": "busy\x1b[2J",
    }
    bench.tell("retry.scheduled", "assess[3]/model-1", wait_s=0.9, **failed)
    bench.tell("retry.scheduled", "assess[3]/model-1", wait_s=42.0, **failed)
    assert shown() == ["assess[3]/model-1: attempt 2 failed, the next one in 42 s [AF-RATE-LIMITED] busy"]


def test_lines_name_the_cause_of_a_failure(lines) -> None:
    """A failed node says its code and message, on one line, without escape sequences."""
    bench, shown = lines
    bench.tell("node.started", "ask", node="ask", items=None)
    bench.now = 3.0
    bench.tell("node.failed", "ask", node="ask", code="AF-ELAPSED", message="no answer\n\x1b[2Jwithin 3 s")
    assert shown()[-1] == "ask: failed after 3.00 s [AF-ELAPSED] no answer within 3 s"


def test_nodes_within_an_item_of_a_batch_are_not_shown(lines) -> None:
    """Ten thousand items with three nodes each are one batch, not thirty thousand lines."""
    bench, shown = lines
    bench.tell("node.started", "triage", node="triage", items=2)
    shown()
    bench.tell("node.started", "triage[0]/parse", node="parse", items=None)
    bench.tell("progress.reported", "triage[0]/parse", node="parse", done=1, total=2, unit="")
    bench.tell("node.completed", "triage[0]/parse", node="parse")
    bench.tell("branch.completed", "triage[0]/inner[1]", node="inner", done=1, total=2)
    assert shown() == []


def test_actions_count_for_the_node_above_them(lines) -> None:
    """Model and tool actions of an agent belong to the node it works in, also within a batch."""
    bench, shown = lines
    bench.tell("node.started", "triage", node="triage", items=None)
    bench.now = 1.0
    bench.tell("model.answered", "triage/m1")
    bench.now = 2.0
    bench.tell("tool.returned", "triage/m1/t1")
    assert shown()[1:] == ["triage: 1 model answer", "triage: 1 model answer, 1 tool result"]
    bench.tell("node.started", "flow/assess", node="assess", items=4)
    bench.tell("model.answered", "flow/assess[3]/m1")
    bench.tell("node.completed", "flow/assess", node="assess")
    assert shown()[-1] == "flow/assess: completed in 0.0 ms, 0/4, 1 model answer"


def test_actions_without_a_known_node_are_passed_over(lines) -> None:
    """An event out of turn is no error: an error in a listener would end the run."""
    bench, shown = lines
    for name in ("model.answered", "tool.returned", "branch.completed", "progress.reported"):
        bench.tell(name, "nowhere/m1", done=1, total=2)
    bench.tell("node.completed", "nowhere")
    bench.tell("node.failed", "nowhere")
    bench.tell("retry.scheduled", "nowhere")
    bench.tell("circuit.opened", "", "")
    assert shown() == []
    assert list(bench.watch.runs) == [RUN]


def test_nodes_of_several_runs_carry_the_end_of_the_run_id(lines) -> None:
    """Two runs at a time: their nodes can be told apart."""
    bench, shown = lines
    bench.tell("run.started", name="flow/a")
    bench.tell("run.started", "", OTHER, name="flow/a")
    bench.tell("node.started", "parse", OTHER, node="parse", items=None)
    assert shown()[-1] == "00cafe parse: started"


def test_a_resumed_run_is_said_to_be_resumed(lines) -> None:
    """People see whether something begins or goes on."""
    bench, shown = lines
    bench.tell("run.started", name="flow/a", resumed=True)
    assert shown() == [f"run {RUN} resumed: flow/a"]


def test_watch_knows_which_runs_are_at_work() -> None:
    """Runs are counted from the first to the last that is heard of them, and keep their last status."""
    bench = Bench(Silence())
    bench.tell("run.started", name="flow/a")
    bench.tell("run.started", "", OTHER, name="flow/b")
    assert bench.watch.working() == 2
    bench.now = 2.5
    bench.tell("run.completed")
    assert bench.watch.runs == {RUN: ("flow/a", "completed"), OTHER: ("flow/b", "suspended")}
    bench.tell("run.stuck", "", OTHER)
    assert bench.watch.runs[OTHER] == ("flow/b", "stuck")
    assert bench.watch.seconds == {RUN: 2.5, OTHER: 2.5}


def test_watch_counts_events_by_type() -> None:
    """What went out on the bus is known by run and type."""
    bench = Bench(Silence())
    for _ in range(3):
        bench.tell("event.emitted", type="incident.detected", id="x")
    bench.tell("event.emitted", type="report.written", id="y")
    assert bench.watch.emitted == {RUN: {"incident.detected": 3, "report.written": 1}}


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """`--no-progress` is obeyed in every event."""
    bench = Bench(Silence())
    bench.tell("run.started", name="flow/a")
    bench.tell("node.started", "a", items=3)
    bench.tell("branch.completed", "a[0]", done=1, total=3)
    bench.tell("node.failed", "a", code="X", message="y")
    bench.watch.view.close()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


class Screen(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_bars_show_amount_rate_and_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sees the bar move; a node that has ended leaves its line."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    bars = Bars()
    try:
        node = NodeState("assess [bold]", 40, now=0.0)
        bars.started(node)
        node.count(10, 40, "", now=2.0)
        bars.advanced(node, 2.0)
        bars.refresh()
        assert "10/40" in screen.getvalue()
        assert "5.0/s, 6.00 s left" in screen.getvalue()
        assert "assess [bold]" in screen.getvalue()
        bars.note("run started")
        bars.ended(node, "assess: completed in 8.00 s, 40/40")
    finally:
        bars.close()
        bars.close()
    assert "run started" in screen.getvalue()
    assert "assess: completed in 8.00 s, 40/40" in screen.getvalue()
