"""A question: what a run asks of people, an answer or an approval, bound to the exact content that they were shown."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import (
    ApprovalMismatch,
    ApprovalRefused,
    InputInvalid,
    NonDeterminism,
    NotAllowed,
    UnknownName,
    Unsupported,
    UsageError,
)
from agentflow_kernel.run.standing import OpenWait
from agentflow_kernel.run.waits import clock_of, outcome_of, take, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError
    from agentflow_kernel.flow.asking import Approval, Ask
    from agentflow_kernel.run.runtime import Context, Run

_VERDICT: JSON = {
    "type": "object",
    "required": ["approved"],
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "additionalProperties": False,
}
_REPLY: JSON = {
    "type": "object",
    "required": ["value", "by", "hash"],
    "properties": {"value": {}, "by": {"type": "string"}, "hash": {"type": "string"}},
    "additionalProperties": False,
}


def content_hash(content: Mapping[str, object]) -> str:
    """SHA-256, 64 hex digits, over canonical JSON: keys sorted, no blanks, text as UTF-8."""
    import json  # lazy: 10 ms, only runs that ask people pay
    from hashlib import sha256

    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode()).hexdigest()


class Question(OpenWait):
    """An open question, bound to its content.

    ``content`` is what the hash is made of: of an approval ``action`` and ``arguments``, of any other question
    ``question`` and ``about``. ``by`` are the subjects that may answer, anybody when it is empty.
    """

    __slots__ = ("content", "by", "hash")

    asks = True

    def __init__(self, path: str, content: Mapping[str, JSON], *, schema: JSON, by: Sequence[str]) -> None:
        super().__init__(path, schema)
        self.content = content
        self.by = by
        self.hash = content_hash(content)

    @classmethod
    def from_told(cls, path: str, told: Mapping[str, JSON]) -> Question:
        """The question that is on record as :meth:`told`."""
        question = cls(
            path,
            cast("Mapping[str, JSON]", told.get("ask") or {}),
            schema=told.get("schema"),
            by=cast("Sequence[str]", told.get("by") or ()),
        )
        question.hash = str(told["hash"])
        return question

    @property
    def is_approval(self) -> bool:
        """Whether it stands before an action."""
        return "action" in self.content

    def told(self) -> dict[str, JSON]:
        """As on record while it is open."""
        return {**super().told(), "ask": dict(self.content), "by": list(self.by), "hash": self.hash}

    def ended(self) -> dict[str, JSON]:
        """As on record when it is over, with whoever answered."""
        told: dict[str, JSON] = {**super().ended(), "hash": self.hash}
        if self.signal is not None:
            reply = cast("Mapping[str, JSON]", self.signal[2])
            told["by"] = reply["by"]
            if self.is_approval:
                told["approved"] = cast("Mapping[str, JSON]", reply["value"])["approved"]
        return told

    def may_take_early(self, now: float) -> bool:
        """An answer that nobody acted on before the deadline has expired with it."""
        return self.deadline is None or now < self.deadline

    def refusal(self, value: JSON) -> AgentFlowError | None:
        """The error for an answer to other content, of somebody who may not answer, or that does not fit."""
        from agentflow_kernel.schema import find_problems  # only runs that ask people pay

        problems = find_problems(value, cast("Mapping[str, JSON]", _REPLY))
        if problems:
            return InputInvalid(f"The answer to {self.name!r}", "; ".join(problems))
        reply = cast("Mapping[str, JSON]", value)
        given, by = str(reply["hash"]), str(reply["by"])
        if given != self.hash and (given or self.is_approval):
            return ApprovalMismatch(self.name, given, self.hash)
        if self.by and by not in self.by:
            may = ", ".join(map(repr, self.by))
            return NotAllowed(f"{by or 'Nobody'!r} may not answer {self.name!r}; these may: {may}.")
        problems = find_problems(reply["value"], self.schema) if self.schema is not None else []
        return InputInvalid(f"The answer to {self.name!r}", "; ".join(problems)) if problems else None


async def ask_person(context: Context, path: str, ask: Ask, about: JSON) -> JSON:
    """The answer to a question; raises :class:`Elapsed`, and :class:`NonDeterminism` where it was another question."""
    schema = {"enum": list(ask.choices)} if ask.choices is not None else ask.schema
    content: dict[str, JSON] = {"question": ask.question, "about": about}
    question = Question(path, content, schema=schema, by=ask.by)
    outcome = await _outcome(context, question, ask.timeout_s)
    reply = value_of(outcome, f"Question {ask.question!r}")
    return cast("Mapping[str, JSON]", reply)["value"]


async def approve_action(context: Context, path: str, action: tuple[str, JSON], approval: Approval) -> None:
    """Return once a person has approved exactly this action: what it is, and its arguments. ``path`` is the wait's.

    Raises :class:`ApprovalRefused`, and :class:`NonDeterminism` where the answer on record is for other arguments.
    """
    what, arguments = action
    content: dict[str, JSON] = {"action": what, "arguments": arguments}
    question = Question(path, content, schema=_VERDICT, by=approval.by)
    outcome = await _outcome(context, question, approval.timeout_s)
    if "value" not in outcome:
        raise ApprovalRefused(what, expired=True)
    reply = cast("Mapping[str, JSON]", outcome["value"])
    verdict = cast("Mapping[str, JSON]", reply["value"])
    if not verdict["approved"]:
        raise ApprovalRefused(what, by=str(reply["by"]), reason=str(verdict.get("reason", "")))


async def _outcome(context: Context, question: Question, timeout_s: float | None) -> Mapping[str, JSON]:
    run, path = context.run, question.name
    if timeout_s is None and not run.reachable:
        raise Unsupported("Asking a person", "this flow runs without a kernel, so nobody can answer; give a timeout_s.")
    outcome = await outcome_of(context, path, question, timeout_s)
    answered = outcome.get("value", outcome)
    if cast("Mapping[str, JSON]", answered).get("hash") not in (question.hash, ""):
        raise NonDeterminism(
            run.run_id, path, "the answer on record is for other content than is asked now; it does not count for it."
        )
    return outcome


async def answer(run: Run, path: str, reply: JSON, answer_id: str) -> bool:
    """Take in the answer to the question at ``path``; ``False`` when one with this id has been accepted before.

    Raises :class:`UnknownName` where nothing is asked there, :class:`ApprovalMismatch`, :class:`NotAllowed`,
    :class:`InputInvalid`, and :class:`UsageError` where it has been answered or has expired.
    """
    standing = run.standing

    def refusal_of(value: JSON) -> AgentFlowError | None:
        told = standing.asked.get(path)
        if told is None:
            return UnknownName("question", path, list(standing.asked))
        taken = any(signal[1] == path for signal in standing.buffered.values())
        if taken or any(wait.name == path and wait.signal is not None for wait in standing.open):
            return UsageError(f"{path!r} has been answered already.")
        deadline = cast("float | None", told["deadline"])
        if deadline is not None and clock_of(run).now() >= deadline:
            return UsageError(f"{path!r} has expired: nobody answered it in time.")
        return Question.from_told(path, told).refusal(value)

    return await take(run, (answer_id, path, reply), refusal_of)


class Open(Value):
    """A question as the records have it. ``content`` is empty where it is stored apart because of its size."""

    __slots__ = ("path", "question", "deadline", "asked_at")

    def __init__(self, path: str, question: Question, deadline: float | None, asked_at: float) -> None:
        self.path = path
        self.question = question
        self.deadline = deadline
        self.asked_at = asked_at

    def as_document(self) -> dict[str, JSON]:
        """As JSON: what is asked with its exact content, its hash, and who may answer until when."""
        question = self.question
        return {
            "wait": self.path,
            "kind": "approval" if question.is_approval else "question",
            **question.content,
            "schema": None if question.is_approval else question.schema,
            "by": list(question.by),
            "hash": question.hash,
            "deadline": self.deadline,
            "asked_at": self.asked_at,
        }


def open_questions(records: Sequence[Record]) -> list[Open]:
    """What a run asks of people and nobody has answered, in the order in which it was asked."""
    found: dict[str, Open] = {}
    for record in records:
        payload = cast("Mapping[str, JSON]", record.payload or {})
        if record.type == "snapshot" and "standing" in payload:
            found = _still_open(record, payload, found)
        elif record.type == "wait.opened" and "hash" in payload:
            before = found.get(record.path)
            at = record.ts if before is None else before.asked_at
            question = Question.from_told(record.path, payload)
            found[record.path] = Open(record.path, question, cast("float | None", payload.get("deadline")), at)
        elif record.type == "signal.received":
            found.pop(str(payload.get("name")), None)
        elif record.type == "wait.resolved":
            found.pop(record.path, None)
        elif record.type == "step.completed":  # what it was made of is over, whether it was answered or not
            below = (f"{record.path}!", f"{record.path}/")
            found = {path: each for path, each in found.items() if not path.startswith(below)}
        elif record.type == "run.ended":
            return []
    return list(found.values())


def _still_open(record: Record, saved: Mapping[str, JSON], found: Mapping[str, Open]) -> dict[str, Open]:
    """What is asked as a snapshot has it: the records before it may have been deleted, or be those of another run."""
    standing = cast("Mapping[str, JSON]", saved["standing"] or {})
    told = cast("Mapping[str, Mapping[str, JSON]]", standing.get("asked") or {})
    answered = {name for _, name, _ in cast("list[tuple[str, str, JSON]]", standing.get("buffered") or ())}
    over = tuple(f"{path}{sign}" for path in cast("Mapping[str, JSON]", saved["done"]) for sign in "!/")
    return {
        path: found.get(path)
        or Open(path, Question.from_told(path, each), cast("float | None", each.get("deadline")), record.ts)
        for path, each in told.items()
        if path not in answered and not path.startswith(over)
    }
