"""The kinds: every resource a manifest may hold and every field it may have, as data."""

from __future__ import annotations

from agentflow_kernel.manifest._json import Data, Json, Schema
from agentflow_kernel.manifest._mention import Code, File, Link, Plugin, PrefixedLink, ToolLink
from agentflow_kernel.manifest._record import AtMostOne, ExactlyOne, FirstKey, FlagOr, Needs, Record, Short
from agentflow_kernel.manifest._shape import Choice, ListOf, MapOf, Name, Nullable, Number, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.manifest._shape import Shape

API_VERSION = "agentflow.dev/v1"

RESERVED_NODES = ("input", "item", "event", "state")
"""First words of a ``$ref`` that are no nodes: the flow's input, the item of an ``each`` node, the triggering event,
the shared state."""

DEFAULT_PLANNER = "tools"

_FREE_TEXT = MapOf(Text(), "a mapping of strings")

_METADATA = Record(
    "a mapping with 'name'",
    {"name": Name(), "labels": _FREE_TEXT, "annotations": _FREE_TEXT},
    required=("name",),
    defaults={"labels": {}, "annotations": {}},
)

_SETTINGS = Json("a mapping of settings", mapping=True, setting=True)
_SCHEMA = Schema("a mapping: a JSON Schema", mapping=True)
_POLICIES = ListOf(Link("Policy"), "a list of names of resources of kind Policy, outermost first")


def _plugged(kind: str, fields: Mapping[str, Shape] | None = None) -> Record:
    """The spec of a kind that is made by a plugin or by the manifest's own code."""
    return Record(
        "a mapping with 'plugin' or 'uses'",
        {"plugin": Plugin(kind), "uses": Code(), "with": _SETTINGS, **(fields or {})},
        rules=(ExactlyOne("plugin", "uses"),),
        defaults={"with": {}},
    )


_CONDITION = "a condition such as 'result.total > 100'"
_NEXT = Nullable(Text("the name of a node"), "null for the end")

_SUBJECTS = ListOf(Text(), "a list of subjects, such as ['ops']")
_SECONDS = Number(above=0, maximum=10**12)

_ASK = Short(
    Record(
        "a mapping with 'question'",
        {
            "question": Text("a question"),
            "choices": ListOf(Text(), "a list of answers, such as ['yes', 'no']"),
            "schema": _SCHEMA,
            "timeout_s": _SECONDS,
            "by": _SUBJECTS,
        },
        required=("question",),
        rules=(AtMostOne("choices", "schema"),),
    ),
    "question",
)

_WAIT = Record(
    "a mapping with one of 'signal', 'event' or 'seconds'",
    {
        "signal": Text("the name of a signal"),
        "event": Text("an event type, which may hold '*'"),
        "seconds": _SECONDS,
        "schema": _SCHEMA,
        "timeout_s": _SECONDS,
        "if": Text("a condition such as 'event.data.order == value'"),
    },
    rules=(
        ExactlyOne("signal", "event", "seconds"),
        Needs("schema", "signal", "event"),
        Needs("timeout_s", "signal", "event"),
        Needs("if", "event"),
    ),
)

_APPROVAL = {"by": _SUBJECTS, "timeout_s": _SECONDS}
_OF_APPROVALS = "a mapping with 'by' or 'timeout_s'"

_COMPENSATION = Short(
    Record(
        "a mapping with one of 'uses', 'agent', 'flow', 'plan' or 'tool'",
        {
            "uses": Code(),
            "agent": Link("Agent"),
            "flow": Link("Flow"),
            "plan": Link("Plan"),
            "tool": ToolLink(whole=False),
            "input": Json("any value", data=True),
            "policies": _POLICIES,
            "effect": Choice("pure", "idempotent", "effect"),
            "on_unknown": Choice("stuck", "retry", "fail"),
            "blocking": Choice("thread", "inline"),
            "approve": FlagOr(Record(_OF_APPROVALS, _APPROVAL)),
        },
        rules=(ExactlyOne("uses", "agent", "flow", "plan", "tool"),),
        defaults={"policies": []},
    ),
    "uses",
)

_WORK: dict[str, Shape] = {
    "uses": Code(),
    "agent": Link("Agent"),
    "flow": Link("Flow"),
    "plan": Link("Plan"),
    "tool": ToolLink(whole=False),
    "emit": Text("the type of an event, such as 'incident.detected'"),
    "ask": _ASK,
    "wait": _WAIT,
    "approve": FlagOr(Record(_OF_APPROVALS, _APPROVAL)),
    "compensate": _COMPENSATION,
    "timeout_s": _SECONDS,
    "batch_mode": Choice("sliding", "waves"),
    "input": Json("any value", data=True),
    "each": Data(instead="list"),
    "batch_size": Number(whole=True, minimum=1),
    "concurrency": Number(whole=True, minimum=1, maximum=1000),
    "on_item_error": Choice("fail", "skip", "collect"),
    "policies": _POLICIES,
    "effect": Choice("pure", "idempotent", "effect"),
    "on_unknown": Choice("stuck", "retry", "fail"),
    "blocking": Choice("thread", "inline"),
}
"""The fields of nodes and of branches."""
_DOES = ("uses", "agent", "flow", "plan", "tool", "emit", "ask", "wait")
"""Those of which a node or branch has exactly one."""

_BRANCH = Record(
    "a mapping with one of 'uses', 'agent', 'flow', 'plan', 'tool', 'emit', 'ask' or 'wait'",
    {**_WORK, "if": Text(_CONDITION)},
    rules=(
        ExactlyOne(*_DOES),
        Needs("batch_size", "each", default=1),
        Needs("batch_mode", "each", default="sliding"),
        Needs("concurrency", "each", default=4),
        Needs("on_item_error", "each", default="fail"),
    ),
    defaults={"policies": []},
)

_PARALLEL = Record(
    "a mapping with 'branches'",
    {
        "branches": MapOf(_BRANCH, "a mapping from names to branches, with at least one", key=Name(), minimum=1),
        "join": Short(
            Record(
                "a mapping with 'n_of_m', such as {n_of_m: 2}",
                {"kind": Choice("all", "any", "or"), "n_of_m": Number(whole=True, minimum=1)},
                rules=(ExactlyOne("kind", "n_of_m"),),
            ),
            "kind",
        ),
        "rest": Choice("cancel", "wait"),
        "concurrency": Number(whole=True, minimum=1, maximum=1000),
    },
    required=("branches",),
    defaults={"join": {"kind": "all"}, "rest": "cancel", "concurrency": 16},
)

_NODE = Record(
    "a mapping with one of 'uses', 'agent', 'flow', 'plan', 'tool', 'emit', 'ask', 'wait' or 'parallel'",
    {
        **_WORK,
        "parallel": _PARALLEL,
        "next": Text("the name of a node"),
        "when": ListOf(
            Record(
                "a mapping with 'next' and, but for the last, 'if'",
                {"if": Text(_CONDITION), "next": _NEXT},
                required=("next",),
            ),
            "a list of mappings with 'if' and 'next', the last without 'if'",
        ),
        "max_visits": Number(whole=True, minimum=1),
        "join": Text("the name of a node"),
        "fan_out": ListOf(Text("the name of a node"), "a list of names of nodes"),
        "routes": MapOf(
            _NEXT,
            "a mapping from actions to names of nodes, or to null for the end",
            minimum=1,
        ),
    },
    rules=(
        ExactlyOne(*_DOES, "parallel"),
        AtMostOne("next", "routes"),
        AtMostOne("next", "when"),
        Needs("join", "routes"),
        Needs("batch_size", "each", default=1),
        Needs("batch_mode", "each", "fan_out", default="sliding"),
        Needs("concurrency", "each", "fan_out", default=4),
        Needs("on_item_error", "each", "fan_out", default="fail"),
    ),
    defaults={"policies": []},
)

_NODES = MapOf(_NODE, "a mapping from names to nodes, with at least one", key=Name(*RESERVED_NODES), minimum=1)

_STATE_KEY = Record(
    "a mapping with 'schema', 'default', 'reducer' and 'scope', all optional",
    {
        "schema": _SCHEMA,
        "default": Json("any value"),
        "reducer": Text("'last', 'append', 'merge', 'add', 'max' or './file.py:function'"),
        "scope": Choice("flow", "run", "node"),
        "description": Text(),
    },
    defaults={"scope": "flow"},
)

_PRICES = Record(
    "a mapping with 'input', 'output', 'as_of' and 'source'; prices are in US dollars per million tokens",
    {
        "input": Number(minimum=0),
        "output": Number(minimum=0),
        "cached": Number(minimum=0),
        "cache_write": Number(minimum=0),
        "as_of": Text("the day on which they held, such as '2026-11-21'"),
        "source": Text("where they come from"),
    },
    required=("input", "output", "as_of", "source"),
)

_TOOLS = ListOf(ToolLink(whole=True), "a list of Tools and tools, such as ['files', 'web.search']")
_PARTS: dict[str, Shape] = {
    "agents": ListOf(Link("Agent"), "a list of names of Agents"),
    "flows": ListOf(Link("Flow"), "a list of names of Flows"),
    "plans": ListOf(Link("Plan"), "a list of names of Plans"),
}
"""What actions of a planner may name besides tools."""
_APPROVED_TOOLS = FlagOr(
    Record(
        "a mapping with 'tools', 'by' or 'timeout_s'",
        {"tools": ListOf(ToolLink(whole=True), "a list of Tools and tools"), **_APPROVAL},
    )
)

_SPECS: dict[str, Record] = {
    "Agent": Record(
        "a mapping with 'model'",
        {
            "model": Link("Model"),
            "planner": Short(_plugged("planner"), "plugin"),
            "instructions": Text(),
            "tools": _TOOLS,
            **_PARTS,
            "memory": Link("Memory"),
            "policies": _POLICIES,
            "output_schema": _SCHEMA,
            "approve": _APPROVED_TOOLS,
            "on_unknown": Choice("stuck", "retry", "fail"),
            "description": Text(),
        },
        required=("model",),
        defaults={"planner": {"plugin": DEFAULT_PLANNER, "with": {}}, "tools": [], "policies": []},
    ),
    "Flow": Record(
        "a mapping with 'nodes'",
        {
            "start": Text("the name of a node"),
            "nodes": _NODES,
            "reducers": MapOf(
                Text("'last', 'append', 'merge', 'add', 'max' or './file.py:function'"),
                "a mapping from keys of the state to reducers",
            ),
            "state": MapOf(_STATE_KEY, "a mapping from keys of the state to what is declared about them"),
            "state_schema": _SCHEMA,
            "state_model": Code(),
            "scope": Choice("own", "shared"),
            "policies": _POLICIES,
            "output": Json("any value", data=True),
            "display": Data(),
            "max_steps": Number(whole=True, minimum=1),
            "compensation_s": _SECONDS,
            "timeout_s": _SECONDS,
            "on_unknown_action": Choice("error", "end"),
            "description": Text(),
            "input_schema": _SCHEMA,
        },
        required=("nodes",),
        defaults={"start": FirstKey("nodes"), "policies": [], "max_steps": 10_000},
    ),
    "Journal": _plugged("journal"),
    "Memory": _plugged("memory", {"ttl_s": Number(above=0)}),
    "Model": _plugged(
        "provider",
        {
            "model": Text("the vendor's name of a model", setting=True),
            "max_tokens": Number(whole=True, minimum=1),
            "temperature": Number(minimum=0),
            "aliases": ListOf(Name(), "a list of names by which agents may ask for it, such as ['fast']"),
            "prices": _PRICES,
        },
    ),
    "Plan": Record(
        "a mapping with 'planner' and one of 'document' or 'file'",
        {
            "planner": Short(_plugged("planner"), "plugin"),
            "document": Json("a mapping: the plan in the format of its planner", mapping=True),
            "file": File(),
            "model": Link("Model"),
            "instructions": Text(),
            "tools": _TOOLS,
            **_PARTS,
            "policies": _POLICIES,
            "input_schema": _SCHEMA,
            "approve": _APPROVED_TOOLS,
            "on_unknown": Choice("stuck", "retry", "fail"),
            "description": Text(),
        },
        required=("planner",),
        rules=(ExactlyOne("document", "file"),),
        defaults={"tools": [], "policies": []},
    ),
    "Policy": _plugged("policy"),
    "Tool": _plugged("tool"),
    "Trigger": Record(
        "a mapping with 'start' and one of 'plugin', 'uses' or 'on'",
        {
            "plugin": Plugin("source"),
            "uses": Code(),
            "with": _SETTINGS,
            "on": Text("an event type, which may hold '*'"),
            "start": PrefixedLink("Flow", "Agent", "Plan"),
            "input": Json("any value", data=True),
            "key": Data(instead="text"),
            "signal": Data(instead="text"),
            "max_runs": Number(whole=True, minimum=1, maximum=10_000),
        },
        required=("start",),
        rules=(
            ExactlyOne("plugin", "uses", "on"),
            Needs("with", "plugin", "uses", default={}),
            Needs("signal", "key"),
        ),
    ),
}

KINDS = tuple(_SPECS)
"""Every kind of resource."""

RESOURCES: dict[str, Record] = {
    kind: Record(
        "a resource: a mapping with 'apiVersion', 'kind', 'metadata' and 'spec'",
        {"apiVersion": Choice(API_VERSION), "kind": Choice(kind), "metadata": _METADATA, "spec": spec},
        required=("apiVersion", "kind", "metadata", "spec"),
    )
    for kind, spec in _SPECS.items()
}
"""The shape of a whole resource of each kind."""
