"""A driver: machines from short texts, and what they log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_fsm.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(text: str | Mapping[str, Any], **options: Any) -> Machine:
    """A traced machine of a YAML or SCXML text."""
    return Machine.load(text, traced=True, **options)


def logged(machine: Machine) -> str:
    """What was logged since the last call, separated by blanks."""
    return " ".join(str(fields["label"]) for name, fields in machine.take_trace() if name == "log.written")


def taken(machine: Machine, *events: str) -> str:
    """What is logged while these events are taken."""
    machine.take_trace()
    for event in events:
        machine.send(event)
    return logged(machine)
