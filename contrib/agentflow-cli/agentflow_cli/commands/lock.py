"""`agentflow lock`: write which plugins may be imported, with version and hash, into `agentflow.toml`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from agentflow_cli.failure import FAILED
from agentflow_cli.output import Table, show
from agentflow_cli.pins import Pin, pinned, replace
from agentflow_cli.shared import common_options
from agentflow_cli.terminal import one_line, say
from agentflow_kernel.errors import UsageError, nearest
from agentflow_kernel.loading import Catalogue
from agentflow_kernel.loading.certificate import tested_digest
from agentflow_kernel.settings import FILE_NAME, Settings, normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_cli.shared import Shared
    from agentflow_kernel.loading import Entry

KERNEL = "agentflow-kernel"


class Locked(NamedTuple):
    """What becomes of one distribution."""

    distribution: str
    version: str
    result: str
    """``locked``, ``unchanged``, ``not listed``, ``not locked`` or ``absent``."""
    detail: str


@click.command("lock")
@click.argument("distributions", nargs=-1, metavar="[DISTRIBUTION]...")
@click.option("--all", "everything", is_flag=True, help="Also list what is installed and not listed yet.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if something would change.")
@common_options
@click.pass_obj
def command(shared: Shared, distributions: tuple[str, ...], *, everything: bool, check: bool) -> int:
    """Pin the plugins that may be imported, by version and hash, in agentflow.toml.

    Without DISTRIBUTION those that are listed; where none is, all that are installed. Nothing is imported.
    """
    settings = shared.settings()
    file = settings.file or os.path.abspath(FILE_NAME)
    installed = _installed(settings)
    wanted = _wanted(settings, installed, distributions, everything=everything)
    pins, results = _pins(settings, installed, wanted)
    before = _text(file)
    changed = any(result.result == "locked" for result in results)
    after = pinned(before, pins, file) if changed else before
    if changed and not check:
        replace(file, after)
    document = {"file": file, "changed": changed, "written": changed and not check}
    document["distributions"] = [result._asdict() for result in results]
    show(shared.output, document, Table(("DISTRIBUTION", "VERSION", "RESULT", "DETAIL"), results))
    _explain(settings, file, check=check, changed=changed)
    return FAILED if check and changed else 0


def _installed(settings: Settings) -> dict[str, Entry]:
    """One entry of each distribution that offers plugins or harnesses; the kernel itself needs no permission."""
    found: dict[str, Entry] = {}
    for entry in Catalogue(settings).entries():
        found.setdefault(normalise(entry.distribution), entry)
    found.pop(KERNEL, None)
    return found


def _wanted(
    settings: Settings, installed: dict[str, Entry], named: Sequence[str], *, everything: bool
) -> dict[str, None]:
    """The names to lock, in their order."""
    if named:
        for name in named:
            if normalise(name) not in installed:
                close = nearest(normalise(name), installed)
                hint = f" Did you mean {close!r}?" if close else ""
                raise UsageError(f"No installed distribution {name!r} offers plugins.{hint}")
        return dict.fromkeys(map(normalise, named))
    return dict.fromkeys(
        sorted({*settings.plugins, *installed} if everything or not settings.plugins else settings.plugins)
    )


def _pins(
    settings: Settings, installed: dict[str, Entry], wanted: dict[str, None]
) -> tuple[dict[str, Pin], list[Locked]]:
    """The pins to write, and what becomes of each distribution."""
    pins: dict[str, Pin] = {}
    results = []
    for name in sorted({*wanted, *installed}):
        entry = installed.get(name)
        if name not in wanted:
            hint = "" if name in settings.plugins else f"to allow it: agentflow lock {name}"
            if hint and entry is not None:
                results.append(Locked(name, entry.version, "not listed", hint))
            continue
        if entry is None:
            results.append(Locked(name, "", "absent", "it is listed, but offers nothing here; its line stays"))
            continue
        digest, problem = tested_digest(entry)
        if problem:
            results.append(Locked(name, entry.version, "not locked", problem))
            continue
        rule = settings.plugins.get(name)
        same = rule is not None and (rule.version, rule.digest) == (f"=={entry.version}", digest)
        pins[name] = Pin(name, entry.version, digest)
        results.append(Locked(name, entry.version, "unchanged" if same else "locked", digest))
    return pins, results


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def _explain(settings: Settings, file: str, *, check: bool, changed: bool) -> None:
    """What has become of the file."""
    if changed:
        say(one_line(f"{file} is {'out of date: run agentflow lock' if check else 'written'}."))
    if settings.trust == "installed" and settings.file is not None and "trust" in _text(settings.file):
        say('The list has no effect while agentflow.toml says trust = "installed".')
