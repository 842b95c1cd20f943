"""The example as a whole process: 2,000 lines in all, and how time and memory grow with the log."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import Row

EXAMPLE = Path(__file__).parents[2] / "examples" / "log-triage"


def rows(*, lines: int) -> list[Row]:
    """Seconds for 2,000 lines, growth of time and of peak memory up to ``lines``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(_log(folder, 2000), folder / "warm-up")
        runs = [_run(_log(folder, 2000), folder / f"small-{number}") for number in range(3)]
        small_s, small_cpu, small_mib = min(run[0] for run in runs), min(run[1] for run in runs), runs[-1][2]
        half_cpu = min(_run(_log(folder, lines // 2), folder / f"half-{number}")[1] for number in range(2))
        large = [_run(_log(folder, lines), folder / f"large-{number}") for number in range(2)]
        large_cpu, large_mib = min(run[1] for run in large), large[-1][2]
    growth = (large_cpu - half_cpu) / max(half_cpu - small_cpu, 1e-3)
    expected = (lines - lines // 2) / (lines // 2 - 2000) if lines > 4000 else 1.0
    ratio = large_mib / small_mib
    linear, linear_note = growth <= 1.3 * expected, f"{expected:.2f} is linear"
    small_note = f"2,000 lines {small_cpu:.2f} s"
    return [
        Row("example, 2,000 lines, in all", small_s, "s", "", None, "≤ 2 s", small_s <= 2),
        Row(f"example, {lines:,} lines", large_cpu, "CPU s", small_note, None, "", True),
        Row(
            "… second half beside the first",
            growth,
            "",
            linear_note,
            growth / expected,
            "≤ 1.3 x",
            linear,
        ),
        Row("… peak memory", large_mib, "MiB", f"{small_mib:.1f} MiB", ratio, "≤ 1.2 x", ratio <= 1.2),
    ]


def _log(folder: Path, lines: int) -> Path:
    path = folder / f"{lines}.log"
    if not path.exists():
        words = [sys.executable, str(EXAMPLE / "make_sample.py"), "--lines", str(lines), "--out", str(path)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return path


def _run(log: Path, state: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of one run of the program."""
    words = [sys.executable, "-P", "-m", "agentflow_cli", "run", str(EXAMPLE), "--state", str(state), "--trust-code"]
    env = {**os.environ, "TRIAGE_LOG": str(log), "TRIAGE_LOG_ROOT": str(log.parent)}
    start = time.perf_counter()
    with open(os.devnull, "wb") as devnull:
        process = subprocess.Popen([*words, "--no-progress"], env=env, stdout=devnull, stderr=devnull)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the example ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
