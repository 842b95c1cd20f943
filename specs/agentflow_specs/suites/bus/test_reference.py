"""The reference: what arrives where is what the model says, whatever is done in whatever order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agentflow_specs.requirement import requirement
from agentflow_specs.suites.bus.reference import BusMachine

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness

LIMITS = settings(
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # to shorten a sequence takes minutes, for each has a bus and an event loop of its own
    suppress_health_check=list(HealthCheck),
)


@requirement(
    "BUS-99",
    "MUST",
    reason="The requirements before this one are the cases that somebody thought of.",
    advice="The sequence of calls that differs is printed; the model is suites/bus/reference.py.",
)
def test_the_bus_does_what_the_reference_does(harness: Harness, anyio_backend: str) -> None:
    """Delivers in every sequence of subscriptions, events and endings what the reference model says."""
    machine = cast("Any", partial(BusMachine, harness, anyio_backend))  # it calls what it is given
    examples = 25 if harness.declared["clock"] else 5  # real pauses take their time
    run_state_machine_as_test(machine, settings=settings(LIMITS, max_examples=examples))
