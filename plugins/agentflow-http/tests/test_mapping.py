"""The pure parts: what headers and status codes mean, names and arguments of tools, usage, secrets in text."""

from __future__ import annotations

import pytest

from agentflow_http.arguments import arguments_on_wire, read_arguments
from agentflow_http.faults import kind_of_status, read_retry_after
from agentflow_http.names import ToolNames, name_on_wire
from agentflow_http.secrets import Secrets
from agentflow_http.settings import HttpSettings
from agentflow_http.structured import add_usage, find_faults
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolCall, ToolInfo, Usage
from agentflow_kernel.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (" 3 ", 3.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds) -> None:
    assert read_retry_after({"retry-after": text}, 1_700_000_000.0) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "usage"), (401, "credential"), (403, "credential"), (404, "usage"), (408, "unavailable"), (413, "prompt"),
     (422, "usage"), (429, "rate"), (500, "unavailable"), (504, "unavailable"), (529, "unavailable")],
)  # fmt: skip
def test_a_status_means_a_kind_of_fault(status, kind) -> None:
    assert kind_of_status(status) == kind


def test_tool_names_travel_without_a_dot_and_come_back() -> None:
    names = ToolNames([ToolInfo("files.read", "", {}), ToolInfo("a__b.c", "", {})])
    assert name_on_wire("files.read") == "files__read"
    assert names.read("files__read") == "files.read"
    assert names.read("a__b__c") == "a__b.c"
    assert names.read("made__up__name") == "made.up__name"
    assert names.read("plain") == "plain"


def test_tool_names_that_would_be_one_on_the_wire_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'a\.b' and 'a__b' are both 'a__b'"):
        ToolNames([ToolInfo("a.b", "", {}), ToolInfo("a__b", "", {})])


@pytest.mark.parametrize("text", ["{", "NaN", "[1", '"text', "{'a': 1}", "[" * 100_000])
def test_arguments_that_cannot_be_read_stay_text(text) -> None:
    assert read_arguments(text) == text


def test_arguments_are_an_object_where_there_are_any() -> None:
    assert read_arguments('{"a": 1}') == {"a": 1}
    assert read_arguments("") == read_arguments(" \n") == {}
    assert arguments_on_wire("no object") == {}
    assert arguments_on_wire({"a": 1}) == {"a": 1}


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"n": 1}', ""),
        ('```json\n{"n": 1}\n```', ""),
        ('{"n": "1"}', "/n: "),
        ("{}", "n"),
        ("certainly!", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_structured_answer_is_checked(text, fault) -> None:
    request = ModelRequest([Message("user", "n?")], output_schema=SCHEMA)
    faults = find_faults(request, ModelReply(Message("assistant", text)))
    assert fault in "".join(faults)
    assert bool(faults) == bool(fault)


@pytest.mark.parametrize("stop_reason", ["max_tokens", "refusal", "tool_calls"])
def test_only_a_final_answer_is_checked(stop_reason) -> None:
    request = ModelRequest([Message("user", "n?")], output_schema=SCHEMA)
    calls = [ToolCall("1", "files.read", {})] if stop_reason == "tool_calls" else []
    assert not find_faults(request, ModelReply(Message("assistant", "so", calls=calls), stop_reason=stop_reason))


def test_usage_of_two_turns_is_added_and_an_unknown_cost_stays_unknown() -> None:
    first, second = Usage(1, 2, 3, 0.5, 4), Usage(10, 20, 30, 0.25, 40)
    assert add_usage(first, second) == Usage(11, 22, 33, 0.75, 44)
    assert add_usage(first, Usage(1, 1)).cost_usd is None


def test_secrets_are_taken_out_of_text_in_any_form() -> None:
    """As they are, quoted for an address, and whatever else looks like a key."""
    given = {"base_url": "https://x", "api_key_env": "", "model": ""}
    secrets = Secrets(HttpSettings(**given, api_key="pass/word+long"), "Toy", "desk")
    assert secrets.read_key() == "pass/word+long"
    text = secrets.scrub("a pass/word+long b pass%2Fword%2Blong c sk-proj-abcdefghijklmnop d Bearer abcdefghijklmnop e")
    assert text == "a [hidden] b [hidden] c [hidden] d [hidden] e"
