"""Resources that name each other: names that are missing, of the wrong kind, twice there, or in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.manifest import Manifest

HEAD = "apiVersion: agentflow.dev/v1\n"
MODEL = f"{HEAD}kind: Model\nmetadata: {{name: claude}}\nspec: {{plugin: x}}\n---\n"


def flow(name: str, inner: str) -> str:
    return f"{HEAD}kind: Flow\nmetadata: {{name: {name}}}\nspec: {{nodes: {{n: {{flow: {inner}}}}}}}\n---\n"


def test_missing_references(findings_of: Callable[..., list[str]]) -> None:
    """Each names what is there, and the nearest of it."""
    agent = "kind: Agent\nmetadata: {name: a}\nspec:\n  model: cloude\n  memory: m\n  tools: [files.read]\n"
    assert findings_of(f"{MODEL}{HEAD}{agent}") == [
        "m.yaml:10:10: spec.model: Unknown Model 'cloude'. Known: 'claude'. Did you mean 'claude'?",
        "m.yaml:11:11: spec.memory: Unknown Memory 'm'. Known: none. Add a resource of kind Memory.",
        "m.yaml:12:11: spec.tools[0]: Unknown Tool 'files'. Known: none. Add a resource of kind Tool.",
    ]


def test_references_to_the_wrong_kind(findings_of: Callable[..., list[str]]) -> None:
    """Says what the name stands for and what was expected."""
    agent = "kind: Agent\nmetadata: {name: a}\nspec: {model: claude, memory: claude, policies: [a]}\n"
    assert findings_of(f"{MODEL}{HEAD}{agent}") == [
        "m.yaml:9:31: spec.memory: 'claude' is of kind 'Model', expected 'Memory'.",
        "m.yaml:9:50: spec.policies[0]: 'a' is of kind 'Agent', expected 'Policy'.",
    ]


def test_references_of_a_flow_and_a_trigger(findings_of: Callable[..., list[str]]) -> None:
    """Nodes name agents, flows and tools; a trigger what it starts."""
    text = (
        f"{HEAD}kind: Flow\nmetadata: {{name: f}}\nspec:\n  nodes:\n    a: {{agent: x, next: b, policies: [p]}}\n"
        f"    b: {{tool: files.read, next: c}}\n    c: {{flow: g}}\n---\n"
        f"{HEAD}kind: Trigger\nmetadata: {{name: t}}\nspec: {{on: a, start: agent/f}}\n"
    )
    assert findings_of(text) == [
        "m.yaml:6:16: spec.nodes.a.agent: Unknown Agent 'x'. Known: none. Add a resource of kind Agent.",
        "m.yaml:6:39: spec.nodes.a.policies[0]: Unknown Policy 'p'. Known: none. Add a resource of kind Policy.",
        "m.yaml:7:15: spec.nodes.b.tool: Unknown Tool 'files'. Known: none. Add a resource of kind Tool.",
        "m.yaml:8:15: spec.nodes.c.flow: Unknown Flow 'g'. Known: 'f'.",
        "m.yaml:13:22: spec.start: 'f' is of kind 'Flow', expected 'Agent'.",
    ]


def test_the_tool_of_a_node_is_one_tool(findings_of: Callable[..., list[str]]) -> None:
    """A set of tools cannot be called; nor can a name that is none."""
    for tool in ("files", "files.", ".read", "fi les.read", "files.re ad"):
        text = f"{HEAD}kind: Flow\nmetadata: {{name: f}}\nspec: {{nodes: {{a: {{tool: '{tool}'}}}}}}\n"
        expected = "'<Tool>.<tool>' such as 'files.read'"
        assert findings_of(text) == [f"m.yaml:4:26: spec.nodes.a.tool: Expected {expected}, found the string {tool!r}."]


def test_no_reference_is_missing_that_follows_from_another_finding(findings_of: Callable[..., list[str]]) -> None:
    """A resource with a fault in it is there; a document of an unknown kind may be what was meant."""
    broken = MODEL.replace("plugin: x", "plugin: x, max_tokens: 0")
    unknown = MODEL.replace("Model", "Modle").replace("claude", "other")
    agent = HEAD + "kind: Agent\nmetadata: {name: %s}\nspec: {model: %s}\n---\n"
    found = findings_of(broken + unknown + agent % ("a", "claude") + agent % ("b", "other") + agent % ("c", "third"))
    assert [finding.split(": ")[1] for finding in found] == ["spec.max_tokens", "kind", "spec.model"]


def test_names_may_be_defined_in_other_files(manifest_of: Callable[..., Manifest]) -> None:
    """A folder is one manifest; the order of its files does not matter."""
    agent = f"{HEAD}kind: Agent\nmetadata: {{name: a}}\nspec: {{model: claude}}\n"
    assert len(manifest_of({"a.yaml": agent, "z.yaml": MODEL}).resources) == 2


def test_duplicate_names(findings_of: Callable[..., list[str]]) -> None:
    """Names are unique per kind, across files; both places are named."""
    tool = MODEL.replace("Model", "Tool")
    assert findings_of({"a.yaml": tool + MODEL, "b.yaml": MODEL}) == [
        "./b.yaml:3:18: metadata.name: Model 'claude' is defined twice, first at ./a.yaml:8:18."
    ]


def test_circles_of_flows(findings_of: Callable[..., list[str]]) -> None:
    """The way round is shown where it closes; a flow may contain itself too, and two circles are two findings."""
    assert findings_of(flow("a", "b") + flow("b", "c") + flow("c", "a") + flow("d", "d") + flow("e", "a")) == [
        "m.yaml:14:26: spec.nodes.n.flow: Flows contain each other in a circle: a → b → c → a.",
        "m.yaml:19:26: spec.nodes.n.flow: Flows contain each other in a circle: d → d.",
    ]


def test_flows_may_share_a_flow(manifest_of: Callable[..., Manifest]) -> None:
    """Two ways to one flow are no circle."""
    leaf = f"{HEAD}kind: Flow\nmetadata: {{name: leaf}}\nspec: {{nodes: {{n: {{emit: x}}}}}}\n---\n"
    both = f"{HEAD}kind: Flow\nmetadata: {{name: top}}\nspec: {{nodes: {{a: {{flow: l}}, b: {{flow: r}}}}}}\n"
    both = both.replace("{flow: l}", "{flow: l, next: b}")
    assert len(manifest_of(leaf + flow("l", "leaf") + flow("r", "leaf") + both).resources) == 4


def test_an_agent_may_ask_for_a_model_by_an_alias(
    manifest_of: Callable[..., Manifest], findings_of: Callable[..., list[str]]
) -> None:
    """An alias is a name like any other: it is found, suggested, and there is only one of it."""
    model = f"{HEAD}kind: Model\nmetadata: {{name: claude}}\nspec: {{plugin: x, aliases: [fast, cheap]}}\n---\n"
    agent = f"{HEAD}kind: Agent\nmetadata: {{name: a}}\nspec: {{model: fast}}\n---\n"
    manifest = manifest_of(model + agent)
    assert manifest.get("Model", "cheap") is manifest.get("Model", "claude")
    assert findings_of(model + agent.replace("fast", "fats")) == [
        "m.yaml:9:15: spec.model: Unknown Model 'fats'. Known: 'cheap', 'claude', 'fast'. Did you mean 'fast'?"
    ]
    other = model.replace("name: claude", "name: cheap").replace("[fast, cheap]", "[fast, slow, slow]")
    assert findings_of(model + other) == [
        "m.yaml:8:18: metadata.name: Model 'cheap' is defined twice, first at m.yaml:3:18.",
        "m.yaml:9:29: spec.aliases[0]: Model 'fast' is defined twice, first at m.yaml:3:18.",
        "m.yaml:9:41: spec.aliases[2]: Model 'slow' is defined twice, first at m.yaml:8:18.",
    ]


def test_prices_say_when_and_where(findings_of: Callable[..., list[str]]) -> None:
    """A price without its date and source is worth nothing."""
    prices = "{input: 3, output: -1, cashed: 1}"
    text = f"{HEAD}kind: Model\nmetadata: {{name: m}}\nspec: {{plugin: x, prices: {prices}}}\n"
    as_of, source, output, cashed = (line.split(": ", 1)[1] for line in findings_of(text))
    assert as_of.startswith("spec.prices.as_of: Required field 'as_of' is missing: expected the day on which they held")
    assert source == "spec.prices.source: Required field 'source' is missing: expected where they come from."
    assert output == "spec.prices.output: Expected a number of at least 0, found the number -1."
    assert cashed.startswith("spec.prices.cashed: Unknown field 'cashed'.")
    assert cashed.endswith("Did you mean 'cached'?")
