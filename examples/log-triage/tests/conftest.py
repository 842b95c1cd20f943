"""What the tests of the example share: its code, loaded by path, and a walk through its manifest without the engine."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from agentflow_kernel.contracts.memory import Entry
from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
from agentflow_kernel.flow import Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EXAMPLE: Final = Path(__file__).parents[1]
SEARCH: Final = ToolInfo("logs.search", "Search a file.", {"type": "object"})


def load(name: str) -> ModuleType:
    """One file of the example as a module."""
    spec = importlib.util.spec_from_file_location(f"log_triage_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FakeMemory:
    """A memory as one step sees it: a write that carries a known key changes nothing and answers as before."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.step = "step-1"
        self._answers: dict[tuple[str, str], Entry | None] = {}

    async def get(self, key: str) -> Entry | None:
        return self.entries.get(key)

    async def put(self, key: str, value: Any) -> Entry | None:
        if (self.step, key) not in self._answers:
            before = self._answers[self.step, key] = self.entries.get(key)
            self.entries[key] = Entry(key, value, before.version + 1 if before else 1, 0.0)
        return self._answers[self.step, key]

    async def delete(self, key: str) -> bool:
        return self.entries.pop(key, None) is not None

    async def list(self, prefix: str = "", *, limit: int = 1000) -> list[Entry]:
        return [self.entries[key] for key in sorted(self.entries) if key.startswith(prefix)][:limit]


class FakeContext:
    """What the example's functions use of a node's context."""

    def __init__(self, folder: Path, *, seen: FakeMemory, followed: FakeMemory) -> None:
        self.folder = str(folder)
        self._memories = {"seen": seen, "followed": followed}

    def memory(self, name: str) -> FakeMemory:
        return self._memories[name]


class Walk:
    """The flow of the manifest, node after node, with the real functions, the real rules and a search of its own."""

    def __init__(self, folder: Path) -> None:
        documents = {each["kind"]: each["spec"] for each in yaml.safe_load_all(read("triage.yaml"))}
        self.flow: dict[str, Any] = documents["Flow"]
        self.agent: dict[str, Any] = documents["Agent"]
        self.rules = load("rules").RulesProvider(documents["Model"]["with"], None)
        self.memory = FakeMemory()
        self.followed = FakeMemory()
        self.folder = folder
        self.root = EXAMPLE
        self.events: list[tuple[str, Any]] = []
        self.model_turns = 0

    def run(self, log: Any) -> dict[str, Any]:
        """The flow's output for one event."""
        roots: dict[str, Any] = {"input": log}
        name = self.flow["start"]
        while name:
            node = self.flow["nodes"][name]
            if "each" in node:
                items = Template(node["each"]).fill(roots)
                assert isinstance(items, list)
                result: Any = [self._visit(node, Template(node["input"]).fill(roots, item)) for item in items]
            else:
                result = self._visit(node, Template(node["input"]).fill(roots))
            roots[name] = json.loads(json.dumps(result, allow_nan=False))
            assert roots[name] == result, f"{name} gives what JSON would change"
            name = node.get("next")
        output = Template(self.flow["output"]).fill(roots)
        assert isinstance(output, dict)
        return output

    def _visit(self, node: dict[str, Any], value: Any) -> Any:
        if "emit" in node:
            self.events.append((node["emit"], value))
            return value
        if "agent" in node:
            return asyncio.run(self._assess(value))
        file, _, function = node["uses"].removeprefix("./").partition(".py:")
        called = getattr(load(file), function)
        wants_context = len(inspect.signature(called).parameters) == 2
        context = FakeContext(self.folder, seen=self.memory, followed=self.followed)
        result = called(*(value, context)[: 1 + wants_context])
        return asyncio.run(result) if inspect.isawaitable(result) else result

    async def _assess(self, value: Any) -> dict[str, Any]:
        """The tool loop in small."""
        messages = [Message("system", self.agent["instructions"]), Message("user", json.dumps(value))]
        while True:
            reply = await self.rules.complete(ModelRequest(messages, tools=[SEARCH]))
            self.model_turns += 1
            messages.append(reply.message)
            if not reply.message.calls:
                return {"text": reply.message.text, "output": json.loads(reply.message.text), "stop_reason": "end"}
            found = [(call.id, json.dumps(self._search(call.arguments))) for call in reply.message.calls]
            messages += [Message("tool", text, call_id=call_id) for call_id, text in found]

    def _search(self, arguments: Any) -> dict[str, Any]:
        path = self.root / arguments["path"]
        lines = enumerate(path.read_text("utf-8", "replace").split("\n"), start=1)
        found = [{"line": number, "text": text} for number, text in lines if arguments["pattern"] in text]
        return {"matches": found[: arguments["max_matches"]]}


def read(name: str) -> str:
    return (EXAMPLE / name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Load one file of the example: ``module("parsing")``."""
    return load


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    """The manifest's flow with a fresh memory and folder."""
    return Walk(tmp_path)


@pytest.fixture
def triage(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, Any]]:
    """Run the flow on a log anywhere; gives its output."""

    def run(log: Path) -> dict[str, Any]:
        monkeypatch.setenv("TRIAGE_LOG_ROOT", str(log.parent))
        walk.root = log.parent
        return walk.run({"path": str(log)})

    return run


@pytest.fixture(scope="session")
def logs() -> Path:
    """The folder of real logs; the test is skipped where there is none."""
    folder = os.environ.get("AGENTFLOW_TEST_DATA")
    if not folder:
        pytest.skip("AGENTFLOW_TEST_DATA is not set: it names the folder of real input, and there is none here.")
    return Path(folder) / "logs"


@pytest.fixture
def chance() -> Random:
    """A seeded generator."""
    return Random(5)
