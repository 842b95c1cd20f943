"""The writing of a manifest: plain values as YAML that :func:`read` reads back as they are."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DOUBTFUL = r"[-+.0-9][-+.0-9eE_xXoOa-fA-F]*\Z|[\s\S]*[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]"
"""Texts that some reader of YAML takes for a number (versions 1.1 and 1.2 differ in which), or for several lines."""


def to_yaml(value: Any, *, quote: Callable[[str], bool] | None = None) -> str:
    """JSON as YAML, keys in their order, without anchors and tags; texts for which ``quote`` is true in double quotes.

    Texts that look like something else are quoted, whichever version of YAML reads them.
    """
    import re  # lazy: loaded by the YAML writer anyway

    import yaml  # lazy: 15 ms, only where YAML is written

    is_doubtful = re.compile(_DOUBTFUL).match

    class Dumper(yaml.SafeDumper):
        """Writes every object out, and texts so that they stay texts."""

        def ignore_aliases(self, data: object) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - theirs
            super().increase_indent(flow, indentless=False)

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        quoted = is_doubtful(text) is not None or (quote is not None and quote(text))
        style = '"' if quoted else "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    written: str = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return written
