"""The check of a flow raises no false alarm: it finds nothing in flows that do what they should."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flows import CASES, World

from agentflow_kernel import Flow
from agentflow_kernel.kernel.inspection import inspect_flows
from agentflow_kernel.manifest import read
from agentflow_kernel.settings import Settings

if TYPE_CHECKING:
    from flows import Case

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = sorted(path for path in EXAMPLES.rglob("*.yaml") if "kind: Flow" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_flow_of_these_tests_has_a_finding(case: Case) -> None:
    """Nor have those that its events start."""
    world = World(lambda run_id, path, key: None)
    built = [case.build(world), *(case.others(world) if case.others is not None else ())]
    for flow in built:
        if isinstance(flow, Flow):
            flow.check()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_no_flow_of_the_examples_has_a_finding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its code is loaded for that."""
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    before = set(sys.modules)
    try:
        manifest = read(str(path))
        assert manifest.of("Flow")
        inspection = inspect_flows(manifest, Settings.find(), trusted=True)
        assert (inspection.findings, inspection.unchecked) == ([], [])
    finally:
        for name in set(sys.modules) - before:  # two examples may name a module alike; libraries stay as they are
            if (sys.modules[name].__dict__.get("__file__") or "").startswith(str(EXAMPLES)):
                del sys.modules[name]
