"""The types of JSON Schema: which of them a value has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON

_CLASSES: Mapping[str, tuple[type, ...]] = {
    "object": (dict, Mapping),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}


def has_type(value: JSON, name: str) -> bool:
    """Whether a value has a type of JSON Schema; 1.0 is an integer, true is no number."""
    classes = _CLASSES.get(name)
    if classes is not None:
        return isinstance(value, classes)
    if isinstance(value, float):
        return name == "number" or (name == "integer" and value.is_integer())
    return name in {"integer", "number"} and isinstance(value, int) and not isinstance(value, bool)


def name_type(value: JSON) -> str:
    """The type of a value, as JSON Schema calls it; every number is a ``number``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "object" if isinstance(value, (dict, Mapping)) else "array"


def may_fit(value: JSON, schema: JSON) -> bool:
    """Whether a branch names the value's type, or refers to an object where the value is one."""
    if not isinstance(schema, (dict, Mapping)):
        return False
    rule = schema.get("type", "object" if "$ref" in schema else ())
    names = [rule] if isinstance(rule, str) else cast("Sequence[str]", rule)
    return any(has_type(value, name) for name in names)
