"""Random charts run here as in an interpreter that follows appendix D of the recommendation word for word."""

from __future__ import annotations

import random

import pytest
from appendix_d import Interpreter
from random_charts import EVENTS, random_document

from agentflow_kernel.errors import PlanLoopError
from agentflow_planner_fsm.machine import Machine

BATCHES, CHARTS, STEPS, LIMIT = 20, 50, 10, 40


def logged(machine: Machine) -> list[str]:
    return [fields["label"] for name, fields in machine.take_trace() if name == "log.written"]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_charts_run_as_appendix_d_has_it(batch: int) -> None:
    """Configurations and the order of all content agree after every event, for 1,000 charts in all."""
    for seed in range(batch * CHARTS, (batch + 1) * CHARTS):
        document = random_document(seed)
        reference = Interpreter(document, LIMIT)
        try:
            machine = Machine.load(document, traced=True, max_microsteps=LIMIT)
        except PlanLoopError:
            assert reference.looped, seed
            continue
        assert not reference.looped, seed
        chance = random.Random(seed)
        for _ in range(STEPS):
            assert logged(machine) == reference.log, seed
            assert machine.configuration == reference.configuration(), seed
            assert machine.done == (not reference.running), seed
            if machine.done:
                break
            reference.log.clear()
            event = chance.choice(EVENTS)
            reference.send(event)
            if reference.looped:
                with pytest.raises(PlanLoopError):
                    machine.send(event)
                break
            machine.send(event)
