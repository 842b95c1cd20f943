"""What leaves through the log: one line an event, in the form asked for, and without secrets."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog

from agentflow_kernel import telemetry
from agentflow_kernel.redaction import PLACEHOLDER, Redactor, is_secret
from agentflow_kernel.telemetry import get_logger, hide, set_log_format, set_log_level

CANARY = "canary-7f3a91"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Level, form and hidden values are as at the start of a process, and everything is logged."""
    for name in ("_threshold", "_format"):
        monkeypatch.setattr(telemetry, name, None)
    monkeypatch.setattr(telemetry, "_hidden", set())
    monkeypatch.setenv("AGENTFLOW_LOG", "debug")
    monkeypatch.delenv("AGENTFLOW_LOG_FORMAT", raising=False)
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_json_is_one_object_a_line(monkeypatch, capsys) -> None:
    """With time, level, logger, event and run id first, whatever the fields hold."""
    monkeypatch.setenv("AGENTFLOW_LOG_FORMAT", "json")
    log = get_logger("agentflow.run").bind(run_id="r1")
    log.info("run.started", name="flow/x", odd={"a": [1, float("inf"), object]}, text="two\nlines\x1b[2J")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert list(found)[:5] == ["time", "level", "logger", "event", "run_id"]
    assert (found["level"], found["logger"], found["run_id"]) == ("info", "agentflow.run", "r1")
    assert found["text"] == "two\nlines\x1b[2J"
    assert "\x1b" not in line
    assert found["odd"]["a"][:2] == [1, "inf"]


def test_a_program_chooses_the_form(monkeypatch, capsys) -> None:
    """It counts more than the environment, until it is taken back."""
    monkeypatch.setenv("AGENTFLOW_LOG_FORMAT", "json")
    set_log_format("plain")
    get_logger("a").info("x")
    set_log_format(None)
    get_logger("a").info("x")
    plain, as_json = capsys.readouterr().err.splitlines()
    assert plain.startswith("time=")
    assert json.loads(as_json)["event"] == "x"
    with pytest.raises(ValueError, match="plain, json"):
        set_log_format("xml")


def test_the_level_is_asked_of_the_environment_again(monkeypatch, capsys) -> None:
    set_log_level("error")
    get_logger("a").info("x")
    set_log_level(None)
    get_logger("a").info("y")
    assert "event=y" in capsys.readouterr().err


def test_a_bound_logger_leaves_the_other_alone(capsys) -> None:
    """What is bound later, or given with the event, counts more."""
    log = get_logger("a")
    log.bind(run_id="1", step="s").bind(step="t").info("x")
    log.info("y")
    first, second = capsys.readouterr().err.splitlines()
    assert "run_id=1 step=t" in first
    assert "run_id" not in second


def test_a_plain_line_acts_on_no_terminal(capsys) -> None:
    """Neither by a value nor by the name of a field."""
    get_logger("a").info("x\x1b[2J", **{"bad key=1\x1b": "\u202eevil", "n": None, "flag": True})
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert "flag=true" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "name",
    [
        "password", "api_key", "apiKey", "X-Api-Key", "Authorization", "accessToken", "refresh_token", "client_secret",
        "aws_secret_access_key", "set-cookie", "privateKey", "DB_PASSWORD", "credentials",
    ],
)  # fmt: skip
def test_fields_are_secret_by_their_name(capsys, name: str) -> None:
    """At any depth; numbers, too."""
    assert is_secret(name)
    get_logger("a").info("x", **{name: CANARY}, inner={"deep": [{name: CANARY, "n": {name: 4711}}]})
    err = capsys.readouterr().err
    assert CANARY not in err
    assert "4711" not in err


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "input_tokens",
        "token_count",
        "key",
        "partition_key",
        "idempotency_key",
        "passes",
        "author",
        "secretary",
    ],
)
def test_fields_that_only_sound_secret_are_shown(capsys, name: str) -> None:
    assert not is_secret(name)
    get_logger("a").info("x", **{name: CANARY})
    assert CANARY in capsys.readouterr().err


def test_an_absent_secret_is_shown_as_absent(capsys) -> None:
    """Whether there is a key helps to find a fault."""
    get_logger("a").info("x", api_key=None, token=False)
    assert "api_key=None token=false" in capsys.readouterr().err.replace("api_key= ", "api_key=None ")


@pytest.mark.parametrize("name", ["SERVICE_KEY", "GH_TOKEN", "APP_SECRET", "DB_PASSWORD"])
def test_values_of_secret_variables_are_hidden_everywhere(monkeypatch, capsys, name: str) -> None:
    """In texts, in what is JSON, in the event itself, in a URL; also when the variable is set later."""
    get_logger("a").info(f"before {CANARY}")
    value = f"{CANARY} ä/+'\n"
    monkeypatch.setenv(name, value)
    get_logger("a").info(f"with {value}", shown=repr(value), url="http://x/?q=canary-7f3a91%20%C3%A4%2F%2B%27%0A")
    before, after = capsys.readouterr().err.splitlines()
    assert CANARY in before
    assert CANARY not in after


def test_short_values_of_variables_are_no_secrets(monkeypatch, capsys) -> None:
    """They stand in too many words."""
    monkeypatch.setenv("MY_KEY", "on")
    get_logger("a").info("nobody is gone")
    assert "nobody is gone" in capsys.readouterr().err


def test_hidden_values_are_hidden(capsys) -> None:
    hide(CANARY)
    hide("")
    get_logger("a").warning(f"got {CANARY}", value=[f"x{CANARY}y"], key={CANARY: 1})
    err = capsys.readouterr().err
    assert CANARY not in err
    assert f"x{PLACEHOLDER}y" in err


SHAPES = {
    "bearer": "Authorization: Bearer abc.DEF-123_456~7",
    "basic": "header Basic dXNlcjpwYXNzd29yZDE=",
    "openai": "key sk-proj-abcDEF123456 was refused",
    "stripe": "sk_live_abcdEFGH1234",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_abcdefghijklmnopqrstuvwx0123456789",
    "slack": "xoxb-123456789012-abcdef",
    "google": "AIzaSyA-1234567890abcdefghijklmno",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123",
    "postgres": "postgres://user:p@ss:w0rd!@db.example/app",
    "redis": "redis://:onlypassword@cache:6379/0",
    "query": "GET /v1?api_key=abcdef123456&x=1",
    "repr": "{'password': 'hunter22', 'x': 1}",
    "json": '{"client_secret":"abcdef99","x":1}',
    "escaped": '"{\\"token\\": \\"abcdef99\\"}"',
    "assignment": "ANTHROPIC_API_KEY=abcdef123456",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
}
SECRETS = (
    "abc.DEF-123_456~7", "dXNlcjpwYXNzd29yZDE=", "sk-proj", "sk_live", "AKIAIOS", "ghp_", "xoxb-", "AIzaSy", "eyJhbG",
    "w0rd", "onlypassword", "abcdef123456", "hunter22", "abcdef99", "MIIEabc",
)  # fmt: skip


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("shape", SHAPES)
def test_secrets_are_known_by_their_form(capsys, shape: str) -> None:
    """As field, as event, and in the text of an exception."""
    try:
        fail(SHAPES[shape])
    except ValueError:
        get_logger("a").error(f"it said {SHAPES[shape]}", detail=SHAPES[shape], exc_info=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert PLACEHOLDER in line
    assert not [secret for secret in SECRETS if secret in line]


@pytest.mark.parametrize(
    "text",
    [
        "the token expired at noon", "step sk-1 of task-force", "https://example.org:8443/a@b", "basic training",
        "run 01a1fda1-fb84-7a7e-96c7-9557aff45f76", "sha256 " + "9f86d081" * 8,
        "Unexpected token: '}'", "passwords: 12",
    ],
)  # fmt: skip
def test_plain_words_are_no_secrets(text: str) -> None:
    """A log that hides what it should say helps nobody."""
    assert Redactor().text(text) == text


def test_a_hostile_text_costs_little() -> None:
    """Redaction takes time in proportion to the text: a moment; in proportion to its square it would take hours."""
    for text in ("a" * 200_000, "a." * 100_000, "sk-" * 60_000, "x://" * 50_000, "password=" * 20_000):
        Redactor().text(text)


def test_exceptions_reach_an_application_as_redacted_text(capsys) -> None:
    """Its own rendering would show them as they are."""
    caught: list[dict[str, object]] = []

    def keep(_logger, level, event):
        caught.append(event)
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    try:
        fail(f"password={CANARY}")
    except ValueError as error:
        get_logger("a").error("failed", exc_info=error, api_key=CANARY, n=1)
    (event,) = caught
    assert CANARY not in str(event)
    assert "exc_info" not in event
    assert "ValueError: password=<redacted>" in str(event["exception"])
    assert event["n"] == 1
    assert capsys.readouterr().err == ""


def test_objects_are_looked_through_as_text(capsys) -> None:
    """One whose text holds no secret goes on as it is; one that cannot be shown does no harm."""

    class Config:
        def __repr__(self) -> str:
            return f"Config(password={CANARY!r})"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    get_logger("a").info("x", config=Config(), broken=Broken(), path=ValueError)
    err = capsys.readouterr().err
    assert CANARY not in err
    assert "Broken that cannot be shown" in err
    assert "class 'ValueError'" in err


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_standard_error_the_log_is_silent(monkeypatch, capsys, stream) -> None:
    """It is no reason to fail, and standard output belongs to others."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)
    get_logger("a").error("x")
    assert capsys.readouterr().out == ""
