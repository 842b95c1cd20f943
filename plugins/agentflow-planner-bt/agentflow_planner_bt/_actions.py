"""An action: a leaf that asks somebody else to do something, and is RUNNING until the answer is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import PlanError
from agentflow_planner_bt._kinds import DEEP
from agentflow_planner_bt._run import RUN, Part, failed
from agentflow_planner_bt.status import IDLE, RUNNING, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_planner_bt._run import Memory
    from agentflow_planner_bt._site import Site

    Arguments = Callable[[Memory], tuple[str, dict[str, Any]]]
    """The name of an action and its arguments, read when it begins."""


def action(site: Site) -> Part:
    """``tool``, ``agent``, ``flow``, ``plan``, ``model``, ``emit``, ``wait``, ``ask``.

    Three cells: the id while it is open, how it ended (``[kind, value]``), and how often it has begun.
    """
    slot, path, kind = site.slot, site.path, site.node.kind.name
    cell, outcome, begun = site.cell(None), site.cell(None), site.cell(0)
    arguments, label = _arguments(site), site.label()
    write_out = site.writer("out") if site.given("out") else None

    def start(m: Memory) -> None:
        try:
            name, given = arguments(m)
        except (TypeError, ValueError, LookupError) as error:
            raise failed(path, error) from None
        m[begun] += 1
        run = m[RUN]
        m[cell] = name_of = f"{label}#{m[begun]}"
        m[outcome] = None
        m[slot] = RUNNING
        run.open[name_of] = cell
        run.starts.append(Action(name_of, kind, name, given))  # type: ignore[arg-type]  # one of the kinds of actions

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            start(m)
            return RUNNING
        if m[outcome] is None:
            return RUNNING
        how, value = m[outcome]
        m[cell] = m[outcome] = None
        m[slot] = IDLE
        if how != "result":
            raise action_failed(path, how, value)
        if write_out is not None:
            try:
                write_out(m, value)
            except TypeError as error:
                raise failed(path, error) from None
        m[slot] = SUCCESS
        return SUCCESS

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            run, name = m[RUN], m[cell]
            if run.open.pop(name, None) is not None:
                before = len(run.starts)
                run.starts = [item for item in run.starts if item.id != name]
                if len(run.starts) == before:
                    run.cancels.append(name)
            m[cell] = m[outcome] = None
        m[slot] = IDLE

    return Part(slot, tick, reset)


def action_failed(path: str, how: str, value: Any) -> PlanError:
    """The error of an action that was cancelled by others, or that failed; it has the code that the engine gave."""
    if how == "cancelled":
        error = PlanError(path, "its action was cancelled")
        error.code = "AF-RUN-CANCELLED"
        return error
    fields = value if isinstance(value, dict) else {}
    error = PlanError(path, str(fields.get("message") or "its action failed"))
    code = fields.get("code")
    if isinstance(code, str) and code:
        error.code = code
    return error


def _reader(site: Site, port: str) -> Callable[[Memory], Any]:
    """A port's reader; a name is the same at all times."""
    if site.node.declared[port].type == DEEP:
        return site.deep(port)
    if site.node.declared[port].type == "name":
        name = site.literal(port)
        return lambda m: name
    return site.reader(port)


def _arguments(site: Site) -> Arguments:
    kind = site.node.kind.name
    if kind == "tool":
        name, read = str(site.literal("name")), site.deep("args")
        return lambda m: (name, read(m) or {})
    if kind in {"agent", "flow", "plan"}:
        name, read = str(site.literal("name")), site.deep("input")
        return lambda m: (name, {"input": read(m)})
    given = [port for port in site.node.declared if port not in {"out", "type", "tools"} and site.given(port)]
    readers = [(port, _reader(site, port)) for port in given]
    if kind == "emit":
        event = str(site.literal("type"))
        return lambda m: (event, {"data": None, **{port: read(m) for port, read in readers}})
    if kind == "model":
        tools = site.literal("tools")
        if not isinstance(tools, list) or not all(type(tool) is str for tool in tools):
            raise ValueError(f"the port 'tools' is a list of names, not {tools!r}")
        return lambda m: ("", {"tools": list(tools), **{port: read(m) for port, read in readers}})
    if kind == "ask":
        return lambda m: ("", {port: read(m) for port, read in readers})
    waits = [port for port in ("seconds", "signal", "event") if site.given(port)]
    if len(waits) != 1:
        raise ValueError("'wait' takes one of 'seconds', 'signal' and 'event'")
    (what,) = waits
    if what == "seconds":
        return lambda m: ("", {"type": "timer", "seconds": dict(readers)["seconds"](m)})
    names = {"signal": "name", "only_if": "if"}
    return lambda m: ("", {"type": what, **{names.get(port, port): read(m) for port, read in readers}})
