"""A judgement: each suspect with what the agent made of it, and which of them are incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from agentflow_kernel.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS: Final = ("low", "medium", "high", "critical")
UNASSESSED: Final = "unassessed"


class Order(TypedDict):
    """What ``judge`` is asked: what the steps before it found, and the severity that makes an attacker an incident."""

    cut: dict[str, Any]
    group: dict[str, Any]
    seen: dict[str, Any]
    answers: list[dict[str, Any]]
    incident_from: str


class Judgement(TypedDict):
    """``log`` and ``totals`` say what was read, ``attackers`` has everyone, ``incidents`` those to be announced."""

    log: dict[str, Any]
    totals: dict[str, int]
    attackers: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


def judge(order: Order) -> Judgement:
    """The judgement; the worst come first.

    A suspect whose answer failed is kept, as unassessed, with the reason; when no answer came at all the cause lies
    with the model, and :class:`ProtocolViolation` is raised.
    """
    cut, group, seen, answers = order["cut"], order["group"], order["seen"], order["answers"]
    if answers and all("error" in answer for answer in answers):
        raise ProtocolViolation(f"None of {len(answers)} suspects could be assessed: {reason(answers[0])}")
    assessed = [*map(assessment, answers)]
    assessed += [unassessed("There were more suspects than the agent may be asked about.")] * (
        len(group["suspects"]) - len(answers)
    )
    attackers = [
        {**suspect, "seen_before": before, **verdict}
        for suspect, before, verdict in zip(group["suspects"], seen["seen_before"], assessed, strict=True)
    ]
    attackers.sort(key=lambda attacker: -rank(attacker["severity"]))
    incidents = [attacker for attacker in attackers if rank(attacker["severity"]) >= rank(order["incident_from"])]
    return {
        "log": {key: cut[key] for key in ("name", "size_bytes", "lines", "sha256")},
        "totals": {
            "lines": group["lines"],
            "sshd_lines": group["sshd_lines"],
            "long_lines": group["long_lines"],
            "addresses": len(attackers),
            "failed_passwords": group["failed_passwords"],
            "incidents": len(incidents),
            "unassessed": sum(attacker["severity"] == UNASSESSED for attacker in attackers),
        },
        "attackers": attackers,
        "incidents": [announcement(attacker, cut["name"]) for attacker in incidents],
    }


def assessment(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the report takes from one answer of the agent."""
    if "error" in answer:
        return unassessed(reason(answer))
    output = answer.get("output")
    if not isinstance(output, dict):
        return unassessed(f"The agent stopped without an answer: {answer.get('stop_reason', 'no reason given')}.")
    return {key: output[key] for key in ("severity", "summary", "advice", "evidence")}


def unassessed(why: str) -> dict[str, Any]:
    """What stands in place of an assessment."""
    return {"severity": UNASSESSED, "summary": why, "advice": "Look at it yourself.", "evidence": []}


def reason(answer: Mapping[str, Any]) -> str:
    """Why an answer failed."""
    return f"{answer['error']['message']} [{answer['error']['code']}]"


def rank(severity: str) -> int:
    """The order of severities; what is not assessed comes last."""
    return LEVELS.index(severity) if severity in LEVELS else -1


def announcement(attacker: Mapping[str, Any], log: str) -> dict[str, Any]:
    """The data of an ``incident.detected`` event."""
    told = ("address", "severity", "failed_passwords", "first", "last", "summary", "advice")
    return {"log": log, **{key: attacker[key] for key in told}}
