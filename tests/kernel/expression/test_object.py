"""An expression is an immutable, light value that threads may share."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest

from agentflow_kernel.expression import Expression, Script


@pytest.mark.parametrize("make", [Expression, Script])
def test_equal_texts_and_bounds_are_equal_values(make: type) -> None:
    text = "x := a > 1" if make is Script else "a > 1"
    assert make(text) == make(text)
    assert hash(make(text)) == hash(make(text))
    assert make(text) != make(text.replace("1", "2"))
    assert make(text) != make(text, max_steps=50)
    assert make(text) != make(text, predicates=("In",))
    assert make(text) != text
    assert len({make(text), make(text)}) == 1
    assert repr(make(text)) == f"{make.__name__}({text!r})"
    assert make(text).text == text


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301 -- our own
def test_a_copy_is_equal_and_works(again: object) -> None:
    expression = Expression("In('a') and n > 1", predicates=("In",), max_steps=77)
    script = Script("x := In('a')", predicates=("In",), max_length=66)
    assert again(expression) == expression
    assert again(expression).test({"In()": ["a"], "n": 2})
    assert again(script) == script
    assert again(script).run({"In()": []}) == {"x": False}


@pytest.mark.parametrize("name", ["text", "names", "paths", "other"])
def test_nothing_can_be_set(name: str) -> None:
    for value in (Expression("a"), Script("a := 1")):
        with pytest.raises(AttributeError):
            setattr(value, name, "b")


def test_a_result_shares_nothing_with_the_data_or_the_expression() -> None:
    data = {"a": {"b": [1]}}
    expression = Expression("[a, {'c': [1]}]")
    first = expression.evaluate(data)
    first[0]["b"].append(2)
    first[1]["c"].append(2)
    assert data == {"a": {"b": [1]}}
    assert expression.evaluate(data) == [{"b": [1]}, {"c": [1]}]
    constant = Expression("[1]")
    constant.evaluate({}).append(2)
    assert constant.evaluate({}) == [1]


def test_of_another_mapping_only_the_names_used_are_read() -> None:
    asked = []

    class Watched(dict):
        def __getitem__(self, key):
            asked.append(key)
            return super().__getitem__(key)

    data = Watched(a=1, b=2, c=3)
    assert Expression("a + b").evaluate(data) == 3
    assert sorted(asked) == ["a", "b"]
    assert Expression("a + default(z, 1)").evaluate(MappingProxyType({"a": 1})) == 2
    assert Script("x := a").run(MappingProxyType({"a": 1})) == {"x": 1}
    assert Expression("In('a')", predicates=("In",)).test(MappingProxyType({"In()": ["a"]}))


def test_many_threads_share_one_expression() -> None:
    expression = Expression("n in items and (n * 2) % 2 == 0")
    script = Script("x := n; x += n; y := [x, n]")

    def work(number: int) -> bool:
        data = {"n": number, "items": list(range(200))}
        return expression.test(data) and script.run(data) == {"x": 2 * number, "y": [2 * number, number]}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_import_and_use_load_nothing_but_the_errors() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from agentflow_kernel.expression import Expression, Script\n"
        "assert Expression('a.b > 1').test({'a': {'b': 2}})\n"
        "Script('x := 1').run({})\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    known = ("agentflow_kernel.expression", "agentflow_kernel.errors", "__future__")
    outside = [name for name in done.stdout.split() if not name.startswith(known)]
    assert outside == ["agentflow_kernel", "agentflow_kernel._version"]
