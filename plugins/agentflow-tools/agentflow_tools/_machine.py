"""A machine that finds a regular expression in a line in one pass, whatever the expression.

The states are made while text is read and kept, within bounds. Each is the set of places in the expression that the
text so far can have reached, so no place is ever gone back to.

Source: Thompson, "Regular Expression Search Algorithm", CACM 11(6), 1968; Cox, "Regular Expression Matching Can Be
Simple And Fast", 2007, for making states as they are needed.
"""

from __future__ import annotations

from typing import NoReturn

from agentflow_tools._chars import CharSet, fold, is_word
from agentflow_tools._regex import Assertion, Choice, Literal, OneOf, RegexInvalid, Repeat, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentflow_tools._regex import Tree

MAX_STEPS = 2_000
"""Largest expression, in steps after `{m,n}` has been written out."""

MAX_BUILT = 20_000
"""Most parts met while repetitions are written out; parts that match nothing make no steps but take time."""

MAX_KEPT = 100_000
"""Most places and ways kept over all states, about 20 MB; then the machine forgets them and starts again."""

_STATE_COST = 8
"""What a state weighs beside its places and ways, in the same unit."""

_EDGE, _WORD, _OTHER = range(3)
"""What stands beside a place: the end of the line, a character of a word, another character."""


class _Step:
    """One place in the expression: a character to accept, an assertion to hold, or only ways on."""

    __slots__ = ("accepts", "assertion", "ways")

    def __init__(self, accepts: str | CharSet | None = None, assertion: str | None = None) -> None:
        self.accepts = accepts
        self.assertion = assertion
        self.ways: list[int] = []


class _State(dict[str, "_State"]):
    """Where each next character leads; a character not met yet makes its way when it comes."""

    __slots__ = ("before", "machine", "places")

    def __init__(self, machine: Machine, places: frozenset[int], before: int) -> None:
        super().__init__()
        self.machine = machine
        self.places = places
        self.before = before

    __hash__ = object.__hash__  # type: ignore[assignment]  # a state is itself, whatever it has learnt

    def __missing__(self, char: str) -> _State:
        return self.machine.learn(self, char)


class Machine:
    """Looks for one expression in many lines. Belongs to one thread; ``poll`` is called whenever a state is made.

    Raises :class:`RegexInvalid` when the expression is too large.
    """

    def __init__(self, tree: Tree, *, ignore_case: bool, poll: Callable[[], object]) -> None:
        self._ignore_case = ignore_case
        self._poll = poll
        self._steps: list[_Step] = []
        self._built = 0
        self._end = self._add()
        self._begin = self._build(tree, self._end)
        self._asserts = any(step.assertion is not None for step in self._steps)
        self._states: dict[tuple[frozenset[int], int], _State] = {}
        self._kept = 0
        self._found = _State(self, frozenset((self._end,)), _OTHER)
        self._start = self._state(self._reach((self._begin,)), _EDGE)

    def find(self, text: str) -> int | None:
        """Where the earliest match ends, in characters, or one further; `None` without one. Raises as `poll` does."""
        state, found = self._start, self._found
        if state is found:
            return 0
        for index, char in enumerate(text):
            state = state[char]
            if state is found:
                return index + 1
        return len(text) if self._end in self._hold(state, _EDGE) else None

    def learn(self, state: _State, char: str) -> _State:
        """The state after one more character; kept as a way of `state`."""
        self._poll()
        if self._kept > MAX_KEPT:
            self._forget()
        beside = _WORD if is_word(char) else _OTHER
        places = self._hold(state, beside)
        if self._end in places:
            following = self._found
        else:
            accepted = (way for place in places if self._accepts(place, char) for way in self._steps[place].ways)
            # the match may also begin after this character
            following = self._state(self._reach((self._begin, *accepted)), beside if self._asserts else _OTHER)
        state[char] = following
        self._kept += 1
        return following

    def _state(self, places: frozenset[int], before: int) -> _State:
        if self._end in places:
            return self._found
        state = self._states.get((places, before))
        if state is None:
            state = self._states[places, before] = _State(self, places, before)
            self._kept += len(places) + _STATE_COST
        return state

    def _forget(self) -> None:
        for state in self._states.values():
            state.clear()
        self._states = {(self._start.places, self._start.before): self._start}
        self._kept = len(self._start.places)

    def _accepts(self, place: int, char: str) -> bool:
        accepts = self._steps[place].accepts
        if isinstance(accepts, str):
            return accepts == (fold(char) if self._ignore_case else char)
        return accepts is not None and accepts.accepts(char, ignore_case=self._ignore_case)

    def _reach(self, places: Iterable[int]) -> frozenset[int]:
        """These places and those behind them that need no character; assertions are still to be held."""
        reached: set[int] = set()
        pending = list(places)
        while pending:
            place = pending.pop()
            if place in reached:
                continue
            reached.add(place)
            step = self._steps[place]
            if step.accepts is None and step.assertion is None:
                pending += step.ways
        return frozenset(reached)

    def _hold(self, state: _State, after: int) -> frozenset[int]:
        """The places of a state when it is known what comes next: assertions hold or not."""
        if not self._asserts:
            return state.places
        places = state.places
        while True:
            held = (
                way
                for place in places
                if _holds(self._steps[place].assertion, state.before, after)
                for way in self._steps[place].ways
            )
            more = places | self._reach(held)
            if more == places:
                return places
            places = more

    def _add(self, accepts: str | CharSet | None = None, assertion: str | None = None, *ways: int) -> int:
        if len(self._steps) >= MAX_STEPS:
            self._refuse()
        step = _Step(accepts, assertion)
        step.ways += ways
        self._steps.append(step)
        return len(self._steps) - 1

    def _refuse(self) -> NoReturn:
        raise RegexInvalid(f"it is too large, at most {MAX_STEPS} steps once repetitions are written out")

    def _build(self, tree: Tree, then: int) -> int:
        """The place where the tree begins, if what follows it begins at `then`."""
        self._built += 1
        if self._built > MAX_BUILT:
            self._refuse()
        match tree:
            case Literal(char):
                return self._add(fold(char) if self._ignore_case else char, None, then)
            case OneOf(chars):
                return self._add(chars, None, then)
            case Assertion(kind):
                return self._add(None, kind, then)
            case Sequence(parts):
                for part in reversed(parts):
                    then = self._build(part, then)
                return then
            case Choice(parts):
                return self._add(None, None, *[self._build(part, then) for part in parts])
            case Repeat(part, low, high):
                return self._repeat(part, low, high, then)

    def _repeat(self, part: Tree, low: int, high: int | None, then: int) -> int:
        if high is None:
            loop = self._add(None, None, then)
            self._steps[loop].ways.append(self._build(part, loop))
            then = loop
        else:
            last = then
            for _ in range(high - low):
                then = self._add(None, None, last, self._build(part, then))
        for _ in range(low):
            then = self._build(part, then)
        return then


def _holds(assertion: str | None, before: int, after: int) -> bool:
    match assertion:
        case None:
            return False
        case "start":
            return before == _EDGE
        case "end":
            return after == _EDGE
    return ((before == _WORD) != (after == _WORD)) is (assertion == "boundary")
