"""A reading: from a path to a manifest, or to all findings at once."""

from __future__ import annotations

import os

from agentflow_kernel.manifest._catalogue import Shelf
from agentflow_kernel.manifest._code import CodeFolder
from agentflow_kernel.manifest._context import Context, Scope
from agentflow_kernel.manifest._file import MAX_BYTES_IN_ALL, files_of, text_of
from agentflow_kernel.manifest._findings import Findings, Full
from agentflow_kernel.manifest._graph import check_flow, check_trigger_data
from agentflow_kernel.manifest._kinds import API_VERSION, KINDS, RESOURCES
from agentflow_kernel.manifest._links import Names, check_cycles
from agentflow_kernel.manifest._manifest import Manifest
from agentflow_kernel.manifest._resource import Resource
from agentflow_kernel.manifest._source import Source
from agentflow_kernel.manifest._wording import either, listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_kernel.manifest._catalogue import Catalogue
    from agentflow_kernel.manifest._document import Reader
    from agentflow_kernel.manifest._node import Node


def read(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Manifest:
    """The manifest in a file, or in all ``*.yaml`` and ``*.yml`` directly in a folder, sorted by name.

    ``environ`` gives the values of ``${NAME}``, by default the process's environment. With a ``catalogue``, plugins
    that are not installed are findings; without one their names are not looked at. Reads files: not for event loops.

    Raises:
        ManifestErrors: all findings in document order, each with file, line, column and path where it has them.
    """
    return read_all([path], environ=environ, catalogue=catalogue)


def read_all(
    paths: Sequence[str | os.PathLike[str] | Source],
    *,
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
    known: Iterable[tuple[str, str]] = (),
) -> Manifest:
    """One manifest from several files, folders and sources; each resource has the folder that it came from.

    ``known`` are kinds and names of resources that exist elsewhere: they may be linked to. The manifest's own folder
    is that of the first path. Otherwise, as :func:`read`.

    Raises:
        ManifestErrors: all findings in document order.
    """
    findings = Findings()
    reading = _Reading(findings, os.environ if environ is None else environ)
    files: list[str] = []
    folders: list[str] = []
    try:
        for path in paths:
            if isinstance(path, Source):
                files.append(path.file)
                folders.append(path.folder)
                reading.read_source(path)
                continue
            given = os.fspath(path)
            found = files_of(given, findings)
            files += found
            folders.append(os.path.abspath(given if found != [given] else os.path.dirname(given)))
            for file in found:
                reading.read_file(file, folders[-1])
        reading.check(catalogue, known)
    except Full:
        pass
    findings.raise_if_any()
    return Manifest(folders[0] if folders else os.getcwd(), files, [result.resource for result in reading.results])


class _Result:
    """A resource that was read, with what is still to be checked. ``sound``: there is no finding about it so far."""

    __slots__ = ("context", "resource", "sound")

    def __init__(self, resource: Resource, context: Context, *, sound: bool) -> None:
        self.resource = resource
        self.context = context
        self.sound = sound


class _Reading:
    """Gathers the resources of all files; those that are wrong too, so that everything wrong is found at once."""

    __slots__ = (
        "_bytes_left", "_environ", "_findings", "_first", "_reader", "_scope", "_scopes", "_unread", "_whole",
        "results",
    )  # fmt: skip

    def __init__(self, findings: Findings, environ: Mapping[str, str]) -> None:
        self._findings = findings
        self._environ = environ
        self._scopes: dict[str, Scope] = {}
        self._scope: Scope
        self._reader: Reader | None = None
        self._bytes_left = MAX_BYTES_IN_ALL
        self._first: dict[tuple[str, str], Resource] = {}
        self._unread: list[str] = []
        self._whole = True
        self.results: list[_Result] = []

    def read_file(self, file: str, folder: str) -> None:
        """Read all documents of a file."""
        self._findings.open_file(file)
        text, size = text_of(file, self._bytes_left, self._findings)
        self._bytes_left -= size
        if text is None:
            self._whole = False
            return
        self._scope = self._scopes.setdefault(folder, Scope(self._findings, self._environ, CodeFolder(folder)))
        self._read_text(file, text)

    def read_source(self, source: Source) -> None:
        """Read all documents of a source."""
        self._findings.open_file(source.file)
        environ = self._environ if source.environ is None else source.environ
        self._scope = Scope(self._findings, environ, CodeFolder(source.folder))
        self._read_text(source.file, source.text)

    def _read_text(self, file: str, text: str) -> None:
        findings = self._findings
        if self._reader is None:
            from agentflow_kernel.manifest._document import Reader  # lazy: 15 ms, imports yaml

            self._reader = Reader(findings)
        documents, complete = self._reader.documents(file, text)
        self._whole = self._whole and complete
        if complete and not documents:
            problem = "The file holds no resource." if text else "The file is empty."
            hint = "Expected a mapping with 'apiVersion', 'kind', 'metadata' and 'spec'."
            findings.add(problem, file, (1, 1), hint=hint)
        for document in documents:
            self._read_document(file, document)

    def check(self, catalogue: Catalogue | None, known: Iterable[tuple[str, str]]) -> None:
        """Check what needs all resources. Links are left out where a part could not be read: it may define them."""
        names = Names([result.resource for result in self.results], self._unread, known)
        shelf = None if catalogue is None else Shelf(catalogue)
        for result in self.results:
            resource, context = result.resource, result.context
            for link in context.links if self._whole else ():
                names.check(link, context)
            if shelf is not None:
                shelf.check(resource, context)
            if resource.kind == "Flow":
                check_flow(resource, context, sound=result.sound)
            elif resource.kind == "Trigger":
                check_trigger_data(context)
        check_cycles([(result.resource, result.context) for result in self.results])

    def _read_document(self, file: str, document: Node) -> None:
        findings = self._findings
        before = len(findings)
        name = _name_of(document)
        kind = self._kind_of(file, document)
        if not kind:
            self._unread.append(name)
            self._whole = self._whole and bool(name)
            return
        context = Context(self._scope, file, f"{kind} {shown(name)}" if name else f"the {kind} at line {document.line}")
        content = RESOURCES[kind].read(document, None, context)
        metadata = {"name": "", "labels": {}, "annotations": {}, **content.get("metadata", {})}
        resource = Resource(kind, metadata, content.get("spec", {}), file, document)
        resource.substituted = context.substituted
        resource.folder = self._scope.code.folder
        resource.links = tuple(dict.fromkeys((link.kinds[0], link.name) for link in context.links))
        self._whole = self._whole and bool(resource.name)
        self._refuse_twice(resource, context)
        self.results.append(_Result(resource, context, sound=len(findings) == before))

    def _refuse_twice(self, resource: Resource, context: Context) -> None:
        """Add a finding for each name and alias that another resource of the kind has already."""
        for index, name in enumerate(resource.names):
            first = self._first.setdefault((resource.kind, name), resource)
            if not name or (first is resource and name not in resource.names[:index]):
                continue
            problem = (
                f"{resource.kind} {shown(name)} is defined twice, first at {first.file}:{first.line}:{first.column}."
            )
            if index == 0:
                context.found(problem, (resource.line, resource.column), ((None, "metadata"), "name"))
            else:
                steps = ("spec", "aliases", index - 1)
                context.found(problem, resource.positions.locate(steps), (((None, "spec"), "aliases"), index - 1))

    def _kind_of(self, file: str, document: Node) -> str:
        """The kind of a document that can be read, or nothing after adding a finding."""
        context = Context(self._scope, file, "")
        if document.value.__class__ is not dict:
            context.wrong(document, None, "a mapping with 'apiVersion', 'kind', 'metadata' and 'spec'")
            return ""
        version = document.value.get("apiVersion")
        kind = document.value.get("kind")
        if version is not None and version.value.__class__ is str and version.value != API_VERSION:
            self._unknown(context, "apiVersion", version, (API_VERSION,))
            return ""
        if kind is not None and kind.value.__class__ is str and kind.value in KINDS:
            return str(kind.value)
        for field, node, known in (("apiVersion", version, (API_VERSION,)), ("kind", kind, KINDS)):
            if node is None:
                problem = f"Required field {field!r} is missing: expected {either(known)}."
                context.found(problem, (document.line, document.column), (None, field))
            elif node.value.__class__ is not str:
                context.wrong(node, (None, field), either(known))
            elif node.value not in known:
                self._unknown(context, field, node, known)
        return ""

    def _unknown(self, context: Context, field: str, node: Node, known: tuple[str, ...]) -> None:
        hint = self._findings.suggest(node.value, known)
        problem = f"Unknown {field} {shown(node.value)}. Known: {listed(known)}."
        context.found(problem, (node.line, node.column), (None, field), hint=hint)


def _name_of(document: Node) -> str:
    """The name that a document gives itself, or nothing where there is no such text."""
    node = document
    for field in ("metadata", "name"):
        if node.value.__class__ is not dict or field not in node.value:
            return ""
        node = node.value[field]
    return node.value if node.value.__class__ is str else ""
