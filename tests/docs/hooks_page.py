"""The hook reference, written from the docstrings: `python tests/docs/hooks_page.py > docs/reference/hooks.md`."""

from __future__ import annotations

import inspect
import re
import sys

from agentflow_kernel import hookspecs
from agentflow_kernel.contracts import plugin

HEAD = """# Hooks

A plugin is a module named by an entry point of its kind's group; it holds functions with the names below, each marked
with `agentflow_kernel.hookspecs.hookimpl`. The entry point's *name* is the name used in manifests. Hooks are
synchronous, do no I/O and import nothing heavy: `factory` and `settings` of a spec are `module:Name` strings,
resolved when first used.

`factory(settings, context)` makes the object of the contract. `settings` is an instance of the pydantic model behind
`settings` (`None` without one), `context` a `PluginContext`: `name`, `folder`, `state_folder`, `clock`, `random`,
`emit`.

Two groups have no hook, for their entry points name the thing itself: `agentflow.commands` a `click.Command` that
`agentflow` then has (`agentflow_kernel.contracts.command`), `agentflow.harnesses` the harness of the plugin
`<kind>.<plugin>` ([the kit](../../specs/README.md)). This page is written by `python tests/docs/hooks_page.py`.

| hook | group | contract |
|---|---|---|
"""


def hooks() -> list[tuple[str, str]]:
    """Name and class of spec of each hook, in the order of the module."""
    functions = [value for value in vars(hookspecs).values() if hasattr(value, "agentflow_spec")]
    return [(hook.__name__, re.findall(r"\w+Spec", str(hook.__annotations__["return"]))[0]) for hook in functions]


def page() -> str:
    """The page, as Markdown."""
    rows, sections = "", ""
    for name, spec in hooks():
        contract = re.findall(r":class:`~([\w.]+)`", str(getattr(plugin, spec).__doc__))[0]
        rows += f"| `{name}()` | `{name.replace('_', '.', 1)}` | `{contract}` |\n"
        first, _, rest = (inspect.getdoc(getattr(hookspecs, name)) or "").partition("\n\n")
        paragraphs = "".join(f"- {line}\n" for line in rest.splitlines())
        sections += f"\n## `{name}() -> Sequence[{spec}]`\n\n{first}\n\n{paragraphs}"
    return HEAD + rows + sections


if __name__ == "__main__":
    sys.stdout.write(page())
