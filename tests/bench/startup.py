"""Start-up: the program and small flows as whole processes, beside a bare interpreter."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from table import Row, paired

FLOW = """
from agentflow_kernel import Flow
def ask(value): return f"hello {value}"
def answer(value): return value.upper()
flow = Flow("hello").step(ask).step(answer)
"""
HELLO = FLOW + 'assert flow.run_sync("you") == "HELLO YOU"\n'
REGISTERED = (
    """
from agentflow_kernel.settings import Settings
from agentflow_kernel.loading import Catalogue, Plugins
plugins = Plugins(Catalogue(Settings.find()))
for kind, name in [("journal", "sqlite"), ("source", "file"), ("tool", "files"), ("planner", "tools"),
                   ("policy", "retry"), ("policy", "sixth")]:
    plugins.spec(kind, name)
"""
    + HELLO
)
MANIFEST = """
from agentflow_kernel import Kernel
kernel = Kernel.from_manifest({path!r}, trust_code=True)
assert kernel.run_sync("hello", "you") == "HELLO YOU"
"""
YAML = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: hello}
spec:
  nodes:
    ask: {uses: "./nodes.py:ask", next: answer}
    answer: {uses: "./nodes.py:answer"}
"""
SIXTH = """
from agentflow_kernel.hookspecs import hookimpl
from agentflow_kernel.contracts.plugin import PolicySpec
@hookimpl
def agentflow_policies():
    return [PolicySpec("sixth", "sixth_plugin:make")]
"""


def rows(*, runs: int) -> list[Row]:
    """The four start-up rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = _environment(folder)
        bare = [sys.executable, "-c", "pass"]
        script = [str(Path(sys.executable).with_name("agentflow")), "--version"]
        (folder / "nodes.py").write_text(FLOW.replace("from agentflow_kernel import Flow", "").split("flow =")[0])
        (folder / "hello.yaml").write_text(YAML)
        manifest = MANIFEST.format(path=str(folder / "hello.yaml"))
        cases = [
            ("agentflow --version", script, 1.10),
            ("hello flow by run_sync, 6 plugins installed, none used", [sys.executable, "-c", HELLO], 2.5),
            ("the same, six registered", [sys.executable, "-c", REGISTERED], 4.5),
            ("the same from a YAML manifest", [sys.executable, "-c", manifest], 6.5),
        ]
        found = []
        for what, command, goal in cases:
            value, floor = paired(command, bare, runs=runs, env=env)
            ratio = value / floor
            found.append(Row(what, value, "ms", f"bare python {floor:.1f} ms", ratio, f"≤ {goal:g} x", ratio <= goal))
        return found


def _environment(folder: Path) -> dict[str, str]:
    """A sixth plugin on the path, beside the five that are installed; bytecode on."""
    (folder / "sixth_plugin.py").write_text(SIXTH)
    info = folder / "sixth-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sixth\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[agentflow.policies]\nsixth = sixth_plugin\n")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPATH": str(folder)}
