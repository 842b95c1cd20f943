"""An answer: one turn of the model, put together from the chunks of a stream or read from a whole completion."""

from __future__ import annotations

from agentflow_kernel.contracts.provider import Message, ModelReply
from agentflow_openai._calls import Calls
from agentflow_openai._messages import REASONING
from agentflow_openai._usage import decode_usage
from agentflow_openai.models import cost_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.names import ToolNames
    from agentflow_kernel.contracts.provider import StopReason
    from agentflow_kernel.contracts.values import JSON

_STOPS: dict[str, StopReason] = {
    "stop": "end",
    "length": "max_tokens",
    "model_length": "max_tokens",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
}
BROKEN_OFF = frozenset({"error", "abort", "insufficient_system_resource"})
"""Reasons with which servers end an answer that they could not finish."""


class Answer:
    """What has come so far. Unknown fields are passed over; only the first choice counts."""

    __slots__ = ("id", "model", "finish_reason", "_text", "_refused", "_thought", "_parts", "_calls", "_usage")

    def __init__(self) -> None:
        self.id = ""
        self.model = ""
        self.finish_reason = ""
        """Why the model stopped, in the server's word; empty while it has not."""
        self._text: list[str] = []
        self._refused = False
        self._thought: dict[str, list[JSON]] = {}
        """The pieces of each field: texts to be joined, or parts of a list."""
        self._parts: list[Mapping[str, JSON]] = []
        self._calls = Calls()
        self._usage: JSON = None

    @property
    def begun(self) -> bool:
        """Whether the model has said or thought anything yet."""
        return bool(self._text or self._thought or self._parts or self._calls)

    def add(self, document: Mapping[str, JSON]) -> str:
        """Take in a chunk or a whole completion; the text that is new in it."""
        if not self.id:
            self.id = _text(document.get("id"))
        if not self.model:
            self.model = _text(document.get("model"))
        usage = document.get("usage")
        if usage:
            self._usage = usage
        choices = document.get("choices")
        if not isinstance(choices, list):
            return ""
        for choice in choices:
            if isinstance(choice, dict) and not choice.get("index"):
                return self._add_choice(choice)
        return ""

    def _add_choice(self, choice: Mapping[str, JSON]) -> str:
        reason = choice.get("finish_reason")
        if reason:
            self.finish_reason = _text(reason) or "stop"
        turn = choice.get("delta") or choice.get("message")
        if not isinstance(turn, dict):
            return ""
        new = turn.get("content") or ""
        if not isinstance(new, str):
            new = self._add_content(new)
        if len(turn) > 1 or not new:  # most chunks bring a few characters of content and nothing else
            new += self._add_rest(turn)
        if new:
            self._text.append(new)
        return new

    def _add_rest(self, turn: Mapping[str, JSON]) -> str:
        """What is not content; the text of a refusal."""
        for field in REASONING:
            thought = turn.get(field)
            if thought:
                self._add_thought(field, thought)
        if turn.get("tool_calls"):
            self._calls.add(turn["tool_calls"])
        if turn.get("function_call"):
            self._calls.add_function(turn["function_call"])
        refusal = _text(turn.get("refusal"))
        if refusal:
            self._refused = True
        return refusal

    def _add_content(self, content: JSON) -> str:
        """The text of content that comes as a list of parts; parts of other types are kept as they are."""
        text = ""
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict):
                if part.get("type") == "text":
                    text += _text(part.get("text"))
                else:
                    self._parts.append(part)
        return text

    def _add_thought(self, field: str, value: JSON) -> None:
        pieces: list[JSON] = self._thought.setdefault(field, [])
        if isinstance(value, str):
            pieces.append(value)
        elif isinstance(value, list):
            pieces.extend(value)

    def reply(self, names: ToolNames) -> ModelReply:
        """The reply, with its cost where the table knows the model that answered."""
        parts = [{"type": field, field: _whole(pieces)} for field, pieces in self._thought.items()]
        calls = self._calls.read(names, self.id)
        message = Message("assistant", "".join(self._text), calls=calls, parts=[*parts, *self._parts])
        usage = decode_usage(self._usage)
        usage.cost_usd = cost_of(self.model, usage)
        return ModelReply(message, stop_reason=self._stop_reason(), usage=usage, model=self.model)

    def _stop_reason(self) -> StopReason:
        """An unknown word counts as a plain end; many servers say ``stop`` after tool calls."""
        reason = _STOPS.get(self.finish_reason, "end")
        if reason in {"end", "tool_calls"}:
            if self._refused:
                return "refusal"
            return "tool_calls" if self._calls else "end"
        return reason


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _whole(pieces: list[JSON]) -> JSON:
    """Texts are joined; anything else is a list of parts."""
    return "".join(map(str, pieces)) if all(isinstance(piece, str) for piece in pieces) else pieces
