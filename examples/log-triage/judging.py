"""A judgement: each suspect with what the agent made of it, each burst of errors, and which of them are incidents."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypedDict

from agentflow_kernel.errors import OutputInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel import Context

LEVELS: Final = ("low", "medium", "high", "critical")
UNASSESSED: Final = "unassessed"
WORSE: Final = ("fatal:", "crit:", "critical:", "alert:", "emerg:", "emergency:", "panic:")
"""How the template of a line begins that is worse than an error."""


class Order(TypedDict):
    """What ``judge`` is asked: what the steps before it found, and the severity that makes an attacker an incident.

    A burst of ``high_burst`` lines or more is of severity ``high``, a shorter one ``medium``.
    """

    cut: dict[str, Any]
    total: dict[str, Any]
    group: dict[str, Any]
    seen: dict[str, Any]
    answers: list[dict[str, Any]]
    incident_from: str
    high_burst: int


class Judgement(TypedDict):
    """``log`` and ``totals`` say what was read, ``attackers`` and ``bursts`` have everyone and everything.

    ``incidents`` are those that this log brought, or this chunk of a log that is followed; ``verdicts`` is what the
    agent was told and said of each suspect, for later chunks; ``state`` is the mark of the followed log, or empty.
    """

    log: dict[str, Any]
    totals: dict[str, int]
    attackers: list[dict[str, Any]]
    bursts: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    state: str


def judge(order: Order) -> Judgement:
    """The judgement; the worst attackers come first, bursts in the order of time.

    A suspect whose answer failed is kept, as unassessed, with the reason; when no answer came at all the cause lies
    with the model, and :class:`OutputInvalid` is raised: no policy tries again what is on record.
    """
    cut, total, group, answers = order["cut"], order["total"], order["group"], order["answers"]
    if answers and all("error" in answer for answer in answers) and not any(order["seen"]["verdicts"]):
        raise OutputInvalid(f"None of {len(answers)} suspects could be assessed: {reason(answers[0])}")
    attackers = attackers_of(order)
    dangerous = [attacker for attacker in attackers if rank(attacker["severity"]) >= rank(order["incident_from"])]
    bursts = [assessed(burst, order["high_burst"]) for burst in group["bursts"]]
    touched = {*total["touched"]}
    incidents = [announcement(attacker, cut["name"]) for attacker in dangerous if attacker["address"] in touched]
    incidents += [
        {"kind": "burst", "log": cut["name"], "status": status, **burst}
        for burst, status in zip(bursts, total["news"], strict=True)
        if status
    ]
    answered = zip(order["seen"]["briefs"], answers, strict=True) if cut["chunk"] else ()
    return {
        "log": log_of(cut, total),
        "totals": {
            "lines": group["lines"],
            "sshd_lines": group["sshd_lines"],
            "long_lines": group["long_lines"],
            "addresses": len(attackers),
            "failed_passwords": group["failed_passwords"],
            "levelled_lines": group["levelled_lines"],
            "error_lines": group["error_lines"],
            "bursts": len(bursts) + group["older_bursts"],
            "burst_lines": group["burst_lines"],
            "older_bursts": group["older_bursts"],
            "late_lines": group["late_lines"],
            "incidents": len(dangerous) + len(bursts) + group["older_bursts"],
            "unassessed": sum(attacker["severity"] == UNASSESSED for attacker in attackers),
        },
        "attackers": attackers,
        "bursts": bursts,
        "incidents": incidents,
        "verdicts": [{"brief": brief, "verdict": answer} for brief, answer in answered if answer.get("output")],
        "state": cut["chunk"]["state"] if cut["chunk"] else "",
    }


async def news(judgement: Judgement, ctx: Context) -> list[dict[str, Any]]:
    """The incidents that are to be announced; what the agent said is kept for the runs about later chunks.

    Of a log that is followed an address is announced once for each severity it reaches, a burst whenever it has
    grown; runs that find the same at the same time announce it once.
    """
    state = judgement["state"]
    if not state:
        return judgement["incidents"]
    memory = ctx.memory("followed")
    for verdict in judgement["verdicts"]:
        await memory.put(f"{state}/verdict/{verdict['brief']['address']}", verdict)
    told = []
    for incident in judgement["incidents"]:
        if incident["kind"] == "address":
            name = f"{incident['address']} {incident['severity']}"
        else:
            name = " ".join(str(incident[key]) for key in ("first", "last", "count", "lines"))
        if await memory.put(f"{state}/told/{sha256(name.encode()).hexdigest()}", True) is None:
            told.append(incident)
    return told


def log_of(cut: Mapping[str, Any], total: Mapping[str, Any]) -> dict[str, Any]:
    """What was read; of a log that is followed what all runs about it have read, and which lines are missing.

    The digest is that of what this run read: of the log, or of the chunk.
    """
    log = {"name": cut["name"], "size_bytes": total["size_bytes"], "lines": total["tally"]["lines"]}
    if not cut["chunk"]:
        return {**log, "sha256": cut["sha256"]}
    chunk = {
        "first_line": cut["chunk"]["first_line"],
        "last_line": cut["last_line"],
        "ends": cut["chunk"]["ends"],
        "sha256": cut["sha256"],
    }
    return {**log, "chunk": chunk, "gaps": total["gaps"]}


def attackers_of(order: Order) -> list[dict[str, Any]]:
    """Each suspect with its verdict: the one of this run, else that of an earlier one about the same log."""
    seen, suspects, answers = order["seen"], order["group"]["suspects"], iter(order["answers"])
    attackers = []
    for suspect, before, known in zip(suspects, seen["seen_before"], seen["verdicts"], strict=True):
        answer = known or next(answers, None)
        if answer is None:
            verdict = unassessed("There were more suspects than the agent may be asked about.")
        else:
            verdict = assessment(answer)
        attackers.append({**suspect, "seen_before": before, **verdict})
    attackers.sort(key=lambda attacker: -rank(attacker["severity"]))
    return attackers


def assessed(burst: Mapping[str, Any], high: int) -> dict[str, Any]:
    """A burst with its severity: one step more for lines that are worse than errors."""
    worse = any(each["template"].startswith(WORSE) for each in burst["templates"])
    severity = LEVELS[1 + (burst["count"] >= high) + worse]
    top = burst["templates"][0]
    share = "all" if top["count"] == burst["count"] else f"{top['count']:,}"
    return {
        "severity": severity,
        **burst,
        "summary": f"{burst['count']:,} error lines from {burst['first']} to {burst['last']}; {share} say: "
        f"{top['template']}",
        "advice": "Find out at once what failed." if severity == "critical" else "Look at what failed, and why.",
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
    """The data of an ``incident.detected`` event about an address."""
    told = ("address", "severity", "failed_passwords", "first", "last", "summary", "advice")
    return {"kind": "address", "log": log, **{key: attacker[key] for key in told}}
