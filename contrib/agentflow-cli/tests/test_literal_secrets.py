from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_cli.literal_secrets import hidden, literals

if TYPE_CHECKING:
    from pathlib import Path

MODEL = """apiVersion: agentflow.dev/v1
kind: Model
metadata:
  name: made
spec:
  plugin: echo
  with:
    api_key: {key}
    extra_headers:
      X-Gateway: gate-secret-1
    base_url: http://user:hunter22@host
"""
SECRETS = ("first-key-1", "gate-secret-1", "hunter22")


@pytest.fixture
def model(workplace: Path):
    """Write a model with this key."""

    def write(key: str = "first-key-1") -> str:
        (workplace / "model.yaml").write_text(MODEL.format(key=key), encoding="utf-8")
        return "model.yaml"

    return write


@pytest.mark.parametrize(
    "look",
    [
        *(("get", "models", "-o", form) for form in ("wide", "yaml", "json")),
        *(("get", "model", "made", "--version", "1", "-o", form) for form in ("table", "json")),
        *(("describe", "model", "made", "-o", form) for form in ("table", "json")),
        ("describe", "model", "made", "-f", "model.yaml"),
        ("get", "models", "-f", "model.yaml", "-o", "yaml"),
    ],
)
def test_what_is_shown_holds_no_secret(agentflow, model, look: tuple[str, ...]) -> None:
    """Whether it is for people or programs, of what is applied or of a file."""
    agentflow("apply", "-f", model())
    answer = agentflow(*look)
    assert answer.code == 0
    assert not [secret for secret in SECRETS if secret in answer.out + answer.err]


def test_what_is_shown_can_be_applied_again(agentflow, model, workplace: Path) -> None:
    """Marks stand for the secrets that are kept: the rest may change, and the secrets stay."""
    agentflow("apply", "-f", model())
    shown = agentflow("get", "models", "-o", "yaml").out
    assert "api_key: <redacted model/made 1>" in shown
    assert agentflow("apply", "-f", "-", stdin=shown).out == "model/made unchanged\n"
    dry = agentflow("apply", "-f", "-", "--dry-run", stdin=shown.replace("base_url", "model: new\n    base_url"))
    assert "+    model: new" in dry.out
    assert "api_key" not in "".join(line for line in dry.out.splitlines(keepends=True) if line[:1] in "+-")
    agentflow("apply", "-f", "-", stdin=shown.replace("base_url", "model: new\n    base_url"))
    kept = (workplace / ".agentflow/resources/model/made/2.yaml").read_text(encoding="utf-8")
    assert all(secret in kept for secret in SECRETS)
    assert "model: new" in kept


def test_an_older_version_brings_its_own_secret(agentflow, model, workplace: Path) -> None:
    """A mark names the version that it was shown for."""
    agentflow("apply", "-f", model())
    agentflow("apply", "-f", model("second-key-2"))
    shown = agentflow("get", "model", "made", "--version", "1", "-o", "yaml").out
    assert agentflow("apply", "-f", "-", stdin=shown).out == "model/made configured (version 3)\n"
    assert "first-key-1" in (workplace / ".agentflow/resources/model/made/3.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            ("name: made", "name: other"),
            "'<redacted model/made 1>' stands for a secret that is not kept here, for model/o",
        ),
        (("made 1>", "made 7>"), "'<redacted model/made 7>' stands for a secret that is not kept here"),
        ((" model/made 1>", ">"), "'<redacted>' stands for a secret that is not kept here, for model/made"),
        (("X-Gateway", "X-Other"), "'<redacted model/made 1>' stands for a secret that is not kept here"),
    ],
)
def test_a_mark_stands_for_nothing_elsewhere(agentflow, model, change: tuple[str, str], what: str) -> None:
    """Nothing is applied, and the error has the place and what to write."""
    agentflow("apply", "-f", model())
    shown = agentflow("get", "models", "-o", "yaml").out
    answer = agentflow("apply", "-f", "-", stdin=shown.replace(*change))
    assert answer.code == 2
    assert what in answer.err
    assert "<stdin>:" in answer.err
    assert '"${' in answer.err
    assert agentflow("get", "all", "-o", "name").out == "model/made\n"


def test_a_secret_that_is_written_out_is_warned_of(agentflow, model) -> None:
    """By `validate` and `apply`, with its place and the form with a variable, and without the secret."""
    line = (
        "warning: model.yaml:8: spec.with.api_key is a secret that is written out. Name a variable of the environment "
        'instead: api_key: "${ECHO_API_KEY}".\n'
    )
    for command in (("validate", model()), ("apply", "-f", model())):
        answer = agentflow(*command)
        assert answer.code == 0
        assert line in answer.err
        assert not [secret for secret in SECRETS if secret in answer.out + answer.err]
    assert "api_key" not in agentflow("validate", model('"${HOME}"')).err


def test_a_dry_run_shows_that_a_secret_changes_but_not_which(agentflow, model) -> None:
    agentflow("apply", "-f", model())
    answer = agentflow("apply", "-f", model("second-key-2"), "--dry-run")
    assert "-    api_key: <redacted model/made 1>\n+    api_key: <redacted>\n" in answer.out
    assert not [secret for secret in (*SECRETS, "second-key-2") if secret in answer.out]


def test_only_settings_hold_secrets() -> None:
    """Prompts and names may speak of them; variables are none, and neither are names of variables."""
    document = {
        "spec": {
            "instructions": "password: opensesame",
            "with": {
                "api_key": "${KEY}",
                "api_key_env": "KEY",
                "max_tokens": 3,
                "password": {"$ref": "input.word"},
                "token": "${TOKEN:-fallback-1}",
                "list": ["Bearer abcdefgh1"],
            },
        }
    }
    assert [each.steps for each in literals(document)] == [("spec", "with", "token"), ("spec", "with", "list", 0)]
    assert hidden(document)["spec"]["with"]["list"] == ["<redacted>"]
    assert document["spec"]["with"]["list"] == ["Bearer abcdefgh1"]
