"""Loading: what a document may not say, each with its code, all of it at once, and within bounds."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from probes import NO, ON, YES, S, ticks

from agentflow_kernel.errors import PlanError, PlanInvalid
from agentflow_planner_bt.tree import Tree


def codes(source, leaves=None) -> list[str]:
    """The codes of what is wrong."""
    with pytest.raises(PlanInvalid) as caught:
        Tree.load(source, leaves)
    return [finding.code for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("code", "document"),
    [
        ("P001", 5),
        ("P001", []),
        ("P001", {}),
        ("P001", {"roots": YES}),
        ("P001", {"root": YES, "colour": 1}),
        ("P001", {"root": 5}),
        ("P001", {"root": [YES]}),
        ("P001", {"root": YES, "semantics": "cpp"}),
        ("P001", {"root": YES, "tick_every_s": 0}),
        ("P001", {"root": YES, "errors": "ignore"}),
        ("P001", {"root": YES, "enums": {"A": []}}),
        ("P001", {"root": YES, "blackboard": {"a b": 1}}),
        ("P001", {"root": YES, "blackboard": [1]}),
        ("P001", {"root": YES, "leaves": {"a": {"x": {"in": "word"}}}}),
        ("P001", {"root": YES, "leaves": {"a": {"x": {}}}}),
        ("P001", {"root": YES, "leaves": {"a": {"x": {"in": "any", "out": "any"}}}}),
        ("P001", {"root": YES, "leaves": {"a": 5}}),
        ("P001", {"root": YES, "leaves": {"a": {"name": {"in": "any"}}}}),
        ("P001", {"root": YES, "leaves": {"a/b": None}}),
        ("P001", {"trees": {"root": YES}, "main": "root"}),
        ("P001", {"trees": {"a b": YES}, "main": "a b"}),
        ("P001", {"trees": {"main": {"root": YES, "port": {}}}}),
        ("P001", {"sequence": []}),
        ("P001", {"sequence": None}),
        ("P001", {"sequence": YES}),
        ("P001", {"inverter": None}),
        ("P001", {"inverter": [YES, YES]}),
        ("P001", {"inverter": []}),
        ("P001", {"if_then_else": [YES]}),
        ("P001", {"if_then_else": [YES] * 4}),
        ("P001", {"try_catch": [YES]}),
        ("P001", {"always_success": [YES]}),
        ("P001", {"always_success": 5}),
        ("P001", {**YES, "always_failure": None}),
        ("P001", {**YES, "name": 5}),
        ("P001", {**YES, "name": "a\x07b"}),
        ("P001", {**YES, "name": "a/b"}),
        ("P001", {**YES, "name": "a#1"}),
        ("P001", {"root": YES, "leaves": {"a#1": None}}),
        ("P001", {"root": YES, "tick_every_s": float("inf")}),
        ("P001", {"root": YES, "tick_every_s": 10**400}),
        ("P001", {**YES, "skip_if": 5}),
        ("P001", {**YES, "errors": "ignore"}),
        ("P001", {"root": {"subtree": "a", "ports": [1]}, "trees": {"a": YES}}),
        ("P001", {"root": {"subtree": "a", "ports": {"_x": 1}}, "trees": {"a": YES}}),
        ("P001", {"semantics": "py_trees", "root": {**YES, "skip_if": "true"}}),
        ("P002", {"root": YES, "trees": {"main": YES}}),
        ("P002", {"root": YES, "trees": {"sequence": YES}}),
        ("P002", {"root": YES, "leaves": {"sequence": None}}),
        ("P002", {"script": {"code": "x := 1"}, "code": "x := 2"}),
        ("P003", {"root": {"sequense": [YES]}}),
        ("P003", {"sequence": ["unheard_of"]}),
        ("P003", {"semantics": "py_trees", "root": {"reactive_sequence": [YES]}}),
        ("P004", {"script": "x = "}),
        ("P004", {"script": None}),
        ("P004", {"check": "1 +"}),
        ("P004", {**YES, "skip_if": "a b"}),
        ("P004", {**YES, "on_success": "5"}),
        ("P004", {"set": {"key": "{a}"}}),
        ("P004", {"set": {"key": 5, "value": 1}}),
        ("P004", {"set": {"key": "{a.b}", "value": 1}}),
        ("P004", {"switch": [YES, YES], "variable": "x", "cases": []}),
        ("P004", {"switch": [YES, YES], "variable": "x", "cases": ["a", "b"]}),
        ("P004", {"condition": YES, "status": "maybe"}),
        ("P004", {"one_shot": YES, "policy": "never"}),
        ("P004", {"scripted": ["maybe"]}),
        ("P004", {"scripted": ["IDLE"]}),
        ("P004", {"scripted": []}),
        ("P004", {"wait": None}),
        ("P004", {"wait": {"seconds": 1, "signal": "x"}}),
        ("P004", {"tool": None}),
        ("P004", {"sleep": "soon"}),
        ("P004", {"sleep": -1}),
        ("P004", {"sleep": {"seconds": None}}),
        ("P004", {"timeout": YES, "seconds": -0.5}),
        ("P004", {"timeout": YES, "msec": "-1"}),
        ("P004", {"timeout": YES, "seconds": float("nan")}),
        ("P004", {"delay": YES, "seconds": float("inf")}),
        ("P004", {"delay": YES, "seconds": "1e999"}),
        ("P004", {"delay": YES, "msec": 10**400}),
        ("P004", {"model": "x", "tools": [["a"]]}),
        ("P004", {"model": "x", "tools": 5}),
        ("P004", {"root": YES, "leaves": {"a": None}, "trees": {"b": "a"}}),
        ("P005", {"root": YES, "main": "other"}),
        ("P005", {"trees": {"a": YES, "b": YES}}),
        ("P005", {"sequence": [YES], "memory": True}),
        ("P005", {"always_success": {"x": 1}}),
        ("P005", {"subtree": "missing"}),
        ("P006", {"trees": {"main": {"subtree": "main"}}}),
        ("P006", {"trees": {"main": {"inverter": {"subtree": "b"}}, "b": {"sequence": [YES, {"subtree": "main"}]}}}),
    ],
)
def test_every_fault_has_its_code(code, document) -> None:
    found = codes(document)
    assert found == [code] * len(found)


def test_all_faults_are_found_at_once_with_their_places() -> None:
    faulty = [{"sequense": []}, {"retry": YES}, {**NO, "skip_if": "("}, {"inverter": []}, {"subtree": "x"}]
    with pytest.raises(PlanInvalid) as caught:
        Tree.load({"trees": {"main": {"sequence": faulty}}, "colour": "red"})
    assert [(finding.code, finding.pointer) for finding in caught.value.findings] == [
        ("P001", "/colour"),
        ("P003", "/trees/main/sequence/0"),
        ("P001", "/trees/main/sequence/3/inverter"),
        ("P004", "/trees/main/sequence/1"),
        ("P004", "/trees/main/sequence/2"),
        ("P005", "/trees/main/sequence/4"),
    ]


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(PlanInvalid, match="Did you mean 'sequence'"):
        Tree.load({"root": {"sequense": [YES]}})
    with pytest.raises(PlanInvalid, match="Did you mean 'check_door'"):
        Tree.load({"sequence": ["chek_door"]}, {"check_door": lambda: True})


def test_a_cycle_of_subtrees_is_named() -> None:
    with pytest.raises(PlanInvalid, match=r"The tree 'a' holds itself: a -> b -> a. \[P006\]"):
        Tree.load({"trees": {"a": {"subtree": "b"}, "b": {"subtree": "a"}}, "main": "a"})


def test_trees_that_the_main_tree_does_not_use_are_checked_too() -> None:
    assert codes({"root": YES, "trees": {"b": {"check": "("}}}) == ["P004"]


def test_names_that_would_make_paths_ambiguous_are_refused() -> None:
    first = {"sequence": [{**YES, "name": "x"}], "name": "a"}
    assert codes({"sequence": [first, {**NO, "name": "a/x"}]}) == ["P001"]
    assert codes({"sequence": [YES, YES, {**NO, "name": "always_success#1"}]}) == ["P001"]
    with pytest.raises(PlanInvalid, match="'a/b' cannot be the name of a leaf"):
        Tree.load("a/b", {"a/b": lambda: True})
    with pytest.raises(PlanInvalid, match="'a/x' cannot be the name of a node: '/' is reserved"):
        Tree.load('<root BTCPP_format="4"><BehaviorTree ID="A"><AlwaysSuccess name="a/x"/></BehaviorTree></root>')


class TestBounds:
    def test_a_document_of_20_000_nodes_is_read(self) -> None:
        count = 0

        def leaf() -> bool:
            nonlocal count
            count += 1
            return True

        assert ticks({"sequence": ["leaf"] * 19_999}, 1, {"leaf": leaf}) == [S]
        assert count == 19_999

    def test_one_of_100_000_is_refused(self) -> None:
        assert set(codes({"sequence": ["always_success"] * 100_000})) == {"P011"}

    def test_subtrees_that_multiply_are_refused(self) -> None:
        trees = {f"t{n}": {"sequence": [{"subtree": f"t{n + 1}"}] * 10} for n in range(9)}
        assert set(codes({"trees": {**trees, "t9": YES}, "main": "t0"})) == {"P011"}

    @pytest.mark.parametrize("depth", [200, 255])
    def test_deep_trees_run(self, depth) -> None:
        tree = YES
        for _ in range(depth):
            tree = {"inverter": tree}
        assert ticks(tree) == [S if depth % 2 == 0 else "FAILURE"]

    @pytest.mark.parametrize("depth", [256, 5_000])
    def test_deeper_ones_are_refused(self, depth) -> None:
        tree = YES
        for _ in range(depth):
            tree = {"inverter": tree}
        assert codes(tree) == ["P011"]

    def test_depth_counts_subtrees_too(self) -> None:
        trees = {f"t{n}": {"subtree": f"t{n + 1}"} for n in range(300)}
        assert set(codes({"trees": {**trees, "t300": YES}, "main": "t0"})) == {"P011"}

    def test_a_deep_text_is_refused(self) -> None:
        assert codes("[" * 10_000) == ["P011"]

    def test_yaml_that_repeats_itself_by_aliases_is_refused(self) -> None:
        lines = ["trees:", "  main: &a0 {sequence: [always_success, always_success]}"]
        lines += [f"  t{n}: &a{n} {{sequence: [" + ", ".join([f"*a{n - 1}"] * 10) + "]}" for n in range(1, 12)]
        assert set(codes("\n".join(lines))) == {"P011"}

    def test_a_text_that_holds_itself_is_refused(self) -> None:
        assert codes("&a {sequence: [*a]}") == ["P001"]

    def test_a_text_that_is_too_long_is_refused(self) -> None:
        assert codes("#" * 16_000_001) == ["P011"]

    def test_a_guarded_tree_that_is_too_deep_for_the_stack_is_an_error(self) -> None:
        tree = ON
        for _ in range(200):
            tree = {"inverter": tree, "while": "true", "errors": "raise", "post": "x := 1"}
        loaded = Tree.load(tree)

        def deeper(levels: int) -> None:
            if levels:
                deeper(levels - 1)
            else:
                loaded.tick()

        with pytest.raises(PlanError, match="too deep for this stack"):
            deeper(600)


class TestSources:
    DOCUMENT: ClassVar = {"root": {"sequence": [{"script": "x := 1"}]}}

    def test_texts_and_files(self, tmp_path) -> None:
        text = json.dumps(self.DOCUMENT)
        path = tmp_path / "tree.yaml"
        path.write_text(text, encoding="utf-8")
        for source in (self.DOCUMENT, text, path, str(path)):
            assert ticks(source) == [S]

    def test_what_is_no_yaml(self) -> None:
        assert codes("a: [") == ["P001"]
        assert codes("!!python/object/apply:os.system ['true']") == ["P001"]
        assert codes("just text") == ["P001"]

    def test_a_file_that_is_not_there(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError):
            Tree.load(tmp_path / "none.yaml")

    def test_main_may_be_chosen(self) -> None:
        document = {"trees": {"main": NO, "other": YES}}
        assert ticks(document, main="other") == [S]
        with pytest.raises(PlanInvalid, match="Unknown tree 'third'"):
            Tree.load(document, main="third")

    def test_selector_is_another_word_for_fallback(self) -> None:
        assert ticks({"selector": [NO, YES]}) == [S]

    def test_a_leaf_may_be_a_name_alone(self) -> None:
        assert ticks({"sequence": ["always_success", {"always_success": None}, {"always_success": {}}]}) == [S]
