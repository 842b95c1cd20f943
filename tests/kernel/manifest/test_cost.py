"""What a manifest costs: modules at import, calls a value when it is read."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

HEAVY = ["asyncio", "dataclasses", "inspect", "json", "logging", "pathlib", "pydantic", "re", "typing", "yaml"]
AGENT = """\
---
apiVersion: agentflow.dev/v1
kind: Agent
metadata: {name: agent-%d, labels: {team: ops}}
spec:
  model: m
  instructions: Do it.
  tools: [files.read, files.list]
  policies: [retry]
  output_schema: {type: object, properties: {a: {type: string}}}
"""
REST = "".join(
    f"---\napiVersion: agentflow.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{plugin: x}}\n"
    for kind, name in (("Model", "m"), ("Tool", "files"), ("Policy", "retry"))
)


def loaded(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after the code."""
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_room_loads_nothing_heavy() -> None:
    """Start-up is paid by every command: neither typing nor re nor yaml is there before the first file."""
    assert loaded("import agentflow_kernel.manifest") == set()


def test_reading_loads_yaml_and_little_else(folder: Path) -> None:
    """What PyYAML itself needs, and no more."""
    (folder / "m.yaml").write_text(REST)
    with_yaml = loaded("import yaml")
    assert loaded("from agentflow_kernel.manifest import read; read('m.yaml')") == with_yaml
    assert not with_yaml & {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "pydantic", "typing"}


def calls(path: Path) -> int:
    """How many Python functions of the kernel a reading calls."""
    count = 0

    def seen(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and "agentflow_kernel" in frame.f_code.co_filename

    previous = sys.getprofile()
    sys.setprofile(seen)
    try:
        read(path)
    finally:
        sys.setprofile(previous)
    return count


def test_cost_grows_with_the_number_of_resources_and_no_faster(folder: Path) -> None:
    """The hundredth and the thousandth resource cost the same number of calls."""
    (folder / "first.yaml").write_text(AGENT % 0 + REST)
    read(folder / "first.yaml")  # what is imported at first use is no cost of a resource
    costs = {}
    for number in (1, 101, 1001):
        path = folder / f"{number}.yaml"
        path.write_text("".join(AGENT % n for n in range(number)) + REST)
        costs[number] = calls(path)
    early, late = (costs[101] - costs[1]) / 100, (costs[1001] - costs[101]) / 900
    assert abs(late - early) < 1
    assert early < 300
