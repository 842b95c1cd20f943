"""A pattern: finds out fast which lines of a block may match, then which do."""

from __future__ import annotations

from agentflow_kernel.errors import AskModelAgain
from agentflow_tools._chars import fold
from agentflow_tools._machine import Machine
from agentflow_tools._regex import Literal, RegexInvalid, parse_regex, required_text, sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_tools._watch import Watch

MAX_PATTERN_CHARS = 1_000


class Pattern:
    """Finds a text, or what a regular expression describes, in lines. Belongs to one call."""

    def __init__(self, needle: bytes, *, ignore_case: bool, machine: Machine | None) -> None:
        self._needle = needle
        """What every matching line holds, in lower case where case does not count; may be empty."""
        self._ignore_case = ignore_case
        self._machine = machine
        """Decides; without one the needle does."""

    def candidates(self, block: bytes, number: int) -> Iterator[tuple[int, bytes]]:
        """The lines of a block that may match, without their ends, and their numbers; the first is `number`."""
        if not self._needle:
            lines = block.split(b"\n")
            if not lines[-1]:
                lines.pop()
            yield from ((at, line.removesuffix(b"\r")) for at, line in enumerate(lines, number))
            return
        hay = block.lower() if self._ignore_case else block
        counted = at = 0
        while (found := hay.find(self._needle, at)) >= 0:
            start = block.rfind(b"\n", at, found) + 1 or at
            end = block.find(b"\n", found)
            end = len(block) if end < 0 else end
            number += block.count(b"\n", counted, start)
            yield number, block[start:end].removesuffix(b"\r")
            counted, at = start, end + 1

    def find(self, line: bytes) -> int | None:
        """Where the first match in a line ends, in characters; `None` without a match."""
        if self._machine is not None:
            return self._machine.find(line.decode(errors="replace"))
        found = (line.lower() if self._ignore_case else line).find(self._needle)
        return None if found < 0 else len(line[: found + len(self._needle)].decode(errors="replace"))


def compile_pattern(text: str, *, regex: bool, ignore_case: bool, watch: Watch) -> Pattern:
    """The pattern for one call.

    Raises :class:`AskModelAgain` when the text is empty, too long, goes over a line's end, or is a regular expression
    that is wrong, too large, or uses what cannot be found in time that grows with the text only.
    """
    if not 0 < len(text) <= MAX_PATTERN_CHARS:
        raise AskModelAgain(f"A pattern has 1 to {MAX_PATTERN_CHARS} characters; this one has {len(text)}.")
    if "\n" in text:
        raise AskModelAgain("A pattern is looked for within one line. Leave out the line break.")
    if regex and text.startswith("(?i)"):
        text, ignore_case = text.removeprefix("(?i)"), True
    try:
        tree = parse_regex(text) if regex else sequence([Literal(char) for char in text])
        needle = required_text(tree)
        if ignore_case:
            needle = "".join(map(fold, needle))
        # U+FFFD stands for faulty bytes too; and bytes are folded by ASCII only
        usable = "\ufffd" not in needle and (needle.isascii() or not ignore_case)
        raw = needle.encode() if usable else b""
        exact = not regex and bool(raw)
        machine = None if exact else Machine(tree, ignore_case=ignore_case, poll=watch.look)
    except UnicodeEncodeError as error:
        raise AskModelAgain("The pattern is not valid Unicode text.") from error
    except RegexInvalid as error:
        advice = "Set regex to false to look for the text as it stands." if regex else ""
        raise AskModelAgain(f"The regular expression {text!r} cannot be used: {error}. {advice}".rstrip()) from error
    return Pattern(raw, ignore_case=ignore_case, machine=machine)
