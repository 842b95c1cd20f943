"""A reply: the model's turn as the engine hands it over, read from JSON and made safe to keep in the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.schema import read_strictly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]


class Reply:
    """One turn of the model. ``malformed`` says of calls, by index, why their arguments are no JSON object."""

    __slots__ = ("text", "stop_reason", "usage", "malformed", "message", "calls")

    def __init__(self, message: Object, calls: Sequence[Object], stop_reason: str, usage: Object) -> None:
        self.text = str(message["text"])
        self.stop_reason = stop_reason
        self.usage = usage
        self.malformed: Mapping[int, str] = {}
        if calls:
            self.malformed = {
                index: _why_no_object(call["arguments"])
                for index, call in enumerate(calls)
                if not isinstance(call["arguments"], (dict, Mapping))
            }
            if self.malformed or not _told_apart(calls):
                calls = _repaired(calls)
                message = {**message, "calls": calls}
        self.message = message
        self.calls = calls

    @property
    def empty(self) -> bool:
        """Whether the turn says nothing at all; providers refuse such a turn in a history."""
        return not (self.text or self.calls or self.message.get("parts"))


def read_reply(value: JSON) -> Reply | None:
    """The reply, or ``None`` when the value has not the form of one."""
    try:
        document = cast("Object", value)
        message = cast("Object", document["message"])
        calls = cast("Sequence[Object]", message.get("calls", ()))
        usage = document.get("usage")
        known = usage if isinstance(usage, (dict, Mapping)) else {}
        return Reply(message, calls, str(document["stop_reason"]), known)
    except (AttributeError, KeyError, TypeError):
        return None


def _why_no_object(arguments: JSON) -> str:
    """What is wrong with arguments that are none; a text is what the model wrote, where that is no JSON."""
    unreadable = read_strictly(arguments)[1] if isinstance(arguments, str) else None
    return unreadable or "must be object"


def _told_apart(calls: Sequence[Object]) -> bool:
    """Whether every call has an id of its own."""
    ids = {call["id"] for call in calls}
    return len(ids) == len(calls) and "" not in ids


def _repaired(calls: Sequence[Object]) -> list[Object]:
    """The calls with ids of their own and objects as arguments: anything else breaks the next request."""
    taken = {str(call["id"]) for call in calls}
    seen: set[str] = set()
    repaired: list[Object] = []
    for index, call in enumerate(calls):
        call_id = str(call["id"])
        if call_id in seen or not call_id:
            call_id = _free(f"{call_id or 'call'}-{index}", taken)
        seen.add(call_id)
        arguments = call["arguments"] if isinstance(call["arguments"], (dict, Mapping)) else {}
        repaired.append({"id": call_id, "name": call["name"], "arguments": arguments})
    return repaired


def _free(name: str, taken: set[str]) -> str:
    """The name, lengthened until nobody else has it."""
    while name in taken:
        name += "-"
    return name
