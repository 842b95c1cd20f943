"""What the tests of manifests share: writing one, reading it, and reading what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agentflow_kernel.manifest import Manifest

    Texts = str | bytes | Mapping[str, str]

GOOD = """\
apiVersion: agentflow.dev/v1
kind: Model
metadata: {name: claude, labels: {team: ops}, annotations: {note: "by hand"}}
spec: {plugin: anthropic, model: claude-sonnet-5, max_tokens: 2000, temperature: 0.5}
---
apiVersion: agentflow.dev/v1
kind: Tool
metadata: {name: files}
spec: {plugin: files, with: {root: .}}
---
apiVersion: agentflow.dev/v1
kind: Memory
metadata: {name: seen}
spec: {plugin: sqlite, ttl_s: 3600}
---
apiVersion: agentflow.dev/v1
kind: Policy
metadata: {name: retry}
spec: {plugin: retry, with: {attempts: 3}}
---
apiVersion: agentflow.dev/v1
kind: Journal
metadata: {name: journal}
spec: {plugin: sqlite}
---
apiVersion: agentflow.dev/v1
kind: Agent
metadata: {name: analyst}
spec:
  model: claude
  instructions: Look into it.
  tools: [files.read, files]
  memory: seen
  policies: [retry]
---
apiVersion: agentflow.dev/v1
kind: Plan
metadata: {name: door}
spec: {planner: tools, document: {initial: open, states: {open: {}}}, tools: [files], agents: [analyst]}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: triage}
spec:
  nodes:
    assess:
      agent: analyst
      each: {$ref: input.batches}
      input: {lines: {$ref: item}}
      next: report
    report:
      uses: ./nodes.py:report
      input: {$ref: assess.result}
      routes: {bad: alarm, good: null}
    alarm: {emit: incident.detected, input: {$ref: "report.result.incidents[0]"}}
  output: {$ref: report.result}
  display: {$ref: report.result.text}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: on-log}
spec: {plugin: file, with: {path: app.log}, start: flow/triage, input: {path: {$ref: event.data.path}}}
"""
"""One resource of every kind; needs a ``nodes.py`` beside it."""


@pytest.fixture
def good() -> str:
    """A manifest with a resource of every kind."""
    return GOOD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test, with a code file in it."""
    (tmp_path / "nodes.py").write_text("raise SystemExit('a manifest must not import code')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def manifest_of(folder: Path) -> Callable[..., Manifest]:
    """Write ``m.yaml`` (or several files) and read it."""

    def write_and_read(texts: Texts, **options: object) -> Manifest:
        if isinstance(texts, bytes):
            (folder / "m.yaml").write_bytes(texts)
            return read("m.yaml", **options)  # type: ignore[arg-type]  # handed on as they are
        for name, text in ({"m.yaml": texts} if isinstance(texts, str) else texts).items():
            (folder / name).write_bytes(text.encode())
        options.setdefault("environ", {})
        return read("m.yaml" if isinstance(texts, str) else ".", **options)  # type: ignore[arg-type]  # as above

    return write_and_read


@pytest.fixture
def findings_of(manifest_of: Callable[..., Manifest]) -> Callable[..., list[str]]:
    """Write a manifest that is wrong and read its findings."""

    def write_and_fail(texts: Texts, **options: object) -> list[str]:
        with pytest.raises(ManifestErrors) as caught:
            manifest_of(texts, **options)
        return [str(finding) for finding in caught.value.findings]

    return write_and_fail


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers of PyYAML; the slower one is there for machines without libyaml."""
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param == "libyaml")
    name: str = request.param
    return name
