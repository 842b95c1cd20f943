"""The suite of buses: a sound one passes, also where it denies what it need not have."""

from __future__ import annotations

import pytest
from kit_runs import run_each

pytestmark = pytest.mark.timeout(600)

RUNS = {
    "the bus of the process": ["agentflow_kernel.testing.inprocess_harness:InProcessBusHarness"],
    "plain": ["plain_bus:PlainHarness"],
}


def test_sound_buses_pass(tmp_path) -> None:
    """What is denied is expected to be missing; nothing is skipped."""
    results = run_each(RUNS, tmp_path)
    for name, (code, output) in results.items():
        assert code == pytest.ExitCode.OK, f"{name}: {output}"
    assert "xfailed" not in results["the bus of the process"][1].splitlines()[-1]
    assert ", 4 xfailed in" in results["plain"][1].splitlines()[-1]
