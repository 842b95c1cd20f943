from __future__ import annotations

import pytest

from agentflow_cli.node_state import NodeState, span


def test_rate_and_rest_come_from_the_counts() -> None:
    """Ten items in two seconds are five a second; thirty more need six seconds."""
    node = NodeState("assess", 40, now=100.0)
    node.count(10, 40, "", now=102.0)
    assert node.rate(102.0) == 5.0
    assert node.left_s(102.0) == 6.0
    assert node.amount() == "10/40"
    assert node.speed(102.0) == "5.0/s, 6.00 s left"


def test_rate_is_that_of_the_last_half_minute() -> None:
    """A thousand items recalled at once do not make a resumed node look fast for ever."""
    node = NodeState("assess", 1100, now=0.0)
    for done in range(1, 1001):
        node.count(done, 1100, "", now=0.001)
    for second in range(1, 61):
        node.count(1000 + second, 1100, "", now=float(second))
    assert node.rate(60.0) == pytest.approx(1.0, abs=0.05)
    assert node.left_s(60.0) == pytest.approx(40, abs=2)


@pytest.mark.parametrize("now", [0.0, -5.0])
def test_rate_is_unknown_before_time_has_passed(now: float) -> None:
    """No division by nothing, also where a clock stands still."""
    node = NodeState("assess", 3, now=0.0)
    node.count(1, 3, "", now=now)
    assert node.rate(now) is None
    assert node.speed(now) == ""


def test_rest_is_never_negative() -> None:
    """More items than announced leave nothing to be done."""
    node = NodeState("read", 10, now=0.0)
    node.count(20, None, "lines", now=2.0)
    assert node.left_s(2.0) == 0.0
    assert node.amount() == "20/10 lines"


def test_amount_counts_what_an_agent_does() -> None:
    """An agent has no items: its model answers and tool results are what there is to count."""
    node = NodeState("triage", None, now=0.0)
    assert node.amount() == ""
    node.models, node.tools = 1, 2000
    assert node.amount() == "1 model answer, 2,000 tool results"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 ms"),
        (0.0042, "4.2 ms"),
        (0.42, "0.42 s"),
        (9.994, "9.99 s"),
        (12.4, "12 s"),
        (59.6, "1:00 min"),
        (185, "3:05 min"),
        (7385, "2:03:05 h"),
        (360_000, "100:00:00 h"),
    ],
)
def test_span_is_short(seconds: float, text: str) -> None:
    """A span has the precision that its size deserves."""
    assert span(seconds) == text
