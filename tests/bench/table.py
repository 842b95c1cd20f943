"""The table of a bench run: what was measured, beside its floor of the same run, and the goal."""

from __future__ import annotations

import os
import statistics
import subprocess
from typing import NamedTuple


class Row(NamedTuple):
    """One figure. ``ratio`` is the value over its floor; the goal is a bound on the ratio, or on the value itself."""

    what: str
    value: float
    unit: str
    floor: str
    ratio: float | None
    goal: str
    reached: bool


def show(rows: list[Row]) -> None:
    """Print the table."""
    head = ("what", "measured", "floor of the same run", "ratio", "goal", "")
    lines = [head]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
        lines.append(
            (row.what, f"{row.value:.3f} {row.unit}", row.floor, ratio, row.goal, "" if row.reached else "OVER")
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def cpu_ms(command: list[str], env: dict[str, str] | None = None) -> float:
    """User and system time of one process and its children, in milliseconds; it must end well."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e3


def paired(
    command: list[str], floor: list[str], *, runs: int, env: dict[str, str] | None = None
) -> tuple[float, float]:
    """Median CPU milliseconds of a command and of its floor, run in turn after one warm-up of each."""
    cpu_ms(floor, env), cpu_ms(command, env)
    pairs = [(cpu_ms(floor, env), cpu_ms(command, env)) for _ in range(runs)]
    return statistics.median(b for _, b in pairs), statistics.median(a for a, _ in pairs)
