"""JSON values: compared by value, written compactly for messages, and read as a model wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agentflow_kernel.json_text import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agentflow_kernel.contracts.values import JSON


def write_compactly(value: JSON) -> str:
    """The value as JSON text without spaces; a string is given as it is."""
    if isinstance(value, str):
        return value
    try:
        return write(value)
    except ValueError:  # a number that JSON does not have: it is to be shown all the same
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(a value nested too deeply to be shown)"


def read_strictly(text: str) -> tuple[JSON, str | None]:
    """The value of a JSON text, bare or in one Markdown fence, and ``None``; or ``None`` and what is wrong with it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text[text.index("\n") : -3]
    try:
        value: JSON = json.loads(text, parse_constant=_refuse, parse_float=_read_finite)
        if "\\u" in text or not text.isascii():
            write(value).encode()
    except UnicodeEncodeError:
        return None, "is not JSON: it holds half of a character, which cannot be stored"
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as fault:
        return None, f"is not JSON: {fault}"
    return value, None


def _refuse(constant: str) -> NoReturn:
    """``NaN`` and ``Infinity`` are Python's, not JSON's."""
    raise ValueError(f"{constant} is no JSON number")


def _read_finite(text: str) -> float:
    """A fraction; one beyond all floats would be read as infinite, which can be stored nowhere."""
    number = float(text)
    if abs(number) == _ENDLESS:
        raise ValueError(f"{text[:40]} is too large")
    return number


_ENDLESS = float("inf")


def same(left: JSON, right: JSON) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 but never true, and the order of keys does not count."""
    if isinstance(left, (dict, Mapping)):
        if not isinstance(right, (dict, Mapping)) or len(left) != len(right):
            return False
        return all(key in right and same(value, right[key]) for key, value in left.items())
    if isinstance(left, (list, tuple)):
        return isinstance(right, (list, tuple)) and len(left) == len(right) and all(map(same, left, right))
    return left == right and isinstance(left, bool) is isinstance(right, bool)
