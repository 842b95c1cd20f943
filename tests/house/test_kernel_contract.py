"""What the kernel promises outsiders is written in one form and documented."""

from __future__ import annotations

import importlib
import inspect
import re

CODE = r"\bAF(?:-[A-Z0-9]+)+\b"
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


def written(dist, pattern: str) -> set[str]:
    """What the code of a distribution says in texts; the suites of the kit are tests."""
    files = [path for path in dist.source.rglob("*.py") if "suites" not in path.parts]
    return {found for path in files for found in re.findall(pattern, path.read_text(encoding="utf-8"))}


def documented(dist, tree) -> str:
    """The documentation, and what a distribution says of itself."""
    pages = [*(tree.root / "docs").rglob("*.md"), dist.folder / "README.md"]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def test_every_code_that_a_distribution_writes_is_documented(dist, tree) -> None:
    """Also one that no class has: people look it up in the same place."""
    missing = written(dist, CODE) - set(re.findall(CODE, documented(dist, tree)))
    assert not missing, missing


def test_every_variable_that_a_distribution_reads_is_documented(dist, tree) -> None:
    """A setting of the environment has a place like any other."""
    variable = r"\bAGENTFLOW_[A-Z_]+\b"
    missing = written(dist, f'"({variable})"') - set(re.findall(variable, documented(dist, tree)))
    assert not missing, missing


def test_every_setting_of_a_plugin_is_documented(dist) -> None:
    """In the model and in the README as they stand; what the wheel holds of them is asked by the conformance kit."""
    readme = (dist.folder / "README.md").read_text(encoding="utf-8")
    references = set()
    for group in {group for group, _, _ in dist.entry_points} - {"agentflow.harnesses", "agentflow.commands"}:
        hook = getattr(importlib.import_module(f"{dist.package}._plugin"), group.replace(".", "_"), None)
        references |= {spec.settings for spec in (hook() if hook else ()) if spec.settings}
    for reference in references:
        module, _, name = reference.partition(":")
        fields = getattr(importlib.import_module(module), name).model_fields.items()
        missing = [field for field, of in fields if not re.search(rf"`{of.alias or field}\b", readme)]
        assert not missing, f"{reference}: {missing}"
        undescribed = [field for field, of in fields if not of.description]
        assert not undescribed, f"{reference}, with a literal under the field that pydantic does not see: {undescribed}"
