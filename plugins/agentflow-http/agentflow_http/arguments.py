"""Arguments of a tool call: the JSON text that a model wrote, which need not be JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON


def read_arguments(text: str) -> Mapping[str, JSON]:
    """The arguments as an object; no text at all is the empty object.

    Text that is no JSON, and JSON that is no object, is given back as it came: planners know a malformed call by
    arguments that are no object, and let the model try again.
    """
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        value = text
    return cast("Mapping[str, JSON]", value)


def arguments_on_wire(arguments: object) -> dict[str, JSON]:
    """The arguments of a past call for a next request; what is no object becomes an empty one."""
    return dict(arguments) if isinstance(arguments, Mapping) else {}
