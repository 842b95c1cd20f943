"""The sentences the loop itself says to the model."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_TURN = "This is your last turn and no tools are available in it. Give your final answer now, with what you know."
NOT_OFFERED = "Not run: no tools were offered in this turn."
CUT_OFF = (
    "Not run: your turn was cut off at its token limit, so this call may be incomplete. "
    "Make the call again, in fewer words or fewer calls."
)
TOO_LONG = "it was cut off at its token limit (max_tokens)"
STOPPED = "Not run: the loop was stopped before this call began."
CANCELLED = "Cancelled: the call was stopped before it gave a result."
IN_DOUBT = "The call may have taken effect: check before you repeat it."
REFUSED = "Not run: the turn was broken off by a refusal."

_SHORT = 2_000


def warn_of_loop(name: str, times: int) -> str:
    """The one warning before the loop is stopped."""
    return (
        f"You have called {name!r} {times} times in a row with the same arguments and the same result. "
        "Calling it again will not help: do something else, or give your final answer."
    )


def ask_for_repair(problems: Sequence[str]) -> str:
    """The request to answer again."""
    return (
        f"Your answer does not fit the output schema: {'; '.join(problems)}. "
        "Answer again with nothing but JSON that fits the schema."
    )


def refuse_unknown(problem: str) -> str:
    """The result of a call of a tool that is not there."""
    return shorten(f"Not run: {problem}", _SHORT)


def refuse_arguments(name: str, problems: Sequence[str]) -> str:
    """The result of a call whose arguments break the tool's schema."""
    return shorten(f"Not run: invalid arguments for {name!r}: {'; '.join(problems)}.", _SHORT)


def report_error(message: str, code: str, *, in_doubt: bool) -> str:
    """The result of a call that went wrong; ``in_doubt`` when it may have had its effect all the same."""
    text = shorten(message or code, _SHORT)
    return f"{text} {IN_DOUBT}" if in_doubt else text


def shorten(text: str, limit: int) -> str:
    """The text, or its first ``limit`` characters and how many are missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut off: {len(text) - limit} of {len(text)} characters are not shown]"
