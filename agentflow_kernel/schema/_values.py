"""JSON values: compared by value, and written compactly for messages."""

from __future__ import annotations

import json
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON


def write_compactly(value: JSON) -> str:
    """The value as JSON text without spaces; a string is given as it is."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(a value nested too deeply to be shown)"


def same(left: JSON, right: JSON) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 but never true, and the order of keys does not count."""
    if isinstance(left, (dict, Mapping)):
        if not isinstance(right, (dict, Mapping)) or len(left) != len(right):
            return False
        return all(key in right and same(value, right[key]) for key, value in left.items())
    if isinstance(left, (list, tuple)):
        return isinstance(right, (list, tuple)) and len(left) == len(right) and all(map(same, left, right))
    return left == right and isinstance(left, bool) is isinstance(right, bool)
