"""What the tests of the command share: a clean environment, stand-in plugins, and two ways to call the command."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentflow_cli.app import run

STANDIN = Path(__file__).parent / "standin"
SCRIPT = Path(sys.executable).parent / "agentflow"
OFFERED = {
    "journals": "sqlite",
    "planners": "straight",
    "providers": "echo",
    "sources": "lines",
    "tools": "cabinet",
}
ENTRY_POINTS = "".join(f"[agentflow.{group}]\n{name} = standin_plugin\n" for group, name in OFFERED.items())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have patience: a test here starts processes, some of them dozens, and each takes seconds on a busy machine."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@dataclass(frozen=True)
class Answer:
    """How one call of the command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings of the machine."""
    for name in [name for name in os.environ if name.startswith("AGENTFLOW_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stand-in plugins are installed, as far as an importer can tell."""
    folder = tmp_path_factory.mktemp("site")
    for file in STANDIN.glob("*.py"):
        (folder / file.name).write_bytes(file.read_bytes())
    info = folder / "agentflow_standin-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agentflow-standin\nVersion: 1.2.3\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def script() -> str:
    """The installed script."""
    return str(SCRIPT)


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Any:
    """Call the command in this process."""

    def call(*arguments: str) -> Answer:
        code = run(arguments)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def environment(plugins: Path) -> dict[str, str]:
    """The environment of a child process that finds the stand-in plugins."""
    # other plugins that offer the same names may be installed
    return {**os.environ, "PYTHONPATH": str(plugins), "AGENTFLOW_PLUGINS": "agentflow-standin"}


def default_signals() -> None:
    """Undo what a shell's background job hands down, so that Ctrl-C means what it means at a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def agentflow(environment: dict[str, str]) -> Any:
    """Call the installed script in a process of its own."""

    def call(*arguments: str, stdin: str = "", **extra: str) -> Answer:
        done = subprocess.run(
            [SCRIPT, *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=120,
            env={**environment, **extra},
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def start(environment: dict[str, str]) -> Any:
    """Start the installed script and leave it to the test; what is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
            preexec_fn=default_signals,  # noqa: PLW1509 - no threads in the tests
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def at_terminal(environment: dict[str, str]) -> Any:
    """Call the installed script at a terminal of its own: its exit code and all that the terminal was sent.

    ``press`` maps files to keys that are typed once when the file is there.
    """

    def call(*arguments: str, press: dict[Path, bytes] | None = None) -> tuple[int, str]:
        child, terminal = pty.fork()
        if child == 0:
            default_signals()
            variables = {**environment, "TERM": "xterm", "COLUMNS": "150"}
            os.execve(SCRIPT, ["agentflow", *arguments], variables)  # noqa: S606 - the command itself, no shell
        shown, keys, end = b"", dict(press or {}), time.monotonic() + 120
        while time.monotonic() < end:
            for file in [file for file in keys if file.exists()]:
                os.write(terminal, keys.pop(file))
            if select.select([terminal], [], [], 0.01)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:  # the child has closed its side
                    break
        os.close(terminal)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), shown.decode()

    return call


CODE = """
import os
import pathlib
import time


def greet(value):
    return {"text": "Hello " + value.get("name", "world")}


def loud(value):
    print("said by a node")
    return {"text": value["text"].upper()}


def evil(value):
    return {"text": "be\\x1b]0;title\\x07fore\\x1b[2Jafter\\u202e"}


def fail(value):
    raise ValueError("no such luck\\x1b[2J")


def spread(value):
    return {"items": list(range(value.get("count", 5)))}


def square(item):
    return item * item


def mark(value):
    with pathlib.Path("ledger").open("a") as ledger:
        ledger.write("mark\\n")
    return value


def hold(value, context):
    pathlib.Path("holding").touch()
    while not pathlib.Path("released").exists():
        context.raise_if_cancelled()
        time.sleep(0.005)
    return value


def stubborn(value):
    pathlib.Path("holding").touch()
    while True:
        pass


def write(value, context):
    pathlib.Path(context.folder, "report.txt").write_text("report")
    return value
"""

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: hello}
spec:
  nodes:
    greet: {uses: "./code.py:greet", next: loud}
    loud: {uses: "./code.py:loud"}
  display: {"$ref": "loud.result.text"}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: evil}
spec:
  nodes:
    evil: {uses: "./code.py:evil"}
  display: {"$ref": "evil.result.text"}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: failing}
spec:
  nodes:
    greet: {uses: "./code.py:greet", next: fail}
    fail: {uses: "./code.py:fail"}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: batch}
spec:
  nodes:
    spread: {uses: "./code.py:spread", next: square}
    square: {uses: "./code.py:square", each: {"$ref": "spread.result.items"}, next: tell}
    tell: {emit: "squares.counted", input: {"$ref": "square.result"}, next: write}
    write: {uses: "./code.py:write"}
  output: {"$ref": "square.result"}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: holding}
spec:
  nodes:
    mark: {uses: "./code.py:mark", next: hold}
    hold: {uses: "./code.py:hold"}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: stubborn}
spec:
  nodes:
    stay: {uses: "./code.py:stubborn", blocking: inline}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: each-line}
spec:
  plugin: lines
  with: {path: input.txt}
  start: flow/greeting
  input: {name: {"$ref": "event.data.line"}}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: greeting}
spec:
  nodes:
    greet: {uses: "./code.py:greet"}
  display: {"$ref": "greet.result.text"}
"""


@pytest.fixture
def manifest(workplace: Path) -> str:
    """A folder with a manifest of several flows and a trigger, whose code is listed in `agentflow.toml`."""
    folder = workplace / "app"
    folder.mkdir()
    (folder / "code.py").write_text(CODE, encoding="utf-8")
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "input.txt").write_text("Ada\nGrace\n", encoding="utf-8")
    (workplace / "agentflow.toml").write_text('[code]\nallow = ["app"]\n', encoding="utf-8")
    return "app"
