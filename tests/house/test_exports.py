"""What a package offers is written down, sorted and complete."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest


def exported(tree: ast.Module) -> list[str] | None:
    """The names of a literal `__all__` tuple, or `None` if there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node.value, ast.Tuple), "__all__ must be a literal tuple"
            return list(ast.literal_eval(node.value))
    return None


def bound(tree: ast.Module) -> set[str]:
    """The names that the imports and constants of a package's `__init__` bind, without `__future__`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    tables = [node for node in tree.body if _is_table(node)]
    found |= {key for node in tables for key in ast.literal_eval(node.value)}  # type: ignore[attr-defined]
    return found - {"__all__", "__version__", "TYPE_CHECKING", "_MODULES"}


def _is_table(node: ast.stmt) -> bool:
    """Whether it says which module each name of the package comes from."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
        return False
    return [target.id for target in node.targets if isinstance(target, ast.Name)] == ["_MODULES"]


def is_plain(node: ast.stmt) -> bool:
    """Whether a statement is something else than logic: a docstring, an import or a constant."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return isinstance(node.value, ast.Constant | ast.Tuple) or _is_table(node)
    if isinstance(node, ast.FunctionDef):  # with them a package offers names of modules that load on use
        return node.name in {"__getattr__", "__dir__"}
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def test_package_inits_hold_imports_and_a_sorted_complete_all(dist) -> None:
    findings = []
    for path in sorted(dist.source.rglob("__init__.py")):
        place = path.relative_to(dist.folder)
        if place == Path("agentflow_kernel/__init__.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = exported(tree)
        if ast.get_docstring(tree) is None:
            findings.append(f"{place}: no docstring")
        if not all(map(is_plain, tree.body)):
            findings.append(f"{place}: logic")
        if bound(tree) and names is None:
            findings.append(f"{place}: no __all__")
        if names is not None and names != sorted(names):
            findings.append(f"{place}: __all__ is not sorted")
        if names is not None and set(names) - {"__version__"} != bound(tree):
            findings.append(f"{place}: __all__ and the names bound differ by {set(names) ^ bound(tree)}")
    assert not findings, findings


def test_the_kernels_table_of_names_is_sorted_and_every_name_resolves() -> None:
    kernel = importlib.import_module("agentflow_kernel")
    assert isinstance(kernel.__all__, tuple)
    assert list(kernel.__all__) == sorted(kernel.__all__)
    missing = [name for name in kernel.__all__ if getattr(kernel, name, None) is None]
    assert not missing, missing
    assert set(kernel.__all__) <= set(dir(kernel))


def test_the_kernels_table_says_the_same_to_a_type_checker(tree) -> None:
    module = ast.parse((tree.dists[0].source / "__init__.py").read_text(encoding="utf-8"))
    typed: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            typed |= {alias.name for child in node.body if isinstance(child, ast.ImportFrom) for alias in child.names}
    names = exported(module)
    assert names is not None
    assert set(names) - {"__version__"} == typed & set(names), sorted(set(names) - typed)


def test_an_unknown_name_of_the_kernel_is_an_attribute_error() -> None:
    kernel = importlib.import_module("agentflow_kernel")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = kernel.no_such_name
