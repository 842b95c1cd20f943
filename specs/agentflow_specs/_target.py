"""A target: the text after `--harness`, and the harness that it leads to."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness


class TargetError(Exception):
    """The text after `--harness` leads to nothing that can be used; the message says what to change."""


MEMBERS: Final = ("declared", "kind", "known_deviations", "open")


def resolve_harness(target: str) -> Harness:
    """The harness that `module:Name` names; a class is called without arguments.

    Raises:
        TargetError: if the text has another form, the module cannot be imported, has no such name,
            or what it names cannot be made or lacks a member of a harness.
    """
    module_name, colon, name = target.partition(":")
    if not colon or not name or not all(part.isidentifier() for part in module_name.split(".")):
        msg = f"--harness {target!r} is not of the form module:Name, as in agentflow_sqlite.testing:SqliteHarness."
        raise TargetError(msg)
    found = _look_up(target, module_name, name)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as exc:
            msg = f"--harness {target!r}: making {name} without arguments failed: {type(exc).__name__}: {exc}"
            raise TargetError(msg) from exc
    missing = [member for member in MEMBERS if not hasattr(found, member)]
    if missing:
        msg = f"--harness {target!r}: {type(found).__name__} is no harness, it lacks {', '.join(missing)}."
        raise TargetError(msg)
    return cast("Harness", found)


def _look_up(target: str, module_name: str, name: str) -> object:
    """The object itself, or a `TargetError` that says which half of `target` is wrong."""
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name and f"{module_name}.".startswith(f"{exc.name}."):
            msg = f"--harness {target!r}: there is no module {exc.name!r} in this environment. Is the plugin installed?"
        else:
            msg = f"--harness {target!r}: importing {module_name} failed: {type(exc).__name__}: {exc}"
        raise TargetError(msg) from exc
    try:
        return getattr(module, name)
    except AttributeError as exc:
        near = difflib.get_close_matches(name, [entry for entry in vars(module) if not entry.startswith("_")], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"--harness {target!r}: module {module_name} has no {name!r}.{hint}"
        raise TargetError(msg) from exc
