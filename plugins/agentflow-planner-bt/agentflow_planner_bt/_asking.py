"""An asking: what the builders of some nodes want to know of their site: times, cases, children, ports of leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import ExpressionFailed
from agentflow_planner_bt._bounds import LONGEST
from agentflow_planner_bt._kinds import DEEP
from agentflow_planner_bt._run import RUN, failed
from agentflow_planner_bt.leaf import Info
from agentflow_planner_bt.port import NOTHING, Port, guessed, is_key, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_planner_bt._run import Memory
    from agentflow_planner_bt._site import Site

_TOO_CLOSE = 1.1920929e-07
"""Numbers nearer than this are equal cases of a switch, as in BehaviorTree.CPP (the epsilon of a C float)."""


def timer_of(site: Site) -> int:
    """A new cell for the time at which the node wants to be ticked again, or None."""
    cell = site.cell(None)
    site.compiler.timers.append(cell)
    return cell


def seconds_of(site: Site) -> Callable[[Memory], float]:
    """A time: ``seconds`` or ``msec``, one of them; one from an entry is looked at when it is read."""
    if site.given("seconds") == site.given("msec"):
        raise ValueError("it takes a time, either 'seconds' or 'msec'")
    port = "msec" if site.given("msec") else "seconds"
    unit, path = 1000.0 if port == "msec" else 1.0, site.path
    literal, read = site.scope.value(site.raw(port), "number")
    if read is None:
        seconds = _time(literal, port) / unit
        return lambda m: seconds
    reader = site.reader(port)

    def seconds_now(m: Memory) -> float:
        try:
            return _time(reader(m), port) / unit
        except ValueError as error:
            raise failed(path, error) from None

    return seconds_now


def _time(value: Any, port: str) -> float:
    if type(value) not in {int, float} or not 0 <= value <= LONGEST:
        raise ValueError(f"the port {port!r} is a finite time of at least 0, not {value!r}")
    return float(value)


def one_of(site: Site, port: str, words: tuple[str, ...]) -> str:
    """A word out of a list."""
    word = str(site.literal(port))
    if word not in words:
        raise ValueError(f"the port {port!r} is one of {', '.join(map(repr, words))}, not {word!r}")
    return word


def items_of(site: Site, port: str) -> list[Any]:
    """A list of the document that is not empty."""
    items = site.literal(port)
    if not isinstance(items, list) or not items:
        raise ValueError(f"the port {port!r} is a list with at least one item, not {items!r}")
    return items


def selected_by(site: Site) -> tuple[int, ...]:
    """The cells of the children that ``selected`` names, by name or by number from 0."""
    names = [child.name or child.type for child in site.node.children]
    slots = []
    for item in items_of(site, "selected"):
        number = names.index(item) if item in names else item
        if type(number) is not int or not 0 <= number < len(names):
            raise ValueError(f"'selected' names {item!r}, which is no child; children: {', '.join(names)}")
        slots.append(site.parts[number].slot)
    return tuple(slots)


def updated(site: Site, port: str) -> Callable[[Memory], bool]:
    """Whether an entry was written since this was last asked."""
    scope, key = site.entry(port)
    seen = site.cell(0)

    def updated(m: Memory) -> bool:
        entry = m[RUN].entries[scope].get(key)
        writes = 0 if entry is None else entry.writes
        changed: bool = writes != m[seen] and entry is not None
        m[seen] = writes
        return changed

    return updated


def case_of(site: Site) -> Callable[[Memory], int]:
    """The number of the child that a switch's variable chooses."""
    cases = items_of(site, "cases")
    if len(site.node.children) != len(cases) + 1:
        raise ValueError(f"{len(cases)} cases need {len(cases) + 1} children, the last for all others")
    literal, read = site.scope.value(site.raw("variable"), "any")
    readers = [site.scope.value(case, "any") for case in cases]
    enums = site.scope.enums

    def chosen(m: Memory) -> int:
        value = literal if read is None else read(m)
        if value is NOTHING:
            return len(cases)
        for number, (case, reader) in enumerate(readers):
            if _same(value, case if reader is None else reader(m), enums):
                return number
        return len(cases)

    return chosen


def info_of(site: Site, ports: Mapping[str, Port]) -> Info:
    """What a context needs to know about this node."""
    info = Info(site.path, site.node.name or site.node.type, site.cell(None))
    for name, port in {**ports, **site.node.declared}.items():
        given = site.raw(name)
        _agree(site, name, given, port)
        if port.direction != "out":
            info.readers[name] = _input(site, given, port)
        if port.direction != "in":
            known = given is not NOTHING and (port.direction == "out" or reference(given) is not None)
            info.writers[name] = _output(site, given) if known else _nowhere
    return info


def _agree(site: Site, name: str, given: Any, port: Port) -> None:
    """Note where two leaves connect ports of different types with one entry; text is converted, so it fits all."""
    entry = reference(given)
    kind = "number" if port.type == "integer" else port.type
    if entry is None or not is_key(entry) or kind in {"any", "string"}:
        return
    place = site.scope.place(entry)
    known = site.compiler.types.setdefault(place, kind)
    if known != kind:
        text = f"The port {name!r} of {site.path!r} takes {kind}, but {entry!r} is {known} at another node."
        site.compiler.found("P009", text, site.node)


def _input(site: Site, given: Any, port: Port) -> Callable[[Memory], Any]:
    if given is NOTHING:
        return lambda m: NOTHING
    if port.type == DEEP or (port.type == "any" and isinstance(given, dict | list)):
        return site.scope.deep(given)
    literal, reader = site.scope.value(given, port.type)
    if reader is None:
        return lambda m: literal
    read, path = reader, site.path

    def converted(m: Memory) -> Any:
        try:
            return read(m)
        except (ValueError, ExpressionFailed) as error:
            raise failed(path, error) from None

    return converted


def _output(site: Site, given: Any) -> Callable[[Memory, Any], None]:
    write, path = site.scope.writer(given), site.path

    def write_out(m: Memory, value: Any) -> None:
        try:
            write(m, value)
        except TypeError as error:
            raise failed(path, error) from None

    return write_out


def _nowhere(m: Memory, value: Any) -> None:
    """An output that the document does not connect."""


def _same(value: Any, case: Any, enums: Mapping[str, Any]) -> bool:
    """Whether a case is the value: as they are, or as the numbers that they spell or that are their enums."""
    if value == case and isinstance(value, bool) is isinstance(case, bool):
        return True
    first, second = (_number(item, enums) for item in (value, case))
    if first is None or second is None:
        return str(value) == str(case) and isinstance(value, str) is not isinstance(case, str)
    return abs(first - second) <= _TOO_CLOSE


def _number(item: Any, enums: Mapping[str, Any]) -> float | None:
    if isinstance(item, str):
        item = enums.get(item, guessed(item))
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else None
