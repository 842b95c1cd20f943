"""Runs of the kit against harnesses of this folder, in one process: to start one costs more than a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RUN_EACH = """
import contextlib, gc, io, json, sys
import pytest

class Hurried:
    def pytest_sessionstart(self):
        from hypothesis import Phase, settings
        settings.register_profile("hurried", phases=[Phase.explicit, Phase.generate])
        settings.load_profile("hurried")

    def pytest_collection_finish(self):
        from agentflow_specs import leaks
        leaks.END_S = 0.3
        for name, module in list(sys.modules.items()):
            if name.startswith("agentflow_specs.suites"):
                for limit in {"PATIENCE_S", "END_S", "SOON_S"}.intersection(vars(module)):
                    setattr(module, limit, 1.5)

results = {}
hurried, runs = json.load(sys.stdin)
for target, *options in runs:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:doctest", "-q", "-ra", "--pyargs"]
        plain += ["--timeout", "10", "--assert", "plain"] if hurried else ["--timeout", "30"]
        plugins = [Hurried()] if hurried else []
        code = pytest.main([*plain, "agentflow_specs", "--harness", target, *options], plugins)
    results[" ".join([target, *options])] = [int(code), output.getvalue()]
    gc.freeze()  # pytest collects garbage ten times a run, and what is here stays
print(json.dumps(results))
"""


def run_each(runs, folder, *, hurried=False):
    """Exit code and output of each run; a run is the target and further options.

    ``hurried``: what hangs is expected to, and is not waited for as long as with a plugin that may be slow.
    """
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    paths = os.pathsep.join([str(FOLDER), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH], input=json.dumps([hurried, list(runs.values())]), cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True, timeout=580,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return {name: tuple(found[" ".join(words)]) for name, words in runs.items()}
