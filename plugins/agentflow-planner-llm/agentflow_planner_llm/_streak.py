"""A streak: the same call with the same result, again and again."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.schema import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]


class Streak:
    """How many calls in a row, over all turns, were equal and gave equal results.

    The last call is kept as its place in the history, not as a copy: ``turn`` is the index of the assistant's
    message, ``call`` the index in it. The results of a turn follow it at once, in call order.
    """

    __slots__ = ("count", "turn", "call")

    def __init__(self, count: int = 0, turn: int = 0, call: int = 0) -> None:
        self.count = count
        self.turn = turn
        self.call = call

    def follow(self, messages: Sequence[Object], turn: int) -> tuple[int, str]:
        """Count the calls of a finished turn; the longest streak within it and the name of its tool."""
        longest, name = 0, ""
        for index, call in enumerate(_calls(messages[turn])):
            text = messages[turn + 1 + index]["text"]
            if self.continued_by(messages, call) and messages[self.turn + 1 + self.call]["text"] == text:
                self.count += 1
            else:
                self.count = 1
            self.turn, self.call = turn, index
            if self.count > longest:
                longest, name = self.count, str(call["name"])
        return longest, name

    def continued_by(self, messages: Sequence[Object], call: Object) -> bool:
        """Whether a call has the tool and the arguments of the last one."""
        if not self.count:
            return False
        last = _calls(messages[self.turn])[self.call]
        if call["name"] != last["name"]:
            return False
        try:
            return same(call["arguments"], last["arguments"])
        except RecursionError:
            return False

    def dump(self) -> list[JSON]:
        """The streak as JSON."""
        return [self.count, self.turn, self.call]

    @classmethod
    def load(cls, document: Sequence[int]) -> Streak:
        """The streak that :meth:`dump` wrote."""
        return cls(*document)


def _calls(message: Object) -> Sequence[Object]:
    return cast("Sequence[Object]", message["calls"])
