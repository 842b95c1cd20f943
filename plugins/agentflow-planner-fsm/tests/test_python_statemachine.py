"""A second opinion by another implementation, python-statemachine, where it means the same.

It reads expressions as Python, knows no `has` and `default`, and waits in real time; so it is asked about the rest. Of
random charts it is asked about those that are flat or hierarchical: with parallel regions it differs from appendix D of
the recommendation where several of them compete, so the second opinion for these is `appendix_d.py`.
"""

from __future__ import annotations

import logging
import random
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from random_charts import EVENTS, random_document
from statechart_driver import logged
from test_irp import CASES, chart

from agentflow_kernel.errors import PlanLoopError
from agentflow_planner_fsm.machine import Machine
from agentflow_planner_fsm.scxml import write_scxml

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHERWISE = (
    "delay", "cancel", "evaluated at once", "content may be text", "an event stays", "no boolean", "late binding",
    "sends its end", "its events", "finalize", "parameters set", "autoforward", "leaving the state", "passed through",
)  # fmt: skip
"""What it does in another way: real time, Python's truth and names, and data of invoked machines."""


def started(text: str) -> Any:
    """A machine of python-statemachine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statemachine.io.scxml.processor import SCXMLProcessor

        processor = SCXMLProcessor(trusted=True)
        processor.parse_scxml("other", text)
        return processor.start()


@pytest.fixture(autouse=True)
def _quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is kept to itself."""
    logging.getLogger("statemachine").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("name", [name for name in CASES if not any(word in name for word in OTHERWISE)])
def test_charts_that_test_themselves_pass_there_too(name: str) -> None:
    assert "pass" in set(started(chart(name)).configuration_values)


def ours(document: Any, events: Sequence[str]) -> list[Any]:
    """Configurations and what is logged, at the beginning and after each event; none where it never comes to rest."""
    try:
        machine = Machine.load(document, traced=True, max_microsteps=40)
        seen = [(sorted(machine.configuration), logged(machine))]
        for event in events:
            machine.send(event)
            seen.append((sorted(machine.configuration), logged(machine)))
    except PlanLoopError:
        return []
    return seen


def theirs(document: Any, events: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """The same there."""
    other, seen = None, []
    for event in ("", *events):
        capsys.readouterr()
        if other is None:
            other = started(write_scxml(document))
        else:
            other.send(event)
        seen.append((sorted(other.configuration_values), " ".join(capsys.readouterr().out.split())))
    return seen


def without_odd_ones(states: dict[str, Any]) -> list[str]:
    """Take ``internal`` from transitions that are external all the same, which it refuses; gives all names below."""
    found = []
    for name, state in states.items():
        inside = without_odd_ones(state.get("states", {}))
        for way in state.get("transitions", ()):
            if not inside or not set(way.get("target", "?").split()) <= set(inside):
                way.pop("internal", None)
        found += [name, *inside]
    return found


@pytest.mark.parametrize("history", [0.0, 0.5])
def test_random_flat_and_hierarchical_charts_run_there_alike(
    history: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Configurations after each event of 60 charts, and the order of all content in those without history.

    There the content of a transition to a history state is done a second time, as if it were that of the default.
    """
    compared = 0
    for seed in range(30):
        document = random_document(seed, parallel=0.0, history=history)
        without_odd_ones(document["states"])
        events = random.Random(seed).choices(EVENTS, k=6)
        expected = ours(document, events)
        if expected:
            compared += 1
            found = theirs(document, events, capsys)
            assert [each[0] for each in found] == [each[0] for each in expected], seed
            assert found == expected or history, seed
    assert compared > 20
