"""Who may know whom: no private names, no foreign libraries in the kernel, nothing of one machine in the tree."""

from __future__ import annotations

import ast
import re
import sys

PRIVATE_KERNEL_NAME = re.compile(r"\bagentflow_kernel(?:\.\w+)*\._(?!_)\w+")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'`=(,:]|file://)/(?:work|root|home|Users)/\w""", re.MULTILINE)
IMPORTED_AS = {"opentelemetry-api": "opentelemetry", "pyyaml": "yaml"}
TESTING_MAY_IMPORT = {"pytest"}
OUTSIDE_KERNEL = ("contrib", "examples", "plugins", "specs")
LIBRARIES = {"agentflow_http"}
"""Distributions that plugins may share; docs/decisions/0008-http-library.md."""
TEXT = {".py", ".pyi", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".cfg", ".sh", ".lock", ""}


def imported_names(source: str) -> set[str]:
    """Each dotted name that a module imports, with what it takes from it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def needs(dist) -> set[str]:
    """The packages that a distribution declares to need, with those of its extras."""
    project = dist.table["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project.get("optional-dependencies", {}).values() for line in extra),
    ]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in lines}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared}


def test_nobody_outside_the_kernel_uses_a_private_name_of_it(tree) -> None:
    found = []
    for path in tree.files:
        place = tree.relative(path)
        if not place.startswith(OUTSIDE_KERNEL) or path.suffix not in TEXT:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        names = set(PRIVATE_KERNEL_NAME.findall(text))
        if path.suffix == ".py":
            names |= {name for name in imported_names(text) if PRIVATE_KERNEL_NAME.match(name)}
        found += [f"{place}: {name}" for name in sorted(names)]
    assert not found, "The kernel lacks a public seam for these; add it there:\n" + "\n".join(found)


def test_a_distribution_imports_only_what_it_declares(dist) -> None:
    allowed = needs(dist) | {dist.package}
    found = []
    for path in dist.source.rglob("*.py"):
        place = path.relative_to(dist.source)
        extra = TESTING_MAY_IMPORT if place.parts[0].startswith("testing") else set()
        tops = {name.partition(".")[0] for name in imported_names(path.read_text(encoding="utf-8"))}
        found += [f"{place}: {name}" for name in sorted(tops - allowed - extra - sys.stdlib_module_names)]
    assert not found, found


def test_imports_are_absolute(tree) -> None:
    found = []
    for path in tree.python_files:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(isinstance(node, ast.ImportFrom) and node.level for node in nodes):
            found.append(tree.relative(path))
    assert not found, found


def test_no_file_names_a_path_of_one_machine(tree) -> None:
    found = []
    for path in tree.files:
        if path.suffix not in TEXT or path.stat().st_size > 2_000_000:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{tree.relative(path)}: {match.group().strip()}…" for match in MACHINE_PATH.finditer(text)]
    assert not found, found


def test_every_package_stands_in_the_lists_of_the_root(tree) -> None:
    tool = tree.dists[0].table["tool"]
    packages = {dist.package for dist in tree.dists}
    others = packages - {"agentflow_kernel"}
    one_way, independent, below, only_providers, _ = tool["importlinter"]["contracts"]
    assert set(tool["importlinter"]["root_packages"]) == packages
    assert set(one_way["forbidden_modules"]) == others
    assert set(independent["modules"]) == others - LIBRARIES
    assert set(below["source_modules"]) == LIBRARIES
    assert set(below["forbidden_modules"]) == others - LIBRARIES
    needing = {dist.package for dist in tree.dists if LIBRARIES & set(needs(dist))}
    assert set(only_providers["source_modules"]) == others - LIBRARIES - needing
    assert set(only_providers["forbidden_modules"]) == LIBRARIES
    assert not any("ignore_imports" in contract for contract in tool["importlinter"]["contracts"])
    assert set(tool["coverage"]["run"]["source_pkgs"]) == packages - {"agentflow_starter"}
