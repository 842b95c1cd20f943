"""Applied resources: what a state folder keeps of manifests, versioned, to be run without naming a file.

::

    <state>/resources/index.json          which version of each resource is current; replaced as a whole
    <state>/resources/flow/triage/3.yaml  one version: a line about where it came from, then the resource

Versions are written before the index names them, so that a crash leaves what was there before or all that was
applied. Writers take turns by a lock that ends with its process. Code is not copied: a version keeps the folder that
it came from, and ``agentflow.toml`` decides, whenever it runs, whether the files there may.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager

from agentflow_kernel.errors import NewerSchema, StorageUnavailable, UnknownName, UsageError
from agentflow_kernel.kernel.applied_index import AppliedIndex, AppliedResource, key_of
from agentflow_kernel.manifest import Source, read_all, to_yaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.manifest import Catalogue, Manifest, Resource

PREFIX = "applied:"
"""What a manifest path begins with that means applied resources: ``applied:flow/triage``."""
FORMAT = 1
_INDEX = "index.json"


class Change:
    """What applying or deleting did to one resource; ``outcome`` is created, configured, unchanged or deleted."""

    __slots__ = ("key", "outcome", "version")

    def __init__(self, key: str, outcome: str, version: int) -> None:
        self.key = key
        self.outcome = outcome
        self.version = version


class AppliedResources:
    """The applied resources of one state folder. Nothing is made before something is applied. Blocks on files."""

    __slots__ = ("_clock", "folder")

    def __init__(self, state: str, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = os.path.join(state, "resources")
        self._clock = clock

    def index(self) -> AppliedIndex:
        """What is applied now; always one state that was applied as a whole.

        Raises:
            StorageUnavailable: the index cannot be read.
            NewerSchema: a newer version wrote it.
        """
        path = os.path.join(self.folder, _INDEX)
        try:
            with open(path, "rb") as stream:
                document = json.load(stream)
            if document["format"] > FORMAT:
                raise NewerSchema(f"The index {path!r}", document["format"], FORMAT)
            found = [AppliedResource(each.pop("kind"), each.pop("name"), **each) for each in document["resources"]]
            return AppliedIndex(found, last=document["last"], revision=document["revision"])
        except FileNotFoundError:
            return AppliedIndex()
        except OSError as error:
            raise StorageUnavailable(f"{path} cannot be read: {error.strerror}.", executed="no") from error
        except (ValueError, TypeError, KeyError) as error:
            raise StorageUnavailable(f"{path} is no index of applied resources: {error!r}.", executed="no") from error

    def apply(
        self,
        resources: Sequence[Resource],
        *,
        prune: Callable[[AppliedResource], bool] | None = None,
        write: bool = True,
    ) -> list[Change]:
        """Make these resources the current ones, all or none; returns what that did, in their order.

        ``prune`` chooses among the applied resources that are not given which are deleted. Without ``write`` nothing
        is changed. What was read is expected to be consistent with the index at that time (:func:`read_all`).

        Raises:
            UsageError: the resources would not fit together with those that are applied.
            StorageUnavailable: the state folder cannot be written.
        """

        def change(index: AppliedIndex) -> tuple[AppliedIndex, list[Change], dict[str, str]]:
            return self._changed(index, resources, prune)

        return self._carry_out(change, ("Nothing was applied", ""), write=write)

    def delete(self, keys: Sequence[str], *, cascade: bool = False, write: bool = True) -> list[Change]:
        """Delete these resources; their versions stay on disk. ``cascade`` deletes those that name them, too.

        Raises:
            UnknownName: one of them is not applied.
            UsageError: others name one of them.
            StorageUnavailable: the state folder cannot be written.
        """

        def change(index: AppliedIndex) -> tuple[AppliedIndex, list[Change], dict[str, str]]:
            gone = {index.get(key).key: None for key in keys}
            waiting = list(gone)
            while cascade and waiting:
                for key in index.referrers(waiting.pop()):
                    if key not in gone:
                        gone[key] = None
                        waiting.append(key)
            left = [each for key, each in index.resources.items() if key not in gone]
            changes = [Change(key, "deleted", index.last[key]) for key in gone]
            return AppliedIndex(left, last=index.last, revision=index.revision + 1), changes, {}

        words = ("Nothing was deleted", " Change what names it first, or delete that too (--cascade).")
        return self._carry_out(change, words, write=write)

    def versions(self, key: str) -> list[dict[str, Any]]:
        """``version``, ``at``, ``file``, ``line``, ``folder`` and ``digest`` of every version, the oldest first.

        Raises:
            UnknownName: nothing of this key was ever applied.
        """
        index = self.index()
        each = index.find(key)
        key = key if each is None else each.key
        if key not in index.last:
            raise UnknownName("applied resource", key, index.last)
        return [head for number in range(1, index.last[key] + 1) if (head := self._head(key, number)) is not None]

    def text(self, key: str, version: int) -> str:
        """One version as YAML, fit to be applied again.

        Raises:
            UnknownName: there is no such version.
            StorageUnavailable: it cannot be read.
        """
        path = self._path(key, version)
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read().partition("\n")[2]
        except FileNotFoundError as error:
            raise UnknownName(f"version of {key}", str(version), map(str, self._numbers(key))) from error
        except OSError as error:
            raise StorageUnavailable(f"{path} cannot be read: {error.strerror}.", executed="no") from error

    def document(self, key: str, version: int) -> dict[str, Any]:
        """One version as plain values; raises as :meth:`text`, and :class:`StorageUnavailable` for what is no YAML."""
        import yaml  # lazy: only where somebody asks

        text = self.text(key, version)
        try:
            found: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
        except yaml.YAMLError as error:
            raise StorageUnavailable(f"{self._path(key, version)} is no YAML: {error}.", executed="no") from error
        return found

    def manifest(
        self,
        key: str = "",
        *,
        environ: Mapping[str, str] | None = None,
        catalogue: Catalogue | None = None,
        index: AppliedIndex | None = None,
    ) -> Manifest:
        """The current resources that take part in a run of ``key``, as a manifest; without a key all.

        Raises:
            UnknownName: nothing of this key is applied.
            ManifestErrors: they cannot be used here: a variable is not set, a plugin or a file of code is gone.
        """
        index = self.index() if index is None else index
        keys: Collection[str] = index.parts_of(index.get(key).key) if key else index.resources
        parts = [index.resources[one] for one in keys]
        sources = [Source(self.text(each.key, each.version), file=each.file, folder=each.folder) for each in parts]
        return read_all(sources, environ=environ, catalogue=catalogue)

    def _changed(
        self,
        index: AppliedIndex,
        resources: Sequence[Resource],
        prune: Callable[[AppliedResource], bool] | None,
    ) -> tuple[AppliedIndex, list[Change], dict[str, str]]:
        """The index after applying, what that does, and the texts to write by path."""
        changes, texts, new = [], {}, {}
        for resource in resources:
            key = key_of(resource.kind, resource.name)
            old = index.resources.get(key)
            document = resource.document()
            digest = _digest(document, resource.folder)
            version = index.last.get(key, 0) + 1
            if old is not None and old.digest == digest:
                outcome, version, at = "unchanged", old.version, old.at
            else:
                outcome, at = ("created" if old is None else "configured"), self._clock()
            each = new[key] = _applied(resource, version=version, digest=digest, at=at)
            changes.append(Change(key, outcome, version))
            if outcome != "unchanged":
                head = {"version": version, "at": at, "file": each.file, "line": each.line, "folder": each.folder}
                line = json.dumps({**head, "digest": digest})
                texts[self._path(key, version)] = f"# applied: {line}\n{to_yaml(document)}"
        kept = {}
        for key, each in index.resources.items():
            if key in new:
                continue
            if prune is not None and prune(each):
                changes.append(Change(key, "deleted", each.version))
            else:
                kept[key] = each
        resources_now = [*kept.values(), *new.values()]
        return AppliedIndex(resources_now, last=index.last, revision=index.revision + 1), changes, texts

    def _carry_out(
        self,
        change: Callable[[AppliedIndex], tuple[AppliedIndex, list[Change], dict[str, str]]],
        words: tuple[str, str],
        *,
        write: bool,
    ) -> list[Change]:
        """Change the index under the lock; ``words`` begin and end the message when that cannot be."""
        if not write:
            after, changes, _ = change(self.index())
            _refuse_unsound(after, words)
            return changes
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            with self._locked():
                index = self.index()
                after, changes, texts = change(index)
                _refuse_unsound(after, words)
                for path, text in texts.items():
                    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                    _replace(path, text)
                for folder in {os.path.dirname(os.path.dirname(path)) for path in texts}:
                    _sync_folder(folder)
                if [*after.resources.values()] != [*index.resources.values()]:
                    _replace(os.path.join(self.folder, _INDEX), _written(after))
        except OSError as error:
            problem = f"{words[0]}: {error.filename or self.folder}: {error.strerror}."
            raise StorageUnavailable(problem, executed="no") from error
        return changes

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl  # lazy: only writers pay

        descriptor = os.open(os.path.join(self.folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, key: str, version: int) -> str:
        return os.path.join(self.folder, *key.split("/"), f"{version}.yaml")

    def _numbers(self, key: str) -> list[int]:
        try:
            names = os.listdir(os.path.join(self.folder, *key.split("/")))
        except OSError:
            return []
        return sorted(int(name[:-5]) for name in names if name.endswith(".yaml") and name[:-5].isdecimal())

    def _head(self, key: str, version: int) -> dict[str, Any] | None:
        """The first line of a version; ``None`` where somebody has removed or rewritten the file."""
        try:
            with open(self._path(key, version), encoding="utf-8") as stream:
                head = json.loads(stream.readline().removeprefix("# applied: "))
        except (OSError, ValueError):
            return None
        return head if isinstance(head, dict) else None


def read_applied(
    path: str, state: str | None, *, environ: Mapping[str, str], catalogue: Catalogue
) -> tuple[Manifest, dict[str, JSON]]:
    """The manifest behind ``applied:flow/triage``, and the version of each resource in it.

    Raises:
        UsageError: there is no state folder.
        UnknownName: nothing of this name is applied there.
        ManifestErrors: as for :meth:`AppliedResources.manifest`.
    """
    if state is None:
        raise UsageError(f"{path!r} needs a state folder, where applied resources are kept.")
    applied = AppliedResources(state)
    index = applied.index()
    key = index.get(path.removeprefix(PREFIX)).key
    manifest = applied.manifest(key, environ=environ, catalogue=catalogue, index=index)
    return manifest, {one: index.resources[one].version for one in index.parts_of(key)}


def _applied(resource: Resource, *, version: int, digest: str, at: float) -> AppliedResource:
    standing = resource.kind == "Journal" or (resource.kind == "Trigger" and "on" in resource.spec)
    return AppliedResource(
        resource.kind,
        resource.name,
        version=version,
        digest=digest,
        names=resource.names,
        links=[key_of(kind, name) for kind, name in resource.links],
        standing=standing,
        folder=resource.folder,
        file=os.path.abspath(resource.file) if os.path.exists(resource.file) else resource.file,
        line=resource.line,
        at=at,
    )


def _refuse_unsound(index: AppliedIndex, words: tuple[str, str]) -> None:
    """Raise :class:`UsageError` if what would be applied does not fit together."""
    problems = index.problems()
    if problems:
        more = f" And {len(problems) - 5} more." if len(problems) > 5 else ""
        raise UsageError(f"{words[0]}: {' '.join(problems[:5])}{more}{words[1]}")


def _digest(document: Mapping[str, Any], folder: str) -> str:
    from hashlib import sha256  # lazy: 3 ms, only writers pay

    text = json.dumps([document, folder], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:16]


def _written(index: AppliedIndex) -> str:
    resources = [each.to_json() for each in index.resources.values()]
    document = {"format": FORMAT, "revision": index.revision, "resources": resources, "last": index.last}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _replace(path: str, text: str) -> None:
    """Put a file in the place of another so that a reader, or a crash, meets the one or the other in full."""
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.draft")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(draft, flags, 0o600), "wb") as stream:
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, path)
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
