"""Each code of a finding: documents that have it, at which place, and good documents that nearly have it."""

from __future__ import annotations

from typing import Any

import pytest
from plans import findings, granted, plan, ref, scope, step

from agentflow_planner_llm.plan import PlanLimits, check_plan, read_plan

MODEL = {"id": "m", "kind": "model", "args": {"prompt": "x"}}
AGENT = {"id": "h", "kind": "agent", "name": "helper"}


def waits(**args: Any) -> dict[str, Any]:
    return {"id": "w", "kind": "wait", "args": args}


READ = step("read", "files.read", args={"path": "a.txt"})


def limits(**fields: Any) -> PlanLimits:
    made = PlanLimits()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def with_route(*routes: Any, **fields: Any) -> Any:
    """A plan whose step `review` goes on by these routes."""
    return plan(
        step("draft"), step("review", args={"of": ref("draft.result")}, routes=list(routes)), step("publish"), **fields
    )


BAD: list[tuple[str, Any, str, str, dict[str, Any]]] = [
    # code, document, pointer, part of the sentence, scope
    ("P001", plan(step("a", colour="red")), "/steps/0/colour", "Unknown field 'colour'", {}),
    ("P001", plan(step("a", need=["b"])), "/steps/0/need", "Did you mean 'needs'?", {}),
    ("P001", plan({"kind": "tool", "name": "count"}), "/steps/0/id", "'id' is missing", {}),
    ("P001", plan({"id": "a", "name": "count"}), "/steps/0/kind", "'kind' is missing", {}),
    ("P001", plan({"id": "a", "kind": "call", "name": "count"}), "/steps/0/kind", "one of tool, agent", {}),
    ("P001", plan({"id": "a", "kind": "tool"}), "/steps/0/name", "has no name", {}),
    ("P001", plan({"id": "a", "kind": "ask", "name": "x", "args": {"question": "?"}}), "/steps/0/name", "names", {}),
    ("P001", plan(step("a b")), "/steps/0/id", "letters, digits", {}),
    ("P001", plan(step("a/b")), "/steps/0/id", "letters, digits", {}),
    ("P001", plan(step("input")), "/steps/0/id", "another word than input", {}),
    ("P001", plan(step("x" * 101)), "/steps/0/id", "1 to 100", {}),
    ("P001", plan(step("a", on_error="ignore")), "/steps/0/on_error", "one of fail, skip", {}),
    ("P001", plan(step("a", timeout=0)), "/steps/0/timeout", "seconds above 0", {}),
    ("P001", plan(step("a", timeout=True)), "/steps/0/timeout", "seconds above 0", {}),
    ("P001", plan(step("a", when="b = 1")), "/steps/0/when", "an expression", {}),
    ("P001", plan(step("a", when="__import__('os').system('ls')")), "/steps/0/when", "an expression", {}),
    ("P001", plan(step("a", retry={"attempts": 0})), "/steps/0/retry/attempts", "at least 1", {}),
    ("P001", plan(step("a", cost_estimate={"usd": -1})), "/steps/0/cost_estimate/usd", "not negative", {}),
    ("P001", plan(step("a", routes=[{"when": "true"}])), "/steps/0/routes/0/to", "'to' is missing", {}),
    ("P001", plan(step("a", args=[1])), "/steps/0/args", "an object", {}),
    ("P001", plan(step("a"), state={"k": {"reducer": "sum"}}), "/state/k/reducer", "one of last", {}),
    ("P001", plan(step("a"), limits={"usd": "1"}), "/limits/usd", "a number", {}),
    ("P001", plan(step("a"), version=2), "/version", "must be 1", {}),
    ("P001", plan(), "/steps", "a list of steps", {}),
    ("P001", {}, "/steps", "'steps' is missing", {}),
    ("P001", [], "", "must be an object", {}),
    ("P001", plan("a"), "/steps/0", "A step must be an object", {}),
    ("P002", plan(step("a"), step("b"), step("a")), "/steps/2/id", "already", {}),
    ("P003", plan(step("a", "files.raed")), "/steps/0/name", "Did you mean 'files.read'?", {}),
    ("P003", plan(step("a", "grep")), "/steps/0/name", "There are: count, files.read", {}),
    ("P003", plan({"id": "a", "kind": "agent", "name": "heper"}), "/steps/0/name", "Did you mean 'helper'?", {}),
    ("P003", plan({"id": "a", "kind": "flow", "name": "x"}), "/steps/0/name", "unknown flow 'x'", {}),
    ("P003", plan({"id": "a", "kind": "plan", "name": "x"}), "/steps/0/name", "unknown plan 'x'", {}),
    ("P004", plan(step("a", "files.read")), "/steps/0/args/path", "required", {}),
    ("P004", plan(step("a", "files.read", args={"path": 1})), "/steps/0/args/path", "/path", {}),
    ("P004", plan(step("a", "files.read", args={"path": "x", "line": 1})), "/steps/0/args/line", "'lines'?", {}),
    ("P004", plan(READ, step("a", "files.write", args={"text": ref("read.result")})), "/steps/1/args/path", "", {}),
    (
        "P004",
        plan(READ, step("a", "files.read", args={"path": ref("read.result.text"), "lines": "9"})),
        "/steps/1/args/lines",
        "/lines",
        {},
    ),
    (
        "P004",
        plan(READ, step("a", "files.read", args={"path": "x", "depth": ref("read.result.size")})),
        "/steps/1/args/depth",
        "no such property",
        {},
    ),
    ("P004", plan({"id": "a", "kind": "model"}), "/steps/0/args/prompt", "required", {}),
    ("P004", plan({"id": "a", "kind": "wait", "args": {"type": "day"}}), "/steps/0/args/type", "", {}),
    ("P004", plan({"id": "a", "kind": "ask", "args": {}}), "/steps/0/args/question", "required", {}),
    ("P004", plan({"id": "a", "kind": "flow", "name": "triage", "args": {"x": 1}}), "/steps/0/args/x", "", {}),
    ("P005", plan(step("a", args={"x": ref("b.result")})), "/steps/0/args/x", "'b', which is no step", {}),
    ("P005", plan(READ, step("a", args={"x": ref("raed.result")})), "/steps/1/args/x", "Did you mean 'read'?", {}),
    ("P005", plan(step("a", needs=["b"])), "/steps/0/needs/0", "'b', which is no step", {}),
    ("P005", plan(step("a", when="b.status == 'done'")), "/steps/0/when", "'b', which is no step", {}),
    ("P005", plan(READ, step("a", args={"x": ref("read.text")})), "/steps/1/args/x", "read.result", {}),
    ("P005", plan(READ, step("a", args={"x": {"$ref": "read.result", "or": 1}})), "/steps/1/args/x", "default", {}),
    ("P005", plan(READ, step("a", args={"x": ref("read.result[x]")})), "/steps/1/args/x", "index", {}),
    ("P005", plan(READ, step("a", args={"x": {"$ref": 3}})), "/steps/1/args/x", "a string", {}),
    ("P005", plan(READ, output=ref("x.result")), "/output", "The output refers to 'x'", {}),
    ("P005", plan(step("a", args={"x": ref("state.total")})), "/steps/0", "'total'", {}),
    ("P005", plan(step("a"), output=ref("state.total")), "/output", "'total'", {}),
    ("P005", plan(step("a", expect="b.result")), "/steps/0/expect", "'b'", {}),
    (
        "P005",
        plan(step("a", args={"x": ref("b.result")}), step("b"), form="linear"),
        "/steps/0/args/x",
        "the later step 'b'",
        {},
    ),
    ("P005", plan(step("a", args={"x": ref("a.result")}), form="linear"), "/steps/0/args/x", "refers to itself", {}),
    ("P006", plan(step("a", needs=["b"]), step("b", needs=["a"])), "/steps/0", "a → b → a", {}),
    ("P006", plan(step("a", needs=["a"])), "/steps/0", "a → a", {}),
    (
        "P006",
        plan(step("s"), step("a", args={"x": ref("c.result")}), step("b", needs=["a", "s"]), step("c", needs=["b"])),
        "/steps/1",
        "a → b → c → a",
        {},
    ),
    ("P006", with_route({"to": "draft", "when": "result.score < 7"}), "/steps/1/routes/0", "no bound", {}),
    ("P006", with_route({"to": "draft", "max": 3}), "/steps/1/routes/0", "no condition to leave", {}),
    (
        "P006",
        plan(
            step("a"),
            step("b", needs=["a"]),
            step("c", needs=["b"], routes=[{"to": "a", "when": "result > 1", "max": 2}]),
            step("d", needs=["c", "b"], routes=[{"to": "b", "when": "result > 1", "max": 2}]),
        ),
        "/steps/3/routes",
        "overlap",
        {},
    ),
    ("P007", plan(step("a", when="false")), "/steps/0", "never true", {}),
    ("P007", plan(step("a", when="1 > 2"), step("b", needs=["a"])), "/steps/1", "it needs 'a'", {}),
    ("P007", with_route({"to": "end"}, {"to": "publish"}), "/steps/2", "no route to it", {}),
    ("P007", with_route({"to": "publish", "when": "false"}), "/steps/2", "no route to it", {}),
    (
        "P007",
        plan(
            step("a", routes=[{"to": "b", "when": "result > 1"}, {"to": "c"}]),
            step("b"),
            step("c"),
            step("d", needs=["b", "c"]),
        ),
        "/steps/3",
        "only one can run",
        {},
    ),
    ("P008", with_route({"to": "publsh"}), "/steps/1/routes/0/to", "Did you mean 'publish'?", {}),
    ("P008", with_route({"to": "draft", "max": 3}), "/steps/1/routes/0", "always goes back", {}),
    (
        "P009",
        plan(READ, step("a", "files.read", args={"path": ref("read.result.size")})),
        "/steps/1/args/path",
        "integer where string is wanted",
        {},
    ),
    ("P009", plan(READ, step("a", "files.read", args={"path": ref("read.result")})), "/steps/1/args/path", "obj", {}),
    (
        "P009",
        plan(READ, step("a", args={"x": ref("read.result.text.first")})),
        "/steps/1/args/x",
        "'first' looks into string",
        {},
    ),
    (
        "P009",
        plan(step("n", returns={"enum": [1, 2]}), step("a", "files.read", args={"path": ref("n.result")})),
        "/steps/1/args/path",
        "integer where string",
        {},
    ),
    (
        "P009",
        plan(
            step("n", returns={"type": "object", "properties": {"a": {}}, "additionalProperties": False}),
            step("a", args={"x": ref("n.result.b")}),
        ),
        "/steps/1/args/x",
        "there is no 'b'",
        {},
    ),
    (
        "P009",
        plan(
            {"id": "n", "kind": "model", "args": {"prompt": "Hi"}},
            step("a", "files.read", args={"path": "x", "lines": ref("n.result")}),
        ),
        "/steps/1/args/lines",
        "string where integer is wanted",
        {},
    ),
    ("P010", plan(step("a", "send")), "/steps/0/name", "not granted", {"grants": granted(denied=["send"])}),
    ("P010", plan(step("a", "sen")), "/steps/0/name", "not granted", {"grants": granted(denied=["sen*"])}),
    (
        "P010",
        plan(step("a", "send")),
        "/steps/0/name",
        "approval",
        {"grants": granted(approved=["se*"], approver=False)},
    ),
    ("P010", plan(step("a", "send", idempotent=True)), "/steps/0/idempotent", "a model may not", {"author": "model"}),
    ("P010", plan(step("a", on_error="replan")), "/steps/0/on_error", "nobody here makes one", {}),
    ("P011", plan(step("a"), step("b"), limits={"steps": 1}), "/limits/steps", "2 steps at worst", {}),
    ("P011", plan(step("a"), step("b", needs=["a"])), "", "2 steps in a chain", {"limits": limits(depth=1)}),
    (
        "P011",
        with_route({"to": "draft", "when": "result.score < 7", "max": 3}, limits={"steps": 8}),
        "/limits/steps",
        "9 steps",
        {},
    ),
    ("P011", plan(step("a", cost_estimate={"usd": 0.5}), step("b", cost_estimate={"usd": 0.6})), "", "1.1 US dollars",
     {"limits": limits(usd=1.0)}),
    ("P011", plan(step("a", timeout=10, retry={"attempts": 3, "wait_s": 1}), limits={"seconds": 30}), "/limits/seconds",
     "33 seconds", {}),
    ("P011", plan({"id": "m", "kind": "model", "args": {"prompt": "x"}}), "", "1 model calls",
     {"limits": limits(model_calls=0)}),
    ("P004", plan(waits(type="timer")), "/steps/0/args/seconds", "is required but missing", {}),
    ("P004", plan(waits(type="signal")), "/steps/0/args/name", "is required but missing", {}),
    ("P004", plan(waits(type="signal", name="a/b")), "/steps/0/args/name", "must match", {}),
    ("P004", plan(waits(type="timer", seconds=1, name="x")), "/steps/0/args/name", "is not allowed", {}),
    ("P004", plan(waits(type="never")), "/steps/0/args/type", "must be one of", {}),
    ("P011", plan({"id": "q", "kind": "ask", "args": {"question": "?", "timeout_s": 60}}), "", "60 seconds at worst",
     {"limits": limits(seconds=30)}),
    ("P011", plan(MODEL), "", "asks a model in 'm'; its owner allows 0 US dollars", {"limits": limits(usd=0)}),
    ("P011", plan(MODEL, limits={"tokens": 0}), "/limits/tokens", "asks a model in 'm'; the plan allows 0 tokens", {}),
    ("P011", plan(AGENT), "", "1 model calls", {"limits": limits(model_calls=0)}),
    ("P011", plan(AGENT), "", "asks a model in 'h'", {"limits": limits(tokens=0)}),
    ("P012", plan(step("a", writes=["k"]), step("b", writes=["k"])), "/steps/1/writes", "'a' and 'b'", {}),
    (
        "P012",
        plan(step("a", writes=["k"]), step("b", needs=["a"]), step("c", needs=["a"], writes=["k"]),
             step("d", needs=["b"], writes=["k"])),
        "/steps/3/writes",
        "'c' and 'd'",
        {},
    ),
    ("P013", plan(step("a", pre=["built"])), "/steps/0/pre/0", "no step before it makes it so", {}),
    ("P013", plan(step("a", pre=["built"]), step("b", post=["built"])), "/steps/0/pre/0", "Let it need 'b'", {}),
    ("P013", plan(step("x"), step("a", pre=["built"], needs=["x"]), step("b", post=["built"])), "/steps/1/pre/0",
     "Let it need 'b'", {}),
    (
        "P013",
        plan(step("a", post=["open"]), step("b", post=["!open"]), step("c", pre=["open"], needs=["a"])),
        "/steps/2/pre/0",
        "'b' may undo it",
        {},
    ),
    ("P013", plan(step("a", post=["!open"]), facts=["open"], goals=["open"]), "/goals/0", "'a' may undo it", {}),
    ("P013", plan(step("a", pre=["!locked"]), facts=["locked"]), "/steps/0/pre/0", "no step", {}),
    (
        "P014",
        plan(READ, step("a", "shell.run", args={"command": ref("read.result.text")})),
        "/steps/1/args/command",
        "a result of tool 'files.read'",
        {},
    ),
    ("P014", plan(step("a", "shell.run", args={"command": ref("input.x")})), "/steps/0/args/command", "the input", {}),
    (
        "P014",
        plan(step("w", writes=["k"]), step("a", "shell.run", args={"command": ref("state.k")})),
        "/steps/1/args/command",
        "a result of tool 'count'",
        {},
    ),
]  # fmt: skip

GOOD: list[tuple[str, Any, dict[str, Any]]] = [
    ("P001", plan(step("a-b_1", needs=[], timeout=0.5, retry={"attempts": 1}), version=1), {}),
    ("P001", plan({"id": "a", "kind": "ask", "args": {"question": "Go?"}}), {}),
    ("P002", plan(step("a"), step("A")), {}),
    ("P003", plan({"id": "a", "kind": "agent", "name": "helper"}, {"id": "e", "kind": "emit", "name": "a.thing"}), {}),
    ("P003", plan({"id": "a", "kind": "agent", "name": "anybody"}), {"agents": None}),
    ("P004", plan(step("a", "files.read", args={"path": "x", "lines": 3})), {}),
    ("P004", plan(READ, step("a", "files.write", args={"path": "x", "text": ref("read.result.text")})), {}),
    ("P004", plan(READ, step("a", "files.touch", args={"any": [ref("read.result"), 1]})), {}),
    ("P004", plan(waits(type="timer", seconds=3)), {}),
    ("P004", plan(waits(type="signal", name="go", timeout_s=3, schema={})), {}),
    ("P004", plan(waits(type="event", event="order.paid", **{"if": "event.data.ok"})), {}),
    ("P004", plan(waits(type="signal", name=ref("input.name"))), {}),
    ("P004", plan(waits(type=ref("input.type"))), {}),
    ("P004", plan({"id": "q", "kind": "ask", "args": {"question": "?", "choices": ["a"], "by": ["lead"]}}), {}),
    ("P005", plan(step("a", args={"x": ref("b.result")}), step("b")), {}),
    ("P005", plan(step("a", args={"x": ref("input.deep[0].path")}), output=ref("a.status")), {}),
    ("P005", plan(step("a", args={"x": ref("state.k")}), state={"k": {"initial": 1}}), {}),
    ("P005", plan(step("a", writes=["k"]), step("b", args={"x": ref("state.k")}), output=ref("state.k")), {}),
    ("P005", plan(step("a"), step("b", args={"x": ref("a.result")}), form="linear"), {}),
    ("P005", plan(step("a", args={"price": "$1", "text": "s1.result"})), {}),
    ("P006", plan(step("a", needs=["b"]), step("b")), {}),
    ("P006", with_route({"to": "draft", "when": "result.score < 7", "max": 3}), {}),
    ("P006", with_route({"to": "publish", "when": "result.ok"}, {"to": "draft", "max": 3}), {}),
    (
        "P006",
        plan(
            step("a"),
            step("b", needs=["a"]),
            step("c", needs=["b"], routes=[{"to": "b", "when": "result > 1", "max": 2}]),
            step("d", needs=["c"], routes=[{"to": "a", "when": "result > 1", "max": 2}]),
        ),
        {},
    ),
    ("P007", plan(step("a", when="true"), step("b", when="a.status == 'failed'")), {}),
    ("P007", with_route({"to": "end", "when": "result.ok"}, {"to": "publish"}), {}),
    (
        "P007",
        plan(
            step("a", routes=[{"to": "b", "when": "result > 1"}, {"to": "c"}]),
            step("b"),
            step("c"),
            step("d", args={"b": ref("b.result", default=None), "c": ref("c.result", default=None)}),
        ),
        {},
    ),
    ("P008", with_route({"to": "publish"}), {}),
    ("P008", with_route({"to": "end", "when": "result.ok"}, {"to": "publish"}), {}),
    ("P009", plan(READ, step("a", "files.read", args={"path": ref("read.result.text")})), {}),
    ("P009", plan(READ, step("a", "files.read", args={"path": ref("read.result.unsaid")})), {}),
    ("P009", plan(step("n", returns={"type": "number"}), step("a", "files.read",
                  args={"path": "x", "lines": ref("n.result")})), {}),
    ("P010", plan(step("a", "send")), {"grants": granted(denied=["files.*"], approved=["send"], approver=True)}),
    ("P010", plan(step("a", "files.touch", idempotent=True)), {"author": "model"}),
    ("P010", plan(step("a", "send", idempotent=True)), {"author": "person"}),
    ("P010", plan(step("a", on_error="replan")), {"replans": True}),
    ("P011", plan(step("a"), step("b"), limits={"steps": 2, "depth": 1}), {}),
    (
        "P011",
        plan(
            step("a", routes=[{"to": "b", "when": "result > 1"}, {"to": "c"}]),
            step("b", cost_estimate={"usd": 3}),
            step("c", cost_estimate={"usd": 4}),
            limits={"usd": 4, "steps": 2},
        ),
        {},
    ),
    ("P011", plan({**MODEL, "cost_estimate": {"usd": 0}}), {"limits": limits(usd=0)}),
    ("P011", plan(step("a"), {"id": "f", "kind": "flow", "name": "triage"}), {"limits": limits(usd=0, tokens=0)}),
    ("P011", plan(MODEL, AGENT), {"limits": limits(usd=0.1, tokens=1, model_calls=2)}),
    ("P012", plan(step("a", writes=["k"]), step("b", needs=["a"], writes=["k"])), {}),
    ("P012", plan(step("a", writes=["k"]), step("b", writes=["k"]), state={"k": {"reducer": "append"}}), {}),
    ("P012", plan(step("a", writes=["k"]), step("b", writes=["l"])), {}),
    (
        "P012",
        plan(
            step("a", routes=[{"to": "b", "when": "result > 1"}, {"to": "c"}]),
            step("b", writes=["k"]),
            step("c", writes=["k"]),
        ),
        {},
    ),
    ("P012", plan(step("a", writes=["k"]), step("r", reads=["k"]), step("b", writes=["k"])), {}),
    ("P013", plan(step("b", post=["built"]), step("a", pre=["built"], needs=["b"])), {}),
    ("P013", plan(step("x"), step("b", post=["built"]), step("a", pre=["built"], needs=["b"])), {}),
    (
        "P013",
        plan(step("b", post=["!open"]), step("a", post=["open"], needs=["b"]), step("c", pre=["open"], needs=["a"]),
             goals=["open"]),
        {},
    ),
    ("P013", plan(step("a", pre=["open", "!locked"]), facts=["open"]), {}),
    ("P014", plan(step("a", "shell.run", args={"command": "ls", "input": ref("input")})), {}),
    ("P014", plan(step("a", "shell.run", args={"command": ref("input")})), {"grants": granted(trust_input=True)}),
    (
        "P014",
        plan({"id": "q", "kind": "ask", "args": {"question": "?", "schema": {"type": "string"}}},
             step("a", "shell.run", args={"command": ref("q.result")})),
        {},
    ),
    (
        "P014",
        plan(READ, step("a", "shell.run", args={"command": ref("read.result.text")})),
        {"grants": granted(trusted=["files.*"])},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "document", "pointer", "part", "fields"),
    BAD,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(BAD)],
)
def test_finding_has_code_place_and_words(
    code: str, document: Any, pointer: str, part: str, fields: dict[str, Any]
) -> None:
    """A faulty document has the finding of its code, at its place, in words that name what is wrong."""
    found = [each for each in findings(document, **fields) if (each.code, each.pointer) == (code, pointer)]
    assert found, findings(document, **fields)
    assert any(part in each for each in found), found
    assert all(each.endswith(f"[{code}]") for each in found)
    if pointer.startswith("/steps/") and code not in {"P001", "P002"}:
        assert found[0].step == document["steps"][int(pointer.split("/")[2])]["id"]


@pytest.mark.parametrize(
    ("code", "document", "fields"), GOOD, ids=[f"{case[0]}-{number}" for number, case in enumerate(GOOD)]
)
def test_near_miss_has_no_finding(code: str, document: Any, fields: dict[str, Any]) -> None:
    """A document that nearly has the fault of a code has no finding at all."""
    assert findings(document, **fields) == [], code


def test_codes_are_all_tested() -> None:
    """Each of the fourteen codes has faulty documents and near misses."""
    codes = {f"P{number:03}" for number in range(1, 15)}
    assert {case[0] for case in BAD} == codes
    assert {case[0] for case in GOOD} == codes


def test_all_findings_come_at_once() -> None:
    """A document with a fault of nearly every kind has all of them in one answer."""
    document = plan(
        step("a", "files.raed", colour="red"),
        step("a"),
        step("b", "files.read", args={"path": 1}),
        step("c", args={"x": ref("nobody.result")}, routes=[{"to": "nowhere"}]),
        step("d", when="false"),
        step("e", "files.read", args={"path": ref("b.result.size")}),
        step("f", "send", writes=["k"]),
        step("g", writes=["k"], pre=["built"]),
        step("h", "shell.run", args={"command": ref("input")}),
        limits={"steps": 3},
    )
    found = findings(document, grants=granted(denied=["send"]))
    expected = {f"P{number:03}" for number in range(1, 15)} - {"P006"}
    assert {each.code for each in found} == expected


def test_peer_pitfall_a_need_that_is_no_step_is_found_before_the_run() -> None:
    """CrewAI waits for ever for a step whose dependency is missing; here it is P005 before anything runs."""
    found = findings(plan(step("a", needs=["missing"])))
    assert [each.code for each in found] == ["P005"]


def test_plan_without_its_source_of_tools_is_read() -> None:
    """Reading alone finds what is wrong with the form, and gives what could be read."""
    read, found = read_plan(plan(step("a"), {"id": 3, "kind": "tool", "name": "count"}, "nonsense"))
    assert [each.id for each in read.steps] == ["a", ""]
    assert {each.pointer for each in found} == {"/steps/1/id", "/steps/2"}
    assert all(each.code == "P001" for each in found)


def test_check_raises_nothing_for_any_json() -> None:
    """A document may be anything; all that comes of it is findings."""
    hostile: list[Any] = [
        None, 3, "x", [], {"steps": None}, {"steps": [None, 3, [], {}]}, {"steps": [{"id": ["a"], "kind": {}}]},
        {"steps": [{"id": "a", "kind": "tool", "name": "count", "args": {"$ref": "a.result"}}]},
        {"steps": [{"id": "a", "kind": "tool", "name": "count", "needs": "b", "routes": [3], "retry": [], "state": 1}]},
        {"steps": [{"id": "a", "kind": "model", "args": {"prompt": "x", "output_schema": {"type": 7}}}], "state": []},
        {"steps": [{"id": "a", "kind": "ask", "args": {"question": "?", "choices": [[1], {}]}}], "output": {"$ref": 1}},
    ]  # fmt: skip
    for document in hostile:
        assert check_plan(document, scope())[1], document


def test_arguments_nested_beyond_measure_are_a_finding() -> None:
    """Nothing recurses without end, neither in the check nor later in the run."""
    deep: Any = ref("a.result")
    for _ in range(70):
        deep = [deep]
    found = findings(plan(step("a"), step("b", args={"x": deep})))
    assert [each.code for each in found] == ["P005"]
    assert "nested more than 64 deep" in found[0]
    for _ in range(5_000):
        deep = [deep]
    assert findings(plan(step("b", args={"x": deep})))
