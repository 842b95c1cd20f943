"""Typed keys: their defaults, types, schemas and scopes, as a visit meets them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from agentflow_kernel import Flow, StateKey
from agentflow_kernel.errors import StateConflict, StateInvalid, UsageError
from agentflow_kernel.flow import SharedState

COUNT = StateKey("count", int, default=0)
SEEN = StateKey("seen", list[str], default=[], reducer="append")
LATER: StateKey[str] = StateKey("later", str)


class Order(BaseModel):
    """A value that is kept as JSON."""

    item: str
    amount: int = Field(gt=0)


ORDER = StateKey("order", Order)


def state_of(*keys: StateKey[Any], **options: Any) -> SharedState:
    """The state of a flow that declares these keys."""
    flow = Flow("f").keeps(*keys, **options)
    return SharedState(flow.begin_state(), flow.rules)


def test_a_key_has_its_default_until_it_is_written() -> None:
    """Also by its name, in a snapshot, and after a deletion; the default itself is never shared."""
    view = state_of(COUNT, SEEN).view("n")
    assert (view.get(COUNT), view.get("count"), view.snapshot()) == (0, 0, {"count": 0, "seen": []})
    view.get(SEEN).append("x")
    assert state_of(COUNT, SEEN).view("n").get(SEEN) == []
    view.delete(COUNT)
    assert (view.get(COUNT), COUNT in view, view.get(COUNT, 7)) == (0, False, 7)


def test_a_key_without_a_default_must_be_written_before_it_is_read() -> None:
    """``None`` would be a lie about its type."""
    view = state_of(LATER).view("n")
    with pytest.raises(UsageError, match="State key 'later' has no value yet, and no default"):
        view.get(LATER)
    assert view.get(LATER, "x") == "x"
    view.set(LATER, "now")
    assert view.get(LATER) == "now"


@pytest.mark.parametrize(
    ("key", "value", "path", "problem"),
    [
        (COUNT, "many", "", "must be integer, not string"),
        (SEEN, ["a", 1], "/1", "must be string, not number"),
        (StateKey("k", schema={"properties": {"a/b": {"maximum": 3}}}), {"a/b": 4}, "/a~1b", "must be at most 3"),
        (ORDER, {"item": "x", "amount": 0}, "/amount", "Input should be greater than 0"),
        (StateKey("k", dict[str, int] | None), {"a": "x"}, "/a", "must be integer, not string"),
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(key: Any, value: object, path: str, problem: str) -> None:
    """The error names key, node and place; keys written beside it stay as they were."""
    state = state_of(key, StateKey("other"))
    view = state.view("parse")
    view.set("other", 1)
    view.set(key, value)
    before = state.snapshot()
    with pytest.raises(StateInvalid, match=problem) as caught:
        view.commit()
    assert (caught.value.key, caught.value.node, caught.value.path) == (key.name, "parse", path)
    assert (state.snapshot(), state.version) == (before, 0)


def test_a_model_goes_in_and_comes_out_and_is_json_between() -> None:
    """Records hold JSON only."""
    state = state_of(ORDER)
    view = state.view("n")
    view.set(ORDER, Order(item="x", amount=2))
    assert view.commit() == {"order": [{"item": "x", "amount": 2}]}
    assert state.view("m").get(ORDER) == Order(item="x", amount=2)


@pytest.mark.parametrize("how", ["schema", "model"])
def test_the_state_as_a_whole_can_be_bound(how: str) -> None:
    """Keys may depend on each other."""

    class Whole(BaseModel):
        low: int = 0
        list_: list[int] = Field([], alias="a/b")

    schema = {"properties": {"low": {"type": "integer"}, "a/b": {"items": {"type": "integer"}}}, "maxProperties": 2}
    state = state_of(**({"schema": schema} if how == "schema" else {"model": Whole}))
    view = state.view("n")
    view.update({"low": 1, "a/b": [1, "x"]})
    with pytest.raises(StateInvalid) as caught:
        view.commit()
    assert (caught.value.key, caught.value.path, caught.value.node) == ("a/b", "/1", "n")
    view.update({"a/b": [1]})
    view.commit()
    assert state.snapshot() == {"low": 1, "a/b": [1]}


def test_other_keys_are_refused_once_one_is_declared() -> None:
    """A typing mistake is no new key."""
    view = state_of(COUNT).view("n")
    view.set("conut", 1)
    with pytest.raises(StateInvalid, match="State key 'conut', written by node 'n': is not declared; did you mean"):
        view.commit()
    with pytest.raises(UsageError, match=r"'seen' is not declared by this flow \(declared: 'count'\)"):
        view.set(SEEN, ["x"])
    with pytest.raises(UsageError, match="already declares the state key 'count'"):
        Flow("f").keeps(COUNT, COUNT)


def test_a_key_is_only_a_typed_name_where_nothing_is_declared() -> None:
    """But one with a reducer or scope would silently lose it."""
    view = SharedState().view("n")
    view.set(COUNT, 3)
    assert (view.get(COUNT), view.get("count")) == (3, 3)
    with pytest.raises(UsageError, match=r"'seen' is not declared .* Add it with .keeps"):
        view.get(SEEN)


def test_a_private_key_is_a_key_of_its_own_for_each_node() -> None:
    """Nobody else sees it, in no way; it is there again on the next visit."""
    turns = StateKey("turns", int, default=0, scope="node")
    state = state_of(turns)
    for node, times in (("a", 2), ("b", 1)):
        for _ in range(times):
            view = state.view(node)
            view.change(turns, lambda value: value + 1)
            view.commit()
    assert [state.view(node).get(turns) for node in "abc"] == [2, 1, 0]
    assert state.view("a").snapshot() == {"turns": 2}
    assert (state.view("c").snapshot(), state.snapshot()) == ({}, {})


def test_put_gives_a_value_to_the_reducer() -> None:
    """One after the other; set replaces."""
    state = state_of(SEEN)
    view = state.view("n")
    view.put(SEEN, "a")
    view.put(SEEN, "b")
    assert view.get(SEEN) == ["a", "b"]
    assert view.commit() == {"seen": [["a", "b"], "reduce"]}
    view = state.view("m")
    view.put("seen", "c")
    view.commit()
    assert state.snapshot() == {"seen": ["a", "b", "c"]}
    view = state.view("m")
    view.set(SEEN, [])
    with pytest.raises(UsageError, match="was set by this visit"):
        view.put(SEEN, "d")
    with pytest.raises(UsageError, match="'count' has no reducer"):
        state_of(COUNT).view("n").put(COUNT, 1)


def test_compare_and_set_goes_by_what_is_committed_now() -> None:
    """A visit that lost finds the new value and may try again; who was not first is told by name if it does not."""
    state = state_of(COUNT)
    one, other, third = state.view("one"), state.view("other"), state.view("third")
    assert one.compare_and_set(COUNT, 0, 1)
    one.commit()
    assert not other.compare_and_set(COUNT, 0, 5)
    assert other.get(COUNT) == 1
    assert other.compare_and_set(COUNT, 1, 2)
    assert third.compare_and_set("count", 1, 9)
    other.commit()
    with pytest.raises(StateConflict, match="'count' was written by 'other' and 'third'"):
        third.commit()
    assert state.snapshot() == {"count": 2}


def test_compare_and_set_tells_true_from_one_and_knows_absent_keys() -> None:
    """``None`` stands for a key that is not there."""
    view = SharedState({"flag": True}).view("n")
    assert not view.compare_and_set("flag", 1, 2)
    assert view.compare_and_set("new", None, 1)
    assert view.compare_and_set("new", 1, 2)
    assert view.diff() == {"new": [2]}


def test_compare_by_version() -> None:
    """A value that came back is not the same version."""
    state = SharedState({"k": 1})
    for value in (2, 1):
        view = state.view("n")
        view.set("k", value)
        view.commit()
    view = state.view("m")
    assert (view.version_of("k"), view.version_of("none"), view.version) == (2, 0, 2)
    assert not view.compare_version_and_set("k", 0, 5)
    assert view.compare_version_and_set("k", 2, 5)
    assert view.compare_version_and_set("none", 0, 5)


def test_differences_since_a_version() -> None:
    """Writes and deletions."""
    state = SharedState({"k": 1})
    for write in ({"a": [1]}, {"b": [2]}, {"a": [], "k": [3]}):
        state.commit((write,), node="n")
    assert state.diff() == {"a": [], "b": [2], "k": [3]}
    assert state.diff(2) == {"a": [], "k": [3]}


def test_only_a_state_key_can_be_declared() -> None:
    with pytest.raises(UsageError, match="'count' is no state key"):
        Flow("f").keeps("count")
