"""Each module can be imported alone, warns of nothing, and costs what it may."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

OTHERS = (
    "anyio",
    "asyncio",
    "click",
    "httpx2",
    "hypothesis",
    "pydantic",
    "pytest",
    "rich",
    "structlog",
    "trio",
    "yaml",
)
"""Libraries of others that many modules import: once for all is enough."""
IMPORT_EACH_ALONE = f"""
import gc, importlib, os, sys, traceback
import {", ".join(OTHERS)}
failed = {{}}
gc.disable()  # nothing here lives for long
for name in sys.argv[1:]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 2)
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        failed[name] = text
import json
print(json.dumps(failed))
"""
HEAVY = {"asyncio", "httpx", "httpx2", "opentelemetry", "pydantic", "structlog", "yaml"}
NOT_AT_REGISTRATION = HEAVY | {"anthropic", "click", "openai", "rich", "sqlite3"}
REGISTRATION_MODULES = 15


@pytest.mark.timeout(300)
def test_every_module_imports_alone_with_warnings_as_errors(tree) -> None:
    names = [name for dist in tree.dists for name in dist.modules]

    def failures(share: list[str]) -> dict[str, str]:
        command = [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE, *share]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    with ThreadPoolExecutor(2) as pool:
        failed = {name: text for part in pool.map(failures, (names[::2], names[1::2])) for name, text in part.items()}
    assert not failed, "\n".join(f"{name}:\n{text}" for name, text in failed.items())


@pytest.mark.parametrize(
    "statement",
    ["import agentflow_kernel", "from agentflow_kernel import Kernel, Flow, Event"],
)
def test_the_kernel_loads_nothing_heavy(loaded_by, statement: str) -> None:
    assert not {name.partition(".")[0] for name in loaded_by(statement)} & HEAVY


def test_registering_a_plugin_loads_few_modules_and_nothing_heavy(dist, loaded_by) -> None:
    if not dist.entry_points:
        return
    ready = "import agentflow_kernel, agentflow_kernel.hookspecs, agentflow_kernel.contracts.plugin, pluggy"
    objects = {"agentflow.commands", "agentflow.harnesses"}  # imported when they are called, and no modules of hooks
    for module in {value.partition(":")[0] for group, _, value in dist.entry_points if group not in objects}:
        loaded = loaded_by(f"import {module}", after=ready)
        assert module in loaded
        assert len(loaded) <= REGISTRATION_MODULES, sorted(loaded)
        assert not {name.partition(".")[0] for name in loaded} & NOT_AT_REGISTRATION, sorted(loaded)


def test_every_package_comes_from_its_wheel(dist) -> None:
    module = importlib.import_module(dist.package)
    assert "site-packages" in str(module.__file__), f"{module.__file__}: run the tests through nox"
