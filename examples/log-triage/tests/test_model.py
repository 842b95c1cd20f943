"""The example with a model in the place of the rules, replayed from a cassette: no key, no network.

Record it anew with a key: run this file under pytest with ``AGENTFLOW_CASSETTE=record`` and ``ANTHROPIC_API_KEY`` set.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from agentflow_kernel import Kernel
from agentflow_kernel.testing import Cassette, CassetteMiss, CassetteRules, InProcessJournal, replace_text

EXAMPLE = Path(__file__).parents[1]
CASSETTE = Path(__file__).with_name("cassettes") / "assess.json"
MODEL = "anthropic/sonnet"
LINES = 130
"""Of the sample log: a few suspects are enough."""

pytestmark = pytest.mark.blocking  # objects of the manifest are made when they are first needed


@pytest.fixture
def triage(tmp_path: Path) -> Path:
    """The example beside a shorter log, in a folder of its own."""
    folder = tmp_path / "log-triage"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    text = (folder / "sample.log").read_text().splitlines(keepends=True)
    (folder / "sample.log").write_text("".join(text[:LINES]))
    return folder


def run(triage: Path, state: Path) -> dict[str, object]:
    """The report of one run with the cassette between the flow and its model and tools."""
    kernel = Kernel.from_manifest(
        str(triage / "triage.yaml"), state=str(state), journal=InProcessJournal(), model=MODEL, trust_code=True
    )
    rules = CassetteRules(normalise=[replace_text(r"\S*/log-triage", "log-triage")])
    with Cassette.replay(str(CASSETTE), rules) as cassette:
        cassette.attach(kernel)
        kernel.run_sync("flow/triage", {"path": "sample.log"})
    (path,) = state.glob("artifacts/*/report.json")
    report: dict[str, object] = json.loads(path.read_text())
    return report


def test_the_assessments_are_the_model_s(triage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers come from the log, words from the model."""
    if os.environ.get("AGENTFLOW_CASSETTE") != "record":
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    attackers = run(triage, tmp_path / "state")["attackers"]
    assert isinstance(attackers, list)
    assert attackers
    assert all(attacker["summary"] and attacker["severity"] for attacker in attackers)


def test_another_question_is_a_miss_that_shows_the_difference(triage: Path, tmp_path: Path) -> None:
    """So a change of the instructions is noticed before it costs money."""
    manifest = triage / "triage.yaml"
    manifest.write_text(manifest.read_text().replace("You assess one address", "You judge one address"))
    with pytest.raises(CassetteMiss, match="judge one address"):
        run(triage, tmp_path / "state")
