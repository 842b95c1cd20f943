"""The reference: a memory does what a dictionary would, whatever is asked of it in whatever order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from agentflow_specs.requirement import requirement
from agentflow_specs.suites.memory.reference import MemoryMachine

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness

LIMITS = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@requirement(
    "MEMORY-99",
    "MUST",
    reason="The requirements before this one are the cases that somebody thought of.",
    advice="The shortest sequence of calls that differs is printed; the model is suites/memory/reference.py.",
)
def test_the_memory_does_what_the_reference_does(harness: Harness, anyio_backend: str) -> None:
    """Answers every sequence of writes, readings, removals, lists and waits as the reference model does."""
    machine = cast("Any", partial(MemoryMachine, harness, anyio_backend))  # it calls what it is given
    run_state_machine_as_test(machine, settings=LIMITS)
