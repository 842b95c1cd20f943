"""A reading: one document on its way to a chart, with everything that was found wrong in it so far."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.errors.hints import nearest
from agentflow_kernel.expression import Expression, Script
from agentflow_planner_fsm._fault import ContentFailed
from agentflow_planner_fsm._work import metered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Block, Test

    Where = tuple[str | int, ...]
    Value = Callable[[Session], Any]

SCHEMA = "P001"
DUPLICATE = "P002"
UNKNOWN_NAME = "P003"
ARGUMENTS = "P004"
UNKNOWN_TARGET = "P005"
ENDLESS = "P006"
UNREACHABLE = "P007"
DEAD_END = "P008"
TOO_LARGE = "P011"
"""The codes of the findings about a statechart."""

MOST_FINDINGS = 100
DEEPEST_VALUE = 64
_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "min": 60_000_000, "h": 3_600_000_000}
_UNITS["d"] = 24 * _UNITS["h"]
LONGEST = 100 * 366 * _UNITS["d"]
"""A hundred years, in microseconds."""
RESERVED = ("_event", "_sessionid", "_name", "_ioprocessors", "_x")


class Named:
    """A tool, agent, flow or plan that the document names, and where."""

    __slots__ = ("kind", "name", "arguments", "where", "step")

    def __init__(self, kind: str, name: str, arguments: Any, where: Where, step: str) -> None:
        self.kind = kind
        self.name = name
        self.arguments = arguments
        """What it is given, as the document has it, ``None`` where only the run knows."""
        self.where = where
        self.step = step


class Reading:
    """Findings, and everything that turns a text or value of the document into something that a session can do."""

    def __init__(self, charts: Mapping[str, Any] | None = None) -> None:
        self.charts: Mapping[str, Any] = charts if charts is not None else {}
        """Documents that may be invoked by name."""
        self.findings: list[PlanFinding] = []
        self.dropped = 0
        self.known: dict[str, Expression] = {}
        """Every expression once, however often it stands in the document."""
        self.names: list[Named] = []
        self.uses_event = False
        self.step = ""
        """The id of the state that is being read."""

    def find(self, code: str, text: str, *where: str | int, suggestion: str = "", warning: bool = False) -> None:
        """Note a fault; of very many the first ones are kept."""
        if len(self.findings) < MOST_FINDINGS or (not warning and all(each.warning for each in self.findings)):
            finding = PlanFinding(code, text, *where, step=self.step, suggestion=suggestion, warning=warning)
            self.findings.append(finding)
        else:
            self.dropped += 1

    @property
    def failed(self) -> bool:
        """Whether anything was found that is more than a warning."""
        return any(not finding.warning for finding in self.findings)

    # -- shapes

    def fields(self, value: Any, known: Collection[str], where: Where, what: str) -> Mapping[str, Any]:
        """A mapping with no other keys than these; an empty one in place of anything else."""
        if not isinstance(value, dict):
            self.find(SCHEMA, f"Expected a mapping for {what}, not {shown(value)}.", *where)
            return {}
        for key in value:
            if key not in known:
                near = nearest(str(key), known)
                hint = f"Did you mean {near!r}?" if near else f"Known are {', '.join(sorted(known))}."
                self.find(SCHEMA, f"Unknown key {str(key)[:60]!r} in {what}.", *where, str(key), suggestion=hint)
        return value

    def text(self, value: Any, where: Where, what: str) -> str:
        """A text that is not empty; ``""`` in place of anything else."""
        if isinstance(value, str) and value.strip():
            return value
        self.find(SCHEMA, f"Expected a text for {what}, not {shown(value)}.", *where)
        return ""

    def flag(self, value: Any, where: Where, what: str) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.find(SCHEMA, f"Expected true or false for {what}, not {shown(value)}.", *where)
        return value is True

    def names_in(self, value: Any, where: Where, what: str) -> tuple[str, ...]:
        """Names, separated by blanks in one text or as a list of texts."""
        if isinstance(value, str):
            return tuple(value.split())
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(word for item in value for word in item.split())
        self.find(SCHEMA, f"Expected names for {what}, not {shown(value)}.", *where)
        return ()

    # -- the language

    def expression(self, text: Any, where: Where, what: str) -> Value:
        """What gives the value of an expression."""
        read = self._read(text, where, what)
        if read is None:
            return _nothing
        evaluate = metered(read, read.evaluate)
        if "In(" in read.text:

            def give(session: Session) -> Any:
                session.ids()
                return evaluate(session)

            return give
        return evaluate

    def test(self, text: Any, where: Where, what: str) -> Test:
        """What decides a condition."""
        if isinstance(text, bool):
            text = "true" if text else "false"
        elif not isinstance(text, str):
            self.find(SCHEMA, f"Expected an expression for {what}, not {shown(text)}.", *where)
            return _never
        read = self._read(text, where, what)
        if read is None:
            return _never
        test = metered(read, read.test)
        if "In(" in read.text:

            def decide(session: Session) -> Any:
                session.ids()
                return test(session)

            return decide
        return test

    def is_certain(self, text: Any) -> bool:
        """Whether a condition that has been read is true whatever the data."""
        if text is True:
            return True
        read = self.known.get(text) if isinstance(text, str) else None
        if read is None or read.names or "In(" in read.text:
            return False
        try:
            return read.test({})
        except ExpressionFailed:
            return False

    def _read(self, text: Any, where: Where, what: str) -> Expression | None:
        if isinstance(text, (int, float)) and not isinstance(text, bool):
            text = str(text)
        if not isinstance(text, str):
            self.find(SCHEMA, f"Expected an expression for {what}, not {shown(text)}.", *where)
            return None
        known = self.known.get(text)
        if known is not None:
            self.uses_event |= "_event" in known.names
            return known
        try:
            read = self.known[text] = Expression(text, predicates=("In",) if "In(" in text else ())
        except ExpressionInvalid as error:
            self.find(SCHEMA, f"{_upper(what)} cannot be read: {error}", *where)
            return None
        if "_event" in read.names:
            self.uses_event = True
        return read

    def script(self, text: Any, where: Where) -> Block:
        """The assignments of a script."""
        if not isinstance(text, str):
            self.find(SCHEMA, f"Expected a script, not {shown(text)}.", *where)
            return ()
        try:
            script = Script(text, predicates=("In",) if "In(" in text else ())
        except ExpressionInvalid as error:
            self.find(SCHEMA, f"The script cannot be read: {error}", *where)
            return ()
        if "_event" in script.names:
            self.uses_event = True
        return (_assigning(script, None),)

    def assignment(self, location: str, text: Any, where: Where) -> Block:
        """``location := text``, where the variable has to be there already."""
        if self.path(location, (*where, "location")) is None:
            return ()
        if self._read(text, (*where, "expr"), "the value to assign") is None:
            return ()
        text = f"{location} := {text}"
        script = Script(text, predicates=("In",) if "In(" in text else (), max_length=len(text))
        return (_assigning(script, str(script.targets[0][0])),)

    def path(self, text: Any, where: Where) -> tuple[str | int, ...] | None:
        """The path that a location is."""
        if isinstance(text, str):
            try:
                paths = Expression(text).paths
                script = Script(f"{text} := 0", max_length=len(text) + 5)
            except ExpressionInvalid:
                paths = ()
            else:
                if len(paths) == 1 and len(script.targets) == 1:
                    return script.targets[0]
        self.find(SCHEMA, f"Expected the name or path of a variable, not {shown(text)}.", *where)
        return None

    # -- values

    def template(self, value: Any, where: Where, depth: int = 0) -> Value:
        """What gives a JSON value in which ``{"$expr": text}`` stands for the value of an expression."""
        fill = self._fill(value, where, depth)
        return fill if fill is not None else lambda session: value

    def _fill(self, value: Any, where: Where, depth: int) -> Value | None:
        """What gives the value, or nothing where it is constant."""
        if depth > DEEPEST_VALUE:
            self.find(TOO_LARGE, f"A value is nested more than {DEEPEST_VALUE} deep.", *where)
            return None
        if isinstance(value, dict):
            if len(value) == 1:
                ((key, inner),) = value.items()
                if key in ("$expr", "$ref"):
                    if not isinstance(inner, str):
                        text = f"Expected a text for {key!r}, not {shown(inner)}."
                        self.find(SCHEMA, text, *where, key, suggestion="A value that is fixed stands by itself.")
                        return None
                    return self.expression(inner, (*where, key), "the expression")
                if key == "$literal":
                    return lambda session: inner
            fills = {str(key): self._fill(inner, (*where, str(key)), depth + 1) for key, inner in value.items()}
            if not any(fills.values()):
                return None
            parts = [(key, fill, value.get(key)) for key, fill in fills.items()]
            return lambda session: {key: inner if fill is None else fill(session) for key, fill, inner in parts}
        if isinstance(value, list):
            items = [self._fill(inner, (*where, at), depth + 1) for at, inner in enumerate(value)]
            if not any(items):
                return None
            pairs = list(zip(items, value, strict=True))
            return lambda session: [inner if fill is None else fill(session) for fill, inner in pairs]
        if value is not None and not isinstance(value, (str, int, float, bool)):
            self.find(SCHEMA, f"Expected a JSON value, not {shown(value)}.", *where)
        return None

    def payload(
        self, fields: Mapping[str, Any], where: Where, key: str = "data", *, lenient: bool = False
    ) -> Value | None:
        """What gives the data of an event: of ``data``, or of ``params`` and ``namelist`` together; nothing for none.

        ``lenient``: a parameter that has no value is left out with an error event, the others stay.
        """
        given = [name for name in (key, "params", "namelist") if name in fields]
        if not given:
            return None
        if key in fields:
            if len(given) > 1:
                self.find(SCHEMA, f"{key!r} and {given[1]!r} exclude each other.", *where, given[1])
            return self.template(fields[key], (*where, key))
        parts: list[tuple[str, Value]] = []
        place = (*where, "namelist")
        names = self.names_in(fields.get("namelist", ""), place, "'namelist'")
        parts += [(name, self.expression(name, place, "a location")) for name in names if self.path(name, place)]
        params = fields.get("params", [])
        if not isinstance(params, list):
            self.find(SCHEMA, f"Expected a list for 'params', not {shown(params)}.", *where, "params")
            params = []
        for at, param in enumerate(params):
            spot: Where = (*where, "params", at)
            param = self.fields(param, ("name", "expr", "location"), spot, "a parameter")  # noqa: PLW2901 -- checked
            name = self.text(param.get("name"), (*spot, "name"), "the name of a parameter")
            if ("expr" in param) == ("location" in param):
                self.find(SCHEMA, "A parameter has either 'expr' or 'location'.", *spot)
                continue
            if "location" in param and self.path(param["location"], (*spot, "location")) is None:
                continue
            source = "expr" if "expr" in param else "location"
            parts.append((name, self.expression(param[source], (*spot, source), "a parameter")))
        return _lenient(parts) if lenient else lambda session: {name: value(session) for name, value in parts}

    def delay(self, value: Any, where: Where) -> int:
        """A delay in microseconds."""
        try:
            return microseconds(value)
        except ValueError as error:
            self.find(SCHEMA, str(error), *where)
            return 0


def microseconds(value: Any) -> int:
    """A delay such as ``"1.5s"``, ``"200ms"`` or ``2`` (seconds); raises :class:`ValueError` with a sentence."""
    text = value.strip() if isinstance(value, str) else str(value)
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _UNITS.get(text[len(number) :] or ("s" if not isinstance(value, str) else ""))
    digits = number.strip()
    if unit is not None and digits and not isinstance(value, bool) and set(digits) <= set("0123456789."):
        whole, _, fraction = digits.partition(".")
        if (whole or fraction) and "." not in fraction and len(digits) <= 30:
            size = int(whole or "0") * unit + int((fraction or "0")[:12].ljust(12, "0")) * unit // 10**12
            if size <= LONGEST:
                return size
    raise ValueError(f"Expected a delay such as '1.5s', '200ms', '2m' or '1h', up to 100 years, not {shown(value)}.")


def shown(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)[:80]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _nothing(session: Session) -> Any:
    return None


def _never(session: Session) -> bool:
    return False


def _assigning(script: Script, declared: str | None) -> Callable[[Session], None]:
    """Runs a script on the data of a session, but for the names that belong to the system."""
    closed = next((str(path[0]) for path in script.targets if str(path[0])[:1] == "_"), None)
    run, asks = metered(script, script.run), "In(" in script.text
    if closed is None and declared is None and not asks:

        def update(session: Session) -> None:
            session.scope.update(run(session))

        return update

    def assign(session: Session) -> None:
        if closed is not None:
            raise ContentFailed(f"{closed!r} belongs to the system and cannot be assigned to")
        if declared is not None and declared not in session.scope:
            raise ContentFailed(f"there is no variable {declared!r} to assign to")
        if asks:
            session.ids()
        session.scope.update(run(session))

    return assign


def _lenient(parts: list[tuple[str, Value]]) -> Value:
    from agentflow_planner_fsm._fault import FAULTS  # lazy: only charts with such parameters

    def fill(session: Session) -> Any:
        found = {}
        for name, value in parts:
            try:
                found[name] = value(session)
            except FAULTS as error:
                session.fail(error)
        return found or None

    return fill
