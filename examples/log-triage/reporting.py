"""A report: what a triage found, as a JSON document, a Markdown file and a table for the terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_kernel import Context

FORMAT: Final = "log-triage/1"
SHOWN_BURSTS: Final = 50
"""How many bursts the terminal shows, the latest; the files have all."""
SHOWN_USERS: Final = 5
NAMES_WIDTH: Final = 40
HEADINGS: Final = ("severity", "address", "failed", "users", "got in", "seen", "first", "last", "names tried")
BURST_HEADINGS: Final = ("severity", "first", "last", "errors", "at line", "most frequent message")
NUMERIC: Final = frozenset({"failed", "users", "got in", "seen", "errors", "at line"})
TEMPLATE_WIDTH: Final = 60


class Report(TypedDict):
    """``report`` is the JSON document, ``text`` the terminal's table, ``files`` the names of the files written."""

    report: dict[str, Any]
    text: str
    files: list[str]


def report(judgement: Mapping[str, Any], ctx: Context) -> Report:
    """The report, with its files in the run's folder.

    It holds no time of the run, no id and no path of a machine: the same log and memory give the same bytes.
    """
    document = {
        "format": FORMAT,
        "log": judgement["log"],
        "totals": judgement["totals"],
        "notes": notes(judgement["totals"], judgement["log"]),
        "attackers": judgement["attackers"],
        "bursts": judgement["bursts"],
    }
    files = {
        "report.json": json.dumps(document, ensure_ascii=False, indent=2) + "\n",
        "report.md": markdown(document),
    }
    for name, content in files.items():
        write(Path(ctx.folder) / name, content)
    return {"report": document, "text": terminal(document), "files": list(files)}


def write(path: Path, content: str) -> None:
    """The file, whole or not at all: written beside its place, made durable, then renamed."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def notes(totals: Mapping[str, int], log: Mapping[str, Any]) -> list[str]:
    """What a reader has to know to read the numbers right."""
    found = []
    if not totals["lines"]:
        found.append("The log is empty.")
    elif not totals["sshd_lines"] and not totals["levelled_lines"]:
        found.append("No line of this log was written by sshd, and none has a time and a level. Is it the right file?")
    if totals["sshd_lines"] and not totals["addresses"]:
        found.append("No address failed to log in with a password.")
    if totals["levelled_lines"] and not totals["bursts"]:
        found.append(f"No burst of errors: {counted(totals['error_lines'], 'error line')} of {levelled(totals)}.")
    if totals["older_bursts"]:
        found.append(f"Only counted, since later ones are shown: {counted(totals['older_bursts'], 'burst')}.")
    if totals["late_lines"]:
        late = counted(totals["late_lines"], "error line")
        found.append(f"Bursts may lack lines: {late} came later than the earlier ones were remembered.")
    if totals["long_lines"]:
        found.append(f"Too long for a log, and not read: {counted(totals['long_lines'], 'line')}.")
    if totals["unassessed"]:
        found.append(f"Not assessed, each with the reason: {counted(totals['unassessed'], 'address', 'es')}.")
    for first, last in log.get("gaps", ()):
        found.append(f"Not here yet: lines {first:,} to {last:,}.")
    return found


def levelled(totals: Mapping[str, int]) -> str:
    """How many lines have a time and a level."""
    return f"{counted(totals['levelled_lines'], 'line')} with time and level"


def headline(document: Mapping[str, Any]) -> str:
    """The numbers in one line."""
    totals = document["totals"]
    parts = [counted(totals["lines"], "line")]
    if totals["sshd_lines"] or not totals["levelled_lines"]:
        parts.append(counted(totals["addresses"], "attacking address", "es"))
        parts.append(counted(totals["failed_passwords"], "failed password"))
    if totals["levelled_lines"]:
        parts.append(counted(totals["error_lines"], "error line"))
        bursts, lines = counted(totals["bursts"], "error burst"), counted(totals["burst_lines"], "line")
        parts.append(f"{bursts} with {lines}" if totals["bursts"] else bursts)
    parts.append(counted(totals["incidents"], "incident"))
    return ", ".join(parts)


def counted(number: int, noun: str, plural: str = "s") -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def terminal(document: Mapping[str, Any]) -> str:
    """The report as a table of plain text."""
    lines = [f"Log triage of {visible(document['log']['name'])}", headline(document), *document["notes"]]
    if document["attackers"]:
        lines += ["", *table([HEADINGS, *map(row, document["attackers"])])]
    if document["bursts"]:
        shown = document["bursts"][-SHOWN_BURSTS:]
        lines += ["", *table([BURST_HEADINGS, *map(burst_row, shown)])]
        if len(shown) < len(document["bursts"]):
            lines.append(f"The latest {len(shown)} of {counted(len(document['bursts']), 'burst')}; report.md has all.")
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows with their columns in line, numbers to the right, the first row in capitals."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, cells in enumerate(rows):
        shown = [
            cell.rjust(width) if heading in NUMERIC else cell.ljust(width)
            for cell, width, heading in zip(cells, widths, rows[0], strict=True)
        ]
        line = "  ".join(shown).rstrip()
        yield line if index else line.upper()


def row(attacker: Mapping[str, Any]) -> Sequence[str]:
    """One attacker as cells."""
    seen = attacker["seen_before"]
    return (
        attacker["severity"],
        visible(attacker["address"]),
        f"{attacker['failed_passwords']:,}",
        f"{len(attacker['users']):,}",
        f"{attacker['logins']['count']:,}" if attacker["logins"]["count"] else "-",
        f"{seen['runs']:,}" if seen else "-",
        visible(attacker["first"]),
        visible(attacker["last"]),
        shortened(", ".join(map(quoted, attacker["users"][: SHOWN_USERS + 1])), NAMES_WIDTH),
    )


def burst_row(burst: Mapping[str, Any]) -> Sequence[str]:
    """One burst as cells."""
    top = burst["templates"][0]["template"]
    return (
        burst["severity"],
        burst["first"],
        burst["last"],
        f"{burst['count']:,}",
        f"{burst['lines'][0]:,}",
        shortened(visible(top), TEMPLATE_WIDTH),
    )


def markdown(document: Mapping[str, Any]) -> str:
    """The report as Markdown: the tables, then a section for each attacker and the messages of each burst."""
    log = document["log"]
    lines = [f"# Log triage of {escaped(log['name'])}", "", f"{headline(document)}.", ""]
    lines += [f"- {note}" for note in document["notes"]] + [""] * bool(document["notes"])
    lines += [origin(log), ""]
    if document["attackers"]:
        lines += ruled([HEADINGS, *map(row, document["attackers"])])
    if document["bursts"]:
        lines += ["", *ruled([BURST_HEADINGS, *map(burst_row, document["bursts"])])]
    for attacker in document["attackers"]:
        lines += ["", *section(attacker)]
    for burst in document["bursts"]:
        lines += ["", *burst_section(burst)]
    return "\n".join(lines).rstrip() + "\n"


def origin(log: Mapping[str, Any]) -> str:
    """What exactly was read."""
    if "chunk" not in log:
        return f"Log: {log['size_bytes']:,} bytes, SHA-256 `{log['sha256']}`."
    chunk = log["chunk"]
    lines = f"lines {chunk['first_line']:,} to {chunk['last_line']:,}, SHA-256 `{chunk['sha256']}`"
    return f"Log, followed: {log['size_bytes']:,} bytes so far; of this run {lines}."


def ruled(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows as a table of Markdown, the headings first."""
    yield f"| {' | '.join(rows[0])} |"
    yield f"| {' | '.join('---:' if heading in NUMERIC else '---' for heading in rows[0])} |"
    for cells in rows[1:]:
        yield f"| {' | '.join(map(escaped, cells))} |"


def burst_section(burst: Mapping[str, Any]) -> Iterable[str]:
    """The messages of one burst."""
    yield f"## {burst['first']} to {burst['last']}: {burst['severity']}"
    yield ""
    yield f"{counted(burst['count'], 'error line')}. {burst['advice']}"
    yield ""
    for each in burst["templates"]:
        yield f"- {each['count']:,} of {escaped(each['template'])}"
    yield f"- Lines to look at: {', '.join(map(str, burst['lines']))}"


def section(attacker: Mapping[str, Any]) -> Iterable[str]:
    """One attacker at length."""
    yield f"## {escaped(attacker['address'])}: {attacker['severity']}"
    yield ""
    yield escaped(" ".join(attacker["summary"].splitlines()))
    yield ""
    yield f"- What to do: {escaped(' '.join(attacker['advice'].splitlines()))}"
    yield f"- Names tried: {', '.join(escaped(quoted(user)) for user in attacker['users'])}"
    if attacker["logins"]["count"]:
        yield f"- Logged in as: {', '.join(escaped(quoted(user)) for user in attacker['logins']['users'])}"
    if attacker["seen_before"]:
        seen = attacker["seen_before"]
        yield f"- Earlier runs that met it: {seen['runs']:,}; the last one saw it until {escaped(seen['last'])}"
    if attacker["evidence"]:
        yield f"- Lines to look at: {', '.join(map(str, attacker['evidence']))}"


def visible(text: str) -> str:
    """The text with everything escaped that could steer a terminal: it comes from the log, so from the attacker."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def quoted(user: str) -> str:
    """A user name, in quotes where blanks or nothing would be overlooked."""
    user = visible(user)
    return user if user and user == user.strip() and "," not in user else f"'{user}'"


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|!" else char for char in visible(text))


def shortened(text: str, width: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
