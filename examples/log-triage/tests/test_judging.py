"""Nobody is lost between the log and the report, whatever the agent answers."""

from __future__ import annotations

import re

import pytest

from agentflow_kernel.errors import ProtocolViolation

FAILED = {"error": {"code": "AF-ELAPSED", "message": "No answer."}}


def answer(severity: str):
    output = {"address": "?", "severity": severity, "summary": "s", "advice": "a", "evidence": [1]}
    return {"text": "", "output": output, "stop_reason": "end"}


def order(*answers, suspects: int | None = None):
    count = len(answers) if suspects is None else suspects
    found = [
        {"address": f"a{number}", "failed_passwords": 9 - number, "users": ["u"], "first": "f", "last": "l"}
        for number in range(count)
    ]
    return {
        "cut": {"name": "auth.log", "size_bytes": 1, "lines": 2, "sha256": "0", "path": "secret", "batches": []},
        "group": {"lines": 2, "sshd_lines": 2, "long_lines": 0, "failed_passwords": 9, "suspects": found},
        "seen": {"seen_before": [None] * count},
        "answers": list(answers),
        "incident_from": "high",
    }


def test_the_worst_come_first_and_equals_keep_their_order(module) -> None:
    found = module("judging").judge(order(answer("low"), answer("critical"), answer("high"), answer("critical")))
    assert [attacker["address"] for attacker in found["attackers"]] == ["a1", "a3", "a2", "a0"]


def test_incidents_are_those_from_the_severity_given(module) -> None:
    found = module("judging").judge(order(answer("medium"), answer("high"), answer("critical")))
    assert [(each["address"], each["severity"]) for each in found["incidents"]] == [("a2", "critical"), ("a1", "high")]
    assert found["incidents"][0]["failed_passwords"] == 7
    assert found["totals"]["incidents"] == 2


@pytest.mark.parametrize(
    ("bad", "summary"),
    [
        (FAILED, r"No answer\. \[AF-ELAPSED\]"),
        ({"text": "", "output": None, "stop_reason": "loop"}, "stopped .*: loop"),
    ],
)
def test_a_suspect_without_an_answer_is_kept_with_the_reason(module, bad, summary: str) -> None:
    found = module("judging").judge(order(bad, answer("low")))
    assert [attacker["severity"] for attacker in found["attackers"]] == ["low", "unassessed"]
    assert re.search(summary, found["attackers"][1]["summary"])
    assert found["totals"]["unassessed"] == 1


def test_suspects_beyond_the_limit_are_kept(module) -> None:
    found = module("judging").judge(order(answer("low"), suspects=3))
    assert [attacker["severity"] for attacker in found["attackers"]] == ["low", "unassessed", "unassessed"]


def test_no_answer_at_all_is_an_error_with_its_cause(module) -> None:
    with pytest.raises(ProtocolViolation, match=r"None of 2 suspects .* No answer"):
        module("judging").judge(order(FAILED, FAILED))


def test_nobody_to_judge_is_no_error_and_no_path_of_the_machine_is_told(module) -> None:
    found = module("judging").judge(order())
    assert (found["attackers"], found["incidents"]) == ([], [])
    assert set(found["log"]) == {"name", "size_bytes", "lines", "sha256"}
