"""A path: where a value stands in a document, such as ``spec.nodes.parse.input[0]``.

A key with other characters than letters, digits, ``_``, ``-`` and ``$`` is shown ``["like this"]``, with the quotes
and escapes of JSON. The texts of ``$ref`` have the same form, but for keys in quotes.
"""

from __future__ import annotations

from agentflow_kernel.manifest._wording import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Step = str | int
    Path = tuple["Path | None", Step]

_STEP = r'(?:^|(?!^)\.)([^.\[\]"]+)|\[(-?[0-9]{1,9})\]|\[("(?:[^"\\]|\\.)*")\]'

_LONGEST = 2_000


def steps(path: str) -> tuple[Step, ...]:
    """The keys and indexes of a path in order: ``("spec", "tools", 0)`` for ``spec.tools[0]``.

    Raises:
        ValueError: the text is no path; the message names the place.
    """
    if len(path) > _LONGEST:
        raise ValueError(f"{shown(path)} has more than {_LONGEST:,} characters")
    import re  # lazy: loaded by the YAML parser anyway

    match = re.compile(_STEP).match
    found: list[Step] = []
    at = 0
    while at < len(path):
        step = match(path, at)
        if step is None:
            raise ValueError(f"character {at + 1} of {shown(path)} is neither '.name', '[0]' nor '[\"key\"]'")
        plain, index, quoted = step.groups()
        found.append(int(index) if index else plain or _unquoted(quoted))
        at = step.end()
    return tuple(found)


def _unquoted(quoted: str) -> str:
    import json  # lazy: only for keys with unusual characters

    try:
        key: str = json.loads(quoted)
    except ValueError as exc:
        raise ValueError(f"{shown(quoted)} is no JSON string") from exc
    return key


def written(path: Sequence[Step]) -> str:
    """The text of a path; :func:`steps` reads it back, unless it was cut: keys at 80 characters, paths at 24 steps."""
    text = ""
    cut = len(path) > 24
    for step in (*path[:12], "…", *path[-12:]) if cut else path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _is_plain(step) or (cut and step == "…"):
            text += f".{step}" if text else step
        else:
            import json  # lazy: only for keys with unusual characters

            text += f"[{json.dumps(step if len(step) <= 80 else step[:79] + '…', ensure_ascii=False)}]"
    return text


def _is_plain(step: str) -> bool:
    return len(step) <= 80 and step.replace("_", "a").replace("-", "a").replace("$", "a").isalnum()


def linked(steps: Iterable[Step]) -> Path | None:
    """The linked form of a path, see :func:`unrolled`."""
    path: Path | None = None
    for step in steps:
        path = (path, step)
    return path


def unrolled(path: Path | None) -> tuple[Step, ...]:
    """The steps of a linked path: the readers build ``((None, "spec"), "model")``, which costs nothing to extend."""
    found: list[Step] = []
    while path is not None:
        path, step = path
        found.append(step)
    return tuple(reversed(found))
