"""Runs of the kit against harnesses of this folder, in one process: to start one costs more than a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RUN_EACH = """
import contextlib, io, json, sys
import pytest
results = {}
for target, *options in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q", "-ra", "--timeout", "30", "--pyargs"]
        code = pytest.main([*plain, "agentflow_specs", "--harness", target, *options])
    results[" ".join([target, *options])] = [int(code), output.getvalue()]
print(json.dumps(results))
"""


def run_each(runs, folder):
    """Exit code and output of each run; a run is the target and further options."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    paths = os.pathsep.join([str(FOLDER), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH], input=json.dumps(list(runs.values())), cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True, timeout=280,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return {name: tuple(found[" ".join(words)]) for name, words in runs.items()}
