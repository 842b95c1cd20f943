"""Variables: the data of a chart or state, with what gives their first values."""

from __future__ import annotations

from agentflow_planner_fsm._invocation import find_source
from agentflow_planner_fsm._reading import DUPLICATE, SCHEMA, UNKNOWN_NAME, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._reading import Reading, Value, Where


def read_variables(
    reading: Reading, known: dict[str, Value | None], value: Any, where: Where, *, late: bool
) -> Mapping[str, Value]:
    """The variables of one ``data``; each is put into ``known`` too, which has those of the whole chart.

    ``late``: their values wait for their state.
    """
    found: dict[str, Value] = {}
    for name, inner, place, source in _listed(reading, value, where):
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or name[:1] == "_":
            text = f"Expected a name of letters, digits and '_' for a variable, not {shown(name)}."
            reading.find(SCHEMA, text, *place, suggestion="Names with '_' at the front belong to the system.")
            continue
        if name in known:
            reading.find(DUPLICATE, f"The variable {name!r} is there already.", *place)
        if source == "expr" and inner is not None:
            found[name] = reading.expression(inner, place, f"the value of {name!r}")
        else:
            content = _in_file(reading, inner, place) if source == "source" else inner
            found[name] = reading.template(content, place)
        known[name] = found[name] if not late else None
    return found


def _listed(reading: Reading, value: Any, where: Where) -> list[tuple[Any, Any, Where, str]]:
    """Name, content, place, and which key has the content: ``value``, ``expr`` or ``source``."""
    if isinstance(value, dict):
        return [(key, inner, (*where, str(key)), "value") for key, inner in value.items()]
    if not isinstance(value, list):
        reading.find(SCHEMA, f"Expected a mapping of variables, not {shown(value)}.", *where)
        return []
    items: list[tuple[Any, Any, Where, str]] = []
    for at, item in enumerate(value):
        fields = reading.fields(item, ("id", "expr", "value", "source"), (*where, at), "a variable")
        source = next((key for key in ("expr", "source") if key in fields), "value")
        items.append((fields.get("id"), fields.get(source), (*where, at), source))
    return items


def _in_file(reading: Reading, name: Any, where: Where) -> Any:
    """The value in a file beside the document."""
    try:
        return {"$literal": _json(find_source(reading.charts, name, "text"))}
    except LookupError as error:
        reading.find(UNKNOWN_NAME, str(error), *where, "source")
        return None


def _json(text: str) -> Any:
    """The value of a text: JSON, or else the text with single blanks."""
    import json  # lazy: only for data from elsewhere

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.split())
