"""Tool calls under way: put together from the fragments of a stream, then read as what the model meant.

The protocol numbers calls by ``index`` and gives id and name in the first fragment of each. Servers that follow it
leave out the index, give every call the index 0, leave out ids, repeat names, or make a new id for every fragment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from agentflow_http.arguments import read_arguments
from agentflow_kernel.contracts.provider import ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_http.names import ToolNames
    from agentflow_kernel.contracts.values import JSON

_STRANGE = re.compile(r"[^a-zA-Z0-9]")
_TAIL = 12


class _Call:
    """One call: what has come of it. ``arguments`` is the text so far, or a value where the server sends one."""

    __slots__ = ("index", "id", "name", "text", "value")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.text: list[str] = []
        self.value: JSON = None

    def complete(self) -> bool:
        """Whether its arguments are whole: more for it cannot come."""
        text = "".join(self.text)
        return self.value is not None or (bool(text.strip()) and isinstance(read_arguments(text), Mapping))

    def arguments(self) -> Mapping[str, JSON]:
        """What the model wrote; no object where it is malformed."""
        if self.value is not None:
            return cast("Mapping[str, JSON]", self.value)
        return read_arguments("".join(self.text))


class Calls:
    """The calls of one turn, in the order in which they began."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, fragments: JSON) -> None:
        """Take in ``tool_calls`` of a delta or of a whole message; what has not the form of a call is passed over."""
        if not isinstance(fragments, (list, tuple)):
            return
        for fragment in fragments:
            if isinstance(fragment, dict):
                function = fragment.get("function")
                index = fragment.get("index")
                number = index if isinstance(index, int) and not isinstance(index, bool) else None
                self._add(number, _text(fragment.get("id")), function if isinstance(function, dict) else {})

    def add_function(self, function: JSON) -> None:
        """Take in ``function_call``, the older form: one call a turn, without an id."""
        if isinstance(function, dict):
            self._add(0, "", function)

    def _add(self, index: int | None, call_id: str, function: Mapping[str, JSON]) -> None:
        name = _text(function.get("name"))
        call = self._find(index, call_id, name)
        call.id = call.id or call_id
        call.name = call.name or name
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.text.append(arguments)
        elif arguments is not None:
            call.value = arguments

    def _find(self, index: int | None, call_id: str, name: str) -> _Call:
        """The call that a fragment belongs to: the last one of its index, unless the fragment begins another."""
        numbered = [call for call in self._calls if call.index == index] if index is not None else self._calls
        if index is None and call_id:
            numbered = [call for call in self._calls if call.id == call_id] or numbered
        if numbered and not _begins_another(numbered[-1], call_id, name):
            return numbered[-1]
        call = _Call(index)
        self._calls.append(call)
        return call

    def read(self, names: ToolNames, reply_id: str = "") -> list[ToolCall]:
        """The calls with the tools' own names and an id each.

        Arguments that are no JSON object are handed on as they are, so that the planner can refuse them: a text stays
        the text. A missing id is made from the reply's own, a repeated one is lengthened.
        """
        taken: set[str] = set()
        calls = []
        for place, call in enumerate(self._calls):
            call_id = call.id or _make_id(reply_id, place)
            while call_id in taken:
                call_id = f"{call_id}-{place}"
            taken.add(call_id)
            calls.append(ToolCall(call_id, names.read(call.name), call.arguments()))
        return calls


def _begins_another(call: _Call, call_id: str, name: str) -> bool:
    """Whether a fragment for a known index is the start of a further call: only a start brings a name."""
    if not name or not call.name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return name != call.name or call.complete()


def _make_id(reply_id: str, place: int) -> str:
    """An id that no other turn of the conversation has, as far as the server's replies have ids."""
    tail = _STRANGE.sub("", reply_id)[-_TAIL:]
    return f"call_{tail}_{place}" if tail else f"call_{place}"


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
