"""A literal secret: a key or the like that a manifest writes out, where the name of a variable would do.

What is shown holds a mark in its place. The mark of an applied resource names the version that keeps the secret, so
that what was shown can be applied again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentflow_kernel.errors import UnknownName
from agentflow_kernel.kernel.applied_index import key_of
from agentflow_kernel.redaction import PLACEHOLDER, Redactor, is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentflow_kernel.errors import ManifestError
    from agentflow_kernel.kernel.applied import AppliedResources
    from agentflow_kernel.manifest import Manifest, Resource

    Steps = tuple[str | int, ...]

_MARK = re.compile(r"<redacted(?: (?P<key>[a-z]+/\S+) (?P<version>[1-9][0-9]*))?>")
_VARIABLE: Final = re.compile(r"(?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*\}")


class Literal(NamedTuple):
    """One secret that is written out; ``steps`` begin at the document."""

    steps: Steps
    text: str


def literals(document: Mapping[str, Any]) -> Iterator[Literal]:
    """The texts in settings that are secret by their name or form, and not those of a variable; marks, too."""
    redactor = Redactor()

    def walk(value: Any, steps: Steps, *, settings: bool, secret: bool) -> Iterator[Literal]:
        if isinstance(value, dict):
            for key, child in value.items():
                name = str(key)
                hides = secret or (settings and (is_secret(name) or name.lower().endswith("headers")))
                inside = settings or name == "with"
                yield from walk(child, (*steps, key), settings=inside, secret=hides and name[:1] != "$")
        elif isinstance(value, list):
            for number, child in enumerate(value):
                yield from walk(child, (*steps, number), settings=settings, secret=secret)
        elif (
            isinstance(value, str)
            and (value and settings and not _VARIABLE.search(value))
            and (secret or _MARK.fullmatch(value) or redactor.text(value) != value)
        ):
            yield Literal(steps, value)

    return walk(document.get("spec"), ("spec",), settings=False, secret=False)


def hidden(document: Mapping[str, Any], key: str = "", version: int = 0) -> dict[str, Any]:
    """A copy with marks for secrets; those of ``version`` of the applied resource ``key`` can be applied again."""
    found: dict[str, Any] = _copied(document)
    for steps, text in literals(document):
        _put(found, steps, text if _MARK.fullmatch(text) else mark(key, version))
    return found


def mark(key: str = "", version: int = 0) -> str:
    """What stands for a secret: one that is kept, or any."""
    return f"<redacted {key} {version}>" if key else PLACEHOLDER


def hidden_change(old: Mapping[str, Any], new: Mapping[str, Any], key: str, version: int) -> dict[str, Any]:
    """The new document with marks: a secret that has not changed has the mark of the old one."""
    kept = dict(literals(old))
    found: dict[str, Any] = _copied(new)
    for steps, text in literals(new):
        _put(found, steps, mark(key, version) if kept.get(steps) == text else mark())
    return found


def fill(manifest: Manifest, store: AppliedResources) -> list[ManifestError]:
    """Put the secrets that are kept in the place of their marks; returns the marks that stand for none.

    A mark stands for the secret at the same place of the same resource only.
    """
    problems = []
    for resource in manifest.resources:
        for steps, text in literals(resource.document()):
            if (found := _MARK.fullmatch(text)) is None:
                continue
            kept = _kept(store, resource, steps, found["key"], int(found["version"] or 0))
            if kept is None:
                problem = f"{text!r} stands for a secret that is not kept here, for {_name(resource)}."
                hint = f"Write {_form(resource, steps)}, or the secret itself."
                problems.append(manifest.error(resource, steps, problem, hint=hint))
            else:
                resource.replace_text(steps, kept)
    return problems


def warnings(manifest: Manifest, *, marks: bool) -> Iterator[str]:
    """A line for each secret that is written out, and for marks if asked: where it stands, what to write instead."""
    for resource in manifest.resources:
        for steps, text in literals(resource.document()):
            marked = _MARK.fullmatch(text) is not None
            if marked and not marks:
                continue
            place = manifest.error(resource, steps, "")
            what = "is a mark that only `agentflow apply` can read" if marked else "is a secret that is written out"
            yield (
                f"warning: {place.file}:{place.line}: {place.path} {what}. Name a variable of the environment instead: "
                f"{_form(resource, steps)}."
            )


def _kept(store: AppliedResources, resource: Resource, steps: Steps, key: str | None, version: int) -> str | None:
    if key != _name(resource):
        return None
    try:
        return dict(literals(store.document(key, version))).get(steps)
    except UnknownName:
        return None


def _form(resource: Resource, steps: Steps) -> str:
    """How the setting names a variable."""
    name = str(steps[-1])
    owner = str(resource.spec.get("plugin", "")) if name == "api_key" else ""
    words = re.sub(r"[^A-Za-z0-9]+", "_", f"{owner}_{name}").strip("_").upper()
    return f'{name}: "${{{words}}}"'


def _name(resource: Resource) -> str:
    return key_of(resource.kind, resource.name)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list) else value


def _put(document: Any, steps: Steps, text: str) -> None:
    for step in steps[:-1]:
        document = document[step]
    document[steps[-1]] = text
