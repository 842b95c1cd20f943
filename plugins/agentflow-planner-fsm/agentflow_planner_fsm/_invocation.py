"""An invocation: an action or another machine that is at work while a state is active."""

from __future__ import annotations

from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_fsm._content import CALLS, GIVEN, TYPES, keep, read_block, read_call
from agentflow_planner_fsm._fault import ContentFailed
from agentflow_planner_fsm._reading import SCHEMA, UNKNOWN_NAME, shown
from agentflow_planner_fsm._recovery import read_catches, read_retries
from agentflow_planner_fsm.document import Folder, read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from agentflow_kernel.contracts.policy import ActionKind
    from agentflow_planner_fsm._reading import Reading, Value, Where
    from agentflow_planner_fsm._recovery import Attempts, Catch, Retry
    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Block, Chart, State

    Compile = Callable[[Any], Chart]

_KEYS = ("id", "id_location", "autoforward", "finalize", "on_restore", "params", "namelist")
_RECOVERY = ("retry", "catch")
_MACHINES = ("chart", "chart_expr", "chart_source", "chart_source_expr")


class Invoke:
    """What a state invokes, as the document has it. ``on_restore``: what becomes of it in a restored machine."""

    __slots__ = (
        "state",
        "place",
        "id",
        "store",
        "kind",
        "name",
        "payload",
        "chart",
        "chart_expr",
        "read",
        "charts",
        "by_name",
        "type_expr",
        "autoforward",
        "finalize",
        "on_restore",
        "retries",
        "catches",
    )

    def __init__(self, state: State, place: int, read: Compile) -> None:
        self.state = state
        self.place = place
        """Which of the state's invocations it is, from 0."""
        self.id = ""
        self.store: Block = ()
        self.kind: ActionKind = "tool"
        self.name = ""
        self.payload: Value | None = None
        self.chart: Chart | None = None
        self.chart_expr: Value | None = None
        self.type_expr: Value | None = None
        self.read = read
        self.charts: Mapping[str, Any] = {}
        """Documents that may be invoked by name."""
        self.by_name = False
        """Whether ``chart_expr`` gives the name of a document instead of the document."""
        self.autoforward = False
        self.finalize: Block = ()
        self.on_restore: Literal["restart", "fail"] = "restart"
        self.retries: tuple[Retry, ...] = ()
        self.catches: tuple[Catch, ...] = ()

    def name_for(self, session: Session) -> str:
        """The id of a new invocation; one that the system makes is ``<state>.invoke<n>``."""
        if self.id:
            return self.id
        id = f"{self.state.id}.invoke{session.hub.next()}"
        if self.store:
            keep(session, self.store, id)
        return id

    def given(self, session: Session) -> Any:
        """What the action or machine is given."""
        return self.payload(session) if self.payload is not None else {}

    def chart_for(self, session: Session) -> Chart | None:
        """The chart of an invoked machine; ``None`` where an action is invoked."""
        if self.type_expr is not None and (kind := self.type_expr(session)) not in TYPES:
            raise ContentFailed(f"{shown(kind)} is no type of invoke")
        if self.chart_expr is None:
            return self.chart
        value = self.chart_expr(session)
        try:
            return self.read(find_source(self.charts, value) if self.by_name else value)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with data is the chart's to handle
            raise ContentFailed(f"the machine to invoke cannot be read: {error}") from None


class Invocation:
    """One that is under way, or has ended while its state stays active."""

    __slots__ = ("id", "spec", "kind", "name", "arguments", "action_id", "child", "attempts", "waits")

    def __init__(self, id: str, spec: Invoke, kind: str, name: str, arguments: Any) -> None:
        self.id = id
        self.spec = spec
        self.kind = kind
        self.name = name
        self.arguments = arguments
        self.action_id = ""
        """Of the action that it is; ``""`` for a machine, between two attempts, and when it has ended."""
        self.child: Session | None = None
        self.attempts: Attempts | None = None
        """What is to be tried again has failed so far; ``None`` before its first error."""
        self.waits = False
        """Whether the next attempt is to come."""

    @property
    def is_open(self) -> bool:
        """Whether it is still at work."""
        return bool(self.action_id) or self.child is not None or self.waits


def read_invokes(
    reading: Reading, value: Any, where: Where, state: State, read: Compile, nested: Callable[[Any, Where], Chart]
) -> tuple[Invoke, ...]:
    """The invocations of a state: a list of them, or one."""
    items = value if isinstance(value, list) else [value]
    found = []
    for at, item in enumerate(items):
        place = (*where, at) if isinstance(value, list) else where
        invoke = Invoke(state, at, read)
        if _read(reading, item, place, invoke, nested):
            found.append(invoke)
    return tuple(found)


def _read(reading: Reading, item: Any, where: Where, invoke: Invoke, nested: Callable[[Any, Where], Chart]) -> bool:
    words = [word for word in item if word in (*CALLS, *_MACHINES)] if isinstance(item, dict) else []
    if len(words) != 1:
        known = ", ".join((*CALLS, *_MACHINES))
        reading.find(SCHEMA, f"Expected one of {known} as what is invoked, found {shown(item)}.", *where)
        return False
    word = words[0]
    if word in _MACHINES and (key := next((key for key in _RECOVERY if key in item), None)):
        hint = "Its own states say what becomes of errors."
        reading.find(SCHEMA, f"{key!r} is for actions: a machine does not fail.", *where, key, suggestion=hint)
    extra = ("data", "type_expr") if word in _MACHINES else (GIVEN[word],)
    reading.fields(item, (word, *extra, *_KEYS, *_RECOVERY), where, "an invocation")
    if "id" in item and "id_location" in item:
        reading.find(SCHEMA, "'id' and 'id_location' exclude each other.", *where, "id_location")
    if "id" in item:
        invoke.id = reading.text(item["id"], (*where, "id"), "'id'")
    if "id_location" in item:
        invoke.store = reading.assignment(item["id_location"], "_value", where)
    if "autoforward" in item:
        invoke.autoforward = reading.flag(item["autoforward"], (*where, "autoforward"), "'autoforward'")
    if "finalize" in item:
        invoke.finalize = read_block(reading, item["finalize"], (*where, "finalize"))
    if item.get("on_restore", "restart") not in ("restart", "fail"):
        reading.find(SCHEMA, f"Expected restart or fail, not {shown(item['on_restore'])}.", *where, "on_restore")
    elif "on_restore" in item:
        invoke.on_restore = item["on_restore"]
    if word in CALLS:
        if "retry" in item:
            invoke.retries = read_retries(reading, item["retry"], (*where, "retry"))
        if "catch" in item:
            invoke.catches = read_catches(reading, item["catch"], (*where, "catch"))
        invoke.kind = word
        invoke.name, invoke.payload = read_call(reading, item, where, word)
        return True
    invoke.payload = reading.payload(item, where)
    if "type_expr" in item:
        invoke.type_expr = reading.expression(item["type_expr"], (*where, "type_expr"), "the type")
    invoke.charts = reading.charts
    if word == "chart":
        invoke.chart = nested(item["chart"], (*where, "chart"))
    elif word == "chart_source":
        try:
            document = find_source(reading.charts, item["chart_source"])
        except LookupError as error:
            reading.find(UNKNOWN_NAME, str(error), *where, "chart_source")
            return False
        except PlanInvalid as error:
            reading.findings.extend(error.findings)  # type: ignore[arg-type]  # a plan's findings
            return False
        invoke.chart = nested(document, (*where, "chart_source"))
    else:
        invoke.by_name = word == "chart_source_expr"
        invoke.chart_expr = reading.expression(item[word], (*where, word), "the machine")
    return True


def find_source(charts: Mapping[str, Any], name: Any, how: Literal["chart", "text"] = "chart") -> Any:
    """What has this name, with or without ``file:`` before it; raises :class:`LookupError` with a sentence."""
    known = name.removeprefix("file:") if isinstance(name, str) else ""
    found = charts.text(known) if how == "text" and isinstance(charts, Folder) else charts.get(known)
    if found is None or (how == "text" and not isinstance(found, str)):
        raise LookupError(f"There is nothing of the name {shown(name)} beside the document.")
    return read_document(found) if how == "chart" and isinstance(found, str) else found
