"""The command `agentflow certify`: run the kit against an installed distribution and keep the certificate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentflow_kernel.loading import Catalogue
from agentflow_kernel.manifest import to_yaml
from agentflow_specs.certification import certify
from agentflow_specs.junit import as_junit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow_kernel.contracts.command import CommandLine
    from agentflow_specs.certification import Report


@click.command("certify")
@click.argument("distribution")
@click.option("--junit", "junit", type=click.Path(dir_okay=False), metavar="FILE", help="Also write a JUnit XML file.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that one test has.",
)
@click.pass_obj
def certify_command(line: CommandLine, distribution: str, junit: str | None, timeout_s: float) -> int:
    """Run the conformance kit against an installed DISTRIBUTION and every harness that it offers.

    Ends with 1 if a MUST is open. If none is, a certificate is kept in the state folder, which `agentflow plugins`
    shows until the files of the distribution change.
    """
    settings = line.settings()
    report = certify(Catalogue(settings), distribution, test_timeout_s=timeout_s)
    kept = report.keep(line.state_folder(settings))
    if junit is not None:
        Path(junit).write_bytes(as_junit(report))
    document = {**report.document(), "certificate": kept or None}
    if line.output == "json":
        click.echo(json.dumps(document, indent=2))
    elif line.output == "yaml":
        click.echo(to_yaml(document), nl=False)
    else:
        click.echo(as_table(report), nl=False)
    click.echo(_summary(report, kept), err=True)
    return 0 if report.certified else 1


def as_table(report: Report) -> str:
    """The report for people: a row for each requirement."""
    rows = [("HARNESS", "REQUIREMENT", "LEVEL", "RESULT", "TESTS", "DETAIL")]
    for harness in report.harnesses:
        rows += [
            (harness.name, one.id, one.level, one.result, str(one.tests), _one_line(one.detail))
            for one in harness.requirements
        ]
    return "".join(line.rstrip() + "\n" for line in _aligned(rows))


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _summary(report: Report, kept: str) -> str:
    """What came out, one line for each harness, and what becomes of it."""
    lines = []
    for harness in report.harnesses:
        against = [one for one in harness.requirements if one.counts_against]
        if harness.problem:
            lines.append(f"{harness.name} {_one_line(harness.problem)}.")
        named = ", ".join(one.id for one in against[:10]) + (" …" if len(against) > 10 else "")
        musts = sum(one.level == "MUST" for one in harness.requirements)
        open_ = f": {len(against)} of {musts} MUST are open: {named}" if against else f": all {musts} MUST hold"
        lines.append(f"{harness.name}{open_}." if harness.requirements else f"{harness.name}: nothing was tested.")
    name = f"{report.distribution} {report.version}"
    if kept:
        lines.append(f"{name} is certified by kit {report.kit}, {report.digest}: {kept}")
    elif report.certified:
        lines.append(f"{name} passes, but no certificate is kept: {report.unfixed}.")
    else:
        lines.append(f"{name} is not certified.")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Text of others as it may be shown: one line, nothing that acts on a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
