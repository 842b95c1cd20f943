"""The rules take part in the tool loop as a model does, and say the same about the same."""

from __future__ import annotations

import asyncio
import json

import pytest

from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
from agentflow_kernel.errors import PeerUnavailable, ProtocolViolation

SEARCH = ToolInfo("logs.search", "Search.", {"type": "object"})


def task(**facts):
    suspect = {
        "address": "203.0.113.7",
        "failed_passwords": 3,
        "users": ["root"],
        "user_count": 1,
        "first": "Mar  3 06:00:15",
        "last": "Mar  3 06:10:15",
        "lines": [3],
        "logins": {"count": 0, "users": [], "lines": []},
        "seen_before": None,
    }
    return {"log": {"path": "auth.log", "lines": 500}, "suspect": suspect | facts}


@pytest.fixture
def rules(module):
    return module("rules").RulesProvider({"medium": 5, "high": 20}, None)


def turn(rules, *messages: Message, tools=(SEARCH,)):
    return asyncio.run(rules.complete(ModelRequest(messages, tools=tools)))


def ask(**facts) -> Message:
    return Message("user", json.dumps(task(**facts)))


def matches(*lines: str, **kind) -> Message:
    found = [{"line": number, "text": text} for number, text in enumerate(lines, start=1)]
    return Message("tool", json.dumps({"matches": found}), call_id="search-1", **kind)


def verdict(rules, *messages: Message, **options):
    reply = turn(rules, *messages, **options)
    assert (reply.stop_reason, reply.message.calls) == ("end", ())
    return json.loads(reply.message.text)


def test_the_first_turn_searches_the_log_for_the_address(rules) -> None:
    reply = turn(rules, Message("system", "Be {brief}."), ask())
    (call,) = reply.message.calls
    assert reply.stop_reason == "tool_calls"
    assert call.name == "logs.search"
    assert call.arguments == {"path": "auth.log", "pattern": "203.0.113.7", "max_matches": 40}


def test_the_second_turn_is_the_verdict_with_what_was_found(rules) -> None:
    found = verdict(rules, ask(), matches("Invalid user x from 203.0.113.7", "Invalid user x from 203.0.113.70"))
    assert found["evidence"] == [1, 3]
    assert "users that do not exist" in found["summary"]
    assert found == verdict(rules, ask(), matches("Invalid user x from 203.0.113.7"))


@pytest.mark.parametrize(
    "text", ["Invalid user x from 203.0.113.70", "Invalid user x from 1203.0.113.7", "x from 203.0.113.7.example.net"]
)
def test_lines_of_longer_addresses_are_no_evidence(rules, text: str) -> None:
    assert verdict(rules, ask(), matches(text))["evidence"] == [3]


def test_without_a_search_the_verdict_comes_at_once(rules) -> None:
    assert verdict(rules, ask(), tools=())["evidence"] == [3]


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Message("tool", "No such file.", is_error=True), "could not be searched: No such file."),
        (Message("tool", '{"matches": [{"li[cut off'), "more of it than the search could show"),
    ],
)
def test_a_search_that_failed_leaves_what_is_known_and_is_told(rules, found: Message, problem: str) -> None:
    answer = verdict(rules, ask(), found)
    assert answer["evidence"] == [3]
    assert problem in answer["summary"]


def test_lines_added_since_the_log_was_read_do_not_count(rules) -> None:
    later = json.dumps({"matches": [{"line": 501, "text": "Invalid user x from 203.0.113.7"}]})
    found = verdict(rules, ask(), Message("tool", later))
    assert found["evidence"] == [3]
    assert "The log also says" not in found["summary"]


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"failed_passwords": 4}, "low"),
        ({"failed_passwords": 5}, "medium"),
        ({"failed_passwords": 20}, "high"),
        ({"failed_passwords": 4, "user_count": 5}, "medium"),
        ({"failed_passwords": 19, "seen_before": {"runs": 1, "failed_passwords": 1, "last": "x"}}, "high"),
        ({"failed_passwords": 999, "user_count": 99}, "high"),
        ({"failed_passwords": 1, "logins": {"count": 1, "users": ["a"], "lines": [9]}}, "medium"),
        ({"failed_passwords": 5, "logins": {"count": 1, "users": ["a"], "lines": [9]}}, "critical"),
        ({"failed_passwords": 5, "logins": {"count": 6, "users": ["a"], "lines": [9]}}, "medium"),
    ],
)
def test_the_severity_follows_from_the_facts(rules, facts, severity: str) -> None:
    assert verdict(rules, ask(**facts), matches())["severity"] == severity


def test_a_login_is_told_with_its_account_and_line(rules) -> None:
    found = verdict(rules, ask(failed_passwords=9, logins={"count": 1, "users": ["a"], "lines": [9]}), matches())
    assert "got in 1 time, as 'a'" in found["summary"]
    assert found["evidence"] == [3, 9]
    assert "lock it" in found["advice"]


def test_the_verdict_fits_the_schema_of_the_manifest(rules, walk) -> None:
    schema = walk.agent["output_schema"]
    found = verdict(rules, ask(), matches())
    assert set(found) == set(schema["required"]) == set(schema["properties"])
    assert found["severity"] in schema["properties"]["severity"]["enum"]


def test_a_task_that_is_none_is_refused(rules) -> None:
    with pytest.raises(ProtocolViolation, match="'log' and 'suspect'"):
        turn(rules, Message("user", "Hello"))


def test_closed_rules_refuse(rules) -> None:
    asyncio.run(rules.aclose())
    asyncio.run(rules.aclose())
    with pytest.raises(PeerUnavailable):
        turn(rules, ask())
