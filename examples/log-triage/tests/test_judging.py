"""Nobody is lost between the log and the report, whatever the agent answers."""

from __future__ import annotations

import asyncio
import re

import pytest

from agentflow_kernel.errors import OutputInvalid

COUNTS = {
    "lines": 2,
    "sshd_lines": 2,
    "long_lines": 0,
    "failed_passwords": 9,
    "levelled_lines": 2,
    "error_lines": 2,
    "older_bursts": 0,
    "burst_lines": 0,
    "late_lines": 0,
}
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
        "cut": {"name": "auth.log", "sha256": "0", "path": "secret", "batches": [], "last_line": 2, "chunk": None},
        "total": {
            "tally": {"lines": 2},
            "size_bytes": 1,
            "gaps": [],
            "news": [],
            "touched": [f"a{n}" for n in range(count)],
        },
        "group": {**COUNTS, "suspects": found, "bursts": []},
        "seen": {"seen_before": [None] * count, "verdicts": [None] * count, "briefs": [{} for _ in answers]},
        "answers": list(answers),
        "incident_from": "high",
        "high_burst": 20,
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
    with pytest.raises(OutputInvalid, match=r"None of 2 suspects .* No answer"):
        module("judging").judge(order(FAILED, FAILED))


def test_nobody_to_judge_is_no_error_and_no_path_of_the_machine_is_told(module) -> None:
    found = module("judging").judge(order())
    assert (found["attackers"], found["incidents"]) == ([], [])
    assert set(found["log"]) == {"name", "size_bytes", "lines", "sha256"}


def burst(count: int, *templates: str):
    told = [{"template": text, "count": 1} for text in templates]
    return {"first": "f", "last": "l", "count": count, "templates": told, "lines": [1, 2]}


def with_bursts(*bursts, news: list[str], **more):
    given = order(**more)
    given["group"]["bursts"] = list(bursts)
    given["total"]["news"] = news
    return given


@pytest.mark.parametrize(
    ("count", "template", "severity"),
    [(5, "error: x", "medium"), (20, "err: x", "high"), (5, "fatal: x", "high"), (20, "panic: x", "critical")],
)
def test_a_burst_is_the_worse_the_longer_it_is_and_the_worse_its_lines(module, count, template, severity) -> None:
    found = module("judging").judge(with_bursts(burst(count, "error: w", template), news=["new"], suspects=0))
    assert [each["severity"] for each in found["bursts"]] == [severity]
    (incident,) = found["incidents"]
    assert (incident["kind"], incident["status"], incident["count"]) == ("burst", "new", count)
    assert found["totals"]["incidents"] == 1


def test_a_chunk_has_its_own_digest(module) -> None:
    """That of one chunk is none of the log: it stands with the lines that it covers."""
    cut = {"name": "a", "sha256": "d", "last_line": 9, "chunk": {"first_line": 5, "ends": False}}
    found = module("judging").log_of(cut, {"size_bytes": 7, "tally": {"lines": 9}, "gaps": []})
    assert found == {
        "name": "a", "size_bytes": 7, "lines": 9, "gaps": [],
        "chunk": {"first_line": 5, "last_line": 9, "ends": False, "sha256": "d"},
    }  # fmt: skip


def test_what_a_chunk_did_not_touch_is_reported_and_no_news(module) -> None:
    given = with_bursts(burst(5, "error: x"), burst(6, "error: y"), news=["", "grown"], suspects=1)
    given["total"]["touched"] = []
    found = module("judging").judge({**given, "answers": [answer("high")], "incident_from": "low"})
    assert [each["count"] for each in found["incidents"]] == [6]
    assert (found["totals"]["bursts"], found["totals"]["incidents"], len(found["attackers"])) == (2, 3, 1)


def test_of_a_followed_log_each_piece_of_news_is_told_once(module, walk) -> None:
    judging = module("judging")
    context = type("Context", (), {"memory": lambda self, name: walk.followed})()
    news = [{"kind": "address", "address": "a", "severity": "high"}, {"kind": "burst", **burst(5, "error: x")}]
    worse = [{**news[0], "severity": "critical"}, {**news[1], "count": 6}]

    def told(step: str, incidents, state: str = "log"):
        walk.followed.step = step
        return asyncio.run(judging.news({"state": state, "incidents": incidents, "verdicts": []}, context))

    assert told("1", news) == news
    assert told("1", news) == news  # the same step after a crash
    assert told("2", news) == []
    assert told("3", worse) == worse
    assert told("4", news, state="") == news
