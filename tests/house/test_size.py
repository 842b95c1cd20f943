"""Nothing grows beyond what one reader can hold: files, functions, parameter lists, classes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_LINES = 600
FUNCTION_LINES = 60
PARAMETERS = 6
PUBLIC_METHODS = 15

ALLOWED: dict[str, dict[str, int]] = {"file": {}, "function": {}, "parameters": {}, "class": {}}
"""What was too large when its rule came, as measured then. Entries may shrink or go, never grow or come."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Sizes = dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def sizes(tree) -> Sizes:
    """Everything measured in every Python file, by kind and place."""
    found: Sizes = {kind: {} for kind in ALLOWED}
    for path in tree.python_files:
        text = path.read_text(encoding="utf-8")
        place = tree.relative(path)
        found["file"][place] = len(text.splitlines())
        for name, owner, node in definitions(ast.parse(text)):
            where = f"{place}::{name}"
            if isinstance(node, ast.ClassDef):
                methods = {getattr(child, "name", "") for child in node.body if is_public_method(child)}
                found["class"][where] = len(methods)  # overloads of one method are one
            else:
                found["function"][where] = (node.end_lineno or 0) - node.lineno + 1
                found["parameters"][where] = parameters(node, owner)
    return found


def definitions(
    node: ast.AST, prefix: str = "", owner: ast.ClassDef | None = None
) -> Iterator[tuple[str, ast.ClassDef | None, Function | ast.ClassDef]]:
    """Each function and class below a node with its dotted name and the class it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = f"{prefix}{child.name}"
            yield name, owner, child
            yield from definitions(child, f"{name}.", child if isinstance(child, ast.ClassDef) else None)
        else:
            yield from definitions(child, prefix, owner)


def parameters(node: Function, owner: ast.ClassDef | None) -> int:
    """How many things a caller may pass.

    Where a constructor's parameters are the fields of its object they do not count, as they would not in a dataclass:
    the keyword-only ones, and those that stand in the `__slots__` of the class.
    """
    args = node.args
    positional = [*args.posonlyargs, *args.args]
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    if owner is not None and not static:
        positional = positional[1:]
    if owner is not None and node.name in {"__init__", "__new__"}:
        fields = slots(owner)
        return sum(arg.arg not in fields for arg in positional)
    return len(positional) + len(args.kwonlyargs)


def slots(owner: ast.ClassDef) -> set[str]:
    """The names written out in the `__slots__` of a class."""
    assigned = (node for node in owner.body if isinstance(node, ast.Assign))
    values = [node.value for node in assigned if ast.unparse(node.targets[0]) == "__slots__"]
    constants = [part.value for value in values for part in ast.walk(value) if isinstance(part, ast.Constant)]
    return {name for name in constants if isinstance(name, str)}


def is_public_method(node: ast.stmt) -> bool:
    return isinstance(node, Function) and not node.name.startswith("_")


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("file", FILE_LINES),
        ("function", FUNCTION_LINES),
        ("parameters", PARAMETERS),
        ("class", PUBLIC_METHODS),
    ],
)
def test_nothing_is_larger_than_its_limit(sizes: Sizes, kind: str, limit: int) -> None:
    allowed = ALLOWED[kind]
    measured = sizes[kind].items()
    too_large = [f"{place}: {size} > {limit}" for place, size in measured if size > allowed.get(place, limit)]
    assert not too_large, f"Over the limit for a {kind}; split by reason to change:\n" + "\n".join(too_large)
    loose = [place for place, size in allowed.items() if sizes[kind].get(place, 0) < size]
    assert not loose, f"These became smaller: lower or remove their entries: {loose}"
