"""Manifests: reading and checking a thousand resources, beside parsing the same text."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import yaml
from table import Row

from agentflow_kernel.manifest import read

HEAD = "apiVersion: agentflow.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
FLOW = """  nodes:
    first: {{agent: agent-{number}, input: {{question: {{$ref: input}}}}, next: second}}
    second: {{emit: thing.done, input: {{answer: {{$ref: first.result}}}}}}
  output: {{$ref: first.result}}
"""
AGENT = """  model: model-{number}
  instructions: Answer in one sentence.
  output_schema: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
"""
MODEL = "  plugin: scripted\n  model: small\n  max_tokens: 1000\n"


def rows(*, resources: int, runs: int) -> list[Row]:
    """One row: what is needed beyond the parser written in C."""
    text = _text(resources)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "many.yaml")
        path.write_text(text)
        pairs = [(_parsing(text), _reading(str(path), resources)) for _ in range(runs)]
    floor, value = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    beyond = value - floor
    note = f"parsed by C {floor:.0f} ms, in all {value:.0f} ms"
    name = f"manifest of {resources:,} resources, beyond parsing"
    return [Row(name, beyond, "ms", note, None, "< 100 ms", beyond < 100)]


def _text(resources: int) -> str:
    """Flows, agents and models in equal parts, each flow with its agent and each agent with its model."""
    documents = []
    for number in range(-(-resources // 3) * 3):
        kind, body = (("Flow", FLOW), ("Agent", AGENT), ("Model", MODEL))[number % 3]
        name = f"{kind.lower()}-{number // 3}"
        documents.append(HEAD.format(kind=kind, name=name) + body.format(number=number // 3))
    return "---\n".join(documents)


def _parsing(text: str) -> float:
    start = time.process_time()
    list(yaml.load_all(text, yaml.CSafeLoader))
    return (time.process_time() - start) * 1e3


def _reading(path: str, resources: int) -> float:
    start = time.process_time()
    manifest = read(path)
    elapsed = (time.process_time() - start) * 1e3
    if len(manifest.resources) < resources:
        raise RuntimeError(f"{len(manifest.resources)} resources were read, {resources} were expected.")
    return elapsed
