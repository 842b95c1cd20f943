"""The dialect of chat completions: requests, answers and faults as one vendor defined them and many servers take them.

Source: the vendor's API reference, "Create chat completion" and its streaming events, read 2026-11-21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_http.dialect import Faulted
from agentflow_http.names import ToolNames
from agentflow_openai._answer import BROKEN_OFF, Answer
from agentflow_openai._complaint import Complaint, read_complaint
from agentflow_openai._ending import OVER
from agentflow_openai._faults import interruption, refusal
from agentflow_openai._json import garbled, read_json
from agentflow_openai._request import encode_request
from agentflow_openai.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.dialect import Fault
    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest
    from agentflow_kernel.contracts.values import JSON
    from agentflow_openai.settings import OpenAISettings

_DONE = b"[DONE]"
_NAMED_ERROR = b"error"


class ChatDecoder:
    """Reads one streamed answer; the end is ``[DONE]``, or the end of the stream after a reason to stop."""

    __slots__ = ("done", "_answer", "_names")

    def __init__(self, names: ToolNames) -> None:
        self.done = False
        self._answer = Answer()
        self._names = names

    def feed(self, name: bytes, data: bytes) -> str:
        """The text of one chunk; :class:`Faulted` for an error, and for what is no chunk."""
        if name == OVER:
            self.done = self.done or bool(self._answer.finish_reason)
            return ""
        if data == _DONE:
            if not self._answer.finish_reason:
                raise garbled("the stream says [DONE] before the model has given a reason to stop")
            self.done = True
            return ""
        chunk = read_json(data)
        if not isinstance(chunk, dict):
            raise garbled("a chunk of the stream is no JSON object")
        if "choices" not in chunk or "error" in chunk or name == _NAMED_ERROR:
            complaint = read_complaint(chunk)
            if complaint is None and name == _NAMED_ERROR:
                complaint = Complaint("")
            if complaint is not None:
                raise Faulted(interruption(complaint, begun=self._answer.begun))
        text = self._answer.add(chunk)
        if self._answer.finish_reason in BROKEN_OFF:
            raise Faulted(interruption(_broken_off(self._answer), begun=True))
        return text

    def reply(self) -> ModelReply:
        """The whole turn, with its cost where the table knows the model that answered."""
        return self._answer.reply(self._names)


class ChatDialect:
    """The protocol with the settings of one server."""

    vendor = "OpenAI"
    path = "/chat/completions"
    models = MODELS

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings

    def headers(self, key: str) -> dict[str, str]:
        """The key as a bearer, and who pays."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if self._settings.organization:
            headers["OpenAI-Organization"] = self._settings.organization
        if self._settings.project:
            headers["OpenAI-Project"] = self._settings.project
        return headers

    def encode(self, request: ModelRequest, model: str) -> dict[str, JSON]:
        """The body of a request for a streamed answer."""
        return encode_request(request, model, self._settings)

    def decoder(self, request: ModelRequest) -> ChatDecoder:
        """A decoder for one stream."""
        return ChatDecoder(ToolNames(request.tools))

    def decode(self, request: ModelRequest, body: bytes) -> ModelReply:
        """The turn in a whole completion; servers also put errors into answers with status 200."""
        document = read_json(body)
        complaint = read_complaint(document)
        if complaint is not None:
            raise Faulted(interruption(complaint, begun=False))
        if not isinstance(document, dict) or not document.get("choices"):
            raise garbled("it is no completion: it has no 'choices'")
        answer = Answer()
        answer.add(document)
        if answer.finish_reason in BROKEN_OFF:
            raise Faulted(interruption(_broken_off(answer), begun=True))
        return answer.reply(ToolNames(request.tools))

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """What a refusal means; a body that is no JSON is taken as its message, a page of HTML as none."""
        try:
            complaint = read_complaint(read_json(body))
        except Faulted:
            text = body.decode("utf-8", "replace").strip()
            complaint = read_complaint({"error": text}) if text and not text.startswith("<") else None
        return refusal(status, headers, complaint)


def _broken_off(answer: Answer) -> Complaint:
    return Complaint(f"The answer ended with the reason {answer.finish_reason!r}.", code=answer.finish_reason)
