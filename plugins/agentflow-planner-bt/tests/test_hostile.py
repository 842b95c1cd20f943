"""Hostile and broken input: texts, files, mappings and snapshots that are refused with a typed error, in no time."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any, ClassVar

import pytest
from probes import ON, YES

from agentflow_kernel.contracts.planner import Observation, Task
from agentflow_kernel.errors import NewerSchema, PlanError, PlanInvalid, ProtocolViolation
from agentflow_planner_bt.btcpp import read_xml
from agentflow_planner_bt.planner import TreePlanner
from agentflow_planner_bt.tree import Tree


def codes(source: Any) -> set[str]:
    """The codes of what is wrong."""
    with pytest.raises(PlanInvalid) as caught:
        Tree.load(source)
    return {finding.code for finding in caught.value.findings}


def bomb(levels: int = 9) -> str:
    """A list in YAML that aliases make ten times as large on each level."""
    lists = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"&a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)]
    return "{" + ", ".join(f"b{n}: {item}" for n, item in enumerate(lists)) + "}"


def shared(levels: int = 30) -> list[Any]:
    """A list that holds the same list ten times, and so on."""
    value: list[Any] = [1]
    for _ in range(levels):
        value = [value] * 10
    return value


def nested(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


class TestYaml:
    @pytest.mark.parametrize("depth", [20_000, 300_000])
    def test_a_deep_text_is_refused_and_ends_no_process(self, depth) -> None:
        assert codes("root: " + "[" * depth + "]" * depth) == {"P011"}

    def test_aliases_that_multiply_are_refused_wherever_they_stand(self) -> None:
        assert codes(f"blackboard: {bomb()}\nroot: always_success") == {"P011"}
        assert codes(f"root: {{tool: x.y, args: {bomb()}}}") == {"P011"}

    def test_a_key_that_is_there_twice_is_refused(self) -> None:
        assert codes("root: always_success\nroot: always_failure") == {"P002"}

    def test_dates_are_texts(self) -> None:
        assert codes("root: 2020-99-99") == {"P003"}
        tree = Tree.load("blackboard: {d: 2020-01-01}\nroot: always_success")
        assert tree.blackboard["d"] == "2020-01-01"

    def test_a_file_that_is_not_utf_8_is_refused(self, tmp_path) -> None:
        path = tmp_path / "tree.yaml"
        path.write_bytes(b"root: always_success # \xe9")
        assert codes(path) == {"P001"}
        path.write_bytes(b"\xff\xfe\xff")
        assert codes(path) == {"P001"}

    def test_a_byte_order_mark_is_no_part_of_the_text(self, tmp_path) -> None:
        path = tmp_path / "tree.yaml"
        path.write_bytes(b"\xef\xbb\xbfroot: always_success")
        assert Tree.load(path).tick() == "SUCCESS"


class TestXml:
    TEXT = '<root BTCPP_format="4"><BehaviorTree ID="A"><AlwaysSuccess name="é"{more}/></BehaviorTree></root>'

    @pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8", "UTF-16"])
    def test_a_file_is_read_in_the_encoding_that_it_declares(self, tmp_path, encoding) -> None:
        path = tmp_path / "tree.xml"
        text = f'<?xml version="1.0" encoding="{encoding}"?>' + self.TEXT.format(more="")
        path.write_bytes(text.encode(encoding))
        tree = Tree.load(path)
        assert (tree.tick(), list(tree.statuses())) == ("SUCCESS", ["A/é"])

    def test_what_its_own_parser_lets_pass_is_mended_in_every_encoding(self, tmp_path) -> None:
        path = tmp_path / "tree.xml"
        more = """ _skipIf="'é' != 'é' && 1 < 2\""""
        path.write_bytes(
            ('<?xml version="1.0" encoding="ISO-8859-1"?>' + self.TEXT.format(more=more)).encode("iso-8859-1")
        )
        assert Tree.load(path).tick() == "SUCCESS"

    @pytest.mark.parametrize("encoding", ["unheard-of", "zlib_codec", "UTF-8"])
    def test_octets_that_cannot_be_decoded_are_a_finding(self, tmp_path, encoding) -> None:
        path = tmp_path / "tree.xml"
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + b"<root \xff='1'/>")
        assert codes(path) == {"P001"}

    def test_included_files_are_read_in_their_encoding_too(self, tmp_path) -> None:
        (tmp_path / "other.xml").write_bytes(
            ('<?xml version="1.0" encoding="ISO-8859-1"?>' + self.TEXT.format(more="")).encode("iso-8859-1")
        )
        main = tmp_path / "main.xml"
        main.write_text('<root BTCPP_format="4"><include path="other.xml"/></root>', encoding="utf-8")
        assert list(Tree.load(main).statuses()) == ["A/é"]

    def test_deep_json_in_an_attribute_is_a_finding(self) -> None:
        with pytest.raises(PlanInvalid, match="holds no JSON"):
            read_xml(self.TEXT.format(more=f' x="json:{"[" * 100_000}"'))


class TestMappings:
    def test_values_that_are_shared_count_as_often_as_they_are_copied(self) -> None:
        for value in (shared(), {"x": shared()}):
            assert codes({"root": YES, "blackboard": {"x": value}}) == {"P011"}
            assert codes({"tool": "x.y", "args": {"x": value}}) == {"P011"}
            assert codes({"root": YES, "semantics": value}) == {"P011"}

    def test_one_that_holds_itself_is_refused(self) -> None:
        value: list[Any] = []
        value.append(value)
        assert codes({"root": YES, "blackboard": {"x": value}}) == {"P011"}
        node: dict[str, Any] = {}
        node["sequence"] = [node]
        assert codes(node) == {"P011"}

    def test_deep_values_are_refused(self) -> None:
        assert Tree.load({"root": YES, "blackboard": {"x": nested(64)}}).tick() == "SUCCESS"
        assert codes({"root": YES, "blackboard": {"x": nested(65)}}) == {"P001"}
        assert codes({"tool": "x.y", "args": nested(65)}) == {"P004"}

    @pytest.mark.parametrize(
        "value", [dt.date(2020, 1, 1), {1}, b"x", float("nan"), float("inf"), {1: 2}, (1,), object()]
    )
    def test_what_is_no_json_is_found_when_the_tree_is_loaded(self, value) -> None:
        for given in (value, [value], {"x": [value]}):
            assert codes({"root": YES, "blackboard": {"x": given}}) == {"P001"}
            assert codes({"tool": "x.y", "args": {"x": given}}) == {"P004"}
            assert codes({"root": YES, "leaves": {"a": {"x": {"in": "any", "default": given}}}}) == {"P001"}

    @pytest.mark.parametrize("value", [["x"], {"x": 1}, 5, None])
    def test_fields_of_another_type_are_found(self, value) -> None:
        assert codes({"root": YES, "semantics": value}) == {"P001"}
        assert codes({"root": YES, "main": value}) == {"P001"}


BROKEN = ("bad", None, 5, -1, 1.5, True, [], [1], ["x"], {}, {"x": 1}, [[]], [{"x": 1}], {"x": "y"}, float("nan"))


class TestSnapshots:
    DOCUMENT: ClassVar[dict[str, Any]] = {
        "root": {"parallel": [{"sequence": [{"script": "x := [1]"}, {"sleep": 5}]}, {"tool": "x.y"}], "success": 2},
        "blackboard": {"y": 1},
    }

    def tree(self) -> Tree:
        """One that is RUNNING, with a timer and an action that nobody has taken."""
        tree = Tree.load(self.DOCUMENT)
        tree.advance(1.5)
        tree.tick()
        return tree

    @pytest.mark.parametrize("snapshot", [None, 5, "x", [], {}, {"version": "1"}, {"version": True}, {"version": 0}])
    def test_what_is_no_snapshot_is_refused(self, snapshot) -> None:
        with pytest.raises(ProtocolViolation, match="no stored run") as caught:
            self.tree().restore(snapshot)
        assert not isinstance(caught.value, NewerSchema)

    def test_every_field_is_looked_at_before_any_is_set(self) -> None:
        whole, tree = self.tree().snapshot(), Tree.load(self.DOCUMENT)
        before = json.dumps(tree.snapshot())
        refused = dict.fromkeys(whole, 0)
        for name in whole:
            for value in (*BROKEN, "gone"):
                changed = {key: item for key, item in whole.items() if key != name}
                if value != "gone":
                    changed[name] = value
                try:
                    tree.restore(changed)
                except (ProtocolViolation, PlanError):
                    refused[name] += 1
                else:  # a value that fits: what was restored can be stored again and ticked
                    json.dumps(tree.snapshot(), allow_nan=False)
                    tree = Tree.load(self.DOCUMENT)
                assert json.dumps(tree.snapshot()) == before, (name, value)
        assert min(refused.values()) >= len(BROKEN) - 3, refused

    def test_the_memory_has_as_many_cells_as_the_tree_and_each_holds_its_kind(self) -> None:
        whole, tree = self.tree().snapshot(), Tree.load(self.DOCUMENT)
        memory = whole["memory"]
        wrong = [memory[:-1], [*memory, 0], *([*memory[:n], "x", *memory[n + 1 :]] for n in (0, 1, 2))]
        for cells in wrong:
            with pytest.raises(ProtocolViolation, match="'memory'"):
                tree.restore({**whole, "memory": cells})

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("open", lambda value: value.update(other=1_000_000)),
            ("open", lambda value: value.update(other=-1)),
            ("starts", lambda value: value[0].pop("name")),
            ("starts", lambda value: value[0].update(arguments=[])),
            ("entries", lambda value: value[0].pop("x")),
            ("entries", lambda value: value[0].update(x=["word", 1])),
            ("entries", lambda value: value[0].update(x=["array", -1])),
            ("entries", lambda value: value[0].update(x=[["array"], 1])),
            ("scopes", lambda value: value[0].update({1: 2})),
        ],
    )
    def test_what_the_fields_hold_is_looked_at_too(self, name, change) -> None:
        snapshot = copy.deepcopy(self.tree().snapshot())
        change(snapshot[name])
        with pytest.raises(ProtocolViolation):
            Tree.load(self.DOCUMENT).restore(snapshot)

    def test_one_that_is_too_deep_is_refused(self) -> None:
        snapshot = self.tree().snapshot()
        snapshot["scopes"][0]["x"] = nested(5_000)
        with pytest.raises(ProtocolViolation, match="too deeply"):
            Tree.load(self.DOCUMENT).restore(snapshot)

    @pytest.mark.parametrize(
        "change", [{"version": None}, {"started": 1}, {"ended": None}, {"timer": "x"}, {"machine": None}, None]
    )
    def test_so_does_the_planner(self, change) -> None:
        planner = TreePlanner()
        task = Task("t", plan=planner.read({"sequence": [ON, {"tool": "x.y"}]}))
        state = planner.begin(task)
        planner.step(state, Observation("started"))
        stored: Any = planner.dump(state)
        planner.load(task, stored)
        with pytest.raises(ProtocolViolation):
            planner.load(task, None if change is None else {**stored, **change})
