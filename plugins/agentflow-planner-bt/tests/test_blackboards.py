"""Blackboards: scopes of subtrees, remapping, types, and what is not there."""

from __future__ import annotations

import pytest
from probes import ON, R, S, given, probes, ticks

from agentflow_kernel.errors import PlanError, PlanInvalid, UnknownName
from agentflow_planner_bt.tree import Tree


def with_subtree(body: str, ports: str = "{}", *, auto: bool = False) -> Tree:
    """A tree of one subtree with one script."""
    return Tree.load(
        {
            "trees": {
                "main": {"subtree": "sub", "ports": _mapping(ports), "autoremap": auto},
                "sub": {"script": body},
            },
        }
    )


def _mapping(text: str) -> dict[str, str]:
    pairs = [pair.split("=", 1) for pair in text.strip("{}").split(",") if pair]
    return {name.strip(): f"{{{value.strip()}}}" for name, value in pairs}


class TestScopes:
    def test_a_subtree_has_a_scope_of_its_own(self) -> None:
        tree = with_subtree("x := 1")
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {}]
        assert tree.blackboard_of("main/subtree").to_json() == {"x": 1}

    def test_a_remapped_name_is_the_entry_above(self) -> None:
        tree = with_subtree("x := y + 1", "{x=a, y=b}")
        tree.blackboard["b"] = 1
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"b": 1, "a": 2}]
        inner = tree.blackboard_of("main/subtree")
        assert [inner["x"], "x" in inner, inner.to_json()] == [2, True, {}]

    def test_what_is_not_remapped_is_not_seen(self) -> None:
        tree = with_subtree("x := y")
        tree.blackboard["y"] = 1
        with pytest.raises(PlanError, match="the data has no 'y'"):
            tree.tick()

    def test_autoremap_passes_the_same_names_but_not_private_ones(self) -> None:
        tree = with_subtree("x := y; _z := 1", auto=True)
        tree.blackboard["y"] = 1
        tree.tick()
        assert tree.blackboard.to_json() == {"y": 1, "x": 1}
        assert tree.blackboard_of("main/subtree").to_json() == {"_z": 1}

    def test_an_explicit_port_goes_before_autoremap(self) -> None:
        tree = with_subtree("x := 1", "{x=a}", auto=True)
        tree.tick()
        assert tree.blackboard.to_json() == {"a": 1}

    def test_at_reaches_the_root_from_any_depth(self) -> None:
        tree = Tree.load(
            {
                "trees": {
                    "main": {"subtree": "middle"},
                    "middle": {"subtree": "inner"},
                    "inner": {"sequence": [{"script": "@x := @y + 1"}, {"set": {"key": "@z", "value": "{@x}"}}]},
                }
            }
        )
        tree.blackboard["y"] = 1
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"y": 1, "x": 2, "z": 2}]

    def test_remapping_goes_through_several_levels(self) -> None:
        tree = Tree.load(
            {
                "trees": {
                    "main": {"subtree": "middle", "ports": {"b": "{a}"}},
                    "middle": {"subtree": "inner", "ports": {"c": "{b}"}},
                    "inner": {"script": "c := 5"},
                }
            }
        )
        tree.tick()
        assert tree.blackboard.to_json() == {"a": 5}

    def test_a_value_given_to_a_subtree_is_its_own_entry(self) -> None:
        tree = Tree.load(
            {
                "trees": {
                    "main": {"subtree": "sub", "ports": {"n": 5}, "autoremap": True},
                    "sub": {"script": "n += 1; m := n"},
                }
            }
        )
        tree.tick()
        assert [tree.blackboard.to_json(), tree.blackboard_of("main/subtree").to_json()] == [{"m": 6}, {"n": 6}]

    def test_a_subtree_that_is_used_twice_has_two_scopes(self) -> None:
        main = {"sequence": [{"subtree": "s"}, {"subtree": "s"}]}
        tree = Tree.load({"trees": {"main": main, "s": {"script": "x := 1"}}})
        tree.tick()
        tree.blackboard_of("main/sequence/subtree#1")["x"] = 7
        assert tree.blackboard_of("main/sequence/subtree#2")["x"] == 1

    def test_equals_means_the_entry_of_the_same_name(self) -> None:
        tree = Tree.load({"trees": {"main": {"subtree": "s", "ports": {"x": "{=}"}}, "s": {"script": "x := 1"}}})
        tree.tick()
        assert tree.blackboard["x"] == 1


class TestDeclaredPorts:
    @staticmethod
    def load(**ports):
        sub = {"ports": {"n": {"in": "integer"}}, "root": {"check": "n == 3"}}
        return Tree.load({"trees": {"main": {"subtree": "s", "ports": ports}, "s": sub}})

    def test_a_literal_is_converted(self) -> None:
        assert self.load(n="3").tick() == S

    def test_an_unknown_port_is_refused(self) -> None:
        with pytest.raises(PlanInvalid, match=r"The tree 's' has no port 'm'. It has: 'n'. \[P005\]"):
            self.load(m=1)

    def test_a_value_of_another_type_is_refused(self) -> None:
        with pytest.raises(PlanInvalid, match=r"port 'n': 'x' is no integer. \[P004\]"):
            self.load(n="x")

    def test_defaults_and_what_is_required(self) -> None:
        sub = {"ports": {"n": {"in": "integer", "default": 0}}, "root": {"check": "n == 0"}}
        assert ticks({"trees": {"main": {"subtree": "s"}, "s": sub}}) == [S]
        sub = {"ports": {"n": {"in": "integer", "required": True}}, "root": {"check": "n == 0"}}
        with pytest.raises(PlanInvalid, match=r"needs the port 'n'. \[P004\]"):
            Tree.load({"trees": {"main": {"subtree": "s"}, "s": sub}})


class TestTypes:
    def test_the_first_write_fixes_the_type(self) -> None:
        tree = Tree.load({"sequence": [{"script": "x := 1"}, {"script": "x := 1.5"}, {"script": "x := 'one'"}]})
        with pytest.raises(PlanError, match="main/sequence/script#3: the entry 'x' holds a number since"):
            tree.tick()
        assert tree.blackboard["x"] == 1.5

    def test_null_fits_every_type(self) -> None:
        tree = Tree.load({"script": "x := null; y := 1; y := null; y := 2; x := 'text'"})
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"x": "text", "y": 2}]

    def test_an_entry_that_was_unset_has_no_type(self) -> None:
        tree = Tree.load({"sequence": [{"script": "x := 1"}, {"unset": "{x}"}, {"script": "x := 'one'"}]})
        assert [tree.tick(), tree.blackboard["x"]] == [S, "one"]

    def test_users_write_json_too(self) -> None:
        board = Tree.load(ON).blackboard
        with pytest.raises(TypeError, match="JSON only"):
            board["x"] = object()
        with pytest.raises(TypeError, match="JSON only"):
            board["x"] = float("nan")
        with pytest.raises(KeyError, match="cannot be an entry"):
            board["a b"] = 1
        with pytest.raises(KeyError):
            board["missing"]
        with pytest.raises(KeyError):
            del board["missing"]
        board["x"] = [1]
        assert [list(board), board.get("y", 2), len(board), 5 in board] == [["x"], 2, 1, False]
        del board["x"]
        assert "x" not in board


class TestReferences:
    def test_paths_lead_into_values(self) -> None:
        tree = Tree.load({"set": {"key": "{n}", "value": {"total": "{order.items[1].price}", "all": ["{order}"]}}})
        tree.blackboard["order"] = {"items": [{"price": 1}, {"price": 2}]}
        tree.tick()
        assert tree.blackboard["n"] == {"total": 2, "all": [{"items": [{"price": 1}, {"price": 2}]}]}

    def test_an_absent_entry_is_an_error(self) -> None:
        with pytest.raises(PlanError, match=r"main/set: the blackboard has no \{a\}"):
            ticks({"set": {"key": "x", "value": "{a}"}})
        with pytest.raises(PlanError, match=r"main/repeat: the blackboard has no \{n\} for the port 'times'"):
            ticks({"repeat": ON, "times": "{n}"})
        with pytest.raises(PlanError, match="there is no 'b' in a"):
            Tree.load({"blackboard": {"a": {}}, "root": {"set": {"key": "x", "value": "{a.b}"}}}).tick()

    def test_the_document_may_set_entries_of_the_root(self) -> None:
        assert ticks({"blackboard": {"x": 3}, "root": {"check": "x == 3"}}) == [S]

    def test_enums_are_names_for_values(self) -> None:
        document = {"enums": {"RED": 1}, "root": {"sequence": [{"script": "c := RED"}, {"check": "c == RED"}]}}
        tree = Tree.load(document, enums={"BLUE": 2})
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"c": 1}]


def test_a_subtree_that_is_halted_midway_begins_at_its_first_node() -> None:
    log, leaves = probes(a=S, b="running")
    main = {"reactive_sequence": [given(S, "FAILURE", S), {"subtree": "s"}]}
    tree = Tree.load({"trees": {"main": main, "s": {"sequence": ["a", "b"]}}}, leaves)
    assert [tree.tick(), tree.tick(), tree.tick()] == [R, "FAILURE", R]
    assert [entry for entry in log if "start" in entry] == ["a.start", "b.start", "a.start", "b.start"]


def test_reset_forgets_everything_and_halts() -> None:
    log, leaves = probes(a="running")
    tree = Tree.load({"sequence": [{"run_once": {"script": "x := 1"}}, "a"]}, leaves)
    assert [tree.tick(), tree.blackboard.to_json()] == [R, {"x": 1}]
    tree.reset()
    assert [tree.status, tree.blackboard.to_json(), log[-1]] == ["IDLE", {}, "a.end IDLE"]
    assert [tree.tick(), tree.blackboard.to_json()] == [R, {"x": 1}]


def test_a_tree_is_used_again_after_its_end() -> None:
    assert ticks({"sequence": [given(S), given(R, S)]}, 4) == [R, S, R, S]


def test_an_unknown_subtree_path() -> None:
    with pytest.raises(UnknownName, match="Unknown subtree 'x'"):
        with_subtree("x := 1").blackboard_of("x")
