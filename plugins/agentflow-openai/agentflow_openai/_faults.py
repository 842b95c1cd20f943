"""A fault on this protocol: what an answer of refusal, or an error in the middle of a stream, stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_http.dialect import Fault
from agentflow_http.faults import kind_of_status
from agentflow_openai._limits import read_duration, read_reset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.dialect import Executed, FaultKind
    from agentflow_openai._complaint import Complaint, Kind

_KINDS: dict[Kind, FaultKind] = {
    "prompt": "prompt",
    "model": "model",
    "key": "credential",
    "quota": "refused",
    "policy": "refused",
    "limit": "rate",
    "busy": "unavailable",
}
_LENGTH = "Set 'max_tokens_field' of the provider to the field that this model takes."
_HINTS = {
    "max_completion_tokens": _LENGTH,
    "max_tokens": _LENGTH,
    "reasoning_effort": "Set 'reasoning_effort' of the provider to what this model takes, with tools mostly 'none'.",
    "response_format": "Set 'structured' of the provider to 'json_object' or 'prompt'.",
    "stream_options": "Set 'stream_usage' of the provider to false.",
}
_NO_SUCH_PATH = "'base_url' of the provider must end where '/chat/completions' begins, mostly with '/v1'."
_SERVER_ERROR = 500


def refusal(status: int, headers: Mapping[str, str], complaint: Complaint | None) -> Fault:
    """What a status of 400 or more means; keys of ``headers`` are in small letters."""
    if complaint is None:
        return Fault(kind_of_status(status), _hint(status), retry_after_s=_wait(status, headers))
    kind = complaint.kind()
    return Fault(
        _KINDS.get(kind) or kind_of_status(status),
        " ".join(filter(None, (complaint.message, _hint(status, complaint.param) if kind == "other" else ""))),
        type=complaint.name(),
        executed=None if kind == "other" else "no",
        retry_after_s=_wait(status, headers),
    )


def interruption(complaint: Complaint, *, begun: bool) -> Fault:
    """What an error inside a stream means. Nothing was done yet where the model had not ``begun`` and we know why."""
    kind = complaint.kind()
    executed: Executed = "maybe" if begun or kind == "other" else "no"
    found = _KINDS.get(kind)
    if found is None:
        status = int(complaint.code) if complaint.code.isdecimal() and len(complaint.code) == 3 else _SERVER_ERROR
        found = kind_of_status(status) if status >= 400 else "unavailable"
    return Fault(found, complaint.message, type=complaint.name(), executed=executed)


def _wait(status: int, headers: Mapping[str, str]) -> float | None:
    """How long to wait by the vendor's own headers; ``None`` leaves it to ``Retry-After``, where there is one."""
    exact = read_duration(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1_000
    return read_reset(headers) if status == 429 and "retry-after" not in headers else None


def _hint(status: int, param: str = "") -> str:
    return _NO_SUCH_PATH if status == 404 else _HINTS.get(param, "") if status in {400, 422} else ""
