"""The reference: a journal does what a dictionary of lists would, whatever is asked of it in whatever order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.reference import JournalMachine

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness

LIMITS = settings(
    max_examples=12, stateful_step_count=20, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@requirement(
    "JOURNAL-99",
    "MUST",
    reason="The requirements before this one are the cases that somebody thought of.",
    advice="The shortest sequence of calls that differs is printed; the model is suites/journal/reference.py.",
)
def test_the_journal_does_what_the_reference_does(harness: Harness, anyio_backend: str) -> None:
    """Answers every sequence of appends, takeovers, readings and lists as the reference model does."""
    machine = cast("Any", partial(JournalMachine, harness, anyio_backend))  # it calls what it is given
    run_state_machine_as_test(machine, settings=LIMITS)
