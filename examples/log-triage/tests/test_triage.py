"""The whole flow, node after node, on the sample, on a large log, on real logs and on files that are no log."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conftest import Walk

Truth = dict[str, tuple[int, set[str]]]
LABELLED = re.compile(
    r"(?:message repeated (?P<times>\d+) times: \[ )?"
    r"Failed password for (?P<invalid>invalid user )?(?P<user>.*) from (?P<address>\S+) port \d+(?: ssh2)?\]?"
)


def truth_of(failures: Iterable[tuple[str, int, str]]) -> Truth:
    """Failed passwords and names by address, from single failures."""
    counts: dict[str, int] = defaultdict(int)
    names: dict[str, set[str]] = defaultdict(set)
    for address, times, user in failures:
        counts[address] += times
        names[address].add(user)
    return {address: (counts[address], names[address]) for address in counts}


def named_by(output: dict[str, Any]) -> Truth:
    """The same from a report."""
    attackers = output["report"]["attackers"]
    found = {each["address"]: (each["failed_passwords"], set(each["users"])) for each in attackers}
    assert len(found) == len(attackers)
    assert all(len(each["users"]) == len(set(each["users"])) for each in attackers)
    return found


def sample_of(module, lines: int, seed: int) -> tuple[str, Truth]:
    """A made-up log and what is in it, as its maker knows."""
    made = list(module("make_sample").sample(lines, seed))
    truth = truth_of((line.address, line.failures, line.user) for line in made if line.failures)
    return "".join(f"{line.text}\n" for line in made), truth


def test_the_sample_is_reported_as_it_was_made(module, walk: Walk) -> None:
    text, truth = sample_of(module, 600, 7)
    output = walk.run({"path": "sample.log"})
    assert named_by(output) == truth
    assert output["report"]["totals"]["lines"] == text.count("\n") == 600
    assert walk.model_turns == 2 * len(truth)


def test_the_sample_has_a_break_in_and_a_mistyping_owner(walk: Walk) -> None:
    output = walk.run({"path": "sample.log"})
    severities = {each["address"]: each["severity"] for each in output["report"]["attackers"]}
    assert severities["198.51.100.77"] == "critical"
    assert severities["192.0.2.22"] == "medium"
    incidents = [event["address"] for kind, event in walk.events if kind == "incident.detected"]
    assert incidents == [address for address, severity in severities.items() if severity in {"high", "critical"}]
    assert len(incidents) == output["report"]["totals"]["incidents"] > 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_log_of_any_seed_is_reported_as_it_was_made(module, triage, tmp_path: Path, chance, end: str) -> None:
    for number in range(5):
        text, truth = sample_of(module, 200 + number, chance.randrange(1_000_000))
        log = tmp_path / "auth.log"
        log.write_bytes(text.replace("\n", end).removesuffix(end).encode())
        assert named_by(triage(log)) == truth


def test_two_runs_give_the_same_bytes_and_a_third_one_remembers(walk: Walk, tmp_path: Path) -> None:
    first = walk.run({"path": "sample.log"})
    written = (tmp_path / "report.json").read_bytes(), (tmp_path / "report.md").read_bytes()
    assert walk.run({"path": "sample.log"}) == first  # the same step executed again
    assert ((tmp_path / "report.json").read_bytes(), (tmp_path / "report.md").read_bytes()) == written
    walk.memory.step = "another run"
    assert all(each["seen_before"]["runs"] == 1 for each in walk.run({"path": "sample.log"})["report"]["attackers"])


def test_real_attacks_are_found_as_they_are_labelled(triage, logs: Path) -> None:
    with (logs / "OpenSSH_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["EventId"] in {"E9", "E10", "E14"}]
    found = [LABELLED.fullmatch(row["Content"]) for row in rows]
    truth = truth_of((match["address"], int(match["times"] or 1), match["user"]) for match in found if match)
    assert all(found)
    assert (len(truth), sum(count for count, _ in truth.values())) == (23, 528)
    output = triage(logs / "OpenSSH_2k.log")
    assert named_by(output) == truth
    assert output["report"]["totals"]["failed_passwords"] == 528
    assert " 0101" in next(each["users"] for each in output["report"]["attackers"] if each["address"] == "5.188.10.180")


def test_bursts_of_errors_in_a_real_log_are_found(triage, walk: Walk, logs: Path) -> None:
    report = triage(logs / "Apache_2k.log")["report"]
    assert report["attackers"] == []
    totals = report["totals"]
    assert (totals["lines"], totals["error_lines"], totals["bursts"], totals["burst_lines"]) == (2_000, 595, 38, 252)
    assert sum(each["count"] for each in report["bursts"]) == 252
    first = report["bursts"][0]
    assert (first["first"], first["last"], first["count"]) == ("2005-12-04 04:51:18", "2005-12-04 04:52:52", 9)
    assert first["templates"][0]["template"] == "error: mod_jk child workerEnv in error state <n>"
    assert [(kind, event["kind"]) for kind, event in walk.events] == [("incident.detected", "burst")] * 38


def test_a_log_with_few_errors_gives_a_report_that_says_so(triage, walk: Walk, logs: Path) -> None:
    output = triage(logs / "Zookeeper_2k.log")
    assert (output["report"]["bursts"], walk.events) == ([], [])
    assert "No burst of errors: 13 error lines of 2,000 lines with time and level." in output["text"]


def test_a_burst_of_fewer_lines_is_one_where_it_is_asked_for(triage, walk: Walk, logs: Path) -> None:
    walk.flow["nodes"]["total"]["input"]["burst"]["lines"] = 4
    (burst,) = triage(logs / "Zookeeper_2k.log")["report"]["bursts"]
    assert (burst["first"], burst["last"], burst["count"]) == ("2015-07-29 19:20:16.690", "2015-07-29 19:21:26.625", 5)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 5_000, bytes(range(256)) * 50, b"x" * 10_000_000])
def test_a_file_that_is_no_log_gives_a_report_that_says_so(triage, tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(content)
    output = triage(log)
    assert output["report"]["attackers"] == []
    assert output["report"]["notes"]


def test_memory_does_not_grow_with_the_log(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps hand on is bounded: the number of batches is, and so is what each says of an address."""
    monkeypatch.setenv("TRIAGE_LOG_ROOT", str(tmp_path))
    cutting, parsing = module("cutting"), module("parsing")
    sizes = []
    for lines in (20_000, 60_000):
        log = tmp_path / "auth.log"
        log.write_text(sample_of(module, lines, 7)[0], encoding="utf-8")
        found = cutting.split({"log": {"path": str(log)}, "batch_lines": 250, "max_batches": 8})
        tallies = [parsing.parse({"path": str(log), "batch": batch}) for batch in found["batches"]]
        sizes.append(len(str(found)) + len(str(tallies)))
    assert sizes[1] < 1.25 * sizes[0]
