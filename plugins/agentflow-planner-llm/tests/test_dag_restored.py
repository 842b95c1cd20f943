"""A run that is stored and loaded after every step is the undisturbed run, for a thousand random plans."""

from __future__ import annotations

import random

import pytest
from dag_driver import Play, dag, shown, task_of
from random_plans import WORLD_TOOLS, World, random_plan

PLANS = 1_000
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_run_that_is_restored_after_every_step_decides_the_same(part: int) -> None:
    """Same decisions, same end, same world, whichever action ends next."""
    loaded = looped = 0
    for seed in range(part, PLANS, PARTS):
        chance = random.Random(seed)
        document = random_plan(chance, linear=seed % 2 == 1, failing=seed % 3 == 0, looping=seed % 4 >= 2)
        passes = ("needs", "order", "merge", "prune", "batch", "cache") if seed % 5 else ()
        subject = dag(optimise=passes, cache=["look"] if seed % 7 == 0 else [], parallel=1 + seed % 4)
        task = task_of(subject, document, WORLD_TOOLS)
        runs = []
        for reload in (False, True):
            world, order = World(), random.Random(seed)
            run = Play(subject, task, {"n": seed}, reload=reload, traced=True)
            run.until_end(world.perform, lambda count, order=order: order.randrange(count))
            runs.append(([shown(decision) for decision in run.decisions], world.cells, world.changes))
            looped += any("#" in name for name in run.ids)
            loaded += reload * len(run.decisions)
        assert runs[0] == runs[1], (seed, document)
    assert looped > 0 or part < 2
    assert loaded > PLANS  # some thousand states were stored and loaded
