"""A log that is followed in chunks comes to the same as the log read whole, in a real kernel."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

pytestmark = [pytest.mark.blocking, pytest.mark.timeout(120)]
EXAMPLE = Path(__file__).parents[1]
BURSTS = ("first", "last", "count", "templates", "severity", "lines")


class Triage:
    """The example in a folder of its own, with a log to look into and any number of lines for a burst."""

    def __init__(self, folder: Path, log: Path, burst_lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.log = folder, log
        self.example = folder / "log-triage"
        shutil.copytree(EXAMPLE, self.example, ignore=shutil.ignore_patterns("tests", "__pycache__"))
        manifest = self.example / "triage.yaml"
        text = manifest.read_text(encoding="utf-8")
        assert text.count("lines: 5\n") == 1
        manifest.write_text(text.replace("lines: 5\n", f"lines: {burst_lines}\n"), encoding="utf-8")
        monkeypatch.setenv("TRIAGE_LOG_ROOT", str(log.parent))
        self.incidents: list[Any] = []

    def kernel(self, state: str) -> Kernel:
        """A kernel with a state folder of that name, which listens to the incidents."""
        kernel = Kernel.from_manifest(
            str(self.example), state=str(self.folder / state), journal="sqlite", trust_code=True
        )

        @kernel.on("incident.detected")
        async def heard(event: Any) -> None:
            self.incidents.append(event.data)

        return kernel

    async def whole(self, state: str = "whole") -> dict[str, Any]:
        """The report on the log read to its end."""
        async with self.kernel(state) as kernel:
            return report_of(await kernel.run("flow/triage", {"path": str(self.log)}))

    def chunks(self, chance: Random, most: int, *, log: str = "", rotates: bool = True) -> list[dict[str, Any]]:
        """The event data of chunks of 1 to ``most`` lines, each in a file of its own."""
        lines = self.log.read_bytes().splitlines(keepends=True)
        spool = self.folder / f"spool-{most}"
        spool.mkdir()
        found: list[dict[str, Any]] = []
        start = offset = rotated = 0
        while start < len(lines):
            if rotates and not rotated and start > len(lines) // 2:  # the log is rotated in the middle
                offset, rotated = 0, 1
            count = min(chance.randint(1, most), len(lines) - start)
            content = b"".join(lines[start : start + count])
            path = spool / str(len(found))
            path.write_bytes(content)
            data = {"path": str(path), "log": log or str(self.log), "first_line": start + 1, "lines": count}
            data |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "generation": rotated}
            found.append({**data, "offset": offset, "encoding": "utf-8", "first_undecodable_line": None})
            start, offset = start + count, offset + len(content)
        found[-1]["ends"] = True
        return found

    async def follow(self, chunks: list[dict[str, Any]], *, at_once: int = 1, state: str = "") -> dict[str, Any]:
        """The report that has all lines, of runs of which so many work at a time."""
        reports: list[dict[str, Any]] = []
        limiter = anyio.CapacityLimiter(at_once)

        async def one(data: dict[str, Any]) -> None:
            async with limiter:
                output = await kernel.run("flow/triage", data, key=f"chunk {data['first_line']}")
                reports.append(report_of(output))

        async with self.kernel(state or f"followed-{at_once}") as kernel, anyio.create_task_group() as group:
            for data in chunks:
                if at_once == 1:
                    await one(data)
                else:
                    group.start_soon(one, data)
        return max(reports, key=lambda report: report["log"]["lines"])


def report_of(output: Any) -> dict[str, Any]:
    report = output["report"]
    assert isinstance(report, dict)
    return report


def same_bursts(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: burst[name] for name in BURSTS} for burst in report["bursts"]]


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in report["totals"].items() if name != "incidents"}


@pytest.fixture
def triage_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Triage]:
    """The example on a copy of a log."""

    def make(log: Path, burst_lines: int = 5) -> Triage:
        place = tmp_path / "logs"
        place.mkdir()
        shutil.copyfile(log, place / log.name)
        return Triage(tmp_path, place / log.name, burst_lines, monkeypatch)

    return make


async def compare(triage: Triage, chunks: list[dict[str, Any]], at_once: int) -> tuple[dict[str, Any], list[Any]]:
    """The whole report, compared with the one of the chunks; and the incidents of the chunks.

    Each burst was announced in its last state.
    """
    whole = await triage.whole()
    told, triage.incidents = triage.incidents, []
    followed = await triage.follow(chunks, at_once=at_once)
    assert followed["log"]["gaps"] == []
    assert followed["log"]["size_bytes"] == whole["log"]["size_bytes"]
    assert same_bursts(followed) == same_bursts(whole)
    assert counts(followed) == counts(whole)
    names = ("address", "failed_passwords", "users", "first", "last", "lines", "logins", "severity", "seen_before")
    assert [[each[name] for name in names] for each in followed["attackers"]] == [
        [each[name] for name in names] for each in whole["attackers"]
    ]
    states = {(event["first"], event["last"], event["count"]) for event in triage.incidents if event["kind"] == "burst"}
    assert states >= {(event["first"], event["last"], event["count"]) for event in told if event["kind"] == "burst"}
    addresses = {(event["address"], event["severity"]) for event in triage.incidents if event["kind"] == "address"}
    assert addresses >= {(event["address"], event["severity"]) for event in told if event["kind"] == "address"}
    return whole, triage.incidents


@pytest.mark.parametrize(
    ("name", "burst_lines", "found"),
    [
        ("Apache_2k.log", 5, (38, 252, 0)),
        ("Zookeeper_2k.log", 5, (0, 0, 0)),
        ("Zookeeper_2k.log", 4, (1, 5, 0)),
        ("OpenSSH_2k.log", 5, (2, 46, 23)),
    ],
)
@pytest.mark.anyio
async def test_a_real_log_followed_is_the_log_read_whole(
    triage_of, logs: Path, chance: Random, name: str, burst_lines: int, found: tuple[int, int, int]
) -> None:
    """``found`` has bursts, lines in them, and addresses."""
    triage = triage_of(logs / name, burst_lines)
    whole, _ = await compare(triage, triage.chunks(chance, 150), 1)
    totals = whole["totals"]
    assert (totals["bursts"], totals["burst_lines"], totals["addresses"]) == found


@pytest.mark.anyio
async def test_runs_at_the_same_time_and_out_of_order_find_the_same(triage_of, logs: Path, chance: Random) -> None:
    triage = triage_of(logs / "Apache_2k.log")
    chunks = triage.chunks(chance, 60)
    chance.shuffle(chunks)
    _, incidents = await compare(triage, chunks, 4)
    said = [(event["first"], event["last"], event["count"]) for event in incidents]
    assert len(said) == len(set(said)), "nothing is announced twice in the same state"


@pytest.mark.anyio
async def test_the_sample_followed_to_its_end_is_the_sample_read_whole_word_for_word(triage_of, chance: Random) -> None:
    triage = triage_of(EXAMPLE / "sample.log")
    whole = await triage.whole()
    followed = await triage.follow(triage.chunks(chance, 40, rotates=False))
    assert followed["attackers"] == whole["attackers"]
    assert followed["totals"] == whole["totals"]


@pytest.mark.anyio
async def test_an_address_is_announced_once_for_each_severity(triage_of, chance: Random) -> None:
    triage = triage_of(EXAMPLE / "sample.log")
    await triage.follow(triage.chunks(chance, 20))
    said = [(event["address"], event["severity"]) for event in triage.incidents]
    assert len(said) == len(set(said)) > 1
    assert said.count(("198.51.100.77", "critical")) == 1


@pytest.mark.anyio
async def test_standard_input_has_no_file_to_look_into_and_the_same_counts(triage_of, chance: Random) -> None:
    triage = triage_of(EXAMPLE / "sample.log")
    whole = await triage.whole()
    followed = await triage.follow(triage.chunks(chance, 200, log="-"))
    assert followed["log"]["name"] == "standard input"
    assert counts(followed) == counts(whole)
    severities = [[(each["address"], each["severity"]) for each in report["attackers"]] for report in (whole, followed)]
    assert severities[0] == severities[1]


@pytest.mark.anyio
async def test_a_log_followed_after_it_was_read_whole_reads_as_seen_before_once(triage_of, chance: Random) -> None:
    triage = triage_of(EXAMPLE / "sample.log")
    await triage.whole("one")
    followed = await triage.follow(triage.chunks(chance, 100), state="one")
    assert {each["seen_before"]["runs"] for each in followed["attackers"]} == {1}
    again = await triage.whole("one")
    assert {each["seen_before"]["runs"] for each in again["attackers"]} == {2}
