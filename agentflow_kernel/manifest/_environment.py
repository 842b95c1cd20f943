"""The environment: ``${NAME}`` and ``${NAME:-default}`` in those texts of a manifest that take settings.

``$${`` stands for the characters ``${`` in every text. A variable's value is always text; the default applies where
the variable is not set or empty.
"""

from __future__ import annotations

import re

from agentflow_kernel.manifest._context import REJECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path

_REFERENCE = re.compile(r"(\$\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}|\$\{")
_LITERAL = "Write '$${' for the characters."


def expand(node: Node, path: Path, context: Context, *, setting: bool) -> Any:
    """The text of a node that holds ``${``, with variables put in where ``setting`` allows it, or ``REJECTED``."""
    original: str = node.value
    problems: list[tuple[str, str]] = []

    def value(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return "${"
        if name is None:
            if setting:
                problems.append(("'${' begins no '${NAME}' or '${NAME:-default}' here.", _LITERAL))
            return match[0]
        if not setting:
            hint = f"Only 'with' and the model name of a Model take variables. {_LITERAL}"
            problems.append((f"The environment variable '${{{name}}}' is not allowed here.", hint))
            return match[0]
        return _look_up(name, default, context, problems)

    text = _REFERENCE.sub(value, original)
    for problem, hint in dict.fromkeys(problems):
        context.found(problem, (node.line, node.column), path, hint=hint)
    if problems:
        return REJECTED
    if text != original:
        context.substitute(path, original)
    return text


def _look_up(name: str, default: str | None, context: Context, problems: list[tuple[str, str]]) -> str:
    found = context.scope.environ.get(name)
    if default is not None and not found:
        return default
    if found is None:
        hint = f"Set it with `export {name}=…`, or give a default: '${{{name}:-…}}'."
        problems.append((f"Environment variable {name!r} is not set; {context.label} needs it.", hint))
        return ""
    try:
        found.encode()
    except UnicodeEncodeError:
        problems.append((f"Environment variable {name!r}, needed by {context.label}, is not UTF-8 text.", ""))
    return found
