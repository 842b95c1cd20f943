"""Pins: a run goes on with the environment variables it was started with; what may be a secret is left out."""

from __future__ import annotations

import pytest

from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.pins import RecordedEnvironment, check_pins


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> RecordedEnvironment:
    """An environment with a log, a token, and a value that is no UTF-8."""
    for name, value in (("TEST_LOG", "a.log"), ("TEST_TOKEN", "secret"), ("TEST_BYTES", "caf\udce9")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TEST_UNSET", raising=False)
    return RecordedEnvironment()


def test_only_what_was_asked_for_is_pinned(environment: RecordedEnvironment) -> None:
    """As a hash: the value is nowhere on record."""
    assert environment["TEST_LOG"] == "a.log"
    pins = environment.pins()
    assert list(pins) == ["TEST_LOG"]
    assert "a.log" not in str(pins)


def test_a_variable_that_is_not_set_is_pinned_as_empty(
    environment: RecordedEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting it later is a change."""
    assert environment.get("TEST_UNSET") is None
    before = environment.pins()
    monkeypatch.setenv("TEST_UNSET", "now")
    assert environment["TEST_UNSET"] == "now"
    assert environment.pins() != before


@pytest.mark.parametrize("name", ["TEST_TOKEN", "MY_API_KEY", "DB_PASSWORD", "DATABASE_URL", "client_secret", "APIKEY"])
def test_what_may_be_a_secret_is_not_pinned(
    environment: RecordedEnvironment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Secrets are renewed, and not even their hashes are kept."""
    monkeypatch.setenv(name, "x")
    assert environment[name] == "x"
    assert environment.pins() == {}


@pytest.mark.parametrize("name", ["MONKEY", "TOKENS_PER_MINUTE", "TURL"])
def test_a_name_that_only_looks_like_one_is_pinned(
    environment: RecordedEnvironment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whole words between underscores count."""
    monkeypatch.setenv(name, "x")
    assert environment[name] == "x"
    assert list(environment.pins()) == [name]


def test_a_value_that_is_no_utf_8_can_be_pinned(environment: RecordedEnvironment) -> None:
    """Paths on disk are bytes."""
    assert environment["TEST_BYTES"] == "caf\udce9"
    assert len(environment.pins()["TEST_BYTES"]) == 16


def test_it_is_the_environment_of_the_process(environment: RecordedEnvironment) -> None:
    """As a mapping."""
    assert "TEST_LOG" in set(environment)
    assert len(environment) == len(set(environment))
    with pytest.raises(KeyError):
        _ = environment["TEST_UNSET"]


def test_changed_variables_are_named_and_others_do_not_count() -> None:
    """What the manifest no longer asks for cannot matter."""
    check_pins("r", {"A": "1", "GONE": "1"}, {"A": "1", "NEW": "1"})
    with pytest.raises(UsageError, match=r"Run r was started with another value of A, B\. Set it as it was then"):
        check_pins("r", {"A": "1", "B": "1", "C": "1"}, {"A": "2", "B": "2", "C": "1"})
