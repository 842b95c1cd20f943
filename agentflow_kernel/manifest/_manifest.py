"""A manifest: all resources of one reading, consistent with each other."""

from __future__ import annotations

import os

from agentflow_kernel.errors import ManifestError, UnknownName
from agentflow_kernel.manifest import _code, _path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.manifest._path import Step
    from agentflow_kernel.manifest._resource import Resource


class Manifest:
    """Immutable by contract. Made by :func:`~agentflow_kernel.manifest.read`.

    ``folder`` is the absolute folder of the manifest: relative paths in settings are relative to it. ``files`` are the
    files read, as they appear in findings. ``resources`` are in document order.
    """

    __slots__ = ("_by_name", "_fingerprint", "files", "folder", "resources")

    def __init__(self, folder: str, files: Sequence[str], resources: Sequence[Resource]) -> None:
        self.folder = folder
        self.files = tuple(files)
        self.resources = tuple(resources)
        self._by_name = {(each.kind, name): each for each in self.resources for name in each.names}
        self._fingerprint = ""

    def find(self, kind: str, name: str) -> Resource | None:
        """The resource of this kind and name or alias, or ``None``."""
        return self._by_name.get((kind, name))

    def get(self, kind: str, name: str) -> Resource:
        """The resource of this kind and name.

        Raises:
            UnknownName: there is none; the error names those of this kind.
        """
        found = self.find(kind, name)
        if found is None:
            raise UnknownName(kind, name, [resource.name for resource in self.of(kind)])
        return found

    def of(self, kind: str) -> tuple[Resource, ...]:
        """All resources of a kind in document order."""
        return tuple(resource for resource in self.resources if resource.kind == kind)

    def resolve(self, name: str, kinds: Sequence[str] = ()) -> Resource:
        """The resource called ``flow/triage``, or ``triage`` where no other resource (of these kinds) has that name.

        Raises:
            UnknownName: no resource has the name, or several have; ``known`` then lists them with their kinds.
        """
        prefix, stroke, rest = name.partition("/")
        considered = [resource for resource in self.resources if not kinds or resource.kind in kinds]
        if stroke:
            found = [resource for resource in considered if (resource.kind.lower(), resource.name) == (prefix, rest)]
        else:
            found = [resource for resource in considered if resource.name == name]
        if len(found) == 1:
            return found[0]
        known = [f"{resource.kind.lower()}/{resource.name}" for resource in found or considered]
        what = "name (several resources have it)" if found else " or ".join(kinds) or "resource"
        if not found and not stroke:
            known += [resource.name for resource in considered]
        raise UnknownName(what, name, known)

    def code(self, uses: str) -> tuple[str, str]:
        """The absolute file and the object's name of a ``uses`` such as ``./nodes.py:parse``."""
        file, name = _code.split(uses)
        return os.path.join(self.folder, file[2:]), name

    def error(self, resource: Resource, path: str | Sequence[Step], problem: str, hint: str = "") -> ManifestError:
        """A finding about the value at ``path``, with its place in the file; for the caller to raise or gather.

        ``path`` begins at the document: ``spec.with.timeout_s`` or ``("spec", "with", "timeout_s")``. Where the
        manifest does not hold the value, the place is that of the value that should hold it.
        """
        steps = _path.steps(path) if isinstance(path, str) else tuple(path)
        line, column = resource.positions.locate(steps)
        text = _path.written(steps)
        return ManifestError(problem, file=resource.file, line=line, column=column, path=text, hint=hint)

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of what the resources say: equal for manifests that differ only in layout.

        Covered are kinds, names and specs with their defaults; not labels, annotations, order of the resources, the
        values of environment variables, or the content of code files.
        """
        if not self._fingerprint:
            import hashlib  # lazy: 2 ms, only where somebody asks
            import json  # lazy: as above

            ordered = sorted(self.resources, key=lambda resource: (resource.kind, resource.name))
            content = [[resource.kind, resource.name, resource.written()] for resource in ordered]
            text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
            self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return self._fingerprint

    def __repr__(self) -> str:
        return f"Manifest({self.folder!r}, {len(self.resources)} resources)"
