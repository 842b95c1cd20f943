"""What the kernel promises outsiders is written in one form and documented."""

from __future__ import annotations

import importlib
import inspect
import re

PARAGRAPHS = ["Called", "Result", "Must", "Returns", "Raises", "Since"]


def hooks() -> dict[str, object]:
    module = importlib.import_module("agentflow_kernel.hookspecs")
    return {name: value for name, value in vars(module).items() if hasattr(value, "agentflow_spec")}


def test_there_are_hooks_and_all_are_named_after_the_framework() -> None:
    assert hooks()
    assert all(name.startswith("agentflow_") for name in hooks())


def test_every_hook_has_the_fixed_paragraphs_in_order() -> None:
    findings = []
    for name, hook in hooks().items():
        doc = inspect.getdoc(hook) or ""
        first, _, rest = doc.partition("\n\n")
        heads = re.findall(r"^([A-Z]\w*): \S", rest, re.MULTILINE)
        if heads != PARAGRAPHS or "\n" in first or not first.endswith("."):
            findings.append(f"{name}: {heads}")
    assert not findings, findings


def test_every_hook_has_few_annotated_arguments() -> None:
    for name, hook in hooks().items():
        signature = inspect.signature(hook)
        assert len(signature.parameters) <= 4, name
        assert all(value.annotation is not inspect.Parameter.empty for value in signature.parameters.values()), name
        assert signature.return_annotation is not inspect.Signature.empty, name


def test_every_hook_is_documented(tree) -> None:
    pages = (tree.root / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    missing = [name for name in hooks() if not re.search(rf"\b{name}\b", text)]
    assert not missing, missing


def error_classes() -> list[type[BaseException]]:
    module = importlib.import_module("agentflow_kernel.errors")
    root = module.AgentFlowError
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, root) and value.__module__ == module.__name__
    ]


def test_every_error_has_a_code_of_its_own() -> None:
    seen: dict[str, str] = {}
    for error in error_classes():
        code = vars(error).get("code")
        assert isinstance(code, str), f"{error.__name__} has no code of its own"
        assert re.fullmatch(r"AF(-[A-Z0-9]+)+", code), f"{error.__name__}: {code}"
        assert code not in seen, f"{error.__name__} and {seen[code]} share {code}"
        seen[code] = error.__name__


def test_every_error_is_documented_and_drawn_in_the_tree(tree) -> None:
    page = (tree.root / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    drawn = importlib.import_module("agentflow_kernel.errors").__doc__ or ""
    findings = [error.__name__ for error in error_classes() if str(vars(error).get("code")) not in page]
    findings += [f"{error.__name__} (drawing)" for error in error_classes() if error.__name__ not in drawn]
    assert not findings, findings
