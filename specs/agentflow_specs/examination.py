"""An examination: the suite of one kind run against one harness, in a process and a folder of its own.

Nothing that lies outside the kit has a say: no conftest, no configuration, no pytest plugin of the environment, no
``PYTEST_ADDOPTS``. A plugin that ends the interpreter or hangs ends the examination and nothing else.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow_specs.witness import OPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KIT: Final = Path(__file__).parent
CONFIGURATION: Final = """[pytest]
filterwarnings =
    error::pytest.PytestUnraisableExceptionWarning
    error::pytest.PytestUnhandledThreadExceptionWarning
"""
START_S: Final = 60.0
"""What importing the suite and the harness may take at least, however short a test's time is."""
PLUGINS: Final = ("anyio.pytest_plugin", "agentflow_specs.plugin", "agentflow_specs.witness")


class Testimony:
    """What the witness told, and how the process ended."""

    def __init__(self) -> None:
        self.collected: dict[str, str] = {}
        """Test → id of its requirement."""
        self.outcomes: dict[str, list[tuple[str, str]]] = {}
        """Test → outcome and text of each phase; pytest's outcomes, ``unsupported`` and ``deviates``."""
        self.running = ""
        """The test that began last."""
        self.problem = ""
        """Why the examination came to no end; empty where it did."""

    def take(self, line: bytes) -> bool:
        """Note one line; whether it was the last."""
        try:
            told = json.loads(line)
        except ValueError:
            return False
        self.collected |= told.get("collected", {})
        self.running = told.get("begins", self.running)
        if "test" in told:
            self.outcomes.setdefault(told["test"], []).append((told["outcome"], told["text"]))
        return bool(told.get("done", False))


def examine(target: str, *, test_timeout_s: float, option: str = "--harness") -> Testimony:
    """Run the suite of a harness; a test of which nothing is heard for ``test_timeout_s`` ends it. Blocks.

    With the ``option`` ``--distribution`` the target is the name of a distribution, for the suite `plugin`.
    """
    testimony = Testimony()
    with tempfile.TemporaryDirectory(prefix="agentflow-certify-") as folder:
        output = Path(folder, "output.txt")
        configuration = Path(folder, "pytest.ini")
        configuration.write_text(CONFIGURATION, encoding="utf-8")
        reader, writer = os.pipe()
        try:
            with output.open("wb") as stream:
                process = subprocess.Popen(  # noqa: S603 -- this very interpreter, no shell
                    _command((option, target), configuration, writer),
                    cwd=folder,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        try:
            ended = _listen(reader, testimony, test_timeout_s)
        finally:
            status = _end(process)
            os.close(reader)
        if ended != "done":
            testimony.problem = _problem(testimony, ended, status, output)
    return testimony


def _command(subject: tuple[str, str], configuration: Path, descriptor: int) -> list[str]:
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    place = ["-c", str(configuration), "--rootdir", str(configuration.parent), "--confcutdir", str(KIT)]
    asked = [*subject, OPTION, str(descriptor)]
    quiet = ["-q", "-p", "no:cacheprovider", "--tb=short"]
    return [sys.executable, "-P", "-m", "pytest", *place, *quiet, *plugins, *asked, str(KIT / "suites")]


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _listen(reader: int, testimony: Testimony, timeout_s: float) -> str:
    """Take lines until the last (``done``), the end of the process (``gone``) or silence (``silent``)."""

    def patience_s() -> float:
        return timeout_s if testimony.collected else max(timeout_s, START_S)

    for line in _lines(reader, patience_s):
        if line is None:
            return "silent"
        if testimony.take(line):
            return "done"
    return "gone"


def _lines(reader: int, patience_s: Callable[[], float]) -> Iterator[bytes | None]:
    """The lines of a pipe; ``None`` when none came in time."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while True:
            if not selector.select(patience_s()):
                yield None
                return
            chunk = os.read(reader, 65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines


def _end(process: subprocess.Popen[bytes]) -> int:
    """End the process with all that it started; its status, or 0 where it had come to its end by itself."""
    try:
        status = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        status = 0
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    return status


def _problem(testimony: Testimony, ended: str, status: int, output: Path) -> str:
    """Why there was no last line."""
    test = testimony.running.rpartition("/")[2]
    asked = testimony.collected.get(testimony.running, "")
    place = f"in {asked} ({test})" if asked else "before the first test"
    if ended == "silent":
        return f"hangs {place} and was stopped"
    if status < 0:
        return f"crashed the interpreter {place} ({signal.Signals(-status).name})"
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines() if output.exists() else []
    said: Any = next((line for line in lines if line.startswith("ERROR: ")), lines[-1] if lines else "")
    return f"ended the interpreter {place} with status {status}: {said}" if asked else f"cannot be tested: {said}"
