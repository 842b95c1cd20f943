"""Tool calls put together from fragments, as the vendor and the servers that follow it send them."""

from __future__ import annotations

import pytest

from agentflow_http.names import ToolNames
from agentflow_kernel.contracts.provider import ToolInfo
from agentflow_openai._calls import Calls

NAMES = ToolNames([ToolInfo("files.read", "", {}), ToolInfo("files.list", "", {})])


def fragment(index=None, id=None, name=None, arguments=None, **more) -> dict:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    document = {"function": function, **more}
    if index is not None:
        document["index"] = index
    if id is not None:
        document["id"] = id
    return document


def read(*deltas: list[dict], reply_id: str = "chatcmpl-abc123") -> list[tuple]:
    calls = Calls()
    for delta in deltas:
        calls.add(delta)
    return [(call.id, call.name, call.arguments) for call in calls.read(NAMES, reply_id)]


def test_fragments_of_parallel_calls_are_told_apart_by_index() -> None:
    """As in the vendor's reference: id and name once, then pieces of the arguments, in any order."""
    found = read(
        [fragment(0, "call_a", "files__read", "", type="function")],
        [fragment(0, arguments='{"pa')],
        [fragment(1, "call_b", "files__list", "", type="function")],
        [fragment(1, arguments='{"path": "logs"}'), fragment(0, arguments='th": "a.log"}')],
    )
    assert found == [("call_a", "files.read", {"path": "a.log"}), ("call_b", "files.list", {"path": "logs"})]


def test_one_index_for_all_calls_is_told_apart_by_id() -> None:
    """As Ollama does for models without a parser of their own."""
    found = read(
        [fragment(0, "call_a", "files__read", '{"path": "a"}')], [fragment(0, "call_b", "files__read", '{"path": "b"}')]
    )
    assert found == [("call_a", "files.read", {"path": "a"}), ("call_b", "files.read", {"path": "b"})]


def test_calls_without_index_and_id_begin_with_a_name() -> None:
    found = read(
        [fragment(name="files__read", arguments='{"path": "a"}'), fragment(name="files__read", arguments="{}")],
        [fragment(name="files__list"), fragment(arguments='{"path":'), fragment(arguments=' "b"}')],
    )
    assert [(name, arguments) for _, name, arguments in found] == [
        ("files.read", {"path": "a"}),
        ("files.read", {}),
        ("files.list", {"path": "b"}),
    ]


def test_a_fragment_without_index_finds_its_call_by_id() -> None:
    found = read(
        [fragment(id="a", name="files__read", arguments='{"path":'), fragment(id="b", name="files__list")],
        [fragment(id="a", arguments=' "x"}'), fragment(id="b", arguments="{}")],
    )
    assert found == [("a", "files.read", {"path": "x"}), ("b", "files.list", {})]


def test_a_name_or_id_that_is_repeated_or_renewed_begins_no_other_call() -> None:
    """Some servers repeat the name in each fragment, others make a new id for each."""
    assert read([fragment(0, "a", "files__read", '{"path":')], [fragment(0, "a", "files__read", ' "x"}')]) == [
        ("a", "files.read", {"path": "x"})
    ]
    assert read([fragment(0, "a", "files__read", '{"path":')], [fragment(0, "z", "", ' "x"}')]) == [
        ("a", "files.read", {"path": "x"})
    ]
    assert read(
        [fragment(0, name="files__read", arguments='{"p')], [fragment(0, name="files__read", arguments='":1}')]
    )[0][1:] == ("files.read", {"p": 1})


def test_missing_ids_are_made_from_the_replys_own() -> None:
    """So that two turns of one conversation do not share them."""
    first = read([fragment(0, name="files__read"), fragment(1, name="files__list")])
    other = read([fragment(0, name="files__read")], reply_id="chatcmpl-def456")
    assert [call[0] for call in first] == ["call_atcmplabc123_0", "call_atcmplabc123_1"]
    assert other[0][0] not in {call[0] for call in first}
    assert read([fragment(0, name="files__read")], reply_id="")[0][0] == "call_0"


def test_repeated_ids_are_lengthened() -> None:
    found = read([fragment(0, "x", "files__read", "{}"), fragment(1, "x", "files__list", "{}")])
    assert [call[0] for call in found] == ["x", "x-1"]


@pytest.mark.parametrize("text", ['{"path": "a"', "not json", '{"n": NaN}', '"text"', "[1]", '{"a": "\\ud800"}'])
def test_malformed_arguments_are_handed_on_as_no_object(text) -> None:
    """The planner knows a malformed call by arguments that are no object."""
    ((_, _, arguments),) = read([fragment(0, "a", "files__read", text)])
    assert not isinstance(arguments, dict)


@pytest.mark.parametrize("arguments", ["", " ", None, "{}"])
def test_no_arguments_are_an_empty_object(arguments) -> None:
    assert read([fragment(0, "a", "files__read", arguments)]) == [("a", "files.read", {})]


def test_arguments_that_come_as_an_object_are_taken() -> None:
    assert read([fragment(0, "a", "files__read", {"path": "x"})]) == [("a", "files.read", {"path": "x"})]


def test_a_tool_that_nobody_offered_keeps_its_name() -> None:
    assert read([fragment(0, "a", "shell__run", "{}")])[0][1] == "shell.run"


def test_the_older_form_is_one_call_without_id() -> None:
    calls = Calls()
    calls.add_function({"name": "files__read", "arguments": '{"path"'})
    calls.add_function({"arguments": ': "x"}'})
    (call,) = calls.read(NAMES, "r1")
    assert (call.id, call.name, call.arguments) == ("call_r1_0", "files.read", {"path": "x"})


@pytest.mark.parametrize("junk", [None, "text", [None], [1], [{"function": None, "index": "0"}], [{}]])
def test_what_has_not_the_form_of_a_call_breaks_nothing(junk) -> None:
    calls = Calls()
    calls.add(junk)
    assert all(call.arguments == {} for call in calls.read(NAMES))
