"""The example, as its reader runs it: the sample, real payloads, and the chart in virtual time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow_kernel import Kernel
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import InProcessJournal
from agentflow_planner_fsm.machine import Machine

EXAMPLE = Path(__file__).parents[1]
pytestmark = [pytest.mark.anyio, pytest.mark.blocking]  # the manifest's code is imported when it is first needed


async def results(monkeypatch: pytest.MonkeyPatch, folder: Path, *, rest: int = 0) -> tuple[list[Any], list[str]]:
    """The outputs of the runs that end, and the types of all that they emit; ``rest`` runs wait for more."""
    monkeypatch.setenv("CI_DELIVERIES", str(folder))
    told: list[str] = []
    manifest = str(EXAMPLE / "ci-run.yaml")
    async with Kernel.from_manifest(
        manifest, journal=InProcessJournal(), settings=Settings(), trust_code=True
    ) as kernel:

        @kernel.on("ci.*")
        async def note(event: Any) -> None:
            told.append(event.type)

        with anyio.fail_after(50):
            handles = await kernel.fire("deliveries")
            outputs = [await handle.result() for handle in handles[: len(handles) - rest]]
            await kernel.idle(resting=True)
            assert [head.status for head in await kernel.runs()].count("waiting") == rest
    return outputs, told


async def test_the_sample_has_a_green_and_a_red_run(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, told = await results(monkeypatch, EXAMPLE / "sample")
    assert outputs == [
        {"result": "green", "jobs": ["tests"], "checks": [{"name": "lint", "conclusion": "success"}]},
        {"result": "red", "failed": ["tests"], "jobs": [], "checks": []},
    ]
    assert told == ["ci.job.failed", "ci.run.failed"]


async def test_real_payloads_lead_through_the_chart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of one commit end in a red run; the checks of another one are noted, and it waits for its workflow."""
    data = os.environ.get("AGENTFLOW_TEST_DATA")
    if not data:
        pytest.skip("AGENTFLOW_TEST_DATA names no folder with real payloads (webhooks/workflow_run/*.json)")
    order = (
        "workflow_run/requested.payload", "check_run/created.payload", "workflow_job/in_progress.payload",
        "check_run/completed.1.payload", "workflow_job/completed.failure.with-organization.payload",
        "check_run/completed.payload", "workflow_run/completed.payload",
    )  # fmt: skip
    for number, name in enumerate(order):
        shutil.copy(Path(data, "webhooks", f"{name}.json"), tmp_path / f"{number:02}.json")
    outputs, told = await results(monkeypatch, tmp_path, rest=1)
    assert outputs == [{"result": "red", "failed": ["linters"], "jobs": [], "checks": []}]
    assert told == ["ci.job.failed", "ci.run.failed"]


def test_the_chart_by_itself_waits_six_hours() -> None:
    machine = Machine.load(EXAMPLE / "charts" / "ci-run.yaml", data={})
    machine.send("check_run.completed", {"name": "lint", "conclusion": "success", "head_sha": "a"})
    machine.advance(6 * 3_600 - 1)
    assert not machine.done
    machine.advance(1)
    assert machine.output == {"result": "abandoned", "checks": [{"name": "lint", "conclusion": "success"}]}


def test_every_sample_is_json_of_one_kind() -> None:
    kinds = {kind for file in (EXAMPLE / "sample").glob("*.json") for kind in json.loads(file.read_text())}
    assert kinds == {"action", "repository", "workflow_run", "workflow_job", "check_run"}


def test_one_command_runs_it(tmp_path: Path) -> None:
    """As in the README: both runs end, and the picture of the plan can be drawn."""
    program = [sys.executable, "-P", "-m", "agentflow_cli"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTFLOW_", "CI_"))}
    done = subprocess.run(
        [*program, "run", str(EXAMPLE), "--state", str(tmp_path), "--trust-code"],
        env=env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"1 ci.job.failed, 1 ci.run.failed" in done.stdout + done.stderr
    drawn = subprocess.run(
        [*program, "graph", "plan/ci-run", "--file", str(EXAMPLE)],
        env=env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"after 6h" in drawn.stdout
