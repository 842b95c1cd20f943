"""The committed sample is what its maker makes, here and everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1]
DOCUMENTATION = re.compile(
    r"192\.0\.2\.\d+|198\.51\.100\.\d+|203\.0\.113\.\d+|2001:db8:[0-9a-f:]+|[\w-]+\.example\.net"
)


def test_the_committed_sample_is_the_one_that_is_made(module) -> None:
    made = "".join(f"{line.text}\n" for line in module("make_sample").sample(600))
    assert (EXAMPLE / "sample.log").read_bytes() == made.encode()


def test_the_sample_names_only_addresses_kept_for_documentation() -> None:
    text = (EXAMPLE / "sample.log").read_text(encoding="utf-8")
    addresses = set(re.findall(r" from ([0-9a-zA-Z.:-]+?)(?:: \d| port|\n)", text))
    assert addresses
    assert [address for address in addresses if not DOCUMENTATION.fullmatch(address)] == []


def test_another_seed_makes_another_log_and_the_same_seed_the_same(module) -> None:
    sample = module("make_sample").sample
    assert list(sample(50, 1)) == list(sample(80, 1))[:50]
    assert list(sample(50, 1)) != list(sample(50, 2))


def test_the_clock_passes_the_end_of_a_month_and_a_year(module) -> None:
    writer = module("make_sample").Writer(1)
    stamps = []
    for day in (58, 59, 364, 365):
        writer._second = day * 86_400
        stamps.append(writer._stamp())
    assert stamps == ["Feb 28 00:00:00", "Mar  1 00:00:00", "Dec 31 00:00:00", "Jan  1 00:00:00"]


@pytest.mark.parametrize("lines", [0, 1, 123])
def test_the_command_writes_as_many_lines_as_asked(tmp_path: Path, lines: int) -> None:
    out = tmp_path / "made.log"
    command = [sys.executable, str(EXAMPLE / "make_sample.py"), "--lines", str(lines)]
    subprocess.run([*command, "--out", str(out)], check=True, timeout=50)
    printed = subprocess.run(command, check=True, capture_output=True, timeout=50).stdout
    assert out.read_bytes() == printed
    assert printed.count(b"\n") == lines
