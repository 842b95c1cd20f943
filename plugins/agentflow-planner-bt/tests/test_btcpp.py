"""BehaviorTree.CPP: its XML is read as what it means there, refused where it is not sound, and written again."""

from __future__ import annotations

import pytest
from probes import F, K, R, S, given, ticks

from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_bt.btcpp import read_xml, write_xml
from agentflow_planner_bt.leaf import Leaf
from agentflow_planner_bt.port import Port
from agentflow_planner_bt.tree import Tree


def xml(body: str, *, id: str = "MainTree", more: str = "") -> str:
    """A file with one tree, and perhaps more below the root."""
    return f'<root BTCPP_format="4"><BehaviorTree ID="{id}">{body}</BehaviorTree>{more}</root>'


def codes(text: str) -> list[str]:
    """What is wrong with an XML."""
    with pytest.raises(PlanInvalid) as caught:
        Tree.load(text)
    return [finding.code for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        ("<Sequence><AlwaysSuccess/><AlwaysSuccess/></Sequence>", [S]),
        ("<AsyncSequence><AlwaysSuccess/><AlwaysFailure/></AsyncSequence>", [F]),
        ("<SequenceWithMemory><AlwaysSuccess/><AlwaysFailure/></SequenceWithMemory>", [F]),
        ("<ReactiveSequence><AlwaysSuccess/><AlwaysFailure/></ReactiveSequence>", [F]),
        ("<Fallback><AlwaysFailure/><AlwaysSuccess/></Fallback>", [S]),
        ("<AsyncFallback><AlwaysFailure/><AlwaysSuccess/></AsyncFallback>", [S]),
        ("<ReactiveFallback><AlwaysFailure/><AlwaysSuccess/></ReactiveFallback>", [S]),
        ('<Parallel success_count="1" failure_count="2"><AlwaysFailure/><AlwaysSuccess/></Parallel>', [S]),
        ('<ParallelAll max_failures="2"><AlwaysFailure/><AlwaysSuccess/></ParallelAll>', [S]),
        ("<IfThenElse><AlwaysFailure/><AlwaysFailure/><AlwaysSuccess/></IfThenElse>", [S]),
        ("<WhileDoElse><AlwaysFailure/><AlwaysFailure/><AlwaysSuccess/></WhileDoElse>", [S]),
        ("<TryCatch><AlwaysFailure/><AlwaysSuccess/></TryCatch>", [F]),
        ("<Inverter><AlwaysFailure/></Inverter>", [S]),
        ("<ForceSuccess><AlwaysFailure/></ForceSuccess>", [S]),
        ("<ForceFailure><AlwaysSuccess/></ForceFailure>", [F]),
        ('<Repeat num_cycles="3"><AlwaysSuccess/></Repeat>', [S]),
        ('<RetryUntilSuccessful num_attempts="3"><AlwaysFailure/></RetryUntilSuccessful>', [F]),
        ("<KeepRunningUntilFailure><AlwaysSuccess/></KeepRunningUntilFailure>", [R, R]),
        ("<RunOnce><AlwaysSuccess/></RunOnce>", [S, K]),
        ('<RunOnce then_skip="false"><AlwaysFailure/></RunOnce>', [F, F]),
        ('<Delay delay_msec="0"><AlwaysSuccess/></Delay>', [S]),
        ('<Delay delay_msec="10"><AlwaysSuccess/></Delay>', [R]),
        ('<Timeout msec="10"><AlwaysSuccess/></Timeout>', [S]),
        ('<Sleep msec="10"/>', [R]),
        ('<Precondition if="1 > 2" else="SKIPPED"><AlwaysSuccess/></Precondition>', [K]),
        ('<LoopInt queue="1;2" value="{x}"><AlwaysSuccess/></LoopInt>', [R, R, S]),
        ('<LoopString queue="" value="{x}" if_empty="SKIPPED"><AlwaysSuccess/></LoopString>', [K]),
        ('<ScriptCondition code="1 == 1"/>', [S]),
        ('<Sequence><Script code="n := 0"/><ScriptCondition code="n += 1; n >= 1"/></Sequence>', [S]),
        ('<LoopPose queue="1;2" value="{x}"><AlwaysSuccess/></LoopPose>', [R, R, S]),
        ("<AlwaysSuccess _skipIf='1 < 2 && 2 > 1'/>", [K]),
        ('<AlwaysSuccess _successIf="1 &lt; 2 && true"/>', [S]),
        ('<Switch2 variable="b" case_1="a" case_2="b"><AlwaysFailure/><AlwaysSuccess/><AlwaysFailure/></Switch2>', [S]),
        ('<SkipUnlessUpdated entry="{x}"><AlwaysSuccess/></SkipUnlessUpdated>', [K]),
        ('<WaitValueUpdate entry="{x}"><AlwaysSuccess/></WaitValueUpdate>', [R]),
        ('<WasEntryUpdated entry="x"/>', [F]),
        ('<Control ID="Fallback"><Action ID="AlwaysFailure"/><Condition ID="AlwaysSuccess"/></Control>', [S]),
        ('<Decorator ID="Inverter"><AlwaysFailure _uid="5" _fullpath="x"/></Decorator>', [S]),
        ("<Sequence><AlwaysSuccess _skipIf='true'/></Sequence>", [K]),
        ("<AlwaysSuccess _failureIf='true'/>", [F]),
        ("<AlwaysFailure _successIf='true'/>", [S]),
        ("<AlwaysSuccess _while='false'/>", [K]),
    ],
)
def test_its_nodes(body, statuses) -> None:
    assert ticks(xml(body), len(statuses)) == statuses


class TestScripts:
    @pytest.mark.parametrize(
        ("script", "entries"),
        [
            ("x:= 3; y:=5; z := x+y", {"x": 3, "y": 5, "z": 8}),
            ("A:='hello'; B:=' '; C:= A+B+'world'", {"A": "hello", "B": " ", "C": "hello world"}),
            ("x := 0x10; y := 3e2; z := -3.5", {"x": 16, "y": 300.0, "z": -3.5}),
            ("x := 7; x += 1; x *= 2; x -= 6; x /= 4", {"x": 2.5}),
            ("a := true; b := !a; c := a && b; d := a || b", {"a": True, "b": False, "c": False, "d": True}),
            ("x := 1 y := x == 1 ? 'T' : 'F'", {"x": 1, "y": "T"}),
            ("x := 'a' .. 1 .. 'b'", {"x": "a1b"}),
            ("x := 2 < 3 <= 3; y := 3 > 2 > 1 > 1", {"x": True, "y": False}),
            ("x := (1 + 2) * 3 - 4 / 2", {"x": 7.0}),
            ("n := 1; t := n == true; u := n == '1'; v := '3' == n; w := n != 1", None),
            ("in := 1; not := in + 1", {"in": 1, "not": 2}),
            ("x := 2; y := !x; z := x && true", {"x": 2, "y": False, "z": True}),
        ],
    )
    def test_what_they_do(self, script, entries) -> None:
        tree = Tree.load(xml(f'<Script code="{script.replace("<", "&lt;").replace("&&", "&amp;&amp;")}"/>'))
        assert tree.tick() == S
        wanted = entries or {"n": 1, "t": True, "u": True, "v": False, "w": False}
        assert tree.blackboard.to_json() == wanted

    @pytest.mark.parametrize("flag", [True, 1, 5, "yes"])
    def test_a_condition_takes_what_is_not_zero(self, flag) -> None:
        tree = Tree.load(xml('<Sequence><AlwaysSuccess _skipIf="!flag"/><AlwaysSuccess _skipIf="flag"/></Sequence>'))
        tree.blackboard["flag"] = flag
        assert tree.tick() == S

    @pytest.mark.parametrize(
        "text",
        ["x & 1", "x | 1", "~x", "x ^ 2", "65.", "3foo", "0x1g", "x +", "(x", "x ? 1", "'a", "x y", "#", "", "!"],
    )
    def test_what_is_no_condition(self, text) -> None:
        assert codes(xml(f'<AlwaysSuccess _skipIf="{text.replace("&", "&amp;")}"/>')) == ["P004"]

    @pytest.mark.parametrize("text", ["", "x", "x == 1", "3 := 4", "'a' = 'b'", "x := ", "x := 1 2"])
    def test_what_is_no_script(self, text) -> None:
        assert codes(xml(f'<Script code="{text}"/>')) == ["P004"]

    def test_deep_ones_are_refused(self) -> None:
        assert codes(xml(f'<Script code="x := {"(" * 5000}1"/>')) == ["P004"]


class TestPorts:
    def test_literals_are_converted_to_the_type_that_the_leaf_declares(self) -> None:
        seen = []
        ports = {"n": Port("in", "int"), "t": Port()}
        leaf = Leaf(lambda context: seen.append([context.get("n"), context.get("t")]) is None, ports)
        assert ticks(xml('<Say n="5" t="5"/>'), 1, {"Say": leaf}) == [S]
        assert seen == [[5, "5"]]

    def test_ports_that_the_model_declares(self) -> None:
        port = '<input_port name="n" type="int" default="3"/>'
        model = f'<TreeNodesModel><Action ID="Say">{port}</Action></TreeNodesModel>'
        seen = []
        leaves = {"Say": lambda context: seen.append(context.get("n")) is None}
        assert ticks(xml('<Sequence><Say/><Say n="4"/></Sequence>', more=model), 1, leaves) == [S]
        assert seen == [3, 4]
        with pytest.raises(PlanInvalid, match=r"Unknown port of 'Say': 'm'"):
            Tree.load(xml('<Say m="4"/>', more=model), leaves)

    def test_set_and_unset(self) -> None:
        body = '<Sequence><SetBlackboard value="5" output_key="{x}"/><SetBlackboard value="{x}" output_key="y"/>'
        tree = Tree.load(xml(f'{body}<UnsetBlackboard key="x"/></Sequence>'))
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"y": 5}]

    def test_subtrees(self) -> None:
        sub = '<BehaviorTree ID="Sub"><Script code="out := a + b; _p := 1"/></BehaviorTree>'
        tree = Tree.load(
            xml('<Sequence><Script code="q := 1"/><SubTree ID="Sub" a="{q}" b="2" out="{=}"/></Sequence>', more=sub),
            main="MainTree",
        )
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"q": 1, "out": 3}]

    def test_autoremap(self) -> None:
        sub = '<BehaviorTree ID="Sub"><Script code="out := a + 1"/></BehaviorTree>'
        body = '<Sequence><Script code="a := 1"/><SubTree ID="Sub" _autoremap="true"/></Sequence>'
        text = xml(body, more=sub).replace("<root ", '<root main_tree_to_execute="Sub" ')
        tree = Tree.load(text, main="MainTree")
        assert [tree.tick(), tree.blackboard.to_json()] == [S, {"a": 1, "out": 2}]

    def test_a_subtree_model_says_which_ports_there_must_be(self) -> None:
        more = """<BehaviorTree ID="Sub"><ScriptCondition code="a == 7"/></BehaviorTree><TreeNodesModel>
            <SubTree ID="Sub"><input_port name="a"{}/></SubTree></TreeNodesModel>"""
        text = xml('<SubTree ID="Sub"/>', id="main", more=more)
        assert codes(text.format("")) == ["P004"]
        assert ticks(text.format(' default="7" type="int"')) == [S]


class TestRefused:
    @pytest.mark.parametrize(
        ("code", "text"),
        [
            ("P001", "<root"),
            ("P001", "<tree/>"),
            ("P001", '<root BTCPP_format="3"/>'),
            ("P001", xml("")),
            ("P001", xml("<AlwaysSuccess/><AlwaysSuccess/>")),
            ("P001", xml("<Inverter/>")),
            ("P001", xml("<Inverter><AlwaysSuccess/><AlwaysSuccess/></Inverter>")),
            ("P001", xml("<Sequence/>")),
            ("P001", xml("<AlwaysSuccess><AlwaysSuccess/></AlwaysSuccess>")),
            ("P001", xml("<Action/>")),
            ("P001", xml('<Sequence ID="x"><AlwaysSuccess/></Sequence>')),
            ("P001", xml("<AlwaysSuccess/>", more="<Other/>")),
            ("P001", xml("<AlwaysSuccess/>", more='<include path="x.xml"/>')),
            ("P001", xml('<SubTree ID="a"><AlwaysSuccess/></SubTree>')),
            ("P001", xml("<AlwaysSuccess/>", id="Main Tree")),
            ("P001", xml("<AlwaysSuccess/>", id="Root")),
            ("P001", xml("<AlwaysSuccess/>", more="<TreeNodesModel><Action/></TreeNodesModel>")),
            ("P002", xml("<AlwaysSuccess/>", more='<BehaviorTree ID="MainTree"><AlwaysSuccess/></BehaviorTree>')),
            ("P002", xml("<AlwaysSuccess/>", more="<BehaviorTree><AlwaysSuccess/></BehaviorTree>")),
            ("P003", xml("<Unheard/>")),
            ("P004", xml('<Repeat num_cycles="many"><AlwaysSuccess/></Repeat>')),
            ("P004", xml('<Switch3 variable="x"><AlwaysSuccess/><AlwaysSuccess/></Switch3>')),
            ("P005", xml('<AlwaysSuccess speed="1"/>')),
            ("P005", xml('<SubTree ID="Missing"/>')),
            ("P006", xml('<SubTree ID="MainTree"/>')),
        ],
    )
    def test_every_fault_has_its_code(self, code, text) -> None:
        found = codes(text)
        assert found == [code] * len(found)

    @pytest.mark.parametrize(
        "text",
        [
            '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><root>&b;</root>',
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><root>&x;</root>',
            '<!DOCTYPE r SYSTEM "http://127.0.0.1/x.dtd"><root/>',
        ],
    )
    def test_bombs_and_entities_are_refused(self, text) -> None:
        with pytest.raises(PlanInvalid, match="document type or entities is refused"):
            Tree.load(text)

    @pytest.mark.parametrize("depth", [257, 100_000])
    def test_deep_ones_are_refused(self, depth) -> None:
        found = codes(xml("<Inverter>" * depth + "<AlwaysSuccess/>" + "</Inverter>" * depth))
        assert set(found) <= {"P011", "P001"}

    def test_one_of_100_000_elements_is_refused(self) -> None:
        assert set(codes(xml("<Sequence>" + "<AlwaysSuccess/>" * 100_000 + "</Sequence>"))) == {"P011"}


class TestIncludes:
    def test_files_below_the_folder_are_included_once(self, tmp_path) -> None:
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts" / "a.xml").write_text(
            '<root BTCPP_format="4"><include path="b.xml"/><include path="../main.xml"/>'
            '<BehaviorTree ID="A"><SubTree ID="B"/></BehaviorTree></root>',
            encoding="utf-8",
        )
        (tmp_path / "parts" / "b.xml").write_text(xml("<AlwaysSuccess/>", id="B"), encoding="utf-8")
        main = tmp_path / "main.xml"
        main.write_text(xml('<SubTree ID="A"/>', id="main", more='<include path="parts/a.xml"/>'), encoding="utf-8")
        assert ticks(main) == [S]

    def test_others_are_refused(self, tmp_path) -> None:
        (tmp_path / "below").mkdir()
        (tmp_path / "secret.xml").write_text(xml("<AlwaysSuccess/>", id="S"), encoding="utf-8")
        main = tmp_path / "below" / "main.xml"
        for path in ("../secret.xml", str(tmp_path / "secret.xml"), ""):
            main.write_text(xml("<AlwaysSuccess/>", more=f'<include path="{path}"/>'), encoding="utf-8")
            with pytest.raises(PlanInvalid, match=r"\[P001\]"):
                Tree.load(main)


class TestWriting:
    DOCUMENT = """
    trees:
      main:
        sequence:
          - {script: "x := 1; y := 'a'", name: begin}
          - {parallel: [{sleep: 2}, {say: {text: "{y}", n: 3}}], success: 1, failure: 2, skip_if: "x > 5 or y == 'b'"}
          - {switch: [always_success, always_failure, always_failure], variable: "{x}", cases: ["1", "2"]}
          - {for_each: {check: "x == 1"}, queue: [1, 2], value: "{i}", if_empty: FAILURE, errors: failure}
          - {subtree: sub, ports: {a: "{x}", b: 5}, autoremap: true}
          - {eternal_guard: {tool: files.read, args: {path: ["{y}", "5"]}, out: "{t}"}, if: "x == 1"}
          - {set: {key: "{five}", value: "5"}}
          - {sequence: [always_success], yields: true}
      sub:
        ports: {a: {in: integer}, b: {in: number, default: 1}}
        root: {retry: always_success, times: 3, on_success: "a = 2"}
    leaves: {say: {text: {in: string}, n: {in: integer}}}
    """

    def test_what_is_written_says_the_same(self) -> None:
        first = write_xml(self.DOCUMENT)
        assert '<Parallel _skipIf="x &gt; 5 || y == \'b\'" success_count="1" failure_count="2">' in first
        second = write_xml(first)
        assert write_xml(second) == second
        ours, theirs = (Tree.load(source, {"say": lambda: True}) for source in (self.DOCUMENT, second))
        for _ in range(6):
            for tree in (ours, theirs):
                tree.tick()
                tree.advance(2)
                for action in tree.actions.take_started():
                    assert action.arguments == {"path": ["a", "5"]}
                    tree.actions.complete(action.id, "text")
            assert ours.statuses() == theirs.statuses()
            assert ours.blackboard.to_json() == theirs.blackboard.to_json()

    @pytest.mark.parametrize(
        "document",
        [
            {"semantics": "py_trees", "root": given(S)},
            {"enums": {"A": 1}, "root": given(S)},
            {"blackboard": {"a": 1}, "root": given(S)},
            {"tick_every_s": 1, "root": given(S)},
            {"errors": "failure", "root": given(S)},
            {"check": "x in [1, 2]"},
            {"check": "not x"},
            {"script": "x := len(y)"},
            {"switch": [given(S), given(S)], "variable": "{x}", "cases": ["a"]},
            {"timeout": given(S), "seconds": "{x}"},
        ],
    )
    def test_what_it_cannot_say_is_refused(self, document) -> None:
        with pytest.raises(PlanInvalid, match=r"\[P001\]"):
            write_xml(document)


def test_a_document_of_its_own_may_be_read_without_a_tree() -> None:
    assert read_xml(xml("<AlwaysSuccess/>")) == {
        "trees": {"MainTree": {"root": {"always_success": None}}},
        "main": "MainTree",
    }
