"""The metadata: what a distribution says of itself before anything of it is imported."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from agentflow_kernel import __version__ as kernel_version
from agentflow_kernel.loading import SUPPORTED_API_VERSIONS
from agentflow_specs.requirement import requirement

if TYPE_CHECKING:
    from agentflow_specs.distribution import Distribution

NAME = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
SECTIONS = ("Settings", "Capabilities", "Known deviations", "Maintained by", "State")
FOREIGN_TOPS = {"tests", "test", "docs", "doc", "examples", "example", "scripts", "tools", "src", "build", "dist"}
KERNEL = "agentflow-kernel"


@requirement(
    "PLUGIN-01",
    "MUST",
    reason="Who installs a plugin wants to know what it is, who answers for it, and whether he may use it.",
    advice="Fill in description, requires-python, license and authors or maintainers in pyproject.toml.",
)
def test_metadata_is_complete(distribution: Distribution) -> None:
    """Says in its metadata what it is, which Python it needs, under which licence it stands, and who maintains it."""
    head = distribution.head
    classified = any(str(line).startswith("License ::") for line in head.get_all("Classifier", []))
    found = {
        "description": head.get("Summary"),
        "requires-python": head.get("Requires-Python"),
        "license": head.get("License-Expression") or head.get("License") or classified,
        "authors": any(head.get(f"{who}{what}") for who in ("Author", "Maintainer") for what in ("", "-email")),
        "version": re.match(r"\d", head.get("Version", "")),
    }
    assert [name for name, value in found.items() if not value] == []


@requirement(
    "PLUGIN-02",
    "MUST",
    reason="The next minor version of the kernel may change what a plugin relies on; an installer has to know.",
    advice='Depend on "agentflow-kernel>=0.1,<0.2", the version that you test with and no later one.',
)
def test_the_kernel_is_a_bounded_dependency(distribution: Distribution) -> None:
    """Depends on the kernel from one version up to another, and this kernel is among them."""
    lines = [str(line) for line in distribution.head.get_all("Requires-Dist", [])]
    ours = [line for line in lines if re.match(rf"{KERNEL}(?![\w.-])", re.sub(r"[-_.]+", "-", line[:16]) + line[16:])]
    assert len(ours) == 1, f"dependencies on {KERNEL}: {ours}"
    bounds = dict(re.findall(r"(>=|<|~=|==)\s*(\d+(?:\.\d+)*)", ours[0]))
    assert bounds.keys() >= {">=", "<"} or bounds.keys() & {"~=", "=="}, f"{ours[0]} has no upper bound"
    installed = _release(kernel_version)
    assert _release(bounds.get(">=", "0")) <= installed
    assert "<" not in bounds or installed < _release(bounds["<"]) <= (installed[0] + 1,)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


@requirement(
    "PLUGIN-03",
    "SHOULD",
    reason="The page of a package is all that most people ever read of it.",
    advice="Write the sections Settings, Capabilities, Known deviations, Maintained by and State, and the pip line.",
)
def test_the_readme_answers_the_usual_questions(distribution: Distribution) -> None:
    """Says in its README how it is installed, what can be set, what it can do and cannot, its maintainer and state."""
    headings = re.findall(r"^#+ +(.+?) *$", distribution.readme, re.MULTILINE)
    missing = [name for name in SECTIONS if name not in headings]
    assert missing == []
    assert f"pip install {distribution.name}" in distribution.readme


@requirement(
    "PLUGIN-04",
    "MUST",
    reason="Without the marker a type checker takes everything from the package for Any, and says nothing.",
    advice="Put an empty file py.typed beside __init__.py, and see that the wheel holds it.",
)
def test_packages_are_typed(distribution: Distribution) -> None:
    """Marks each of its packages as typed, with `py.typed`."""
    assert distribution.packages
    assert [name for name, folder in distribution.packages.items() if not (folder / "py.typed").is_file()] == []


@requirement(
    "PLUGIN-05",
    "MUST",
    reason="A name that two plugins offer cannot be used by a manifest; a line that is no entry point offers nothing.",
    advice="Take a name that nobody has, of lower case letters, digits and dashes, in a group that the kernel knows.",
)
def test_names_are_unique(distribution: Distribution) -> None:
    """Offers each plugin under a plain name that no other installed plugin of its kind has."""
    assert [found.problem for found in distribution.broken] == []
    names = [(entry.kind, entry.name) for entry in distribution.plugins]
    assert names
    assert [name for _, name in names if not re.fullmatch(NAME, name)] == []
    taken = {(entry.kind, entry.name): entry.distribution for entry in distribution.others}
    assert {name: taken[name] for name in names if name in taken} == {}


@requirement(
    "PLUGIN-06",
    "MUST",
    reason="A file outside its own package overwrites that of another distribution, or hides a module of the user.",
    advice="Let the build take in the package only; tests and examples stay in the source distribution.",
)
def test_only_its_own_packages_are_installed(distribution: Distribution) -> None:
    """Installs packages of its own and nothing beside them."""
    tops = {path.parts[0] for path in distribution.info.files or () if path.suffix != ".pth"}
    tops = {top for top in tops if not top.endswith((".dist-info", ".data")) and top not in {"..", "__pycache__"}}
    assert sorted(tops & FOREIGN_TOPS) == []
    assert sorted(tops & {entry.value.partition(":")[0].partition(".")[0] for entry in distribution.others}) == []
    assert "agentflow_kernel" not in tops
    assert [top for top in sorted(tops) if "." in top] == [], "modules and files at the top"


@requirement(
    "PLUGIN-07",
    "MUST",
    reason="What begins with an underscore changes in any version; a plugin that uses it breaks without warning.",
    advice="Use the public name; where there is none, ask for one.",
)
def test_no_private_name_of_the_kernel_is_used(distribution: Distribution) -> None:
    """Imports no private module and no private name of the kernel."""
    found = []
    for path in distribution.sources:
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            ours = [name.split(".") for name in names if name.partition(".")[0] == "agentflow_kernel"]
            found += [f"{path.name}: {'.'.join(name)}" for name in ours if any(_is_private(part) for part in name)]
    assert found == []


def _is_private(part: str) -> bool:
    return part.startswith("_") and not part.endswith("__")


@requirement(
    "PLUGIN-08",
    "MUST",
    reason="State in a module is shared by all kernels of a process, by all tests, and by threads without a lock.",
    advice="Keep it in the object that the factory makes.",
)
def test_no_function_writes_to_its_module(distribution: Distribution) -> None:
    """Has no function that rebinds a name of its module (`global`)."""
    found = []
    for path in distribution.sources:
        nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Global)]
        found += [f"{path.name}:{node.lineno}: global {', '.join(node.names)}" for node in nodes]
    assert found == []


@requirement(
    "PLUGIN-09",
    "MUST",
    reason="A kernel refuses a plugin that speaks another version of the interface, by name, before it is used.",
    advice="Leave api_version out: it is then that of the kernel which the plugin was written for.",
)
def test_the_version_of_the_interface_is_supported(distribution: Distribution) -> None:
    """Speaks a version of the plugin interface that this kernel supports."""
    specs = [spec for found in distribution.registrations for spec in found.specs]
    spoken = {spec["name"]: spec["api_version"] for spec in specs if spec["api_version"] not in SUPPORTED_API_VERSIONS}
    assert spoken == {}, f"this kernel supports {sorted(SUPPORTED_API_VERSIONS)}"
