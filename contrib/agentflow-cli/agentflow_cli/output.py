"""An answer on standard output: one document as JSON or YAML for programs, or a table for people."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agentflow_cli.terminal import escaped, one_line, unsafe, visible, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_cli.shared import Format

_STYLES = {
    "completed": "green",
    "running": "cyan",
    "suspended": "yellow",
    "stuck": "red",
    "quarantined": "red",
    "failed": "red",
    "cancelled": "yellow",
    "ok": "green",
    "note": "cyan",
    "warning": "yellow",
    "problem": "bold red",
}
"""Words that carry a colour where a terminal shows them as a whole cell."""


class Table:
    """Rows under headings. Cells may hold untrusted text: they are shown on one line, without control characters."""

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self.columns = columns
        self.rows = [[one_line(cell) for cell in row] for row in rows]

    def show(self) -> None:
        """Write the table: fitted and coloured on a terminal, aligned text elsewhere."""
        if sys.stdout is not None and sys.stdout.isatty():
            self._show_rich()
        else:
            write(self.as_text())

    def as_text(self) -> str:
        """The table with columns as wide as their widest cell, nothing cut off."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        return "".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
            for line in lines
        )

    def _show_rich(self) -> None:
        from rich.console import Console  # lazy: 30 ms, only where a terminal is
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for number, column in enumerate(self.columns):
            table.add_column(column, overflow="fold", no_wrap=not number)  # what comes first is there to be copied
        for row in self.rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        console = Console(file=sys.stdout)
        with console.capture() as capture:
            console.print(table)
        write(capture.get())


def show(form: Format, document: Any, *tables: Table) -> None:
    """Write one answer: the document for programs, the tables, an empty line between them, for people."""
    if form == "json":
        write(as_json(document))
    elif form == "yaml":
        write(as_yaml(document))
    else:
        for number, table in enumerate(tables):
            if number:
                write("\n")
            table.show()


def as_json(document: Any) -> str:
    """The document as indented JSON; characters that would act on a terminal are escaped."""
    return escaped(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def as_yaml(document: Any) -> str:
    """The document as YAML without anchors; characters that would act on a terminal are escaped."""
    import yaml  # lazy: 15 ms, only where YAML is asked for

    class Dumper(yaml.SafeDumper):
        """Writes every object out, and quotes what has to be escaped."""

        def ignore_aliases(self, data: object) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - theirs
            super().increase_indent(flow, indentless=False)

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = '"' if unsafe(text) else "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    text: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return escaped(text)


def as_text(value: Any) -> str:
    """A result for people: text as it is, anything else as YAML, nothing for nothing; control characters removed."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        value = as_yaml(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return visible(text).rstrip("\n") + "\n"


def fields(document: Mapping[str, object]) -> Table:
    """An object as a table of two columns, empty values left out."""
    return Table(("FIELD", "VALUE"), [(key, str(value)) for key, value in document.items() if value not in {None, ""}])
