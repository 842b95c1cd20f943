"""A scan: what the installed distributions say they offer, read from their metadata; nothing is imported.

It reads ``*.dist-info/entry_points.txt`` in the folders of ``sys.path`` itself, because importing
``importlib.metadata`` alone takes longer than everything else. Archives and finders of one's own are not looked into;
with ``AGENTFLOW_SCAN=full`` the standard library does the reading, which sees them too.
"""

from __future__ import annotations

import os

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.settings import normalise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

KINDS = {
    "agentflow.providers": "provider",
    "agentflow.tools": "tool",
    "agentflow.memories": "memory",
    "agentflow.planners": "planner",
    "agentflow.policies": "policy",
    "agentflow.buses": "bus",
    "agentflow.journals": "journal",
    "agentflow.sandboxes": "sandbox",
    "agentflow.sources": "source",
    "agentflow.resources": "resource",
    "agentflow.commands": "command",
    "agentflow.harnesses": "harness",
}
"""The entry-point groups and the kind of plugin in each."""

_SIZE_LIMIT_BYTES = 1_000_000


class Offer(Value):
    """One entry point. ``location`` is the folder of the distribution's metadata, ``""`` where it has none."""

    __slots__ = ("kind", "name", "value", "distribution", "version", "location")

    def __init__(self, kind: str, name: str, value: str, source: tuple[str, str, str]) -> None:
        self.kind = kind
        self.name = name
        self.value = value
        self.distribution, self.version, self.location = source


class Broken(Value):
    """Metadata of one distribution that cannot be used, and why; the other distributions are not affected."""

    __slots__ = ("distribution", "version", "problem")

    def __init__(self, distribution: str, version: str, problem: str) -> None:
        self.distribution = distribution
        self.version = version
        self.problem = problem


def scan(folders: Sequence[str]) -> tuple[list[Offer], list[Broken]]:
    """What is offered in ``folders``, in their order; of a distribution found twice the first counts, as in imports."""
    offers: list[Offer] = []
    broken: list[Broken] = []
    sources = _with_importlib(folders) if os.environ.get("AGENTFLOW_SCAN") == "full" else _distributions(folders)
    for distribution, version, location, content in sources:
        if isinstance(content, str):
            broken.append(Broken(distribution, version, f"entry_points.txt {content}"))
        elif b"agentflow." in content:
            _read(content, (distribution, version, location), offers, broken)
    return offers, broken


def _distributions(folders: Iterable[str]) -> Iterator[tuple[str, str, str, bytes | str]]:
    """Name, version, metadata folder and entry points (or what is wrong with them) of each distribution."""
    seen = set()
    for folder in folders:
        try:
            names = os.listdir(folder or os.curdir)
        except (OSError, ValueError):  # an archive, gone, or no path
            continue
        for name in sorted(name for name in names if name.endswith(".dist-info")):
            stem, _, version = name[:-10].rpartition("-")
            distribution = normalise(stem)
            if not stem or stem[0] == "~" or distribution in seen:  # pip renames what it is about to remove to ~…
                continue
            seen.add(distribution)
            location = os.path.join(folder or os.curdir, name)
            content = _content(os.path.join(location, "entry_points.txt"))
            if content:
                yield distribution, version, location, content


def _content(file: str) -> bytes | str:
    try:
        with open(file, "rb", buffering=0) as stream:
            content = stream.read(_SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    return content if len(content) <= _SIZE_LIMIT_BYTES else "is larger than 1 MB"


def _with_importlib(folders: Sequence[str]) -> Iterator[tuple[str, str, str, bytes | str]]:
    """The same, by ``importlib.metadata``."""
    from importlib import metadata  # lazy: 34 ms, only when asked for

    seen = set()
    for found in metadata.distributions(path=list(folders)):
        try:
            name, version = normalise(found.metadata["Name"] or ""), found.version
            content = (found.read_text("entry_points.txt") or "").encode()
        except Exception as exc:  # noqa: BLE001 -- foreign finders and damaged metadata raise what they like
            yield str(getattr(found, "_path", found)), "", "", f"cannot be read: {exc}"
            continue
        if name and name not in seen:
            seen.add(name)
            yield name, version, str(getattr(found, "_path", "")), content


def _read(content: bytes, source: tuple[str, str, str], offers: list[Offer], broken: list[Broken]) -> None:
    """Take in the entry points of one distribution; a line that is none is reported, the others count."""
    distribution, version, _ = source
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as exc:
        broken.append(Broken(distribution, version, f"entry_points.txt is not UTF-8: {exc}"))
        return
    group, seen = "", set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if text[0] == "[" and text[-1] == "]":
            group = text[1:-1].strip()
            if group.startswith("agentflow.") and group not in KINDS:
                broken.append(Broken(distribution, version, f"entry_points.txt names an unknown group {group!r}"))
            continue
        if group not in KINDS:
            continue
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.partition("[")[0].strip()
        if not equals or not name or not name.isprintable() or not _is_reference(value) or (group, name) in seen:
            problem = "stands twice" if (group, name) in seen else "is no entry point"
            broken.append(Broken(distribution, version, f"entry_points.txt line {number}: {text[:80]!r} {problem}"))
            continue
        seen.add((group, name))
        offers.append(Offer(KINDS[group], name, value, source))


def _is_reference(value: str) -> bool:
    """Whether a value has the form ``package.module`` or ``package.module:name``."""
    module, colon, name = value.partition(":")
    parts = [*module.split("."), *(name.split(".") if colon else ())]
    return all(part.isidentifier() for part in parts)
