"""`agentflow get KIND`: applied resources, or those of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agentflow_cli.completion import names_of
from agentflow_cli.kinds import RESOURCES
from agentflow_cli.listing import FIT, Listed, applied, headings, in_manifest, row
from agentflow_cli.literal_secrets import hidden
from agentflow_cli.output import Table, as_yaml, show
from agentflow_cli.run_list import local, utc
from agentflow_cli.run_report import nearby
from agentflow_cli.shared import files, list_options, watch_options
from agentflow_cli.terminal import say, write
from agentflow_cli.watching import Row, View, watch
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.kernel.applied_index import key_of

if TYPE_CHECKING:
    from agentflow_cli.kinds import ResourceKind
    from agentflow_cli.shared import Shared


def _make(each: ResourceKind | None) -> click.Command:
    """The command for one kind, or for all."""
    plural, kind = ("all", "") if each is None else (each.plural, each.kind)

    @click.pass_obj
    def run(shared: Shared, /, **options: Any) -> int:
        return _get(shared, kind, _Wanted(**options))

    listed = "all resources" if each is None else f"the {plural}"
    run.__doc__ = f"List {listed} that are applied, or those of the manifest at --file."
    command: Any = list_options(watch_options(run))
    if kind == "Model":
        text = "List the models that installed providers know, with their prices."
        command = click.option("--installed", is_flag=True, help=text)(command)
    if kind:
        text = "List the versions of NAME."
        command = click.option("--versions", is_flag=True, help=text)(command)
        command = click.option("--version", type=click.IntRange(min=1), metavar="N", help="This version of NAME.")(
            command
        )
        command = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=names_of(kind))(command)
    text = "Manifest to list instead of what is applied."
    command = click.option("-f", "--file", metavar="PATH", shell_complete=files, help=text)(command)
    made: click.Command = click.command(plural)(command)
    return made


class _Wanted:
    """What was asked for."""

    def __init__(self, **options: Any) -> None:
        self.file: str | None = options["file"]
        self.names: tuple[str, ...] = options.get("names", ())
        self.version: int | None = options.get("version")
        self.versions: bool = options.get("versions", False)
        self.installed: bool = options.get("installed", False)
        self.watching: bool = options["watching"]
        self.interval_s: float = options["interval_s"]
        if (self.version or self.versions) and (len(self.names) != 1 or self.file):
            raise UsageError("--version and --versions need one NAME of what is applied.")
        if self.watching and (self.version or self.versions or self.installed):
            raise UsageError("--watch goes with lists of resources only.")


def _get(shared: Shared, kind: str, wanted: _Wanted) -> int:
    if wanted.installed:
        return _installed(shared)
    if wanted.version:
        return _one_version(shared, kind, wanted.names[0], wanted.version)
    if wanted.versions:
        return _versions(shared, kind, wanted.names[0])
    if wanted.watching:
        _find(shared, kind, wanted)  # a name that is not there now is a mistake; one that goes later is news
        return watch(shared.output, lambda: _view(shared, kind, wanted), interval_s=wanted.interval_s)
    found = _find(shared, kind, wanted)
    if not found and shared.for_people:
        if kind == "Model" and wanted.file is None:
            say("No models are applied. These are the models that installed providers know:")
            return _installed(shared)
        what = next((each.plural for each in RESOURCES if each.kind == kind), "resources")
        place = f"in {shared.state_folder(shared.settings())}" if wanted.file is None else f"in {wanted.file}"
        say(f"No {what} {'are applied ' if wanted.file is None else ''}{place}.")
        return 0
    if shared.output == "name":
        write("".join(f"{listed.key}\n" for listed in found))
    elif shared.output == "yaml":
        write("".join(_as_stream(listed) for listed in found))
    else:
        wide = shared.output == "wide"
        rows = [row(listed, kind, wide=wide) for listed in found]
        table = Table(headings(kind, wide=wide), rows, overflow=None if wide else "cut", fit=FIT)
        show(shared.output, [listed.as_document() for listed in found], table)
    return 0


def _find(shared: Shared, kind: str, wanted: _Wanted, *, strict: bool = True) -> list[Listed]:
    """What is listed; every name that was given is there, if ``strict``."""
    kinds = (kind,) if kind else tuple(each.kind for each in RESOURCES)
    state = shared.state_folder(shared.settings())
    found = applied(state, kinds) if wanted.file is None else in_manifest(wanted.file, kinds)
    for name in wanted.names if strict else ():
        if all(name not in _names(listed) for listed in found):
            raise UnknownName(kind.lower(), name, [listed.name for listed in found])
    found = [listed for listed in found if not wanted.names or not set(_names(listed)).isdisjoint(wanted.names)]
    if kind == "Model" and found and shared.output not in {"name", "yaml"}:
        from agentflow_cli.installed_models import KnownModels, figures  # lazy: it imports providers

        models = KnownModels(shared)
        for listed in found:
            info = models.find(listed.document["spec"])
            listed.known = {} if info is None else figures(info)
    return found


def _names(listed: Listed) -> tuple[str, ...]:
    return (listed.name, *listed.document["spec"].get("aliases", ()))


def _view(shared: Shared, kind: str, wanted: _Wanted) -> View:
    wide = shared.output == "wide"
    found = _find(shared, kind, wanted, strict=False)
    rows = [Row(each.key, row(each, kind, wide=wide), each.as_document(), each.document) for each in found]
    return View(headings(kind, wide=wide), rows, fit=FIT)


def _as_stream(listed: Listed) -> str:
    """One document of a stream that `apply -f -` takes."""
    each = listed.applied
    head = "" if each is None else f"version {each.version}; for apply -f -: --folder {nearby(each.folder)}; from "
    return f"---\n# {ascii(head + listed.place)[1:-1]}\n{as_yaml(listed.document)}"


def _one_version(shared: Shared, kind: str, name: str, version: int) -> int:
    """Show one version, also of a resource that was deleted."""
    store, key = _store(shared), key_of(kind, name)
    heads = {head["version"]: head for head in store.versions(key)}
    if version not in heads:
        raise UnknownName(f"version of {key}", str(version), map(str, heads))
    if shared.output == "name":
        write(f"{key}\n")
    elif shared.output in {"yaml", "table", "wide"}:
        write(as_yaml(hidden(store.document(key, version), key, version)))
    else:
        head = heads[version]
        shown = hidden(store.document(key, version), key, version)
        document = {**shown, "file": head["file"], "line": head["line"], "version": version}
        show(shared.output, document | {"applied": utc(head["at"])})
    return 0


def _versions(shared: Shared, kind: str, name: str) -> int:
    """List the versions, the newest first."""
    store, key = _store(shared), key_of(kind, name)
    each = store.index().find(key)
    key, current = (key, 0) if each is None else (each.key, each.version)
    heads = list(reversed(store.versions(key)))
    documents = [
        {**head, "at": utc(head["at"]), "current": head["version"] == current, "resource": key} for head in heads
    ]
    rows = [
        (
            str(head["version"]),
            "yes" if head["version"] == current else "",
            local(head["at"]),
            f"{head['file']}:{head['line']}",
        )
        for head in heads
    ]
    if shared.output == "name":
        write("".join(f"{key}\n" for _ in heads))
    else:
        show(shared.output, documents, Table(("VERSION", "CURRENT", "APPLIED", "PLACE"), rows))
    return 0


def _installed(shared: Shared) -> int:
    from agentflow_cli.installed_models import find, headings_of, row_of  # lazy: it imports providers

    found = find(shared)
    if shared.output == "name":
        write("".join(f"{each.provider}/{each.info.name}\n" for each in found))
        return 0
    wide = shared.output == "wide"
    table = Table(headings_of(), [row_of(each) for each in found], overflow=None if wide else "cut", fit=FIT)
    show(shared.output, [each.as_document() for each in found], table)
    return 0


def _store(shared: Shared) -> AppliedResources:
    return AppliedResources(shared.state_folder(shared.settings()))


commands = {"all": _make(None), **{each.plural: _make(each) for each in RESOURCES}}
