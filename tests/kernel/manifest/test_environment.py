"""Variables of the environment in settings, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.manifest import Manifest

MODEL = "apiVersion: agentflow.dev/v1\nkind: Model\nmetadata: {name: claude}\nspec:\n  plugin: x\n"
LITERAL = "Write '$${' for the characters."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${KEY}", "one"),
        ("Bearer ${KEY}, ${PORT}", "Bearer one, 80"),
        ("${PORT}", "80"),
        ("${NONE:-two}", "two"),
        ("${NONE:-}", ""),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY}", ""),
        ("${KEY:-two}", "one"),
        ("${NONE:-a:-b c}", "a:-b c"),
        ("$${KEY}", "${KEY}"),
        ("$KEY $$ $(KEY)", "$KEY $$ $(KEY)"),
        ("${ODD}", "${KEY}"),
    ],
)
def test_variables_are_put_in(manifest_of: Callable[..., Manifest], text: str, value: str) -> None:
    """A value is text whatever it looks like, is not looked into again, and has its default when unset or empty."""
    environ = {"KEY": "one", "PORT": "80", "EMPTY": "", "ODD": "${KEY}"}
    manifest = manifest_of(f"{MODEL}  model: '{text or 'x'}'\n  with: {{a: [{{b: '{text}'}}]}}\n", environ=environ)
    (model,) = manifest.resources
    assert model.spec["with"] == {"a": [{"b": value}]}
    assert model.spec["model"] == value


def test_the_environment_of_the_process_is_the_default(
    manifest_of: Callable[..., Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``environ`` the variables come from the process."""
    monkeypatch.setenv("AGENTFLOW_TEST_KEY", "one")
    (model,) = manifest_of(f"{MODEL}  model: ${{AGENTFLOW_TEST_KEY}}\n", environ=None).resources
    assert model.spec["model"] == "one"


def test_a_planner_has_settings_too(manifest_of: Callable[..., Manifest]) -> None:
    """Every ``with`` takes variables."""
    agent = MODEL + (
        "---\napiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: a}\n"
        "spec: {model: claude, planner: {plugin: p, with: {key: '${KEY}'}}}\n"
    )
    manifest = manifest_of(agent, environ={"KEY": "one"})
    assert manifest.get("Agent", "a").spec["planner"] == {"plugin": "p", "with": {"key": "one"}}


def test_a_missing_variable(findings_of: Callable[..., list[str]]) -> None:
    """Names the variable, who needs it, and how to give it; each variable once a text."""
    assert findings_of(f"{MODEL}  with: {{key: '${{KEY}} ${{KEY}} ${{URL}}'}}\n") == [
        f"m.yaml:6:15: spec.with.key: Environment variable '{name}' is not set; Model 'claude' needs it. "
        f"Set it with `export {name}=…`, or give a default: '${{{name}:-…}}'."
        for name in ("KEY", "URL")
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A-b}", "${A:-${B}}", "a ${ b", "${A:=b}"])
def test_a_malformed_variable(findings_of: Callable[..., list[str]], text: str) -> None:
    """Other forms that shells know are refused, not guessed at."""
    assert findings_of(f"{MODEL}  with: {{key: '{text}'}}\n", environ={"A": "", "B": ""}) == [
        f"m.yaml:6:15: spec.with.key: '${{' begins no '${{NAME}}' or '${{NAME:-default}}' here. {LITERAL}"
    ]


def test_variables_are_settings_only(findings_of: Callable[..., list[str]]) -> None:
    """What a resource is and does cannot depend on the environment."""
    agent = (
        "---\napiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: a}\n"
        "spec: {model: claude, instructions: 'Use ${KEY}.', output_schema: {title: '${KEY}'}}\n"
    )
    text = MODEL.replace("plugin: x", "plugin: ${KEY}") + agent
    allowed = f"Only 'with' and the model name of a Model take variables. {LITERAL}"
    assert findings_of(text, environ={"KEY": "x"}) == [
        f"m.yaml:{place}: The environment variable '${{KEY}}' is not allowed here. {allowed}"
        for place in ("5:11: spec.plugin", "10:37: spec.instructions", "10:75: spec.output_schema.title")
    ]


def test_dollars_elsewhere_are_text(manifest_of: Callable[..., Manifest]) -> None:
    """Instructions may speak of shells and templates; the characters of a variable are escaped as in settings."""
    agent = (
        "---\napiVersion: agentflow.dev/v1\nkind: Agent\nmetadata: {name: a}\n"
        "spec: {model: claude, instructions: 'Use $${HOME}, ${{ x }} and $1.'}\n"
    )
    assert manifest_of(MODEL + agent).get("Agent", "a").spec["instructions"] == "Use ${HOME}, ${{ x }} and $1."


def test_a_variable_that_is_no_text(findings_of: Callable[..., list[str]]) -> None:
    """Bytes that are not UTF-8 reach Python as half characters; they must not reach a plugin."""
    assert findings_of(f"{MODEL}  model: ${{KEY}}\n", environ={"KEY": "\udcff"}) == [
        "m.yaml:6:10: spec.model: Environment variable 'KEY', needed by Model 'claude', is not UTF-8 text."
    ]


def test_no_finding_shows_a_value(findings_of: Callable[..., list[str]]) -> None:
    """A secret that was put in is not in the findings about its neighbours."""
    text = f"{MODEL}  with: {{key: '${{KEY}}', other: '${{NONE}}', third: '${{KEY}}${{'}}\n  max_tokens: 0\n"
    assert "hunter2" not in "".join(findings_of(text, environ={"KEY": "hunter2"}))
